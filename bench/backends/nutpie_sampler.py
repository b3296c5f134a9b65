"""nutpie's sampler, the same for models of both languages."""

import ctypes
import dataclasses
import inspect
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.backends.base import EngineOption, Fit, Posterior
from bench.families.base import Values
from bench.settings import Settings

STOCK = Settings(chains=6, warmup=400, draws=1000, target_accept=0.8, max_treedepth=10)
"""nutpie's own defaults."""
OPTIONS = MappingProxyType({"adaptation": EngineOption(("low_rank",), "sampler")})
"""What can be chosen in it: the metric, which is diagonal by default."""
_C_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_size_t] * 5)
"""What nutpie's Rust code calls: dimension, and the addresses of position, gradient, value and data."""


@cache
def _function(address: int) -> Any:
    return _C_FUNCTION(address)


class NutpieSampled(Posterior):
    """A posterior that nutpie samples.

    Attributes
    ----------
    chosen : mapping of str to str
        Of `OPTIONS`.
    _compiled : nutpie.sample.CompiledModel
        Its log density, with the data.
    _starts : str
        The field of that model which holds the function that makes starts.
    """

    chosen: Mapping[str, str] = MappingProxyType({})
    _starts = "initial_point_func"

    _compiled: Any
    _chain_of: Mapping[int, int] = {}

    @abstractmethod
    def _draws(self, posterior: Any, seed: int, keep: Sequence[str]) -> dict[str, Floats]:
        """Return draws by name, of shape (chain, draw, *shape), from what nutpie kept."""

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Call the C function that nutpie's Rust code calls."""
        position = np.ascontiguousarray(position)
        gradient, value = np.empty_like(position), np.empty(())
        function = _function(self._compiled.compiled_logp_func.address)
        arrays = (position, gradient, value, self._compiled.user_data)
        code = function(len(position), *(array.ctypes.data for array in arrays))
        if code != 0:
            raise ValueError(f"nutpie's log density returned error code {code} at this point")
        return float(value), gradient

    def get_ready(self, settings: Settings, seed: int, start: Sequence[Values]) -> None:
        """Learn which chain asks for its start with which number.

        nutpie gives the function that makes starts a number that follows from the seed and the chain, but calls it
        in the order in which its threads get there. One chain after the other, the order is that of the chains.
        """
        import nutpie

        asked: list[int] = []
        position = self.unconstrain(start[0])

        def listen(number: int) -> Floats:
            asked.append(number)
            return position

        nutpie.sample(
            dataclasses.replace(self._compiled, **{self._starts: listen}),
            draws=1,
            tune=1,
            chains=settings.chains,
            cores=1,
            seed=seed,
            progress_bar=False,
            return_raw_trace=True,
        )
        self._chain_of = {number: chain for chain, number in enumerate(asked)}

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample with nutpie."""
        import nutpie

        compiled = self._compiled
        if start is not None:
            starts = [self.unconstrain(values) for values in start]
            compiled = dataclasses.replace(compiled, **{self._starts: lambda number: starts[self._chain_of[number]]})
        clock = _Clock(settings)
        trace: Any = nutpie.sample(
            compiled,
            draws=settings.draws,
            tune=settings.warmup,
            chains=settings.chains,
            cores=settings.parallel_chains,
            seed=seed,
            save_warmup=True,
            progress_bar=False,
            target_accept=settings.target_accept,
            maxdepth=settings.max_treedepth,
            **_metric(self.chosen),
            **clock.options,
        )
        ended = time.perf_counter()
        draws = self._draws(trace.posterior, seed, keep)
        stats = {name: trace.sample_stats[name].values for name in trace.sample_stats.data_vars}
        warmup_gradients = trace.warmup_sample_stats["n_steps"].values.astype(np.int64)
        extraction_seconds = time.perf_counter() - ended
        warmup_seconds, sampling_seconds = clock.seconds()
        return Fit(
            draws=draws,
            divergent=stats["diverging"].astype(bool),
            saturated=stats["maxdepth_reached"].astype(bool),
            gradients=stats["n_steps"].astype(np.int64),
            depth=stats["depth"].astype(np.int64),
            energy=stats["energy"],
            log_density=stats["logp"],
            acceptance=stats["mean_tree_accept"],
            step_size=stats["step_size"][:, -1],
            warmup_gradients=warmup_gradients,
            extraction_seconds=extraction_seconds,
            warmup_seconds=warmup_seconds,
            sampling_seconds=sampling_seconds,
        )


def _metric(chosen: Mapping[str, str]) -> dict[str, Any]:
    """Return what this nutpie calls the metric."""
    import nutpie

    if "adaptation" not in chosen:
        return {}
    if "adaptation" in inspect.signature(nutpie.sample).parameters:
        return {"adaptation": chosen["adaptation"]}
    return {"low_rank_modified_mass_matrix": True}


class _Clock:
    """Seconds of warm-up and sampling of each chain, from the progress that newer nutpies report as they run.

    The end of warm-up is interpolated between two reports, 20 ms apart.
    """

    def __init__(self, settings: Settings) -> None:
        """Listen, if this nutpie reports progress."""
        import nutpie

        self._settings = settings
        self._reports: list[list[tuple[float, float]]] = [[(0.0, 0.0)] for _ in range(settings.chains)]
        self.options: dict[str, Any] = {}
        if "progress_callback" in inspect.signature(nutpie.sample).parameters:
            self.options = {"progress_callback": self._listen, "progress_rate": 20}

    def _listen(self, chains: Sequence[Any]) -> None:
        for reports, chain in zip(self._reports, chains, strict=True):
            if chain.finished_draws > reports[-1][0]:
                reports.append((float(chain.finished_draws), chain.runtime_ms / 1000))

    def seconds(self) -> tuple[Floats, Floats] | tuple[None, None]:
        """Seconds of warm-up and of sampling, each of shape (chain,), or None twice where nothing was reported."""
        total = self._settings.warmup + self._settings.draws
        if any(reports[-1][0] < total for reports in self._reports):
            return None, None
        reports = [np.array(chain).T for chain in self._reports]
        warmup = np.array([np.interp(self._settings.warmup, draws, seconds) for draws, seconds in reports])
        return warmup, np.array([seconds[-1] for _, seconds in reports]) - warmup
