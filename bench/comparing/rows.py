"""One line of a table for each case: its rate with an interval, where its time went, and how right it is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from bench.agreement import judged
from bench.cells import Cell, best_of, key_of
from bench.comparing.cost import PHASES, phases, seconds_for
from bench.comparing.statistics import TrueEss, mean_of, true_ess
from bench.records import Quantity, Record
from bench.words import listed

NOTHING = "\u2013"
CACHES = ("disk", "memory")
"""What may serve a build."""
SHOWN_ERROR = 0.01  # Monte Carlo error in posterior sds; seconds grow with its inverse square
MAX_QUANTITIES = 40  # of a case, in the table of quantities
TRUTHS = {"exact": "exact posterior"}
"""Kinds of truth that have another name on a page."""
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
    def name(self) -> str:
        """Model and engine."""
        return f"{self.model} on {self.engine}"

    @property
    def kind(self) -> str:
        """What kind of model it is."""
        return self.first.kind or "kind not said"

    @property
    def size(self) -> int | None:
        """The largest of the sizes of its data."""
        return max(self.first.sizes.values(), default=None)

    @cached_property
    def rate(self) -> float | None:
        """Smallest bulk ESS per second of wall time; the geometric mean over replicates."""
        return self.ess_per_second

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the rate, Student's t on its logarithm; None for fewer than two replicates."""
        logs = [math.log(record.ess_per_second) for record in self.counted if record.ess_per_second]
        if len(logs) < 2:
            return None
        contrast = mean_of(logs)
        half = contrast.half_width()
        return math.exp(contrast.mean - half), math.exp(contrast.mean + half)

    @cached_property
    def _first_build(self) -> Record | None:
        """The first fit whose build no cache served; if one served all, the first."""
        built = [record for record in self.records if record.prepare_seconds is not None]
        return next((record for record in built if record.prepare_cache not in CACHES), built[0] if built else None)

    @property
    def build_seconds(self) -> float | None:
        """Seconds of its first build that no cache served; if one served all, of the first."""
        return self._first_build.prepare_seconds if self._first_build else None

    @property
    def build_cache(self) -> str:
        """What served that build; empty where it was built."""
        served = self._first_build.prepare_cache if self._first_build else None
        return served if served in CACHES else ""

    @cached_property
    def phases(self) -> dict[str, float]:
        """Seconds of the wall time by phase, as `bench.comparing.cost.phases` has it; they add up to it."""
        parts = [phases(record) for record in self.fits]
        if self.wall_seconds is None:
            return {}
        means = {name: fmean(part.get(name, 0.0) for part in parts) for name in PHASES}
        total = sum(means.values()) or 1.0
        return {
            name: value / total * self.wall_seconds for name, value in means.items() if any(name in p for p in parts)
        }

    @property
    def slowest(self) -> str:
        """The quantity, or its element, that most often has the smallest bulk ESS."""
        named = [record.min_ess_of for record in self.fits if record.min_ess_of]
        return max(named, key=named.count) if named else NOTHING

    @property
    def transitions(self) -> int:
        """Transitions after warm-up of all replicates."""
        return sum(int(r.settings.get("chains", 0)) * int(r.settings.get("draws", 0)) for r in self.fits)

    @property
    def max_rhat(self) -> float | None:
        """Largest R-hat of all replicates."""
        return max((r.max_rhat for r in self.fits if r.max_rhat is not None), default=None)

    @property
    def worst_grade(self) -> Mapping[str, Any]:
        """The grade with the largest |z| in units of its bound, empty if there is none."""
        grades = [record.grade for record in self.records if record.grade]
        graded = [grade for grade in grades if grade.get("largest") is not None and grade.get("bound")]
        return max(graded, key=lambda grade: grade["largest"] / grade["bound"], default={})

    @cached_property
    def headline(self) -> list[str]:
        """Names of the quantities to show first."""
        return headline(self.records)

    @cached_property
    def error(self) -> float | None:
        """Error of the posterior means of the headline quantities that are known, in posterior sds.

        The root mean square over these and all replicates.
        """
        squares = []
        for record in self.counted:
            known = known_of(record)
            squares += [
                ((record.quantities[name].mean - known[name]["mean"]) / known[name]["sd"]) ** 2
                for name in record.headline
                if name in record.quantities and known.get(name, {}).get("sd")
            ]
        value = math.sqrt(fmean(squares)) if squares else math.nan
        return value if math.isfinite(value) else None

    @property
    def seconds_to_error(self) -> float | None:
        """Seconds to the stated error of the slowest headline quantity; the mean over replicates."""
        slowest = [value for record in self.counted if (value := seconds_to_error(record)) is not None]
        return fmean(slowest) if slowest else None

    @cached_property
    def quantities(self) -> list[str]:
        """Names of all quantities, headline first, then the slowest first."""
        smallest: dict[str, float] = {}
        for record in self.fits:
            for name, quantity in record.quantities.items():
                smallest[name] = min(smallest.get(name, math.inf), _ess(quantity))
        first = [name for name in self.headline if name in smallest]
        return [*first, *sorted(smallest.keys() - set(first), key=lambda name: (smallest[name], name))]

    def quantity(self, name: str) -> Quantity | None:
        """Mean over replicates of the summary of a quantity; the worst R-hat, the smallest ESS.

        Of an array the replicates count that are of the same element as the slowest.
        """
        every = [record.quantities[name] for record in self.fits if name in record.quantities]
        if not every:
            return None
        found = [q for q in every if not q.constant] or every
        element = min(found, key=_ess).element
        same = [q for q in found if q.element == element]
        means = {field: fmean(getattr(q, field) for q in same) for field in ("mean", "sd", "q3", "q50", "q97", "mcse")}
        return Quantity(
            **means,
            ess_bulk=min(q.ess_bulk for q in found),
            ess_tail=min(q.ess_tail for q in found),
            rhat=max(q.rhat for q in found),
            element=element,
        )

    def true_ess(self, name: str) -> TrueEss | None:
        """Return the ESS by squared errors against the exact posterior, where replicates allow."""
        known = self.known.get(name)
        means = [record.quantities[name].mean for record in self.fits if name in record.quantities]
        if self.truth != TRUTHS["exact"] or known is None or len(means) < ENOUGH_FOR_TRUE_ESS:
            return None
        return true_ess(np.array(means), known["mean"], known["sd"])

    @cached_property
    def known(self) -> Mapping[str, Mapping[str, float]]:
        """Mean, sd, q3, q50 and q97 of each headline quantity by the truth, where a grade holds them."""
        return next((known for record in self.records if (known := known_of(record))), {})

    @cached_property
    def truth(self) -> str:
        """What kind of truth that is: `exact posterior` or `reference draws`; empty where there is none."""
        return next((kind for record in self.records if (kind := truth_of(record))), "")


def headline(records: Sequence[Record]) -> list[str]:
    """Return the names of the quantities that some records show first."""
    return list(dict.fromkeys(name for record in records for name in record.headline))


def known_of(record: Record) -> Mapping[str, Mapping[str, float]]:
    """Return what the grade of a record says is known of the headline quantities, empty if nothing is."""
    return (record.grade or {}).get("known") or {}


def truth_of(record: Record) -> str:
    """Kind of truth that a record was held against, in words; empty if there is none."""
    kind = str((record.grade or {}).get("truth") or "")
    return TRUTHS.get(kind, kind)


def _ess(quantity: Quantity) -> float:
    if quantity.constant:
        return math.inf
    return quantity.ess_bulk if math.isfinite(quantity.ess_bulk) else -1.0


def seconds_to_error(record: Record) -> float | None:
    """Seconds in which a fit would know each headline quantity to `SHOWN_ERROR`, warm-up once and draws at their rate.

    Its grade may state another error, and counts every second of the fit as one that grows with the draws.
    """
    grade = record.grade or {}
    every = (grade.get("seconds_to_error") or {}).values()
    slowest = max((seconds for seconds in every if seconds is not None), default=None)
    if not slowest or not record.wall_seconds:
        return None
    again = slowest * (grade.get("stated_error", SHOWN_ERROR) / SHOWN_ERROR) ** 2
    return seconds_for(record, again / record.wall_seconds)


def summarise(records: Sequence[Record]) -> list[Row]:
    """Judge records and group them by case and run, in the order in which the cases first appear."""
    runs = list(dict.fromkeys(record.run for record in records))
    runs_of: dict[str, set[str]] = {}
    grouped: dict[tuple[str, ...], list[Record]] = {}
    for record in judged(records):
        runs_of.setdefault(record.backend, set()).add(record.run)
        grouped.setdefault((*key_of(record), record.run), []).append(record)
    rows = []
    for (*_, backend, run), group in grouped.items():
        engine = f"{backend} {run_letter(runs.index(run))}" if len(runs_of[backend]) > 1 else backend
        rows.append(Row(tuple(sorted(group, key=lambda record: record.replicate)), engine))
    return rows


def run_letter(number: int) -> str:
    """Name the number-th of several runs, counted from 0: A, B, ..., Z, A1, ...

    Examples
    --------
    >>> [run_letter(i) for i in (0, 25, 26, 53)]
    ['A', 'Z', 'A1', 'B2']
    """
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with few significant digits, or a dash for none.

    Parameters
    ----------
    value : float, optional
        The number.
    digits : int, default 3
        How many.

    Examples
    --------
    >>> [number(value) for value in (12345.6, 0.012345, 1e-9, None)]
    ['12,300', '0.0123', '1.00e-09', '–']
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if places > digits + 3:
        return f"{value:.{digits - 1}e}"
    return f"{round(value, places):,.{max(0, places)}f}"


def span(interval: tuple[float, float] | None, digits: int = 3) -> str:
    """Write an interval, or a dash for none.

    Parameters
    ----------
    interval : (float, float), optional
        Its ends.
    digits : int, default 3
        As in `number`.
    """
    return NOTHING if interval is None else f"{number(interval[0], digits)} to {number(interval[1], digits)}"


class Column(NamedTuple):
    """A column of the table of a dataset: its head, what it means, and its text for a row and the best rate."""

    head: str
    meaning: str
    text: Callable[[Row, float | None], str]


def best_rate(rows: Sequence[Row], league: tuple[str, str]) -> float | None:
    """Return the largest rate of the healthy rows that share a family and a target.

    Parameters
    ----------
    rows : sequence of Row
        Cases of one dataset.
    league : (str, str)
        Family and target.
    """
    best = best_of(row for row in rows if row.league == league)
    return None if best is None else best.rate


def _of_best(row: Row, best: float | None) -> str:
    return f"{100 * row.rate / best:.0f} %" if row.healthy and row.rate and best else "not ranked"


def whose_programs(rows: Sequence[Row]) -> str:
    """Say which engines ran Stan programs, and which PyMC programs.

    Parameters
    ----------
    rows : sequence of Row
        All of them.
    """
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.fits:
            found.setdefault(row.first.language, {})[row.engine] = None
    names = {"stan": "Stan", "pymc": "PyMC"}
    return "; ".join(f"{names[of]} programs: {listed(list(found[of]))}" for of in names if of in found)


def _build(row: Row) -> str:
    return f"{number(row.build_seconds, 2)} {row.build_cache}".rstrip()


def _rate(row: Row, best: float | None) -> str:
    healthy, fits = len(row.healthy_fits), len(row.records)
    return number(row.rate) + (f" ({healthy} of {fits} fits)" if row.healthy and healthy < fits else "")


def _largest(row: Row, best: float | None) -> str:
    grade = row.worst_grade
    return f"{grade['largest']:.1f} of {grade['bound']:.1f}" if grade else NOTHING


def _sampling(row: Row, best: float | None) -> str:
    both = row.phases.get("warm-up and sampling")
    return f"{number(both, 2)} both" if both else number(row.phases.get("sampling"), 2)


TABLE = (
    Column("model", "", lambda row, best: row.model),
    Column("backend", "", lambda row, best: row.engine),
    Column("min ESS/s", "smallest bulk ESS of every quantity, per second of wall time", _rate),
    Column("slowest", "the quantity, or the element of one, that has it", lambda row, best: row.slowest),
    Column("95 % interval", "from replicates, on the log scale", lambda row, best: span(row.interval)),
    Column("of best", "share of the best healthy rate on this dataset of the same target", _of_best),
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
    Column("max |z|", "largest error against the truth in its Monte Carlo errors, of its bound", _largest),
    Column(
        "error",
        "root mean square error of the means of the headline quantities, in true posterior sds",
        lambda row, best: number(row.error, 2),
    ),
    Column(
        f"s to {100 * SHOWN_ERROR:g} %",
        f"seconds until every headline quantity is known to {100 * SHOWN_ERROR:g} % of its posterior sd",
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
    "truth", "true mean", "true sd", "true 3 %", "true 97 %",
)  # fmt: skip


def quantity_lines(rows: Sequence[Row], most: int = MAX_QUANTITIES) -> list[tuple[str, ...]]:
    """Return the lines of the table of quantities, as text.

    Parameters
    ----------
    rows : sequence of Row
        Cases of one dataset.
    most : int
        Quantities of a case; of what is beyond, a line says how many there are.
    """
    lines = []
    for row in rows:
        lines += [_quantity_line(row, name) for name in row.quantities[:most]]
        if len(row.quantities) > most:
            rest = f"and {len(row.quantities) - most:,} more, all faster"
            lines.append((row.model, row.engine, rest, *[""] * (len(QUANTITIES) - 3)))
    return lines


def _quantity_line(row: Row, name: str) -> tuple[str, ...]:
    q = row.quantity(name)
    assert q is not None
    known = row.known.get(name, {})
    values = [q.mean, q.sd, q.q3, q.q50, q.q97, q.mcse]
    sizes = ("constant", "constant") if q.constant else (number(q.ess_bulk), number(q.ess_tail))
    true = [known.get(field) for field in ("mean", "sd", "q3", "q97")]
    return (
        row.model,
        row.engine,
        q.element,
        *map(number, values),
        *sizes,
        _true_ess(row.true_ess(name)),
        _rhat(q.rhat),
        row.truth if known else NOTHING,
        *map(number, true),
    )
