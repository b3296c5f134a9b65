"""PyMC's unconstrained coordinates of our models, and their data, shared by `pymc` and `nutpie`."""

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.backends.base import Posterior
from bench.families.normal_means.data import Dataset
from bench.families.base import Model
from bench.families.normal_means.points import Gradient, Point

if TYPE_CHECKING:
    import pymc as pm

Floats = NDArray[np.float64]


class PyMCModelPosterior(Posterior):
    """A posterior whose vectors hold the value variables of a PyMC model, in the model's order.

    Parameters
    ----------
    model : Model
        The parameterization.
    built : pymc.Model
        The same, built.
    """

    def __init__(self, model: Model, built: "pm.Model") -> None:
        """Read the order of the variables."""
        self._model, self._pymc = model, built
        self._order = [built.values_to_rvs[value].name for value in built.value_vars]

    def unconstrain(self, point: Point) -> Floats:
        """Map a point to PyMC's unconstrained vector."""
        effects = zero_sum_coordinates(point.effects) if self._model.zero_sum else point.effects
        values = (point.location, np.log(point.sigma), np.log(point.omega), effects)
        named = dict(zip(self._model.parameters, values, strict=True))
        return np.concatenate([np.atleast_1d(named[name]) for name in self._order])

    def gradient(self, vector: Floats) -> Gradient:
        """Write a gradient in PyMC's coordinates in those of `Gradient`."""
        named: dict[str, Floats] = {}
        n_effects = len(vector) - 3
        for name in self._order:
            size = n_effects if name == self._model.effects else 1
            named[name], vector = vector[:size], vector[size:]
        location, sigma, omega, effects = (named[name] for name in self._model.parameters)
        effects = zero_sum_vector(effects) if self._model.zero_sum else effects
        return Gradient(float(location[0]), float(sigma[0]), float(omega[0]), effects)


def bind(built: "pm.Model", dataset: Dataset) -> None:
    """Exchange the data of a built model for a dataset with as many groups."""
    for name, value in (("group_of", dataset.group), ("observed", dataset.y)):
        built.set_data(name, value)


def compiled_files() -> int:
    """Count what PyTensor has compiled and kept on disk, C modules and Numba functions alike."""
    from pytensor import config

    return sum(len(folders) + len(files) for _, folders, files in os.walk(str(config.compiledir)))


def zero_sum_vector(coordinates: Floats) -> Floats:
    """Map G - 1 coordinates to the vector of length G that sums to zero, as PyMC's `ZeroSumTransform` does."""
    root = np.sqrt(len(coordinates) + 1.0)
    total = coordinates.sum()
    return np.append(coordinates - total / (root + root**2), -total / root)


def zero_sum_coordinates(vector: Floats) -> Floats:
    """Map a vector that sums to zero to its G - 1 coordinates; the inverse of `zero_sum_vector`."""
    root = np.sqrt(float(len(vector)))
    coordinates: Floats = vector[:-1] - vector[-1] * root / (root + root**2)
    return coordinates
