"""The exact posterior with independent effects, by quadrature: no sampler, no Monte Carlo.

Given the three scales the rest is Gaussian, so everything is an integral in three dimensions, taken by the trapezoid
rule of `bench.correctness.quadrature` on each of them. Given the scales, with d_g = sigma^2 + x_ss_g tau_beta^2,
s_g = sigma^2 / d_g, and the least-squares slope b_g and intercept a_g = ybar_g - b_g xbar_g of each group:

- the slope's data are b_g ~ N(beta, d_g / x_ss_g),
- given these, a_g + s_g b_g xbar_g ~ N(alpha + gamma xbar_g + s_g xbar_g beta, e_g), where
  e_g = tau_alpha^2 + sigma^2 / n_g + s_g tau_beta^2 xbar_g^2,

so that sums over the groups of 1, s_g and s_g^2 by e_g give precision and mean of (alpha, beta, gamma).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from bench.arrays import Floats
from bench.correctness.quadrature import REACH, Axis, Marginal, NormalMixture, ScaleMarginal, blocks, box
from bench.correctness.truth import PROBABILITIES, Truth, elements
from bench.families.varying_slopes.data import Lines
from bench.families.varying_slopes.recovered import recover_lines
from bench.families.varying_slopes.reference import VARIANCE

SCALES = ("sigma", "tau_alpha", "tau_beta")
KNOWN = {"independent": ("alpha", "beta"), "between": ("alpha", "beta", "gamma")}
"""The posteriors that are known exactly, with their locations."""
DROP = 25.0  # a grid ends where the log density is this far below its maximum
TOLERANCE = 1e-4  # the grid is fine enough when the error it states is below this
INTERVALS = (32, 48, 64, 96, 128)  # on each axis, tried in turn
NEGLIGIBLE = 1e-10  # weight of a node that does not count


class _Given(NamedTuple):
    """What follows from the scales, at K places: log density of the data, and what locations are given the data."""

    log_likelihood: Floats  # (K,)
    mean: Floats  # (K, P)
    covariance: Floats  # (K, P, P)


class _Sums:
    """What the data say of the lines, in the notation of the module."""

    def __init__(self, dataset: Lines, target: str) -> None:
        self.dataset, self.names = dataset, KNOWN[target]
        x, ss = dataset.x_means, dataset.x_ss
        b = np.divide(dataset.slope_data, np.sqrt(ss), out=np.zeros(len(ss)), where=ss > 0)
        self.b, a, w = b, dataset.means - b * x, b * x
        one = np.ones_like(x)
        # 1 by e, s by e, s^2 by e: of precision, of precision times mean, of the square; then x_ss by d
        self.by_e = np.stack([one, x, x**2, a, a * x, a**2], axis=1)
        self.by_es = np.stack([x, x**2, w, w * x, x * a, 2 * a * w], axis=1)
        self.by_ess = np.stack([x**2, x * w, w**2], axis=1)
        self.by_d = np.stack([ss, ss * b, ss * b**2], axis=1)

    def variances(self, scales: Floats, groups: slice = slice(None)) -> tuple[Floats, Floats, Floats]:
        """Return d, s and e of groups, each (K, groups), at scales of shape (3, K)."""
        dataset, (sigma2, alpha2, beta2) = self.dataset, scales[..., None] ** 2
        d = sigma2 + beta2 * dataset.x_ss[groups]
        s = sigma2 / d
        return d, s, alpha2 + sigma2 / dataset.group_sizes[groups] + s * beta2 * dataset.x_means[groups] ** 2

    def lines(self, scales: Floats, given: _Given, groups: slice) -> list[tuple[Floats, Floats]]:
        """Mean and variance of the intercepts, and of the slopes, of some groups, each (K, groups).

        With A = alpha + gamma xbar and k = s tau_beta^2 xbar / e, the slope is normal about (1 - k xbar) (s beta +
        (1 - s) b) + k (ybar - A); given the slope, the intercept is about f (ybar - slope xbar) + (1 - f) A.
        """
        x, ybar, b = self.dataset.x_means[groups], self.dataset.means[groups], self.b[groups]
        sigma2, alpha2, beta2 = scales[..., None] ** 2
        _, s, e = self.variances(scales, groups)
        k = s * beta2 * x / e
        noise = sigma2 / self.dataset.group_sizes[groups]
        f = alpha2 / (alpha2 + noise)
        own = (1 - k * x) * s * beta2
        # how both follow A and beta, and what they are at A = beta = 0
        slope = (-k, (1 - k * x) * s, (1 - k * x) * (1 - s) * b + k * ybar)
        intercept = (1 - f - f * x * slope[0], -f * x * slope[1], f * (ybar - x * slope[2]))
        mean, c = given.mean[..., None], given.covariance[..., None]
        with_x = len(self.names) == 3
        a_mean = mean[:, 0] + (x * mean[:, 2] if with_x else 0)
        a_var = c[:, 0, 0] + (2 * x * c[:, 0, 2] + x**2 * c[:, 2, 2] if with_x else 0)
        a_beta = c[:, 0, 1] + (x * c[:, 2, 1] if with_x else 0)

        def moments(by_a: Floats, by_beta: Floats, constant: Floats, variance: Floats) -> tuple[Floats, Floats]:
            of_locations = by_a**2 * a_var + 2 * by_a * by_beta * a_beta + by_beta**2 * c[:, 1, 1]
            return constant + by_a * a_mean + by_beta * mean[:, 1], variance + of_locations

        return [moments(*intercept, f * noise + (f * x) ** 2 * own), moments(*slope, own)]

    def given(self, scales: Floats) -> _Given:
        """Condition on scales of shape (3, K), block by block."""
        each = (self._given(scales[:, block]) for block in blocks(scales.shape[1], self.dataset.n_groups))
        return _Given(*map(np.concatenate, zip(*each, strict=True)))

    def _given(self, scales: Floats) -> _Given:
        dataset, count = self.dataset, len(self.names)
        d, s, e = self.variances(scales)
        logs = np.log(d * e).sum(axis=1)
        by_e = 1 / e
        one, x, xx, a, ax, aa = (by_e @ self.by_e).T
        by_e *= s
        sx, sxx, sw, swx, sxa, saw = (by_e @ self.by_es).T
        by_e *= s
        ssxx, ssxw, ssww = (by_e @ self.by_ess).T
        slope, slope_b, slope_bb = ((1 / d) @ self.by_d).T

        precision = np.array([[one, sx, x], [sx, ssxx + slope, sxx], [x, sxx, xx]])[:count, :count]
        precision = np.moveaxis(precision, -1, 0) + np.eye(count) / VARIANCE
        linear = np.stack([a + sw, sxa + ssxw + slope_b, ax + swx][:count], axis=1)
        covariance = np.linalg.inv(precision)
        mean = np.einsum("kij,kj->ki", covariance, linear)
        quadratic = aa + saw + ssww + slope_bb - np.einsum("ki,ki->k", linear, mean)
        log_det = np.linalg.slogdet(precision)[1] + count * np.log(VARIANCE)
        constant = len(dataset.y) * np.log(2 * np.pi) + np.log(dataset.group_sizes).sum()
        of_sigma = 2 * dataset.residual_df * np.log(scales[0]) + dataset.residual_ss / scales[0] ** 2
        return _Given(-0.5 * (constant + logs + of_sigma + quadratic + log_det), mean, covariance)

    def log_density(self, axes: Sequence[Axis], *at: Floats) -> Floats:
        """Log of likelihood, priors and derivatives at places t of each axis, broadcast."""
        placed = np.broadcast_arrays(*at)
        scales = np.stack([axis.value(t).ravel() for axis, t in zip(axes, placed, strict=True)])
        log_prior = -(scales**2).sum(axis=0) / (2 * VARIANCE) - 1.5 * np.log(VARIANCE * np.pi / 2)
        log_derivative = sum(np.log(axis.derivative(t)) for axis, t in zip(axes, placed, strict=True))
        each = (self._given(scales[:, block])[0] for block in blocks(scales.shape[1], self.dataset.n_groups))
        return np.asarray((np.concatenate(list(each)) + log_prior).reshape(placed[0].shape) + log_derivative)


@dataclass(frozen=True, eq=False)
class ExactLines:
    """The posterior of one dataset, made by `exact_lines`.

    Attributes
    ----------
    log_evidence : float
        Log density of the data, every constant included.
    marginals : mapping of str to Marginal
        Distribution of each scalar.
    truth : Truth
        What fits are graded against.
    error : float
        Largest change of mean, sd (in posterior sds) or quantile (in probability) of a scalar, or of `log_evidence`,
        when every second node is left out, far more than the error left.
    """

    _sums: _Sums
    _axes: Sequence[Axis]
    _log_density: Floats  # of t at the nodes, shape (K, K, K)

    @cached_property
    def log_evidence(self) -> float:  # noqa: D102
        top = self._log_density.max()
        return float(top + np.log(np.exp(self._log_density - top).sum() * np.prod([axis.step for axis in self._axes])))

    @cached_property
    def marginals(self) -> Mapping[str, Marginal]:  # noqa: D102
        weight, _, given = self._nodes
        found: dict[str, Marginal] = {
            name: NormalMixture(weight, given.mean[:, i], np.sqrt(given.covariance[:, i, i]))
            for i, name in enumerate(self._sums.names)
        }
        density = np.exp(self._log_density - self._log_density.max())
        for i, name in enumerate(SCALES):
            of_t = density.sum(axis=tuple(j for j in range(3) if j != i))
            found[name] = ScaleMarginal(self._axes[i], of_t / (of_t.sum() * self._axes[i].step))
        return found

    @cached_property
    def truth(self) -> Truth:  # noqa: D102
        every, n_groups = self.marginals, self._sums.dataset.n_groups
        moments = [(marginal.mean, marginal.sd, marginal.fourth) for marginal in every.values()]
        mean, sd, fourth = np.concatenate([np.array(moments).T, self._line_moments()], axis=1)
        quantiles = np.full((len(PROBABILITIES), len(mean)), np.nan)
        for column, marginal in enumerate(every.values()):
            quantiles[:, column] = [marginal.quantile(p) for p in PROBABILITIES]
        names = [*every, *elements("alpha_g", (n_groups,)), *elements("beta_g", (n_groups,))]
        source = "exact posterior, by quadrature over the three scales"
        return Truth("exact", names, mean, sd, fourth, quantiles, source=source)

    @cached_property
    def error(self) -> float:  # noqa: D102
        axes = [replace(axis, nodes=axis.nodes[::2]) for axis in self._axes]
        half = ExactLines(self._sums, axes, self._log_density[::2, ::2, ::2])
        change = [abs(self.log_evidence - half.log_evidence)]
        if change[0] > 0.01:  # a grid so coarse has no quantiles
            return np.inf
        for one, other in ((self.marginals[name], half.marginals[name]) for name in self.marginals):
            change += [abs(one.mean - other.mean) / one.sd, abs(one.sd - other.sd) / one.sd]
            change += [abs(float(one.cdf(x) - other.cdf(x))) for x in (one.mean - one.sd, one.mean, one.mean + one.sd)]
        return float(max(change))

    def draws(self, n: int, rng: np.random.Generator) -> dict[str, Floats]:
        """Draw from the posterior, the scales at the nodes of the quadrature alone and the rest exactly given these.

        Parameters
        ----------
        n : int
            Number of draws.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        dict of str to array
            Scalars of shape (n,), alpha_g and beta_g of shape (n, G).
        """
        weight, scales, given = self._nodes
        node = rng.choice(len(weight), n, p=weight)
        noise = rng.standard_normal((n, len(self._sums.names)))
        factor = np.linalg.cholesky(given.covariance[node])
        locations = given.mean[node] + np.einsum("kij,kj->ki", factor, noise)
        draws = dict(zip(SCALES, scales[:, node], strict=True)) | dict(zip(self._sums.names, locations.T, strict=True))
        alpha_g, beta_g = recover_lines({k: v[None] for k, v in draws.items()}, self._sums.dataset, rng)
        return {**draws, "alpha_g": alpha_g[0], "beta_g": beta_g[0]}

    @cached_property
    def _nodes(self) -> tuple[Floats, Floats, _Given]:
        """Weight (K,), scales (3, K) and what follows from them, at the nodes that count, for smooth functions.

        They need no more than every second node, as the rule converges twice as fast as the interpolant.
        """
        weight = np.exp(self._log_density[::2, ::2, ::2] - self._log_density.max())
        weight /= weight.sum()
        at = np.nonzero(weight > NEGLIGIBLE)
        scales = np.stack([axis.value(axis.nodes[::2][i]) for axis, i in zip(self._axes, at, strict=True)])
        return weight[at] / weight[at].sum(), scales, self._sums.given(scales)

    def _line_moments(self) -> Floats:
        """Mean, sd and fourth central moment of each alpha_g and then of each beta_g, shape (3, 2 G)."""
        weight, scales, given = self._nodes
        found: tuple[list[Floats], list[Floats]] = ([], [])
        for groups in blocks(self._sums.dataset.n_groups, len(weight)):
            for each, (location, variance) in zip(found, self._sums.lines(scales, given, groups), strict=True):
                mean = weight @ location
                square = (location - mean) ** 2
                fourth = weight @ (square**2 + 6 * square * variance + 3 * variance**2)
                each.append(np.stack([mean, np.sqrt(weight @ (square + variance)), fourth]))
        return np.concatenate([*found[0], *found[1]], axis=1)


@lru_cache(maxsize=4)
def exact_lines(dataset: Lines, target: str) -> ExactLines:
    """Integrate the posterior of a dataset, on finer grids until the error they state is below `TOLERANCE`.

    The last few are kept: all models, backends and replicates share them.

    Parameters
    ----------
    dataset : Lines
        Balanced or not.
    target : str
        Of `KNOWN`.

    Examples
    --------
    >>> from bench.families.varying_slopes.data import simpson
    >>> exact = exact_lines(simpson([5] * 4), "independent")
    >>> {name: round(exact.marginals[name].mean, 3) for name in ("beta", "tau_beta")}
    {'beta': -1.019, 'tau_beta': 0.823}
    """
    sums = _Sums(dataset, target)
    degrees = max(dataset.residual_df, 0)
    s = float(np.sqrt(dataset.residual_ss / degrees)) if degrees else float(dataset.y.std())
    units = (s, float(np.hypot(dataset.means.std(), s)), s / float(np.sqrt(dataset.x_ss.max())))
    axes = [Axis(unit, np.array(REACH)) for unit in units]
    ends = box(lambda *at: sums.log_density(axes, *at), len(axes), DROP)
    for intervals in INTERVALS:
        axes = [replace(axis, nodes=np.linspace(*end, intervals + 1)) for axis, end in zip(axes, ends, strict=True)]
        result = ExactLines(sums, axes, sums.log_density(axes, *np.ix_(*(axis.nodes for axis in axes))))
        if result.error < TOLERANCE:
            break
    return result
