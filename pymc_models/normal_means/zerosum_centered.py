"""Superpopulation through the mean m of these groups and effects e that sum to zero.

The population mean mu is integrated out of m's prior and recovered after sampling.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm


def build(data: Mapping[str, Any]) -> pm.Model:
    """Build the model for the data of the Stan program: groups are numbered from 1."""
    n_groups = data["G"]
    with pm.Model(coords={"group": np.arange(n_groups)}) as model:
        group_of = pm.Data("group_of", data["group"] - 1)
        observed = pm.Data("observed", data["y"])
        sigma = pm.HalfNormal("sigma", 1)
        omega = pm.HalfNormal("omega", 10)
        m = pm.Normal("m", 0, pm.math.sqrt(1 + omega**2 / n_groups))
        e = pm.ZeroSumNormal("e", sigma=omega, dims="group")
        mu_g = pm.Deterministic("mu_g", m + e, dims="group")
        pm.Normal("y", mu_g[group_of], sigma, observed=observed)
    return model
