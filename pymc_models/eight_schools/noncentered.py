"""Eight schools, non-centered: theta = mu + tau z with z standard normal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm


def build(data: Mapping[str, Any]) -> pm.Model:
    """Build the model from the data block of the Stan program."""
    with pm.Model(coords={"school": np.arange(data["J"])}) as model:
        error = pm.Data("error", data["sigma"], dims="school")
        observed = pm.Data("observed", data["y"], dims="school")
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfCauchy("tau", 5)
        z = pm.Normal("z", 0, 1, dims="school")
        theta = pm.Deterministic("theta", mu + tau * z, dims="school")
        pm.Normal("y", theta, error, observed=observed, dims="school")
    return model
