"""Superpopulation, centered: the group means are drawn from Normal(mu, omega)."""

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
        mu = pm.Normal("mu", 0, 1)
        sigma = pm.HalfNormal("sigma", 1)
        omega = pm.HalfNormal("omega", 10)
        mu_g = pm.Normal("mu_g", mu, omega, dims="group")
        pm.Normal("y", mu_g[group_of], sigma, observed=observed)
    return model
