"""Radon, non-centered: alpha = gamma0 + gamma1 log_uranium + sigma_alpha z with z standard normal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm


def build(data: Mapping[str, Any]) -> pm.Model:
    """Build the model from the data block of the Stan program, which counts counties from 1."""
    with pm.Model(coords={"house": np.arange(data["N"]), "county": np.arange(data["J"])}) as model:
        county_of = pm.Data("county_of", data["county"] - 1, dims="house")
        floor = pm.Data("floor", data["floor_measure"], dims="house")
        uranium = pm.Data("uranium", data["log_uranium"], dims="county")
        observed = pm.Data("observed", data["log_radon"], dims="house")
        gamma0 = pm.Normal("gamma0", 0, 5)
        gamma1 = pm.Normal("gamma1", 0, 5)
        beta = pm.Normal("beta", 0, 5)
        sigma_alpha = pm.HalfNormal("sigma_alpha", 2)
        sigma_y = pm.HalfNormal("sigma_y", 2)
        z = pm.Normal("z", 0, 1, dims="county")
        alpha = pm.Deterministic("alpha", gamma0 + gamma1 * uranium + sigma_alpha * z, dims="county")
        pm.Normal("log_radon", alpha[county_of] + beta * floor, sigma_y, observed=observed, dims="house")
    return model
