import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.families.normal_means.data import Dataset, normal_means
from bench.correctness.gate import TOLERANCE, Mismatch, compare, gate_points
from bench.running.isolation import Worker
from bench.families.base import MODELS, Model
from bench.families.normal_means.points import Gradient, Point
from bench.families.normal_means.reference import log_density_and_gradient
from tests.conftest import WorkerOf
from tests.correctness.defects import DEFECTS, Defect, plant

DATASETS = {
    "balanced": normal_means(1.0, [20] * 5),
    "unbalanced": normal_means(10.0, [1, 3, 9, 27, 81]),
    "omega far below sigma": normal_means(0.001, [4, 20, 2, 7, 1]),
    "sigma 0.01": normal_means(1.0, [3, 8, 2, 5, 20], sigma=0.01),
    "far from the prior": normal_means(1.0, [20, 10, 5, 3, 2], mean=1000.0),
    "two groups": normal_means(1.0, [3, 5]),
    "one observation a group": normal_means(1.0, [1] * 8 + [2, 6]),
    "fifty groups": normal_means(0.1, [20] * 50),
}
OFTEN = {name: dataset for name, dataset in DATASETS.items() if dataset.n_groups == 5}


@pytest.fixture(scope="module")
def broken_worker_of(worker_of: WorkerOf) -> Iterator[WorkerOf]:
    """Return where a defect is tried; PyMC's compiles little there, for each broken model is built for two calls."""
    quick = {"PYTENSOR_FLAGS": "mode=FAST_COMPILE,cxx="}
    with Worker(BACKENDS["pymc"], environment=quick) as pymc:
        yield lambda name: pymc if name == "pymc" else worker_of(name)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_true_model_passes(backend: str, model: Model, dataset: Dataset, worker_of: WorkerOf) -> None:
    worker = worker_of(backend)
    if reason := BACKENDS[backend].unsupported(model):
        pytest.skip(reason)
    if backend == "nutpie" and dataset.n_groups != 5 and model.name != "zerosum_centered":
        pytest.skip("nutpie compiles for some seconds for each number of groups: one model shows that it works")
    worker.prepare(model, dataset)
    assert compare(model, dataset, worker.evaluate) is None


@pytest.mark.parametrize(
    ("defect", "model"),
    [
        pytest.param(defect, MODELS[name], id=f"{defect.language}: {defect.name} in {name}")
        for defect in DEFECTS
        for name in defect.models
    ],
)
def test_planted_defect_is_refused(defect: Defect, model: Model, tmp_path: Path, broken_worker_of: WorkerOf) -> None:
    worker = broken_worker_of({"stan": "stanli", "pymc": "pymc"}[defect.language])
    broken = plant(defect, model, tmp_path)
    for name in ("balanced", "unbalanced"):
        assert_refused(broken, DATASETS[name], worker, defect.names)


def test_planted_defect_is_refused_by_nutpie(tmp_path: Path, worker_of: WorkerOf) -> None:
    """One is enough: it builds the very models that PyMC builds."""
    defect = next(defect for defect in DEFECTS if (defect.language, defect.name) == ("pymc", "lost log(omega)"))
    broken = plant(defect, MODELS[defect.models[0]], tmp_path)
    for name in ("balanced", "unbalanced"):
        assert_refused(broken, DATASETS[name], worker_of("nutpie"), defect.names)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("backend", ["stanli", "pymc"])
def test_programs_with_nothing_planted_pass(
    backend: str, model: Model, tmp_path: Path, broken_worker_of: WorkerOf
) -> None:
    """What refuses the others is the defect, and not how it was planted."""
    comment = {
        "stanli": ("model {", "model {  // nothing"),
        "pymc": ("    return model", "    return model  # nothing"),
    }
    defect = Defect("nothing", "stan" if backend == "stanli" else "pymc", (model.name,), "", (comment[backend],))
    worker, copy = broken_worker_of(backend), plant(defect, model, tmp_path)
    worker.prepare(copy, DATASETS["unbalanced"])
    assert compare(copy, DATASETS["unbalanced"], worker.evaluate) is None


@pytest.mark.parametrize("dataset", OFTEN.values(), ids=OFTEN)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_observations_rounded_to_float32_are_refused(
    backend: str, model: Model, dataset: Dataset, worker_of: WorkerOf
) -> None:
    worker = worker_of(backend)
    if reason := BACKENDS[backend].unsupported(model):
        pytest.skip(reason)
    rounded = dataclasses.replace(dataset, y=dataset.y.astype(np.float32).astype(np.float64))
    worker.prepare(model, rounded)
    assert isinstance(compare(model, dataset, worker.evaluate), Mismatch)
    assert compare(model, rounded, worker.evaluate) is None


@pytest.fixture(scope="module")
def float32_worker() -> Iterator[Worker]:
    with Worker(BACKENDS["pymc"], environment={"PYTENSOR_FLAGS": "floatX=float32,mode=FAST_COMPILE,cxx="}) as worker:
        yield worker


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_pymc_in_float32_is_refused(model: Model, float32_worker: Worker) -> None:
    assert_refused(model, DATASETS["unbalanced"], float32_worker, "log density|gradient of")


def assert_refused(model: Model, dataset: Dataset, worker: Worker, names: str) -> None:
    worker.prepare(model, dataset)
    mismatch = compare(model, dataset, worker.evaluate)
    assert mismatch is not None, "the gate passed it"
    what, _, where = str(mismatch).partition(" at location=")
    assert re.search(names, what), str(mismatch)
    assert f"omega={mismatch.point.omega:.6g}" in where


# what compare says of a backend that is made up


MODEL = MODELS["zerosum_centered"]
DATASET = DATASETS["unbalanced"]


def changed(change: Callable[[int, float, Gradient], tuple[float, Gradient] | str]) -> Mismatch | None:
    """Compare the reference with itself, changed; the change is told the number of the point."""

    def evaluate(points: Sequence[Point]) -> list[tuple[float, Gradient] | str]:
        values = (log_density_and_gradient(MODEL, DATASET, point) for point in points)
        return [change(i, *value) for i, value in enumerate(values)]

    return compare(MODEL, DATASET, evaluate)


def test_a_constant_does_not_matter() -> None:
    assert changed(lambda i, value, gradient: (value + 1234.5, gradient)) is None


@pytest.mark.parametrize("name", ["location", "log_sigma", "log_omega", "effects"])
def test_names_the_parameter_whose_gradient_differs(name: str) -> None:
    def change(i: int, value: float, gradient: Gradient, by: float) -> tuple[float, Gradient]:
        block = np.atleast_1d(getattr(gradient, name)).copy()
        block[-1] += by * max(1, np.abs(block).max()) * (i == 5)
        return value, dataclasses.replace(gradient, **{name: block if name == "effects" else float(block[0])})

    assert changed(lambda *given: change(*given, by=0.9 * TOLERANCE)) is None
    mismatch = changed(lambda *given: change(*given, by=1.1 * TOLERANCE))
    assert mismatch is not None
    assert mismatch.quantity == (
        "gradient of effects[4]" if name == "effects" else f"gradient of {name}".replace("_", " ")
    )
    assert mismatch.point.omega == gate_points(MODEL, DATASET)[5].omega
    assert mismatch.found != mismatch.expected


def test_names_the_log_density_when_its_gradient_is_right() -> None:
    mismatch = changed(lambda i, value, gradient: (value * (1 + 3 * TOLERANCE * (i == 9)), gradient))
    assert mismatch is not None
    assert mismatch.quantity == "log density"


def test_names_the_largest_of_all_differences() -> None:
    def change(i: int, value: float, gradient: Gradient) -> tuple[float, Gradient]:
        return value, dataclasses.replace(gradient, location=gradient.location + {2: 1e3, 3: 1e6, 4: 1e4}.get(i, 0.0))

    mismatch = changed(change)
    assert mismatch is not None
    assert mismatch.point.sigma == gate_points(MODEL, DATASET)[3].sigma


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 7, 15])
def test_nothing_that_is_not_finite_passes(bad: float, at: int) -> None:
    def gradient_too(i: int, value: float, gradient: Gradient) -> tuple[float, Gradient]:
        return value, dataclasses.replace(
            gradient, effects=gradient.effects + bad * (i == at) if i == at else gradient.effects
        )

    assert changed(lambda i, value, gradient: (bad if i == at else value, gradient)) is not None
    mismatch = changed(gradient_too)
    assert mismatch is not None
    assert mismatch.quantity.startswith("gradient of effects")


def test_an_error_is_passed_on() -> None:
    mismatch = changed(lambda i, value, gradient: "KeyError: 'mu'" if i == 4 else (value, gradient))
    assert mismatch is not None
    assert "can't be evaluated" in str(mismatch)
    assert "KeyError: 'mu'" in str(mismatch)


def test_effects_of_another_length_are_refused() -> None:
    mismatch = changed(lambda i, value, gradient: (value, dataclasses.replace(gradient, effects=gradient.effects[1:])))
    assert mismatch is not None
    assert "the gradient of effects has shape (4,), not (5,)" in str(mismatch)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_gate_points_are_spread_and_the_same_place_for_every_model(dataset: Dataset) -> None:
    places = [
        [(p.sigma, p.omega, *group_means(model, p)) for p in gate_points(model, dataset)] for model in MODELS.values()
    ]
    assert np.allclose(places, places[0], rtol=1e-12, atol=1e-9)
    assert len(places[0]) == 16
    sigma, omega = np.array(places[0])[:, :2].T
    within = np.sqrt(dataset.within_ss / len(dataset.y))
    assert sigma.min() <= 0.05
    assert sigma.max() >= 20
    assert omega.min() <= 1e-3
    assert omega.max() >= 100
    assert np.sum((sigma > within / 3) & (sigma < 3 * within + 0.01)) >= 8


def group_means(model: Model, point: Point) -> np.ndarray:
    return {
        "mu_g": point.effects,
        "e": point.location + point.effects,
        "z": point.location + point.omega * point.effects,
    }[model.effects]
