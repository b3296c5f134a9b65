"""`pytest bench/ --dask local:2` as its users type it: the records are those of a run without it, whoever dies."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.records import Record, read_records
from bench.running.environment import usable_cores

ROOT = Path(__file__).parents[2]
TIMES = {
    "run", "time", "wall_seconds", "cpu_seconds", "prepare_seconds", "prepare_cpu_seconds", "prepare_cache",
    "warmup_seconds", "sampling_seconds", "extraction_seconds", "derive_seconds", "ess_per_second",
    "ess_per_chain_second", "peak_memory",
}  # fmt: skip
FITS = 12


def start(runs: Path, *arguments: str) -> subprocess.Popen[str]:
    fits = ("--grid", "smoke", "--backend", "stanli", "--model", "marginal,centered,noncentered", "--replicates", "4")
    settings = ("--chains", "2", "--warmup", "500", "--draws", "1000", "--cores", "1", "--runs", str(runs))
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "bench/", "--benchmark-only", *fits, *settings, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def lines(runs: Path) -> int:
    return sum(path.read_text().count("\n") for path in runs.glob("*/records.jsonl"))


def wait_for(runs: Path, count: int, process: subprocess.Popen[str]) -> None:
    while lines(runs) < count and process.poll() is None:
        time.sleep(0.02)


def fixed(record: Record) -> dict[str, Any]:
    """What of a record is the same wherever it is made."""
    found = {name: value for name, value in record.to_dict().items() if name not in TIMES}
    found["environment"].pop("usable_cores")
    (found["grade"] or {}).pop("seconds_to_error", None)
    return found


def records(runs: Path) -> dict[tuple[str, str, str, int], dict[str, Any]]:
    (folder,) = runs.iterdir()
    found = read_records(folder)
    assert len({record.key for record in found}) == len(found)
    return {record.key: fixed(record) for record in found}


@pytest.mark.slow
def test_the_records_are_those_of_a_run_at_home_though_workers_and_the_client_are_killed(tmp_path: Path) -> None:
    at_home, on_cluster = tmp_path / "home", tmp_path / "cluster"
    home = start(at_home)
    said = home.communicate(timeout=200)[0]
    assert home.returncode == 0, said
    cluster = f"local:{min(2, len(usable_cores()))}"
    first = start(on_cluster, "--dask", cluster)
    wait_for(on_cluster, 2, first)
    workers = [each for each in psutil.Process(first.pid).children() if "spawn_main" in " ".join(each.cmdline())]
    workers[0].kill()
    wait_for(on_cluster, 6, first)
    first.kill()
    first.communicate()
    assert 6 <= lines(on_cluster) <= FITS
    second = start(on_cluster, "--dask", cluster, "--resume")
    said = second.communicate(timeout=200)[0]
    assert second.returncode == 0, said
    assert records(on_cluster) == records(at_home)
    assert len(records(at_home)) == FITS


@pytest.mark.slow
def test_a_fit_that_has_more_chains_at_a_time_than_cores_is_refused(tmp_path: Path) -> None:
    cores = len(usable_cores())
    if cores == 1:
        pytest.skip("one core can't be divided")
    process = start(tmp_path / "runs", "--dask", f"local:{cores}", "--cores", "2")
    said = process.communicate(timeout=200)[0]
    assert process.returncode == 2, said
    assert f"local:{cores} leaves each worker 1 of {cores} cores, and a fit runs 2 chains at the same time" in said
    assert not (tmp_path / "runs").exists()
