"""stanli: a Stan engine that needs no C++ toolchain."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backends.base import Backend, Cache, Fit, installed
from bench.backends.stan_coordinates import StanPosterior
from bench.families.normal_means.data import Dataset
from bench.families.base import Model
from bench.families.normal_means.points import Point
from bench.settings import Settings

Floats = NDArray[np.float64]


class Stanli(Backend):
    """Stan programs interpreted by stanli."""

    name = "stanli"
    language = "stan"
    imports = ("stanli",)

    def unavailable(self) -> str | None:
        """Say whether stanli is missing."""
        return installed("stanli")

    def versions(self) -> Mapping[str, str]:
        """Version of stanli."""
        return {"stanli": version("stanli")}

    def prepare(self, model: Model, dataset: Dataset) -> "StanliPosterior":
        """Translate the program and bind the data."""
        return StanliPosterior(model, dataset)


class StanliPosterior(StanPosterior):
    """A Stan program with its data, in stanli."""

    cache: Cache = "none"

    def __init__(self, model: Model, dataset: Dataset) -> None:
        """Translate the program and bind the data."""
        import stanli

        super().__init__(model)
        data = {
            key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in dataset.stan_data.items()
        }
        self._stanli = stanli.Model(stan_file=str(model.stan_file), data=data)

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the log density, Jacobian included, and its gradient."""
        value, gradient = self._stanli.log_prob_grad(position)
        return float(value), gradient

    def sample(self, settings: Settings, seed: int, start: Sequence[Point] | None) -> Fit:
        """Sample with stanli's NUTS."""
        with _clocks() as clocks:
            fit = self._stanli.sample(
                chains=settings.chains,
                seed=seed,
                warmup=settings.warmup,
                samples=settings.draws,
                delta=settings.target_accept,
                max_depth=settings.max_treedepth,
                inits=None if start is None else np.array([self.unconstrain(point) for point in start]),
                parallel_chains=settings.parallel_chains,
                save_warmup=True,
                refresh=0,
            )
        ended = time.perf_counter()
        kept = slice(settings.warmup, None)
        draws = {name: fit.draws(name)[:, kept] for name in (self._model.location, "sigma", "omega", "mu_g")}
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
