"""Verdicts of tables that grow: which look settles a case, and how often they are wrong."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from bench.comparing.aa import simulated_record
from bench.comparing.aa_looks import in_turn, look_again, two_versions
from bench.comparing.compare import compare_runs, log_ratio
from bench.comparing.effect import Effect
from bench.comparing.outcome import asks_for_more, outcome
from bench.comparing.sequential import LOOKS, decide_runs, spent, undecided
from bench.comparing.statistics import Contrast
from bench.deciding.aa_real import decide_twins, slowed
from bench.records import Record
from tests.comparing.test_compare import SICK, cell


def versions(
    seed: int = 1, n: int = 20, slower: dict[int, float] | None = None, cases: int = 6
) -> tuple[list[Record], list[Record]]:
    """Two versions with the same draws, up to a number of replicates."""
    sides = two_versions(np.random.default_rng(seed), cases, slower=slower)
    a, b = ([record for record in side if record.replicate < n] for side in sides)
    return a, b


def test_the_looks_spend_no_more_than_there_is() -> None:
    parts = [spent(look) for look in range(len(LOOKS))]
    assert 0.99 < sum(parts) <= 1
    assert all(part > 0 for part in parts)


def test_equal_versions_are_the_same_and_a_slower_case_is_found_by_its_cost_of_a_gradient() -> None:
    found = decide_runs(*versions(slower={2: 1.2}), within=0.05)
    kinds = {row.model: row.kind for row in found.rows}
    assert kinds == {f"model {i}": "slower" if i == 2 else "same" for i in range(6)}
    assert all(row.deciding is not None and row.deciding.measure == "cpu_per_gradient" for row in found.rows)
    assert found.looks == (3, 5, 8, 12, 20)


def test_a_verdict_is_read_from_the_interval_beside_it() -> None:
    for seed in range(20):
        for row in decide_runs(*versions(seed, slower={0: 1.04, 1: 0.9, 2: 1.05}), within=0.05).rows:
            effect = row.deciding
            assert effect is not None
            low, high = effect.slowdowns
            inside = low > 1 / 1.05 and high < 1.05
            assert row.kind == ("same" if inside else "slower" if low > 1 else "faster" if high < 1 else "not enough")
            assert effect.level > 0.999


def test_what_was_settled_stays_whatever_comes_later() -> None:
    a, b = versions(n=20, slower={0: 1.3})
    early = {row.model: row for row in decide_runs(*versions(n=5, slower={0: 1.3}), within=0.05).rows}
    assert not any(undecided(row) for row in early.values())
    spoilt = [dataclasses.replace(r, cpu_seconds=50.0) if r.replicate >= 5 else r for r in b]
    late = decide_runs(a, spoilt, within=0.05)
    assert {row.model: row for row in late.rows} == early


def test_replicates_between_two_looks_change_nothing() -> None:
    five, seven = (decide_runs(*versions(n=n, slower={0: 1.04})) for n in (5, 7))
    assert five.rows == seven.rows


def test_a_case_with_fewer_replicates_on_one_side_is_not_looked_at_again() -> None:
    a, b = versions(n=8, slower={0: 1.03})
    b = [record for record in b if record.model != "model 0" or record.replicate < 6]
    found = decide_runs(a, b, within=0.01)
    assert {row.model: row.n for row in found.rows}["model 0"] == 5


@pytest.mark.parametrize("n", [1, 2])
def test_before_the_first_look_there_is_no_verdict(n: int) -> None:
    found = decide_runs(*versions(n=n, slower={0: 5.0}))
    assert {row.kind for row in (*found.rows, *found.pooled)} == {"not enough"}
    assert f"not enough replicates: {3 - n} more needed" in "\n".join(found.lines())
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_clock_that_ticks_too_coarsely_gives_no_verdict() -> None:
    for variance in (0.0, 1e-33):  # the second by rounding
        effect = Effect("cpu_per_gradient", Contrast(mean=0.5, variance=variance, n=5, df=4))
        assert effect.decide_at(0.999, 0.05).kind == "not enough"
    same = Effect("cpu_per_gradient", Contrast(mean=0.0, variance=0.0, n=5, df=4))
    assert same.decide_at(0.999, 0.05).kind == "same"


def test_the_pooled_verdict_comes_first_with_an_interval_of_its_own() -> None:
    found = decide_runs(*versions(slower=dict.fromkeys(range(6), 1.1)), within=0.05)
    (pooled,) = found.pooled
    assert (pooled.kind, pooled.over, pooled.same_draws) == ("slower", 6, True)
    assert pooled.deciding is not None
    low, high = pooled.deciding.interval
    assert low < 1.1 < high
    lines = list(found.lines())
    assert lines.index("geometric mean over all 6 cases") < lines.index("groups8")
    assert next(found.table())[0] == "geometric mean over all 6 cases"
    assert found.markdown().index("over all 6 cases") < found.markdown().index("groups8")
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["pooled"][0]["verdict"] == "slower"
    assert plain["adjustment"] == "simultaneous intervals"
    assert "1 % of tables" in found.how()


def test_pooled_ratios_of_a_fixed_number_of_replicates_are_there_too() -> None:
    found = compare_runs(*versions(n=10, slower=dict.fromkeys(range(6), 1.3)))
    (pooled,) = found.pooled
    assert pooled.kind == "slower"
    assert pooled.deciding is not None
    assert pooled.deciding.ratio == pytest.approx(1.3, rel=0.02)


def sick(records: list[Record], **changes: Any) -> list[Record]:
    return [dataclasses.replace(record, **changes) for record in records]


@pytest.mark.parametrize(("n", "change", "more"), [(3, "", True), (5, "", True), (20, "worse", False)])
def test_a_side_that_is_unhealthy_alone_is_a_regression_once_chance_is_ruled_out(
    n: int, change: str, more: bool
) -> None:
    a, b = cell(n=n), sick(cell("b", n=n, seed=3), **SICK)
    (row,) = decide_runs(a, b).rows
    assert row.health_change == change
    assert undecided(row) is asks_for_more("slower:5%")(row) is more
    (both,) = decide_runs(sick(a, **SICK), b).rows
    assert not undecided(both)


@pytest.mark.parametrize(("factor", "state"), [(1.0, "passes"), (1.2, "fails"), (0.8, "passes")])
def test_a_condition_is_told_and_then_asks_for_nothing_more(factor: float, state: str) -> None:
    found, _ = in_turn(*versions(slower={0: factor}), asks_for_more("slower:5%"))
    assert outcome([found], "slower:5%").state == state
    assert not any(asks_for_more("slower:5%")(row) for row in found.rows)


def test_a_condition_may_be_sharper_than_the_margin() -> None:
    a, b = versions(slower={0: 1.07})
    found = decide_runs(a, b, within=0.2, is_open=asks_for_more("slower:3%"))
    assert found.rows[0].kind == "same"
    assert outcome([found], "slower:3%").state == "fails"


@pytest.mark.slow
@pytest.mark.parametrize("spread", ["mixed", "shared"])
def test_equal_versions_raise_no_alarm_though_they_are_looked_at_until_decided(spread: Any) -> None:
    # 1 % of 100 tables is 1; more than 4 has probability 0.3 %
    count = look_again(31, 6, spread, tables=100)
    assert count.wrong <= 4
    assert count.decided >= 0.95 * 600


def test_a_gradient_that_costs_5_percent_more_is_found_with_five_replicates() -> None:
    # 95 % of 100 are 95; fewer than 89 has probability 0.4 %
    count = look_again(32, 6, "alike", 1.05, tables=100)
    assert count.found >= 89
    assert count.wrong <= 4


def test_a_version_that_was_tried_twice_is_decided_not_told_apart_and_found_when_it_is_made_slower() -> None:
    a, b = two_versions(np.random.default_rng(2), 3)
    found = decide_twins(a, b, 3, tables=4, factor=1.1)
    assert (found.backend, found.cases, found.made, found.tables, found.wrong) == ("cmdstan", 3, 20, 4, 0)
    assert found.decided > 0.5
    assert 3 <= found.replicates <= 20
    assert found.found == 4


def test_a_fit_that_is_slowed_down_is_so_in_each_of_its_repeats() -> None:
    made = simulated_record(wall_seconds=2.0, cpu_seconds=3.0, wall_repeats=[1.0, 3.0], cpu_repeats=[2.0, 4.0])
    other = slowed(made, 2.0)
    assert (other.wall_seconds, other.cpu_seconds) == (4.0, 6.0)
    assert (other.wall_repeats, other.cpu_repeats) == ([2.0, 6.0], [4.0, 8.0])
    assert log_ratio("cpu_per_gradient", made, other) == pytest.approx(np.log(2))


def test_cases_whose_intervals_are_narrow_narrow_their_mean() -> None:
    found = decide_runs(*versions(n=3), within=0.2)
    assert {row.kind for row in found.rows} == {"same"}
    (pooled,) = found.pooled
    mean, own = pooled.deciding, [row.deciding for row in found.rows]
    assert mean is not None
    assert (pooled.kind, pooled.over) == ("same", 6)
    assert mean.contrast.half_width(mean.level) > 2 * mean.half_width  # rounds are its units, and there are three
    assert mean.half_width == pytest.approx(np.mean([each.half_width for each in own if each]))
    assert mean.contrast.mean == pytest.approx(np.mean([each.contrast.mean for each in own if each]))
