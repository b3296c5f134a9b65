"""The table of a map, and what is read from it."""

import math
from pathlib import Path

import pytest

from bench.comparing.crossover import fields
from bench.comparing.map_table import COMMITTED, NAME, Entry, Place, entries, look_up, read, written
from bench.records import RunError
from tests.simulated_map import record, simulated

LINES = entries(fields(list(simulated(noise=0.0))))


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text(written(LINES))
    again = read(path)
    assert len(again) == len(LINES) == 15
    for a, b in zip(LINES, again, strict=True):
        assert (a.spot, a.model, a.fits, a.healthy, a.versions) == (b.spot, b.model, b.fits, b.healthy, b.versions)
        assert b.rate == pytest.approx(a.rate, rel=1e-3)
    assert LINES[0].size == 10


def test_one_file_of_three_hundred_points_is_small() -> None:
    many = [line._replace(groups=n) for n in range(20) for line in LINES]
    assert len(written(many).encode()) < 50 * len(many) * 2


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", written(LINES).replace("0.01", "much"), "\0"])
def test_what_is_no_map_is_refused_with_what_to_type(text: str, tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises(RunError, match=r"map\.csv is no map .* hierbench map"):
        read(path)


def test_between_two_points_rates_are_interpolated_on_the_log_scale() -> None:
    (found,) = look_up(LINES, Place(math.sqrt(10.0), 50))
    assert found.winner == "centered"
    assert found.ratio == pytest.approx(math.sqrt(10), rel=1e-6)
    assert (found.best, found.fits, found.outside) == ("marginal", 24, "")
    assert "centered wins, about 3.2 times the rate of noncentered" in found.sentence
    assert "24 fits at n omega²/sigma² = 1 and 10 and 50 groups (stanli 1.0; 2026-01-01)" in found.sentence


def test_a_form_that_is_as_good_as_the_better_one_of_the_pair_is_not_called_first() -> None:
    lines = [line._replace(rate=3.05e3) if line.model == "marginal" else line for line in LINES]
    (found,) = look_up(lines, Place(100.0, 50))
    assert found.sentence.startswith("centered wins, about 100 times the rate of noncentered; marginal is as good; ")


def test_at_a_point_it_is_read_alone() -> None:
    (found,) = look_up(LINES, Place(0.1, 50))
    assert (found.winner, found.fits, len(found.at)) == ("noncentered", 12, 1)
    assert found.ratio == pytest.approx(10)


def test_where_rates_are_alike_nobody_wins() -> None:
    (found,) = look_up(LINES, Place(1.0, 50))
    assert found.winner == ""
    assert found.sentence.startswith("centered and noncentered are as good; of all forms marginal is first, about 30")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Place(1e-6, 50), "an information of 1.00e-06"),
        (Place(1e6, 50), "an information of 1,000,000"),
        (Place(1.0, 9000), "a number of groups of 9,000"),
        (Place(1e6, 2), "a number of groups of 2.00 and an information of 1,000,000"),
    ],
)
def test_beyond_the_map_its_edge_is_read_and_that_is_said(place: Place, said: str) -> None:
    (found,) = look_up(LINES, place)
    assert found.outside == f"the map ends before {said}: this is its nearest edge"
    assert found.sentence.endswith(found.outside)


def test_the_nearest_number_of_groups_and_imbalance_are_taken() -> None:
    far = entries(
        fields(list(simulated(groups=500, imbalance=100, rates=lambda model, _: {"centered": 1.0}.get(model, 9.0))))
    )
    (found,) = look_up([*LINES, *far], Place(100.0, 60, 30.0))
    assert {spot.groups for spot in found.at} == {500}
    (found,) = look_up([*LINES, *far], Place(100.0, 400, 2.0))
    assert {spot.groups for spot in found.at} == {50}


def test_the_nearest_width_of_the_priors_is_taken() -> None:
    small = entries(fields(list(simulated(sigma=0.075, rates=lambda model, _: {"centered": 1.0}.get(model, 9.0)))))
    for sigma, there in ((5.0, 0.75), (0.3, 0.75), (0.2, 0.075), (0.01, 0.075)):
        (found,) = look_up([*LINES, *small], Place(100.0, 50, sigma=sigma))
        assert {spot.sigma for spot in found.at} == {there}


def test_what_is_not_healthy_loses() -> None:
    lines = [line._replace(healthy=0) if line.model == "centered" else line for line in LINES]
    (found,) = look_up(lines, Place(100.0, 50))
    assert (found.winner, found.ratio) == ("noncentered", math.inf)
    assert found.sentence.startswith("noncentered wins; centered was not healthy; of all forms marginal")
    (found,) = look_up([line._replace(healthy=0) for line in LINES], Place(100.0, 50))
    assert found.sentence.startswith("neither centered nor noncentered was healthy; measured")


def test_other_versions_are_said() -> None:
    (found,) = look_up(LINES, Place(1.0, 50))
    assert found.stale({"stanli": "1.0", "numpy": "2"}) == ""
    assert found.stale({"stanli": "1.1"}) == "made with another version: stanli 1.0"


def test_each_engine_is_read_for_itself_and_one_without_a_pair_is_not() -> None:
    other = entries(fields([record("marginal", 1.0, n, backend="nutpie_stan") for n in range(2)]))
    assert [each.engine for each in look_up([*LINES, *other], Place(1.0, 50))] == ["stanli"]


def test_a_line_without_rates_is_kept() -> None:
    (line,) = entries(fields([record("centered", 1.0, 0, None)]))
    assert isinstance(line, Entry)
    assert (line.fits, line.healthy, line.rate, line.ranked) == (1, 0, 0.0, False)


def test_the_committed_map_is_small_and_answers() -> None:
    path = COMMITTED / NAME
    assert path.stat().st_size < 200_000
    for found in look_up(read(path), Place(1000.0, 50)):
        assert found.winner == "centered"
    for found in look_up(read(path), Place(0.001, 50)):
        assert found.winner == "noncentered"
