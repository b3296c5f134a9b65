"""One estimator for every backend: ESS, R-hat, MCSE and E-BFMI, by ArviZ, on arrays of shape (chain, draw, ...).

ArviZ 0.23 and 1.x differ in interface and in the default quantiles of the tail ESS; here both give the same.
"""

import warnings
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from scipy.special import chdtri

from bench.arrays import Bools, Floats

TAIL = (0.05, 0.95)
ROUNDING = 1e-13
"""Range of draws, as a share of their size, that rounding alone may make."""

ARVIZ_1 = int(version("arviz").split(".")[0]) >= 1


def constant(draws: Floats) -> Bools:
    """Tell which elements never vary, but for rounding, as the diagonal of a correlation matrix.

    They say nothing of convergence. One that is constant within each chain and differs between chains does vary.

    Parameters
    ----------
    draws : array of shape (chain, draw, ...)
        Draws of one quantity.

    Returns
    -------
    array of bool
        Shape of `draws` without its first two axes; False where a draw is not finite.

    Examples
    --------
    >>> one, other = np.full((4, 10), 0.3), np.repeat([[1.0], [2.0], [3.0], [4.0]], 10, axis=1)
    >>> bool(constant(one)), bool(constant(other))
    (True, False)
    """
    with np.errstate(invalid="ignore"):  # infinity less infinity
        return np.asarray(np.ptp(draws, axis=(0, 1)) <= ROUNDING * np.max(np.abs(draws), axis=(0, 1)))


def ess(draws: Floats, method: Literal["bulk", "tail", "mean"] = "bulk") -> Floats:
    """Effective sample size (Vehtari et al. 2021), shape of `draws` without its first two axes.

    Parameters
    ----------
    draws : array of shape (chain, draw, ...)
        Draws of one quantity.
    method : str, default "bulk"
        As in ArviZ; `tail` is the smaller of the ESS at the 5 % and the 95 % quantile.
    """
    return _estimate("ess", draws, method=method, prob=TAIL if method == "tail" else None)


def rhat(draws: Floats) -> Floats:
    """Rank-normalised split R-hat (Vehtari et al. 2021), shape of `draws` without its first two axes."""
    return _estimate("rhat", draws, method="rank")


def rhat_limit(ess: float, chains: int, quantities: int) -> float:
    """Largest R-hat that may come by chance, if chains agree.

    The split R-hat of agreeing chains is 1 plus the variance of the means of half-chains, which is chi-squared. The
    limit is exceeded in 1 of 100 fits by any of so many quantities (Bonferroni, over both kinds of R-hat).

    Parameters
    ----------
    ess : float
        Effective draws of the quantity within chains, all chains together.
    chains : int
        Chains of the fit.
    quantities : int
        Quantities whose R-hat is looked at.

    Returns
    -------
    float
        Infinite where there are no effective draws.

    Examples
    --------
    >>> round(rhat_limit(4000, 4, 1), 4), round(rhat_limit(4000, 4, 1000), 4), round(rhat_limit(400, 4, 1), 4)
    (1.0029, 1.0053, 1.0286)
    """
    if not ess > 0:
        return float("inf")
    freedom = 2 * chains - 1
    mean_square = chdtri(freedom, 0.01 / (2 * quantities)) / freedom
    return float(np.sqrt(1 + mean_square * (freedom + 1) / ess))


def rhat_excess(draws: Floats, quantities: int) -> float:
    """By how much the R-hat of one quantity is beyond what may come by chance; negative where it is not.

    Parameters
    ----------
    draws : array of shape (chain, draw)
        Draws of one quantity.
    quantities : int
        Quantities whose R-hat is looked at.

    Notes
    -----
    Location and scale (draws folded at their median) each have an R-hat, and effective draws of their own, estimated
    within each chain, so that a chain that is stuck elsewhere does not widen its own limit.
    """
    excess = []
    for method, seen in (("z_scale", draws), ("folded", np.abs(draws - np.median(draws)))):
        within = sum(float(ess(chain[None])) for chain in seen)
        excess.append(float(_estimate("rhat", draws, method=method)) - rhat_limit(within, len(draws), quantities))
    return float(np.max(excess))


def mcse(draws: Floats) -> Floats:
    """Monte Carlo standard error of the mean, in the unit of the draws, shape of `draws` without its first two axes.

    Parameters
    ----------
    draws : array of shape (chain, draw, ...)
        Draws of one quantity.
    """
    return _estimate("mcse", draws, method="mean")


def ebfmi(energy: Floats) -> Floats:
    """Energy Bayesian fraction of missing information of each chain (Betancourt 2016).

    Parameters
    ----------
    energy : array of shape (chain, draw)
        Hamiltonian at each draw.
    """
    if ARVIZ_1:
        from arviz_stats.base import array_stats

        return np.atleast_1d(array_stats.bfmi(energy, chain_axis=0, draw_axis=1))
    return np.atleast_1d(arviz().bfmi(energy))


def _estimate(function: str, draws: Floats, **options: Any) -> Floats:
    options = {key: value for key, value in options.items() if value is not None}
    draws = np.asarray(draws, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):  # constant or NaN draws: the answer is NaN, and says enough
        if ARVIZ_1:
            from arviz_stats.base import array_stats

            return np.asarray(getattr(array_stats, function)(draws, chain_axis=0, draw_axis=1, **options))
        import xarray

        array = xarray.DataArray(draws, dims=("chain", "draw", *(f"d{i}" for i in range(draws.ndim - 2))))
        return np.asarray(getattr(arviz(), function)(array.to_dataset(name="x"), **options)["x"].values)


def arviz() -> Any:
    """Import ArviZ 0.23, which announces its refactor at import and takes seconds for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz
    return arviz
