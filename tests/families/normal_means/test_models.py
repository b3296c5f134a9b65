"""The programs of the eight forms, as they are written, and what is simulated for them."""

import re

import numpy as np
import pytest
from scipy import stats

from bench.backends.pymc_program import build
from bench.backends.stan_program import blocks
from bench.families.base import Model
from bench.families.normal_means import NormalMeans
from bench.families.normal_means.data import Groups, normal_means
from bench.families.normal_means.forms import FORMS, MODELS

DATASET = normal_means(1.0, [3, 1, 4, 2, 20])

models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def block(model: Model, name: str) -> str:
    """Return what stands in a block of a Stan program, without comments."""
    assert model.stan is not None
    return re.sub(r"//.*", "", blocks(model.stan.code).get(name, ""))


def test_forms_and_models_are_the_same() -> None:
    assert list(FORMS) == list(MODELS)
    assert all(FORMS[name].target == model.target for name, model in MODELS.items())


@models
def test_traits(model: Model) -> None:
    form = FORMS[model.name]
    assert form.zero_sum == ("zerosum" in model.name or model.name == "finite_marginal")
    assert form.kind == re.sub("finite_|zerosum_", "", model.name)
    assert (form.target == "finite_population") == model.name.startswith("finite")
    assert (form.location == "m") == (form.zero_sum and form.target == "superpopulation")
    assert (form.effects is None) == (form.kind == "marginal")


@models
def test_stan_program_declares_the_parameters_of_its_form(model: Model) -> None:
    form, declared = FORMS[model.name], block(model, "parameters")
    assert tuple(re.findall(r"(\w+);", declared)) == form.parameters
    assert ("sum_to_zero_vector[G]" in declared) == (form.zero_sum and form.effects is not None)


@models
def test_stan_program_takes_the_data_of_a_dataset(model: Model) -> None:
    assert set(re.findall(r"(\w+);", block(model, "data"))) == set(DATASET.data)


@models
def test_stan_program_exposes_the_group_means_and_nothing_else(model: Model) -> None:
    declared = re.findall(r"vector\[G\] (\w+)", block(model, "parameters") + block(model, "transformed parameters"))
    assert declared.count("mu_g") == (FORMS[model.name].effects is not None)
    assert len(re.findall(r"(?:real|vector\S*) (\w+) =", block(model, "transformed parameters"))) <= 1
    assert not block(model, "generated quantities")


@models
def test_pymc_model_has_the_same_quantities_and_the_data(model: Model) -> None:
    assert model.pymc is not None
    form, built = FORMS[model.name], build(model.pymc, DATASET.data)
    parameters = set(form.parameters)
    assert {variable.name for variable in built.free_RVs} == parameters
    if form.effects is None:
        assert not built.deterministics
        assert {variable.name for variable in built.observed_RVs} == {"centers"}
        n, count, center, between_ss = (built[name].get_value() for name in ("n", "count", "center", "between_ss"))
        for i, size in enumerate(np.unique(DATASET.group_sizes)):
            means = DATASET.means[DATASET.group_sizes == size]
            assert (n[i], count[i]) == (size, len(means))
            assert (center[i], between_ss[i]) == pytest.approx((means.mean(), np.sum((means - means.mean()) ** 2)))
        assert built["within_ss"].get_value() == pytest.approx(DATASET.within_ss)
        return
    assert {variable.name for variable in built.deterministics} == {"mu_g"} - parameters
    assert {variable.name for variable in built.observed_RVs} == {"y"}
    assert built.named_vars["mu_g"].type.ndim == 1
    assert np.array_equal(built["group_of"].get_value(), DATASET.group)
    assert np.array_equal(built["observed"].get_value(), DATASET.y)


@pytest.mark.parametrize(("target", "spread"), [("superpopulation", 1.0), ("finite_population", 0.0)])
def test_simulated_mu_is_the_mean_of_its_population(target: str, spread: float) -> None:
    """Of the groups at hand in a finite population; of the one that they come from, omega / sqrt(G) off, elsewhere."""
    rng, scores = np.random.default_rng(1), []
    for _ in range(400):
        dataset, values = NormalMeans().simulate(target, rng)
        assert isinstance(dataset, Groups)
        of_data = values["sigma"] ** 2 * np.sum(1 / dataset.group_sizes) / dataset.n_groups**2
        variance = of_data + spread * values["omega"] ** 2 / dataset.n_groups
        scores.append((dataset.means.mean() - values["mu"]) / np.sqrt(variance))
    assert stats.kstest(scores, "norm").pvalue > 1e-3


def test_simulated_values_are_those_of_the_prior() -> None:
    rng = np.random.default_rng(2)
    drawn = [NormalMeans().simulate("superpopulation", rng)[1] for _ in range(2000)]
    for name, prior in (
        ("mu", stats.norm()),
        ("sigma", stats.halfnorm()),
        ("omega", stats.halfnorm(scale=10)),
    ):
        assert stats.kstest([values[name] for values in drawn], prior.cdf).pvalue > 1e-3
