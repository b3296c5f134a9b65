"""One place among the groups' lines in every form, as the programs are written, and what is simulated for them."""

import re

import numpy as np
import pytest
from scipy import stats

from bench.backends.stan_program import blocks
from bench.families.base import Model
from bench.families.varying_slopes import SCALARS, VaryingSlopes
from bench.families.varying_slopes.data import Lines, simpson
from bench.families.varying_slopes.forms import FORMS, MODELS, lines, standardised

FAMILY = VaryingSlopes()
DATASET = simpson([3, 1, 4])

models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@models
def test_stan_program_declares_the_parameters_of_its_form(model: Model) -> None:
    assert model.stan is not None
    form, declared = FORMS[model.name], re.sub(r"//.*", "", blocks(model.stan.code)["parameters"])
    assert tuple(re.findall(r"(\w+);", declared)) == form.parameters
    assert form.zero_sum == ("sum_to_zero_vector" in declared) == model.name.startswith("zerosum")
    assert form.kind == re.sub("zerosum_|correlated_|between_", "", model.name)


@models
def test_every_form_is_at_the_same_lines(model: Model) -> None:
    form, rng = FORMS[model.name], np.random.default_rng(1)
    values = {name: np.asarray(x) for name, x in zip(("alpha", "beta", "gamma"), rng.normal(size=3), strict=True)}
    values |= {name: np.asarray(x) for name, x in zip(form.scales, rng.uniform(0.2, 2, 3), strict=True)}
    values |= {name: rng.normal(size=6) for name in ("z_alpha", "z_beta")}
    if form.target == "correlated":
        values["rho"] = np.asarray(0.6)
    found = standardised(form, values)
    assert tuple(found) == form.parameters
    if form.kind == "marginal":
        return
    both = []
    for name, location in zip(("alpha", "beta"), form.locations, strict=False):
        tau, z = found[f"tau_{name}"], found.get(f"z_{name}")
        if name == "alpha" and z is not None and "rho" in found:
            z = found["rho"] * found["z_beta"] + np.sqrt(1 - found["rho"] ** 2) * z
        if form.kind == "noncentered":
            both.append(found[location] + tau * z)
        else:
            both.append(found[location] + found[f"e_{name}"] if form.zero_sum else found[f"{name}_g"])
    assert np.array(both) == pytest.approx(np.array(lines(values)))


@pytest.mark.parametrize("target", FAMILY.targets)
def test_simulated_values_are_those_of_the_prior_and_make_the_data(target: str) -> None:
    rng = np.random.default_rng(2)
    drawn = [FAMILY.simulate(target, rng) for _ in range(1000)]
    for name in SCALARS[target]:
        prior = stats.norm(scale=2) if name in ("alpha", "beta", "gamma") else stats.halfnorm(scale=2)
        prior = stats.beta(2, 2, loc=-1, scale=2) if name == "rho" else prior
        assert stats.kstest([values[name] for _, values in drawn], prior.cdf).pvalue > 1e-3
    residuals = []
    for dataset, values in drawn:
        assert isinstance(dataset, Lines)
        first = np.flatnonzero(dataset.group == 0)[0]
        line = values["alpha_g[0]"] + values["beta_g[0]"] * dataset.x[first]
        residuals.append((dataset.y[first] - line) / values["sigma"])
    assert stats.kstest(residuals, "norm").pvalue > 1e-3
