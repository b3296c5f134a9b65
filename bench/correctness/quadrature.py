"""Exact distributions by quadrature, where given one to three scales all the rest is Gaussian.

A scale s > 0 is integrated over t, s = unit * exp(t - exp(-t)), by the trapezoid rule. The integrand decays double
exponentially on both sides, so that the rule converges geometrically, and a density that piles up at 0 is no special
case (Takahasi and Mori 1974). Between the nodes a density is its sinc interpolant (Stenger 1993).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr, sici, wrightomega

from bench.arrays import Floats

DROP = 40.0  # a grid ends where the log density is this far below its maximum
REACH = (-5.0, 30.0)  # of t: a scale from exp(-153) to exp(30) units
BLOCK = 1 << 15  # elements of a temporary array, so that it stays in cache


class Marginal(ABC):
    """Exact distribution of one quantity: its `mean`, `sd`, `fourth` central moment, `support` and the rest."""

    mean: float
    sd: float
    fourth: float
    support: tuple[float, float]

    @abstractmethod
    def cdf(self, x: ArrayLike) -> Floats:
        """Probability of a value up to x, shape of x."""

    @abstractmethod
    def density(self, x: float) -> float:
        """Probability density at x."""

    def quantile(self, p: float) -> float:
        """Value below which lies probability p, 0 < p < 1."""
        return float(brentq(lambda x: float(self.cdf(x)) - p, *self.support, xtol=1e-12 * self.sd))

    def hdi(self, prob: float = 0.94) -> tuple[float, float]:
        """Shortest interval of probability prob, 0 < prob < 1; the density is taken to have one mode."""

        def imbalance(below: float) -> float:
            return self.density(self.quantile(below)) - self.density(self.quantile(below + prob))

        least, most = 1e-6 * (1 - prob), (1 - 1e-6) * (1 - prob)
        if imbalance(least) >= 0:  # the mode is at the lower end
            return self.support[0], self.quantile(prob)
        below = float(brentq(imbalance, least, most, xtol=1e-10))
        return self.quantile(below), self.quantile(below + prob)


class NormalMixture(Marginal):
    """Distribution of a quantity that is normal given the scales, at weighted nodes of these.

    Parameters
    ----------
    weight, location, scale : array of shape (K,)
        Weights, which sum to one, and mean and sd of each component.

    Examples
    --------
    >>> two = NormalMixture(np.array([0.5, 0.5]), np.array([-1.0, 1.0]), np.array([1.0, 1.0]))
    >>> two.mean, round(two.sd**2, 9)  # 1 within the components and 1 between them
    (0.0, 2.0)
    >>> round(two.quantile(0.97), 3)
    2.556
    """

    def __init__(self, weight: Floats, location: Floats, scale: Floats) -> None:
        self.weight, self.location, self.scale = weight, location, scale
        self.mean = float(weight @ location)
        square, variance = (location - self.mean) ** 2, scale**2
        self.sd = float(np.sqrt(weight @ (square + variance)))
        self.fourth = float(weight @ (square**2 + 6 * square * variance + 3 * variance**2))
        self.support = float((location - 9 * scale).min()), float((location + 9 * scale).max())

    def cdf(self, x: ArrayLike) -> Floats:  # noqa: D102
        x = np.asarray(x, dtype=np.float64)
        return np.reshape([self.weight @ ndtr((each - self.location) / self.scale) for each in x.flat], x.shape)

    def density(self, x: float) -> float:  # noqa: D102
        normal = np.exp(-0.5 * ((x - self.location) / self.scale) ** 2) / (self.scale * np.sqrt(2 * np.pi))
        return float(self.weight @ normal)


@dataclass(frozen=True, eq=False)
class Axis:
    """Equidistant nodes t of a positive quantity, unit * exp(t - exp(-t)).

    Attributes
    ----------
    unit : float
        The quantity's rough size.
    nodes : array of shape (K,)
        The nodes, in increasing order.
    """

    unit: float
    nodes: Floats

    @property
    def step(self) -> float:
        """Distance of two nodes."""
        return float(self.nodes[1] - self.nodes[0])

    def value(self, t: Floats) -> Floats:
        """Quantity at t."""
        return self.unit * np.exp(t - np.exp(-t))

    def derivative(self, t: Floats) -> Floats:
        """Differentiate the quantity with respect to t."""
        return np.asarray(self.value(t) * (1 + np.exp(-t)))

    def position(self, value: ArrayLike) -> Floats:
        """Invert `value`, between the first node and the last."""
        y: Floats = np.log(np.clip(value, *self.value(self.nodes[[0, -1]])) / self.unit)
        return y + wrightomega(-y)

    def integrals(self, t: Floats) -> Floats:
        """Integral up to t of the sinc function of each node, shape (*t.shape, nodes)."""
        return self.step * (0.5 + sici((t[..., None] - self.nodes) * (np.pi / self.step))[0] / np.pi)


class ScaleMarginal(Marginal):
    """Distribution of a scale, from its density at the nodes of an axis.

    Parameters
    ----------
    axis : Axis
        The nodes.
    density : array of shape (K,)
        Normalised density of t at the nodes.
    """

    def __init__(self, axis: Axis, density: Floats) -> None:
        self.axis, self.at_nodes = axis, density
        weight, value = axis.step * density, axis.value(axis.nodes)
        self.mean = float(weight @ value)
        self.sd = float(np.sqrt(weight @ (value - self.mean) ** 2))
        self.fourth = float(weight @ (value - self.mean) ** 4)
        self.support = 0.0, float(value[-1])

    def cdf(self, x: ArrayLike) -> Floats:  # noqa: D102
        return np.clip(self.axis.integrals(self.axis.position(x)) @ self.at_nodes, 0, 1)

    def density(self, x: float) -> float:  # noqa: D102
        t = self.axis.position(x)
        return float(np.sinc((t - self.axis.nodes) / self.axis.step) @ self.at_nodes / self.axis.derivative(t))


def axis_of(log_density: Callable[[Floats], Floats], unit: float, intervals: int, drop: float = DROP) -> Axis:
    """Lay nodes for the density of one scale, over all of `REACH` where that of t is near its maximum.

    Parameters
    ----------
    log_density : callable
        Log density of the scale itself, not of t, up to a constant; it takes and returns arrays of shape (K,).
    unit : float
        The scale's rough size.
    intervals : int
        Number of intervals; an even one, so that every second node spans the same range.
    drop : float, default `DROP`
        How far the log density of t falls below its maximum before the grid ends.

    Examples
    --------
    The mean of a half-normal scale is sqrt(2 / pi).

    >>> axis = axis_of(lambda s: -(s**2) / 2, unit=1.0, intervals=64)
    >>> density = np.exp(log_density_of_t(lambda s: -(s**2) / 2, axis))
    >>> half_normal = ScaleMarginal(axis, density / (density.sum() * axis.step))
    >>> round(half_normal.mean, 6), round(float(np.sqrt(2 / np.pi)), 6)
    (0.797885, 0.797885)
    """
    axis = Axis(unit, np.linspace(*REACH, 701))
    inside = np.flatnonzero((log_t := log_density_of_t(log_density, axis)) > log_t.max() - drop)
    lower, upper = axis.nodes[max(inside[0] - 1, 0)], axis.nodes[min(inside[-1] + 1, 700)]
    return Axis(unit, np.linspace(lower, upper, intervals + 1))


def log_density_of_t(log_density: Callable[[Floats], Floats], axis: Axis) -> Floats:
    """Log density of t at the nodes of an axis, from that of the scale; shape (K,).

    It adds the log derivative of the scale with respect to t.

    Parameters
    ----------
    log_density : callable
        Log density of the scale, up to a constant; it takes and returns arrays of shape (K,).
    axis : Axis
        The nodes.
    """
    return np.asarray(log_density(axis.value(axis.nodes)) + np.log(axis.derivative(axis.nodes)))


def box(log_density: Callable[..., Floats], count: int, drop: float = DROP) -> list[tuple[float, float]]:
    """Return the range of each t outside of which the log density of several scales is far below its maximum.

    Parameters
    ----------
    log_density : callable
        Log density of their t, up to a constant; it takes one array for each scale, and broadcasts them.
    count : int
        Number of scales, two or more.
    drop : float, default `DROP`
        How far.

    Examples
    --------
    A normal density is 40 below its maximum at 8.9 standard deviations; the ranges are wider by one step of a search.

    >>> [[round(end) for end in ends] for ends in box(lambda s, t: -((s - 5) ** 2) / 2 - 50 * (t - s) ** 2, 2)]
    [[-5, 15], [-5, 15]]
    """
    ranges = [REACH] * count
    for _ in range(10):
        before = list(ranges)
        for this in range(count):

            def of(first: Floats, *rest: Floats, this: int = this) -> Floats:
                return log_density(*rest[:this], first, *rest[this:])

            nodes = np.linspace(*ranges[this], 17)
            profile = _profile(of, nodes, [*ranges[:this], *ranges[this + 1 :]])
            inside = np.flatnonzero(profile > profile.max() - drop)
            ranges[this] = float(nodes[max(inside[0] - 1, 0)]), float(nodes[min(inside[-1] + 1, 16)])
        if all(old[1] - old[0] < 1.1 * (new[1] - new[0]) for old, new in zip(before, ranges, strict=True)):
            break
    return ranges


def _profile(density: Callable[..., Floats], first: Floats, ranges: list[tuple[float, float]]) -> Floats:
    """Largest density over all other arguments in their ranges, for each value of the first, shape of first."""
    lower, upper = (np.array(ends) for ends in zip(*ranges, strict=True))
    low, high = (np.tile(ends, (len(first), 1)) for ends in (lower, upper))
    count = len(ranges)
    for _ in range(6):
        tried = np.linspace(low, high, 9, axis=-1)  # (K, others, 9)
        rest = [np.expand_dims(tried[:, i], tuple(1 + j for j in range(count) if j != i)) for i in range(count)]
        values = density(first.reshape(-1, *[1] * count), *rest).reshape(len(first), -1)
        chosen = np.stack(np.unravel_index(values.argmax(axis=1), (9,) * count), axis=1)
        best = np.take_along_axis(tried, chosen[..., None], axis=-1)[..., 0]
        low, high = np.maximum(best - (high - low) / 8, lower), np.minimum(best + (high - low) / 8, upper)
    return np.asarray(values.max(axis=1))


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows whose arrays have `BLOCK` elements or so.

    Parameters
    ----------
    rows, columns : int
        Shape of the whole array.
    """
    step = max(1, BLOCK // columns)
    return (slice(start, start + step) for start in range(0, rows, step))
