"""What a comparison found: effects, rows with one verdict each, and how all of it is written down."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal, get_args

from bench.cells import printable, rankable
from bench.report.matching import By
from bench.report.statistics import Contrast, RateRatio

Kind = Literal["faster", "slower", "same", "not enough", "not ranked"]
Change = Literal["", "worse", "better"]

MEASURES = {
    "wall_seconds": "wall time",
    "ess_per_second": "min ESS/s",
    "cpu_per_gradient": "CPU/gradient",
    "ess_per_gradient": "ESS/gradient",
}
"""Positive numbers of a record whose ratios are compared.

The last two are the two effects apart: what a gradient costs is the engine's, how many effective draws it buys is the
sampler's.
"""
COSTS = ("wall_seconds", "cpu_per_gradient")
"""Those that are better when smaller."""
WITHIN = 0.10
"""Ratios inside 1/1.1 to 1.1 count as the same: two backends that close differ by less than two machines do."""
LEVEL = 0.95
"""Of each interval, taken alone."""
ROUNDING = 1e-9
"""A log ratio, or its standard deviation, that is none."""


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
    level : float
        Of the interval.
    pairs : mapping of int to float
        Log ratio of each pair, by replicate; empty for two samples.
    """

    measure: str
    contrast: Contrast
    kind: Kind = "not enough"
    p: float = math.nan
    more: int = 0
    resolution: float = WITHIN
    level: float = LEVEL
    pairs: Mapping[int, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """B/A, a geometric mean."""
        return math.exp(self.contrast.mean)

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval of the ratio, (0, inf) where the spread is unknown."""
        half = self.contrast.half_width(self.level)
        if half > 700:
            return 0.0, math.inf
        return math.exp(self.contrast.mean - half), math.exp(self.contrast.mean + half)

    @property
    def slowdown(self) -> float:
        """The factor by which B is worse: above 1 for more time, or for fewer effective draws."""
        return self.ratio if self.measure in COSTS else 1 / self.ratio

    @property
    def slowdowns(self) -> tuple[float, float]:
        """Confidence interval of `slowdown`."""
        low, high = self.interval
        return (low, high) if self.measure in COSTS else (1 / high, 1 / low if low else math.inf)

    def decide(self, p: float, within: float, alpha: float) -> "Effect":
        """Return the effect with its verdict.

        `same` by two one-sided tests (Schuirmann 1987), done as an interval that lies within the margin; else `faster`
        or `slower` if the adjusted p value is at most alpha; else how many replicates bring the half-width
        down to the margin, or to half of it if it is there already, and so on.

        Parameters
        ----------
        p : float
            Adjusted over the table.
        within : float
            Margin of `same`.
        alpha : float
            Chance of a false alarm in the whole table.
        """
        half, margin = self.contrast.half_width(self.level), math.log1p(within)
        if abs(self.contrast.mean) + half < margin:
            return replace(self, kind="same", p=p, resolution=within)
        if p <= alpha:
            return replace(self, kind="slower" if self.slowdown > 1 else "faster", p=p, resolution=within)
        return replace(self, p=p)._not_enough(within)

    def decide_at(self, level: float, within: float) -> "Effect":
        """Return the effect with the verdict that its interval at a level gives.

        `same` if the interval lies within the margin, else `faster` or `slower` if it leaves out 1. Without a spread
        there is no verdict but for a ratio of exactly 1: values that differ by the same amount each time are those of
        a clock that ticks too coarsely.

        Parameters
        ----------
        level : float
            Of the interval; at 1 there is none.
        within : float
            Margin of `same`.
        """
        effect, mean = replace(self, level=level), self.contrast.mean
        if level == 1 or (abs(mean) > ROUNDING and not self.contrast.variance > ROUNDING**2):
            return replace(effect, contrast=replace(self.contrast, variance=math.nan, df=0))._not_enough(within)
        half = self.contrast.half_width(level)
        if abs(mean) + half < math.log1p(within):
            return replace(effect, kind="same", resolution=within)
        if abs(mean) > half:
            return replace(effect, kind="slower" if self.slowdown > 1 else "faster", resolution=within)
        return effect._not_enough(within)

    def _not_enough(self, within: float) -> "Effect":
        """Say how many more it takes to reach the margin, or half of it if the interval is that narrow, and so on."""
        half = self.contrast.half_width(self.level)
        while math.isfinite(half) and half <= math.log1p(within):
            within /= 2
        return replace(self, resolution=within, more=max(1, self.contrast.more_needed(math.log1p(within), self.level)))


@dataclass(frozen=True)
class Difference:
    """One line of a comparison: how B differs from A.

    Attributes
    ----------
    family, dataset, model, backend : str
        What B is; `dataset` is empty for a geometric mean over datasets.
    versus : str
        What A is, where it has another name.
    n : int
        Replicates of B, or datasets.
    over : int
        For a pooled ratio: how many cases it is the geometric mean of; else 0.
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
    same_draws : bool
        Whether both sides walked the same trajectories in every replicate, so that only their speed can differ.
    divergence_change, health_change : str
        `worse` is a regression.
    """

    family: str
    dataset: str
    model: str
    backend: str
    versus: str
    n: int
    over: int = 0
    pairs: bool = False
    effects: tuple[Effect, ...] = ()
    divergences: tuple[int, int] | None = None
    rate: RateRatio | None = None
    unhealthy: tuple[tuple[int, int], tuple[int, int]] | None = None
    health: str = ""
    same_draws: bool = False
    divergence_change: Change = ""
    health_change: Change = ""

    @property
    def regression(self) -> bool:
        """Whether B diverges more or is unhealthy more often."""
        return "worse" in (self.divergence_change, self.health_change)

    @property
    def candidates(self) -> list[str]:
        """The measures that may decide the row; see `deciding`."""
        there = [effect.measure for effect in self.effects]
        if self.same_draws and "cpu_per_gradient" in there:
            return ["cpu_per_gradient"]
        return [measure for measure in ("ess_per_second", "wall_seconds") if measure in there]

    @property
    def one_sided(self) -> bool:
        """Whether one side may be ranked and the other not, and that is no verdict yet."""
        ranked = [rankable(sick, n) for sick, n in self.unhealthy or ()]
        return any(ranked) and not all(ranked) and not self.health_change

    @property
    def deciding(self) -> Effect | None:
        """The effect that stands for the row.

        It is the smallest ESS per second. Where its noise leaves the verdict open, the wall time decides if it surely
        differs, unless the ESS per second leans the other way. Where both sides walked the same trajectories, it is
        the CPU time of a gradient, which is far less noisy.
        """
        effects = {effect.measure: effect for effect in self.effects}
        if self.same_draws and "cpu_per_gradient" in effects:
            return effects["cpu_per_gradient"]
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
            unit = "replicates" if self.dataset or self.over else "datasets"
            words.append(f"not enough {unit}: {effect.more} more needed for {100 * effect.resolution:.3g} %")
        elif effect.kind == "same":
            words.append(f"same within {100 * effect.resolution:.3g} %")
        else:
            words.append(effect.kind + (" (wall time)" if effect.measure == "wall_seconds" else ""))
        if self.same_draws:
            words.append("same draws, only speed can differ")
        return "; ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "family": self.family,
            "dataset": self.dataset,
            "model": self.model,
            "backend": self.backend,
            "versus": self.versus,
            "n": self.n,
            "over": self.over,
            "paired": self.pairs,
            "verdict": self.kind,
            "text": self.verdict,
            "regression": self.regression,
            "same_draws": self.same_draws,
            "measures": {
                effect.measure: {
                    "ratio": effect.ratio,
                    "low": effect.interval[0],
                    "high": _finite(effect.interval[1]),
                    "level": effect.level,
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
    rows, means : tuple of Difference
        One for each case, and the geometric means over datasets.
    notes : tuple of str
        Versions, differences that were passed over, and cases that were not compared.
    within, alpha : float
        Margin of `same`, and the chance of a false alarm in the whole table.
    pooled : tuple of Difference
        For each backend the geometric mean over all its cases, with a verdict of its own.
    looks : tuple of int
        At how many replicates verdicts were looked for, see `bench.report.sequential`; empty for one look at all.
    """

    a: str
    b: str
    by: By
    rows: tuple[Difference, ...]
    means: tuple[Difference, ...]
    notes: tuple[str, ...]
    within: float
    alpha: float
    pooled: tuple[Difference, ...] = ()
    looks: tuple[int, ...] = ()

    @property
    def regressions(self) -> list[Difference]:
        """Rows in which B diverges more or is unhealthy more often."""
        return [row for row in self.rows if row.regression]

    def summary(self) -> str:
        """Return the outcome in one line."""
        kinds = [row.kind for row in self.rows]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in get_args(Kind) if kind in kinds)
        return f"{len(self.rows)} compared: {counts}; less healthy or more divergences: {len(self.regressions)}"

    def how(self) -> str:
        """Return how to read the numbers."""
        ratios = "Ratios are B/A (time: below 1 is faster; ESS: above 1 is better)"
        same = f"Same: the interval lies within a factor of {1 + self.within:g}."
        if self.looks:
            return (
                f"{ratios}. All intervals hold at once, for the whole table and for all looks at it (after "
                f"{', '.join(map(str, self.looks))} replicates of a case): one of them is wrong in at most "
                f"{100 * self.alpha:.2g} % of tables, and so are the verdicts, which are read from them. Slower, "
                f"faster: the interval leaves out 1. {same}"
            )
        return (
            f"{ratios}, each with its own {LEVEL:.0%} interval. Verdicts hold for the whole table at once: Holm, a "
            f"false alarm in at most {self.alpha:.0%} of tables. {same}"
        )

    def lines(self) -> Iterator[str]:
        """Yield the lines for a terminal."""
        yield self._title()
        yield from _wrapped(self.how())
        for heading, of_dataset in groupby(self._every(), key=self._heading):
            yield ""
            yield printable(heading)
            rows = list(of_dataset)
            names = [_name(row, self.by) for row in rows]
            width = max(map(len, names)) + 2
            heads = "".join(f"{name:<22}" for name in MEASURES.values())
            yield f"  {'':<{width}}{'n':>4}  {heads}{'diverg. A, B':<14}verdict"
            for name, row in zip(names, rows, strict=True):
                yield f"  {name:<{width}}{row.n:>4}  " + "".join(
                    [*(f"{text:<22}" for text in _ratios(row)), f"{_divergences(row):<14}", printable(row.verdict)]
                )
        yield ""
        yield from (printable(note) for note in self.notes)
        yield self.summary()

    @staticmethod
    def heads() -> list[str]:
        """Return the heads of `table`."""
        return ["dataset", "case", "n", *MEASURES.values(), "divergences A, B", "verdict"]

    def table(self) -> Iterator[list[str]]:
        """Yield every row as text, the geometric means last."""
        for row in self._every():
            name = _name(row, self.by)
            yield [self._heading(row), name, str(row.n), *_ratios(row), _divergences(row), row.verdict]

    def markdown(self) -> str:
        """Return the same as Markdown."""
        lines = [
            f"# {_cell(self._title())}",
            "",
            self.how(),
            "",
            "| " + " | ".join(self.heads()) + " |",
            "|---" * len(self.heads()) + "|",
        ]
        lines += ["| " + " | ".join(map(_cell, values)) + " |" for values in self.table()]
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
            "adjustment": "simultaneous intervals" if self.looks else "holm",
            "level": None if self.looks else LEVEL,
            "looks": list(self.looks),
            "pooled": [row.to_dict() for row in self.pooled],
            "rows": [row.to_dict() for row in self.rows],
            "geometric_means": [row.to_dict() for row in self.means],
            "notes": list(self.notes),
            "summary": self.summary(),
        }

    def _every(self) -> tuple[Difference, ...]:
        """Return all rows in the order in which they are shown."""
        return (*self.pooled, *self.rows, *self.means)

    def _heading(self, row: Difference) -> str:
        """Dataset of a row, with its family if there are several."""
        if row.over:
            return f"geometric mean over all {row.over} cases"
        families = {each.family for each in self.rows}
        return (f"{row.family}: " if len(families) > 1 else "") + (row.dataset or "geometric means over n datasets")

    def _title(self) -> str:
        return f"A {self.a}, B {self.b}" if self.by == "version" else f"{self.a}, by {self.by}"


def _name(row: Difference, by: By) -> str:
    name = f"{row.model} {row.backend}"
    return printable(name if by == "version" else f"{name} / {row.versus}")


def _ratios(row: Difference) -> Iterator[str]:
    effects = {effect.measure: effect for effect in row.effects}
    for measure in MEASURES:
        effect = effects.get(measure)
        if effect is None:
            yield "-"
        elif effect.interval[1] > 1000:  # of a spread that is unknown, or as good as
            yield f"{effect.ratio:.2f}"
        else:
            low, high = effect.interval
            digits = 2 if high - low > 0.1 else 3  # so that a margin of a few per cent can be seen
            yield f"{effect.ratio:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _divergences(row: Difference) -> str:
    return f"{row.divergences[0]}, {row.divergences[1]}" if row.divergences else "-"


def _cell(text: str) -> str:
    """Text that Markdown shows as it is."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


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
