"""Builds: from the programs and the data to something that can be sampled, with a warm cache and with an empty one."""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.running.isolation import Worker
from bench.running.measure import Case
from bench.running.run import Run


def _measure(case: Case, run: Run, benchmark: BenchmarkFixture, environment: dict[str, str]) -> None:
    """Time one build in a new process, whose imports are done."""
    limit, timeout = run.plan.asked.memory_limit, run.plan.asked.fit_timeout
    with Worker(case.backend, environment=environment, memory_limit=limit, timeout=timeout) as worker:
        prepared = benchmark.pedantic(worker.prepare, args=(case.model, case.dataset, timeout), rounds=1, iterations=1)
    benchmark.extra_info |= {
        "dataset": case.dataset.id,
        "model": case.model.name,
        "backend": case.backend.name,
        "prepare_seconds": prepared.seconds,
        "prepare_cache": prepared.cache,
        "versions": dict(case.backend.versions()),
    }


def test_prepare_warm(runnable: Case, run: Run, benchmark: BenchmarkFixture) -> None:
    """Build in a new process when the same was built before."""
    with Worker(runnable.backend) as worker:
        worker.prepare(runnable.model, runnable.dataset, run.plan.asked.fit_timeout)
    benchmark.group = f"warm build {runnable.model.name}"
    _measure(runnable, run, benchmark, {})


@pytest.mark.cold
def test_prepare_cold(runnable: Case, run: Run, benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Build in a new process with an empty cache of its own."""
    benchmark.group = f"cold build {runnable.model.name}"
    _measure(runnable, run, benchmark, dict(runnable.backend.cache_environment(tmp_path)))
