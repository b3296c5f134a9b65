"""nutpie's sampler on Stan programs: gradients by stanli's runtime, no compiler.

nutpie can load a Stan program only with starts of its own. So it is given what it is given for a PyMC model: the
address of a C function, here one that calls stanli, and a function that makes starts.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.backends.base import Backend, Cache, Description, installed
from bench.backends.nutpie_sampler import OPTIONS, STOCK, NutpieSampled
from bench.backends.stan_program import StanPosterior, flat_shapes, fortran, to_json
from bench.families.base import Data, Model, Program
from bench.origin import package_version


class NutpieStan(Backend):
    """Stan programs in stanli's runtime, sampled by `nutpie.sample`."""

    name = "nutpie_stan"
    language = "stan"
    gradient = "stanli"
    sampler = "nutpie"
    imports = ("nutpie.compile_pymc", "stanli", "bench.backends.stanli_functions")
    stock = STOCK
    options = OPTIONS

    def unavailable(self) -> str | None:
        """Say whether nutpie, stanli or what joins them is missing."""
        return installed("nutpie", "stanli", "bridgestan", "numba", "pymc")

    def versions(self) -> Mapping[str, str]:
        """Versions of the sampler and of what evaluates the program."""
        return {package: package_version(package) for package in ("nutpie", "stanli", "numba", "numpy")}

    def prepare(self, model: Model, data: Data) -> "NutpieStanPosterior":
        """Translate the program and bind the data."""
        posterior = NutpieStanPosterior(self.program(model), data)
        posterior.chosen = self.chosen
        posterior.bind()
        return posterior

    def describe(self, model: Model, data: Data) -> Description:
        """Return names and shapes."""
        return NutpieStanPosterior(self.program(model), data).description


class NutpieStanPosterior(NutpieSampled, StanPosterior):
    """A Stan program with its data, for nutpie."""

    cache: Cache = "none"

    def __init__(self, program: Program, data: Data) -> None:
        """Keep both."""
        super().__init__(program, data)
        self._bound: Any = None

    def bind(self) -> None:
        """Translate the program, bind the data, and dress both as a model that nutpie can sample."""
        import stanli
        from nutpie.compile_pymc import CompiledPyMCModel

        from bench.backends.stanli_functions import copy_position, log_density

        self._bound = stanli.bridgestan_model(stan_code=self._program.code, data=to_json(self._data_block))
        dimension = int(self._bound.param_unc_num())
        fields: dict[str, Any] = dict.fromkeys(CompiledPyMCModel.__dataclass_fields__)  # which, depends on the version
        fields |= {
            "dims": {},
            "_coords": {},
            "compiled_logp_func": log_density,
            "compiled_expand_func": copy_position,  # draws are mapped after sampling
            "user_data": np.array([self._bound.model], dtype=np.uintp),
            "shape_info": (["position"], [slice(0, dimension)], [(dimension,)]),
            "n_expanded": dimension,
            "_n_dim": dimension,
            "_shapes": {"position": (dimension,)},
            "initial_point_func": lambda number: np.random.default_rng(number).uniform(-2, 2, dimension),
        }
        self._compiled = CompiledPyMCModel(**fields)

    @cached_property
    def _columns(self) -> dict[str, tuple[slice, tuple[int, ...]]]:
        """Where each quantity stands in what Stan writes for a draw, and its shape."""
        found, at = {}, 0
        for name, shape in flat_shapes(self._bound.param_names(include_tp=True, include_gq=True)).items():
            size = int(np.prod(shape))
            found[name] = (slice(at, at + size), shape)
            at += size
        return found

    def _draws(self, posterior: Any, seed: int, keep: Sequence[str]) -> dict[str, Floats]:
        """Map positions to values, in the order of chains and draws, with one stream of random numbers."""
        from bench.backends.stanli_functions import constrain

        positions = posterior["position"].values
        chains, draws, dimension = positions.shape
        width = max(where.stop for where, _ in self._columns.values())
        further = any(name not in self.description.parameters for name in keep)
        table = np.full((chains * draws, width), np.nan)
        generator = self._bound.new_rng(seed)
        constrain(self._bound.model, generator.ptr, further, positions.reshape(-1, dimension), table)
        table = table.reshape(chains, draws, width)
        return {name: fortran(table[..., where], shape) for name in keep for where, shape in [self._columns[name]]}
