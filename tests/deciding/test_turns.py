"""Turns on a cluster: a stand-in for Dask where what is kept is tested, and a real one whose worker is killed."""

import json
import os
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from bench.cli import main
from bench.comparing.aa import simulated_record
from bench.deciding import environments, turns
from bench.deciding.environments import COMMITS
from bench.deciding.fitter import LostError
from bench.deciding.matrix import Combination, read_matrix
from bench.deciding.turns import TurnsElsewhere, records_of
from bench.deciding.versions import try_versions
from bench.records import Journal, Record, RunError, read_records, read_run
from bench.running import cluster
from bench.running.cluster import Answer, Job
from bench.running.dask_worker import Bench, ClientSession
from bench.running.environment import usable_cores
from bench.running.equality import Equality
from bench.running.isolation import Workers
from tests.deciding.test_versions import fake_environments

MATRIX = read_matrix("stanli==0.0.1,stanli==0.0.2", models="centered,marginal", replicates=2)
COMMAND = "import sys; from bench.cli import main; sys.exit(main(sys.argv[1:]))"
CASES = [("data", model, "stanli") for model in ("centered", "marginal")]


class OneSide:
    """A fitter that makes records up; `lost_at` is a replicate at which that of the second version ends."""

    cases = CASES
    lost_at = 99

    def __init__(self, environment: object, folder: Path, asked: object) -> None:
        self._folder = folder

    def begin(self, case: tuple[str, str, str], number: int) -> float:
        if number == self.lost_at and self._folder.name.endswith("2"):
            raise LostError("no space")
        made = simulated_record(backend=case[2], replicate=number, wall_seconds=1.0, versions={"stanli": "0"})
        self._now = replace(made, dataset=case[0], model=case[1], environment={"machine": Machines.at})
        return 1.0

    def again(self) -> None:
        """Make nothing anew."""

    def end(self) -> None:
        run = self._folder / "run"
        asked = {"backends": {"stanli": {"stanli": Machines.version}}, "asked": {"replicates": 1}}
        journal = Journal(run, None if run.exists() else asked)
        journal.append(self._now)
        journal.close()

    def close(self) -> None:
        """End nothing."""

    kill = close


class Machines:
    """A cluster of machines that take the jobs in turn, unless these belong to one of them."""

    names: tuple[str, ...] = ("m1", "m2")
    at = ""
    version = "1"
    versions: ClassVar[dict[str, str]] = {}
    broken = ""

    def __init__(self, *_: object, **__: object) -> None:
        self._jobs: deque[tuple[Job, str | None]] = deque()
        self._turn = 0
        self.benches: dict[str, Bench] = {}
        self.done: list[tuple[str, Any]] = []

    def add(self, jobs: Sequence[Job], machine: str | None = None) -> None:
        self._jobs.extend((job, machine) for job in jobs)

    def __iter__(self) -> Iterator[Answer]:
        while self._jobs:
            job, machine = self._jobs.popleft()
            if machine is None:
                machine = self.names[self._turn % len(self.names)]
                self._turn += 1
            self.done.append((machine, job.key))
            Machines.at, Machines.version = machine, self.versions.get(machine, "1")
            if machine == self.broken:
                yield Answer(job.key, "given up after 3 workers", "crashed")
                continue
            if machine not in self.benches:
                workers = Workers()
                self.benches[machine] = Bench(ClientSession("s"), workers, Equality(workers, None))
            yield Answer(job.key, job.call(self.benches[machine], *job.arguments))

    def close(self) -> None:
        for bench in self.benches.values():
            bench.close()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], tuple[TurnsElsewhere, list[str]]]:
    """Turns on two machines."""
    fake_environments(monkeypatch)
    monkeypatch.setattr(turns, "Fitter", OneSide)
    monkeypatch.setattr(turns, "Cluster", Machines)

    def made(folder: Path) -> tuple[TurnsElsewhere, list[str]]:
        said: list[str] = []
        return TurnsElsewhere(MATRIX, folder, said.append, "tcp://head:8786"), said

    return made


def test_a_cluster_that_is_not_there_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECTING", 0.5)
    with pytest.raises(RunError, match=r"no Dask scheduler answers at 127\.0\.0\.1:9"):
        try_versions(MATRIX, tmp_path / "x", print, dask="127.0.0.1:9")
    assert not (tmp_path / "x").exists()


Made = Callable[[Path], tuple[TurnsElsewhere, list[str]]]


def all_turns(found: TurnsElsewhere) -> dict[tuple[str, str, str], list[Combination]]:
    return {case: list(found.ready) for case in CASES}


def where(folder: Path) -> dict[tuple[str, str, int], list[str]]:
    """Machines of each model and replicate, version by version."""
    found: dict[tuple[str, str, int], list[str]] = {}
    for combination in MATRIX.combinations:
        for record in records_of(folder / combination.folder):
            key = (record.dataset, record.model, record.replicate)
            found.setdefault(key, []).append(str(record.environment["machine"]))
    return found


def test_all_versions_of_a_case_are_on_one_machine_and_stay_there(tmp_path: Path, elsewhere: Made) -> None:
    folder = tmp_path / "v"
    found, said = elsewhere(folder)
    found.take(all_turns(found), 0)
    found.close()
    found, said = elsewhere(folder)  # and of what is gone on with
    found.take(all_turns(found), 1)
    found.close()
    machines = where(folder)
    assert set(machines) == {("data", model, number) for model in ("centered", "marginal") for number in (0, 1)}
    assert all(len(each) == 2 and len(set(each)) == 1 for each in machines.values())
    assert machines["data", "centered", 0] != machines["data", "marginal", 0]
    assert machines["data", "centered", 0] == machines["data", "centered", 1]
    assert not said
    assert not found.notes
    for run in folder.glob("*/*/run.json"):
        assert run.parent.name in ("on-m1", "on-m2")
        asked = read_run(run.parent)
        assert asked["command"] == ["hierbench", "versions", "--resume", "v"]
        assert asked["asked"]["replicates"] == 2
        assert asked["run"] == run.parent.name
        assert (run.parent / "index.html").exists()


def test_a_version_that_is_lost_on_a_machine_is_told_and_no_longer_asked_for(
    tmp_path: Path, elsewhere: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OneSide, "lost_at", 1)
    found, said = elsewhere(tmp_path / "v")
    found.take(all_turns(found), 0)
    found.take(all_turns(found), 1)
    assert [each.name for each in found.ready] == ["stanli==0.0.1"]
    assert found.notes == ["stanli==0.0.2: no space"]
    assert said == ["    stanli==0.0.2: no space"]
    found.kill()
    made = [Counter(r.replicate for r in records_of(tmp_path / "v" / each.folder)) for each in MATRIX.combinations]
    assert made == [{0: 2, 1: 2}, {0: 2}]


def test_a_machine_with_other_versions_is_left_out_and_told(
    tmp_path: Path, elsewhere: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machines, "versions", {"m1": "9"})
    found, _ = elsewhere(tmp_path / "v")  # on m1; so m2 has the first case, and m1 the second
    found.take(all_turns(found), 0)
    found.kill()
    monkeypatch.setattr(Machines, "names", ("m1",))
    found, _ = elsewhere(tmp_path / "v")  # one that goes on knows what was there before
    found.take({CASES[1]: list(found.ready)}, 0)
    assert (
        "stanli==0.0.1: machine m1 has stanli 9, and the one before it stanli 1; its fits are left out" in found.notes
    )
    assert set(where(tmp_path / "v")) == {("data", "centered", 0)}
    found.kill()


def test_an_answer_that_is_asked_for_again_is_given_again(elsewhere: Made) -> None:
    workers = Workers()
    bench = Bench(ClientSession("s"), workers, Equality(workers, None))
    first, second = (turns.turn_there(bench, MATRIX, CASES[0], 0, MATRIX.combinations) for _ in range(2))
    assert len(first.records) == 2
    assert first == second
    made = bench.kept["turns"]
    assert isinstance(made, turns.TurnsHere)
    assert [path.read_text().count("\n") for path in made.folder.glob("*/run/records.jsonl")] == [1, 1]
    bench.close()
    assert not made.folder.exists()


def test_what_no_worker_can_make_is_told(tmp_path: Path, elsewhere: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machines, "broken", "m2")
    found, _ = elsewhere(tmp_path / "v")
    found.take(all_turns(found), 0)
    assert found.notes == ["data centered stanli, replicate 0: given up after 3 workers"]
    assert set(where(tmp_path / "v")) == {("data", "marginal", 0)}
    found.kill()
    monkeypatch.setattr(Machines, "broken", "m1")
    with pytest.raises(RunError, match="a worker could not make the environments: given up after 3 workers"):
        elsewhere(tmp_path / "w")


def test_gradients_are_not_timed_on_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versions", "--try", "stanli==0.0.1", "--gradient", "--dask", "local:1"]) == 2
    assert "--dask is for fits; gradients are timed here: leave it out" in capsys.readouterr().err


@pytest.mark.slow
def test_versions_are_compared_on_a_cluster_though_a_worker_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for combination in MATRIX.combinations:  # as pip would make them; but they are this environment
        wanted = [environments.requirement(package) for package in combination.packages]
        folder = tmp_path / "hierbench" / "environments" / environments._key(combination, wanted, python)
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (folder / "bin" / "python").chmod(0o755)
        (folder / COMMITS).write_text("{}\n")
    count = min(2, len(usable_cores()))
    asked = ["--try", "stanli==0.0.1,stanli==0.0.2", "--model", "centered,marginal,noncentered", "--replicates", "2"]
    fits = ["--cores", "1", "--draws", "3000", "--dask", f"local:{count}", "--output", str(tmp_path / "out")]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "versions", *asked, *fits],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while process.poll() is None and not list((tmp_path / "out").glob("*/*/*/records.jsonl")):
        time.sleep(0.02)
    workers = [each for each in psutil.Process(process.pid).children() if "spawn_main" in " ".join(each.cmdline())]
    if workers:
        workers[0].kill()
    said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said
    assert "stanli==0.0.1 (A) to stanli==0.0.2 (B)" in said
    (folder,) = (tmp_path / "out").iterdir()
    assert json.loads((folder / "versions.json").read_text())["replicates"] == 2
    for combination in MATRIX.combinations:
        found: list[Record] = records_of(folder / combination.folder)
        assert Counter(record.model for record in found) == {"centered": 2, "marginal": 2, "noncentered": 2}
        assert {record.status for record in found} == {"ok"}
        assert all(record.environment["usable_cores"] == len(usable_cores()) // count for record in found)
        assert all(read_records(run) for run in turns.runs_of(folder / combination.folder))
