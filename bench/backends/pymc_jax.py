"""What the engines on PyMC's JAX path share: a log density in JAX, and a sampler that XLA compiles around it."""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from packaging.requirements import Requirement

from bench.backends.base import Fit, installed
from bench.backends.pymc_engine import PyMCEngine
from bench.backends.pymc_program import PyMCMaps, build
from bench.families.base import Data, DataError, Model, Values
from bench.origin import package_version
from bench.settings import Settings

Floats = NDArray[np.float64]
LogDensity = Callable[[Any], Any]
TRIES = 10
"""Starts of its own that a chain tries until one has a finite density, as PyMC does."""


class Transitions(NamedTuple):
    """What one chain did, as JAX arrays: after warm-up one entry a draw, but for the last two.

    Attributes
    ----------
    position : array of shape (draw, dimension)
        Where it went, on the unconstrained scale.
    divergent, gradients, depth, energy, log_density, acceptance : array of shape (draw,)
        As in `bench.backends.base.Fit`.
    step_size : scalar
        After warm-up.
    warmup_gradients : array of shape (warm-up iteration,)
        Gradient evaluations in warm-up.
    """

    position: Any
    divergent: Any
    gradients: Any
    depth: Any
    energy: Any
    log_density: Any
    acceptance: Any
    step_size: Any
    warmup_gradients: Any


class JaxBackend(PyMCEngine):
    """Models in PyMC, turned into JAX by PyTensor and sampled by a library that is written in JAX.

    Attributes
    ----------
    needs : tuple of str
        Requirements, as the extra `jax` has them: the oldest versions with which it was seen to work.
    """

    gradient = "JAX"
    default = "never"
    extra = "jax"
    needs: tuple[str, ...]

    def unavailable(self) -> str | None:
        """Say whether JAX or the sampler is missing or too old."""
        if missing := installed("pymc", *(need.name for need in self._needs)):
            return missing
        for need in self._needs:
            if version(need.name) not in need.specifier:
                return f'{need.name} is {version(need.name)}, which is too old; type: pip install "{need}"'
        return None

    def versions(self) -> Mapping[str, str]:
        """Versions of the sampler and what compiles it."""
        packages = (*(need.name for need in self._needs), "jaxlib", "pymc", "pytensor", "numpy")
        return {package: package_version(package) for package in packages}

    @property
    def _needs(self) -> list[Requirement]:
        return [Requirement(need) for need in self.needs]

    def bind(self, model: Model, data: Data) -> "JaxPosterior":
        """Build a model with its data."""
        return JaxPosterior(model, build(self.program(model), data), data, self.transitions)

    @staticmethod
    @abstractmethod
    def transitions(log_density: LogDensity, key: Any, start: Any, settings: Settings) -> Transitions:
        """Run one chain; called once, with abstract arrays, for XLA to compile.

        Parameters
        ----------
        log_density : callable
            Of an unconstrained vector, Jacobian included.
        key : jax.Array
            Of the chain's random numbers.
        start : jax.Array
            An unconstrained vector.
        settings : Settings
            As asked.
        """


class JaxPosterior(PyMCMaps):
    """A PyMC model with its data, and what XLA compiled of it.

    The values of `pm.Data` are arguments of all that is compiled, so that they can be exchanged.

    Parameters
    ----------
    model : Model
        The parameterization.
    built : pymc.Model
        The same, built.
    data : mapping
        The data block that it was built with.
    transitions : callable
        The sampler; see `JaxBackend.transitions`.
    """

    def __init__(self, model: Model, built: Any, data: Data, transitions: Callable[..., Transitions]) -> None:
        """Compile nothing yet."""
        super().__init__(model, built, data)
        self._transitions = transitions
        self._chains: dict[tuple[float, ...], Any] = {}

    def compile(self) -> None:
        """Trace log density, gradient and values, and compile the first two.

        Raises
        ------
        DataError
            If JAX can't trace the model, or computes in 32 bits.
        """
        import jax

        named = [*self._pymc.free_RVs, *self._pymc.deterministics]
        try:
            self._density = self._traced([self._pymc.logp()])
            self._values = self._traced(self._pymc.replace_rvs_by_values(named))
            evaluate = jax.jit(jax.value_and_grad(self._log_density))
            self._evaluate = evaluate.lower(np.zeros(self.dimension), self._given).compile()
        except Exception as error:  # PyTensor and JAX raise many types for what they can't do
            why = str(error).strip().split("\n")[0]
            raise DataError(
                f"JAX can't trace {self._model.name} ({type(error).__name__}: {why}); take other backends: "
                "--backend pymc,nutpie"
            ) from error
        found, _ = self._evaluate(np.zeros(self.dimension), self._given)
        if found.dtype != np.float64:
            raise DataError(f"JAX computes in {found.dtype} here; type: unset PYTENSOR_FLAGS JAX_ENABLE_X64")
        self._names = [self.stan_name(variable.name) for variable in named]
        self.cache = "built"

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Call the JAX function that the sampler is compiled around."""
        value, gradient = self._evaluate(np.asarray(position, dtype=np.float64), self._given)
        return float(value), np.array(gradient)

    def _log_density(self, position: Any, given: Sequence[Any]) -> Any:
        """Return the log density, for JAX to trace."""
        return self._density(position, given)[0]

    def compile_for(self, settings: Settings) -> None:
        """Compile the sampler for these settings, which XLA must know, unless that was done before."""
        import jax

        if (asked := _static(settings)) in self._chains:
            return

        def chain(seed: Any, start: Any, given: Any) -> tuple[Transitions, list[Any]]:
            found = self._transitions(
                lambda position: self._log_density(position, given), jax.random.PRNGKey(seed), start, settings
            )
            return found, jax.vmap(lambda position: self._values(position, given))(found.position)

        self._chains[asked] = jax.jit(chain).lower(np.int64(0), np.zeros(self.dimension), self._given).compile()

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample, each chain in a thread; XLA holds no lock of Python's."""
        import jax

        run, seeds = self._chains[_static(settings)], np.random.SeedSequence(seed).generate_state(settings.chains)
        starts = self._own_starts(settings.chains, seed) if start is None else [self.unconstrain(at) for at in start]
        with ThreadPoolExecutor(settings.parallel_chains) as threads:
            given = self._given
            chains = threads.map(lambda *own: jax.block_until_ready(run(*own, given)), map(np.int64, seeds), starts)
            found, values = zip(*chains, strict=True)
        ended = time.perf_counter()
        draws = {
            name: self.from_pymc(name, np.stack([chain[self._names.index(name)] for chain in values]), 2)
            for name in keep
        }
        all_chains = Transitions(*map(np.stack, zip(*found, strict=True)))
        depth = all_chains.depth.astype(np.int64)
        return Fit(
            draws=draws,
            divergent=all_chains.divergent.astype(bool),
            saturated=depth >= settings.max_treedepth,
            gradients=all_chains.gradients.astype(np.int64),
            depth=depth,
            energy=all_chains.energy,
            log_density=all_chains.log_density,
            acceptance=all_chains.acceptance,
            step_size=all_chains.step_size,
            warmup_gradients=all_chains.warmup_gradients.astype(np.int64),
            extraction_seconds=time.perf_counter() - ended,
        )

    @property
    def _given(self) -> list[Any]:
        """Values of the model's `pm.Data`."""
        return [variable.get_value(borrow=True) for variable in self._pymc.data_vars]

    def _traced(self, outputs: Sequence[Any]) -> Callable[[Any, Sequence[Any]], list[Any]]:
        """Return outputs of the model as a JAX function of an unconstrained vector and the values of `pm.Data`."""
        from pymc.sampling.jax import get_jaxified_graph
        from pytensor.graph.replace import clone_replace

        given = {variable: variable.type(name=variable.name) for variable in self._pymc.data_vars}
        function = get_jaxified_graph([*self._pymc.value_vars, *given.values()], clone_replace(list(outputs), given))
        starts = [0, *self._ends[:-1]]

        def traced(position: Any, values: Sequence[Any]) -> list[Any]:
            parts = [
                position[start:end].reshape(shape)
                for start, end, shape in zip(starts, self._ends, self._shapes, strict=True)
            ]
            return list(function(*parts, *values))

        return traced

    def _own_starts(self, chains: int, seed: int) -> list[Floats]:
        """Draw starts as PyMC does for these samplers: its initial point with a jitter, uniform on (-1, 1)."""
        point = self._pymc.initial_point()
        centre = np.concatenate([np.ravel(point[value.name]) for value in self._pymc.value_vars])
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(chains):
            for _ in range(TRIES):
                position = centre + rng.uniform(-1, 1, len(centre))
                if np.isfinite(self.log_density_and_gradient(position)[0]):
                    break
            found.append(position)
        return found


def _static(settings: Settings) -> tuple[float, ...]:
    """Return what a compiled chain depends on."""
    return (settings.warmup, settings.draws, settings.target_accept, settings.max_treedepth)
