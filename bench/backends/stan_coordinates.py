"""Stan's unconstrained coordinates of our models, shared by the backends that run Stan programs.

The parameters stand in the order in which the programs declare them: location, log sigma, log omega, effects.
A `sum_to_zero_vector` of length G has G - 1 coordinates in an orthonormal basis (Stan Reference Manual,
"Constraint Transforms", zero-sum vector): its Jacobian is constant.
"""

import numpy as np
from numpy.typing import NDArray

from bench.backends.base import Posterior
from bench.families.base import Model
from bench.families.normal_means.points import Gradient, Point

Floats = NDArray[np.float64]


class StanPosterior(Posterior):
    """A posterior whose vectors are in Stan's coordinates.

    Parameters
    ----------
    model : Model
        The parameterization.
    """

    def __init__(self, model: Model) -> None:
        """Keep the model."""
        self._model = model

    def unconstrain(self, point: Point) -> Floats:
        """Map a point to Stan's unconstrained vector."""
        return unconstrain(self._model, point)

    def gradient(self, vector: Floats) -> Gradient:
        """Write a gradient in Stan's coordinates in those of `Gradient`."""
        return gradient(self._model, vector)


def unconstrain(model: Model, point: Point) -> Floats:
    """Map a point to Stan's unconstrained vector."""
    effects = zero_sum_coordinates(point.effects) if model.zero_sum else point.effects
    return np.concatenate(([point.location, np.log(point.sigma), np.log(point.omega)], effects))


def constrain(model: Model, position: Floats) -> Point:
    """Map Stan's unconstrained vector to a point."""
    effects = zero_sum_vector(position[3:]) if model.zero_sum else position[3:]
    return Point(float(position[0]), float(np.exp(position[1])), float(np.exp(position[2])), effects)


def gradient(model: Model, vector: Floats) -> Gradient:
    """Write a gradient in Stan's coordinates in those of `Gradient`."""
    effects = zero_sum_vector(vector[3:]) if model.zero_sum else vector[3:]
    return Gradient(float(vector[0]), float(vector[1]), float(vector[2]), effects)


def zero_sum_vector(coordinates: Floats) -> Floats:
    """Map G - 1 coordinates to the vector of length G that sums to zero."""
    i = np.arange(1, len(coordinates) + 1)
    w = coordinates / np.sqrt(i * (i + 1.0))
    vector = np.append(np.cumsum(w[::-1])[::-1], 0.0)
    vector[1:] -= i * w
    return vector


def zero_sum_coordinates(vector: Floats) -> Floats:
    """Map a vector that sums to zero to its G - 1 coordinates; the inverse of `zero_sum_vector`."""
    i = np.arange(1, len(vector))
    return (np.cumsum(vector)[:-1] - i * vector[1:]) / np.sqrt(i * (i + 1.0))
