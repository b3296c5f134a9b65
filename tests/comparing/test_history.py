"""History: steps are marked where they are, and nowhere else."""

from typing import Any

import numpy as np
import pytest

from bench.comparing.aa import simulated_record
from bench.comparing.history import history, steps
from bench.records import Record

RUNS = 200


def planted(seed: int, at: dict[int, float], cv: float = 0.05) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return log values of a history whose level changes by a factor at each of some runs."""
    logs = np.random.default_rng(seed).normal(0, cv, RUNS)
    for run, factor in at.items():
        logs[run:] += np.log(factor)
    return logs


def test_flat_histories_are_not_marked() -> None:
    assert sum(len(steps(planted(seed, {}))) for seed in range(200)) <= 2


def test_heavy_tails_are_not_marked() -> None:
    rng = np.random.default_rng(3)
    assert sum(len(steps(0.05 * rng.standard_t(2, RUNS))) for _ in range(50)) <= 1


@pytest.mark.parametrize("at", [20, 120, 190])
@pytest.mark.parametrize(("replicates", "exact"), [(1, 6), (5, 10)])
def test_a_step_of_15_percent_is_marked_at_its_run(at: int, replicates: int, exact: int) -> None:
    found = [steps(planted(seed, {at: 1.15}, 0.05 / replicates**0.5)) for seed in range(10)]
    nearest = [min(marks, key=lambda mark: abs(mark.at - at)) for marks in found]
    assert sum(mark.at == at for mark in nearest) >= exact
    assert all(abs(mark.at - at) <= 2 for mark in nearest)
    assert sum(mark.low < 1.15 < mark.high for mark in nearest) >= 8
    assert sum(len(marks) for marks in found) <= 11


def test_a_step_of_5_percent_is_marked_beside_one_of_15() -> None:
    found = [steps(planted(seed, {70: 1.15, 140: 1.05})) for seed in range(10)]
    both = [marks for marks in found if len(marks) == 2]
    assert len(both) >= 8
    assert all(abs(marks[0].at - 70) <= 2 and abs(marks[1].at - 140) <= 15 for marks in both)


@pytest.mark.parametrize("logs", [[], [0.1], [0.0] * 10, [0.0, 0.0, 0.0, 1.0, 1.0]])
def test_what_is_too_short_or_constant_has_no_step(logs: list[float]) -> None:
    assert steps(logs) == []


def test_one_odd_run_is_no_step() -> None:
    logs = planted(4, {})
    logs[100] += 3
    assert steps(logs) == []


def run(number: int, wall: float, **changes: Any) -> list[Record]:
    """Return the records of one run of one cell."""
    rng = np.random.default_rng(number)
    made = {"run": f"r{number:02d}", "time": f"2026-01-{number + 1:02d}T00:00:00Z", **changes}
    return [
        simulated_record(replicate=i, wall_seconds=wall * np.exp(0.03 * rng.standard_normal()), **made)
        for i in range(3)
    ]


def test_records_become_a_series_in_the_order_of_time() -> None:
    runs = [run(i, 2.0 if i < 15 else 2.6, versions={"cmdstan": "2.38" if i < 15 else "2.39"}) for i in range(30)]
    runs[20] = run(20, 9.0, health=["R-hat: 1.2"])
    (series,) = history(runs[::-1])
    assert [point.run for point in series.points] == [f"r{i:02d}" for i in range(30)]
    (step,) = series.steps
    assert series.points[step.at].versions == {"cmdstan": "2.39"}
    assert step.low < 1.3 < step.high
    assert not series.points[20].healthy
    point = series.points[0]
    assert point.low is not None
    assert point.high is not None
    assert point.low < 2.0 < point.high


def test_other_conditions_are_another_series() -> None:
    runs = [run(0, 2.0), run(1, 2.0), run(2, 2.0, dataset_digest="other"), run(3, 2.0, status="failed")]
    assert [len(series.points) for series in history(runs)] == [2, 1]


def test_one_replicate_has_no_interval() -> None:
    (series,) = history([run(0, 2.0)[:1]], "ess_per_second")
    assert series.points[0].value
    assert series.points[0].low is None
