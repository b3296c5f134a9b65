"""B against A in one measure, and what may be claimed of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bench.comparing.statistics import Contrast

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
GRADIENT = "gradient_seconds"
"""Seconds of one evaluation of log density and gradient, outside of any fit."""
HEADS = {**MEASURES, GRADIENT: "time/gradient"}
"""How each measure is headed."""
COSTS = ("wall_seconds", "cpu_per_gradient", GRADIENT)
"""Those that are better when smaller."""
WITHIN = 0.10
"""Ratios inside 1/1.1 to 1.1 count as the same: two backends that close differ by less than two machines do."""
LEVEL = 0.95
"""Of each interval, taken alone."""


@dataclass(frozen=True)
class Effect:
    """B against A in one measure.

    Attributes
    ----------
    measure : str
        Key of `HEADS`.
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
    implied : float
        Half-width of the interval of a mean over cases that their own intervals imply, where all hold at once.
    """

    measure: str
    contrast: Contrast
    kind: Kind = "not enough"
    p: float = math.nan
    more: int = 0
    resolution: float = WITHIN
    level: float = LEVEL
    pairs: Mapping[int, float] = field(default_factory=dict)
    implied: float = math.inf

    @property
    def ratio(self) -> float:
        """B/A, a geometric mean."""
        return math.exp(self.contrast.mean)

    @property
    def half_width(self) -> float:
        """Half-width of the interval of the log ratio, infinite where the spread is unknown."""
        return min(self.contrast.half_width(self.level), self.implied)

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval of the ratio, (0, inf) where the spread is unknown."""
        half = self.half_width
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
        half, margin = self.half_width, math.log1p(within)
        if abs(self.contrast.mean) + half < margin:
            return replace(self, kind="same", p=p, resolution=within)
        if p <= alpha:
            return replace(self, kind="slower" if self.slowdown > 1 else "faster", p=p, resolution=within)
        return replace(self, p=p)._not_enough(within)

    def decide_at(self, level: float, within: float) -> "Effect":
        """Return the effect with the verdict that its interval at a level gives.

        `same` if the interval lies within the margin, else `faster` or `slower` if it leaves out 1. Where the spread
        is unknown there is no verdict.

        Parameters
        ----------
        level : float
            Of the interval; at 1 there is none.
        within : float
            Margin of `same`.
        """
        effect, mean = replace(self, level=level), self.contrast.mean
        if level == 1:
            return replace(effect, contrast=replace(self.contrast, variance=math.nan, df=0))._not_enough(within)
        half = effect.half_width
        if abs(mean) + half < math.log1p(within):
            return replace(effect, kind="same", resolution=within)
        if abs(mean) > half:
            return replace(effect, kind="slower" if self.slowdown > 1 else "faster", resolution=within)
        return effect._not_enough(within)

    def _not_enough(self, within: float) -> "Effect":
        """Say how many more it takes to reach the margin, or half of it if the interval is that narrow, and so on."""
        half = self.half_width
        while math.isfinite(half) and half <= math.log1p(within):
            within /= 2
        return replace(self, resolution=within, more=max(1, self.contrast.more_needed(math.log1p(within), self.level)))
