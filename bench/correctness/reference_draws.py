"""The truth of a posterior from long reference draws, with what they leave unknown."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bench.correctness.diagnostics import ess
from bench.correctness.truth import PROBABILITIES, Truth

Floats = NDArray[np.float64]


def truth_from_draws(draws: Mapping[str, Floats], source: str = "") -> Truth:
    """Take posterior expectations, and the effective sample size of each, from reference draws.

    Parameters
    ----------
    draws : mapping of str to array of shape (chain, draw)
        Draws of scalars and of elements, by names such as `mu_g[3]`, counted from 0.
    source : str
        Where they come from, for a page.
    """
    names = list(draws)
    x = np.stack([np.asarray(draws[name], dtype=np.float64) for name in names], axis=2)
    mean, sd = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    centred = x - mean
    quantiles = np.quantile(x, PROBABILITIES, axis=(0, 1))
    below = [(x <= q).astype(np.float64) for q in quantiles]
    return Truth(
        "reference draws",
        names,
        mean,
        sd,
        (centred**4).mean(axis=(0, 1)),
        quantiles,
        ess(x, "mean"),
        ess(centred**2, "mean"),
        np.stack([ess(each, "mean") for each in below]),
        source,
    )
