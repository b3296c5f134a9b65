"""The places of a map, and the data that are made there."""

import numpy as np
import pytest

from bench.deciding.lattice import SIGMA, Lattice, Point

LATTICE = Lattice()


def test_a_map_begins_with_every_decade_and_few_numbers_of_groups() -> None:
    points = list(LATTICE.coarse())
    assert {point.groups for point in points if point.imbalance == 1} == {3, 10, 50, 200, 2000}
    assert {point.groups for point in points if point.imbalance == 100} == {3, 10, 50, 200}
    informations = sorted({point.information for point in points})
    np.testing.assert_allclose(informations, 10.0 ** np.arange(-3, 5))
    assert len(points) == len(set(points)) == 8 * 9


def test_between_neighbours_is_the_middle_of_the_lattice_until_there_is_no_room() -> None:
    a, b = Point(1, 50, LATTICE.informations[0]), Point(1, 50, LATTICE.informations[4])
    ((_, middle, _),) = LATTICE.between([b, a])
    assert middle == Point(1, 50, LATTICE.informations[2])
    quarters = {each for _, each, _ in LATTICE.between([a, middle, b])}
    assert quarters == {Point(1, 50, LATTICE.informations[1]), Point(1, 50, LATTICE.informations[3])}
    assert list(LATTICE.between([a, min(quarters)])) == []


def test_between_numbers_of_groups_too_but_not_between_kinds_of_imbalance() -> None:
    one = LATTICE.informations[12]
    ((a, middle, b),) = LATTICE.between([Point(1, 10, one), Point(1, 50, one), Point(100, 50, one)])
    assert (a.groups, middle.groups, b.groups, middle.imbalance) == (10, 20, 50, 1)


@pytest.mark.parametrize("imbalance", [1, 100])
def test_the_data_have_the_information_of_their_point(imbalance: int) -> None:
    made = Point(imbalance, 51, 10.0).dataset(7)
    median = float(np.median(made.group_sizes))
    values = made.generated_with
    assert median * (values["omega"] / SIGMA) ** 2 == pytest.approx(values["information"]) == pytest.approx(10)
    assert made.group_sizes.max() / made.group_sizes.min() == values["imbalance"] == imbalance


def test_every_replicate_has_data_and_a_name_of_its_own() -> None:
    point = Point(100, 5, 1.0)
    first, second = point.dataset(1000), point.dataset(1001)
    assert first.digest != second.digest
    assert first.digest == point.dataset(1000).digest
    assert (first.id, second.id) == ("i1-G5-n1to100-s1000", "i1-G5-n1to100-s1001")
    every = [
        Point(imbalance, groups, information).id(1)
        for imbalance in LATTICE.most_groups
        for groups in LATTICE.groups
        for information in LATTICE.informations
    ]
    assert len(set(every)) == len(every)
