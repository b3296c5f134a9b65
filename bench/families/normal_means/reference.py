"""The log density of each model and its gradient in plain NumPy: what every backend is held against.

Independent of any sampler, written from the mathematics of the models and not from their programs.
"""

import numpy as np

from bench.families.normal_means.data import Dataset
from bench.families.base import Model
from bench.families.normal_means.points import Gradient, Point


def log_density_and_gradient(model: Model, dataset: Dataset, point: Point) -> tuple[float, Gradient]:
    """Log posterior density on the unconstrained scale, up to a constant, and its gradient.

    The coordinates are the location, log sigma, log omega and the effects; the Jacobian of the two
    logarithms is included.

    Parameters
    ----------
    model : Model
        Which parameterization.
    dataset : Dataset
        Observations.
    point : Point
        Natural values; zero-sum effects must sum to zero.
    """
    loc, sigma, omega, effects = point.location, point.sigma, point.omega, point.effects
    n_groups = dataset.n_groups
    mu_g = {"mu_g": effects, "e": loc + effects, "z": loc + omega * effects}[model.effects]

    # y ~ normal(mu_g, sigma), sigma ~ half-normal(1), omega ~ half-normal(10), each scale with its Jacobian
    residual = dataset.y - mu_g[dataset.group]
    chi2 = float(residual @ residual) / sigma**2
    to_groups = np.bincount(dataset.group, weights=residual, minlength=n_groups) / sigma**2
    log_sigma, log_omega = np.log(sigma), np.log(omega)
    value = -len(dataset.y) * log_sigma - chi2 / 2 - sigma**2 / 2 + log_sigma - omega**2 / 200 + log_omega
    d_log_sigma = -len(dataset.y) + chi2 - sigma**2 + 1
    d_log_omega = -(omega**2) / 100 + 1

    # the location: mu ~ normal(0, 1), or m ~ normal(0, sqrt(1 + omega^2 / G))
    variance = 1 + omega**2 / n_groups if model.location == "m" else 1.0
    value -= np.log(variance) / 2 + loc**2 / (2 * variance)
    d_location = -loc / variance
    d_log_omega += (variance - 1) / variance * (loc**2 / variance - 1)

    # the effects: normal with sd omega, or standard normal, on G or G - 1 dimensions
    if model.effects == "z":
        value -= float(effects @ effects) / 2
        d_effects = omega * to_groups - effects
        d_location += np.sum(to_groups)
        d_log_omega += omega * float(to_groups @ effects)
    else:
        deviation = effects - loc if model.effects == "mu_g" else effects
        dimension = n_groups - model.zero_sum
        scaled = float(deviation @ deviation) / omega**2
        value -= dimension * log_omega + scaled / 2
        d_log_omega += scaled - dimension
        d_effects = to_groups - deviation / omega**2
        d_location += np.sum(deviation) / omega**2 if model.effects == "mu_g" else np.sum(to_groups)
    if model.zero_sum:
        d_effects = d_effects - np.mean(d_effects)
    return float(value), Gradient(float(d_location), float(d_log_sigma), float(d_log_omega), d_effects)
