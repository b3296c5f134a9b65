"""Values, programs, data and their digests; and that programs and registries hold the same."""

import re

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.families.base import PYMC, STAN, DataError, Model, Program, data_digest
from bench.families.normal_means.data import normal_means
from bench.families.normal_means.forms import FORMS, MODELS
from bench.families.registry import FAMILIES

DATASET = normal_means(1.0, [3, 1, 4, 2, 20])

models = pytest.mark.parametrize("name", MODELS)


def block(text: str, name: str) -> str:
    """Return what stands in a block of a Stan program, without comments."""
    found = re.search(rf"^{name} {{\n(.*?)^}}", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"//.*", "", found[1]) if found else ""


@pytest.mark.parametrize("family", FAMILIES)
def test_registry_and_folders_hold_the_same_models(family: str) -> None:
    registered = FAMILIES[family]
    assert registered.name == family
    assert {file.stem for file in (STAN / family).glob("*.stan")} == set(registered.models)
    assert {file.stem for file in (PYMC / family).glob("*.py")} - {"__init__"} == set(registered.models)
    assert all(name == model.name and model.target in registered.targets for name, model in registered.models.items())


@models
def test_stan_program_declares_the_parameters_of_its_form(name: str) -> None:
    form, text = FORMS[name], MODELS[name].stan.code  # type: ignore[union-attr]
    declared = re.findall(r"(\w+);", block(text, "parameters"))
    assert declared == [form.location, "sigma", "omega", form.effects]
    assert ("sum_to_zero_vector[G]" in block(text, "parameters")) == form.zero_sum


@models
def test_stan_program_takes_the_data_of_a_dataset(name: str) -> None:
    declared = re.findall(r"(\w+);", block(MODELS[name].stan.code, "data"))  # type: ignore[union-attr]
    assert set(declared) == set(DATASET.data)


@models
def test_traits(name: str) -> None:
    form = FORMS[name]
    assert form.zero_sum == ("zerosum" in name)
    assert form.centered == (not name.endswith("noncentered"))
    assert (form.target == "finite_population") == name.startswith("finite")
    assert (form.location == "m") == (form.zero_sum and form.target == "superpopulation")


def test_digests_follow_programs_names_and_axes() -> None:
    digests = [model.digest for model in MODELS.values()]
    assert len(set(digests)) == len(MODELS)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    stan, pymc = MODELS["centered"].stan, MODELS["centered"].pymc
    own = Model("a", "t", stan, pymc).digest
    assert own == Model("b", "u", stan, pymc).digest  # names say nothing of what is compiled
    assert own != Model("a", "t", stan, pymc, renamed={"mu": "m"}).digest
    assert own != Model("a", "t", stan, pymc, axes={"mu": (1, 0)}).digest
    assert own != Model("a", "t", stan).digest


def test_the_digest_of_data_is_over_names_shapes_and_values() -> None:
    data = {"N": 3, "y": np.array([1.0, 2.0, 3.0]), "ragged": [[1], [1, 2]]}
    own = data_digest(data)
    assert own == data_digest(dict(reversed(data.items())))
    assert own == data_digest({**data, "y": np.array([1.0, 2.0, 3.0], dtype=">f8")})
    for change in ({"N": 4}, {"y": np.array([1.0, 2.0, 3.5])}, {"y": np.ones((3, 1))}, {"ragged": [[1], [1, 3]]}):
        assert own != data_digest({**data, **change})
    assert data_digest({"a": 1}) != data_digest({"b": 1})


def test_a_program_that_is_no_text_is_refused(tmp_path: pytest.TempPathFactory) -> None:
    with pytest.raises(DataError, match="no such file"):
        Program.read(tmp_path / "nothing.stan")  # type: ignore[operator]


def test_every_language_has_a_backend() -> None:
    assert {backend.language for backend in BACKENDS.values()} == {"stan", "pymc"}
    assert all(name == backend.name for name, backend in BACKENDS.items())
