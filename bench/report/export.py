"""Files of pytest-benchmark: one from the records of a run, and records from one that it stored."""

import json
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytest_benchmark.stats import Stats

from bench.cells import key_of
from bench.records import Record, RunError, read_records, read_run


def export(folder: Path) -> dict[str, Any]:
    """Rebuild what `--benchmark-json` would have written, from the records alone.

    Benchmarks have the names that pytest gives them, so that `pytest-benchmark compare` matches both; as there,
    a case is left out whose replicates did not all give a fit.

    Parameters
    ----------
    folder : Path
        The run's folder.

    Raises
    ------
    RunError
        If the run can't be read.
    """
    run, records = read_run(folder), read_records(folder)
    cases: dict[tuple[str, str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        cases[key_of(record)].append(record)
    environment = run.get("environment", {})
    return {
        "machine_info": {
            "python_version": environment.get("python"),
            "system": environment.get("system"),
            "cpu": {"brand_raw": environment.get("cpu"), "count": environment.get("cores")},
        },
        "commit_info": {"id": environment.get("commit")},
        "benchmarks": [_benchmark(case) for case in cases.values() if all(record.status == "ok" for record in case)],
        "datetime": records[-1].time if records else None,
        "version": version("pytest-benchmark"),
    }


def read_stored(path: Path) -> list[Record]:
    """Read the records in a JSON file that pytest-benchmark stored.

    Raises
    ------
    RunError
        If it can't be read, or holds no records of this suite.
    """
    try:
        benchmarks = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        found = [record for benchmark in benchmarks for record in benchmark["extra_info"].get("records", ())]
        records = [Record.from_dict(record) for record in found]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunError(f"{path} is no file of pytest-benchmark ({type(error).__name__}: {error})") from error
    if not records:
        raise RunError(f"{path} holds no records of hierbench; give one that `pytest bench/` stored")
    return records


def _benchmark(case: list[Record]) -> dict[str, Any]:
    first = case[0]
    param = f"{first.dataset}-{first.model}-{first.backend}"
    stats = Stats()
    for record in case:
        stats.update(record.wall_seconds)
    return {
        "group": f"{first.dataset} {first.model}",
        "name": f"test_sample[{param}]",
        "fullname": f"bench/test_sample.py::test_sample[{param}]",
        "params": {"case": param},
        "param": param,
        "extra_info": {"records": [record.to_dict() for record in case]},
        "options": {},
        "stats": {**stats.as_dict(), "data": stats.data, "iterations": 1},
    }
