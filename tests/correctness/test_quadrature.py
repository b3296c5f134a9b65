"""The quadrature against distributions whose every figure is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from bench.arrays import Floats
from bench.correctness.quadrature import REACH, Axis, NormalMixture, ScaleMarginal, axis_of, log_density_of_t

SCALES = {
    "half-normal": stats.halfnorm(scale=3.0),
    "infinite at 0": stats.gamma(0.5, scale=2.0),
    "skewed": stats.lognorm(1.0),
    "far from its unit": stats.gamma(20.0, scale=50.0),
}


def density_of_t(distribution: Any, axis: Axis) -> Floats:
    return np.exp(log_density_of_t(distribution.logpdf, axis))


@pytest.mark.parametrize("name", SCALES)
def test_scale_against_its_known_distribution(name: str) -> None:
    known = SCALES[name]
    axis = axis_of(known.logpdf, 1.5, 256)
    found = ScaleMarginal(axis, density_of_t(known, axis))
    fourth = known.var() ** 2 * (float(known.stats("k")) + 3)
    assert found.at_nodes.sum() * axis.step == pytest.approx(1, abs=1e-10)
    assert (found.mean, found.sd) == pytest.approx((known.mean(), known.std()), rel=1e-7)
    assert found.fourth == pytest.approx(fourth, rel=1e-2 if name == "skewed" else 1e-7)
    for p in (0.03, 0.5, 0.97):
        assert found.quantile(p) == pytest.approx(known.ppf(p), rel=1e-7)
        assert float(found.cdf(known.ppf(p))) == pytest.approx(p, abs=1e-9)
        assert found.density(known.ppf(p)) == pytest.approx(known.pdf(known.ppf(p)), rel=1e-6)


def test_a_larger_drop_reaches_further_into_a_heavy_tail() -> None:
    """The fourth moment of a log-normal lies 4 sds out, where its density has dropped by e^-8 and more."""
    known = stats.lognorm(1.0)
    fourth = known.var() ** 2 * (float(known.stats("k")) + 3)
    near, far = (axis_of(known.logpdf, 1.5, 512, drop) for drop in (40.0, 80.0))
    assert far.nodes[-1] > near.nodes[-1]
    errors = [abs(ScaleMarginal(a, density_of_t(known, a)).fourth / fourth - 1) for a in (near, far)]
    assert errors[1] < 1e-9 < errors[0]


@pytest.mark.parametrize("degrees", [3.0, 30.0])
def test_mixture_of_normals_is_student_t(degrees: float) -> None:
    """A normal whose variance is nu / chi^2(nu) has Student's t distribution with nu degrees of freedom."""
    precision = stats.gamma(degrees / 2, scale=2 / degrees)
    axis = axis_of(precision.logpdf, 1.0, 256)
    weight = axis.step * density_of_t(precision, axis)
    found = NormalMixture(weight, np.full(len(weight), 2.0), axis.value(axis.nodes) ** -0.5)
    known = stats.t(degrees, loc=2.0)
    for p in (0.03, 0.5, 0.97):
        assert found.quantile(p) == pytest.approx(known.ppf(p), rel=1e-6)
        assert found.density(known.ppf(p)) == pytest.approx(known.pdf(known.ppf(p)), rel=1e-6)
    if degrees > 4:
        assert (found.mean, found.sd) == pytest.approx((2.0, known.std()), rel=1e-7)
        assert found.fourth == pytest.approx(known.var() ** 2 * (float(known.stats("k")) + 3), rel=1e-7)
    assert found.hdi(0.9) == pytest.approx(known.interval(0.9), rel=1e-4)  # symmetric


def test_moments_of_a_mixture_with_two_modes() -> None:
    found = NormalMixture(np.array([0.3, 0.7]), np.array([-1.0, 4.0]), np.array([0.5, 2.0]))

    def moment(power: int, about: float) -> float:
        return integrate.quad(lambda x: (x - about) ** power * found.density(x), -20, 30, points=[-1, 4])[0]

    assert moment(0, 0.0) == pytest.approx(1)
    assert found.mean == pytest.approx(moment(1, 0.0))
    assert found.sd**2 == pytest.approx(moment(2, found.mean))
    assert found.fourth == pytest.approx(moment(4, found.mean))


def test_shortest_interval_starts_where_the_mode_does() -> None:
    known = SCALES["half-normal"]
    axis = axis_of(known.logpdf, 1.0, 256)
    assert ScaleMarginal(axis, density_of_t(known, axis)).hdi(0.9) == pytest.approx((0, known.ppf(0.9)), abs=1e-6)


def test_error_falls_faster_than_any_power_of_the_step() -> None:
    known = SCALES["half-normal"]
    axis = axis_of(known.logpdf, 1.0, 128)
    axes = [replace(axis, nodes=axis.nodes[::every]) for every in (4, 2, 1)]
    errors = [abs(ScaleMarginal(a, density_of_t(known, a)).mean / known.mean() - 1) for a in axes]
    assert errors[1] < errors[0] ** 1.5
    assert errors[2] < 1e-12


def test_position_inverts_value_and_derivative_is_its_slope() -> None:
    axis = Axis(2.5, np.linspace(-3.0, 6.0, 10))
    t = np.linspace(-2.9, 5.9, 50)
    assert axis.position(axis.value(t)) == pytest.approx(t, abs=1e-10)
    slope = (axis.value(t + 1e-6) - axis.value(t - 1e-6)) / 2e-6
    assert axis.derivative(t) == pytest.approx(slope, rel=1e-6)
    assert axis.position([0.0, 1e300]) == pytest.approx([-3.0, 6.0])


def test_nodes_stay_within_reach() -> None:
    axis = axis_of(lambda s: np.zeros_like(s), 1.0, 64)  # improper: all the mass is at the upper end
    assert axis.nodes[-1] == REACH[1]
    assert len(axis.nodes) == 65
