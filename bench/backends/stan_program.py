"""Stan programs: their blocks, and what all engines that run them share, Stan's maps between values and vectors."""

import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.backends.base import Description, Posterior
from bench.families.base import Data, DataError, Program, Values

Shape = tuple[int, ...]

_BLOCK = re.compile(
    r"(functions|transformed\s+data|data|transformed\s+parameters|parameters|model|generated\s+quantities)\s*\{"
)
_SKIPPED = re.compile(r'//[^\n]*|#(?!include)[^\n]*|/\*.*?\*/|"[^"\n]*"', re.DOTALL)


def blocks(code: str) -> dict[str, str]:
    """Split a Stan program into its blocks.

    Parameters
    ----------
    code : str
        The program.

    Returns
    -------
    dict of str to str
        The text between the braces of each block, by its name with single spaces.

    Examples
    --------
    >>> blocks("parameters { real x; } model { x ~ normal(0, 1); }")
    {'parameters': ' real x; ', 'model': ' x ~ normal(0, 1); '}
    """
    plain = _SKIPPED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), code)  # braces in comments are none
    found, at = {}, 0
    while match := _BLOCK.search(plain, at):
        depth, end = 1, match.end()
        while depth and end < len(plain):
            depth += {"{": 1, "}": -1}.get(plain[end], 0)
            end += 1
        found[" ".join(match[1].split())] = code[match.end() : end - 1]
        at = end
    return found


def jacobian_program(code: str) -> str:
    """Return the program whose log density is the log Jacobian of another one's constraints.

    It declares the same functions, data and parameters, since bounds may depend on data, and has no density.

    Examples
    --------
    >>> print(jacobian_program("parameters { real<lower=0> s; } model { s ~ normal(0, 1); }"))
    parameters { real<lower=0> s; }
    model {}
    """
    found = blocks(code)
    kept = ("functions", "data", "transformed data", "parameters")
    return "\n".join([f"{name} {{{found[name]}}}" for name in kept if name in found] + ["model {}"])


def to_json(data: Data) -> str:
    """Write data as Stan reads them."""
    return json.dumps(plain(data))


class StanMaps:
    """A Stan program with its data, with Stan's own transforms, which stanli evaluates for everybody.

    Parameters
    ----------
    program : Program
        The Stan program.
    data : mapping
        Its data block.
    """

    def __init__(self, program: Program, data: Data) -> None:
        """Keep both; the maps are made when they are first asked for, outside of any timed build."""
        self._program, self._data_block = program, data

    @cached_property
    def _maps(self) -> Any:
        """Maps of the parameters alone: a generated quantity that raises must not keep anybody from mapping them."""
        import stanli

        return stanli.bridgestan_model(stan_code=jacobian_program(self._program.code), data=to_json(self._data_block))

    @cached_property
    def _jacobian(self) -> Any:
        import stanli

        return stanli.Model(stan_code=jacobian_program(self._program.code), data=plain(self._data_block))

    @cached_property
    def description(self) -> Description:
        """Names and shapes; generated quantities count as transformed."""
        import stanli

        whole = stanli.bridgestan_model(stan_code=self._program.code, data=to_json(self._data_block))
        parameters = flat_shapes(whole.param_names())
        if not parameters:
            name = self._program.path.name
            raise DataError(f"{name}: with these data no parameter has elements, so there is nothing to sample")
        every = flat_shapes(whole.param_names(include_tp=True, include_gq=True))
        return Description(parameters, {name: shape for name, shape in every.items() if name not in parameters})

    @property
    def dimension(self) -> int:
        """Length of an unconstrained vector."""
        return int(self._maps.param_unc_num())

    def block(self, name: str) -> list[int]:
        """Return where a parameter stands in the unconstrained vector."""
        return [i for i, flat in enumerate(self._maps.param_unc_names()) if flat.partition(".")[0] == name]

    def constrain(self, position: Floats) -> dict[str, Floats]:
        """Map Stan's unconstrained vector to values."""
        flat = self._maps.param_constrain(np.ascontiguousarray(position, dtype=np.float64))
        values, at = {}, 0
        for name, shape in self.description.parameters.items():
            size = int(np.prod(shape))
            values[name] = np.array(flat[at : at + size]).reshape(shape, order="F")
            at += size
        return values

    def unconstrain(self, values: Values) -> Floats:
        """Map values to Stan's unconstrained vector."""
        parts = [np.ravel(values[name], order="F") for name in self.description.parameters]
        flat = np.concatenate(parts) if parts else np.empty(0)
        return np.asarray(self._maps.param_unconstrain(np.ascontiguousarray(flat, dtype=np.float64)))

    def log_jacobian_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the log density of the program without a density."""
        value, gradient = self._jacobian.log_prob_grad(np.ascontiguousarray(position))
        return float(value), np.asarray(gradient)


class StanPosterior(StanMaps, Posterior):
    """The part of a posterior that Stan's engines share."""


def plain(data: Data) -> dict[str, Any]:
    """Return data as plain lists and numbers, as from JSON."""
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in data.items()}


def flat_shapes(names: Sequence[str]) -> dict[str, Shape]:
    """Read shapes from flat names such as `theta.2.1`, whose indices count from 1."""
    shapes: dict[str, Shape] = {}
    for flat in filter(None, names):  # of no names BridgeStan makes one that is empty
        name, *index = flat.split(".")
        if ":" in flat or name in ("real", "imag"):
            raise DataError(f"{name} is a tuple; hierbench knows reals, vectors, matrices and arrays of them")
        try:
            shapes[name] = tuple(int(i) for i in index)  # the last one has the largest indices
        except ValueError:
            raise DataError(f"{name} is complex; hierbench knows real parameters alone") from None
    return shapes


def fortran(columns: Floats, shape: Shape) -> Floats:
    """Give the last axis of a table its own shape, where the first index of that shape runs fastest.

    Stan writes matrices in this order, column by column.

    Parameters
    ----------
    columns : array of shape (*lead, size)
        A row for each draw, a column for each element.
    shape : tuple of int
        Shape of the quantity; its product is `size`.

    Returns
    -------
    array of shape (*lead, *shape)
        A copy in C order.

    Examples
    --------
    >>> fortran(np.arange(6.0)[None], (2, 3))
    array([[[0., 2., 4.],
            [1., 3., 5.]]])
    """
    reversed_ = columns.reshape(*columns.shape[:-1], *shape[::-1])
    axes = list(range(columns.ndim - 1))
    return np.ascontiguousarray(reversed_.transpose(axes + list(range(reversed_.ndim - 1, len(axes) - 1, -1))))


def natural(values: Values) -> dict[str, Any]:
    """Return values as JSON takes them."""
    return {name: np.asarray(value).tolist() for name, value in values.items()}
