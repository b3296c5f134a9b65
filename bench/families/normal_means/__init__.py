"""Normal means: observations in groups, eight parameterizations, two posteriors, everything known exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, cast

import numpy as np

from bench.arrays import Floats
from bench.correctness.truth import PROBABILITIES, Truth
from bench.families.base import LOG_LIKELIHOOD, Dataset, Family, Model, Target, Values
from bench.families.normal_means.data import GRIDS, Groups, grid
from bench.families.normal_means.exact import ExactPosterior, exact_posterior
from bench.families.normal_means.forms import FORMS, MODELS, standardised
from bench.families.normal_means.recovered import recover_mu, recover_mu_g, reweighted_population_mean
from bench.families.normal_means.reference import log_density_and_gradient

SCALARS = ("mu", "sigma", "omega")
TARGETS = {name: Target(name, (*SCALARS, "mu_g"), SCALARS) for name in ("superpopulation", "finite_population")}

STRATA = 12
"""Places for the gate from each twelfth of the posterior of mu, of sigma and of omega."""
SIZES = (1, 1, 2, 2, 3)
"""Observations in each simulated group: few, or non-centered models would need trajectories of thousands of steps."""


class NormalMeans(Family):
    """y_i ~ normal(mu_g[g_i], sigma), sigma ~ half-normal(1), omega ~ half-normal(10); mu_g as in `forms`."""

    name = "normal_means"
    kind = "hierarchical"
    models = MODELS
    targets = TARGETS
    default_models = ("marginal", "centered", "noncentered", "zerosum_centered", "finite_marginal")
    grids = ("quick", *(name for name in GRIDS if name != "quick"))

    def datasets(self, grid_name: str) -> Sequence[Dataset]:
        """Return the datasets of a grid; see `bench.families.normal_means.data.grid`."""
        return grid(grid_name)

    def truth(self, target: str, dataset: Dataset) -> Truth | None:
        """Return the exact posterior, by quadrature."""
        return _truth(cast(Groups, dataset), target)

    def reference(self, model: Model, dataset: Dataset, values: Values) -> tuple[float, Values] | None:
        """Evaluate the density in NumPy; see `bench.families.normal_means.reference`."""
        return log_density_and_gradient(FORMS[model.name], cast(Groups, dataset), values)

    def points(self, model: Model, dataset: Dataset, rng: np.random.Generator) -> Values:
        """Draw a start: the same group means, sigma and omega for every model.

        Uniform on (-2, 2) in mu, log sigma, log omega and the standardised effects, as Stan starts.
        """
        mu, log_sigma, log_omega, *z = rng.uniform(-2, 2, 3 + cast(Groups, dataset).n_groups)
        return standardised(FORMS[model.name], mu, float(np.exp(log_sigma)), float(np.exp(log_omega)), np.array(z))

    def typical(self, model: Model, dataset: Dataset, rng: np.random.Generator) -> list[Values]:
        """Draw exactly from the posterior, `STRATA` draws spread evenly over each of mu, sigma and omega."""
        draws = _exact(cast(Groups, dataset), model.target).draws(40 * STRATA, rng)
        ranks = (np.arange(STRATA) * 40 + 20).astype(int)
        chosen = np.unique(np.concatenate([np.argsort(draws[name])[ranks] for name in SCALARS]))
        return [
            standardised(
                FORMS[model.name],
                float(draws["mu"][i]),
                float(draws["sigma"][i]),
                float(draws["omega"][i]),
                (draws["mu_g"][i] - draws["mu"][i]) / draws["omega"][i],
            )
            for i in chosen
        ]

    def derive(
        self, model: Model, dataset: Dataset, draws: Mapping[str, Floats], rng: np.random.Generator
    ) -> dict[str, Floats]:
        """Draw what a model integrates out: the population mean mu from m, or the group means."""
        form, groups = FORMS[model.name], cast(Groups, dataset)
        if form.location == "m":
            return {**draws, "mu": recover_mu(draws["m"], draws["omega"], groups.n_groups, rng)}
        if form.effects is None:
            return {**draws, "mu_g": recover_mu_g(draws, groups, rng, zero_sum=form.zero_sum)}
        return dict(draws)

    def further(
        self, model: Model, dataset: Dataset, draws: Mapping[str, Floats], rng: np.random.Generator
    ) -> dict[str, dict[str, Any]]:
        """Recover the mean of the population from a finite-population fit, and how many errors it is off the truth."""
        if model.target != "finite_population":
            return {}
        groups = cast(Groups, dataset)
        found = reweighted_population_mean(draws["mu"], draws["omega"], groups.n_groups, rng)
        exact = _exact(groups, "superpopulation")
        z = (found.mean - exact.marginals["mu"].mean) / (exact.marginals["mu"].sd / np.sqrt(found.ess))
        return {"population_mean": {**asdict(found), "z": float(z)}}

    def simulate(self, target: str, rng: np.random.Generator) -> tuple[Dataset, Mapping[str, float]]:
        """Draw parameters from the prior and groups of sizes `SIZES` from them."""
        mu, sigma, omega = rng.normal(), abs(rng.normal()), 10 * abs(rng.normal())
        z = rng.normal(size=len(SIZES))
        if target == "finite_population":
            z -= z.mean()
        mu_g = mu + omega * z
        group = np.repeat(np.arange(len(SIZES)), SIZES)
        labels = tuple(str(g) for g in range(len(SIZES)))
        dataset = Groups(id="simulated", y=rng.normal(mu_g[group], sigma), group=group, labels=labels)
        values = {"mu": mu, "sigma": sigma, "omega": omega, "mu_g[0]": mu_g[0]}
        fit = self.log_likelihood(dataset, {"sigma": np.array(sigma), "mu_g": mu_g})
        return dataset, {**values, LOG_LIKELIHOOD: float(fit)}

    def log_likelihood(self, dataset: Dataset, values: Values) -> Floats:
        """Evaluate it by the size, the mean and the sum of squares of the groups, which are sufficient."""
        groups, sigma = cast(Groups, dataset), values["sigma"]
        squares = groups.within_ss + np.sum(groups.group_sizes * (groups.means - values["mu_g"]) ** 2, axis=-1)
        return np.asarray(-len(groups.y) * np.log(sigma) - squares / (2 * sigma**2))


@lru_cache(maxsize=8)
def _exact(dataset: Groups, target: str) -> ExactPosterior:
    """Keep both exact posteriors of the datasets at hand: all models, backends and replicates share them."""
    return exact_posterior(dataset, target)


@lru_cache(maxsize=4)
def _truth(dataset: Groups, target: str) -> Truth:
    exact = _exact(dataset, target)
    marginals = {name: exact.marginals[name] for name in SCALARS}
    marginals |= {f"mu_g[{g}]": exact.group(g) for g in range(dataset.n_groups)}
    mean, sd, fourth = (np.array([getattr(each, what) for each in marginals.values()]) for what in _MOMENTS)
    quantiles = np.full((len(PROBABILITIES), len(marginals)), np.nan)
    for column, name in enumerate(SCALARS):
        quantiles[:, column] = [exact.marginals[name].quantile(p) for p in PROBABILITIES]
    return Truth("exact", list(marginals), mean, sd, fourth, quantiles, source="exact posterior, by quadrature")


_MOMENTS = ("mean", "sd", "fourth")
