"""One place among the group means in every form, and starts that are the same for all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.arrays import Floats
from bench.families.base import Values
from bench.families.normal_means import NormalMeans
from bench.families.normal_means.data import normal_means
from bench.families.normal_means.forms import FORMS, MODELS, standardised

FAMILY = NormalMeans()
DATASET = normal_means(1.0, [3, 1, 4, 2, 20])

names = pytest.mark.parametrize("name", FORMS)
WITH_EFFECTS = [name for name, form in FORMS.items() if form.effects]
standard = st.floats(-5, 5)
scale = st.floats(1e-6, 1e3)
effects = arrays(np.float64, st.integers(2, 40), elements=standard)


def group_means(name: str, values: Values) -> Floats:
    form = FORMS[name]
    assert form.effects is not None
    if form.effects == "mu_g":
        return values["mu_g"]
    offset = values["e"] if form.effects == "e" else values["omega"] * values["z"]
    return values[form.location] + offset


def starts(name: str, chains: int, seed: int = 1, dataset: object = DATASET) -> list[Values]:
    rng = np.random.default_rng([seed, 1])
    return [FAMILY.points(MODELS[name], dataset, rng) for _ in range(chains)]  # type: ignore[arg-type]


@names
@settings(deadline=None)
@given(mu=standard, sigma=scale, omega=scale, z=effects)
def test_standardised_values_are_the_same_place_in_every_form(
    name: str, mu: float, sigma: float, omega: float, z: Floats
) -> None:
    form = FORMS[name]
    values = standardised(form, mu, sigma, omega, z)
    assert (values["sigma"], values["omega"]) == (sigma, omega)
    assert tuple(values) == form.parameters
    if form.effects:
        assert group_means(name, values) == pytest.approx(mu + omega * z, rel=1e-12, abs=1e-12 * (1 + omega))
    if form.zero_sum and form.effects:
        assert abs(values[form.effects].sum()) <= 1e-15 * len(z) * max(1, np.abs(values[form.effects]).max())
    if form.zero_sum:
        assert values[form.location] == pytest.approx(np.mean(mu + omega * z), rel=1e-12, abs=1e-12 * (1 + omega))
    else:
        assert values[form.location] == mu


def test_standardised_leaves_its_argument_alone() -> None:
    z = np.array([1.0, 2.0, 4.0])
    for form in FORMS.values():
        standardised(form, 0.5, 1.0, 2.0, z)
    assert np.array_equal(z, [1.0, 2.0, 4.0])


def test_starts_are_the_same_place_in_every_model() -> None:
    places = [[(p["sigma"], p["omega"], *group_means(name, p)) for p in starts(name, 4)] for name in WITH_EFFECTS]
    assert np.allclose(places, places[0], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("name", "like"), [("marginal", "centered"), ("finite_marginal", "finite_zerosum_centered")])
def test_starts_of_marginal_models_are_those_of_the_others_less_their_effects(name: str, like: str) -> None:
    for values, others in zip(starts(name, 4), starts(like, 4), strict=True):
        assert dict(values) == {name: others[name] for name in ("mu", "sigma", "omega")}


@names
def test_starts_are_drawn_once_for_each_chain(name: str) -> None:
    found = [float(values["sigma"]) for values in starts(name, 4)]
    assert len(set(found)) == 4
    assert found[:2] == [float(values["sigma"]) for values in starts(name, 2)]
    assert set(found).isdisjoint(float(values["sigma"]) for values in starts(name, 4, seed=2))


def test_starts_fill_the_cube_on_which_stan_starts() -> None:
    points = starts("noncentered", 2000)
    cube = np.array([[p["mu"], np.log(p["sigma"]), np.log(p["omega"]), *p["z"]] for p in points])
    assert np.abs(cube).max() < 2
    assert np.abs(cube).max(axis=0) == pytest.approx(2, abs=0.02)
    assert cube.mean(axis=0) == pytest.approx(0, abs=0.15)
    assert cube.std(axis=0) == pytest.approx(4 / np.sqrt(12), rel=0.1)
    assert np.corrcoef(cube.T) - np.eye(8) == pytest.approx(0, abs=0.12)


@pytest.mark.parametrize("name", [name for name in WITH_EFFECTS if FORMS[name].zero_sum])
def test_zero_sum_starts_satisfy_the_libraries(name: str) -> None:
    """Stan refuses a vector whose sum is not within 1e-8 of zero; ours are zero to the last bits."""
    many = normal_means(1.0, [2] * 500)
    for values in starts(name, 4, dataset=many):
        found = values[FORMS[name].effects]
        assert abs(found.sum()) < 1e-12 * max(1.0, np.abs(found).max())


@names
def test_typical_values_are_spread_over_every_scalar(name: str) -> None:
    drawn = FAMILY.typical(MODELS[name], DATASET, np.random.default_rng(1))
    truth = FAMILY.truth(MODELS[name].target, DATASET)
    assert truth is not None
    for scalar in ("sigma", "omega"):
        values = np.array([float(each[scalar]) for each in drawn])
        median = truth.known(scalar)["q50"]
        assert 0.25 < np.mean(values < median) < 0.75
        assert values.min() < truth.mean[list(truth.names).index(scalar)] < values.max()
