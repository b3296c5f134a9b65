"""What is said of a table before anything is sampled."""

import numpy as np
import pytest

from bench.families.normal_means.data import Groups, normal_means
from bench.families.normal_means.theory import look, units


@pytest.mark.parametrize(
    ("omega", "theory"), [(3.0, "centered"), (0.75 / 20**0.5, "undecided"), (0.005, "noncentered")]
)
def test_theory_goes_by_the_information_of_a_group(omega: float, theory: str) -> None:
    seen = look(normal_means(omega, [20] * 200, seed=2))
    assert seen.theory == theory
    true = 20 * (omega / 0.75) ** 2
    if theory != "noncentered":  # so small an omega can't be told from 0
        assert seen.information.low < true < seen.information.high
        assert seen.omega.low < omega < seen.omega.high


def test_unbalanced_groups_have_a_range() -> None:
    seen = look(normal_means(1.0, [2, 4, 40]))
    assert (seen.smallest, seen.largest) == (2, 40)
    assert seen.most == pytest.approx(20 * seen.least)
    assert seen.information.median == pytest.approx(2 * seen.least)
    assert any("smallest group" in line for line in seen.lines())


def test_what_the_priors_expect_is_left_as_it_is() -> None:
    assert units(normal_means(1.0, [20] * 5)) == (0.0, 1.0)


@pytest.mark.parametrize(("shift", "factor"), [(170.0, 9.0), (0.0, 40.0), (0.0, 0.001), (-1e6, 1.0)])
def test_what_the_priors_do_not_expect_is_brought_there(shift: float, factor: float) -> None:
    plain = normal_means(1.0, [20] * 8, mean=0.0)
    given = Groups(id="given-0", y=shift + factor * plain.y, group=plain.group.copy(), labels=plain.labels)
    centre, scale = units(given)
    rescaled = given.rescaled(centre, scale)
    assert units(rescaled) == (0.0, 1.0)
    assert rescaled.id != given.id
    seen = look(rescaled, centre, scale)
    assert seen.sigma.low < 0.75 * factor < seen.sigma.high
    assert any("--as-is" in line for line in seen.lines())


def test_one_observation_a_group_has_units_too() -> None:
    rng = np.random.default_rng(1)
    many = Groups(
        id="many", y=100 + 5 * rng.standard_normal(30), group=np.arange(30), labels=tuple(map(str, range(30)))
    )
    centre, scale = units(many)
    assert abs(centre - 100) < 3
    assert abs(scale - 5) < 2
