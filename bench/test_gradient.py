"""One evaluation of log density and gradient, at typical points: what NUTS does most."""

from pytest_benchmark.fixture import BenchmarkFixture

from bench.correctness.gate import compare, gate_points
from bench.running.measure import Case
from bench.running.run import Run

TYPICAL = 8
"""The first of the gate's points are near the posterior."""


def test_gradient(runnable: Case, run: Run, benchmark: BenchmarkFixture) -> None:
    """Time one call in the worker; a round is a pass over eight points."""
    asked = run.plan.asked
    worker = run.workers[runnable.backend]
    worker.prepare(runnable.model, runnable.dataset, asked.fit_timeout)
    mismatch = compare(runnable.model, runnable.dataset, worker.evaluate)
    assert mismatch is None, str(mismatch)
    points = gate_points(runnable.model, runnable.dataset)[:TYPICAL]
    repeats = max(1, int(0.05 / (TYPICAL * worker.repeat_gradient(points, 1, asked.fit_timeout))))
    benchmark.group = f"gradient {runnable.dataset.id} {runnable.model.name}"
    seconds: list[float] = []
    benchmark.pedantic(
        lambda: seconds.append(worker.repeat_gradient(points, repeats, asked.fit_timeout)), rounds=5, iterations=1
    )
    benchmark.extra_info |= {
        "dataset": runnable.dataset.id,
        "model": runnable.model.name,
        "backend": runnable.backend.name,
        "evaluations_per_round": repeats * TYPICAL,
        "seconds_per_evaluation": seconds,
        "versions": dict(runnable.backend.versions()),
    }
