"""Finite population, the effects that sum to zero integrated out; the group means are drawn after sampling.

The sizes and means of the groups and the sum of squares within them are all that the data say.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm


def build(data: Mapping[str, Any]) -> pm.Model:
    """Build the model for the data of the Stan program: groups are numbered from 1."""
    group = data["group"] - 1
    sizes = np.bincount(group, minlength=data["G"])
    means = np.bincount(group, weights=data["y"], minlength=data["G"]) / sizes
    residuals = data["y"] - means[group]
    with pm.Model(coords={"group": np.arange(data["G"])}) as model:
        n = pm.Data("n", sizes.astype(float), dims="group")
        ybar = pm.Data("ybar", means, dims="group")
        within_ss = pm.Data("within_ss", residuals @ residuals)
        mu = pm.Normal("mu", 0, 1)
        sigma = pm.HalfNormal("sigma", 1)
        omega = pm.HalfNormal("omega", 10)
        # The covariance of ybar is diag(d) less omega^2 / G everywhere, since the effects sum to zero:
        # its determinant is r prod(d), and the variance of the weighted mean c of ybar is r / w.
        d = omega**2 + sigma**2 / n
        w = pm.math.sum(1 / d)
        r = pm.math.mean(sigma**2 / (n * d))
        c = pm.math.sum(ybar / d) / w
        pm.Normal("group_means", c, pm.math.sqrt(d), observed=ybar, dims="group")
        pm.Potential("zero_sum", -0.5 * (pm.math.log(r) + (c - mu) ** 2 * w / r))
        spare = data["N"] - data["G"]
        pm.Potential("within", -spare * pm.math.log(sigma) - within_ss / (2 * sigma**2))
    return model
