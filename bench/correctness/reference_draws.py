"""The truth of a posterior from long reference draws, with what they leave unknown."""

from collections.abc import Mapping

import numpy as np

from bench.arrays import Floats
from bench.correctness.diagnostics import constant, ess
from bench.correctness.truth import PROBABILITIES, Truth


def truth_from_draws(draws: Mapping[str, Floats], source: str = "") -> Truth:
    """Take posterior expectations, and the effective sample size of each, from reference draws.

    What never varies has an sd of 0, and is not graded; nor are quantiles at a value that many draws have.

    Parameters
    ----------
    draws : mapping of str to array of shape (chain, draw)
        Draws of scalars and of elements, by names such as `mu_g[3]`, counted from 0.
    source : str
        Where they come from, for a page.
    """
    names = list(draws)
    x = np.stack([np.asarray(draws[name], dtype=np.float64) for name in names], axis=2)
    mean, sd = x.mean(axis=(0, 1)), np.where(constant(x), 0.0, x.std(axis=(0, 1)))
    centred = x - mean
    quantiles = np.quantile(x, PROBABILITIES, axis=(0, 1))
    below = [(x <= q).astype(np.float64) for q in quantiles]
    ess_quantile = np.stack([ess(each, "mean") for each in below])
    share, p = np.stack([each.mean(axis=(0, 1)) for each in below]), np.array(PROBABILITIES)[:, None]
    # where many draws have one value, no quantile has the share below it that it stands for
    at_one_value = np.abs(share - p) > 1 / x[..., 0].size + 2 * np.sqrt(p * (1 - p) / ess_quantile)
    return Truth(
        "reference draws",
        names,
        mean,
        sd,
        (centred**4).mean(axis=(0, 1)),
        np.where(at_one_value, np.nan, quantiles),
        ess(x, "mean"),
        ess(centred**2, "mean"),
        ess_quantile,
        source,
    )
