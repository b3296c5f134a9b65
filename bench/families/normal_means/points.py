"""Points of parameter space that every backend can be asked about, in one language."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.families.normal_means.data import Dataset
from bench.families.base import Model
from bench.settings import fit_seed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """Natural values of a model's parameters.

    Attributes
    ----------
    location, sigma, omega : float
        Its location parameter and its two scales.
    effects : array of shape (G,)
        Its effects; they sum to zero where the model says so.
    """

    location: float
    sigma: float
    omega: float
    effects: Floats

    def named(self, model: Model) -> Mapping[str, float | Floats]:
        """Return the values by the names that the model gives its parameters."""
        return dict(zip(model.parameters, (self.location, self.sigma, self.omega, self.effects), strict=True))


@dataclass(frozen=True)
class Gradient:
    """Gradient of a log density in location, log sigma, log omega and the effects.

    That of zero-sum effects lies in the hyperplane of vectors that sum to zero, written in its G coordinates,
    so that it does not depend on the basis which a library takes for the hyperplane.
    """

    location: float
    log_sigma: float
    log_omega: float
    effects: Floats


def standardised(model: Model, mu: float, sigma: float, omega: float, z: Floats) -> Point:
    """Place a model where the group means are ``mu + omega z``.

    Every model given the same values is at the same group means, sigma and omega.

    Parameters
    ----------
    model : Model
        The model whose parameters are wanted.
    mu, sigma, omega : float
        Mean of the population of groups and the two scales.
    z : array of shape (G,)
        Standardised effects; they need not sum to zero.
    """
    location = mu
    if model.zero_sum:
        location, z = mu + omega * float(np.mean(z)), z - np.mean(z)
        z = z - np.mean(z)  # once more, for the last bit: libraries check the sum
    effects = {"z": z, "e": omega * z, "mu_g": mu + omega * z}[model.effects]
    return Point(location, sigma, omega, effects)


def initial_points(model: Model, dataset: Dataset, seed: int, replicate: int, chains: int) -> list[Point]:
    """Draw the starts of all chains, the same group means, sigma and omega for every model and backend.

    Uniform on (-2, 2) in mu, log sigma, log omega and the standardised effects, as Stan starts.
    """
    rng = np.random.default_rng([fit_seed(seed, dataset.id, replicate), 1])
    points = []
    for _ in range(chains):
        mu, log_sigma, log_omega, *z = rng.uniform(-2, 2, 3 + dataset.n_groups)
        points.append(standardised(model, mu, float(np.exp(log_sigma)), float(np.exp(log_omega)), np.array(z)))
    return points
