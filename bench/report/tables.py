"""One line of a table for each case: its rate with an interval, where its time went, and how right it is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from bench.correctness.grading import TrueEss, true_ess
from bench.records import Quantity, Record
from bench.report.cells import Cell
from bench.report.statistics import mean_of

SCALARS = ("mu", "sigma", "omega")
PHASES = ("warm-up", "sampling", "warm-up and sampling", "reading", "other")
NOTHING = "\u2013"
SHOWN_ERROR = 0.01  # Monte Carlo error in posterior sds; seconds grow with its inverse square
ENOUGH_FOR_TRUE_ESS = 5  # replicates; its 95 % interval then spans a factor of fifteen, and narrows with more


@dataclass(frozen=True)
class Row(Cell):
    """The replicates of one case of one run, summarised.

    Attributes
    ----------
    engine : str
        The backend; with a letter for its run, if several runs have it.
    """

    engine: str

    @property
    def first(self) -> Record:
        """Its first replicate."""
        return self.records[0]

    @property
    def name(self) -> str:
        """Model and engine."""
        return f"{self.model} on {self.engine}"

    @property
    def omega(self) -> float | None:
        """The generating scale of the group means, where it is known."""
        return self.first.truth.get("omega")

    @cached_property
    def rate(self) -> float | None:
        """Smallest bulk ESS per second of wall time; the geometric mean over replicates."""
        return self.ess_per_second

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the rate, Student's t on its logarithm; None for fewer than two replicates."""
        logs = [math.log(record.ess_per_second) for record in self.fits if record.ess_per_second]
        if len(logs) < 2:
            return None
        contrast = mean_of(logs)
        half = contrast.half_width()
        return math.exp(contrast.mean - half), math.exp(contrast.mean + half)

    @cached_property
    def build_seconds(self) -> float | None:
        """Seconds of its first build."""
        return next((r.prepare_seconds for r in self.records if r.prepare_seconds is not None), None)

    @cached_property
    def phases(self) -> dict[str, float]:
        """Seconds of the wall time by phase; they add up to it.

        Seconds of chains that ran at the same time are divided by their number. `other` is the rest: starting
        processes, waiting for the slowest chain. A sampler without a clock of its own has one phase for both.
        """
        parts = [phases(record) for record in self.fits]
        if self.wall_seconds is None:
            return {}
        means = {name: fmean(part.get(name, 0.0) for part in parts) for name in PHASES}
        total = sum(means.values()) or 1.0
        return {
            name: value / total * self.wall_seconds for name, value in means.items() if any(name in p for p in parts)
        }

    @property
    def transitions(self) -> int:
        """Transitions after warm-up of all replicates."""
        return sum(int(r.settings.get("chains", 0)) * int(r.settings.get("draws", 0)) for r in self.fits)

    @property
    def max_rhat(self) -> float | None:
        """Largest R-hat of all replicates."""
        return max((r.max_rhat for r in self.fits if r.max_rhat is not None), default=None)

    @property
    def grades(self) -> list[Mapping[str, Any]]:
        """What the comparison with the exact posterior found, for each replicate that has it."""
        return [record.grade for record in self.records if record.grade]

    @property
    def worst_grade(self) -> Mapping[str, Any]:
        """The grade with the largest |z| in units of its bound, empty if there is none."""
        graded = [grade for grade in self.grades if grade.get("largest") is not None and grade.get("bound")]
        return max(graded, key=lambda grade: grade["largest"] / grade["bound"], default={})

    @cached_property
    def error(self) -> float | None:
        """Error of the posterior means of mu, sigma and omega, in exact posterior sds.

        The root mean square over the three and all replicates.
        """
        squares = []
        for record in self.fits:
            exact = exact_of(record)
            squares += [
                ((record.quantities[name].mean - exact[name]["mean"]) / exact[name]["sd"]) ** 2
                for name in SCALARS
                if name in exact and name in record.quantities and exact[name].get("sd")
            ]
        value = math.sqrt(fmean(squares)) if squares else math.nan
        return value if math.isfinite(value) else None

    @property
    def seconds_to_error(self) -> float | None:
        """Seconds to the stated error of the worst of mu, sigma and omega; the mean over replicates."""
        slowest = [value for record in self.fits if (value := seconds_to_error(record)) is not None]
        return fmean(slowest) if slowest else None

    def quantity(self, name: str) -> Quantity | None:
        """Mean over replicates of the summary of a quantity; the worst R-hat, the smallest ESS."""
        found = [record.quantities[name] for record in self.fits if name in record.quantities]
        if not found:
            return None
        means = {field: fmean(getattr(q, field) for q in found) for field in ("mean", "sd", "q3", "q50", "q97", "mcse")}
        return Quantity(
            **means,
            ess_bulk=min(q.ess_bulk for q in found),
            ess_tail=min(q.ess_tail for q in found),
            rhat=max(q.rhat for q in found),
        )

    def true_ess(self, name: str) -> TrueEss | None:
        """Return the ESS by squared errors against the exact posterior, where replicates allow."""
        known = self.exact.get(name)
        means = [record.quantities[name].mean for record in self.fits if name in record.quantities]
        if known is None or len(means) < ENOUGH_FOR_TRUE_ESS:
            return None
        return true_ess(np.array(means), known["mean"], known["sd"])

    @cached_property
    def exact(self) -> Mapping[str, Mapping[str, float]]:
        """Mean, sd, q3 and q97 of mu, sigma and omega by the exact posterior, where a grade holds them."""
        return next((exact for record in self.records if (exact := exact_of(record))), {})


def exact_of(record: Record) -> Mapping[str, Mapping[str, float]]:
    """Exact posterior in the grade of a record, empty if there is none."""
    return (record.grade or {}).get("exact") or {}


def seconds_to_error(record: Record) -> float | None:
    """Seconds in which a fit would know each of mu, sigma and omega to `SHOWN_ERROR`; its grade may state another."""
    grade = record.grade or {}
    slowest = max((grade.get("seconds_to_error") or {}).values(), default=None)
    return slowest and slowest * (grade.get("stated_error", SHOWN_ERROR) / SHOWN_ERROR) ** 2


def phases(record: Record) -> dict[str, float]:
    """Split the wall time of one fit; see `Row.phases`."""
    wall, reading = record.wall_seconds or 0.0, record.extraction_seconds or 0.0
    reading = min(reading, wall)
    if record.warmup_seconds is None or record.sampling_seconds is None:
        return {"warm-up and sampling": wall - reading, "reading": reading}
    parallel = max(1, min(int(record.settings.get("chains", 1)), int(record.settings.get("cores", 1))))
    parts = {"warm-up": sum(record.warmup_seconds) / parallel, "sampling": sum(record.sampling_seconds) / parallel}
    busy = sum(parts.values())
    if busy > wall - reading > 0:  # two clocks never agree to the last digit
        parts = {name: seconds * (wall - reading) / busy for name, seconds in parts.items()}
    return {**parts, "reading": reading, "other": max(0.0, wall - reading - sum(parts.values()))}


def summarise(records: Sequence[Record]) -> list[Row]:
    """Group records by case and run, in the order in which the cases first appear."""
    runs = list(dict.fromkeys(record.run for record in records))
    runs_of: dict[str, set[str]] = {}
    grouped: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        runs_of.setdefault(record.backend, set()).add(record.run)
        grouped.setdefault((*record.key[:3], record.run), []).append(record)
    rows = []
    for (_, _, backend, run), group in grouped.items():
        engine = f"{backend} {run_letter(runs.index(run))}" if len(runs_of[backend]) > 1 else backend
        rows.append(Row(tuple(sorted(group, key=lambda record: record.replicate)), engine))
    return rows


def run_letter(number: int) -> str:
    """Name the number-th of several runs: A, B, ..., Z, A1, ..."""
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with three significant digits, or a dash for none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if places > digits + 3:
        return f"{value:.{digits - 1}e}"
    return f"{round(value, places):,.{max(0, places)}f}"


def span(interval: tuple[float, float] | None) -> str:
    """Write an interval, or a dash for none."""
    return NOTHING if interval is None else f"{number(interval[0])} to {number(interval[1])}"


class Column(NamedTuple):
    """A column of the table of a dataset: its head, what it means, and its text for a row and the best rate."""

    head: str
    meaning: str
    text: Callable[[Row, float | None], str]


def best_rate(rows: Sequence[Row], posterior: str) -> float | None:
    """Largest rate of the healthy rows of one dataset that target a posterior."""
    return max((r.rate for r in rows if r.healthy and r.rate and r.first.posterior == posterior), default=None)


def _of_best(row: Row, best: float | None) -> str:
    return f"{100 * row.rate / best:.0f} %" if row.healthy and row.rate and best else "not ranked"


def _build(row: Row) -> str:
    cache = next((record.prepare_cache for record in row.records if record.prepare_seconds is not None), None)
    return number(row.build_seconds, 2) + (f" {cache}" if cache in ("disk", "memory") else "")


def _rate(row: Row, best: float | None) -> str:
    return number(row.rate)


def _largest(row: Row, best: float | None) -> str:
    grade = row.worst_grade
    return f"{grade['largest']:.1f} of {grade['bound']:.1f}" if grade else NOTHING


def _sampling(row: Row, best: float | None) -> str:
    both = row.phases.get("warm-up and sampling")
    return f"{number(both, 2)} both" if both else number(row.phases.get("sampling"), 2)


TABLE = (
    Column("model", "", lambda row, best: row.model),
    Column("backend", "", lambda row, best: row.engine),
    Column("min ESS/s", "smallest bulk ESS of mu, sigma, omega and all mu_g per second of wall time", _rate),
    Column("95 % interval", "from replicates, on the log scale", lambda row, best: span(row.interval)),
    Column("of best", "share of the best healthy rate on this dataset with the same posterior", _of_best),
    Column("wall s", "from the call to all draws in memory, build aside", lambda row, best: number(row.wall_seconds)),
    Column("warm-up s", "part of the wall time", lambda row, best: number(row.phases.get("warm-up"), 2)),
    Column("sampling s", "part of the wall time; both: with warm-up, where a sampler has no clock for each", _sampling),
    Column(
        "reading s",
        "part of the wall time: from the sampler's end to arrays in memory",
        lambda row, best: number(row.phases.get("reading"), 2),
    ),
    Column(
        "other s",
        "the rest of the wall time: starting processes, waiting for the slowest chain",
        lambda row, best: number(row.phases.get("other"), 2),
    ),
    Column("build s", "the first build; disk or memory: it had been compiled before", lambda row, best: _build(row)),
    Column("diverg.", "divergent transitions after warm-up, all replicates", lambda row, best: f"{row.divergences:,}"),
    Column("R-hat", "largest of all quantities and replicates", lambda row, best: _rhat(row.max_rhat)),
    Column("max |z|", "largest error against the exact posterior in its Monte Carlo errors, of its bound", _largest),
    Column(
        "error",
        "root mean square error of the means of mu, sigma and omega, in exact posterior sds",
        lambda row, best: number(row.error, 2),
    ),
    Column(
        f"s to {100 * SHOWN_ERROR:g} %",
        f"seconds until the Monte Carlo error of mu, sigma and omega is {100 * SHOWN_ERROR:g} % of their posterior sds",
        lambda row, best: number(row.seconds_to_error, 2),
    ),
    Column("health", "why it is not ranked, if it is not", lambda row, best: row.verdict),
)


def _rhat(value: float | None) -> str:
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.3f}"


def _true_ess(found: TrueEss | None) -> str:
    if found is None:
        return NOTHING
    return f"{number(found.ess)} ({number(found.lower)} to {number(found.upper)})"


QUANTITIES = (
    "model", "backend", "quantity", "mean", "sd", "3 %", "50 %", "97 %", "MCSE", "bulk ESS", "tail ESS",
    "true ESS (95 % interval)", "R-hat",
    "exact mean", "exact sd", "exact 3 %", "exact 97 %",
)  # fmt: skip


def quantity_lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the lines of the table of quantities, as text."""
    lines = []
    for row in rows:
        for name in (*SCALARS, "mu_g"):
            q = row.quantity(name)
            if q is not None:
                exact = row.exact.get(name, {})
                values = [q.mean, q.sd, q.q3, q.q50, q.q97, q.mcse, q.ess_bulk, q.ess_tail]
                known = [exact.get(field) for field in ("mean", "sd", "q3", "q97")]
                truth = _true_ess(row.true_ess(name))
                lines.append(
                    (row.model, row.engine, name, *map(number, values), truth, _rhat(q.rhat), *map(number, known))
                )
    return lines
