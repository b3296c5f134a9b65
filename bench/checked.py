"""Whether plain JSON values have the types that are declared for them."""

import math
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

Check = Callable[[Any], bool]

LARGEST = 2**63
"""Numbers beyond it are damage."""


def misfit(name: str, value: Any, kind: Any) -> str:
    """Say how a value does not fit a type, or return nothing where it fits.

    Parameters
    ----------
    name : str
        What to call the value.
    value : Any
        As JSON has it.
    kind : type
        As annotated: plain types, `Literal`, unions, and lists and dicts of these. A float is any finite number.

    Examples
    --------
    >>> misfit("seed", "1", int)
    "seed is '1', not int"
    >>> misfit("ebfmi", [0.9, 1], list[float])
    ''
    """
    if _check(kind)(value):
        return ""
    said = repr(value)
    wanted = kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind)
    return f"{name} is {said if len(said) <= 40 else said[:37] + '...'}, not {wanted}"


def misfits(values: Mapping[str, Any], kinds: Mapping[str, Any], within: str = "") -> str:
    """Return the first misfit among values whose types are known, or nothing.

    Parameters
    ----------
    values : mapping
        By name; names of no known type pass.
    kinds : mapping of str to type
        What they should be.
    within : str
        Put before the names.
    """
    found = (misfit(f"{within}{name}", value, kinds[name]) for name, value in values.items() if name in kinds)
    return next(filter(None, found), "")


@cache
def _check(kind: Any) -> Check:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: True
    if kind is float:
        return lambda value: type(value) in (float, int) and -LARGEST < value < LARGEST and math.isfinite(value)
    if kind is int:
        return lambda value: type(value) is int and -LARGEST < value < LARGEST
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in inner
    if origin in (Union, types.UnionType):
        checks = [_check(each) for each in inner]
        return lambda value: any(check(value) for check in checks)
    if origin is list:
        of = _check(inner[0])
        return lambda value: isinstance(value, list) and all(map(of, value))
    if origin is dict:
        each = _check(inner[1])
        return lambda value: isinstance(value, dict) and all(map(each, value.values()))
    return lambda value: isinstance(value, kind)
