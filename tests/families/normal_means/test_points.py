import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bench.families.normal_means.data import normal_means
from bench.families.base import MODELS, Model
from bench.families.normal_means.points import Point, initial_points, standardised

Floats = NDArray[np.float64]

DATASET = normal_means(1.0, [3, 1, 4, 2, 20])

models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
standard = st.floats(-5, 5)
scale = st.floats(1e-6, 1e3)
effects = arrays(np.float64, st.integers(2, 40), elements=standard)


def group_means(model: Model, point: Point) -> Floats:
    named = point.named(model)
    if "mu_g" in named:
        return np.asarray(named["mu_g"])
    offset = named["e"] if "e" in named else named["omega"] * np.asarray(named["z"])
    return named[model.location] + np.asarray(offset)


@models
@settings(deadline=None)
@given(mu=standard, sigma=scale, omega=scale, z=effects)
def test_standardised_values_are_the_same_place_in_every_model(
    model: Model, mu: float, sigma: float, omega: float, z: Floats
) -> None:
    point = standardised(model, mu, sigma, omega, z)
    assert group_means(model, point) == pytest.approx(mu + omega * z, rel=1e-12, abs=1e-12 * (1 + omega))
    assert (point.sigma, point.omega) == (sigma, omega)
    assert list(point.named(model)) == list(model.parameters)
    if model.zero_sum:
        assert abs(point.effects.sum()) <= 1e-15 * len(z) * max(1, np.abs(point.effects).max())
        assert point.location == pytest.approx(np.mean(mu + omega * z), rel=1e-12, abs=1e-12 * (1 + omega))
    else:
        assert point.location == mu


def test_standardised_leaves_its_argument_alone() -> None:
    z = np.array([1.0, 2.0, 4.0])
    for model in MODELS.values():
        standardised(model, 0.5, 1.0, 2.0, z)
    assert np.array_equal(z, [1.0, 2.0, 4.0])


def test_starts_are_the_same_place_in_every_model() -> None:
    places = [
        [(p.sigma, p.omega, *group_means(model, p)) for p in initial_points(model, DATASET, 1, 0, 4)]
        for model in MODELS.values()
    ]
    assert np.allclose(places, places[0], rtol=1e-13, atol=1e-13)


@models
def test_starts_are_drawn_once_for_each_chain(model: Model) -> None:
    starts = [point.sigma for point in initial_points(model, DATASET, 1, 0, 4)]
    assert len(set(starts)) == 4
    assert starts == [point.sigma for point in initial_points(model, DATASET, 1, 0, 4)]
    assert starts[:2] == [point.sigma for point in initial_points(model, DATASET, 1, 0, 2)]


@pytest.mark.parametrize("change", ["seed", "replicate", "dataset"])
def test_starts_are_others_for_another(change: str) -> None:
    model = MODELS["centered"]
    arguments = {"dataset": DATASET, "seed": 1, "replicate": 0, "chains": 2}
    other = {"seed": 2, "replicate": 1, "dataset": normal_means(2.0, [3, 1, 4, 2, 20])}[change]
    here, there = (initial_points(model, **a) for a in (arguments, arguments | {change: other}))  # type: ignore[arg-type]
    assert {p.omega for p in here}.isdisjoint(p.omega for p in there)


def test_starts_fill_the_cube_on_which_stan_starts() -> None:
    points = initial_points(MODELS["noncentered"], DATASET, 1, 0, 2000)
    cube = np.array([[p.location, np.log(p.sigma), np.log(p.omega), *p.effects] for p in points])
    assert np.abs(cube).max() < 2
    assert np.abs(cube).max(axis=0) == pytest.approx(2, abs=0.02)
    assert cube.mean(axis=0) == pytest.approx(0, abs=0.15)
    assert cube.std(axis=0) == pytest.approx(4 / np.sqrt(12), rel=0.1)
    assert np.corrcoef(cube.T) - np.eye(8) == pytest.approx(0, abs=0.12)


@pytest.mark.parametrize("name", [model.name for model in MODELS.values() if model.zero_sum])
def test_zero_sum_starts_satisfy_the_libraries(name: str) -> None:
    """Stan refuses a vector whose sum is not within 1e-8 of zero; ours are zero to the last bits."""
    many = normal_means(1.0, [2] * 500)
    for point in initial_points(MODELS[name], many, 1, 0, 4):
        assert abs(point.effects.sum()) < 1e-12 * max(1.0, np.abs(point.effects).max())
