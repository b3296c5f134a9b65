"""Comparison with confidence: ratios of two sets of records with intervals, and one verdict for each line."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import fmean
from typing import Any, Literal, get_args

import numpy as np
from scipy.stats import fisher_exact

from bench.records import Record
from bench.report.cells import Cell, baseline, cells, printable
from bench.report.statistics import Contrast, RateRatio, holm, mean_of, moderate, paired, rate_ratio, welch

By = Literal["version", "backend", "model"]
BYS: tuple[By, ...] = get_args(By)
Kind = Literal["faster", "slower", "same", "not enough", "not ranked"]
Change = Literal["", "worse", "better"]

MEASURES = {"wall_seconds": "wall time", "ess_per_second": "min ESS/s", "ess_per_gradient": "ESS/gradient"}
"""Positive numbers of a record whose ratios are compared; all but the wall time are better when larger."""
ABSENT = ("unavailable", "unsupported")
"""Statuses that say nothing about the fit."""
WITHIN = 0.10
"""Ratios inside 1/1.1 to 1.1 count as the same: two backends that close differ by less than two machines do."""
ALPHA = 0.01
"""Chance of even one false alarm in a whole table."""
LEVEL = 0.95
"""Of each interval, taken alone."""


class CompareError(ValueError):
    """Two sets of records that can't be compared; the message says why and what to type."""


class IncomparableError(CompareError):
    """Records that differ in more than what is compared.

    Parameters
    ----------
    differences : sequence of str
        Each with both values.
    command : str
        The command line that compares them all the same.
    """

    def __init__(self, differences: Sequence[str], command: str) -> None:
        """Name the differences and the way on."""
        self.differences = list(differences)
        super().__init__(
            "A and B differ in more than what is compared:\n  "
            + "\n  ".join(self.differences)
            + f"\nTo compare them all the same, type: {command}"
        )


@dataclass(frozen=True)
class Effect:
    """B against A in one measure.

    Attributes
    ----------
    measure : str
        Key of `MEASURES`.
    contrast : Contrast
        The log ratio B/A.
    kind : str
        What may be claimed.
    p : float
        Holm-adjusted over the table; NaN where there is no test.
    more : int
        For `not enough`: how many more replicates (for a geometric mean: datasets) give `resolution`.
    resolution : float
        Half-width of the interval to reach, e.g. 0.1 for a factor of 1.1.
    """

    measure: str
    contrast: Contrast
    kind: Kind = "not enough"
    p: float = math.nan
    more: int = 0
    resolution: float = WITHIN

    @property
    def ratio(self) -> float:
        """B/A, a geometric mean."""
        return math.exp(self.contrast.mean)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the ratio, (0, inf) where the spread is unknown."""
        half = self.contrast.half_width(LEVEL)
        if half > 700:
            return 0.0, math.inf
        return math.exp(self.contrast.mean - half), math.exp(self.contrast.mean + half)

    @property
    def slowdown(self) -> float:
        """The factor by which B is worse: above 1 for more time, or for fewer effective draws."""
        return self.ratio if self.measure == "wall_seconds" else 1 / self.ratio

    def decide(self, p: float, within: float, alpha: float) -> "Effect":
        """Return the effect with its verdict.

        `same` by two one-sided tests (Schuirmann 1987), done as an interval that lies within the margin; else `faster`
        or `slower` if the adjusted p value is at most alpha; else how many replicates bring the half-width
        down to the margin, or to the half of it where it is there already, and so on.
        """
        half, margin = self.contrast.half_width(LEVEL), math.log1p(within)
        if abs(self.contrast.mean) + half < margin:
            return replace(self, kind="same", p=p, resolution=within)
        if p <= alpha:
            return replace(self, kind="slower" if self.slowdown > 1 else "faster", p=p, resolution=within)
        resolution = within
        while math.isfinite(half) and half <= math.log1p(resolution):
            resolution /= 2
        return replace(
            self, p=p, resolution=resolution, more=max(1, self.contrast.more_needed(math.log1p(resolution), LEVEL))
        )


@dataclass(frozen=True)
class Row:
    """One line of a comparison.

    Attributes
    ----------
    dataset, model, backend : str
        What B is; `dataset` is empty for a geometric mean over datasets.
    versus : str
        What A is, where it has another name.
    n : int
        Replicates of B, or datasets.
    pairs : bool
        Whether they are paired with those of A.
    effects : tuple of Effect
        One for each measure; empty if a side has no healthy cell.
    divergences : tuple of int, optional
        Of all replicates of A, and of B.
    rate : RateRatio, optional
        Ratio of the divergence rates.
    unhealthy : tuple of (int, int), optional
        Unhealthy or broken replicates and all replicates, of A, and of B.
    health : str
        What is wrong with either side.
    divergence_change, health_change : str
        `worse` is a regression.
    """

    dataset: str
    model: str
    backend: str
    versus: str
    n: int
    pairs: bool = False
    effects: tuple[Effect, ...] = ()
    divergences: tuple[int, int] | None = None
    rate: RateRatio | None = None
    unhealthy: tuple[tuple[int, int], tuple[int, int]] | None = None
    health: str = ""
    divergence_change: Change = ""
    health_change: Change = ""

    @property
    def regression(self) -> bool:
        """Whether B diverges more or is unhealthy more often."""
        return "worse" in (self.divergence_change, self.health_change)

    @property
    def deciding(self) -> Effect | None:
        """The effect that stands for the row.

        It is the smallest ESS per second. Where its noise leaves that open, a wall time that is surely other decides,
        unless the ESS per second leans the other way.
        """
        effects = {effect.measure: effect for effect in self.effects}
        rate, wall = effects.get("ess_per_second"), effects.get("wall_seconds")
        if rate is None or wall is None or rate.kind != "not enough" or wall.kind not in ("faster", "slower"):
            return rate or wall
        return wall if (rate.slowdown > 1) == (wall.slowdown > 1) else rate

    @property
    def kind(self) -> Kind:
        """The verdict in one word."""
        return "not ranked" if self.deciding is None else self.deciding.kind

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        words = ["REGRESSION"] if self.regression and not self.versus else []
        if self.health_change:
            words.append("less healthy" if self.health_change == "worse" else "healthier")
        if self.divergence_change:
            words.append("more divergences" if self.divergence_change == "worse" else "fewer divergences")
        effect = self.deciding
        if effect is None:
            words.append(f"not ranked ({self.health})")
        elif effect.kind == "not enough":
            unit = "replicates" if self.dataset else "datasets"
            words.append(f"not enough {unit}: {effect.more} more needed for {100 * effect.resolution:.3g} %")
        elif effect.kind == "same":
            words.append(f"same within {100 * effect.resolution:.3g} %")
        else:
            words.append(effect.kind + (" (wall time)" if effect.measure == "wall_seconds" else ""))
        return "; ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "dataset": self.dataset,
            "model": self.model,
            "backend": self.backend,
            "versus": self.versus,
            "n": self.n,
            "paired": self.pairs,
            "verdict": self.kind,
            "text": self.verdict,
            "regression": self.regression,
            "measures": {
                effect.measure: {
                    "ratio": effect.ratio,
                    "low": effect.interval[0],
                    "high": _finite(effect.interval[1]),
                    "p_holm": _finite(effect.p),
                    "verdict": effect.kind,
                    "more_needed": effect.more,
                    "resolution": effect.resolution,
                }
                for effect in self.effects
            },
            "divergences": self.divergences
            and {
                "a": self.divergences[0],
                "b": self.divergences[1],
                "ratio": self.rate and self.rate.ratio,
                "low": self.rate and self.rate.low,
                "high": self.rate and _finite(self.rate.high),
                "change": self.divergence_change,
            },
            "unhealthy": self.unhealthy
            and {"a": self.unhealthy[0], "b": self.unhealthy[1], "change": self.health_change, "text": self.health},
        }


@dataclass(frozen=True)
class Comparison:
    """The result of `compare_runs`.

    Attributes
    ----------
    a, b : str
        Runs that were compared.
    by : str
        What differs between A and B.
    rows, means : tuple of Row
        One for each case, and the geometric means over datasets.
    notes : tuple of str
        Versions, differences that were passed over, and cases that were not compared.
    within, alpha : float
        Margin of `same`, and the chance of a false alarm in the whole table.
    """

    a: str
    b: str
    by: By
    rows: tuple[Row, ...]
    means: tuple[Row, ...]
    notes: tuple[str, ...]
    within: float
    alpha: float

    @property
    def regressions(self) -> list[Row]:
        """Rows in which B diverges more or is unhealthy more often."""
        return [row for row in self.rows if row.regression]

    def fails(self, condition: str) -> bool:
        """Tell whether B is too slow, or less healthy.

        Parameters
        ----------
        condition : str
            `slower`, or `slower:10%`: some case or geometric mean has the verdict `slower` (adjusted p value at most
            `alpha`, not `same within`) and its estimated slow-down is at least a factor of 1.1 in the
            measure that decided (time over time, or ESS/s of A over that of B). A slow-down below `within` may be
            called `same`: lower `within` for a stricter gate. Regressions of health and divergences always fail.

        Raises
        ------
        CompareError
            If the condition can't be read.
        """
        match = re.fullmatch(r"slower(?::\s*(\d+(?:\.\d+)?)\s*%)?", condition.strip())
        if match is None:
            raise CompareError(f"{condition!r} is no condition; type e.g. --fail-on slower:10%")
        least = 1 + float(match[1] or 0) / 100
        slow = any(
            effect is not None and effect.kind == "slower" and effect.slowdown >= least
            for effect in (row.deciding for row in (*self.rows, *self.means))
        )
        return slow or bool(self.regressions)

    def summary(self) -> str:
        """Return the outcome in one line."""
        kinds = [row.kind for row in self.rows]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in get_args(Kind) if kind in kinds)
        return f"{len(self.rows)} compared: {counts}; less healthy or more divergences: {len(self.regressions)}"

    def how(self) -> str:
        """Return how to read the numbers."""
        return (
            f"Ratios are B/A (wall time: below 1 is faster; ESS: above 1 is better), each with its own {LEVEL:.0%} "
            f"interval. Verdicts hold for the whole table at once: Holm, a false alarm in at most {self.alpha:.0%} of "
            f"tables. Same: the interval lies within a factor of {1 + self.within:g}."
        )

    def lines(self) -> Iterator[str]:
        """Yield the lines for a terminal."""
        yield self._title()
        yield from _wrapped(self.how())
        for dataset, of_dataset in groupby((*self.rows, *self.means), key=lambda row: row.dataset):
            yield ""
            yield printable(dataset) if dataset else "geometric means over datasets (n datasets)"
            rows = list(of_dataset)
            names = [_name(row, self.by) for row in rows]
            width = max(map(len, names)) + 2
            heads = "".join(f"{name:<20}" for name in MEASURES.values())
            yield f"  {'':<{width}}{'n':>4}  {heads}{'diverg. A, B':<14}verdict"
            for name, row in zip(names, rows, strict=True):
                yield f"  {name:<{width}}{row.n:>4}  " + "".join(
                    [*(f"{text:<20}" for text in _ratios(row)), f"{_divergences(row):<14}", printable(row.verdict)]
                )
        yield ""
        yield from (printable(note) for note in self.notes)
        yield self.summary()

    def markdown(self) -> str:
        """Return the same as Markdown."""
        heads = ["dataset", "case", "n", *MEASURES.values(), "divergences A, B", "verdict"]
        lines = [f"# {_cell(self._title())}", "", self.how(), "", "| " + " | ".join(heads) + " |", "|---" * 8 + "|"]
        for row in (*self.rows, *self.means):
            values = [row.dataset or "geometric mean", _name(row, self.by), str(row.n), *_ratios(row)]
            lines.append("| " + " | ".join(map(_cell, [*values, _divergences(row), row.verdict])) + " |")
        lines += ["", *(f"- {_cell(note)}" for note in self.notes), "", self.summary()]
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "a": self.a,
            "b": self.b,
            "by": self.by,
            "within": self.within,
            "alpha": self.alpha,
            "adjustment": "holm",
            "level": LEVEL,
            "rows": [row.to_dict() for row in self.rows],
            "geometric_means": [row.to_dict() for row in self.means],
            "notes": list(self.notes),
            "summary": self.summary(),
        }

    def _title(self) -> str:
        return f"A {self.a}, B {self.b}" if self.by == "version" else f"{self.a}, by {self.by}"


@dataclass(frozen=True)
class _Match:
    """Two cells to compare."""

    a: Cell
    b: Cell
    versus: str

    @property
    def paired(self) -> bool:
        """Whether both have the same replicates from the same seeds."""
        seeds = [[(record.replicate, record.seed) for record in cell.records] for cell in (self.a, self.b)]
        return seeds[0] == seeds[1]


def compare_runs(
    a: Sequence[Record],
    b: Sequence[Record] | None = None,
    by: By = "version",
    *,
    reference: str | None = None,
    within: float = WITHIN,
    alpha: float = ALPHA,
    anyway: bool = False,
) -> Comparison:
    """Compare two runs, or the backends or models of one.

    Parameters
    ----------
    a, b : sequence of Record
        Records of each run; by backend or model those of one run are enough.
    by : str
        `version`: every (dataset, model, backend) of B with the same one of A. `backend`, `model`: every backend
        (model) with a reference on the same dataset; models with those of the same posterior alone.
    reference : str, optional
        Name of the backend or model that the others are compared with; by default cmdstan, else stanli, else the
        first backend, and the first model of each posterior.
    within : float
        Margin of `same`, e.g. 0.1 for ratios between 1/1.1 and 1.1.
    alpha : float
        Chance of even one false alarm in the whole table.
    anyway : bool
        Compare although data, programs, settings, protocol, machine, Python or seeds differ.

    Raises
    ------
    IncomparableError
        If they differ, and not `anyway`.
    CompareError
        If nothing is there to compare.

    Notes
    -----
    Replicates are paired by their index if both sides have the same ones from the same seeds (Student's t on log
    ratios), else taken as two samples (Welch). The variances of a measure are moderated over the table
    (`statistics.moderate`). A geometric mean takes the log ratio of each dataset as a unit (Student's t over
    datasets), so that its interval holds the differences between datasets, and speaks of datasets like these.
    Divergences: `statistics.rate_ratio`. Health: Fisher's exact test on unhealthy replicates; healthy in all of A
    and in none of B is a regression whatever the test says. All p values of the table are adjusted together (Holm).

    Replicates of a run follow each other: what the machine did during all of B, and not during A, is no noise to them.
    """
    runs_a, runs_b = ([*dict.fromkeys(record.run for record in side)] for side in (a, b or a))
    if by != "version" and b is not None and runs_a != runs_b:
        raise CompareError(
            f"--by {by} compares within one run; type: hierbench compare {printable(runs_a[0])} --by {by}"
        )
    matches, missing = _match(a, a if b is None else b, by, reference)
    if not matches:
        raise CompareError("A and B have no case in common:\n  " + "\n  ".join(missing or ["there are no records"]))
    different = _differences(matches, by, a[0].protocol)
    if different and not anyway:
        runs = [*runs_a, *runs_b] if by == "version" else runs_a
        raise IncomparableError(different, f"hierbench compare {printable(' '.join(runs))} --by {by} --anyway")
    rows = _moderated([_row(match) for match in matches])
    rows, means = _decided(rows, _means(rows, by), within, alpha)
    notes = [*_versions(matches, by), *(f"passed over: {text}" for text in different if anyway)]
    return Comparison(
        a=printable(", ".join(runs_a)),
        b=printable(", ".join(runs_b)),
        by=by,
        rows=tuple(rows),
        means=tuple(means),
        notes=(*notes, *(f"not compared: {text}" for text in missing)),
        within=within,
        alpha=alpha,
    )


def _match(a: Sequence[Record], b: Sequence[Record], by: By, reference: str | None) -> tuple[list[_Match], list[str]]:
    """Find the cells that belong together, and what has no other side."""
    left, missing = cells(a), []
    matches = []

    def add(one: Cell | None, other: Cell | None, versus: str) -> None:
        present = one or other
        assert present is not None
        name = f"{present.dataset} {present.model} {present.backend}"
        for side, cell in (("A", one), ("B", other)):
            if cell is None:
                missing.append(f"{name} is not in {side}")
                return
            absent = next((record for record in cell.records if record.status in ABSENT), None)
            if absent is not None:
                missing.append(f"{name} is {absent.status} in {side}: {absent.reason.split(chr(10))[0]}")
                return
        if one is not None and other is not None:
            matches.append(_Match(one, other, versus))

    if by == "version":
        right = {cell.records[0].key[:3]: cell for cell in cells(b)}
        for cell in left:
            add(cell, right.pop(cell.records[0].key[:3], None), "")
        for cell in right.values():
            add(None, cell, "")
        return matches, missing
    known = list(dict.fromkeys(getattr(cell, by) for cell in left))
    if reference is not None and reference not in known:
        raise CompareError(f"no {by} {reference!r} in the run; there are: {', '.join(known)}")
    grouped: dict[tuple[str, str], list[Cell]] = {}
    for cell in left:
        record = cell.records[0]
        key = (cell.dataset, cell.model) if by == "backend" else (cell.dataset, f"{cell.backend} {record.posterior}")
        grouped.setdefault(key, []).append(cell)
    base = reference or (baseline(left) if by == "backend" else None)
    for group in grouped.values():
        names = [getattr(cell, by) for cell in group]
        first = names.index(base) if base in names else 0
        if by == "backend" and base not in names:
            missing.append(f"{group[0].dataset} {group[0].model}: {base} has no fit")
            continue
        for i, cell in enumerate(group):
            if i != first:
                add(group[first], cell, names[first])
    return matches, missing


def _differences(matches: Sequence[_Match], by: By, protocol: str) -> list[str]:
    """Name everything but the compared thing in which the two sides differ, with both values and in how many cases."""
    found: dict[tuple[str, str, str], int] = {}
    for match in matches:
        seeds = [{record.replicate: record.seed for record in cell.records} for cell in (match.a, match.b)]
        common = seeds[0].keys() & seeds[1].keys()
        sides = [conditions(cell, by, protocol) for cell in (match.a, match.b)]
        for side, own in zip(sides, seeds, strict=True):
            side["seeds"] = ", ".join(str(own[number]) for number in sorted(common)) or "none in common"
        for name in dict.fromkeys([*sides[0], *sides[1]]):
            before, now = (side.get(name, "not there") for side in sides)
            if before != now:
                found[name, before, now] = found.get((name, before, now), 0) + 1
    by_name: dict[str, list[tuple[str, str, int]]] = {}
    for (name, before, now), count in found.items():
        by_name.setdefault(name, []).append((before, now, count))
    return [
        printable(
            f"{name}: {_short(values[0][0])} in A, {_short(values[0][1])} in B ({sum(v[2] for v in values)} of "
            f"{len(matches)} cases{', the first shown' if len(values) > 1 else ''})"
        )
        for name, values in by_name.items()
    ]


def conditions(cell: Cell, by: By, protocol: str) -> dict[str, str]:
    """Everything that must be equal on both sides, as text."""
    found: dict[str, dict[str, None]] = {}

    def note(name: str, value: object) -> None:
        found.setdefault(name, {})[str(value)] = None

    for record in cell.records:
        note(f"data of {record.dataset} (digest)", record.dataset_digest)
        if by != "model":
            note(f"program of {record.model} (digest)", record.model_digest)
        note("protocol", record.protocol)
        if by != "backend" or protocol == "matched":  # stock settings are each backend's own
            for name, value in record.settings.items():
                note(f"setting {name}", value)
        for name in ("cpu", "cores", "system", "threads"):
            note(f"machine {name}", record.environment.get(name, "unknown"))
        note("Python", ".".join(str(record.environment.get("python", "unknown")).split(".")[:2]))
    return {name: " and ".join(sorted(values)) for name, values in found.items()}


def _row(match: _Match) -> Row:
    """Measure the contrasts of two cells; nothing is decided yet."""
    a, b = match.a, match.b
    pairs = match.paired
    effects = []
    if a.healthy and b.healthy:
        for measure in MEASURES:
            x, y = ([getattr(record, measure) or 0.0 for record in cell.records] for cell in (a, b))
            if min(x) > 0 and min(y) > 0:
                effects.append(Effect(measure, (paired if pairs else welch)(x, y)))
    sick = [(sum(not record.healthy for record in cell.records), len(cell.records)) for cell in (a, b)]
    health = "; ".join(f"{side}: {cell.verdict}" for side, cell in (("A", a), ("B", b)) if not cell.healthy)
    rate = None
    if a.fits and b.fits:
        size = [fmean(r.settings["chains"] * r.settings["draws"] for r in cell.fits) for cell in (a, b)]
        counts = [[record.divergences or 0 for record in cell.fits] for cell in (a, b)]
        rate = rate_ratio(counts[0], counts[1], size[1] / size[0], LEVEL)
    return Row(
        dataset=b.dataset,
        model=b.model,
        backend=b.backend,
        versus=match.versus,
        n=len(b.records),
        pairs=pairs,
        effects=tuple(effects),
        divergences=(a.divergences, b.divergences),
        rate=rate,
        unhealthy=(sick[0], sick[1]),
        health=health or "a measure is missing",
    )


def _moderated(rows: Sequence[Row]) -> list[Row]:
    """Let the contrasts of each measure borrow strength from each other."""
    better: dict[tuple[int, str], Effect] = {}
    for measure in MEASURES:
        found = [(i, effect) for i, row in enumerate(rows) for effect in row.effects if effect.measure == measure]
        for (i, effect), contrast in zip(found, moderate([effect.contrast for _, effect in found]), strict=True):
            better[i, measure] = replace(effect, contrast=contrast)
    return [
        replace(row, effects=tuple(better[i, effect.measure] for effect in row.effects)) for i, row in enumerate(rows)
    ]


def _means(rows: Sequence[Row], by: By) -> list[Row]:
    """Geometric means over datasets: of each case, and of all that B's backend (model) ran."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.model, row.backend, row.versus), []).append(row)
    for row in rows:
        overall = (row.model, "all", row.versus) if by == "model" else ("all", row.backend, row.versus)
        groups.setdefault(overall, []).append(row)
    means = []
    for (model, backend, versus), group in groups.items():
        if "all" in (model, backend) and len({(row.model, row.backend) for row in group}) == 1:
            continue
        effects, n = [], 0
        for measure in MEASURES:
            logs: dict[str, list[float]] = {}
            for row in group:
                for effect in row.effects:
                    if effect.measure == measure:
                        logs.setdefault(row.dataset, []).append(effect.contrast.mean)
            if len(logs) > 1:
                effects.append(Effect(measure, mean_of([fmean(values) for values in logs.values()])))
                n = max(n, len(logs))
        if effects:
            means.append(Row("", model, backend, versus, n, effects=tuple(effects)))
    return means


def _decided(rows: Sequence[Row], means: Sequence[Row], within: float, alpha: float) -> tuple[list[Row], list[Row]]:
    """Adjust all p values of the table together and give every row its verdicts."""
    raw: dict[tuple[int, str], float] = {}
    for i, row in enumerate([*rows, *means]):
        for effect in row.effects:
            if not math.isnan(effect.contrast.p):
                raw[i, effect.measure] = effect.contrast.p
        if row.divergences and row.rate and sum(row.divergences):
            raw[i, "divergences"] = row.rate.p
        if row.unhealthy and sum(sick for sick, _ in row.unhealthy):
            table = [[sick, total - sick] for sick, total in row.unhealthy]
            raw[i, "health"] = float(fisher_exact(np.array(table)).pvalue)
    adjusted = dict(zip(raw, holm(list(raw.values())), strict=True))

    def decide(i: int, row: Row) -> Row:
        diverging: Change = ""
        health: Change = ""
        if row.rate and adjusted.get((i, "divergences"), 1) <= alpha:
            diverging = "worse" if row.rate.ratio > 1 else "better"
        if row.unhealthy:
            (sick_a, n_a), (sick_b, n_b) = row.unhealthy
            change = sick_b / n_b - sick_a / n_a
            if abs(change) == 1 or adjusted.get((i, "health"), 1) <= alpha:
                health = "worse" if change > 0 else "better"
        return replace(
            row,
            effects=tuple(e.decide(adjusted.get((i, e.measure), math.nan), within, alpha) for e in row.effects),
            divergence_change=diverging,
            health_change=health,
        )

    decided = [decide(i, row) for i, row in enumerate([*rows, *means])]
    return decided[: len(rows)], decided[len(rows) :]


def _versions(matches: Sequence[_Match], by: By) -> Iterator[str]:
    """Yield what B runs in other versions than A."""
    if by != "version":
        return
    seen = set()
    for match in matches:
        a, b = match.a.records[0].versions, match.b.records[0].versions
        changed = [
            f"{name} {a.get(name, '-')} to {b.get(name, '-')}" for name in {**a, **b} if a.get(name) != b.get(name)
        ]
        text = f"{match.b.backend}: {', '.join(changed) if changed else 'the same versions'}"
        if text not in seen:
            seen.add(text)
            yield text


def _name(row: Row, by: By) -> str:
    name = f"{row.model} {row.backend}"
    return printable(name if by == "version" else f"{name} / {row.versus}")


def _ratios(row: Row) -> Iterator[str]:
    effects = {effect.measure: effect for effect in row.effects}
    for measure in MEASURES:
        effect = effects.get(measure)
        if effect is None:
            yield "-"
        elif math.isinf(effect.interval[1]):
            yield f"{effect.ratio:.2f}"
        else:
            yield f"{effect.ratio:.2f} [{effect.interval[0]:.2f}, {effect.interval[1]:.2f}]"


def _divergences(row: Row) -> str:
    return f"{row.divergences[0]}, {row.divergences[1]}" if row.divergences else "-"


def _cell(text: str) -> str:
    """Text that Markdown shows as it is."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _wrapped(text: str, width: int = 110) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
