"""Intercepts around a line in the group mean of x; they and the slopes are integrated out.

The sizes, the means and the least-squares slopes of the groups and the residuals are all that the data say.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm


def build(data: Mapping[str, Any]) -> pm.Model:
    """Build the model for the data of the Stan program: groups are numbered from 1."""
    group, x = data["group"] - 1, data["x"]
    sizes = np.bincount(group)
    x_means = np.bincount(group, weights=x) / sizes
    y_means = np.bincount(group, weights=data["y"]) / sizes
    x_within = x - x_means[group]
    of_x = np.bincount(group, weights=x_within**2)
    y_within = data["y"] - y_means[group]
    slopes = np.bincount(group, weights=x_within * y_within) / np.where(of_x > 0, of_x, 1)  # 0 where x does not vary
    residuals = y_within - slopes[group] * x_within
    with pm.Model(coords={"group": np.arange(data["G"])}) as model:
        n = pm.Data("n", sizes.astype(float), dims="group")
        xbar = pm.Data("xbar", x_means, dims="group")
        ybar = pm.Data("ybar", y_means, dims="group")
        root_ss = pm.Data("root_ss", np.sqrt(of_x), dims="group")
        u = pm.Data("u", np.sqrt(of_x) * slopes, dims="group")
        residual_ss = pm.Data("residual_ss", residuals @ residuals)
        alpha = pm.Normal("alpha", 0, 2)
        beta = pm.Normal("beta", 0, 2)
        gamma = pm.Normal("gamma", 0, 2)
        sigma = pm.HalfNormal("sigma", 2)
        tau_alpha = pm.HalfNormal("tau_alpha", 2)
        tau_beta = pm.HalfNormal("tau_beta", 2)
        # Given u, which has the variance d, the standardised effects of the slopes have the means z_beta and the
        # variances sigma^2 / d. They add h times themselves to ybar, and variance is that of ybar given u.
        d = sigma**2 + (tau_beta * root_ss) ** 2
        z_beta = tau_beta * root_ss * (u - root_ss * beta) / d
        h = tau_beta * xbar
        mean = alpha + gamma * xbar + beta * xbar + h * z_beta
        variance = tau_alpha**2 + sigma**2 * (1 / n + h**2 / d)
        pm.Normal("slope_data", root_ss * beta, pm.math.sqrt(d), observed=u, dims="group")
        pm.Normal("group_means", mean, pm.math.sqrt(variance), observed=ybar, dims="group")
        spare = data["N"] - 2 * data["G"]
        pm.Potential("within", -spare * pm.math.log(sigma) - residual_ss / (2 * sigma**2))
    return model
