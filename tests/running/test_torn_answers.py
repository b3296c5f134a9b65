"""Answers that never end: the limit of a fit covers their reading too, and nothing else is lost."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from bench.families.normal_means.data import normal_means
from bench.families.normal_means.forms import MODELS
from bench.records import read_records
from bench.running.isolation import Worker, WorkerCrashedError, WorkerTimeoutError
from bench.settings import Settings
from tests.running.hostile import Hostile, answer_large, answer_slowly, answer_torn, answer_torn_and_exit, measure

MODEL, DATASET = MODELS["centered"], normal_means(1.0, [20] * 5)
SETTINGS = Settings(chains=2, warmup=20, draws=20)


def sample(worker: Worker, timeout: float) -> float:
    worker.prepare(MODEL, DATASET, 60)
    return worker.sample(SETTINGS, 1, None, ["mu"], timeout).seconds


@pytest.mark.parametrize("fault", [answer_torn, answer_slowly])
def test_an_answer_that_does_not_end_is_a_timeout_and_the_worker_is_gone(fault: object) -> None:
    with Worker(Hostile("torn", sample=fault), timeout=60) as worker:  # type: ignore[arg-type]
        with pytest.raises(WorkerTimeoutError, match=r"sample took longer than 2 s on \S+ cores and was") as caught:
            sample(worker, 2)
        assert caught.value.status == "timeout"
        assert worker.closed
        assert not Path(f"/proc/{worker.pid}").exists()


def test_an_answer_that_ends_in_the_middle_with_its_worker_is_a_crash() -> None:
    with (
        Worker(Hostile("torn", sample=answer_torn_and_exit), timeout=60) as worker,
        pytest.raises(WorkerCrashedError, match=r"exited with code 3|truncated"),
    ):
        sample(worker, 60)


def test_the_memory_is_watched_while_an_answer_is_read() -> None:
    with (
        Worker(Hostile("large", sample=answer_large), timeout=60, memory_limit=2**29) as worker,
        pytest.raises(WorkerCrashedError, match=r"sample held .* more than the limit of 0\.50 GiB"),
    ):
        sample(worker, 60)


def test_a_message_that_nobody_reads_is_a_timeout() -> None:
    with Worker(Hostile("plain"), timeout=60) as worker:
        worker.prepare(MODEL, DATASET, 60)
        os.kill(_worker(worker), signal.SIGSTOP)  # the socket's buffer is full long before the message ends
        with pytest.raises(WorkerTimeoutError, match="repeat_gradient took longer than 1 s"):
            worker.repeat_gradient([{"mu": np.zeros(2**22)}], 1, 1.0)


def _worker(worker: Worker) -> int:
    """Process id of the worker itself, the one child of its guard."""
    return int(Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()[0])


def test_large_answers_arrive_whole() -> None:
    with Worker(Hostile("plain"), timeout=60) as worker:
        worker.prepare(MODEL, DATASET, 60)
        worker.sample(Settings(chains=2, warmup=20, draws=20_000), 1, None, ["mu", "mu_g"], 60)
        fit = worker.fetch()
        assert fit.draws["mu_g"].shape == (2, 20_000, 5)
        assert np.isfinite(fit.draws["mu_g"]).all()
        assert sample(worker, 60) > 0  # and the next answer is read from its beginning


WRONG = {
    "complex-draws": "draws of mu came back as complex128, not as real numbers",
    "text-draws": "draws of mu came back as <U32, not as real numbers",
    "list-of-draws": "draws are a list, not arrays by name",
    "text-seconds": "extraction_seconds came back as str, not as a number",
    "complex-density": "the log density is complex, not of real numbers",
    "text-density": "the log density is str, not of real numbers",
    "no-density": "the log density is NoneType, not of real numbers",
    "array-density": "the log density has shape (2,), not that of one number",
    "complex-gradient": "the gradient is complex128, not of real numbers",
    "text-gradient": "the gradient is list, not of real numbers",
}
"""Answers of a wrong type, and the reason that their record gives."""


@pytest.mark.slow
def test_answers_of_a_wrong_type_have_a_record_that_failed_and_says_why_and_a_page(tmp_path: Path) -> None:
    done = measure(tmp_path / "runs", "--backend", ",".join(["stanli", *WRONG, "last"]))
    (run,) = (tmp_path / "runs").iterdir()
    records = {record.backend: record for record in read_records(run)}
    assert records.keys() == {"stanli", *WRONG, "last"}
    for backend, reason in WRONG.items():
        assert records[backend].status == "failed", records[backend]
        assert reason in records[backend].reason.splitlines()[0]
        assert records[backend].wall_seconds is None
    assert records["stanli"].status == records["last"].status == "ok"
    assert done.returncode == 1
    assert f"page:    {run / 'index.html'}" in done.stdout
    assert "Traceback" not in (run / "index.html").read_text(encoding="utf-8").partition("What failed")[0]
