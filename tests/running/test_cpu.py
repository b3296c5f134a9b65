"""CPU seconds against known loads."""

import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.backends import BACKENDS
from bench.backends.base import Fit
from bench.families.base import Dataset, Model, Program
from bench.running import cpu
from bench.running.cpu import cpu_seconds, cpu_seconds_of
from bench.running.isolation import Worker
from bench.running.measure import advanced
from bench.settings import Settings

LOAD = 0.4
BURN = f"import time\nwhile time.process_time() < {LOAD}: pass"
TICK = 0.03
"""Seconds by which the kernel's clocks and a new process may differ."""


def burn() -> None:
    """Use this thread's CPU for the load."""
    until = time.thread_time() + LOAD
    while time.thread_time() < until:
        pass


def test_it_counts_this_process_and_its_threads() -> None:
    before = cpu_seconds()
    burn()
    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()
    assert cpu_seconds() - before == pytest.approx(2 * LOAD, abs=5 * TICK)


def test_it_counts_children_that_ended_and_children_of_children() -> None:
    before = cpu_seconds()
    subprocess.run([sys.executable, "-S", "-c", BURN], check=True)
    shell = f"{sys.executable} -S -c '{BURN}' & wait"
    subprocess.run(["sh", "-c", shell], check=True)
    assert 2 * LOAD < cpu_seconds() - before < 2 * LOAD + 10 * TICK


def test_a_process_that_is_gone_uses_nothing() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert cpu_seconds_of(child.pid) == 0


def test_it_counts_a_child_that_is_still_alive() -> None:
    before = cpu_seconds()
    text = f"{BURN}\nprint('done', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-S", "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        assert LOAD - TICK < cpu_seconds() - before < LOAD + 10 * TICK
        assert LOAD - TICK < cpu_seconds_of(child.pid) < LOAD + 10 * TICK
        child.communicate(b"\n")


def test_where_the_system_keeps_no_times_of_children_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of Linux: a living child's own times, and those of children that ended, are there all the same."""
    times = namedtuple("times", "user system")(1.5, 0.25)
    monkeypatch.setattr(cpu, "_descendants", lambda: [SimpleNamespace(cpu_times=lambda: times)])
    before = cpu_seconds()
    assert before > 1.75
    subprocess.run([sys.executable, "-S", "-c", BURN], check=True)
    assert cpu_seconds() - before > LOAD - TICK


def test_a_clock_that_stood_still_or_went_back_has_measured_nothing() -> None:
    assert [advanced(seconds) for seconds in (0.5, 0.0, -1.0)] == [0.5, None, None]


def test_sleep_costs_nothing() -> None:
    before = cpu_seconds()
    time.sleep(LOAD)
    assert cpu_seconds() - before < LOAD / 2


class Busy(type(BACKENDS["stanli"])):  # type: ignore[misc]
    """stanli, which burns CPU in a child process beside each fit."""

    def prepare(self, model: Model, data: dict[str, object]) -> object:
        posterior = super().prepare(model, data)
        original = posterior.sample

        def sample(*arguments: object) -> Fit:
            subprocess.run([sys.executable, "-S", "-c", BURN], check=True)
            return original(*arguments)

        posterior.sample = sample
        return posterior


def test_a_fit_has_the_cpu_seconds_of_its_worker_and_what_that_starts() -> None:
    model = Model(
        "normal", "normal", Program(Path("normal.stan"), "parameters { real x; } model { x ~ normal(0, 1); }")
    )
    worker = Worker(Busy())
    try:
        prepared = worker.prepare(model, Dataset("none", {}))
        spent = worker.sample(Settings(chains=1, warmup=10, draws=10), 1, None, ["x"])
    finally:
        worker.close()
    assert prepared.cpu_seconds > 0
    assert LOAD < spent.cpu_seconds < LOAD + 0.5
    assert spent.cpu_seconds < 2 * spent.seconds
