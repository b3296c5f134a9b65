"""The places of a map, and the data that are made there."""

import numpy as np
import pytest

from bench.deciding.lattice import SIGMA, SMALL, Lattice, Point

LATTICE = Lattice()


def test_a_map_begins_with_every_decade_and_few_numbers_of_groups() -> None:
    points = list(LATTICE.coarse())
    assert {point.groups for point in points if point.layer == (1, SIGMA)} == {3, 10, 50, 200, 2000}
    for layer in ((100, SIGMA), (1, SMALL), (100, SMALL)):
        assert {point.groups for point in points if point.layer == layer} == {3, 10, 50, 200}
    informations = sorted({point.information for point in points})
    np.testing.assert_allclose(informations, 10.0 ** np.arange(-3, 5))
    assert len(points) == len(set(points)) == 8 * 17


def test_between_neighbours_is_the_middle_of_the_lattice_until_there_is_no_room() -> None:
    a, b = Point(1, SIGMA, 50, LATTICE.informations[0]), Point(1, SIGMA, 50, LATTICE.informations[4])
    ((_, middle, _),) = LATTICE.between([b, a])
    assert middle == Point(1, SIGMA, 50, LATTICE.informations[2])
    quarters = {each for _, each, _ in LATTICE.between([a, middle, b])}
    assert quarters == {Point(1, SIGMA, 50, LATTICE.informations[1]), Point(1, SIGMA, 50, LATTICE.informations[3])}
    assert list(LATTICE.between([a, min(quarters)])) == []


def test_between_numbers_of_groups_too_but_not_between_sizes_or_priors() -> None:
    one = LATTICE.informations[12]
    others = [Point(100, SIGMA, 50, one), Point(1, SMALL, 50, one)]
    ((a, middle, b),) = LATTICE.between([Point(1, SIGMA, 10, one), Point(1, SIGMA, 50, one), *others])
    assert (a.groups, middle.groups, b.groups, middle.imbalance) == (10, 20, 50, 1)


@pytest.mark.parametrize("imbalance", [1, 100])
def test_the_data_have_the_information_of_their_point(imbalance: int) -> None:
    made = Point(imbalance, SIGMA, 51, 10.0).dataset(7)
    median = float(np.median(made.group_sizes))
    values = made.generated_with
    assert median * (values["omega"] / SIGMA) ** 2 == pytest.approx(values["information"]) == pytest.approx(10)
    assert made.group_sizes.max() / made.group_sizes.min() == values["imbalance"] == imbalance


def test_wider_priors_are_the_same_data_made_smaller() -> None:
    usual, small = (Point(1, sigma, 5, 10.0).dataset(7) for sigma in (SIGMA, SMALL))
    np.testing.assert_allclose(small.y, usual.y / 10)
    assert small.id == "i10-G5-n10-sigma0.075-s7"
    assert usual.generated_with["mu"] == 2.0


def test_every_replicate_has_data_and_a_name_of_its_own() -> None:
    point = Point(100, SIGMA, 5, 1.0)
    first, second = point.dataset(1000), point.dataset(1001)
    assert first.digest != second.digest
    assert first.digest == point.dataset(1000).digest
    assert (first.id, second.id) == ("i1-G5-n1to100-s1000", "i1-G5-n1to100-s1001")
    every = [
        Point(*layer, groups, information).id(1)
        for layer in LATTICE.layers
        for groups in LATTICE.groups
        for information in LATTICE.informations
    ]
    assert len(set(every)) == len(every)
