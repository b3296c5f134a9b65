"""Engines held against each other: planted biases are found, the right engine is named, correct ones are left alone."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.agreement import judged
from bench.arrays import Floats
from bench.cells import cells
from bench.comparing.aa import simulated_record
from bench.comparing.compare import compare_runs
from bench.comparing.rows import summarise
from bench.records import Record

ELEMENTS = 20
ENGINES = ("stanli", "pymc", "nutpie", "cmdstan")


def summary(draws: Floats) -> dict[str, Any]:
    """Summarise independent draws of shape (draws, elements)."""
    sd = draws.std(axis=0)
    return {
        "names": [f"theta[{i}]" for i in range(draws.shape[1])],
        "mean": draws.mean(axis=0).tolist(),
        "sd": sd.tolist(),
        "mcse": (sd / np.sqrt(len(draws))).tolist(),
    }


def fit(engine: str, draws: Floats, **changes: Any) -> Record:
    return simulated_record(backend=engine, summary=summary(draws), **changes)


def run(
    engines: Sequence[str] = ENGINES[:3],
    replicates: int = 1,
    seed: int = 1,
    shift: dict[str, float] | None = None,
    scale: dict[str, float] | None = None,
    size: int = 1000,
) -> list[Record]:
    """Return fits of normal draws; `shift` in sds and `scale` are planted in element 7 of some engines."""
    rng = np.random.default_rng(seed)
    records = []
    for engine in engines:
        for replicate in range(replicates):
            draws = rng.normal(size=(size, ELEMENTS))
            draws[:, 7] = draws[:, 7] * (scale or {}).get(engine, 1.0) + (shift or {}).get(engine, 0.0)
            records.append(fit(engine, draws, replicate=replicate))
    return records


def flagged(records: Sequence[Record]) -> set[str]:
    return {record.backend for record in judged(records) if record.health}


def flag_of(records: Sequence[Record], engine: str) -> str:
    return next(record.health[0] for record in judged(records) if record.backend == engine)


@pytest.mark.parametrize("engines", [1, 2, 3, 4])
def test_engines_that_agree_are_left_alone(engines: int) -> None:
    records = [run(ENGINES[:engines], 3, seed) for seed in range(50)]
    assert all(judged(each) == each for each in records)


def test_heavy_tails_and_skewness_raise_no_false_alarms() -> None:
    rng = np.random.default_rng(2)
    for kind in range(100):
        draws = [rng.standard_t(4, (400, 50)) if kind % 2 else np.exp(rng.normal(size=(400, 50))) for _ in ENGINES[:3]]
        assert not flagged([fit(engine, each) for engine, each in zip(ENGINES[:3], draws, strict=True)])


@pytest.mark.parametrize("plant", [{"shift": 0.4}, {"scale": 0.2}, {"scale": 5.0}], ids=["mean", "narrow", "wide"])
@pytest.mark.parametrize("engine", ENGINES[:3])
@pytest.mark.parametrize("replicates", [1, 3])
def test_the_odd_one_of_three_alone_is_flagged(plant: dict[str, float], engine: str, replicates: int) -> None:
    records = run(replicates=replicates, **{name: {engine: value} for name, value in plant.items()})  # type: ignore[arg-type]
    assert flagged(records) == {engine}
    what = "mean" if "shift" in plant else "sd"
    others = ", ".join(name for name in ENGINES[:3] if name != engine)
    assert flag_of(records, engine).startswith(f"disagrees: theta[7] {what} differs from {others} by ")
    assert all(len(record.health) == 1 for record in judged(records) if record.backend == engine)


@pytest.mark.parametrize("few", [ENGINES[0], ENGINES[1]])
def test_the_odd_one_is_found_however_much_more_it_sampled(few: str) -> None:
    rng = np.random.default_rng(3)
    sizes = {engine: 200 if engine == few else 20_000 for engine in ENGINES[:3]}
    draws = {engine: rng.normal(size=(size, ELEMENTS)) for engine, size in sizes.items()}
    draws["nutpie"][:, 7] += 1.0
    assert flagged([fit(engine, each) for engine, each in draws.items()]) == {"nutpie"}
    draws["nutpie"][:, 7] -= 1.0
    draws[few][:, 7] += 1.0
    assert flagged([fit(engine, each) for engine, each in draws.items()]) == {few}


def test_of_two_that_differ_neither_is_ranked() -> None:
    records = run(ENGINES[:2], shift={"pymc": 0.4})
    assert flagged(records) == {"stanli", "pymc"}
    said = flag_of(records, "stanli")
    assert said.startswith("disagrees: theta[7] mean differs from pymc by ")
    assert said.endswith("and there is no third engine to say who is right")


def test_half_against_half_and_all_against_all_are_no_majority() -> None:
    halves = run(ENGINES, shift={"nutpie": 0.5, "cmdstan": 0.5})
    assert flagged(halves) == set(ENGINES)
    assert "no more than half of the engines agree" in flag_of(halves, "stanli")
    assert flagged(run(shift={"pymc": 0.5, "nutpie": -0.5})) == set(ENGINES[:3])


def test_two_of_five_are_odd_each_in_its_way() -> None:
    assert flagged(run((*ENGINES, "pystan"), shift={"nutpie": 0.5, "cmdstan": -0.5})) == {"nutpie", "cmdstan"}


def test_judging_again_changes_nothing() -> None:
    for records in (run(shift={"pymc": 0.5}), run(ENGINES[:2], shift={"pymc": 0.5}), run()):
        once = judged(records)
        assert judged(once) == once


def test_posteriors_are_judged_apart_and_unhealthy_fits_say_nothing() -> None:
    odd = run(shift={"pymc": 0.5})
    for change in ({"dataset": "other"}, {"family": "other"}, {"target": "other"}, {"run": "other"}):
        records = [replace(r, **change) if r.backend == "pymc" else r for r in odd]  # type: ignore[arg-type]
        assert not flagged(records)
    sick = [replace(r, health=["R-hat: 1.2"]) if r.backend == "pymc" else r for r in odd]
    assert judged(sick) == sick


def test_only_elements_that_all_have_and_that_vary_are_compared() -> None:
    records = run()
    summary = dict(records[1].summary or {})
    names, mean, sd, mcse = (list(summary[part]) for part in ("names", "mean", "sd", "mcse"))
    names[0], mean[0] = "another", 99.0
    sd[1], mcse[1], mean[1] = 0.0, 0.0, 99.0
    mcse[2], mean[2] = None, 99.0
    odd = replace(records[1], summary={"names": names, "mean": mean, "sd": sd, "mcse": mcse})
    assert not flagged([records[0], odd, records[2]])
    nothing = replace(records[1], summary={"names": [], "mean": [], "sd": [], "mcse": []})
    assert not flagged([records[0], nothing])


def test_whatever_ranks_leaves_out_who_disagrees() -> None:
    records = run(replicates=3, shift={"pymc": 0.5})
    assert [cell.backend for cell in cells(records) if not cell.healthy] == ["pymc"]
    assert [row.backend for row in summarise(records) if not row.healthy] == ["pymc"]
    compared = compare_runs(records, by="backend", reference="stanli")
    assert {row.backend: row.kind for row in compared.rows}["pymc"] == "not ranked"


def test_many_records_with_a_truth_cost_nothing_and_many_elements_little() -> None:
    records = [simulated_record(replicate=i % 10) for i in range(1000)] * 100
    start = time.perf_counter()
    assert len(judged(records)) == 100_000
    assert time.perf_counter() - start < 2
    rng = np.random.default_rng(5)
    large = [fit(engine, rng.normal(size=(50, 20_000))) for engine in ENGINES for _ in range(5)]
    start = time.perf_counter()
    assert not flagged(large)
    assert time.perf_counter() - start < 20
