"""PyStan: Stan's own C++, from PyPI alone, with the machine's C++ compiler."""

import dataclasses
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.backends.base import Backend, Fit, compiler, installed
from bench.backends.stan_program import StanPosterior, natural, plain
from bench.families.base import Data, Model, Program, Values
from bench.origin import package_version
from bench.settings import Settings


class PyStan(Backend):
    """Stan programs compiled by PyStan.

    PyStan runs as many chains at once as the machine has cores; it has no setting for it.
    """

    name = "pystan"
    language = "stan"
    gradient = "Stan C++"
    sampler = "Stan"
    imports = ("stan", "httpstan.cache", "stanli")
    default = "where installed"
    extra = "pystan"
    compared_at = 24

    def unavailable(self) -> str | None:
        """Say whether PyStan, its Python or the compiler is missing."""
        if sys.version_info >= (3, 13):
            python = ".".join(map(str, sys.version_info[:2]))
            return f"PyStan's compiled models do not load on Python {python}; make the environment with python3.12"
        if shutil.which("g++") is None:
            return "PyStan needs a C++ compiler; install g++ with the system's package manager"
        return installed("pystan", "httpstan")

    def unsupported(self, model: Model) -> str | None:
        """Refuse zero-sum models before Stan 2.36, the first with `sum_to_zero_vector`."""
        if missing := super().unsupported(model):
            return missing
        if "sum_to_zero" in self.program(model).code and _stan_version() < (2, 36):
            found = ".".join(map(str, _stan_version()))
            return f"this PyStan has Stan {found}, without sum_to_zero_vector; make the environment with python3.12"
        return None

    def versions(self) -> Mapping[str, str]:
        """Versions of PyStan, httpstan and the Stan within."""
        stan = ".".join(map(str, _stan_version()))
        return {
            "pystan": package_version("pystan"),
            "httpstan": package_version("httpstan"),
            "stan": stan,
            "g++": compiler(),
        }

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        """Move httpstan's folder of compiled models."""
        return {"XDG_CACHE_HOME": str(folder)}

    def prepare(self, model: Model, data: Data) -> "PyStanPosterior":
        """Compile the program, or find it compiled, and bind the data."""
        return PyStanPosterior(self.program(model), data)


class PyStanPosterior(StanPosterior):
    """A compiled Stan program with its data, in PyStan."""

    def __init__(self, program: Program, data: Data) -> None:
        """Compile and bind."""
        import httpstan.cache
        import httpstan.models

        import stan

        super().__init__(program, data)
        name = httpstan.models.calculate_model_name(program.code)
        self._folder: Path = httpstan.cache.model_directory(name)
        self.cache = "disk" if self._folder.exists() else "built"
        try:
            self._stan: Any = stan.build(program.code, data=plain(data))
        except Exception:
            shutil.rmtree(self._folder, ignore_errors=True)  # httpstan keeps a broken build and serves it again
            raise

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the log density, Jacobian included, and its gradient; each call is two requests."""
        return self._stan.log_prob(position.tolist()), np.array(self._stan.grad_log_prob(position.tolist()))

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample with Stan's NUTS."""
        import httpstan.cache

        options: dict[str, Any] = {}
        if start is not None:
            options["init"] = [natural(values) for values in start]
        with tempfile.TemporaryDirectory() as folder:
            # httpstan keeps fits in one folder for all processes and serves one with the same seed and settings again:
            # we would time the reading of a file, or find that another run has deleted it. Each fit gets its own.
            httpstan.cache.fit_path = lambda name: Path(folder, f"{name.rpartition('/')[2]}.jsonlines.gz")
            fit = dataclasses.replace(self._stan, random_seed=seed).sample(
                num_chains=settings.chains,
                num_warmup=settings.warmup,
                num_samples=settings.draws,
                delta=settings.target_accept,
                max_depth=settings.max_treedepth,
                save_warmup=True,
                **options,
            )
            ended = time.perf_counter()

        def of(name: str) -> Floats:
            """Return one quantity, shape (chain, iteration, ...)."""
            flat = fit[name]
            return np.moveaxis(flat.reshape(*flat.shape[:-1], -1, settings.chains), (-1, -2), (0, 1))

        kept = slice(settings.warmup, None)
        shapes = self.description.names
        draws = {name: of(name)[:, kept].reshape(settings.chains, -1, *shapes[name]) for name in keep}
        depth = of("treedepth__")[:, kept, 0].astype(np.int64)
        gradients = of("n_leapfrog__")[..., 0].astype(np.int64)
        extraction_seconds = time.perf_counter() - ended
        clock = np.array([_elapsed(output) for output in fit.stan_outputs])
        return Fit(
            draws=draws,
            divergent=of("divergent__")[:, kept, 0] > 0,
            saturated=depth >= settings.max_treedepth,
            gradients=gradients[:, kept],
            depth=depth,
            energy=of("energy__")[:, kept, 0],
            log_density=of("lp__")[:, kept, 0],
            acceptance=of("accept_stat__")[:, kept, 0],
            step_size=of("stepsize__")[:, -1, 0],
            warmup_gradients=gradients[:, : settings.warmup],
            extraction_seconds=extraction_seconds,
            warmup_seconds=clock[:, 0],
            sampling_seconds=clock[:, 1],
        )


def _elapsed(output: bytes) -> tuple[float, float]:
    """Seconds of warm-up and of sampling, which Stan writes as text among its log messages."""
    seconds = {}
    for line in output.splitlines():
        if b"seconds (" in line:
            text = json.loads(line)["values"][0]
            if found := re.search(r"([\d.e+-]+) seconds \((Warm-up|Sampling)\)", text):
                seconds[found[2]] = float(found[1])
    return seconds.get("Warm-up", float("nan")), seconds.get("Sampling", float("nan"))


@cache
def _stan_version() -> tuple[int, ...]:
    """Version of the Stan C++ library that httpstan ships."""
    header = Path(str(distribution("httpstan").locate_file("httpstan/include/stan/version.hpp"))).read_text()
    return tuple(int(found) for found in re.findall(r"#define STAN_(?:MAJOR|MINOR|PATCH) (\d+)", header))
