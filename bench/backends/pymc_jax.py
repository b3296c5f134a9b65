"""What the engines on PyMC's JAX path share: a log density in JAX, and a sampler that XLA compiles around it."""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from packaging.requirements import Requirement

from bench.arrays import Floats
from bench.backends.base import EngineOption, Fit, installed
from bench.backends.pymc_engine import PyMCEngine
from bench.backends.pymc_program import PyMCMaps, build
from bench.families.base import Data, DataError, Model, Values
from bench.origin import package_version
from bench.settings import Settings

LogDensity = Callable[[Any], Any]
JAX = "jax>=0.10"
"""The oldest with which the engines here were seen to work."""
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
    options = MappingProxyType({"chains": EngineOption(("vectorized",), "sampler")})
    needs: tuple[str, ...]

    def unavailable(self) -> str | None:
        """Say whether JAX or the sampler is missing or too old."""
        return installed("pymc") or lacks(*self.needs)

    def versions(self) -> Mapping[str, str]:
        """Versions of the sampler and what compiles it."""
        packages = (*(Requirement(need).name for need in self.needs), "jaxlib", "pymc", "pytensor", "numpy")
        return {package: package_version(package) for package in packages}

    def bind(self, model: Model, data: Data) -> "JaxPosterior":
        """Build a model with its data."""
        built = build(self.program(model), data)
        return JaxPosterior(model, built, data, self.transitions, vectorized="chains" in self.chosen)

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
    vectorized : bool
        Whether all chains are one call, in which they walk in step, instead of a call each.
    """

    def __init__(
        self, model: Model, built: Any, data: Data, transitions: Callable[..., Transitions], *, vectorized: bool = False
    ) -> None:
        """Compile nothing yet."""
        super().__init__(model, built, data)
        self._transitions, self._vectorized = transitions, vectorized
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
        with tracing(self._model):
            self._density = self._traced([self._pymc.logp()])
            self._values = self._traced(self._pymc.replace_rvs_by_values(named))
            evaluate = jax.jit(jax.value_and_grad(self._log_density))
            self._evaluate = evaluate.lower(np.zeros(self.dimension), self._given).compile()
        found, _ = self._evaluate(np.zeros(self.dimension), self._given)
        require_float64(found.dtype)
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

        if (asked := self._static(settings)) in self._chains:
            return

        def chain(seed: Any, start: Any, given: Any) -> tuple[Transitions, list[Any]]:
            found = self._transitions(
                lambda position: self._log_density(position, given), jax.random.PRNGKey(seed), start, settings
            )
            return found, jax.vmap(lambda position: self._values(position, given))(found.position)

        seeds, starts = np.zeros(settings.chains, dtype=np.int64), np.zeros((settings.chains, self.dimension))
        if self._vectorized:
            run = jax.jit(jax.vmap(chain, in_axes=(0, 0, None))).lower(seeds, starts, self._given)
        else:
            run = jax.jit(chain).lower(seeds[0], starts[0], self._given)
        self._chains[asked] = run.compile()

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample, each chain in a thread, since XLA holds no lock of Python's; or all of them in one call."""
        import jax

        run, given = self._chains[self._static(settings)], self._given
        seeds = np.random.SeedSequence(seed).generate_state(settings.chains).astype(np.int64)
        starts = self._own_starts(settings.chains, seed) if start is None else [self.unconstrain(at) for at in start]
        if self._vectorized:
            found, values = jax.block_until_ready(run(seeds, np.array(starts), given))
            ended = time.perf_counter()
        else:
            with ThreadPoolExecutor(settings.parallel_chains) as threads:
                chains = list(threads.map(lambda *own: jax.block_until_ready(run(*own, given)), seeds, starts))
            ended = time.perf_counter()
            found, values = jax.tree.map(lambda *each: np.stack(each), *chains)
        all_chains = Transitions(*map(np.asarray, found))
        draws = {name: self.from_pymc(name, np.asarray(values[self._names.index(name)]), 2) for name in keep}
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
            device=device(),
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

    def _static(self, settings: Settings) -> tuple[float, ...]:
        """Return what a compiled chain depends on, or all of them where they are one call."""
        of_chain = (settings.warmup, settings.draws, settings.target_accept, settings.max_treedepth)
        return (*of_chain, settings.chains) if self._vectorized else of_chain

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


def lacks(*needs: str) -> str | None:
    """Say how to install the first of these requirements that is missing or too old, or None."""
    required = [Requirement(need) for need in needs]
    if missing := installed(*(need.name for need in required)):
        return missing
    for need in required:
        if version(need.name) not in need.specifier:
            return f'{need.name} is {version(need.name)}, which is too old; type: pip install "{need}"'
    return None


@contextmanager
def tracing(model: Model) -> Iterator[None]:
    """Say in one line that JAX can't trace a model; PyTensor and JAX raise many types for what they can't do."""
    try:
        yield
    except Exception as error:
        why = str(error).strip().split("\n")[0]
        raise DataError(
            f"JAX can't trace {model.name} ({type(error).__name__}: {why}); take other backends: --backend pymc,nutpie"
        ) from error


def require_float64(dtype: Any) -> None:
    """Refuse a log density that JAX computes in fewer bits."""
    if dtype != np.float64:
        raise DataError(f"JAX computes in {dtype} here; type: unset PYTENSOR_FLAGS JAX_ENABLE_X64")


def device() -> str:
    """Name what JAX computes on: `CPU`, or the GPU that it found."""
    import jax

    found = jax.devices()[0]
    return "CPU" if found.platform == "cpu" else str(found.device_kind)
