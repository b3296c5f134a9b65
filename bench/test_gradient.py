"""One evaluation of log density and gradient, at typical places: what NUTS does most."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.running.measure import Case
from bench.running.run import Run

TYPICAL = 8


def test_gradient(runnable: Case, run: Run, benchmark: BenchmarkFixture) -> None:
    """Time one call in the worker; a round is a pass over eight typical places."""
    asked = run.plan.asked
    worker = run.workers[runnable.backend]
    worker.prepare(runnable.model, runnable.dataset, asked.fit_timeout)
    verdict = run.equality.check(runnable.family, runnable.model, runnable.dataset, runnable.backend, worker)
    if not verdict.passes:
        pytest.fail(str(verdict), pytrace=False)
    values = run.equality.typical(runnable.family, runnable.model, runnable.dataset, TYPICAL)
    worker.prepare(runnable.model, runnable.dataset, asked.fit_timeout)
    repeats = max(1, int(0.05 / (len(values) * worker.repeat_gradient(values, 1, asked.fit_timeout))))
    benchmark.group = f"gradient {runnable.dataset.id} {runnable.model.name}"
    seconds: list[float] = []
    benchmark.pedantic(
        lambda: seconds.append(worker.repeat_gradient(values, repeats, asked.fit_timeout)), rounds=5, iterations=1
    )
    benchmark.extra_info |= {
        "dataset": runnable.dataset.id,
        "model": runnable.model.name,
        "backend": runnable.backend.name,
        "evaluations_per_round": repeats * len(values),
        "seconds_per_evaluation": seconds,
        "versions": dict(runnable.backend.versions()),
    }
