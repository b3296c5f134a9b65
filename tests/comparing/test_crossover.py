"""Who wins at a point of a map, and when that is sure."""

import math

import pytest

from bench.comparing.crossover import Field, fields, is_map, pair_of
from bench.records import Record
from tests.simulated import simulate
from tests.simulated_map import record, simulated


def one(records: list[Record]) -> Field:
    (found,) = fields(records)
    return found


def pair(centered: list[float | None], noncentered: list[float | None]) -> list[Record]:
    return [
        record(model, 1.0, number, rate)
        for model, rates in (("centered", centered), ("noncentered", noncentered))
        for number, rate in enumerate(rates)
    ]


def test_centered_wins_above_and_noncentered_below_and_marginal_of_all() -> None:
    found = fields(list(simulated()))
    assert [each.pair.first for each in found if each.spot.information != 1] == ["noncentered"] * 2 + ["centered"] * 2
    assert {each.pair.state for each in found if each.spot.information != 1} == {"sure"}
    assert {each.every.first for each in found} == {"marginal"}
    first = found[0].pair.contrast
    assert first is not None
    assert first.ratio == pytest.approx(100, rel=0.2)


def test_the_same_data_are_compared_and_not_means_over_different_ones() -> None:
    # the second data are ten times as hard for both, and centered has fits of the first alone
    found = one(pair([200.0, 20.0], [100.0, 10.0, 1000.0]))
    assert found.pair.first == "noncentered"  # by its mean
    assert found.pair.contrast is not None
    assert found.pair.contrast.mean == pytest.approx(math.log(0.5))
    assert found.pair.state == "open"


@pytest.mark.parametrize(
    ("centered", "noncentered", "state", "first", "wanted"),
    [
        ([200.0], [100.0], "open", "centered", ("centered", "noncentered")),
        ([200.0, 202.0, 199.0], [100.0, 100.0, 101.0], "sure", "centered", ()),
        ([100.0, 101.0, 99.0, 100.0], [100.0, 100.0, 101.0, 100.0], "alike", "centered", ()),
        ([200.0, 50.0, 200.0], [100.0, 100.0, 100.0], "open", "centered", ("centered", "noncentered")),
        ([None, None], [100.0, 110.0], "only", "noncentered", ()),
        ([None], [100.0, 110.0], "open", "noncentered", ("centered",)),
        ([None, None], [None, None], "none", "", ()),
        ([200.0, None], [100.0, 100.0], "open", "centered", ("centered", "noncentered")),
    ],
)
def test_states(
    centered: list[float | None], noncentered: list[float | None], state: str, first: str, wanted: tuple[str, ...]
) -> None:
    duel = one(pair(centered, noncentered)).pair
    assert (duel.state, duel.wanted) == (state, wanted)
    if state != "alike":
        assert duel.first == first


def test_a_model_with_too_many_unhealthy_fits_cannot_win() -> None:
    found = one(pair([900.0, None, None, 900.0], [100.0] * 4))
    assert (found.pair.first, found.pair.state) == ("noncentered", "only")


def test_a_fit_that_took_too_long_is_not_made_again() -> None:
    slow = record("centered", 1.0, 0, None, status="timeout", health=[])
    found = one([slow, record("noncentered", 1.0, 0), record("noncentered", 1.0, 1, 1010.0)])
    assert (found.pair.state, found.pair.wanted) == ("only", ())


def test_ratios_are_formed_within_a_machine() -> None:
    here, there = {"machine": "a"}, {"machine": "b"}
    fits = [record("centered", 1.0, n, 200.0, environment=here) for n in range(3)]
    fits += [record("noncentered", 1.0, n, 100.0, environment=there) for n in range(3)]
    assert one(fits).pair.contrast is None
    assert one(fits).pair.state == "open"


def test_the_plainest_of_each_kind_are_the_pair() -> None:
    assert pair_of(["finite_marginal", "finite_zerosum_noncentered", "finite_zerosum_centered"]) == (
        "finite_zerosum_centered",
        "finite_zerosum_noncentered",
    )
    assert pair_of(["marginal", "centered"]) is None


def test_other_runs_are_no_map() -> None:
    assert is_map(list(simulated(fits=1)))
    assert not is_map(list(simulate(replicates=1)))
    assert not is_map([])
