"""Independent effects e_alpha and e_beta that sum to zero about the means m_alpha and m_beta of these groups.

The population means alpha and beta are integrated out of their priors and recovered after sampling.
"""

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
        sigma = pm.HalfNormal("sigma", 2)
        tau_alpha = pm.HalfNormal("tau_alpha", 2)
        tau_beta = pm.HalfNormal("tau_beta", 2)
        m_alpha = pm.Normal("m_alpha", 0, pm.math.sqrt(4 + tau_alpha**2 / data["G"]))
        m_beta = pm.Normal("m_beta", 0, pm.math.sqrt(4 + tau_beta**2 / data["G"]))
        e_alpha = pm.ZeroSumNormal("e_alpha", sigma=tau_alpha, dims="group")
        e_beta = pm.ZeroSumNormal("e_beta", sigma=tau_beta, dims="group")
        alpha_g = pm.Deterministic("alpha_g", m_alpha + e_alpha, dims="group")
        beta_g = pm.Deterministic("beta_g", m_beta + e_beta, dims="group")
        pm.Normal("y", alpha_g[group_of] + beta_g[group_of] * x, sigma, observed=observed)
    return model
