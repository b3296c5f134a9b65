from collections.abc import Callable

import numpy as np
import pytest
import stanli
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pymc.distributions.transforms import ZeroSumTransform
from pytensor.tensor import as_tensor_variable

from bench.backends import pymc_coordinates, stan_coordinates
from bench.backends.base import Posterior
from bench.backends.pymc import PyMCPosterior
from bench.backends.stanli import StanliPosterior
from bench.families.normal_means.data import normal_means
from bench.families.base import MODELS, Model
from bench.families.normal_means.points import Gradient, Point, initial_points
from bench.families.normal_means.reference import log_density_and_gradient

Floats = NDArray[np.float64]
Map = Callable[[Floats], Floats]

DATASET = normal_means(1.0, [3, 1, 4, 2, 20])
BASES = {"stan": stan_coordinates, "pymc": pymc_coordinates}

basis = pytest.mark.parametrize(
    ("vector_of", "coordinates_of"),
    [(module.zero_sum_vector, module.zero_sum_coordinates) for module in BASES.values()],
    ids=BASES,
)
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
coordinates = arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e3, 1e3))


@basis
@settings(deadline=None)
@given(x=coordinates)
def test_zero_sum_round_trip(vector_of: Map, coordinates_of: Map, x: Floats) -> None:
    vector = vector_of(x)
    assert len(vector) == len(x) + 1
    assert abs(vector.sum()) <= 1e-9
    assert coordinates_of(vector) == pytest.approx(x, abs=1e-9)


@basis
@pytest.mark.parametrize("n_groups", [2, 3, 50])
def test_basis_is_orthonormal(vector_of: Map, coordinates_of: Map, n_groups: int) -> None:
    """So that no Jacobian is owed, and a gradient is mapped as a vector is."""
    columns = np.array([vector_of(unit) for unit in np.eye(n_groups - 1)])
    assert columns @ columns.T == pytest.approx(np.eye(n_groups - 1), abs=1e-13)
    assert columns.sum(axis=1) == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("n_groups", [2, 5, 50])
def test_basis_is_that_of_pymc(n_groups: int) -> None:
    vector = np.random.default_rng(1).normal(size=n_groups)
    vector -= vector.mean()
    transform = ZeroSumTransform([0])
    theirs = transform.forward(as_tensor_variable(vector)).eval(mode="FAST_COMPILE")
    assert pymc_coordinates.zero_sum_coordinates(vector) == pytest.approx(theirs, abs=1e-13)
    back = transform.backward(as_tensor_variable(theirs)).eval(mode="FAST_COMPILE")
    assert pymc_coordinates.zero_sum_vector(theirs) == pytest.approx(back, abs=1e-13)


def starts(model: Model) -> list[Point]:
    return initial_points(model, DATASET, seed=3, replicate=1, chains=5)


@models
def test_unconstrained_vector_is_that_of_stanli(model: Model) -> None:
    data = {name: np.asarray(value).tolist() for name, value in DATASET.stan_data.items()}
    program = stanli.Model(stan_file=str(model.stan_file), data=data)
    for point in starts(model):
        named = {name: np.asarray(value).tolist() for name, value in point.named(model).items()}
        assert stan_coordinates.unconstrain(model, point) == pytest.approx(program.unconstrain(named), abs=1e-12)


@models
def test_stan_round_trip(model: Model) -> None:
    for point in starts(model):
        back = stan_coordinates.constrain(model, stan_coordinates.unconstrain(model, point))
        assert (back.location, back.sigma, back.omega) == pytest.approx((point.location, point.sigma, point.omega))
        assert back.effects == pytest.approx(point.effects, abs=1e-12)


@models
def test_unconstrained_vector_is_that_of_pymc(model: Model) -> None:
    """PyMC's own variables, transforms and order, asked of the model one by one."""
    built = model.build_pymc(DATASET)
    posterior = PyMCPosterior(model, DATASET, built, None, "none")
    for point in starts(model)[:2]:
        theirs = []
        for value in built.value_vars:
            rv = built.values_to_rvs[value]
            natural = as_tensor_variable(point.named(model)[rv.name])
            transform = built.rvs_to_transforms[rv]
            mapped = transform.forward(natural, *rv.owner.inputs) if transform else natural
            theirs.append(np.atleast_1d(mapped.eval(mode="FAST_COMPILE")))
        assert posterior.unconstrain(point) == pytest.approx(np.concatenate(theirs), abs=1e-12)


@models
@pytest.mark.parametrize("language", BASES)
def test_gradient_is_mapped_with_the_point(model: Model, language: str) -> None:
    """A small step in the backend's coordinates changes the log density by its gradient in them."""
    posterior: Posterior = (
        StanliPosterior(model, DATASET)
        if language == "stan"
        else PyMCPosterior(model, DATASET, model.build_pymc(DATASET), None, "none")
    )
    origin = starts(model)[0]
    position = posterior.unconstrain(origin)
    gradient = log_density_and_gradient(model, DATASET, origin)[1]
    direction = np.random.default_rng(4).normal(size=len(position))
    mapped = posterior.gradient(direction)  # a vector in their coordinates, in ours
    step = 1e-6
    ahead, behind = (_moved(model, origin, mapped, sign * step) for sign in (1, -1))
    for moved, sign in ((ahead, 1), (behind, -1)):
        assert posterior.unconstrain(moved) == pytest.approx(position + sign * step * direction, abs=1e-12)
    values = [log_density_and_gradient(model, DATASET, moved)[0] for moved in (ahead, behind)]
    expected = (
        gradient.location * mapped.location
        + gradient.log_sigma * mapped.log_sigma
        + gradient.log_omega * mapped.log_omega
        + gradient.effects @ mapped.effects
    )
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(expected, rel=1e-5)


def _moved(model: Model, point: Point, by: Gradient, step: float) -> Point:
    return Point(
        point.location + step * by.location,
        point.sigma * np.exp(step * by.log_sigma),
        point.omega * np.exp(step * by.log_omega),
        point.effects + step * by.effects,
    )
