"""PyMC programs: how they are built, told apart and given data, and PyMC's maps between values and vectors."""

import os
import shutil
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bench.arrays import Floats
from bench.backends.base import Description, Posterior
from bench.backends.stan_program import StanMaps, plain
from bench.families.base import Data, DataError, Model, Program, Values

if TYPE_CHECKING:
    import pymc as pm


Compile = Callable[[list[Any], list[Any]], Callable[..., Any]]

BUILDERS = ("build", "make_model", "model")
"""Names that a module may give its function; `model` may be the model itself."""


def build(program: Program, data: Data) -> "pm.Model":
    """Run a PyMC module and build its model.

    The module finds `pm`, `np` and `pt` defined. Its function is `build(data)`, which gets arrays, or posteriordb's
    `make_model(data)` or `model(data)`, which get plain lists and numbers; `model` may also be a model.

    Parameters
    ----------
    program : Program
        The module.
    data : mapping
        The data block of the Stan program.

    Raises
    ------
    DataError
        If it has no such function, gives no model, or the model has discrete parameters.
    """
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    if numba_for_c():
        pytensor.config.mode = "NUMBA"
    names: dict[str, Any] = {"pm": pm, "np": np, "pt": pt, "__name__": program.path.stem, "__file__": str(program.path)}
    exec(compile(program.code, str(program.path), "exec"), names)
    found = next((name for name in BUILDERS if name in names), None)
    if found is None:
        raise DataError(
            f"{program.path.name} has no function build(data); write one that returns the pm.Model, "
            "or name yours build, make_model or model"
        )
    built = names[found]
    if not isinstance(built, pm.Model):
        built = built(dict(data) if found == "build" else plain(data))
    if not isinstance(built, pm.Model):
        raise DataError(f"{program.path.name}: {found}(data) returned {type(built).__name__}, not a pm.Model")
    discrete = [rv.name for rv in built.free_RVs if rv.dtype.startswith(("int", "uint", "bool"))]
    if discrete:
        raise DataError(
            f"{program.path.name} has discrete parameters ({', '.join(discrete)}), which NUTS can't sample; "
            "sum them out, e.g. with pm.Mixture"
        )
    if not built.free_RVs:
        raise DataError(f"{program.path.name} has no parameters, so there is nothing to sample")
    return built


def numba_for_c() -> bool:
    """Tell whether PyMC must compile with Numba: PyMC 5 compiles C, and without a compiler it would interpret graphs.

    Interpreted, fits were seen to take thirty to seventy times as long.
    """
    return compiles_c() and "mode" not in _flags() and not has_compiler()


def compiles_c() -> bool:
    """Tell whether this PyMC compiles C unless it is told otherwise; from 6 on it is Numba."""
    return int(version("pymc").split(".")[0]) < 6


def has_compiler() -> bool:
    """Tell whether PyTensor finds a C++ compiler."""
    return bool(_flags().get("cxx", shutil.which("g++") or shutil.which("clang++") or ""))


def _flags() -> dict[str, str]:
    """Return PyTensor's flags that the environment sets."""
    return dict(flag.split("=", 1) for flag in os.environ.get("PYTENSOR_FLAGS", "").split(",") if "=" in flag)


def swappable(built: "pm.Model") -> dict[str, Any]:
    """Return the values of a model's `pm.Data` by name: all that may be exchanged in a compiled model."""
    return {variable.name: variable.get_value() for variable in built.data_vars}


class PyMCMaps(Posterior):
    """The part of a posterior that PyMC's backends share: names, shapes and PyMC's own transforms.

    Vectors hold the value variables of the model, one after the other in the model's order.

    Parameters
    ----------
    model : Model
        The parameterization; it says which parameters have other names, axes or scales here than in Stan.
    built : pymc.Model
        The same, built.
    data : mapping
        The data block that it was built with.
    """

    def __init__(self, model: Model, built: "pm.Model", data: Data) -> None:
        """Keep them; the maps are compiled when they are first asked for, outside of any timed build.

        What is evaluated is compiled by `compile`.
        """
        self._model, self._pymc, self._data = model, built, data
        self._pymc_name = {**model.renamed, **model.unconstrained}
        self._stan_name = {ours: stan for stan, ours in self._pymc_name.items()}
        initial = built.initial_point()
        self._shapes = [np.shape(initial[value.name]) for value in built.value_vars]
        self._ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])

    @abstractmethod
    def compile(self) -> None:
        """Compile log density and gradient, and say in `cache` what served that."""

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that is compiled: the graph of the log density, its operations, constants, and all shapes.

        Two posteriors with the same one differ in the values of their `pm.Data` at most, so that one compiled model
        serves both once these are exchanged.
        """
        from pytensor.graph.basic import Constant
        from pytensor.graph.op import HasInnerGraph
        from pytensor.graph.traversal import toposort

        assert self._model.pymc
        exchanged = swappable(self._pymc).keys()
        # parameters whose length is that of a dimension show it nowhere in the graph
        sha = sha256(f"{self._model.naming} {self._shapes} {self._model.pymc.code}".encode())

        def feed(outputs: Sequence[Any]) -> None:
            for node in toposort(outputs):
                sha.update(f"{type(node.op).__name__} {node.op} {[str(out.type) for out in node.outputs]}".encode())
                for variable in node.inputs:
                    if isinstance(variable, Constant):
                        value = variable.data
                        sha.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
                    elif hasattr(variable, "get_value"):
                        value = np.asarray(variable.get_value(borrow=True))
                        kept = b"" if variable.name in exchanged else value.tobytes()  # only pm.Data are exchanged
                        sha.update(f"{variable.name} {variable.type} {value.shape}".encode() + kept)
                    elif variable.owner is None:
                        sha.update(f"{variable.name} {variable.type}".encode())
                if isinstance(node.op, HasInnerGraph):
                    feed(node.op.inner_outputs)

        feed([self._pymc.logp()])
        return sha.hexdigest()

    def exchange_data(self, fresh: "PyMCMaps") -> None:
        """Take over the data of another posterior with the same fingerprint."""
        self.cache, self._data = "memory", fresh._data
        self.__dict__.pop("_stan", None)
        for name, value in swappable(fresh._pymc).items():
            self._pymc.set_data(name, value)

    @cached_property
    def description(self) -> Description:
        """Names, as Stan has them, and shapes; deterministics count as transformed."""
        there = {name: shape for name, shape in self._declared.items() if 0 not in shape}
        parameters = [name for rv in self._pymc.free_RVs if (name := self.stan_name(rv.name)) in there]
        if not parameters:
            raise DataError(
                f"{self._model.name}: with these data no parameter has elements, so there is nothing to sample"
            )
        return Description(
            {name: there[name] for name in parameters},
            {name: shape for name, shape in there.items() if name not in parameters},
        )

    @cached_property
    def _declared(self) -> dict[str, tuple[int, ...]]:
        """Shapes by Stan's names, of what has no elements too, which Stan does not list."""
        with _plain_mode() as compiled:
            outputs = self._pymc.replace_rvs_by_values([*self._pymc.free_RVs, *self._pymc.deterministics])
            evaluate = compiled(self._pymc.value_vars, [output.shape for output in outputs])
        shapes = evaluate(*self._split(np.zeros(self.dimension)))
        names = [variable.name for variable in (*self._pymc.free_RVs, *self._pymc.deterministics)]
        found = {
            self.stan_name(name): self._stan_shape(self.stan_name(name), tuple(int(size) for size in shape))
            for name, shape in zip(names, shapes, strict=True)
        }
        return found | {name: self._scaled_shape(name) for name in found if name in self._model.unconstrained}

    @property
    def dimension(self) -> int:
        """Length of an unconstrained vector."""
        return int(self._ends[-1])

    def stan_name(self, name: str) -> str:
        """Return the name that the Stan program gives what is called so here."""
        return self._stan_name.get(name, name)

    def pymc_name(self, name: str) -> str:
        """Return the name here of what the Stan program calls so."""
        return self._pymc_name.get(name, name)

    def from_pymc(self, name: str, array: Floats, lead: int = 0) -> Floats:
        """Bring an array to Stan's scale, and its axes from PyMC's order into Stan's.

        Parameters
        ----------
        name : str
            Of the quantity, as Stan has it; without an entry in the model nothing is done.
        array : array of shape (*lead, *shape)
            Its values.
        lead : int, default 0
            Axes in front that stay where they are: 2 for draws of shape (chain, draw, ...).

        Returns
        -------
        array
            With the same leading axes.
        """
        if name in self._model.unconstrained:
            flat = array.reshape(*array.shape[:lead], -1)
            return np.apply_along_axis(lambda part: self._stan.constrain(self._alone(name, part))[name], lead, flat)
        axes = self._model.axes.get(name)
        if axes is None:
            return array
        if not axes:
            return array[..., None]
        return array.transpose([*range(lead), *(lead + int(i) for i in np.argsort(axes))])

    def constrain(self, position: Floats) -> dict[str, Floats]:
        """Map PyMC's unconstrained vector to values."""
        arrays = self._backward(*self._split(position))
        names = [self.stan_name(rv.name) for rv in self._pymc.free_RVs]
        found = {name: self.from_pymc(name, np.asarray(a)) for name, a in zip(names, arrays, strict=True)}
        return {name: array for name, array in found.items() if array.size}

    def unconstrain(self, values: Values) -> Floats:
        """Map values to PyMC's unconstrained vector."""
        parts = self._forward(*self.natural(values).values())
        return np.concatenate([np.ravel(part) for part in parts])

    def natural(self, values: Values) -> dict[str, Floats]:
        """Return values by the names, on the scales and with the axes that they have here, in the model's order."""
        found = {}
        position = self._stan.unconstrain(values) if self._model.unconstrained else np.empty(0)
        for i, rv in enumerate(self._pymc.free_RVs):
            name = self.stan_name(rv.name)
            shape = self._declared[name]
            array = np.empty(shape) if 0 in shape else np.asarray(values[name], dtype=np.float64)
            axes = self._model.axes.get(name)
            if name in self._model.unconstrained:
                found[rv.name] = position[self._stan.block(name)].reshape(self._shapes[i])
            elif axes is None:
                found[rv.name] = array
            else:
                found[rv.name] = array.transpose([int(i) for i in axes]) if axes else array.reshape(())
        return found

    def log_jacobian_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the sum of the transforms' log Jacobian determinants, Stan's own where parameters are on its scale.

        Stan's other parameters stay where they are, so that they add a constant.
        """
        parts = self._split(position)
        value, *gradients = self._jacobian(*parts)
        total = float(value)
        for i, rv in enumerate(self._pymc.free_RVs):
            if (name := self.stan_name(rv.name)) in self._model.unconstrained:
                of_stan, slopes = self._stan.log_jacobian_and_gradient(self._alone(name, parts[i]))
                total += of_stan
                gradients[i] = np.ravel(gradients[i]) + slopes[self._stan.block(name)]
        return total, np.concatenate([np.ravel(part) for part in gradients])

    def _alone(self, name: str, part: Floats) -> Floats:
        """Return a vector of Stan's that is 0 but for one parameter."""
        position = np.zeros(self._stan.dimension)
        position[self._stan.block(name)] = np.ravel(part)
        return position

    def _scaled_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape that a parameter on Stan's unconstrained scale has in Stan."""
        ours = self.pymc_name(name)
        rv = self._pymc[ours]
        size = self._shapes[self._pymc.free_RVs.index(rv)]
        block = self._stan.block(name)
        if len(block) != int(np.prod(size)):
            raise DataError(f"{ours} has shape {size}, and {name} has {len(block)} unconstrained elements in Stan")
        if self._pymc.rvs_to_transforms[rv] is not None:
            raise DataError(f"{ours} is to be on Stan's unconstrained scale, and PyMC transforms it once more")
        return self._stan.description.parameters[name]

    @cached_property
    def _stan(self) -> StanMaps:
        """Stan's own maps, for parameters that are on its unconstrained scale here."""
        if self._model.stan is None:
            raise DataError(f"{self._model.name} has parameters on Stan's scale, and no Stan program")
        return StanMaps(self._model.stan, self._data)

    def _stan_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        axes = self._model.axes.get(name)
        if axes is None:
            return shape
        return tuple(shape[int(i)] for i in np.argsort(axes)) if axes else (1,)

    def _split(self, position: Floats) -> list[Floats]:
        parts = np.split(np.asarray(position, dtype=np.float64), self._ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    @cached_property
    def _backward(self) -> Callable[..., Any]:
        with _plain_mode() as compiled:
            return compiled(self._pymc.value_vars, self._pymc.replace_rvs_by_values(self._pymc.free_RVs))

    @cached_property
    def _forward(self) -> Callable[..., Any]:
        from pytensor.graph.replace import graph_replace

        with _plain_mode() as compiled:
            symbols = {rv: rv.type(name=rv.name) for rv in self._pymc.free_RVs}
            outputs = [
                transform.forward(symbols[rv], *rv.owner.inputs)
                if (transform := self._pymc.rvs_to_transforms[rv]) is not None
                else symbols[rv]
                for rv in symbols
            ]
            # the bounds of one parameter may be another one
            return compiled(list(symbols.values()), graph_replace(outputs, symbols, strict=False))

    @cached_property
    def _jacobian(self) -> Callable[..., Any]:
        import pytensor
        import pytensor.tensor as pt

        with _plain_mode() as compiled:
            terms = [
                transform.log_jac_det(self._pymc.rvs_to_values[rv], *rv.owner.inputs).sum()
                for rv in self._pymc.free_RVs
                if (transform := self._pymc.rvs_to_transforms[rv]) is not None
            ]
            (total,) = self._pymc.replace_rvs_by_values([sum(terms, pt.as_tensor(0.0))])
            gradients = pytensor.grad(
                total, self._pymc.value_vars, disconnected_inputs="ignore", return_disconnected="zero"
            )
            return compiled(self._pymc.value_vars, [total, *gradients])


@contextmanager
def _plain_mode() -> Iterator[Compile]:
    """Compile small graphs to plain Python calls, which takes milliseconds where Numba or C take seconds."""
    import pytensor
    from pytensor.compile.mode import Mode

    mode = Mode(linker="py", optimizer=None)

    def compiled(inputs: list[Any], outputs: list[Any]) -> Callable[..., Any]:
        function = pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")
        function.trust_input = True
        return cast(Callable[..., Any], function)

    with pytensor.config.change_flags(mode=mode):
        yield compiled


def compiled_files() -> int:
    """Count what PyTensor has compiled and kept on disk: C modules, and Numba functions in a folder beside them."""
    from pytensor import config

    folders = (Path(config.compiledir), Path(config.base_compiledir, "numba"))
    return sum(len(os.listdir(folder)) for folder in folders if folder.is_dir())
