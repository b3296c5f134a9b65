"""Backends with a fault each, around stanli's fits; as a pytest plugin (-p tests.running.faults) they have names."""

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from bench.arrays import Floats
from bench.backends import BACKENDS
from bench.backends.base import Backend, Fit, Posterior
from bench.backends.blackjax import BlackJAX
from bench.backends.cmdstan import CmdStan
from bench.backends.numpyro import NumPyro
from bench.backends.nutpie_stan import NutpieStan
from bench.backends.pymc import PyMC
from bench.backends.stanli import Stanli
from bench.families.base import Data, Model, Values
from bench.settings import Settings

Density = tuple[float, Floats]
"""A log density and its gradient."""

STAGE_FILE = "HIERBENCH_TEST_STAGE"
"""Environment variable: a file into which a backend writes the stage that it is in."""

FOLDER = "HIERBENCH_TEST_FOLDER"
"""Environment variable: the folder that `fill_disk` fills."""


HELD = 2**28
"""Bytes that `hold_memory` holds."""


def nothing() -> None:
    """No fault."""


def segfault() -> None:
    leave_files()
    ctypes.string_at(0)


def exit_with_3() -> None:
    os._exit(3)


def allocate() -> None:
    blocks = []
    while True:
        blocks.append(b"x" * 2**25)
        time.sleep(0.01)


def hang() -> None:
    """Never return, with the GIL held: no Python thread or signal handler of this process runs any more."""
    ctypes.PyDLL(None).pause()


def busy() -> None:
    while True:
        pass


def print_garbage() -> None:
    for descriptor in (1, 2):
        os.write(descriptor, b"\x00\xff\xfe\x1b[31m\x1b]0;owned\x07<script>alert(1)</script>" * 1000)
    print('{"status": "ok"}\n' * 1000, flush=True)


def print_garbage_and_exit() -> None:
    print_garbage()
    os._exit(3)


def raise_error() -> None:
    raise RuntimeError("no luck \x1b[31m<script>\x00")


def leave_children() -> None:
    """Start a child in the process group, one that left it, and one whose parent is gone."""
    sleep = [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    ]
    subprocess.Popen(sleep)
    subprocess.Popen(sleep, start_new_session=True)
    subprocess.run(["sh", "-c", "sleep 600 & exit"], start_new_session=True, check=True)


def leave_children_and_segfault() -> None:
    leave_children()
    segfault()


def fork_and_exit() -> None:
    """Die while a forked child holds every file descriptor, as a chain of PyMC would."""
    if os.fork() == 0:
        time.sleep(600)
    os._exit(3)


def wait_a_second() -> None:
    time.sleep(1)


def hold_memory() -> None:
    held = b"x" * HELD
    time.sleep(2)  # past the second look, on a busy machine too
    del held


def leave_files() -> None:
    (Path(tempfile.mkdtemp()) / "data.csv").write_text("1")


def fill_disk() -> None:
    if FOLDER not in os.environ:
        return
    with (Path(os.environ[FOLDER]) / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**12))
        except OSError:
            return


class Bomb:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[int], NoReturn], tuple[int]]:
        return os._exit, (9,)


class Unreadable:
    """Raises where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return int, ("not a number",)


class Unwritable:
    """Raises where it is pickled."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot be pickled")


def same(fit: Fit) -> Fit:
    return fit


def bomb(fit: Fit) -> Fit:
    return replace(fit, extraction_seconds=Bomb())  # type: ignore[arg-type]


def unreadable(fit: Fit) -> Fit:
    return replace(fit, extraction_seconds=Unreadable())  # type: ignore[arg-type]


def unwritable(fit: Fit) -> Fit:
    return replace(fit, extraction_seconds=Unwritable())  # type: ignore[arg-type]


def nan_draws(fit: Fit) -> Fit:
    return replace(fit, draws={name: np.full_like(draws, np.nan) for name, draws in fit.draws.items()})


def wrong_shape(fit: Fit) -> Fit:
    return replace(fit, draws=fit.draws | {"mu_g": fit.draws["mu_g"][:, :7]})


def no_fit(fit: Fit) -> Fit:
    return None  # type: ignore[return-value]


def right(found: Density) -> Density:
    return found


def segfault_there(found: Density) -> Density:
    segfault()
    return found


def hang_there(found: Density) -> Density:
    hang()
    return found


def raise_there(found: Density) -> Density:
    raise_error()
    return found


def twice(found: Density) -> Density:
    return 2 * found[0], 2 * found[1]


def other_gradient(found: Density) -> Density:
    return found[0], found[1] + 1e-3


def short_gradient(found: Density) -> Density:
    return found[0], found[1][:-1]


def nan_gradient(found: Density) -> Density:
    return found[0], np.full_like(found[1], np.nan)


class _Hooked(Backend):
    """A backend that says in which stage it is, and then goes wrong there."""

    default = "never"

    def __init__(
        self,
        name: str,
        *,
        prepare: Callable[[], None] = nothing,
        sample: Callable[[], None] = nothing,
        answer: Callable[[Fit], Fit] = same,
        density: Callable[[Density], Density] = right,
    ) -> None:
        super().__init__()
        self.name = name
        self._prepare, self._sample, self._answer, self._density = prepare, sample, answer, density

    def prepare(self, model: Model, data: Data) -> Posterior:
        _announce(f"{self.name} prepare")
        self._prepare()
        posterior = super().prepare(model, data)  # type: ignore[safe-super]
        fit, evaluate = posterior.sample, posterior.log_density_and_gradient

        def sample(settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
            _announce(f"{self.name} sample")
            self._sample()
            return self._answer(fit(settings, seed, start, keep))

        posterior.sample = sample  # type: ignore[method-assign]
        posterior.log_density_and_gradient = lambda at: self._density(evaluate(at))  # type: ignore[method-assign]
        return posterior


class Faulty(_Hooked, Stanli):
    """stanli, with a fault."""


class HookedPyMC(_Hooked, PyMC):
    """PyMC, which says in which stage it is."""


class HookedCmdStan(_Hooked, CmdStan):
    """CmdStan, which says in which stage it is."""


class HookedNutpieStan(_Hooked, NutpieStan):
    """nutpie on Stan programs, which says in which stage it is."""


class HookedNumPyro(_Hooked, NumPyro):
    """NumPyro, which says in which stage it is."""


class HookedBlackJAX(_Hooked, BlackJAX):
    """BlackJAX, which says in which stage it is."""


def _announce(stage: str) -> None:
    if STAGE_FILE in os.environ:
        Path(os.environ[STAGE_FILE]).write_text(stage)


CRASHES: dict[str, tuple[Callable[[], None], str]] = {
    "segfault": (segfault, "killed by SIGSEGV"),
    "exit": (exit_with_3, "exited with code 3"),
    "fork": (fork_and_exit, "exited with code 3"),
    "orphans": (leave_children_and_segfault, "killed by SIGSEGV"),
    "garbage": (print_garbage_and_exit, "exited with code 3"),
    "allocate": (allocate, "more than the limit"),
}
"""What kills a worker at any stage, and how its record says so."""

LIES: dict[str, tuple[Callable[[Fit], Fit], str, str]] = {
    "bomb": (bomb, "crashed", "could not be read: UnpicklingError: it holds posix._exit"),
    "unreadable": (unreadable, "crashed", "could not be read: UnpicklingError: it holds builtins.int"),
    "unwritable": (unwritable, "failed", "TypeError: cannot be pickled"),
    "none": (no_fit, "failed", "returned NoneType instead of a Fit"),
    "nan": (nan_draws, "ok", "draws are not finite"),
    "shape": (wrong_shape, "ok", "not diagnosed"),
}
"""Answers that are no fit, or no good one: the status of their record, and its reason or flag."""

DENSITIES: dict[str, tuple[Callable[[Density], Density], str, str]] = {
    "segfault": (segfault_there, "crashed", "killed by SIGSEGV in follow"),
    "hang": (hang_there, "timeout", "follow took longer than 8 s"),
    "raises": (raise_there, "mismatch", "RuntimeError: no luck"),
    "twice": (twice, "mismatch", "not the same posterior: the log density at"),
    "other": (other_gradient, "mismatch", "not the same posterior: the gradient at"),
    "nan": (nan_gradient, "mismatch", "is finite at less than half of the places"),
    "short": (short_gradient, "mismatch", "the gradient has shape (7,), not (8,)"),
}
"""Densities that the gate stops: the status of their record, and its reason."""

FAULTS: tuple[Backend, ...] = (
    *(Faulty(f"{name}-prepare", prepare=fault) for name, (fault, _) in CRASHES.items()),
    *(Faulty(f"{name}-sample", sample=fault) for name, (fault, _) in CRASHES.items()),
    *(Faulty(f"{name}-answer", answer=lie) for name, (lie, *_) in LIES.items()),
    *(Faulty(f"{name}-density", density=fault) for name, (fault, *_) in DENSITIES.items()),
    Faulty("hang-prepare", prepare=hang),
    Faulty("hang-sample", sample=hang),
    Faulty("error-prepare", prepare=raise_error),
    Faulty("error-sample", sample=raise_error),
    Faulty("children-sample", sample=leave_children),
    Faulty("print-sample", sample=print_garbage),
    Faulty("disk-sample", sample=fill_disk),
    Faulty("slow", sample=wait_a_second),
    HookedPyMC("hooked-pymc"),
    HookedCmdStan("hooked-cmdstan"),
    HookedNutpieStan("hooked-nutpie_stan"),
    HookedNumPyro("hooked-numpyro"),
    HookedBlackJAX("hooked-blackjax"),
    Faulty("last"),
)


def pytest_addoption() -> None:
    BACKENDS.update((backend.name, backend) for backend in FAULTS)
