"""THE benchmark: a model on a dataset by a backend; replicates, with a seed each, are its rounds."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.records import Record, RunError
from bench.running.measure import Case
from bench.running.run import Run
from bench.words import printable


def test_sample(case: Case, run: Run, benchmark: BenchmarkFixture) -> None:
    """Time sampling, from the call until all draws are arrays in memory, and keep a record of each replicate."""
    numbers = run.missing(case)
    if not numbers:
        pytest.skip(f"measured already in run {run.journal.id}")
    if refused := run.impossible(case):
        for number in numbers:
            run.refuse(case, number, *refused)
        pytest.skip(f"{case.backend.name}: {refused[1]}")

    benchmark.group = f"{case.dataset.id} {case.model.name}"
    records: list[Record] = []
    try:
        benchmark.pedantic(
            lambda: records.append(run.measure(case, numbers[len(records)])), rounds=len(numbers), iterations=1
        )
    except RunError as error:  # what can't be recorded need not be measured
        pytest.exit(str(error), returncode=1)
    # what stands in pytest-benchmark's table is the records' wall time, and no round trip to the worker
    benchmark.stats.stats.data[:] = [record.wall_seconds or 0.0 for record in records]
    benchmark.extra_info["records"] = [record.to_dict() for record in records]

    failed = [record for record in records if record.status != "ok"]
    if failed:
        benchmark.has_error = True  # times that are not those of fits must not stand in pytest-benchmark's JSON
        benchmark.stats.stats.data.clear()  # nor in its table
        reason = "\n".join(map(printable, failed[0].reason.splitlines()))
        pytest.fail(f"{failed[0].status}: {reason}", pytrace=False)
