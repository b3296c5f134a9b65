"""C functions that call stanli's runtime; compiled when this module is imported, once a process.

Pointers are numbers here, and no text is asked for when an evaluation fails.
"""

import ctypes
import math
from typing import Any

import numba
import numpy as np
import stanli
from numba import types

_REJECTED, _NOT_FINITE = 1, 4  # nutpie takes codes above 0 for a divergence
_LIBRARY = ctypes.CDLL(str(stanli._runtime_lib_path()))
_word, _flag = ctypes.c_size_t, ctypes.c_bool


def _function(name: str) -> Any:
    """Return a function of BridgeStan's C interface."""
    return ctypes.CFUNCTYPE(ctypes.c_int, _word, _flag, _flag, _word, _word, _word, _word)((name, _LIBRARY))


_gradient, _constrain = _function("bs_log_density_gradient"), _function("bs_param_constrain")
_word_, _doubles = types.uintp, types.CPointer(types.float64)


@numba.cfunc(types.int64(types.uint64, _word_, _word_, _doubles, types.CPointer(_word_)), nopython=True)
def log_density(dimension, position, gradient, value, user_data):  # type: ignore[no-untyped-def]
    """Evaluate the log density, Jacobian included, and its gradient, as nutpie calls it.

    Parameters
    ----------
    dimension : int
        Length of the position; stanli knows it.
    position : int
        Address of the unconstrained vector.
    gradient : int
        Address that the gradient is written to.
    value : pointer to float
        What the log density is written to.
    user_data : pointer to int
        To the address of stanli's model.

    Returns
    -------
    int
        0, or a code above 0 where the evaluation fails or is not finite.
    """
    value[0] = math.nan
    out = numba.carray(value, 1)
    code = _gradient(user_data[0], True, True, position, out.ctypes.data, gradient, 0)
    if code != 0:
        return _REJECTED
    return 0 if math.isfinite(value[0]) else _NOT_FINITE


@numba.cfunc(types.int64(types.uint64, types.uint64, _doubles, _doubles, _word_), nopython=True)
def copy_position(dimension, expanded, position, out, user_data):  # type: ignore[no-untyped-def]
    """Keep the position as it is.

    Parameters
    ----------
    dimension, expanded : int
        Lengths of the position and of what is kept; here they are equal.
    position, out : pointer to float
        From where to where.
    user_data : int
        Not used.
    """
    for i in range(dimension):
        out[i] = position[i]
    return 0


@numba.njit(types.int64(_word_, _word_, types.boolean, types.float64[:, ::1], types.float64[:, ::1]))
def constrain(model, rng, further, positions, table):  # type: ignore[no-untyped-def]
    """Write the values at each position into a row: parameters, and with `further` all that follows from them.

    Parameters
    ----------
    model, rng : int
        Addresses of stanli's model and of its random number generator.
    further : bool
        Whether to write transformed parameters and generated quantities too.
    positions : array of shape (draw, dimension)
        Unconstrained vectors.
    table : array of shape (draw, column)
        What is written to; a row that failed holds NaN.

    Returns
    -------
    int
        How many rows failed.
    """
    failed = 0
    for i in range(len(positions)):
        if _constrain(model, further, further, positions[i].ctypes.data, table[i].ctypes.data, rng, 0) != 0:
            table[i] = np.nan
            failed += 1
    return failed
