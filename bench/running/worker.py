"""The process that a backend lives in; `bench.running.isolation` starts it and talks to it."""

import pickle
import socket
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from bench.backends.base import Backend, Cache, Fit, Posterior
from bench.families.normal_means.data import Dataset
from bench.families.base import Model
from bench.families.normal_means.points import Gradient, Point
from bench.settings import Settings


@dataclass(frozen=True)
class Prepared:
    """What a build cost: seconds, and what served it (see `Posterior.cache`)."""

    seconds: float
    cache: Cache


class Session:
    """What can be asked of a backend; the parent calls these methods by name.

    Parameters
    ----------
    backend : Backend
        The engine.
    """

    def __init__(self, backend: Backend) -> None:
        """Import the engine's libraries, so that no fit or build pays for that."""
        for module in backend.imports:
            import_module(module)
        self._backend = backend
        self._posterior: Posterior | None = None
        self._fit: Fit | None = None

    def prepare(self, model: Model, dataset: Dataset) -> Prepared:
        """Bind a model to a dataset; the posterior stays here."""
        self._posterior = self._fit = None
        started = time.perf_counter()
        self._posterior = self._backend.prepare(model, dataset)
        return Prepared(time.perf_counter() - started, self._posterior.cache)

    def evaluate(self, points: Sequence[Point]) -> list[tuple[float, Gradient] | str]:
        """Log density and gradient at each point, or the text of the error it raised there."""
        results: list[tuple[float, Gradient] | str] = []
        for point in points:
            try:
                value, vector = self._ready.log_density_and_gradient(self._ready.unconstrain(point))
                results.append((value, self._ready.gradient(vector)))
            except Exception as error:  # any library's own type; the gate shows the text
                results.append(f"{type(error).__name__}: {error}")
        return results

    def repeat_gradient(self, points: Sequence[Point], repeats: int) -> float:
        """Mean seconds of one evaluation of log density and gradient, over `repeats` passes over the points."""
        positions = [self._ready.unconstrain(point) for point in points]
        started = time.perf_counter()
        for _ in range(repeats):
            for position in positions:
                self._ready.log_density_and_gradient(position)
        return (time.perf_counter() - started) / (repeats * len(positions))

    def sample(self, settings: Settings, seed: int, start: Sequence[Point] | None) -> float:
        """Sample, keep the fit here, and return the wall seconds from the call to all draws in memory."""
        self._fit = None
        if start is not None:
            self._ready.get_ready(settings, seed, start)
        started = time.perf_counter()
        fit = self._ready.sample(settings, seed, start)
        seconds = time.perf_counter() - started
        if not isinstance(fit, Fit):
            raise TypeError(f"{self._backend.name} returned {type(fit).__name__} instead of a Fit")
        self._fit = fit
        return seconds

    def fetch(self) -> Fit | None:
        """Hand over the last fit."""
        fit, self._fit = self._fit, None
        return fit

    @property
    def _ready(self) -> Posterior:
        if self._posterior is None:
            raise RuntimeError("nothing is prepared; call prepare first")
        return self._posterior


def serve(descriptor: int) -> None:
    """Answer calls until the parent hangs up."""
    connection = socket.socket(fileno=descriptor)
    calls = connection.makefile("rb")
    session = Session(pickle.load(calls))
    connection.sendall(pickle.dumps(("ok", None)))
    while True:
        try:
            method, arguments = pickle.load(calls)
        except EOFError:
            return
        try:
            answer = pickle.dumps(("ok", getattr(session, method)(*arguments)), protocol=5)
        except Exception as error:  # a backend may raise anything; it is the answer
            text = "".join(traceback.format_exception(error))
            answer = pickle.dumps(("error", f"{type(error).__name__}: {error}\n{text}"))
        connection.sendall(answer)
