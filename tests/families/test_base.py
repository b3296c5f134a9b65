import re

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.families.base import MODELS, PYMC_MODELS, STAN, Model
from bench.families.normal_means.data import normal_means

DATASET = normal_means(1.0, [3, 1, 4, 2, 20])

models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def block(text: str, name: str) -> str:
    """Return what stands in a block of a Stan program, without comments."""
    found = re.search(rf"^{name} {{\n(.*?)^}}", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"//.*", "", found[1]) if found else ""


def test_registry_and_folders_hold_the_same_models() -> None:
    assert {file.stem for file in STAN.glob("*.stan")} == set(MODELS)
    assert {file.stem for file in PYMC_MODELS.glob("*.py")} - {"__init__"} == set(MODELS)
    assert all(name == model.name for name, model in MODELS.items())


@models
def test_stan_program_declares_the_parameters_in_order(model: Model) -> None:
    text = model.stan_file.read_text()
    assert tuple(re.findall(r"(\w+);", block(text, "parameters"))) == model.parameters
    assert ("sum_to_zero_vector[G]" in block(text, "parameters")) == model.zero_sum


@models
def test_stan_program_takes_the_data_of_a_dataset(model: Model) -> None:
    declared = re.findall(r"(\w+);", block(model.stan_file.read_text(), "data"))
    assert set(declared) == set(DATASET.stan_data)


@models
def test_stan_program_exposes_the_group_means_and_nothing_else(model: Model) -> None:
    text = model.stan_file.read_text()
    exposed = re.findall(r"vector\[G\] (\w+)", block(text, "parameters") + block(text, "transformed parameters"))
    assert exposed.count("mu_g") == 1
    assert not block(text, "generated quantities")


@models
def test_pymc_model_has_the_same_quantities(model: Model) -> None:
    built = model.build_pymc(DATASET)
    assert {variable.name for variable in built.free_RVs} == set(model.parameters)
    assert {variable.name for variable in built.deterministics} == {"mu_g"} - set(model.parameters)
    assert {variable.name for variable in built.observed_RVs} == {"y"}
    assert built.named_vars["mu_g"].type.ndim == 1


@models
def test_pymc_model_holds_the_data(model: Model) -> None:
    built = model.build_pymc(DATASET)
    assert np.array_equal(built["group_of"].get_value(), DATASET.group)
    assert np.array_equal(built["observed"].get_value(), DATASET.y)


@models
def test_traits(model: Model) -> None:
    assert model.zero_sum == ("zerosum" in model.name)
    assert model.centered == (not model.name.endswith("noncentered"))
    assert (model.posterior == "finite_population") == model.name.startswith("finite")
    assert (model.location == "m") == (model.zero_sum and model.posterior == "superpopulation")


def test_digests_differ_and_follow_the_programs(tmp_path: pytest.TempPathFactory) -> None:
    digests = [model.digest for model in MODELS.values()]
    assert len(set(digests)) == len(MODELS)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def test_every_language_has_a_backend() -> None:
    assert {backend.language for backend in BACKENDS.values()} == {"stan", "pymc"}
    assert all(name == backend.name for name, backend in BACKENDS.items())
