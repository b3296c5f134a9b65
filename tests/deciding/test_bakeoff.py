"""What a bake-off fits next."""

from dataclasses import replace
from typing import Any

import pytest

from bench.backends import BACKENDS
from bench.comparing.aa import simulated_record
from bench.deciding.bakeoff import ENOUGH, FEW, MOST, next_case
from bench.families.normal_means.data import grid
from bench.families.normal_means.forms import FORMS
from bench.families.normal_means.forms import MODELS as ALL
from bench.families.registry import FAMILIES
from bench.records import Record
from bench.running.measure import Case

DATASET = grid("smoke")[0]
MODELS = {name: model for name, model in ALL.items() if FORMS[name].effects}
CASES = [
    Case(FAMILIES["normal_means"], DATASET, model, BACKENDS[backend])
    for model in MODELS.values()
    for backend in ("cmdstan", "stanli", "pymc", "nutpie")
]
CENTERED = {name: form.kind for name, form in FORMS.items()}
ON_FIRST = [(name, "stanli") for name in MODELS]


def record(model: str, backend: str, rate: float, number: int = 0, **changes: Any) -> Record:
    """Return the record of a fit of one second."""
    made = simulated_record(
        dataset=DATASET.id,
        model=model,
        target=MODELS[model].target,
        backend=backend,
        replicate=number,
        wall_seconds=1.0,
        min_ess_bulk=rate,
        prepare_seconds=0.0,
    )
    return replace(made, **changes)


def course(fits: int, rates: dict[str, float], sick: tuple[str, ...] = (), left: float = 1000.0) -> list[Record]:
    """Play a bake-off in which every fit has the rate of its model, a tenth of it off stanli."""
    records: list[Record] = []
    for _ in range(fits):
        case = next_case(CASES, records, "superpopulation", CENTERED, left)
        if case is None:
            break
        model, backend = case.model.name, case.backend.name
        number = sum(r.key[:3] == case.key for r in records)
        rate = rates[model] * (1 if backend == "stanli" else 0.1)
        health = ["R-hat: 1.2"] if model in sick else []
        records.append(record(model, backend, rate, number, health=health))
    return records


RATES = {name: 1000.0 - 10 * i for i, name in enumerate(MODELS)} | {"noncentered": 50.0, "zerosum_noncentered": 40.0}


def test_every_model_is_seen_on_the_backend_that_compiles_nothing() -> None:
    seen = [(r.model, r.backend) for r in course(6, RATES)]
    assert sorted(seen) == sorted(ON_FIRST)
    assert [MODELS[model].target for model, _ in seen] == ["superpopulation"] * 4 + ["finite_population"] * 2


def test_then_contenders_and_the_rival_get_a_few_fits() -> None:
    again = [r.model for r in course(6 + 3 * (FEW - 1), RATES)[6:]]
    assert sorted(again) == sorted(["centered", "zerosum_centered", "noncentered"] * (FEW - 1))


def test_then_the_best_model_is_tried_on_every_other_backend() -> None:
    start = 6 + 3 * (FEW - 1)
    assert {(r.model, r.backend) for r in course(start + 3, RATES)[start:]} == {
        ("centered", backend) for backend in ("cmdstan", "pymc", "nutpie")
    }


def test_then_contenders_and_the_rival_get_enough_fits() -> None:
    records = course(9 + 3 * (ENOUGH - 1), RATES)
    counts = {case: sum((r.model, r.backend) == case for r in records) for case in ON_FIRST}
    assert counts["centered", "stanli"] == counts["zerosum_centered", "stanli"] == ENOUGH
    assert counts["noncentered", "stanli"] == ENOUGH  # it is slow, but the best of its parameterization
    assert counts["zerosum_noncentered", "stanli"] == 1


def test_in_the_end_everything_is_measured_and_contenders_most() -> None:
    records = course(500, RATES)
    assert {r.key[:3] for r in records} == {case.key for case in CASES}
    counts = [sum(r.key[:3] == case.key for r in records) for case in CASES]
    assert max(counts) == MOST
    assert len(records) < 500


def test_a_rival_that_is_always_unhealthy_is_not_fit_for_ever() -> None:
    records = course(500, RATES, sick=("noncentered", "zerosum_noncentered"))
    assert max(sum(r.key[:2] == (DATASET.id, name) for r in records) for name in ("noncentered",)) <= ENOUGH + 3


def test_without_a_healthy_case_everything_is_tried_once() -> None:
    assert len(course(500, RATES, sick=tuple(MODELS))) == len(CASES)


def test_what_does_not_fit_into_the_time_is_not_begun() -> None:
    slow = [record(model, "stanli", 100.0, wall_seconds=20.0) for model in MODELS]
    assert next_case(CASES, slow, "superpopulation", CENTERED, 25.0) in [c for c in CASES if c.backend.name != "stanli"]
    everything = [record(case.model.name, case.backend.name, 100.0, wall_seconds=20.0) for case in CASES]
    assert next_case(CASES, everything, "superpopulation", CENTERED, 25.0) is None
    assert next_case(CASES, everything, "superpopulation", CENTERED, 27.0) is not None
    assert next_case(CASES, [], "superpopulation", CENTERED, 0.0) is None


@pytest.mark.parametrize("status", ["failed", "crashed", "mismatch"])
def test_what_gave_no_draws_is_not_tried_again(status: Any) -> None:
    broken = [record(case.model.name, case.backend.name, 1.0, status=status, reason="x") for case in CASES]
    assert next_case(CASES, broken, "superpopulation", CENTERED, 1000.0) is None


def test_a_fit_that_the_budget_stopped_costs_a_case_nothing_when_it_is_gone_on_with() -> None:
    records = course(12, RATES)
    stopped = record("centered", "stanli", 1.0, 9, status="timeout", reason="x")
    assert next_case(CASES, [*records, stopped], "superpopulation", CENTERED, 99.0) == next_case(
        CASES, records, "superpopulation", CENTERED, 99.0
    )


def test_the_wanted_posterior_comes_first() -> None:
    case = next_case(CASES, [], "finite_population", CENTERED, 60.0)
    assert case is not None
    assert case.model.target == "finite_population"
