"""CmdStan, through CmdStanPy: joins where CmdStanPy finds a CmdStan."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from bench.arrays import Floats
from bench.backends.base import Backend, Cache, EngineOption, Fit, compiler, installed
from bench.backends.stan_program import StanPosterior, fortran
from bench.families.base import Data, Model, Program, Values
from bench.origin import built_from, commit_of, package_version
from bench.settings import Settings

if TYPE_CHECKING:
    import cmdstanpy


class CmdStan(Backend):
    """Stan programs compiled by CmdStan, one process a chain."""

    name = "cmdstan"
    language = "stan"
    gradient = "Stan C++"
    sampler = "Stan"
    imports = ("cmdstanpy", "stanli")
    options = MappingProxyType(
        {
            "stanc_O1": EngineOption(("true",), "gradient"),
            "STAN_NO_RANGE_CHECKS": EngineOption(("true",), "gradient"),
            "STAN_CPP_OPTIMS": EngineOption(("true",), "gradient"),
        }
    )
    compared_at = 24
    rounds_draws = True

    def unavailable(self) -> str | None:
        """Say whether CmdStanPy or CmdStan is missing."""
        missing = installed("cmdstanpy")
        if missing:
            return missing
        import cmdstanpy

        try:
            cmdstanpy.cmdstan_path()
        except ValueError:
            return (
                "CmdStanPy finds no CmdStan; type: python -m cmdstanpy.install_cmdstan "
                "(needs a C++ compiler and make), or set CMDSTAN to the folder of one"
            )
        return None

    def unsupported(self, model: Model) -> str | None:
        """Refuse zero-sum models before CmdStan 2.36, the first with `sum_to_zero_vector`."""
        import cmdstanpy

        if missing := super().unsupported(model):
            return missing
        found = cmdstanpy.cmdstan_version()
        if "sum_to_zero" in self.program(model).code and found is not None and found < (2, 36):
            return f"CmdStan {found[0]}.{found[1]} has no sum_to_zero_vector; type: python -m cmdstanpy.install_cmdstan"
        return None

    def versions(self) -> Mapping[str, str]:
        """Versions of CmdStanPy and of CmdStan, with its commit where it is a checkout."""
        import cmdstanpy

        return {
            "cmdstanpy": package_version("cmdstanpy"),
            "cmdstan": _release(Path(cmdstanpy.cmdstan_path())),
            "g++": compiler(),
        }

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        """Move the folder in which executables are kept."""
        return {"XDG_CACHE_HOME": str(folder)}

    def prepare(self, model: Model, data: Data) -> "CmdStanPosterior":
        """Compile the program unless that was done before, and write the data for it."""
        program = self.program(model)
        return CmdStanPosterior(program, data, *self._executable(program))

    def _executable(self, program: Program) -> tuple["cmdstanpy.CmdStanModel", Cache]:
        """Find or make the executable of this very program, CmdStan and options."""
        import cmdstanpy

        key = sha256(
            repr((program.code, cmdstanpy.cmdstan_path(), self.versions(), sorted(self.chosen.items()))).encode()
        ).hexdigest()[:16]
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hierbench" / "cmdstan"
        executable = root / key / "model"
        if executable.exists():
            return cmdstanpy.CmdStanModel(exe_file=str(executable)), "disk"
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "model.stan"
            source.write_text(program.code, encoding="utf-8")
            cmdstanpy.CmdStanModel(
                stan_file=str(source),
                stanc_options={"O1": True} if "stanc_O1" in self.chosen else {},
                cpp_options={name: value for name, value in self.chosen.items() if name.startswith("STAN_")},
            )
            finished = tempfile.mkdtemp(dir=root)
            shutil.copy2(Path(folder) / "model", finished)
        try:
            Path(finished).rename(root / key)  # whole or not at all, however this process ends
        except OSError:
            shutil.rmtree(finished)
            if not executable.exists():  # else somebody else made the same one meanwhile
                raise
        return cmdstanpy.CmdStanModel(exe_file=str(executable)), "built"


@cache
def _release(folder: Path) -> str:
    """Return the version of a CmdStan, all of it (`cmdstanpy.cmdstan_version` leaves out the last part)."""
    found = re.search(r"^CMDSTAN_VERSION\s*:=\s*(\S+)", (folder / "makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return built_from(found[1] if found else "unknown", commit_of(folder))


class CmdStanPosterior(StanPosterior):
    """A compiled Stan program with its data in a file.

    Parameters
    ----------
    program : Program
        The Stan program.
    data : mapping of str to int, float or array
        Its data block.
    executable : cmdstanpy.CmdStanModel
        The program, compiled.
    cache : str
        What served the build, as in `Posterior.cache`.
    """

    def __init__(self, program: Program, data: Data, executable: "cmdstanpy.CmdStanModel", cache: Cache) -> None:
        """Write the data."""
        import cmdstanpy

        super().__init__(program, data)
        self.cache, self._cmdstan = cache, executable
        self._folder = tempfile.TemporaryDirectory(prefix="hierbench-")
        self._data = str(Path(self._folder.name) / "data.json")
        cmdstanpy.write_stan_json(self._data, dict(data))

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the log density, Jacobian included, and its gradient; each call is a process."""
        values = dict(self.constrain(position))
        row = self._cmdstan.log_prob(values, self._data, sig_figs=17).iloc[0].to_numpy(dtype=float)
        return float(row[0]), row[1:]

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample with CmdStan's NUTS and read the draws back from its CSV files."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as output:
            fit = self._cmdstan.sample(
                data=self._data,
                chains=settings.chains,
                parallel_chains=settings.parallel_chains,
                seed=seed,
                inits=None if start is None else [dict(values) for values in start],
                iter_warmup=settings.warmup,
                iter_sampling=settings.draws,
                adapt_delta=settings.target_accept,
                max_treedepth=settings.max_treedepth,
                save_warmup=True,
                output_dir=output,
                show_progress=False,
            )
            ended = time.perf_counter()
            table = np.moveaxis(fit.draws(inc_warmup=True), 0, 1)  # (chain, iteration, column)
        columns: dict[str, int] = {}  # the first column of each quantity; the others follow, first index fastest
        for i, name in enumerate(fit.column_names):
            columns.setdefault(name.split("[")[0], i)
        kept = table[:, settings.warmup :]
        shapes = self.description.names
        draws = {
            name: fortran(kept[:, :, columns[name] : columns[name] + int(np.prod(shapes[name]))], shapes[name])
            for name in keep
        }
        depth = kept[:, :, columns["treedepth__"]].astype(np.int64)
        gradients = table[:, :, columns["n_leapfrog__"]].astype(np.int64)
        clock = fit.time
        return Fit(
            draws=draws,
            divergent=kept[:, :, columns["divergent__"]] > 0,
            saturated=depth >= settings.max_treedepth,
            gradients=gradients[:, settings.warmup :],
            depth=depth,
            energy=kept[:, :, columns["energy__"]],
            log_density=kept[:, :, columns["lp__"]],
            acceptance=kept[:, :, columns["accept_stat__"]],
            step_size=kept[:, -1, columns["stepsize__"]],
            warmup_gradients=gradients[:, : settings.warmup],
            extraction_seconds=time.perf_counter() - ended,
            warmup_seconds=np.array([chain["warmup"] for chain in clock]),
            sampling_seconds=np.array([chain["sampling"] for chain in clock]),
        )
