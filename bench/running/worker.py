"""The process that a backend lives in; `bench.running.isolation` starts it and talks to it."""

import pickle
import socket
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np

from bench.arrays import Floats
from bench.backends.base import Backend, Cache, Description, Fit, Posterior
from bench.correctness import places
from bench.correctness.places import Found, Place
from bench.families.base import Data, Model, Values
from bench.running.cpu import cpu_seconds
from bench.settings import Settings

TRIES = 100
"""Starts that are tried until one has a finite density, as Stan does."""
EXPLORING = 4.0
"""Seconds, or so, that a look at where the posterior has its mass may take."""


@dataclass(frozen=True)
class Prepared:
    """What a build cost: wall and CPU seconds, and what served it (see `Posterior.cache`)."""

    seconds: float
    cpu_seconds: float
    cache: Cache


@dataclass(frozen=True)
class Spent:
    """What a fit cost: wall and CPU seconds, from the call to all draws in memory.

    Attributes
    ----------
    seconds, cpu_seconds : float
        Of the fit.
    compile_seconds, compile_cpu_seconds : float
        Of what was compiled since the build for the settings of its fits, before their clocks started.
    """

    seconds: float
    cpu_seconds: float
    compile_seconds: float = 0.0
    compile_cpu_seconds: float = 0.0


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
        self._compiling = np.zeros(2)  # wall and CPU seconds since the build

    def versions(self) -> dict[str, str]:
        """Versions of all that decides the backend's speed and its draws."""
        return dict(self._backend.versions())

    def prepare(self, model: Model, data: Data) -> Prepared:
        """Bind a model to data; the posterior stays here.

        Parameters
        ----------
        model : Model
            What to build.
        data : mapping of str to int, float or array
            The data block of the Stan program.
        """
        self._posterior = self._fit = None
        self._compiling = np.zeros(2)
        cpu, started = cpu_seconds(), time.perf_counter()
        self._posterior = self._backend.prepare(model, data)
        seconds = time.perf_counter() - started
        return Prepared(seconds, cpu_seconds() - cpu, self._posterior.cache)

    def describe(self, model: Model, data: Data) -> Description:
        """Names and shapes of a model; what is prepared stays.

        Parameters
        ----------
        model : Model
            Which program.
        data : mapping of str to int, float or array
            The data block of the Stan program.
        """
        return self._backend.describe(model, data)

    def description(self) -> Description:
        """Names and shapes of what is prepared."""
        return self._ready.description

    def dimension(self) -> int:
        """Length of an unconstrained vector."""
        return self._ready.dimension

    def lead(self, positions: Floats, directions: Floats) -> list[tuple[Place, Found]]:
        """See `bench.correctness.places.lead`."""
        return places.lead(self._ready, positions, directions)

    def follow(self, where: Sequence[Place]) -> list[Found]:
        """See `bench.correctness.places.follow`."""
        return places.follow(self._ready, where)

    def densities(self, values: Sequence[Values]) -> list[float]:
        """See `bench.correctness.places.densities`."""
        return places.densities(self._ready, values)

    def log_jacobians(self, values: Sequence[Values]) -> list[float]:
        """See `bench.correctness.places.log_jacobians`."""
        return places.log_jacobians(self._ready, values)

    def inside(self, values: Sequence[Values]) -> list[bool]:
        """See `bench.correctness.places.inside`."""
        return places.inside(self._ready, values)

    def constrain(self, positions: Floats) -> list[Values]:
        """Map vectors to values."""
        return [self._ready.constrain(position) for position in positions]

    def unconstrain(self, values: Sequence[Values]) -> list[Floats]:
        """Map values to vectors; NaN where they are outside of the support."""
        found = []
        for each in values:
            try:
                found.append(self._ready.unconstrain(each))
            except Exception:  # libraries raise their own types for values outside of their support
                found.append(np.full(self._ready.dimension, np.nan))
        return found

    def starts(self, count: int, seed: Sequence[int]) -> list[Values]:
        """Draw starts, uniform on (-2, 2) on the unconstrained scale, where the density is finite.

        Parameters
        ----------
        count : int
            How many.
        seed : sequence of int
            Of the draws.

        Raises
        ------
        ValueError
            If none of `TRIES` draws has a finite density and gradient.
        """
        rng = np.random.default_rng(seed)
        found: list[Values] = []
        for _ in range(count):
            for _ in range(TRIES):
                position = rng.uniform(-2, 2, self._ready.dimension)
                if self._finite(position):
                    break
            else:
                raise ValueError(
                    f"no start among {TRIES} draws from (-2, 2) on the unconstrained scale has a finite density and "
                    "gradient; look for a parameter without its bound, or for data outside of their range"
                )
            found.append(self._ready.constrain(position))
        return found

    def explore(self, count: int, seed: int) -> Floats:
        """Return positions where the posterior has its mass, by a short run of this sampler.

        Trajectories are kept so short that the run takes some seconds even where a gradient is dear.

        Parameters
        ----------
        count : int
            How many, up to 100.
        seed : int
            Of the run.

        Returns
        -------
        array of shape (count, dimension)
            On the unconstrained scale; fewer rows where a draw can't be mapped back.
        """
        start = self.starts(1, [seed])
        position = self._ready.unconstrain(start[0])
        started = time.perf_counter()
        self._ready.log_density_and_gradient(position)
        gradients = EXPLORING / max(time.perf_counter() - started, 1e-7)
        depth = int(np.clip(np.log2(max(2.0, gradients / 300)), 3, 8))
        settings = Settings(chains=1, warmup=200, draws=100, max_treedepth=depth, cores=1)
        names = list(self._ready.description.parameters)
        self._ready.compile_for(settings)
        self._ready.get_ready(settings, seed, start)
        draws = self._ready.sample(settings, seed, start, names).draws
        chosen = np.linspace(0, settings.draws - 1, count).astype(int)
        values = [{name: draws[name][0, i] for name in names} for i in chosen]
        found = np.array(self.unconstrain(values))
        return found[np.isfinite(found).all(axis=1)]

    def repeat_gradient(self, values: Sequence[Values], repeats: int) -> float:
        """Seconds of one evaluation of log density and gradient, in the fastest of some passes over all values.

        A pass is short, so that on a busy machine too some are made without a break.

        Parameters
        ----------
        values : sequence of Values
            Where to evaluate; they are mapped to vectors before the clock starts.
        repeats : int
            Passes over all of them.
        """
        positions = [self._ready.unconstrain(each) for each in values]
        evaluate, clock = self._ready.log_density_and_gradient, time.perf_counter
        fastest = float("inf")
        for _ in range(repeats):
            started = clock()
            for position in positions:
                evaluate(position)
            fastest = min(fastest, clock() - started)
        return fastest / len(positions)

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Spent:
        """Sample, keep the fit here, and return what it cost.

        Parameters
        ----------
        settings : Settings
            What is asked.
        seed : int
            Seed of all chains.
        start : sequence of Values, optional
            Values of all parameters, one mapping a chain; None for the backend's own starts.
        keep : sequence of str
            Parameters and transformed quantities whose draws are wanted.

        Raises
        ------
        TypeError
            If the backend returns something else than a `Fit`.
        """
        self._fit = None
        before = _clocks()
        self._ready.compile_for(settings)
        self._compiling += _clocks() - before
        if start is not None:
            self._ready.get_ready(settings, seed, start)
        cpu, started = cpu_seconds(), time.perf_counter()
        fit = self._ready.sample(settings, seed, start, keep)
        spent = Spent(time.perf_counter() - started, cpu_seconds() - cpu, *map(float, self._compiling))
        if not isinstance(fit, Fit):
            raise TypeError(f"{self._backend.name} returned {type(fit).__name__} instead of a Fit")
        self._fit = fit
        return spent

    def replay(self, where: Sequence[tuple[int, int]]) -> list[float]:
        """Evaluate the sampler's log density again at draws of the last fit, by chain and draw; NaN where it raises."""
        if self._fit is None:
            raise RuntimeError("nothing was sampled; call sample first")
        again = []
        for place in where:
            try:
                values = {name: self._fit.draws[name][place] for name in self._ready.description.parameters}
                again.append(float(self._ready.log_density_and_gradient(self._ready.unconstrain(values))[0]))
            except Exception:  # draws can be odd in ways nobody foresaw; the audit says so
                again.append(float("nan"))
        return again

    def fetch(self, names: Sequence[str] | None = None) -> Fit | None:
        """Hand over the last fit, with the draws of some quantities or of all."""
        fit, self._fit = self._fit, None
        if fit is None or names is None:
            return fit
        return replace(fit, draws={name: fit.draws[name] for name in names if name in fit.draws})

    def _finite(self, position: Floats) -> bool:
        try:
            value, gradient = self._ready.log_density_and_gradient(position)
        except Exception:  # libraries raise their own types where a density can't be evaluated
            return False
        return bool(np.isfinite(value) and np.isfinite(gradient).all())

    @property
    def _ready(self) -> Posterior:
        if self._posterior is None:
            raise RuntimeError("nothing is prepared; call prepare first")
        return self._posterior


def _clocks() -> Floats:
    """Wall and CPU seconds."""
    return np.array([time.perf_counter(), cpu_seconds()])


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
