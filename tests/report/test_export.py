"""A rebuilt file of pytest-benchmark against the one that pytest-benchmark wrote, and read by its own command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.comparing.aa import simulated_record
from bench.records import Journal, RunError
from bench.report.export import export
from tests.running.processes import Bench


def compare(*files: Path) -> str:
    """Return what `pytest-benchmark compare` prints."""
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "--columns=mean,rounds", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_a_run_is_exported_as_pytest_benchmark_wrote_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    theirs, ours = tmp_path / "theirs.json", tmp_path / "ours.json"
    assert bench("--backend", "stanli,error-sample,slow", "--replicates", "2", "--benchmark-json", theirs) == 1
    exported = export(bench.run)
    ours.write_text(json.dumps(exported, allow_nan=False))
    written = json.loads(theirs.read_text())
    assert exported.keys() == written.keys()
    assert len(exported["benchmarks"]) == len(written["benchmarks"]) == 2
    for mine, other in zip(exported["benchmarks"], written["benchmarks"], strict=True):
        assert mine.keys() == other.keys()
        for name in ("name", "fullname", "group", "param", "extra_info"):
            assert mine[name] == other[name]
        assert mine["stats"].keys() == other["stats"].keys()
        assert mine["stats"]["data"] == pytest.approx(other["stats"]["data"], abs=0.1)  # theirs has the call, too
    table = compare(theirs, ours)
    for name in ("omega1-G5-n20-s41-centered-stanli", "omega1-G5-n20-s41-centered-slow"):
        assert table.count(name) == 2


def run_with(folder: Path, **replicates: list[float | None]) -> Path:
    journal = Journal(folder / "run", {"environment": {"cores": 2}})
    for backend, seconds in replicates.items():
        for number, wall in enumerate(seconds):
            status = "ok" if wall else "timeout"
            made = {"backend": backend, "replicate": number, "wall_seconds": wall, "status": status}
            journal.append(simulated_record(dataset="omega1-G5-n20-s41", **made))
    journal.close()
    return journal.folder


def test_replicates_become_rounds_and_broken_cases_are_left_out(tmp_path: Path) -> None:
    exported = export(run_with(tmp_path, stanli=[1.0, 2.0, 6.0], pymc=[1.0, None], nutpie=[None]))
    (benchmark,) = exported["benchmarks"]
    assert benchmark["fullname"] == "bench/test_sample.py::test_sample[omega1-G5-n20-s41-centered-stanli]"
    assert benchmark["stats"]["data"] == [1.0, 2.0, 6.0]
    assert benchmark["stats"]["mean"] == 3.0
    assert benchmark["stats"]["rounds"] == 3


def test_a_run_without_a_fit_is_exported_and_read(tmp_path: Path) -> None:
    for number, folder in enumerate((run_with(tmp_path / "a"), run_with(tmp_path / "b", pymc=[None]))):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(export(folder)))
        assert json.loads(path.read_text())["benchmarks"] == []


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run\.json can't be read"):
        export(tmp_path)
