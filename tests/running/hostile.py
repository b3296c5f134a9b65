"""Backends that do harm around stanli's own fits; as a pytest plugin (-p tests.running.hostile) they can be named."""

import gc
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.backends import BACKENDS
from bench.backends.base import Fit, Posterior
from bench.backends.stanli import Stanli
from bench.families.base import Data, Model, Values
from bench.settings import Settings

ROOT = Path(__file__).parent.parent.parent
FOLDER = "HIERBENCH_TEST_DELETED"
"""Environment variable: the folder that the backend `deletes` deletes."""


def nothing() -> None:
    """Do no harm."""


def delete() -> None:
    shutil.rmtree(os.environ[FOLDER])


def answer_torn() -> None:
    """Send the head of an answer of a megabyte, and then nothing for as long as anybody waits."""
    _connection().sendall(pickle.dumps(("ok", bytes(2**20)), protocol=5)[: 2**16])
    time.sleep(600)


def answer_torn_and_exit() -> None:
    """Send the head of an answer, and end."""
    _connection().sendall(pickle.dumps(("ok", bytes(2**20)), protocol=5)[: 2**16])
    os._exit(3)


def answer_large() -> None:
    """Send the head of an answer, and then hold more and more memory."""
    _connection().sendall(pickle.dumps(("ok", bytes(2**20)), protocol=5)[: 2**16])
    held = []
    while True:
        held.append(b"x" * 2**25)
        time.sleep(0.02)


def answer_slowly() -> None:
    """Send an answer of a megabyte byte by byte."""
    connection = _connection()
    for byte in pickle.dumps(("ok", bytes(2**20)), protocol=5):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def _connection() -> socket.socket:
    """The worker's own socket to its parent, which the worker's code holds and a backend can find."""
    (found,) = (each for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() >= 0)
    return found


def same(fit: Fit) -> Fit:
    return fit


def complex_draws(fit: Fit) -> Fit:
    return replace(fit, draws={name: draws.astype(np.complex128) for name, draws in fit.draws.items()})


def text_draws(fit: Fit) -> Fit:
    return replace(fit, draws={name: draws.astype(str) for name, draws in fit.draws.items()})


def list_of_draws(fit: Fit) -> Fit:
    return replace(fit, draws=list(fit.draws.values()))  # type: ignore[arg-type]


def text_seconds(fit: Fit) -> Fit:
    return replace(fit, extraction_seconds="soon")  # type: ignore[arg-type]


class Hostile(Stanli):
    """stanli, with something else in between."""

    default = "never"

    def __init__(
        self,
        name: str,
        *,
        sample: Callable[[], None] = nothing,
        answer: Callable[[Fit], Fit] = same,
        density: Callable[[float], Any] | None = None,
        gradient: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self._sample, self._answer, self._density, self._gradient = sample, answer, density, gradient

    def prepare(self, model: Model, data: Data) -> Posterior:
        posterior = super().prepare(model, data)
        fit, evaluate = posterior.sample, posterior.log_density_and_gradient

        def sample(settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
            self._sample()
            return self._answer(fit(settings, seed, start, keep))

        def log_density_and_gradient(position: Any) -> Any:
            value, gradient = evaluate(position)
            return (self._density or float)(value), (self._gradient or same)(gradient)

        posterior.sample = sample  # type: ignore[method-assign]
        posterior.log_density_and_gradient = log_density_and_gradient  # type: ignore[method-assign]
        return posterior


def complex_density(value: float) -> complex:
    return complex(value, 0.5)


def text_density(value: float) -> str:
    return str(value)


def no_density(value: float) -> None:
    return None


def array_density(value: float) -> np.ndarray:
    return np.array([value, value])


def complex_gradient(gradient: np.ndarray) -> np.ndarray:
    return gradient.astype(np.complex128)


def text_gradient(gradient: np.ndarray) -> list[str]:
    return [str(each) for each in gradient]


HOSTILE: tuple[Hostile, ...] = (
    Hostile("deletes", sample=delete),
    Hostile("torn", sample=answer_torn),
    Hostile("complex-draws", answer=complex_draws),
    Hostile("text-draws", answer=text_draws),
    Hostile("list-of-draws", answer=list_of_draws),
    Hostile("text-seconds", answer=text_seconds),
    Hostile("complex-density", density=complex_density),
    Hostile("text-density", density=text_density),
    Hostile("no-density", density=no_density),
    Hostile("array-density", density=array_density),
    Hostile("complex-gradient", gradient=complex_gradient),
    Hostile("text-gradient", gradient=text_gradient),
    Hostile("last"),
)


def pytest_addoption() -> None:
    BACKENDS.update((backend.name, backend) for backend in HOSTILE)


def measure(runs: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the harness on a small model in a process of its own, with these backends in its registry."""
    settings = ("--chains", "2", "--warmup", "200", "--draws", "200")
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "bench/test_sample.py", "--benchmark-only", "--color=no"),
            *("-p", "tests.running.hostile", "-p", "no:cacheprovider", "--runs", str(runs), *settings),
            *(() if "--data" in arguments else ("--grid", "smoke")),
            *("--model", "centered", *arguments),
        ],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        timeout=300,
    )
