"""A real Dask cluster: who gets which job, and what comes back whatever dies meanwhile."""

import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from bench.backends import BACKENDS
from bench.running import cluster as module
from bench.running import dask_worker
from bench.running.cluster import Answer, Cluster, ClusterError, Job
from bench.running.environment import machine, usable_cores
from tests.running.jobs import Outside, die, echo, fail

CORES = len(usable_cores())


def echoes(name: str, count: int, seconds: float = 0.0) -> list[Job]:
    return [Job((name, i), echo, ((name, i), seconds)) for i in range(count)]


def values(answers: list[Answer]) -> list[tuple[str, int]]:
    """Of jobs that echo, all of which did."""
    assert {answer.status for answer in answers} == {"ok"}
    assert all(answer.key == answer.value[0] for answer in answers)
    return [answer.key for answer in answers]


@pytest.mark.parametrize(
    ("address", "chains", "said"),
    [
        ("local:0", 1, f"this machine has {CORES} cores: give local:1 to local:{CORES}"),
        ("local:", 1, "give local:1"),
        ("local:-1", 1, "give local:1"),
        (f"local:{CORES + 1}", 1, f"this machine has {CORES} cores"),
        (f"local:{CORES}", CORES, "add --cores 1, or give --dask local:1"),
        ("somewhere", 1, "give a scheduler, e.g. tcp://host:8786, the path of its file, or local:2"),
        ("tcp://somewhere", 1, "give a scheduler"),
    ],
)
def test_what_is_no_address_is_refused_with_what_to_type(address: str, chains: int, said: str) -> None:
    if CORES == 1 and chains == CORES and address == "local:1":
        pytest.skip("one core can't be divided")
    with pytest.raises(ClusterError, match="local") as refused:
        Cluster(address, [], chains=chains)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_where_nobody_answers_one_line_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTING", 0.5)
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at 127\.0\.0\.1:9 .*; to start one, type: dask"):
        Cluster("127.0.0.1:9", [])


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        ClusterError, match=r"^--dask needs the package distributed .*; type: pip install 'hierbench\[dask\]'$"
    ):
        Cluster("local:1", [])


def test_one_fit_at_a_time_is_made_on_a_core() -> None:
    order = []

    def second() -> None:
        with dask_worker.alone(frozenset({0, 1})):
            order.append("second")

    with dask_worker.alone(frozenset({1})):
        thread = Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.slow
def test_jobs_are_answered_once_in_the_order_of_their_groups_whoever_dies(tmp_path: Path) -> None:
    cluster = Cluster(f"local:{min(2, CORES)}", [])
    try:
        for name in "abcd":
            cluster.add(echoes(name, 3))
        cluster.add([*echoes("e", 1), Job("dies", die, (str(tmp_path / "once"),)), *echoes("f", 2)])
        cluster.add([Job("deadly", die, ()), Job("odd", fail, ())])
        answers = list(cluster)
        by_key = {answer.key: answer for answer in answers}
        assert len(answers) == len(by_key) == 18
        assert (by_key["dies"].status, by_key["dies"].value) == ("ok", "survived")
        assert by_key["deadly"].status == "crashed"
        assert "given up after 3 workers: " in by_key["deadly"].value
        assert (by_key["odd"].status, by_key["odd"].value) == ("failed", "ZeroDivisionError: odd job")
        done = values([answer for answer in answers if isinstance(answer.key, tuple)])
        for name in "abcdef":
            assert [i for of, i in done if of == name] == sorted(i for of, i in done if of == name)
    finally:
        cluster.close()


@pytest.mark.slow
def test_a_worker_that_differs_gets_no_work_and_the_difference_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    there = dask_worker.software([BACKENDS["stanli"]])
    name = next(name for name in there if name.startswith("stanli: "))
    monkeypatch.setattr(module.dask_worker, "software", lambda backends: {**there, name: "0.1"})
    with pytest.raises(ClusterError, match="no worker can be used") as refused:
        Cluster("local:1", [BACKENDS["stanli"]])
    assert f"{name} is {there[name]} there and 0.1 here" in str(refused.value)


@pytest.mark.slow
def test_a_scheduler_of_another_version_and_workers_without_hierbench_are_refused(outside: Outside) -> None:
    scheduler = outside.scheduler(preload="import distributed.versions as v\nv.version = lambda name: '2020.1.0'\n")
    with pytest.raises(ClusterError, match=r"is Dask distributed 2020\.1\.0, .* type: pip install distributed==2020"):
        Cluster(outside.address, [])
    scheduler.kill()
    scheduler.wait()
    outside.scheduler()
    outside.worker(preload="import sys\nsys.modules['bench'] = None\n")
    with pytest.raises(ClusterError, match=r"it has no hierbench .*; there, type: pip install 'hierbench\[dask\]'"):
        Cluster(str(outside.file), [])


@pytest.mark.slow
def test_what_began_on_a_machine_goes_on_there_or_elsewhere_once_it_is_gone(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MACHINE_GONE", 3.0)
    outside.scheduler()
    outside.worker()
    other = "import bench.running.environment as e\ne.machine = lambda: 'another'\n"
    workers = [outside.worker(other)]
    cluster = Cluster(outside.address, [])
    try:
        while len({slot.info.machine for slot in cluster._here.slots.values()}) < 2:
            cluster._turn()
        pids = {slot.info.machine: set() for slot in cluster._here.slots.values()}
        for of in pids:
            cluster.add(echoes(of, 5, 0.1), of)
        for answer in cluster:
            pids[answer.key[0]].add(answer.value[1])
        assert pids["another"] == {workers[0].pid}
        assert len(pids[machine()]) == 1
        assert pids[machine()].isdisjoint(pids["another"])
        began = time.monotonic()
        workers[0].kill()
        cluster.add(echoes("late", 2), "another")
        assert values(list(cluster)) == [("late", 0), ("late", 1)]
        assert time.monotonic() - began > 2.5  # they waited for their machine
    finally:
        cluster.close()


@pytest.mark.slow
@pytest.mark.parametrize("missed", [True, False], ids=["missed", "back at once"])
def test_a_scheduler_that_comes_back_is_gone_on_with(outside: Outside, missed: bool) -> None:
    """Dask's client connects again by itself where the scheduler is back before anybody looks."""
    scheduler = outside.scheduler()
    port = int(outside.address.rpartition(":")[2])
    said: list[str] = []

    def start_again() -> None:
        outside.scheduler(port)
        outside.worker()

    def say(line: str) -> None:
        said.append(line)
        if missed and "the scheduler at" in line and "is gone" in line:
            start_again()

    outside.worker()
    cluster = Cluster(outside.address, [], say=say)
    try:
        for name in "ab":
            cluster.add(echoes(name, 4, 0.5))
        answers = [next(cluster), next(cluster)]
        scheduler.send_signal(signal.SIGKILL)
        scheduler.wait()
        if not missed:
            start_again()
        answers += list(cluster)
        assert sorted(values(answers)) == [(name, i) for name in "ab" for i in range(4)]
        assert not missed or sum("is gone: waiting" in line for line in said) == 1
    finally:
        cluster.close()


@pytest.mark.slow
def test_a_worker_that_is_stopped_and_answers_late_is_not_counted_twice(outside: Outside) -> None:
    outside.scheduler(preload="import dask\ndask.config.set({'distributed.scheduler.worker-ttl': '2s'})\n")
    first = outside.worker()
    cluster = Cluster(outside.address, [])
    try:
        cluster.add(echoes("a", 3, 1.0))
        answers = [next(cluster)]
        os.kill(first.pid, signal.SIGSTOP)
        outside.worker()
        answers.append(next(cluster))
        os.kill(first.pid, signal.SIGCONT)
        answers += list(cluster)
        assert values(answers) == [("a", 0), ("a", 1), ("a", 2)]
    finally:
        cluster.close()
