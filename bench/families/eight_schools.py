"""Eight schools: effects of coaching on test scores, known with an error each (Rubin 1981).

y_j ~ N(theta_j, sigma_j), theta_j ~ N(mu, tau), mu ~ N(0, 5), tau ~ half-Cauchy(0, 5), the priors of the programs
that circulate (as in posteriordb). The figures are those of Rubin (1981), "Estimation in parallel randomized
experiments", Journal of Educational Statistics 6, table 1, as printed in Gelman et al., Bayesian Data Analysis, 5.5.

Given tau all the rest is Gaussian, so that the truth is an integral in one dimension (ibid., 5.4, with a prior of mu).
With V_j = sigma_j^2 + tau^2, D = 1 / 25 + sum 1 / V_j, P = sum y_j / V_j and b_j = tau^2 / V_j:

- log p(y | tau) = -1/2 [sum log(2 pi V_j) + log(25 D) + sum y_j^2 / V_j - P^2 / D]
- mu | tau, y ~ N(P / D, variance 1 / D)
- theta_j | mu, tau, y ~ N(b_j y_j + (1 - b_j) mu, variance b_j sigma_j^2)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bench.arrays import Floats
from bench.correctness.quadrature import Axis, Marginal, NormalMixture, ScaleMarginal, axis_of, log_density_of_t
from bench.correctness.truth import PROBABILITIES, Truth
from bench.families.base import LOG_LIKELIHOOD, Dataset, Family, Model, Target, Values

Y = (28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)
SIGMA = (15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)

PRIOR_SD = 5.0  # of mu, and the scale of tau's half-Cauchy
INTERVALS = 768  # Rubin's data need half of them, simulated ones with a large tau nearly all
DROP = 100.0  # tau has a tail like tau^-10, and its fourth moment is wanted
TYPICAL = 32


@dataclass(frozen=True, eq=False)
class ExactSchools:
    """The exact posterior of some schools, made by `exact_schools`.

    Attributes
    ----------
    y, sigma : array of shape (J,)
        Estimated effects and their standard errors.
    axis : Axis
        Nodes of tau.
    """

    y: Floats
    sigma: Floats
    axis: Axis

    @cached_property
    def marginals(self) -> Mapping[str, Marginal]:
        """Distribution of mu, tau and each theta, such as `theta[0]`."""
        weight, tau = self.axis.step * self._density, self.axis.value(self.axis.nodes)
        mu, variance = self.mu_given(tau)
        b = self._shrinkage(tau)
        location = b * self.y + (1 - b) * mu[:, None]
        scale = np.sqrt(b * self.sigma**2 + (1 - b) ** 2 * variance[:, None])
        return {
            "mu": NormalMixture(weight, mu, np.sqrt(variance)),
            "tau": ScaleMarginal(self.axis, self._density),
        } | {f"theta[{j}]": NormalMixture(weight, location[:, j], scale[:, j]) for j in range(len(self.y))}

    @cached_property
    def truth(self) -> Truth:
        """What fits are graded against."""
        every = self.marginals.values()
        mean, sd, fourth = (np.array([getattr(m, what) for m in every]) for what in ("mean", "sd", "fourth"))
        quantiles = np.array([[marginal.quantile(p) for marginal in every] for p in PROBABILITIES])
        source = "quadrature over tau; given tau the rest is Gaussian"
        return Truth("exact", tuple(self.marginals), mean, sd, fourth, quantiles, source=source)

    @cached_property
    def error(self) -> float:
        """Largest change of the truth when every second node is left out, far more than the error left.

        In posterior sds (means, sds, quantiles) or sd^4 (fourth moments).
        """
        one, half = self.truth, replace(self, axis=replace(self.axis, nodes=self.axis.nodes[::2])).truth
        changes = [(getattr(one, what) - getattr(half, what)) / one.sd for what in ("mean", "sd", "quantiles")]
        changes.append((one.fourth - half.fourth) / one.sd**4)
        return max(float(np.abs(change).max()) for change in changes)

    def draws(self, n: int, rng: np.random.Generator) -> dict[str, Floats]:
        """Draw independently from the exact posterior.

        Parameters
        ----------
        n : int
            Number of draws.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        dict of str to array
            mu and tau of shape (n,), theta of shape (n, J).
        """
        tau = np.array([self.marginals["tau"].quantile(p) for p in rng.random(n)])
        mean, variance = self.mu_given(tau)
        mu = rng.normal(mean, np.sqrt(variance))
        b = self._shrinkage(tau)
        theta = rng.normal(b * self.y + (1 - b) * mu[:, None], np.sqrt(b) * self.sigma)
        return {"mu": mu, "tau": tau, "theta": theta}

    def mu_given(self, tau: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of mu given tau, each of the shape of tau, (K,)."""
        _, p, d = self._sums(tau)
        return p / d, 1 / d

    def log_density(self, tau: Floats) -> Floats:
        """Log density of tau and the data, every constant included, shape of tau, (K,)."""
        v, p, d = self._sums(tau)
        log_scale = np.log(2 * np.pi * v).sum(axis=1) + np.log(PRIOR_SD**2 * d)
        log_likelihood = -0.5 * (log_scale + (self.y**2 / v).sum(axis=1) - p**2 / d)
        return np.asarray(log_likelihood + np.log(2 / (np.pi * PRIOR_SD)) - np.log1p((tau / PRIOR_SD) ** 2))

    def _sums(self, tau: Floats) -> tuple[Floats, Floats, Floats]:
        """V of shape (K, J), P and D of shape (K,)."""
        v = self.sigma**2 + tau[:, None] ** 2
        return v, (self.y / v).sum(axis=1), PRIOR_SD**-2 + (1 / v).sum(axis=1)

    def _shrinkage(self, tau: Floats) -> Floats:
        """Shares b of each school's own estimate, shape (K, J)."""
        return np.asarray(tau[:, None] ** 2 / (self.sigma**2 + tau[:, None] ** 2))

    @cached_property
    def _density(self) -> Floats:
        """Normalised density of the axis' t at its nodes."""
        log_density = log_density_of_t(self.log_density, self.axis)
        density = np.exp(log_density - log_density.max())
        return np.asarray(density / (density.sum() * self.axis.step))


def exact_schools(dataset: Dataset) -> ExactSchools:
    """Integrate the posterior of a dataset.

    Parameters
    ----------
    dataset : Dataset
        `y` and `sigma` of any number of schools.

    Examples
    --------
    >>> rubin = exact_schools(schools(np.array(Y)))
    >>> {name: round(float(value), 3) for name, value in rubin.truth.known("mu").items()}
    {'mean': 4.397, 'sd': 3.318, 'q3': -1.894, 'q50': 4.415, 'q97': 10.592}
    """
    y, sigma = (np.asarray(dataset.data[name], dtype=np.float64) for name in ("y", "sigma"))
    unit = float(np.hypot(y.std(), sigma.min()))
    start = ExactSchools(y, sigma, Axis(unit, np.zeros(2)))
    return replace(start, axis=axis_of(start.log_density, unit, INTERVALS, DROP))


def schools(y: Floats, generated_with: Mapping[str, float] | None = None, name: str = "rubin") -> Dataset:
    """Return a dataset of the eight schools with Rubin's standard errors.

    Parameters
    ----------
    y : array of shape (8,)
        Estimated effect of each school, in points of the test.
    generated_with : mapping of str to float, optional
        The generating values, for simulated effects.
    name : str, default "rubin"
        Id of the dataset.
    """
    data = {"J": len(y), "y": y, "sigma": np.array(SIGMA)}
    return Dataset(name, data, {"schools": len(y)}, generated_with or {})


class EightSchools(Family):
    """The eight schools, centered and non-centered; see the module."""

    name = "eight_schools"
    kind = "hierarchical"
    models: Mapping[str, Model] = {
        name: Model.read("eight_schools", name, "eight_schools") for name in ("centered", "noncentered")
    }
    targets: Mapping[str, Target] = {
        "eight_schools": Target("eight_schools", ("mu", "tau", "theta"), headline=("mu", "tau"))
    }
    grids = ("eight_schools",)

    def __init__(self) -> None:
        self._exact: dict[str, ExactSchools] = {}

    def datasets(self, grid: str) -> list[Dataset]:
        """Return the one dataset, Rubin's."""
        return [schools(np.array(Y))]

    def truth(self, target: str, dataset: Dataset) -> Truth:
        """Return the exact posterior."""
        return self.exact(dataset).truth

    def exact(self, dataset: Dataset) -> ExactSchools:
        """Return the exact posterior, marginals and draws included; computed once for each dataset."""
        if dataset.digest not in self._exact:
            self._exact[dataset.digest] = exact_schools(dataset)
        return self._exact[dataset.digest]

    def typical(self, model: Model, dataset: Dataset, rng: np.random.Generator) -> list[Values]:
        """Draw from the exact posterior."""
        draws = self.exact(dataset).draws(TYPICAL, rng)
        if model.name == "noncentered":
            draws["z"] = (draws.pop("theta") - draws["mu"][:, None]) / draws["tau"][:, None]
        return [{name: values[i] for name, values in draws.items()} for i in range(TYPICAL)]

    def simulate(self, target: str, rng: np.random.Generator) -> tuple[Dataset, Mapping[str, float]]:
        """Draw mu, tau and the effects from their priors, and estimates with Rubin's standard errors."""
        mu, tau = PRIOR_SD * rng.standard_normal(), PRIOR_SD * abs(rng.standard_cauchy())
        theta = rng.normal(mu, tau, len(SIGMA))
        values = {"mu": mu, "tau": tau, "theta[0]": float(theta[0])}
        dataset = schools(rng.normal(theta, SIGMA), values, "simulated")
        return dataset, {**values, LOG_LIKELIHOOD: float(self.log_likelihood(dataset, {"theta": theta}))}

    def log_likelihood(self, dataset: Dataset, values: Values) -> Floats:
        """Evaluate it at the effects of the schools."""
        off = (values["theta"] - dataset.data["y"]) / dataset.data["sigma"]
        return np.asarray(-np.sum(off**2, axis=-1) / 2)
