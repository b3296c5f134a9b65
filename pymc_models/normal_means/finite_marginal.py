"""Finite population, the effects that sum to zero integrated out; the group means are drawn after sampling.

All that the data say is the sum of squares within groups and, of the groups of each size, how many there are, the mean
of their means, and the sum of squares about it: the density costs as much as there are sizes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm


def build(data: Mapping[str, Any]) -> pm.Model:
    """Build the model for the data of the Stan program: groups are numbered from 1."""
    group = data["group"] - 1
    n_g = np.bincount(group, minlength=data["G"])
    ybar = np.bincount(group, weights=data["y"], minlength=data["G"]) / n_g
    residuals = data["y"] - ybar[group]
    sizes, of_size = np.unique(n_g, return_inverse=True)
    counts = np.bincount(of_size)
    centers = np.bincount(of_size, weights=ybar) / counts
    with pm.Model() as model:
        n = pm.Data("n", sizes.astype(float))
        count = pm.Data("count", counts.astype(float))  # of groups of a size
        center = pm.Data("center", centers)  # mean of their means
        between_ss = pm.Data("between_ss", np.bincount(of_size, weights=(ybar - centers[of_size]) ** 2))
        within_ss = pm.Data("within_ss", residuals @ residuals)
        mu = pm.Normal("mu", 0, 1)
        sigma = pm.HalfNormal("sigma", 1)
        omega = pm.HalfNormal("omega", 10)
        # The covariance of ybar is diag(d) less omega^2 / G everywhere, since the effects sum to zero:
        # its determinant is r prod(d), and the variance of the weighted mean c of ybar is r / w.
        d = omega**2 + sigma**2 / n
        w = pm.math.sum(count / d)
        r = pm.math.sum(count * sigma**2 / (n * d)) / data["G"]
        c = pm.math.sum(count * center / d) / w
        pm.Normal("centers", c, pm.math.sqrt(d / count), observed=center)
        pm.Potential("between", -0.5 * pm.math.sum((count - 1) * pm.math.log(d) + between_ss / d))
        pm.Potential("zero_sum", -0.5 * (pm.math.log(r) + (c - mu) ** 2 * w / r))
        spare = data["N"] - data["G"]
        pm.Potential("within", -spare * pm.math.log(sigma) - within_ss / (2 * sigma**2))
    return model
