"""Places and what is found there: densities over the values, whatever transforms a side uses."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from bench.arrays import Floats
from bench.backends.stanli import Stanli, StanliPosterior
from bench.correctness.places import (
    OFFSETS,
    STEP,
    Density,
    Place,
    densities,
    follow,
    follow_reference,
    inside,
    lead,
)
from bench.families.base import Model, Program, Values


class Gamma:
    """scale ~ gamma(3), shift ~ normal(scale, 2) of length 2, with the log of the scale."""

    def constrain(self, position: Floats) -> dict[str, Floats]:
        return {"scale": np.asarray(self.forward(position[0])), "shift": position[1:].copy()}

    def unconstrain(self, values: Values) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.array([self.backward(float(values["scale"])), *values["shift"]])

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        value, partial = reference(self.constrain(position))
        jacobian, of_jacobian = self.log_jacobian_and_gradient(position)
        slope = np.exp(jacobian)
        gradient = np.array([float(partial["scale"]) * slope, *partial["shift"]])
        return value + jacobian, gradient + of_jacobian

    def log_jacobian_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        return float(position[0]), np.array([1.0, 0.0, 0.0])

    def forward(self, x: float) -> float:
        return float(np.exp(x))

    def backward(self, scale: float) -> float:
        return float(np.log(scale))


class Softplus(Gamma):
    """The same by another transform, log(1 + exp(x)), and with a constant."""

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        value, gradient = super().log_density_and_gradient(position)
        return value + 12.5, gradient

    def log_jacobian_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        return float(special.log_expit(position[0])), np.array([special.expit(-position[0]), 0.0, 0.0])

    def forward(self, x: float) -> float:
        return float(np.logaddexp(0, x))

    def backward(self, scale: float) -> float:
        return float(np.log(np.expm1(scale)))


def reference(values: Values) -> tuple[float, Values]:
    """The density over the values, and its gradient."""
    scale, shift = float(values["scale"]), values["shift"]
    off = shift - scale
    value = stats.gamma.logpdf(scale, 3) + stats.norm.logpdf(shift, scale, 2).sum()
    return float(value), {"scale": np.asarray(2 / scale - 1 + off.sum() / 4), "shift": -off / 4}


POSITIONS = np.random.default_rng(1).uniform(-2, 2, (6, 3))
DIRECTIONS = np.random.default_rng(2).normal(size=(6, 3))


def test_the_leader_makes_places_of_its_positions() -> None:
    for (place, found), position, direction in zip(
        lead(Gamma(), POSITIONS, DIRECTIONS), POSITIONS, DIRECTIONS, strict=True
    ):
        assert place.values["scale"] == pytest.approx(np.exp(position[0]))
        assert place.values["shift"] == pytest.approx(position[1:])
        assert len(place.line) == 4
        for k, values in zip(OFFSETS, place.line, strict=True):
            assert values["shift"] == pytest.approx((position + k * STEP * direction)[1:])
        value, partial = reference(place.values)
        assert found.log_density == pytest.approx(value)
        along = float(partial["scale"]) * np.exp(position[0]) * direction[0] + partial["shift"] @ direction[1:]
        assert found.slope == pytest.approx(along)
        assert found.size >= abs(found.slope)
        assert not found.error


def test_a_place_without_a_direction_has_no_line() -> None:
    ((place, found),) = lead(Gamma(), POSITIONS[:1], np.zeros((1, 3)))
    assert place.line == ()
    assert np.isfinite(found.log_density)
    assert np.isnan(found.slope)


@pytest.mark.parametrize("leader", [Gamma(), Softplus()], ids=["log", "softplus"])
@pytest.mark.parametrize("follower", [Gamma(), Softplus()], ids=["log", "softplus"])
def test_transforms_do_not_matter(leader: Density, follower: Density) -> None:
    places, first = zip(*lead(leader, POSITIONS, DIRECTIONS), strict=True)
    for others in (follow(follower, places), follow_reference(reference, places)):
        constants = [b.log_density - a.log_density for a, b in zip(first, others, strict=True)]
        assert constants == pytest.approx([constants[0]] * 6, abs=1e-12)
        for a, b in zip(first, others, strict=True):
            assert abs(a.slope - b.slope) < 1e-9 * max(a.size, b.size) + a.rounding + b.rounding


def test_an_error_of_the_line_is_within_what_is_said_of_rounding() -> None:
    """A slope by differences of the values; the longer a coordinate is, the more digits the differences lose."""
    far = np.array([[0.5, 1e6, -1e6]])
    places, (led,) = zip(*lead(Gamma(), far, DIRECTIONS[:1]), strict=True)
    (followed,) = follow(Softplus(), places)
    assert followed.slope != led.slope
    assert abs(followed.slope - led.slope) < followed.rounding + led.rounding
    assert followed.rounding < 1e-5 * led.size


def test_what_is_raised_is_told_of_its_place_alone() -> None:
    class Raises(Gamma):
        def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
            if position[1] > 0:
                raise ArithmeticError("too large")
            return super().log_density_and_gradient(position)

        def unconstrain(self, values: Values) -> Floats:
            if values["shift"][1] > 0:
                raise KeyError("shift")
            return super().unconstrain(values)

    places, _ = zip(*lead(Gamma(), POSITIONS, DIRECTIONS), strict=True)
    found = follow(Raises(), places)
    for position, each in zip(POSITIONS, found, strict=True):
        if position[2] > 0:
            assert each.error == "KeyError: 'shift'"
        elif position[1] > 0:
            assert each.error == "ArithmeticError: too large"
        else:
            assert not each.error
        assert np.isnan(each.log_density) == np.isnan(each.slope) == bool(each.error)
    assert {each.error for each in found} == {"", "KeyError: 'shift'", "ArithmeticError: too large"}


def test_a_gradient_of_another_length_is_an_error() -> None:
    class Short(Gamma):
        def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
            value, gradient = super().log_density_and_gradient(position)
            return value, gradient[1:]

    _, (found, *_) = zip(*lead(Short(), POSITIONS, DIRECTIONS), strict=True)
    assert found.error == "the gradient has shape (2,), not (3,)"


def test_densities_are_over_the_values_and_nan_where_there_is_none() -> None:
    values = [Gamma().constrain(position) for position in POSITIONS[:2]]
    known = [reference(each)[0] for each in values]
    assert densities(Gamma(), values) == pytest.approx(known)
    assert densities(Softplus(), values) == pytest.approx([each + 12.5 for each in known])
    found = densities(Gamma(), [{"scale": np.array(1.0)}, values[0]])
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(known[0])


def test_inside_are_values_that_the_maps_lead_to() -> None:
    shift = np.zeros(2)
    values: list[Mapping[str, Floats]] = [{"scale": np.array(s), "shift": shift} for s in (0.5, -0.5, 0.0)]
    assert inside(Gamma(), [*values, {"shift": shift}]) == [True, False, False, False]


CONSTRAINED = """
parameters {
  simplex[3] p;
  ordered[3] o;
  cholesky_factor_corr[3] L;
  real<lower=-1, upper=p[1]> r;
}
model {
  p ~ dirichlet([2, 3, 4]');
  o ~ normal(0, 1);
  L ~ lkj_corr_cholesky(2);
}
"""


@pytest.fixture(scope="module")
def constrained() -> StanliPosterior:
    model = Model("constrained", "constrained", Program(Path("constrained.stan"), CONSTRAINED))
    return Stanli().prepare(model, {})


def test_a_stan_program_follows_itself(constrained: StanliPosterior) -> None:
    rng = np.random.default_rng(3)
    where, directions = rng.uniform(-2, 2, (2, 8, constrained.dimension))
    places, first = zip(*lead(constrained, where, directions), strict=True)
    for a, b in zip(first, follow(constrained, places), strict=True):
        assert b.log_density == pytest.approx(a.log_density, rel=1e-12, abs=1e-12)
        assert abs(a.slope - b.slope) < 1e-9 * max(a.size, b.size) + a.rounding + b.rounding


def test_a_density_over_constrained_values(constrained: StanliPosterior) -> None:
    """By hand: the values have no transforms, and their gradient is taken along lines that keep the constraints."""

    def by_hand(values: Values) -> tuple[float, Values]:
        p, o, factor = values["p"], values["o"], values["L"]
        diagonal = np.diag(factor)
        powers = np.array([0.0, 3.0, 2.0])  # lkj_corr_cholesky(2): L[k, k]^(K - k + 2 eta - 2)
        log_density = np.sum([1, 2, 3] * np.log(p)) - np.sum(o**2) / 2 + np.sum(powers * np.log(diagonal))
        partial = {"p": np.array([1, 2, 3]) / p, "o": -o, "L": np.diag(powers / diagonal), "r": np.array(0.0)}
        return float(log_density), partial

    rng = np.random.default_rng(4)
    where, directions = rng.uniform(-2, 2, (2, 8, constrained.dimension))
    places, first = zip(*lead(constrained, where, directions), strict=True)
    second = follow_reference(by_hand, places)
    constants = np.array([b.log_density - a.log_density for a, b in zip(first, second, strict=True)])
    assert np.ptp(constants) < 1e-9
    for a, b in zip(first, second, strict=True):
        assert abs(a.slope - b.slope) < 1e-9 * max(a.size, b.size) + a.rounding + b.rounding


def test_a_reference_without_a_line_has_no_slope() -> None:
    (found,) = follow_reference(reference, [Place({"scale": np.array(1.0), "shift": np.zeros(2)})])
    assert np.isfinite(found.log_density)
    assert np.isnan(found.slope)
