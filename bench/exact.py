"""The exact posterior of a dataset, by quadrature: no sampler, no Monte Carlo.

Given sigma and omega the rest is Gaussian, so everything is an integral in two dimensions. It is taken by the
trapezoid rule in (u, v), sigma = s1 exp(u - exp(-u)) and omega = s2 exp(v - exp(-v)): the integrand decays double
exponentially on every side, the rule converges geometrically, and omega near 0 is no special case (Takahasi and Mori
1974). Between its nodes a density is the sinc interpolant, as accurate as the rule (Stenger 1993).

Groups of one size enter through their number, sum and sum of squares, and sizes through x = omega^2 / sigma^2 alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, sici, wrightomega

from bench.datasets import Dataset
from bench.models import Target

Floats = NDArray[np.float64]

PRIOR_SD = {"sigma": 1.0, "omega": 10.0}  # of the half-normal priors; that of mu is N(0, 1)
TOLERANCE = 1e-6  # the grid is fine enough when the error it states is below this
INTERVALS = (64, 128, 256, 512, 1024)  # on each axis, tried in turn
DROP = 40.0  # the grid ends where the log density is this far below its maximum
REACH = (-5.0, 30.0)  # of u and v: scales from exp(-153) to exp(30) times s1 and s2
BLOCK = 1 << 19  # elements of a temporary array, which then stays in cache
PROBABILITIES = (0.03, 0.5, 0.97)  # the quantiles whose error is stated


class Marginal(ABC):
    """Exact distribution of one quantity, with its `mean`, `sd` and `support`."""

    mean: float
    sd: float
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
        """Shortest interval of probability prob; the density is taken to have one mode."""

        def imbalance(below: float) -> float:
            return self.density(self.quantile(below)) - self.density(self.quantile(below + prob))

        least, most = 1e-6 * (1 - prob), (1 - 1e-6) * (1 - prob)
        if imbalance(least) >= 0:  # the mode is at the lower end
            return self.support[0], self.quantile(prob)
        below = float(brentq(imbalance, least, most, xtol=1e-10))
        return self.quantile(below), self.quantile(below + prob)


class _NormalMixture(Marginal):
    def __init__(self, weight: Floats, location: Floats, scale: Floats) -> None:
        self.weight, self.location, self.scale = weight, location, scale
        self.mean = float(weight @ location)
        self.sd = float(np.sqrt(weight @ (scale**2 + (location - self.mean) ** 2)))
        self.support = float((location - 9 * scale).min()), float((location + 9 * scale).max())

    def cdf(self, x: ArrayLike) -> Floats:
        x = np.asarray(x, dtype=np.float64)
        return np.reshape([self.weight @ ndtr((each - self.location) / self.scale) for each in x.flat], x.shape)

    def density(self, x: float) -> float:
        kernel = np.exp(-0.5 * ((x - self.location) / self.scale) ** 2) / (self.scale * np.sqrt(2 * np.pi))
        return float(self.weight @ kernel)


@dataclass(frozen=True, eq=False)
class _Axis:
    """Nodes t of a uniform grid for a positive quantity, unit * exp(t - exp(-t))."""

    unit: float
    nodes: Floats

    @property
    def step(self) -> float:
        return float(self.nodes[1] - self.nodes[0])

    def value(self, t: Floats) -> Floats:
        return self.unit * np.exp(t - np.exp(-t))

    def log_derivative(self, t: Floats) -> Floats:
        return np.log(self.unit) + t - np.exp(-t) + np.log1p(np.exp(-t))

    def position(self, value: ArrayLike) -> Floats:
        """The inverse of `value`, on the nodes' range."""
        lower, upper = self.value(self.nodes[[0, -1]])
        y: Floats = np.log(np.clip(value, lower, upper) / self.unit)
        return np.clip(y + wrightomega(-y), self.nodes[0], self.nodes[-1])

    def integrals(self, t: Floats) -> Floats:
        """Integral up to t of the sinc function of each node, shape (*t.shape, nodes)."""
        return self.step * (0.5 + sici((t[..., None] - self.nodes) * (np.pi / self.step))[0] / np.pi)


class _ScaleMarginal(Marginal):
    def __init__(self, axis: _Axis, density: Floats) -> None:
        self.axis, self.at_nodes = axis, density  # density in t
        weight, value = axis.step * density, axis.value(axis.nodes)
        self.mean = float(weight @ value)
        self.sd = float(np.sqrt(weight @ (value - self.mean) ** 2))
        self.support = 0.0, float(value[-1])

    def cdf(self, x: ArrayLike) -> Floats:
        return np.clip(self.axis.integrals(self.axis.position(x)) @ self.at_nodes, 0, 1)

    def density(self, x: float) -> float:
        t = self.axis.position(x)
        return float(np.sinc((t - self.axis.nodes) / self.axis.step) @ self.at_nodes / np.exp(self.axis.log_derivative(t)))


class _Conditional(NamedTuple):
    """Given sigma and omega, each of shape (K,); the names are those of DESIGN.md, k P / D less the centre."""

    log_likelihood: Floats
    mu_mean: Floats
    mu_var: Floats
    kp_d: Floats
    k_d: Floats


class _Groups:
    """What the data say of the groups, by distinct group size."""

    def __init__(self, dataset: Dataset, posterior: Target) -> None:
        self.posterior, self.n_obs, self.n_groups = posterior, len(dataset.y), dataset.n_groups
        self.means, self.within_ss = dataset.means, dataset.within_ss
        self.centre = float(dataset.y.mean())  # sums are taken about it, so that none cancels
        self.sizes, self.size_index = np.unique(dataset.sizes, return_inverse=True)
        y = dataset.means - self.centre
        self.moments = np.stack([np.bincount(self.size_index, weights=y**power) for power in range(3)])  # (3, sizes)

    def shrinkage(self, x: Floats, sizes: slice = slice(None)) -> Floats:
        """a = sigma^2 / (sigma^2 + n omega^2) for each x and size, shape (K, sizes)."""
        return 1 / (1 + np.multiply.outer(x, self.sizes[sizes]))

    def conditional(self, sigma: Floats, omega: Floats) -> _Conditional:
        """Log density of the data, and the Gaussian rest, given sigma and omega; see DESIGN.md."""
        sums = np.empty((5, len(sigma)))
        x = (omega / sigma) ** 2
        for block in _blocks(len(x), len(self.sizes)):
            a = self.shrinkage(x[block])
            sums[:3, block] = (self.moments * self.sizes) @ a.T
            sums[3, block] = a @ self.moments[0]
            sums[4, block] = np.log(a) @ self.moments[0]
        w, p, squares = sums[:3] / sigma**2  # p and squares about the centre
        r, log_a = sums[3] / self.n_groups, sums[4]
        q = omega**2 / self.n_groups
        finite = self.posterior == "finite_population"
        k, t = (1 - q, r) if finite else (np.ones_like(q), np.ones_like(r))
        d = t + w  # is 1 + k W, as r + q W = 1
        shift = sums[1] / sums[0]
        quadratic = squares - shift * p + (self.centre + shift) ** 2 * w / d
        scale = -0.5 * self.n_obs * np.log(2 * np.pi) - self.n_obs * np.log(sigma) - 0.5 * self.within_ss / sigma**2
        return _Conditional(
            log_likelihood=scale + 0.5 * (log_a - np.log(d) - quadratic),
            mu_mean=(self.centre * w + p) / d,
            mu_var=t / d,
            kp_d=(k * p - self.centre) / d,
            k_d=k / d,
        )

    def means_and_sds(self, weight: Floats, sigma: Floats, omega: Floats) -> tuple[Floats, Floats]:
        """Posterior mean and sd of each mu_g, each of shape (G,), as weighted sums over nodes."""
        given = self.conditional(sigma, omega)
        sums = np.empty((6, len(self.sizes)))
        for block in _blocks(len(self.sizes), len(weight)):
            a = self.shrinkage((omega / sigma) ** 2, block)
            ab = a * given.kp_d[:, None]
            a_mean, ab_mean = weight @ a, weight @ ab
            within = weight @ (a * (omega**2)[:, None] + a**2 * given.k_d[:, None])
            a, ab = a - a_mean, ab - ab_mean
            sums[:, block] = a_mean, ab_mean, within, weight @ a**2, weight @ (a * ab), weight @ ab**2
        a_mean, ab_mean, within, a_var, covariance, ab_var = sums[:, self.size_index]
        y = self.means - self.centre
        variance = within + y**2 * a_var - 2 * y * covariance + ab_var
        return self.means - y * a_mean + ab_mean, np.sqrt(variance)


@dataclass(frozen=True, eq=False)
class ExactPosterior:
    """The posterior of one dataset; made by `exact_posterior`.

    The scalars are named mu, sigma and omega; mu is the mean of the population the groups came from, or of these
    groups, as the posterior has it.

    Attributes
    ----------
    log_evidence : float
        Log density of the data, every constant included.
    marginals : mapping of str to Marginal
        Distribution of each scalar.
    mu_g_mean, mu_g_sd : array of shape (G,)
        Mean and sd of each group mean.
    error : mapping of str to float
        Largest change when every second node is left out, far more than the error left: of `mean`, `sd` (both
        with mu_g) and `quantile` (3 %, 50 %, 97 %) in posterior sds, and of `log_evidence`.
    """

    _groups: _Groups
    _axes: tuple[_Axis, _Axis]
    _log_density: Floats  # of (u, v) at the nodes

    def mean(self, name: str) -> float:
        """Posterior mean of a scalar."""
        return self.marginals[name].mean

    def sd(self, name: str) -> float:
        """Posterior sd of a scalar."""
        return self.marginals[name].sd

    def quantile(self, name: str, p: float) -> float:
        """Value of a scalar below which lies probability p, 0 < p < 1."""
        return self.marginals[name].quantile(p)

    def hdi(self, name: str, prob: float = 0.94) -> tuple[float, float]:
        """Highest-density interval of a scalar."""
        return self.marginals[name].hdi(prob)

    def cdf(self, name: str, x: ArrayLike) -> Floats:
        """Probability that a scalar is at most x, shape of x."""
        return self.marginals[name].cdf(x)

    def group(self, g: int) -> Marginal:
        """Distribution of the mean of group g, 0-based."""
        weight, sigma, omega = self._nodes
        given = self._groups.conditional(sigma, omega)
        a = self._groups.shrinkage((omega / sigma) ** 2)[:, self._groups.size_index[g]]
        shift = self._groups.means[g] - self._groups.centre
        location = self._groups.means[g] - a * (shift - given.kp_d)
        return _NormalMixture(weight, location, np.sqrt(a * omega**2 + a**2 * given.k_d))

    def draws(self, n: int, rng: np.random.Generator) -> dict[str, Floats]:
        """Draw independently: mu, sigma and omega of shape (n,), mu_g of shape (n, G).

        A cell of a finer grid in (u, v) is drawn by its mass, a point in it uniformly, and the rest exactly given
        that. So the cdf of sigma and of omega is exact at the edges of cells and off by `draws_error` at most.
        """
        groups, (mass, edges) = self._groups, self._cells
        cumulative = np.cumsum(mass)
        cell = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
        sigma, omega = (
            axis.value(edge[index] + (edge[1] - edge[0]) * rng.random(n))
            for axis, edge, index in zip(self._axes, edges, np.unravel_index(cell, mass.shape), strict=True)
        )
        given = groups.conditional(sigma, omega)
        mu = rng.normal(given.mu_mean, np.sqrt(given.mu_var))
        a = groups.shrinkage((omega / sigma) ** 2)[:, groups.size_index]
        effects = rng.normal((1 - a) * (groups.means - mu[:, None]), omega[:, None] * np.sqrt(a))
        if groups.posterior == "finite_population":  # condition on a sum of zero
            effects -= a * (effects.sum(axis=1) / a.sum(axis=1))[:, None]
        return {"mu": mu, "sigma": sigma, "omega": omega, "mu_g": mu[:, None] + effects}

    @property
    def draws_error(self) -> float:
        """Largest error of the cdf from which `draws` draws sigma and omega."""
        mass, _ = self._cells
        return max(float(np.abs(np.diff(mass.sum(axis=axis))).max()) / 8 for axis in (0, 1))

    @cached_property
    def log_evidence(self) -> float:  # noqa: D102
        top = self._log_density.max()
        return float(top + np.log(np.exp(self._log_density - top).sum() * self._axes[0].step * self._axes[1].step))

    @cached_property
    def marginals(self) -> Mapping[str, Marginal]:  # noqa: D102
        weight, sigma, omega = self._nodes
        given = self._groups.conditional(sigma, omega)
        u, v = self._axes
        return {
            "mu": _NormalMixture(weight, given.mu_mean, np.sqrt(given.mu_var)),
            "sigma": _ScaleMarginal(u, self._density.sum(axis=1) * v.step),
            "omega": _ScaleMarginal(v, self._density.sum(axis=0) * u.step),
        }

    @property
    def mu_g_mean(self) -> Floats:  # noqa: D102
        return self._means_and_sds[0]

    @property
    def mu_g_sd(self) -> Floats:  # noqa: D102
        return self._means_and_sds[1]

    @cached_property
    def error(self) -> Mapping[str, float]:  # noqa: D102
        u, v = (replace(axis, nodes=axis.nodes[::2]) for axis in self._axes)
        half = ExactPosterior(self._groups, (u, v), self._log_density[::2, ::2])
        sd = np.array([self.sd(name) for name in self.marginals])

        def change(summary: Callable[[ExactPosterior, str], float]) -> float:
            return float(np.max(np.abs([summary(self, name) - summary(half, name) for name in self.marginals]) / sd))

        return {
            "mean": max(change(ExactPosterior.mean), float(np.max(np.abs(self.mu_g_mean - half.mu_g_mean) / self.mu_g_sd))),
            "sd": max(change(ExactPosterior.sd), float(np.max(np.abs(self.mu_g_sd - half.mu_g_sd) / self.mu_g_sd))),
            "quantile": max(change(partial(ExactPosterior.quantile, p=p)) for p in PROBABILITIES),
            "log_evidence": abs(self.log_evidence - half.log_evidence),
        }

    @cached_property
    def _density(self) -> Floats:
        return np.exp(self._log_density - self.log_evidence)

    @cached_property
    def _nodes(self) -> tuple[Floats, Floats, Floats]:
        """Weight, sigma and omega at each node that counts."""
        u, v = self._axes
        weight = self._density * (u.step * v.step)
        i, j = np.nonzero(weight > 1e-18)
        return weight[i, j], u.value(u.nodes)[i], v.value(v.nodes)[j]

    @cached_property
    def _means_and_sds(self) -> tuple[Floats, Floats]:
        return self._groups.means_and_sds(*self._nodes)

    @cached_property
    def _cells(self) -> tuple[Floats, tuple[Floats, Floats]]:
        """Mass of each cell of a finer grid, and the edges of the cells."""
        u, v = self._axes
        finer = max(1, 2048 // len(u.nodes))
        edges = tuple(np.linspace(*axis.nodes[[0, -1]], finer * (len(axis.nodes) - 1) + 1) for axis in (u, v))
        along_u, along_v = (np.diff(axis.integrals(edge), axis=0) for axis, edge in zip((u, v), edges, strict=True))
        return np.clip(along_u @ self._density @ along_v.T, 0, None), edges


def exact_posterior(dataset: Dataset, posterior: Target) -> ExactPosterior:
    """Integrate the posterior of a dataset, refining the grid until its stated error is below `TOLERANCE`.

    Parameters
    ----------
    dataset : Dataset
        Balanced or not.
    posterior : str
        What mu and the spread of the group means are: `superpopulation` or `finite_population`.

    Raises
    ------
    ValueError
        If observations within groups don't differ, though there are some to differ: no posterior exists then.
    """
    groups = _Groups(dataset, posterior)
    degrees = groups.n_obs - groups.n_groups
    if degrees and groups.within_ss <= groups.n_obs * (8 * np.finfo(float).eps * np.abs(dataset.y).max()) ** 2:
        raise ValueError(f"{dataset.id}: observations within groups do not vary, so the posterior is improper at sigma = 0")
    s1 = np.sqrt(groups.within_ss / degrees) if degrees else dataset.y.std()
    s2 = np.sqrt(groups.means.var() + s1**2 * np.mean(1 / dataset.sizes))
    reach = np.array(REACH)
    u, v = _Axis(float(s1), reach), _Axis(float(s2), reach)
    density = partial(_log_density, groups, u, v)
    ranges = _box(density)
    for intervals in INTERVALS:
        u, v = (replace(axis, nodes=np.linspace(*ends, intervals + 1)) for axis, ends in zip((u, v), ranges, strict=True))
        result = ExactPosterior(groups, (u, v), density(u.nodes[:, None], v.nodes))
        if max(result.error.values()) < TOLERANCE:
            break
    return result


def _log_density(groups: _Groups, u_axis: _Axis, v_axis: _Axis, u: Floats, v: Floats) -> Floats:
    """Log of likelihood, priors and derivatives at (u, v), which are broadcast."""
    u, v = np.broadcast_arrays(u, v)
    sigma, omega = u_axis.value(u), v_axis.value(v)
    log_prior = 2 * np.log(2 / np.sqrt(2 * np.pi)) - np.log(PRIOR_SD["sigma"] * PRIOR_SD["omega"])
    log_prior = log_prior - 0.5 * (sigma / PRIOR_SD["sigma"]) ** 2 - 0.5 * (omega / PRIOR_SD["omega"]) ** 2
    log_likelihood = groups.conditional(sigma.ravel(), omega.ravel()).log_likelihood.reshape(u.shape)
    return log_likelihood + log_prior + u_axis.log_derivative(u) + v_axis.log_derivative(v)


def _box(density: Callable[[Floats, Floats], Floats]) -> list[tuple[float, float]]:
    """Ranges of u and v outside of which the log density is `DROP` below its maximum."""
    ranges = [REACH, REACH]
    for _ in range(10):
        before = list(ranges)
        for this in (0, 1):
            nodes = np.linspace(*ranges[this], 17)
            profile = _profile(density if this == 0 else lambda v, u: density(u, v), nodes, *ranges[1 - this])
            inside = np.flatnonzero(profile > profile.max() - DROP)
            ranges[this] = float(nodes[max(inside[0] - 1, 0)]), float(nodes[min(inside[-1] + 1, 16)])
        if all(old[1] - old[0] < 1.1 * (new[1] - new[0]) for old, new in zip(before, ranges, strict=True)):
            break
    return ranges


def _profile(density: Callable[[Floats, Floats], Floats], first: Floats, lower: float, upper: float) -> Floats:
    """Largest density over the second argument, for each value of the first."""
    low, high = np.full(len(first), lower), np.full(len(first), upper)
    for _ in range(6):
        second = np.linspace(low, high, 9, axis=1)
        values = density(first[:, None], second)
        best = np.take_along_axis(second, values.argmax(axis=1)[:, None], axis=1)[:, 0]
        low, high = np.maximum(best - (high - low) / 8, lower), np.minimum(best + (high - low) / 8, upper)
    return values.max(axis=1)


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows whose arrays have about `BLOCK` elements."""
    step = max(1, BLOCK // columns)
    return (slice(start, start + step) for start in range(0, rows, step))
