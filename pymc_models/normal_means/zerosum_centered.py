"""Superpopulation through the mean m of these groups and effects e that sum to zero.

The population mean mu is integrated out of m's prior and recovered after sampling.
"""

import numpy as np
import pymc as pm
from numpy.typing import NDArray


def build(y: NDArray[np.float64], group: NDArray[np.int64], n_groups: int) -> pm.Model:
    """Build the model for observations `y` with 0-based group numbers `group`, both of shape (N,)."""
    with pm.Model(coords={"group": np.arange(n_groups)}) as model:
        group_of = pm.Data("group_of", group)
        observed = pm.Data("observed", y)
        sigma = pm.HalfNormal("sigma", 1)
        omega = pm.HalfNormal("omega", 10)
        m = pm.Normal("m", 0, pm.math.sqrt(1 + omega**2 / n_groups))
        e = pm.ZeroSumNormal("e", sigma=omega, dims="group")
        mu_g = pm.Deterministic("mu_g", m + e, dims="group")
        pm.Normal("y", mu_g[group_of], sigma, observed=observed)
    return model
