"""stanli: a Stan engine that needs no C++ toolchain."""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.backends.base import Backend, Cache, EngineOption, Fit, installed
from bench.backends.stan_program import StanPosterior, plain
from bench.families.base import Data, Model, Program, Values
from bench.origin import package_version
from bench.settings import Settings


class Stanli(Backend):
    """Stan programs interpreted by stanli."""

    name = "stanli"
    language = "stan"
    gradient = "stanli"
    sampler = "Stan"
    imports = ("stanli",)
    options = MappingProxyType({"fast_math": EngineOption(("true",), "gradient")})

    def unavailable(self) -> str | None:
        """Say whether stanli, or the wheel through which it gives Stan's transforms, is missing."""
        return installed("stanli", "bridgestan")

    def versions(self) -> Mapping[str, str]:
        """Version of stanli."""
        return {"stanli": package_version("stanli")}

    def prepare(self, model: Model, data: Data) -> "StanliPosterior":
        """Translate the program and bind the data."""
        return StanliPosterior(self.program(model), data, fast_math="fast_math" in self.chosen)


class StanliPosterior(StanPosterior):
    """A Stan program with its data, in stanli.

    Parameters
    ----------
    program : Program
        The Stan program.
    data : mapping of str to int, float or array
        Its data block.
    fast_math : bool
        Whether stanli may take functions that are faster and lose a digit.
    """

    cache: Cache = "none"

    def __init__(self, program: Program, data: Data, *, fast_math: bool = False) -> None:
        """Translate the program and bind the data."""
        import stanli

        super().__init__(program, data)
        self._stanli = stanli.Model(stan_code=program.code, data=plain(data), fast_math=fast_math)

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the log density, Jacobian included, and its gradient."""
        value, gradient = self._stanli.log_prob_grad(np.ascontiguousarray(position))
        return float(value), gradient

    def get_ready(self, settings: Settings, seed: int, start: Sequence[Values]) -> None:
        """Make the map that brings the starts into Stan's coordinates."""
        self.unconstrain(start[0])

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample with stanli's NUTS."""
        with _clocks() as clocks:
            fit = self._stanli.sample(
                chains=settings.chains,
                seed=seed,
                warmup=settings.warmup,
                samples=settings.draws,
                delta=settings.target_accept,
                max_depth=settings.max_treedepth,
                inits=None if start is None else np.array([self.unconstrain(values) for values in start]),
                parallel_chains=settings.parallel_chains,
                save_warmup=True,
                refresh=0,
            )
        ended = time.perf_counter()
        kept = slice(settings.warmup, None)
        draws = {name: fit.draws(name)[:, kept] for name in keep}
        stats = dict(zip(_COLUMNS, np.moveaxis(fit.sampler_stats, 2, 0), strict=True))
        depth = stats["treedepth"][:, kept].astype(np.int64)
        gradients = stats["n_leapfrog"].astype(np.int64)
        return Fit(
            draws=draws,
            divergent=stats["divergent"][:, kept] > 0,
            saturated=depth >= settings.max_treedepth,
            gradients=gradients[:, kept],
            depth=depth,
            energy=stats["energy"][:, kept],
            log_density=stats["lp"][:, kept],
            acceptance=stats["accept_stat"][:, kept],
            step_size=stats["stepsize"][:, -1],
            warmup_gradients=gradients[:, : settings.warmup],
            extraction_seconds=time.perf_counter() - ended,
            warmup_seconds=np.array([c.warmup_seconds for c in clocks]) if clocks else None,
            sampling_seconds=np.array([c.sampling_seconds for c in clocks]) if clocks else None,
        )


_COLUMNS = ("lp", "accept_stat", "stepsize", "treedepth", "n_leapfrog", "divergent", "energy")


class _clocks:
    """Keep the chains' seconds, which stanli hands to its `Fit` and drops there."""

    def __enter__(self) -> list[Any]:
        import stanli

        reports: list[Any] = []

        class Kept(stanli.Fit):  # type: ignore[misc]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                reports.extend(kwargs.get("reports", args[5] if len(args) > 5 else None) or [])
                super().__init__(*args, **kwargs)

        self._original, stanli.Fit = stanli.Fit, Kept
        return reports

    def __exit__(self, *_: object) -> None:
        import stanli

        stanli.Fit = self._original
