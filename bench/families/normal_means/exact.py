"""The exact posterior of a dataset, by quadrature: no sampler, no Monte Carlo.

Given sigma and omega the rest is Gaussian, so everything is an integral in two dimensions. It is taken by the
trapezoid rule in (u, v), sigma = s1 exp(u - exp(-u)) and omega = s2 exp(v - exp(-v)): the integrand decays double
exponentially on every side, the rule converges geometrically, and omega near 0 is no special case (Takahasi and Mori
1974). Between its nodes a density is its sinc interpolant (Stenger 1993).

Groups of one size enter through their number, sum and sum of squares, and sizes through x = omega^2 / sigma^2 alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bench.arrays import Floats
from bench.correctness.quadrature import REACH, Axis, Marginal, NormalMixture, ScaleMarginal, blocks, box
from bench.correctness.truth import PROBABILITIES
from bench.families.normal_means.data import Groups

SIGMA_PRIOR_SD, OMEGA_PRIOR_SD = 1.0, 10.0  # of the half-normals; the prior of mu is N(0, 1)
TOLERANCE = 1e-6  # the grid is fine enough when the error it states is below this
INTERVALS = (64, 96, 128, 192, 256, 384, 512, 768, 1024)  # on each axis, tried in turn


class _Given(NamedTuple):
    """What follows from sigma and omega; each of shape (K,).

    The mean of a group has the weight n a / sigma^2, a = sigma^2 / (sigma^2 + n omega^2). W is the sum of the weights,
    P that of weights times means. k is 1 for the superpopulation and 1 - omega^2 / G for the finite population, and
    D = 1 + k W.
    """

    log_likelihood: Floats
    mu_mean: Floats
    mu_var: Floats
    kp_d: Floats  # k P / D, less the centre
    k_d: Floats


class _Groups:
    """What the data say of the groups, by distinct group size."""

    def __init__(self, dataset: Groups, posterior: str) -> None:
        self.finite = posterior == "finite_population"
        self.n_obs, self.n_groups, self.within_ss = len(dataset.y), dataset.n_groups, dataset.within_ss
        self.centre = float(dataset.y.mean())  # sums are taken about it, so that they do not cancel
        self.means = dataset.means - self.centre
        self.sizes, self.size_of = np.unique(dataset.group_sizes, return_inverse=True)
        self.sums = np.stack([np.bincount(self.size_of, weights=self.means**power) for power in range(3)])

    def shrinkage(self, sigma: Floats, omega: Floats) -> Floats:
        """Factors a = sigma^2 / (sigma^2 + n omega^2) of each size, shape (K, sizes)."""
        return 1 / (1 + np.multiply.outer((omega / sigma) ** 2, self.sizes))

    def given(self, sigma: Floats, omega: Floats) -> _Given:
        """Condition on sigma and omega, block by block."""
        each = (self._given(sigma[block], omega[block]) for block in blocks(len(sigma), len(self.sizes)))
        return _Given(*map(np.concatenate, zip(*each, strict=True)))

    def _given(self, sigma: Floats, omega: Floats) -> _Given:
        a = self.shrinkage(sigma, omega)
        w, p, squares = (self.sums * self.sizes) @ a.T / sigma**2
        r, q = a @ self.sums[0] / self.n_groups, omega**2 / self.n_groups
        k, t = (1 - q, r) if self.finite else (np.ones_like(q), np.ones_like(q))
        d = t + w  # = 1 + k W, as r + q W = 1
        mean = p / w
        quadratic = squares - mean * p + (self.centre + mean) ** 2 * w / d
        log_scale = self.n_obs * np.log(2 * np.pi * sigma**2) - np.log(a) @ self.sums[0] + np.log(d)
        return _Given(
            log_likelihood=-0.5 * (log_scale + self.within_ss / sigma**2 + quadratic),
            mu_mean=(self.centre * w + p) / d,
            mu_var=t / d,
            kp_d=(k * p - self.centre) / d,
            k_d=k / d,
        )

    def means_and_sds(self, given: _Given, weight: Floats, sigma: Floats, omega: Floats) -> tuple[Floats, Floats]:
        """Posterior mean and sd of each mu_g, shape (G,), by sums over weighted nodes."""
        sums = np.zeros((6, len(self.sizes)))
        for block in blocks(len(weight), len(self.sizes)):
            a, b = self.shrinkage(sigma[block], omega[block]), given.kp_d[block, None]
            variance = a * omega[block, None] ** 2 + a**2 * given.k_d[block, None]
            sums += [weight[block] @ term for term in (a, a * b, variance, a**2, a**2 * b, (a * b) ** 2)]
        a, ab, variance, a2, a2b, ab2 = sums[:, self.size_of]
        y = self.means
        shift = ab - a * y
        return self.centre + y + shift, np.sqrt(variance + ab2 - 2 * y * a2b + y**2 * a2 - shift**2)

    def log_density(self, u: Axis, v: Axis, at_u: Floats, at_v: Floats) -> Floats:
        """Log of likelihood, priors and derivatives at (u, v), broadcast."""
        sigma, omega = u.value(at_u), v.value(at_v)
        log_prior = np.log(2 / np.pi / SIGMA_PRIOR_SD / OMEGA_PRIOR_SD) - 0.5 * (sigma / SIGMA_PRIOR_SD) ** 2
        log_prior = log_prior - 0.5 * (omega / OMEGA_PRIOR_SD) ** 2
        every_sigma, every_omega = (x.ravel() for x in np.broadcast_arrays(sigma, omega))
        log_likelihood = self.given(every_sigma, every_omega).log_likelihood.reshape(log_prior.shape)
        log_derivative = np.log(u.derivative(at_u)) + np.log(v.derivative(at_v))
        return np.asarray(log_likelihood + log_prior + log_derivative)


@dataclass(frozen=True, eq=False)
class ExactPosterior:
    """The posterior of one dataset, made by `exact_posterior`.

    The scalars are named mu, sigma and omega; mu is the mean of the population the groups came from, or of these
    groups alone, as the posterior has it.

    Attributes
    ----------
    log_evidence : float
        Log density of the data, every constant included.
    marginals : mapping of str to Marginal
        Distribution of each scalar.
    mu_g_mean, mu_g_sd : array of shape (G,)
        Mean and sd of each group mean.
    error : mapping of str to float
        Largest change when every second node is left out, which is far more than the error left: of `mean`, `sd`
        (mu_g included) and `quantile` (3 %, 50 %, 97 %) in posterior sds, of `log_evidence` as it is.
    """

    _groups: _Groups
    _axes: tuple[Axis, Axis]
    _log_density: Floats  # of (u, v) at the nodes

    def group(self, g: int) -> Marginal:
        """Distribution of the mean of group g, counted from 0."""
        groups, given, (weight, sigma, omega) = self._groups, self._given, self._nodes
        y = groups.means[g]
        a = sigma**2 / (sigma**2 + groups.sizes[groups.size_of[g]] * omega**2)
        location = groups.centre + y - a * (y - given.kp_d)
        return NormalMixture(weight, location, np.sqrt(a * omega**2 + a**2 * given.k_d))

    def draws(self, n: int, rng: np.random.Generator) -> dict[str, Floats]:
        """Draw independently from the posterior.

        A cell of a finer grid in (u, v) is drawn by its mass, a point in it uniformly, and the rest exactly given that.
        So the cdf of sigma and of omega is exact at the edges of the cells, and off by `draws_error` at most between.

        Parameters
        ----------
        n : int
            Number of draws.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        dict of str to array
            mu, sigma and omega of shape (n,), mu_g of shape (n, G).
        """
        groups = self._groups
        sigma, omega = self.draw_scales(n, rng)
        given = groups.given(sigma, omega)
        mu = rng.normal(given.mu_mean, np.sqrt(given.mu_var))[:, None]
        a = groups.shrinkage(sigma, omega)[:, groups.size_of]
        effects = rng.normal((1 - a) * (groups.centre + groups.means - mu), omega[:, None] * np.sqrt(a))
        if groups.finite:  # condition on a sum of zero
            effects -= a * (effects.sum(axis=1, keepdims=True) / a.sum(axis=1, keepdims=True))
        return {"mu": mu[:, 0], "sigma": sigma, "omega": omega, "mu_g": mu + effects}

    def draw_scales(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw sigma and omega alone, as `draws` does; the time does not depend on the number of groups.

        Parameters
        ----------
        n : int
            Number of draws.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        sigma, omega : array of shape (n,)
            The draws.
        """
        mass, edges = self._cells
        cumulative = np.cumsum(mass)
        cell = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
        sigma, omega = (
            axis.value(edge[index] + (edge[1] - edge[0]) * rng.random(n))
            for axis, edge, index in zip(self._axes, edges, np.unravel_index(cell, mass.shape), strict=True)
        )
        return sigma, omega

    @property
    def draws_error(self) -> float:
        """Largest error of the cdf of sigma and omega in `draws`."""
        mass, _ = self._cells  # the density changes across a cell, and the cdf by an eighth of that in its middle
        return float(max(np.abs(np.diff(mass.sum(axis=other))).max() / 8 for other in (0, 1)))

    @cached_property
    def log_evidence(self) -> float:  # noqa: D102
        u, v = self._axes
        top = self._log_density.max()
        return float(top + np.log(np.exp(self._log_density - top).sum() * (u.step * v.step)))

    @cached_property
    def marginals(self) -> Mapping[str, Marginal]:  # noqa: D102
        u, v = self._axes
        return {
            "mu": NormalMixture(self._nodes[0], self._given.mu_mean, np.sqrt(self._given.mu_var)),
            "sigma": ScaleMarginal(u, self._density.sum(axis=1) * v.step),
            "omega": ScaleMarginal(v, self._density.sum(axis=0) * u.step),
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
        change = {"log_evidence": abs(self.log_evidence - half.log_evidence)}
        if change["log_evidence"] > 0.01:  # a grid so coarse has no quantiles
            return change | dict.fromkeys(("mean", "sd", "quantile"), np.inf)
        pairs = [(self.marginals[name], half.marginals[name]) for name in self.marginals]
        group_means, group_sds = np.abs(np.subtract(self._means_and_sds, half._means_and_sds)) / self.mu_g_sd
        change["mean"] = max(float(group_means.max()), *(abs(a.mean - b.mean) / a.sd for a, b in pairs))
        change["sd"] = max(float(group_sds.max()), *(abs(a.sd - b.sd) / a.sd for a, b in pairs))
        change["quantile"] = max(abs(a.quantile(p) - b.quantile(p)) / a.sd for a, b in pairs for p in PROBABILITIES)
        return change

    @cached_property
    def _density(self) -> Floats:
        return np.exp(self._log_density - self.log_evidence)

    @cached_property
    def _nodes(self) -> tuple[Floats, Floats, Floats]:
        """Weight, sigma and omega of the nodes that count, for integrals of smooth functions.

        They need no more than every second node, as the rule converges twice as fast as the interpolant.
        """
        u, v = self._axes
        weight = self._density[::2, ::2] / self._density[::2, ::2].sum()
        i, j = np.nonzero(weight > 1e-18)
        return weight[i, j], u.value(u.nodes[2 * i]), v.value(v.nodes[2 * j])

    @cached_property
    def _given(self) -> _Given:
        return self._groups.given(*self._nodes[1:])

    @cached_property
    def _means_and_sds(self) -> tuple[Floats, Floats]:
        return self._groups.means_and_sds(self._given, *self._nodes)

    @cached_property
    def _cells(self) -> tuple[Floats, list[Floats]]:
        """Mass of each cell of a finer grid, and the edges of its cells."""
        finer = max(1, 2048 // len(self._log_density))
        count = finer * (len(self._log_density) - 1) + 1
        edges = [np.linspace(axis.nodes[0], axis.nodes[-1], count) for axis in self._axes]
        u, v = (np.diff(axis.integrals(edge), axis=0) for axis, edge in zip(self._axes, edges, strict=True))
        return np.clip(u @ self._density @ v.T, 0, None), edges


def exact_posterior(dataset: Groups, posterior: str) -> ExactPosterior:
    """Integrate the posterior of a dataset, on finer grids until the error they state is below `TOLERANCE`.

    Parameters
    ----------
    dataset : Groups
        Balanced or not.
    posterior : str
        `superpopulation` or `finite_population`.

    Examples
    --------
    >>> from bench.families.normal_means.data import normal_means
    >>> omega = exact_posterior(normal_means(1.0, [20] * 5), "superpopulation").marginals["omega"]
    >>> round(omega.mean, 3), round(omega.sd, 3)
    (1.314, 0.829)
    >>> round(float(omega.cdf(omega.quantile(0.25))), 6)
    0.25
    """
    groups = _Groups(dataset, posterior)
    degrees = groups.n_obs - groups.n_groups
    s1 = np.sqrt(groups.within_ss / degrees) if degrees else dataset.y.std()
    s2 = np.sqrt(groups.means.var() + s1**2 * np.mean(1 / dataset.group_sizes))
    u, v = (Axis(float(unit), np.array(REACH)) for unit in (s1, s2))
    ends = box(lambda at_u, at_v: groups.log_density(u, v, at_u, at_v), 2)
    for intervals in INTERVALS:
        u, v = (replace(axis, nodes=np.linspace(*end, intervals + 1)) for axis, end in zip((u, v), ends, strict=True))
        result = ExactPosterior(groups, (u, v), groups.log_density(u, v, u.nodes[:, None], v.nodes))
        if max(result.error.values()) < TOLERANCE:
            break
    return result
