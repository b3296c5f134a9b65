"""What a run says first: which backend for which size, and which model for which data."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.comparing.answer import Answer
from bench.comparing.fastest import fastest
from bench.comparing.ratios import FIRST, FIT
from bench.comparing.rows import summarise
from bench.comparing.statistics import Contrast
from bench.records import Record
from bench.report import answer_figure
from bench.report.contents import Report
from tests.simulated import simulate


def answer(records: Sequence[Record]) -> Answer:
    (found,) = Answer.each(summarise(records))
    return found


def crossing(**sizes: int) -> list[Record]:
    """Return records in which stanli is ahead at 5 groups, and nutpie at 50 and 500."""
    times = {5: 0.25, 50: 2.0, 500: 4.0}
    found = []
    for record in simulate(omegas=(10.0,), groups=tuple(times), **sizes):
        if record.backend in ("stanli", "nutpie") and record.status == "ok" and record.ess_per_second:
            nutpie = record.backend == "nutpie"
            mood = 1 + 0.01 * record.replicate + 1e-5 * nutpie * (record.replicate**2 + len(record.model))
            rate = 1000.0 * mood * (times[record.sizes["groups"]] if nutpie else 1)
            wall = (record.min_ess_bulk or 0) / rate
            found.append(replace(record, ess_per_second=rate, wall_seconds=wall, health=[]))
    return found


def test_the_crossover_is_said_by_size() -> None:
    first, second = answer(crossing(replicates=5)).backends
    assert first == (
        "Most effective draws per second: stanli at 5 groups (4.0 times nutpie), "
        "nutpie at 50 and 500 groups (2.0 to 4.0 times stanli)."
    )
    assert second.startswith("With the build of a first fit counted: stanli at any number of groups")


def test_the_fastest_models_alone_are_told_where_another_backend_is_first_with_them() -> None:
    fits = [
        replace(r, ess_per_second=(r.ess_per_second or 0) * 100, wall_seconds=(r.wall_seconds or 0) / 100)
        if r.model in ("centered", "finite_zerosum_centered") and r.backend == "stanli"
        else r
        for r in crossing(replicates=5)
    ]
    found = answer(fits)
    assert found.fastest_models == ["centered", "finite_zerosum_centered"]
    assert found.backends[1].startswith(
        "With centered and finite_zerosum_centered alone, the fastest: stanli at any number of groups ("
    )
    assert len(answer(crossing(replicates=5)).backends) == 2


def test_sizes_of_which_two_backends_may_be_first_are_told_together() -> None:
    close = [
        replace(r, ess_per_second=1000.0 * math.exp(0.5 * (-1) ** (r.replicate + (r.backend == "nutpie"))))
        for r in crossing(replicates=4)
    ]
    third = [
        replace(r, backend="pymc", ess_per_second=1.0 + 0.01 * r.replicate) for r in close if r.backend == "nutpie"
    ]
    said = answer([*close, *third]).backends[0]
    assert said.endswith("nutpie or stanli at any number of groups (can't tell which)."), said


def test_ratios_by_size_are_those_of_the_records() -> None:
    found = answer(crossing(replicates=3))
    for level, ratio in zip(found.levels, (0.25, 2.0, 4.0), strict=True):
        assert found.means[FIT][level.name]["nutpie", "stanli"].ratio == pytest.approx(ratio, rel=1e-3)
        assert found.means[FIRST][level.name]["nutpie", "stanli"].ratio < ratio


def test_a_build_counts_at_its_own_size() -> None:
    longer = [
        replace(r, prepare_seconds=20.0, prepare_cache="built") if r.sizes["groups"] == 5 else r
        for r in crossing(replicates=3)
    ]
    before, after = answer(crossing(replicates=3)).means[FIRST], answer(longer).means[FIRST]
    assert after["5 groups"] != before["5 groups"]
    assert (after["50 groups"], after["500 groups"]) == (before["50 groups"], before["500 groups"])


def test_fits_of_two_machines_are_no_pair() -> None:
    moved = [
        replace(r, environment={**r.environment, "machine": "b" if r.backend == "nutpie" and r.replicate else "a"})
        for r in crossing(replicates=3)
    ]
    found = answer(moved)
    assert all(
        set(logs) == {0} for level in found.levels for logs in found.cases(FIT, level, "stanli", "nutpie").values()
    )


def test_a_build_from_a_cache_counts_as_the_longest_of_its_model() -> None:
    warm = [
        replace(record, prepare_seconds=0.0, prepare_cache="memory") if record.sizes["groups"] > 5 else record
        for record in crossing(replicates=3)
    ]
    assert answer(warm).means[FIRST] == answer(crossing(replicates=3)).means[FIRST]


def test_backends_that_are_alike_are_not_told_apart() -> None:
    records = [
        replace(record, ess_per_second=1000.0 * math.exp((-1) ** (record.replicate + (record.backend == "nutpie"))))
        for record in crossing(replicates=4)
    ]
    assert "can't tell" in answer(records).backends[0]


def test_one_replicate_says_what_its_cases_say_and_asks_for_more() -> None:
    found = answer(crossing(replicates=1))
    assert "--replicates 5" in found.sure
    assert "stanli at 5 groups" in found.backends[0]


def test_one_backend_is_compared_with_nothing() -> None:
    alone = answer([record for record in simulate(replicates=1) if record.backend == "stanli"])
    assert alone.backends == ["Most effective draws per second: can't tell, for stanli alone gave fits."]
    assert answer_figure.backends(alone) is None


def test_nothing_healthy_on_both_sides_is_compared() -> None:
    records = [replace(r, health=["R-hat: 2"]) if r.backend != "stanli" else r for r in crossing(replicates=2)]
    assert "no two backends have healthy fits" in answer(records).backends[0]


def test_models_are_named_for_the_data_on_which_they_are_healthy() -> None:
    said = " ".join(answer(list(simulate())).models)
    assert said.startswith(
        "Healthy in most fits: noncentered, zerosum_noncentered and finite_zerosum_noncentered for all data; "
        "at omega 10 also centered, zerosum_centered and finite_zerosum_centered."
    )
    assert "for the finite-population posterior (by " in said


def test_of_one_dataset_the_matrix_is_by_backend() -> None:
    figure = answer_figure.models(answer(list(simulate(omegas=(10.0,), groups=(5,), replicates=2))))
    assert figure is not None
    assert figure.parts[0][1][0].title == "Models by backend"


def test_the_matrix_counts_the_healthy_fits_of_all_backends() -> None:
    found = answer(list(simulate()))
    assert found.shares["omega 0.1"]["centered"] == (0, 24)
    assert found.shares["omega 10"]["centered"] == (24, 24)
    figure = answer_figure.models(found)
    assert figure is not None
    assert "centered, omega0.1-G5-n20-s41: 0 of 12 fits healthy; none may be ranked" in figure.parts[0][1][0].body


def test_pairs_are_told_one_by_one() -> None:
    pairs = [
        replace(r, family="pair", model="pair", dataset=f"mine{r.sizes['groups']}", target=f"t{r.sizes['groups']}")
        for r in crossing(replicates=5)
        if r.model == "centered"
    ]
    assert (
        answer(pairs)
        .backends[0]
        .startswith(
            "Most effective draws per second: stanli on mine5 (4.0 times nutpie), nutpie on mine50 and mine500 "
        )
    )
    assert answer(pairs).models == []


def test_the_fastest_is_sure_where_every_test_says_so() -> None:
    near, far = Contrast(0.1, 1.0, 4, 3), Contrast(1.0, 0.01, 4, 3)
    means = {"x": {("a", "b"): near, ("b", "a"): near.turned, ("a", "c"): far, ("c", "a"): far.turned}}
    found = fastest(["a", "b", "c"], means)["x"]
    assert (found.engine, found.rivals, found.who) == ("a", ("b",), "a or b")


def test_one_that_was_seen_once_is_taken_to_vary_as_the_others_do() -> None:
    seen, once = Contrast(1.0, 0.04, 5, 4), Contrast(4.0, math.nan, 1, 0)
    close = replace(once, mean=0.3)

    def rivals(other: Contrast, known: Contrast = seen) -> tuple[str, ...]:
        pairs = {("a", "b"): known, ("b", "a"): known.turned, ("a", "c"): other, ("c", "a"): other.turned}
        return fastest(["a", "b", "c"], {"x": pairs})["x"].rivals

    assert rivals(once) == ()
    assert rivals(close) == ("c",)
    assert rivals(once, once) == ("b", "c")  # nothing is known of any


def test_with_one_backend_the_model_is_what_is_answered_first() -> None:
    alone = [record for record in simulate(omegas=(10.0,), groups=(5,), replicates=1) if record.backend == "stanli"]
    assert [each.question for each in Report.of(alone, []).findings] == ["Which model?", "Which backend?"]
    both = Report.of(crossing(replicates=2), []).findings
    assert [each.question for each in both] == ["Which backend?", "Which model?"]
    assert all(each.figure and each.sure for each in both)
