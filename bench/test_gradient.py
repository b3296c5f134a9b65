"""One evaluation of log density and gradient, at typical places: what NUTS does most."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.running.measure import Case
from bench.running.run import Run
from bench.settings import ROUND_SECONDS, ROUNDS, TYPICAL


def test_gradient(runnable: Case, run: Run, benchmark: BenchmarkFixture) -> None:
    """Time one evaluation in the worker; a round is the fastest of as many passes over typical places as take 20 ms."""
    asked = run.plan.asked
    worker = run.workers[runnable.backend]
    worker.prepare(runnable.model, runnable.dataset, asked.fit_timeout)
    verdict = run.equality.check(runnable.family, runnable.model, runnable.dataset, runnable.backend, worker)
    if not verdict.passes:
        pytest.fail(str(verdict), pytrace=False)
    values = run.equality.typical(runnable.family, runnable.model, runnable.dataset, TYPICAL)
    worker.prepare(runnable.model, runnable.dataset, asked.fit_timeout)
    repeats = max(1, int(ROUND_SECONDS / (len(values) * worker.repeat_gradient(values, 1, asked.fit_timeout))))
    benchmark.group = f"gradient {runnable.dataset.id} {runnable.model.name}"
    seconds: list[float] = []
    benchmark.pedantic(
        lambda: seconds.append(worker.repeat_gradient(values, repeats, asked.fit_timeout)), rounds=ROUNDS, iterations=1
    )
    # what stands in pytest-benchmark's table is the time of one evaluation, and no round trip to the worker
    benchmark.stats.iterations = repeats * len(values)
    benchmark.stats.stats.data[:] = seconds
    benchmark.extra_info |= {
        "dataset": runnable.dataset.id,
        "model": runnable.model.name,
        "backend": runnable.backend.name,
        "versions": dict(runnable.backend.versions()),
    }
