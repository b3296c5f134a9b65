"""Independent intercepts and slopes, centered: drawn from normal(alpha, tau_alpha) and normal(beta, tau_beta)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm


def build(data: Mapping[str, Any]) -> pm.Model:
    """Build the model for the data of the Stan program: groups are numbered from 1."""
    with pm.Model(coords={"group": np.arange(data["G"])}) as model:
        group_of = pm.Data("group_of", data["group"] - 1)
        x = pm.Data("x", data["x"])
        observed = pm.Data("observed", data["y"])
        alpha = pm.Normal("alpha", 0, 2)
        beta = pm.Normal("beta", 0, 2)
        sigma = pm.HalfNormal("sigma", 2)
        tau_alpha = pm.HalfNormal("tau_alpha", 2)
        tau_beta = pm.HalfNormal("tau_beta", 2)
        alpha_g = pm.Normal("alpha_g", alpha, tau_alpha, dims="group")
        beta_g = pm.Normal("beta_g", beta, tau_beta, dims="group")
        pm.Normal("y", alpha_g[group_of] + beta_g[group_of] * x, sigma, observed=observed)
    return model
