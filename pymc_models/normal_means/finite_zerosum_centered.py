"""Finite population: mu is the mean of these groups, and the effects e sum to zero."""

import numpy as np
import pymc as pm
from numpy.typing import NDArray


def build(y: NDArray[np.float64], group: NDArray[np.int64], n_groups: int) -> pm.Model:
    """Build the model for observations `y` with 0-based group numbers `group`, both of shape (N,)."""
    with pm.Model(coords={"group": np.arange(n_groups)}) as model:
        group_of = pm.Data("group_of", group)
        observed = pm.Data("observed", y)
        mu = pm.Normal("mu", 0, 1)
        sigma = pm.HalfNormal("sigma", 1)
        omega = pm.HalfNormal("omega", 10)
        e = pm.ZeroSumNormal("e", sigma=omega, dims="group")
        mu_g = pm.Deterministic("mu_g", mu + e, dims="group")
        pm.Normal("y", mu_g[group_of], sigma, observed=observed)
    return model
