"""Places in parameter space at which two programs are compared, and what one of them finds there.

A place is values by name, the one language that all programs share. The density over the values is what a program has
on its own unconstrained scale less the log Jacobian of its own transforms, so that it does not matter which transforms
these are. Gradients are compared along a line: the values on it are handed over too, and each side differentiates its
own map along them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bench.arrays import Floats
from bench.families.base import Values

STEP = 1e-3
"""Distance of the values on a line, on the unconstrained scale: the error of the derivative is of its fourth power."""
OFFSETS = (-2, -1, 1, 2)
WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / (12 * STEP)


@dataclass(frozen=True)
class Place:
    """Values of all parameters, and of four neighbours on a line through them.

    Attributes
    ----------
    values : mapping of str to array
        The values.
    line : tuple of mapping
        Values at -2, -1, 1 and 2 times `STEP` along the line; empty where no gradient is compared.
    """

    values: Values
    line: tuple[Values, ...] = ()


@dataclass(frozen=True)
class Found:
    """What one side finds at a place.

    Attributes
    ----------
    log_density : float
        Over the values.
    slope : float
        Its derivative along the line; NaN without a line.
    size : float
        Sum of the absolute terms of the slope: the scale of its error.
    rounding : float
        What rounding of the map along the line may do to the slope.
    error : str
        What was raised, or empty.
    """

    log_density: float = float("nan")
    slope: float = float("nan")
    size: float = 0.0
    rounding: float = 0.0
    error: str = ""


class Density(Protocol):
    """The part of `bench.backends.base.Posterior` that is needed here."""

    def constrain(self, position: Floats) -> dict[str, Floats]:
        """Map a vector to values."""

    def unconstrain(self, values: Values) -> Floats:
        """Map values to a vector."""

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the density of the vector."""

    def log_jacobian_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the Jacobian of `constrain`."""


def lead(density: Density, positions: Floats, directions: Floats) -> list[tuple[Place, Found]]:
    """Turn positions of one side into places, with what that side finds there.

    Parameters
    ----------
    density : Density
        The side.
    positions, directions : array of shape (place, dimension)
        On its unconstrained scale; where a direction is 0 the place has no line.
    """
    visited = []
    for position, direction in zip(positions, directions, strict=True):
        values = density.constrain(position)
        line: tuple[Values, ...] = ()
        if np.any(direction):
            line = tuple(density.constrain(position + k * STEP * direction) for k in OFFSETS)
        visited.append((Place(values, line), _evaluate(density, position, direction if line else None)))
    return visited


def follow(density: Density, places: Sequence[Place]) -> list[Found]:
    """Evaluate a side at places that another one has led to.

    Parameters
    ----------
    density : Density
        The side.
    places : sequence of Place
        From `lead` of the other one.

    Returns
    -------
    list of Found
        One for each place; where the side raises, its `error` says what.
    """
    found = []
    for place in places:
        try:
            position = density.unconstrain(place.values)
            tangent = None
            if place.line:
                tangent = np.tensordot(WEIGHTS, np.stack([density.unconstrain(v) for v in place.line]), 1)
        except Exception as error:  # any library's own type; the gate shows the text
            found.append(Found(error=f"{type(error).__name__}: {error}"))
        else:
            found.append(_evaluate(density, position, tangent))
    return found


def follow_reference(reference: Callable[[Values], tuple[float, Values]], places: Sequence[Place]) -> list[Found]:
    """Evaluate a hand-written density over the values at places.

    Parameters
    ----------
    reference : callable
        Takes values; returns their log density and its gradient with respect to each of them, as `Family.reference`.
    places : sequence of Place
        From `lead` of another side.
    """
    found = []
    for place in places:
        value, gradient = reference(place.values)
        slope, size, rounding = float("nan"), 0.0, 0.0
        if place.line:
            terms = []
            for name, partial in gradient.items():
                along = np.tensordot(WEIGHTS, np.stack([values[name] for values in place.line]), 1)
                terms.append(np.ravel(partial * along))
                rounding += _rounding(partial, place.values[name])
            slope, size = float(sum(term.sum() for term in terms)), float(sum(np.abs(term).sum() for term in terms))
        found.append(Found(value, slope, size, rounding))
    return found


def densities(density: Density, values: Sequence[Values]) -> list[float]:
    """Log densities over the values; NaN where one can't be evaluated.

    Parameters
    ----------
    density : Density
        The side.
    values : sequence of Values
        Where.
    """
    return [found.log_density for found in follow(density, [Place(each) for each in values])]


def log_jacobians(density: Density, values: Sequence[Values]) -> list[float]:
    """Log Jacobians of a side's maps at values; NaN where one can't be evaluated.

    Parameters
    ----------
    density : Density
        The side.
    values : sequence of Values
        Where.
    """
    found = []
    for each in values:
        try:
            found.append(float(density.log_jacobian_and_gradient(density.unconstrain(each))[0]))
        except Exception:  # libraries raise their own types for values outside of their support
            found.append(float("nan"))
    return found


def inside(density: Density, values: Sequence[Values]) -> list[bool]:
    """Tell of each of some values whether a side's maps lead to it: whether it is in its support.

    Parameters
    ----------
    density : Density
        The side.
    values : sequence of Values
        What may be outside.
    """
    found = []
    for each in values:
        try:
            found.append(bool(np.isfinite(density.unconstrain(each)).all()))
        except Exception:  # libraries raise their own types for values outside of their support
            found.append(False)
    return found


def _evaluate(density: Density, position: Floats, tangent: Floats | None) -> Found:
    try:
        value, gradient = density.log_density_and_gradient(position)
        jacobian, of_jacobian = density.log_jacobian_and_gradient(position)
    except Exception as error:  # any library's own type; the gate shows the text
        return Found(error=f"{type(error).__name__}: {error}")
    for name, found in (("log density", value), ("gradient", gradient)):
        if np.asarray(found).dtype.kind not in "fiu":
            raise TypeError(f"the {name} is {_named(found)}, not of real numbers")
    if np.ndim(value):
        raise TypeError(f"the log density has shape {np.shape(value)}, not that of one number")
    if np.shape(gradient) != np.shape(position):
        return Found(error=f"the gradient has shape {np.shape(gradient)}, not {np.shape(position)}")
    if tangent is None:
        return Found(float(value - jacobian))
    return Found(
        log_density=float(value - jacobian),
        slope=float((gradient - of_jacobian) @ tangent),
        size=float((np.abs(gradient) + np.abs(of_jacobian)) @ np.abs(tangent)),
        rounding=_rounding(gradient, position),
    )


def _named(found: object) -> str:
    """Name a type, of an array that of its numbers."""
    return f"{found.dtype}" if isinstance(found, np.ndarray) else type(found).__name__


def _rounding(gradient: Floats, at: Floats) -> float:
    """Bound what the rounding of coordinates does to a slope taken by differences of them."""
    return float(4 * np.finfo(float).eps / STEP * np.sum(np.abs(gradient) * (1 + np.abs(at))))
