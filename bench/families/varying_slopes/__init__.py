"""Varying slopes: a line in every group, nine parameterizations, three posteriors, two of them known exactly.

y_i ~ normal(alpha_g + beta_g x_i, sigma), alpha_g = alpha + gamma xbar_g + tau_alpha effect, beta_g = beta + tau_beta
effect. All locations have the prior normal(0, 2) and all scales its positive half. The posterior `independent` has
independent effects and no gamma; `correlated` gives them the correlation rho, with the density 1 - rho^2 of LKJ(2);
`between` has gamma, so that what the groups' x has to do with their intercepts is told from the slope.

`correlated` is not known exactly: with rho it is an integral in four dimensions, of some millions of nodes for each
dataset. Its fits are graded by the agreement of the engines.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from bench.arrays import Floats
from bench.correctness.truth import Truth
from bench.families.base import Dataset, Family, Model, Target, Values
from bench.families.varying_slopes.data import GRIDS, Lines, grid
from bench.families.varying_slopes.exact import KNOWN, exact_lines
from bench.families.varying_slopes.forms import EFFECTS, FORMS, MODELS, lines, standardised
from bench.families.varying_slopes.recovered import recover_lines, recover_location
from bench.families.varying_slopes.reference import VARIANCE, log_density_and_gradient

SCALARS: dict[str, tuple[str, ...]] = {form.target: form.scalars for form in FORMS.values() if not form.zero_sum}
LINES = ("alpha_g", "beta_g")
TYPICAL = 6
"""Places for the gate from each sixth of the posterior of every scalar."""
SIZES = (1, 2, 2, 3, 4)
"""Observations in each simulated group: few, or non-centered models would need trajectories of thousands of steps."""


class VaryingSlopes(Family):
    """A line in every group; see the module."""

    name = "varying_slopes"
    models = MODELS
    targets: Mapping[str, Target] = {name: Target(name, (*here, *LINES), here) for name, here in SCALARS.items()}
    grids = GRIDS

    def datasets(self, grid_name: str) -> Sequence[Dataset]:
        """Return the datasets of a grid; see `bench.families.varying_slopes.data.grid`."""
        return grid(grid_name)

    def truth(self, target: str, dataset: Dataset) -> Truth | None:
        """Return the exact posterior where effects are independent, by quadrature; None where they are correlated."""
        return exact_lines(cast(Lines, dataset), target).truth if target in KNOWN else None

    def reference(self, model: Model, dataset: Dataset, values: Values) -> tuple[float, Values] | None:
        """Evaluate the density in NumPy; see `bench.families.varying_slopes.reference`."""
        return log_density_and_gradient(FORMS[model.name], cast(Lines, dataset), values)

    def points(self, model: Model, dataset: Dataset, rng: np.random.Generator) -> Values:
        """Draw a start: the same lines and scales for every model of a target.

        Uniform on (-2, 2) on Stan's unconstrained scale of the non-centered models, as Stan starts.
        """
        n_groups = cast(Lines, dataset).n_groups
        log_scales, locations, effects = rng.uniform(-2, 2, 3), rng.uniform(-2, 2, 3), rng.uniform(-2, 2, (2, n_groups))
        values = dict(zip(("sigma", "tau_alpha", "tau_beta"), np.exp(log_scales), strict=True))
        values |= dict(zip(("alpha", "beta", "gamma"), locations, strict=True))
        values |= dict(zip(("z_alpha", "z_beta"), effects, strict=True))
        if model.target == "correlated":
            values["rho"] = np.tanh(rng.uniform(-2, 2) / 2)  # the inverse logit, on (-1, 1)
        return standardised(FORMS[model.name], values)

    def typical(self, model: Model, dataset: Dataset, rng: np.random.Generator) -> list[Values] | None:
        """Draw from the exact posterior where it is known, `TYPICAL` draws spread evenly over each scalar."""
        if model.target not in KNOWN:
            return None
        scalars = SCALARS[model.target]
        draws = exact_lines(cast(Lines, dataset), model.target).draws(40 * TYPICAL, rng)
        ranks = np.arange(TYPICAL) * 40 + 20
        chosen = np.unique(np.concatenate([np.argsort(draws[name])[ranks] for name in scalars]))
        if "gamma" in draws:  # the effects are about it
            draws["alpha_g"] -= draws["gamma"][:, None] * cast(Lines, dataset).x_means
        for name in EFFECTS:
            draws[f"z_{name}"] = (draws[f"{name}_g"] - draws[name][:, None]) / draws[f"tau_{name}"][:, None]
        form = FORMS[model.name]
        return [standardised(form, {name: array[i] for name, array in draws.items()}) for i in chosen]

    def derive(
        self, model: Model, dataset: Dataset, draws: Mapping[str, Floats], rng: np.random.Generator
    ) -> dict[str, Floats]:
        """Draw what a model integrates out: the population means from those of the groups, or the groups' lines."""
        form, groups = FORMS[model.name], cast(Lines, dataset)
        if form.zero_sum:
            recovered = {
                name: recover_location(draws[f"m_{name}"], draws[f"tau_{name}"], groups.n_groups, rng)
                for name in EFFECTS
            }
            return {**draws, **recovered}
        if form.kind == "marginal":
            return {**draws, **dict(zip(LINES, recover_lines(draws, groups, rng), strict=True))}
        return dict(draws)

    def simulate(self, target: str, rng: np.random.Generator) -> tuple[Dataset, Mapping[str, float]]:
        """Draw parameters from the prior, x from normal(mean_g, 1), mean_g from normal(0, 1), and y given all."""
        values = {name: np.sqrt(VARIANCE) * rng.standard_normal() for name in SCALARS[target]}
        values |= {name: abs(values[name]) for name in ("sigma", "tau_alpha", "tau_beta")}
        if "rho" in values:
            values["rho"] = 2 * rng.beta(2, 2) - 1
        group = np.repeat(np.arange(len(SIZES)), SIZES)
        x = (rng.standard_normal(len(SIZES)))[group] + rng.standard_normal(len(group))
        means = np.bincount(group, weights=x) / np.array(SIZES)
        effects = dict(zip(("z_alpha", "z_beta"), rng.standard_normal((2, len(SIZES))), strict=True))
        given = {**values, **effects, "alpha": values["alpha"] + values.get("gamma", 0.0) * means}
        alpha_g, beta_g = lines(given)
        dataset = Lines(
            id="simulated",
            x=x,
            y=rng.normal(alpha_g[group] + beta_g[group] * x, values["sigma"]),
            group=group,
            labels=tuple(str(g) for g in range(len(SIZES))),
        )
        return dataset, {**values, "alpha_g[0]": float(alpha_g[0]), "beta_g[0]": float(beta_g[0])}
