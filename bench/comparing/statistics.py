"""The statistics of a comparison: ratios on the log scale, their spread, and what may be claimed of a whole table.

Noise of wall time and of ESS is taken as log-normal: logarithms of ratios are nearly normal, and outliers of a busy
machine lie on one side and enlarge the spread that a cell is judged by. `bench.comparing.aa` simulates how well
that holds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import chdtri, fdtrc, fdtri, ndtri, polygamma, psi, stdtr, stdtrit

from bench.arrays import Floats, Ints

MIN_POOL = 6
"""Contrasts that must be there before one may borrow the spread of the others."""
ROUNDING = 1e-9
"""A log ratio, or its standard deviation, that is none."""


@dataclass(frozen=True)
class Contrast:
    """An estimated log ratio.

    Attributes
    ----------
    mean : float
        Log ratio.
    variance : float
        Variance of the log ratio of one pair; NaN where it is unknown.
    n : float
        Pairs; for two samples their harmonic mean size.
    df : float
        Degrees of freedom of the variance.
    """

    mean: float
    variance: float
    n: float
    df: float

    @property
    def se(self) -> float:
        """Standard error of the mean."""
        return math.sqrt(self.variance / self.n)

    @property
    def known(self) -> bool:
        """Whether its spread is known: values that differ from 1 by the same amount each time only seem to have none.

        They are those of a clock that ticks too coarsely, or of too few pairs.
        """
        return self.df > 0 and (self.variance > ROUNDING**2 or abs(self.mean) <= ROUNDING)

    @property
    def p(self) -> float:
        """Two-sided p value of a ratio of 1; NaN where the spread is unknown."""
        if not self.known:
            return math.nan
        if abs(self.mean) <= ROUNDING:
            return 1.0
        return float(2 * stdtr(self.df, -abs(self.mean) / self.se))

    @property
    def ratio(self) -> float:
        """The ratio itself, a geometric mean."""
        return math.exp(self.mean)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its 95 % interval; None where the spread is unknown, or as good as."""
        half = self.half_width()
        return (math.exp(self.mean - half), math.exp(self.mean + half)) if half < math.log(1000) else None

    @property
    def turned(self) -> "Contrast":
        """The log ratio the other way round."""
        return replace(self, mean=-self.mean)

    def half_width(self, level: float = 0.95) -> float:
        """Half the width of the confidence interval; infinite where the spread is unknown."""
        return float(-stdtrit(self.df, (1 - level) / 2)) * self.se if self.known else math.inf

    def more_needed(self, half_width: float, level: float = 0.95) -> int:
        """Return how many more pairs narrow the interval to a half-width, if the variance stays what it is.

        Without a variance, as many are asked for as make 3 pairs: enough to see one.

        Parameters
        ----------
        half_width : float
            To reach, on the log scale.
        level : float, default 0.95
            Of the interval.

        Examples
        --------
        >>> noisy = Contrast(mean=0.1, variance=0.04, n=5, df=4)
        >>> round(noisy.half_width(), 3)
        0.248
        >>> noisy.more_needed(0.1)
        13
        """
        if not self.known:
            return max(1, math.ceil(3 - self.n))
        z = float(-ndtri((1 - level) / 2))
        n = max(self.n, math.ceil(self.variance * (z / half_width) ** 2))
        while replace(self, n=n, df=self.df + n - self.n).half_width(level) > half_width:
            n += 1
        return math.ceil(n - self.n)


MAX_BORROWED = 2.0
"""Degrees of freedom that a contrast may borrow for each of its own; a bound against wrong models of the spread."""


CHECKED, PERMUTATIONS = 0.02, 20_000
"""P values of a rate ratio below the first are held against this many permutations."""


def paired(a: ArrayLike, b: ArrayLike) -> Contrast:
    """Contrast of pairs: Student's one-sample t on the log ratios b/a.

    Parameters
    ----------
    a, b : array of shape (n,)
        Positive values; the i-th of both belong together.

    Examples
    --------
    B takes twice the time of A, whatever the machine does to a pair.

    >>> twice = paired([1.0, 1.2, 0.9], [2.0, 2.4, 1.8])
    >>> round(math.exp(twice.mean), 6), twice.df
    (2.0, 2)
    """
    return mean_of(np.log(b) - np.log(a))


def mean_of(logs: ArrayLike) -> Contrast:
    """Contrast of log ratios that are the units themselves, e.g. one for each dataset."""
    x = np.asarray(logs, dtype=float)
    n = len(x)
    return Contrast(float(np.mean(x)), float(np.var(x, ddof=1)) if n > 1 else math.nan, n, n - 1)


def mean_over_rounds(cases: Sequence[Mapping[int, float]]) -> Contrast:
    """Mean of the means of several cases, with the rounds in which they were measured as units.

    What the machine did in one round it did to all cases of it, so they are not independent of each other; rounds are.
    A case may lack rounds. One with a single round says nothing of its spread: it is taken to move as the others of
    that round do, and where there are none, the spread is unknown.

    Parameters
    ----------
    cases : sequence of mappings of int to float
        Log ratios of each case, by round.

    Notes
    -----
    The variance is that of a sum over clusters (Liang & Zeger 1986, Biometrika 73, 13-22): each round adds its
    residuals, weighted as in the mean and enlarged by sqrt(n / (n - 1)), n being the rounds of the case. Its degrees
    of freedom are those of the effective number of rounds, less one (Carter, Schnepel & Steigerwald 2017, Review of
    Economics and Statistics 99, 698-709). Where no case lacks a round this is Student's t on the means of the rounds.

    Examples
    --------
    >>> found = mean_over_rounds([{0: 0.1, 1: 0.2, 2: 0.3}, {0: 0.3, 1: 0.2, 2: 0.4}])
    >>> round(found.mean, 6), found.df, round(found.variance, 6)
    (0.25, 2.0, 0.0075)
    """
    mean = fmean(fmean(case.values()) for case in cases)
    moved: dict[int, float] = {}
    weights: dict[int, float] = {}  # of each round in the mean
    seen: dict[int, float] = {}  # the part of it that has a spread
    for case in cases:
        for number, value in case.items():
            weight = 1 / (len(cases) * len(case))
            weights[number] = weights.get(number, 0.0) + weight
            if len(case) > 1:
                residual = (value - fmean(case.values())) * math.sqrt(len(case) / (len(case) - 1))
                moved[number] = moved.get(number, 0.0) + weight * residual
                seen[number] = seen.get(number, 0.0) + weight
    rounds = 1 / sum(weight**2 for weight in weights.values())
    if rounds < 1.5 or seen.keys() != weights.keys():
        return Contrast(mean, math.nan, rounds, 0)
    square = sum((moved[number] * weights[number] / seen[number]) ** 2 for number in weights)
    return Contrast(mean, rounds * square, rounds, rounds - 1)


def welch(a: ArrayLike, b: ArrayLike) -> Contrast:
    """Contrast of two independent samples with variances of their own.

    Parameters
    ----------
    a, b : array of shape (n_a,), (n_b,)
        Positive values.

    Notes
    -----
    Welch, B. L. (1947), Biometrika 34, 28-35. Written on the scale of pairs: the variance is that of the difference
    of one value each, n the harmonic mean of the sizes.

    Examples
    --------
    >>> found = welch([1.0, 1.1, 0.9, 1.0], [1.5, 1.4, 1.6])
    >>> round(math.exp(found.mean), 2), round(found.p, 3), round(found.df, 1)
    (1.5, 0.001, 4.9)
    """
    x, y = np.log(a), np.log(b)
    mean, n = float(np.mean(y) - np.mean(x)), 2 / (1 / len(x) + 1 / len(y))
    if min(len(x), len(y)) < 2:
        return Contrast(mean, math.nan, n, 0)
    parts = [float(np.var(z, ddof=1)) / len(z) for z in (x, y)]
    squares = [part**2 / (len(z) - 1) for part, z in zip(parts, (x, y), strict=True)]
    df = sum(parts) ** 2 / sum(squares) if sum(squares) > 0 else float(len(x) + len(y) - 2)
    return Contrast(mean, sum(parts) * n, n, df)


def moderate(contrasts: Sequence[Contrast], least: int = MIN_POOL) -> list[Contrast]:
    """Let contrasts of the same measure borrow strength: shrink each variance towards the common one.

    With 5 replicates a variance has 4 degrees of freedom, and at the level of one line of a long table Student's t asks
    for a fifteenfold standard error. The more alike the variances of a table are, the more each
    learns from the others; where they differ widely, they stay almost what they were.

    Parameters
    ----------
    contrasts : sequence of Contrast
        Those whose variance is unknown, or 0 (bit-identical results), are returned as they are.
    least : int
        So are all when fewer than this have a variance.

    Notes
    -----
    The moderated t statistic: Smyth, G. K. (2004), Statistical Applications in Genetics and Molecular Biology 3, 3.
    The variances are modelled as s0² d0 / chi²(d0), with d0 and s0² from the moments of their logarithms (section 6.2).
    With d0 taken without a bound, simulated tables of 3 replicates with outliers or with spreads between 5 % and 20 %
    raised false alarms up to six times too often; with d0 <= `MAX_BORROWED` df they do not (see `bench.comparing.aa`).
    """
    usable = [c for c in contrasts if c.df > 0 and c.variance > ROUNDING**2]
    if len(usable) < least:
        return list(contrasts)
    half = np.array([c.df for c in usable]) / 2
    e = np.log([c.variance for c in usable]) - psi(half) + np.log(half)
    excess = float(np.var(e, ddof=1) - np.mean(polygamma(1, half)))
    prior_df, prior = math.inf, math.exp(float(np.mean(e)))
    if excess > 1e-6:
        # trigamma falls from infinity to 0, so there is one root.
        log_half = float(brentq(lambda x: math.log(float(polygamma(1, math.exp(x)))) - math.log(excess), -20, 20))
        prior_df = 2 * math.exp(log_half)
        prior *= math.exp(float(psi(prior_df / 2)) - math.log(prior_df / 2))

    def shrunk(c: Contrast) -> Contrast:
        if not (c.df > 0 and c.variance > ROUNDING**2):
            return c
        borrowed = min(prior_df, MAX_BORROWED * c.df)
        weight = borrowed / (borrowed + c.df)
        return replace(c, variance=weight * prior + (1 - weight) * c.variance, df=borrowed + c.df)

    return [shrunk(c) for c in contrasts]


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p values so that the chance of even one false rejection stays below the level, however they depend.

    Parameters
    ----------
    p : sequence of float
        Of all tests of a table, in any order.

    Returns
    -------
    list of float
        In the same order.

    Notes
    -----
    Holm, S. (1979), Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> holm([0.25, 0.125, 0.03125])
    [0.25, 0.25, 0.09375]
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class RateRatio:
    """A ratio of two rates of events.

    Attributes
    ----------
    ratio : float
        Of the rates, with half an event added to each.
    low, high : float
        95 % profile-likelihood interval.
    p : float
        Two-sided p value of a ratio of 1.
    """

    ratio: float
    low: float
    high: float
    p: float


def rate_ratio(a: ArrayLike, b: ArrayLike, exposure: float = 1.0, level: float = 0.95) -> RateRatio:
    """Ratio of the rates of two sets of counts that may cluster, as divergences do in a chain.

    Parameters
    ----------
    a, b : array of shape (n_a,), (n_b,)
        Counts of each replicate.
    exposure : float, default 1
        Transitions of a replicate of `b` over those of one of `a`.
    level : float, default 0.95
        Of the interval.

    Notes
    -----
    Quasi-Poisson: the likelihood ratio of the conditional binomial over the Pearson dispersion (at least 1) is
    compared with F(1, n_a + n_b - 2); McCullagh & Nelder (1989), Generalized Linear Models, sections 4.5 and 9.2. Its
    tail is too light where counts cluster strongly, so a p value below `CHECKED` is held against a permutation test of
    the replicates, and the larger of the two is taken; five replicates can't give less than 1/126.

    Examples
    --------
    >>> found = rate_ratio([2, 0, 1, 3, 2], [9, 12, 7, 10, 11])
    >>> round(found.ratio, 2), round(found.low, 2), round(found.high, 2), round(found.p, 4)
    (5.82, 2.75, 16.49, 0.0079)
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    events_a, events_b = float(x.sum()), float(y.sum())
    scale, df = len(y) / len(x) * exposure, len(x) + len(y) - 2
    ratio = (events_b + 0.5) / (events_a + 0.5) / scale
    if events_a + events_b == 0 or df == 0:
        return RateRatio(ratio, 0.0, math.inf, 1.0)
    pearson = sum(float(np.sum((z - z.mean()) ** 2)) / float(z.mean()) for z in (x, y) if z.any())
    dispersion = max(1.0, pearson / df)

    def statistic(log_ratio: float) -> float:
        odds = math.exp(log_ratio) * scale
        expected = (events_b + events_a) * odds / (1 + odds), (events_b + events_a) / (1 + odds)
        terms = (k * math.log(k / e) for k, e in zip((events_b, events_a), expected, strict=True) if k > 0)
        return max(0.0, 2 * sum(terms)) / dispersion

    limit = float(fdtri(1, df, level))
    best = math.log(events_b / events_a / scale) if events_a and events_b else math.copysign(30, events_b - events_a)

    def bound(far: float, unbounded: float) -> float:
        if statistic(far) <= limit:
            return unbounded
        return math.exp(float(brentq(lambda r: statistic(r) - limit, min(far, best), max(far, best))))

    low, high = bound(best - 60, 0.0), bound(best + 60, math.inf)
    p = float(fdtrc(1, df, statistic(0.0)))
    return RateRatio(ratio, low, high, max(p, _permutation_p(x, y / exposure)) if p < CHECKED else p)


def _permutation_p(a: Floats, b: Floats) -> float:
    """Share of the divisions of all replicates in which the means are at least as far apart."""
    every = np.concatenate([a, b])
    sums = every[_divisions(len(a), len(every))].sum(axis=1)
    apart = np.abs(sums / len(a) - (every.sum() - sums) / len(b))
    return float(np.mean(apart >= abs(a.mean() - b.mean()) * (1 - 1e-9)))


@cache
def _divisions(n: int, total: int) -> Ints:
    """Return the indices of the first part, in all divisions or, where they are many, in `PERMUTATIONS` random ones."""
    if math.comb(total, n) <= 10 * PERMUTATIONS:
        return np.array(list(combinations(range(total), n)))
    return np.random.default_rng(0).permuted(np.tile(np.arange(total), (PERMUTATIONS, 1)), axis=1)[:, :n]


@dataclass(frozen=True)
class TrueEss:
    """Effective sample size of one fit by squared errors, with its 95 % interval."""

    ess: float
    lower: float
    upper: float


def true_ess(estimates: Floats, mean: float, sd: float) -> TrueEss:
    """Effective sample size of one fit, from the squared errors of replicates instead of autocorrelations.

    The squared errors in units of sd^2 / ESS have a chi-square distribution, which gives the interval.

    Parameters
    ----------
    estimates : array of shape (replicates,)
        Posterior mean by each replicate.
    mean, sd : float
        Of the exact posterior.

    Examples
    --------
    Errors of a tenth of the posterior sd are those of 100 independent draws.

    >>> found = true_ess(np.array([0.1, -0.1, 0.1, -0.1, 0.1]), mean=0.0, sd=1.0)
    >>> round(found.ess), round(found.lower), round(found.upper)
    (100, 17, 257)
    """
    squares = float(np.sum(((np.asarray(estimates) - mean) / sd) ** 2))
    size = len(estimates)
    lower, upper = (float(chdtri(size, p)) / squares for p in (0.975, 0.025))
    return TrueEss(size / squares, lower, upper)
