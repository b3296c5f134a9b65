"""What every registered family must keep to; one that is added is tested by being registered."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from bench.arrays import Floats
from bench.backends import BACKENDS
from bench.backends.base import LANGUAGES, Description
from bench.correctness.diagnosis import diagnose
from bench.correctness.truth import elements
from bench.families.base import LOG_LIKELIHOOD, PYMC, STAN, Dataset, Family, Model, Values
from bench.families.registry import FAMILIES
from bench.files import ROOT
from bench.running.equality import Equality, compare_names
from bench.running.isolation import Workers
from bench.settings import Settings

ENGINES = {"stan": BACKENDS["stanli"], "pymc": BACKENDS["pymc"]}
SETTINGS = Settings(chains=4, warmup=1000, draws=1000, target_accept=0.95, cores=2)

families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
models = pytest.mark.parametrize(
    ("family", "model"),
    [
        pytest.param(family, model, id=f"{family.name}-{model.name}")
        for family in FAMILIES.values()
        for model in family.models.values()
    ],
)


def first(family: Family) -> Dataset:
    return family.datasets(family.grids[0])[0]


@pytest.fixture(scope="module")
def equality(workers: Workers) -> Iterator[Equality]:
    for backend in ENGINES.values():
        if reason := backend.unavailable():
            pytest.skip(f"{backend.name}: {reason}")
    return Equality(workers)


def shapes(values: Mapping[str, Floats]) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(value) for name, value in values.items()}


@families
def test_its_name_and_its_models_are_those_of_its_folders(family: Family) -> None:
    assert FAMILIES[family.name] is family
    assert {file.stem for file in (STAN / family.name).glob("*.stan")} == set(family.models)
    assert {file.stem for file in (PYMC / family.name).glob("*.py")} - {"__init__"} == set(family.models)
    assert all(name == model.name for name, model in family.models.items())


@families
def test_its_models_have_both_programs_and_target_what_there_is(family: Family) -> None:
    assert all(model.stan and model.pymc for model in family.models.values())
    assert {model.target for model in family.models.values()} == set(family.targets)
    assert all(name == target.name for name, target in family.targets.items())
    assert all(family.target(model).name == model.target for model in family.models.values())
    assert len({model.digest for model in family.models.values()}) == len(family.models)


@families
def test_its_default_models_are_some_of_its_models_and_it_keeps_the_others(family: Family) -> None:
    before = dict(family.models)
    shorter = family.only(family.default_models)
    assert set(shorter.models) == set(family.default_models) <= set(before)
    assert shorter.models.items() <= before.items()
    assert family.models == before


@families
def test_its_headline_is_among_its_quantities(family: Family) -> None:
    for target in family.targets.values():
        assert target.headline
        assert set(target.headline) <= set(target.quantities)


@families
def test_its_grids_hold_datasets_with_ids_of_their_own(family: Family) -> None:
    assert len(set(family.grids)) == len(family.grids) > 0
    every = [dataset for grid in family.grids for dataset in family.datasets(grid)]
    assert all(len(family.datasets(grid)) > 0 for grid in family.grids)
    pairs = {(dataset.id, dataset.digest) for dataset in every}
    assert len({id_ for id_, _ in pairs}) == len({digest for _, digest in pairs}) == len(pairs)
    assert all(0 < len(dataset.id) <= 32 and not set(dataset.id) & set(" /[]") for dataset in every)
    assert all(dataset.sizes and all(size > 0 for size in dataset.sizes.values()) for dataset in every)


def test_every_dataset_is_the_same_in_another_process() -> None:
    script = (
        "import json\n"
        "from bench.families.registry import FAMILIES as all_\n"
        "every = {f.name: [(d.id, d.digest) for g in f.grids for d in f.datasets(g)] for f in all_.values()}\n"
        "print(json.dumps(every))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    here = {f.name: [[d.id, d.digest] for g in f.grids for d in f.datasets(g)] for f in FAMILIES.values()}
    assert json.loads(done.stdout) == here


@models
def test_both_programs_declare_the_same_parameters(family: Family, model: Model, equality: Equality) -> None:
    one, other = (equality.description(model, first(family), backend) for backend in ENGINES.values())
    compare_names(one, other, (LANGUAGES["stan"], LANGUAGES["pymc"]))
    transformed = set(one.transformed) & set(other.transformed)
    assert all(one.transformed[name] == other.transformed[name] for name in transformed)


@models
def test_both_programs_have_every_quantity(family: Family, model: Model, equality: Equality) -> None:
    """Declared, or derived from what is declared."""
    target, dataset = family.target(model), first(family)
    for backend in ENGINES.values():
        found = derived(family, model, dataset, equality.description(model, dataset, backend))
        assert set(target.quantities) <= set(found)
        assert all(found[name] == () for name in target.headline)


def derived(family: Family, model: Model, dataset: Dataset, described: Description) -> dict[str, tuple[int, ...]]:
    """Shapes of what is declared and of what the family derives, from draws that are all 1."""
    draws = {name: np.ones((2, 5, *shape)) for name, shape in described.names.items()}
    found = family.derive(model, dataset, draws, np.random.default_rng(1))
    assert all(array.shape[:2] == (2, 5) for array in found.values())
    assert set(draws) <= set(found)
    return {name: array.shape[2:] for name, array in found.items()}


@models
@pytest.mark.parametrize("language", ENGINES)
def test_it_passes_the_gate(family: Family, model: Model, language: str, equality: Equality, workers: Workers) -> None:
    backend = ENGINES[language]
    verdict = equality.check(family, model, first(family), backend, workers[backend])
    assert verdict.kind == "same", str(verdict)


@models
def test_points_and_typical_values_are_its_parameters(family: Family, model: Model, equality: Equality) -> None:
    dataset, rng = first(family), np.random.default_rng(2)
    parameters = equality.description(model, dataset, ENGINES["stan"]).parameters
    given = [values for values in (family.points(model, dataset, rng),) if values is not None]
    given += family.typical(model, dataset, rng) or []
    for values in given:
        assert shapes(values) == parameters


@models
def test_points_and_typical_values_have_a_density(
    family: Family, model: Model, equality: Equality, workers: Workers
) -> None:
    dataset, rng = first(family), np.random.default_rng(3)
    worker = workers[ENGINES["stan"]]
    worker.prepare(model, dataset)
    given = [values for values in (family.points(model, dataset, rng),) if values is not None]
    given += family.typical(model, dataset, rng) or []
    assert all(worker.inside(given))
    assert np.isfinite(worker.densities(given)).all()


@models
def test_a_reference_has_the_parameters_of_the_model(family: Family, model: Model, equality: Equality) -> None:
    dataset = first(family)
    (values, *_) = equality.typical(family, model, dataset, 1)
    found = family.reference(model, dataset, values)
    if found is not None:
        value, gradient = found
        assert np.isfinite(value)
        assert shapes(gradient) == shapes(values)


@families
def test_a_truth_knows_every_headline_quantity(family: Family, equality: Equality) -> None:
    dataset = first(family)
    for target in family.targets.values():
        truth = family.truth(target.name, dataset)
        if truth is None:
            continue
        model = next(model for model in family.models.values() if model.target == target.name)
        there = derived(family, model, dataset, equality.description(model, dataset, ENGINES["stan"]))
        every = [element for name in target.quantities for element in elements(name, there[name])]
        assert set(truth.names) <= set(every)
        assert truth.source
        for name in target.headline:
            known = truth.known(name)
            assert known, f"{target.name} does not know {name}"
            assert np.isfinite(list(known.values())).all()
            assert known["q3"] < known["q50"] < known["q97"]
            assert known["sd"] > 0
        assert np.all(truth.fourth >= truth.sd**4 * (1 - 1e-9))


@pytest.mark.parametrize(
    ("family", "target"),
    [
        pytest.param(family, target, id=f"{family.name}-{target}", marks=[pytest.mark.slow] * (family.name == "radon"))
        for family in FAMILIES.values()
        for target in family.targets
    ],
)
def test_a_fit_of_one_of_its_models_is_healthy_and_right(
    family: Family, target: str, equality: Equality, workers: Workers
) -> None:
    dataset, backend = first(family), ENGINES["stan"]
    truth = family.truth(target, dataset)
    said = {}
    for model in (model for model in family.models.values() if model.target == target):
        wanted = family.targets[target].quantities
        starts = equality.starts(family, model, dataset, [1, 1], SETTINGS.chains)
        worker = workers[backend]
        worker.prepare(model, dataset)
        described = equality.description(model, dataset, backend)
        keep = [*described.parameters, *(name for name in described.transformed if name in wanted)]
        seconds = worker.sample(SETTINGS, 1, starts, keep).seconds
        fit = worker.fetch()
        draws = family.derive(model, dataset, fit.draws, np.random.default_rng(1))
        shown = {name: draws[name] for name in wanted}
        found = diagnose(fit, shown, truth, family.targets[target].headline, seconds, [])
        json.dumps(family.further(model, dataset, draws, np.random.default_rng(2)), allow_nan=False)
        said[model.name] = found["health"]
        assert not any(flag.startswith("biased") for flag in found["health"]), said
        if not found["health"]:
            assert truth is None or found["grade"]["largest"] < found["grade"]["bound"]
            return
    pytest.fail(f"no model of {target} has a healthy fit: {said}")


@models
def test_simulated_data_are_taken_by_both_programs(
    family: Family, model: Model, equality: Equality, workers: Workers
) -> None:
    simulated = [family.simulate(model.target, np.random.default_rng(seed)) for seed in (4, 4, 5)]
    if simulated[0] is None:
        pytest.skip(f"{family.name} simulates nothing")
    (dataset, values), again, other = (each for each in simulated if each is not None)
    assert dataset.digest == again[0].digest != other[0].digest
    assert values == again[1] != other[1]
    for backend in ENGINES.values():
        described = equality.description(model, dataset, backend)
        there = derived(family, model, dataset, described)
        every = {element for name, shape in there.items() for element in elements(name, shape)}
        assert values.keys() - {LOG_LIKELIHOOD} <= every
        assert np.isfinite(list(values.values())).all()
    worker = workers[ENGINES["stan"]]
    worker.prepare(model, dataset)
    starts: list[Values] = worker.starts(2, [1])
    assert np.isfinite(worker.densities(starts)).all()


def test_names_of_models_are_not_shared_with_datasets() -> None:
    """Ids of cases are dataset, model and backend, with a dash between."""
    assert all("-" not in name for family in FAMILIES.values() for name in family.models)
