"""What a backend adds to the library it calls: the seconds of a fit that are not within the library's own call.

Run it by hand on a quiet machine: `python -m tests.overhead --backend nutpie,nutpie_stan`. The span of a fit runs until
all draws are arrays in memory, so reading them counts as added. It should be at most 1 % and 50 ms.
"""

import argparse
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from bench.backends import BACKENDS
from bench.backends.base import Backend
from bench.families.normal_means import NormalMeans
from bench.running.run import choose
from bench.running.worker import Session
from bench.settings import Settings

FAMILY = NormalMeans()
CALLS = {
    "stanli": "stanli.Model.sample",
    "pymc": "pymc.sample",
    "nutpie": "nutpie.sample",
    "nutpie_stan": "nutpie.sample",
    "pystan": "stan.model.Model.sample",
    "numpyro": "jax.stages.Compiled.__call__",
    "blackjax": "jax.stages.Compiled.__call__",
    "cmdstan": "cmdstanpy.CmdStanModel.sample",
}
"""The library's call that makes the fit; the two in JAX call what XLA compiled, once for each chain."""


@contextmanager
def clocked(call: str) -> Iterator[list[tuple[float, float]]]:
    """Note when each call of a function or method begins and ends."""
    where, _, name = call.rpartition(".")
    owner = _found(where)
    real: Callable[..., Any] = getattr(owner, name)
    spans: list[tuple[float, float]] = []

    def timed(*given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return real(*given, **named)
        finally:
            spans.append((began, time.perf_counter()))

    setattr(owner, name, timed)
    try:
        yield spans
    finally:
        setattr(owner, name, real)


def _found(where: str) -> Any:
    """Import a module, or a class of one."""
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError:
        module, _, name = where.rpartition(".")
        return getattr(importlib.import_module(module), name)


def added(backend: Backend, groups: int, fits: int) -> tuple[float, float]:
    """Return the median seconds of a fit, and of what is outside of the library's call."""
    dataset = next(each for each in FAMILY.datasets("thread") if each.id.startswith(f"omega1-G{groups}-"))
    model = FAMILY.models["centered"]
    session = Session(backend)
    session.prepare(model, dataset.data)
    settings, keep = Settings(), ["mu", "sigma", "omega", "mu_g"]
    whole, outside = [], []
    for seed in range(1, fits + 2):
        starts = [FAMILY.points(model, dataset, np.random.default_rng(seed)) for _ in range(settings.chains)]
        with clocked(CALLS[backend.name]) as spans:
            spent = session.sample(settings, seed, [start for start in starts if start is not None], keep)
        own = spans[-1:] if "__call__" not in CALLS[backend.name] else spans
        whole.append(spent.seconds)
        outside.append(spent.seconds - (max(end for _, end in own) - min(began for began, _ in own)))
    return float(np.median(whole[1:])), float(np.median(outside[1:]))


def main() -> None:
    """Measure, and print a line for each backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="stanli,nutpie,nutpie_stan,pymc")
    parser.add_argument("--groups", type=int, choices=[5, 50, 500], default=5)
    parser.add_argument("--fits", type=int, default=10)
    options = parser.parse_args()
    for backend in choose("backend", options.backend, BACKENDS):
        seconds, outside = added(backend, options.groups, options.fits)
        took = f"{1000 * seconds:8.1f} ms a fit, {1000 * outside:6.1f} ms"
        print(f"{backend.name:<14}{took} outside of {CALLS[backend.name]}")


if __name__ == "__main__":
    main()
