"""Workers that crash, hang, eat memory, lie and leave children: each costs one call, and nothing of them is left."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from uuid import uuid4

import numpy as np
import psutil
import pytest

from bench.backends.base import Fit
from bench.backends.stanli import Stanli
from bench.families.normal_means.data import grid
from bench.families.normal_means.forms import MODELS
from bench.running.isolation import Worker, WorkerCrashedError, WorkerError, Workers, WorkerTimeoutError
from bench.settings import Settings
from tests.running import faults
from tests.running.faults import CRASHES, Faulty
from tests.running.processes import MARK, left_running

MODEL = MODELS["centered"]
(DATASET,) = grid("smoke")
SETTINGS = Settings(chains=2, warmup=100, draws=100)
KEEP = ("mu", "sigma", "omega", "mu_g")
STAGES = ("prepare", "sample")


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """When a test is done, no process that it started may run, and no temporary file of one may be there."""
    mark = uuid4().hex
    monkeypatch.setenv(MARK, mark)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield
    assert left_running(mark) == []
    assert list(tmp_path.iterdir()) == []


def fit_once(worker: Worker, timeout: float | None = None) -> Fit:
    worker.prepare(MODEL, DATASET, timeout)
    worker.sample(SETTINGS, 1, None, KEEP, timeout)
    return worker.fetch()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "allocate" else []) for name in CRASHES]
)
def test_a_crash_says_how_and_leaves_nothing(name: str, stage: str) -> None:
    fault, reason = CRASHES[name]
    worker = Worker(Faulty(name, **{stage: fault}), memory_limit=2**30)
    with pytest.raises(WorkerCrashedError, match=f"(?s){reason}|{stage} held") as caught:
        fit_once(worker, timeout=60)
    assert stage in str(caught.value)
    assert reason in str(caught.value)
    assert worker.closed


@pytest.mark.parametrize("stage", STAGES)
def test_time_out_is_exact_to_two_seconds_in_c_code_that_holds_the_gil(stage: str) -> None:
    worker = Worker(Faulty("hang", **{stage: faults.hang}))
    if stage == "sample":
        worker.prepare(MODEL, DATASET, 60)
    began = time.monotonic()
    with pytest.raises(WorkerTimeoutError, match=f"{stage} took longer than 1 s"):
        fit_once(worker, timeout=1)
    assert 1 <= time.monotonic() - began < 3
    assert worker.closed


@pytest.mark.parametrize(("fault", "least", "most"), [("hang", 0.0, 0.05), ("busy", 0.1, 1.2)])
def test_a_time_out_says_how_busy_the_worker_was(fault: str, least: float, most: float) -> None:
    worker = Worker(Faulty(fault, sample=getattr(faults, fault)))
    with pytest.raises(WorkerTimeoutError, match=r"sample took longer than 3 s on \d\.\d\d cores and was") as caught:
        fit_once(worker, timeout=3)
    assert least <= float(str(caught.value).split(" cores")[0].split()[-1]) <= most


def test_imports_that_hang_time_out(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("modules")
    (folder / "it_hangs.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.syspath_prepend(folder)
    backend = Faulty("imports")
    backend.imports = ("it_hangs",)
    with pytest.raises(WorkerTimeoutError, match="start took longer than 1 s"):
        Worker(backend, timeout=1)


def test_an_error_keeps_the_worker() -> None:
    with Worker(Faulty("error", sample=faults.raise_error)) as worker:
        for _ in range(2):
            with pytest.raises(WorkerError, match="RuntimeError: no luck") as caught:
                fit_once(worker)
            assert caught.value.status == "failed"
        assert not worker.closed


@pytest.mark.parametrize("answer", [faults.bomb, faults.unreadable])
def test_an_answer_of_foreign_code_is_refused_unread(answer: Callable[[Fit], Fit]) -> None:
    """`bomb` would end this very process."""
    worker = Worker(Faulty("answer", answer=answer))
    with pytest.raises(WorkerCrashedError, match="answer to fetch could not be read"):
        fit_once(worker)
    assert worker.closed


def test_an_answer_that_cannot_be_sent_is_an_error() -> None:
    with Worker(Faulty("answer", answer=faults.unwritable)) as worker:
        with pytest.raises(WorkerError, match="TypeError: cannot be pickled"):
            fit_once(worker)
        assert not worker.closed


def test_what_a_backend_prints_does_not_reach_its_answer(capfd: pytest.CaptureFixture[str]) -> None:
    with Worker(Faulty("print", sample=faults.print_garbage)) as noisy, Worker(Stanli()) as quiet:
        np.testing.assert_array_equal(fit_once(noisy).draws["mu"], fit_once(quiet).draws["mu"])
    assert capfd.readouterr() == ("", "")


def test_children_that_a_fit_left_go_with_the_worker() -> None:
    with Worker(Faulty("children", sample=faults.leave_children)) as worker:
        fit_once(worker)
        assert len(psutil.Process(worker.pid).children(recursive=True)) == 4  # itself and three that sleep


def test_a_guard_that_is_killed_takes_the_worker_along(tmp_path: Path) -> None:
    with Worker(Stanli()) as worker:
        psutil.Process(worker.pid).kill()
    for folder in tmp_path.iterdir():  # the guard's own task
        folder.rmdir()


def test_the_next_fit_starts_in_a_new_worker_with_the_same_draws() -> None:
    backend, workers = Stanli(), Workers()
    first = workers[backend]
    before = fit_once(first)
    assert workers[backend] is first
    (process,) = psutil.Process(first.pid).children()
    process.kill()
    with pytest.raises(WorkerCrashedError, match="killed by SIGKILL in sample"):
        first.sample(SETTINGS, 1, None, KEEP)
    after = fit_once(workers[backend])
    workers.close()
    assert before.draws.keys() == after.draws.keys()
    for name, draws in before.draws.items():
        np.testing.assert_array_equal(draws, after.draws[name])


def test_ctrl_c_stops_the_fit() -> None:
    worker = Worker(Faulty("hang", sample=faults.hang))
    Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        fit_once(worker)
    assert worker.closed


def test_a_posterior_stays_in_the_worker_between_fits() -> None:
    with Worker(Faulty("counted", prepare=faults.nothing)) as worker:
        prepared = worker.prepare(MODEL, DATASET)
        assert worker.prepare(MODEL, DATASET) is prepared
        assert worker.prepare(MODELS["noncentered"], DATASET) is not prepared


@pytest.mark.slow
def test_peak_memory_is_that_of_the_last_call() -> None:
    with Worker(Faulty("memory", sample=faults.hold_memory)) as worker:
        worker.prepare(MODEL, DATASET)
        worker.sample(SETTINGS, 1, None, KEEP)
        assert faults.HELD < worker.peak_memory < faults.HELD + 2**29
        worker.fetch()
        assert worker.peak_memory < faults.HELD


def test_a_worker_opens_no_network() -> None:
    with Worker(Stanli()) as worker:
        fit_once(worker)
        processes = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
        assert [process.net_connections(kind="inet") for process in processes] == [[], []]
