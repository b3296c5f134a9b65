"""Audits of what a backend returns: whether it is what was asked for, and can be what a sampler made."""

from collections.abc import Mapping, Sequence

import numpy as np

from bench.arrays import Floats
from bench.backends.base import Fit
from bench.settings import Settings

ACCEPTANCE = 0.1
"""How far below the target the mean acceptance may lie: adaptation is noisy, and misses by less."""
REPLAYED = 12
"""Draws whose log density is evaluated again."""
STATISTICS = {
    "divergent": np.bool_, "saturated": np.bool_, "gradients": np.integer, "depth": np.integer,
    "energy": np.float64, "log_density": np.float64, "acceptance": np.float64,
}  # fmt: skip
NOT_NEGATIVE = ("gradients", "depth", "acceptance")


def malformed(fit: Fit) -> str:
    """Say which part of a fit has a type that can't be read at all; empty where none has.

    Parameters
    ----------
    fit : Fit
        What came back.
    """
    if not isinstance(fit, Fit):
        return f"a {type(fit).__name__} came back instead of a Fit"
    if not isinstance(fit.draws, dict) or not all(isinstance(name, str) for name in fit.draws):
        return f"draws are a {type(fit.draws).__name__}, not arrays by name"
    arrays = {f"draws of {name}": array for name, array in fit.draws.items()}
    arrays |= {name: getattr(fit, name) for name in (*STATISTICS, "step_size", "warmup_gradients")}
    clocks = {name: getattr(fit, name) for name in ("warmup_seconds", "sampling_seconds")}
    arrays |= {name: clock for name, clock in clocks.items() if clock is not None}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            return f"{name} came back as {type(array).__name__}, not as an array"
        if array.dtype.kind not in "fiub":
            return f"{name} came back as {array.dtype}, not as real numbers"
    if not isinstance(fit.extraction_seconds, float | int):
        return f"extraction_seconds came back as {type(fit.extraction_seconds).__name__}, not as a number"
    return ""


def audit(settings: Settings, fit: Fit, shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """Compare what was asked with what the sampler reports, and return each difference with both values.

    Parameters
    ----------
    settings : Settings
        As asked.
    fit : Fit
        What came back.
    shapes : mapping of str to sequence of int
        Shape of each quantity that was asked for.

    Returns
    -------
    list of str
        Flags, empty where all is as it should be.
    """
    flags = [f"audit: {problem}" for problem in _forms(settings, fit, shapes)]
    if flags:  # the rest reads arrays that have the right form
        return flags
    return [f"audit: {problem}" for problem in (*_statistics(settings, fit), *_copies(fit))]


def _forms(settings: Settings, fit: Fit, shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """Name arrays of the wrong shape or type."""
    found = []
    lead = (settings.chains, settings.draws)
    for name, shape in shapes.items():
        array = fit.draws.get(name)
        if not isinstance(array, np.ndarray):
            found.append(f"draws of {name} are missing")
            continue
        if array.shape != (*lead, *shape):
            found.append(f"draws of {name} have shape {array.shape}, not {(*lead, *shape)}")
        if array.dtype != np.float64:
            found.append(f"{name} is {array.dtype}, not float64")
    for name, kind in STATISTICS.items():
        array = getattr(fit, name)
        if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, kind):
            found.append(f"{name} is {getattr(array, 'dtype', type(array).__name__)}, not {kind.__name__}")
        elif array.shape != lead:
            found.append(f"{name} has shape {array.shape}, not {lead}")
    if fit.warmup_gradients.shape != (settings.chains, settings.warmup):
        found.append(f"warm-up has shape {fit.warmup_gradients.shape}, not {(settings.chains, settings.warmup)}")
    if fit.step_size.shape != (settings.chains,):
        found.append(f"step_size has shape {fit.step_size.shape}, not {(settings.chains,)}")
    return found


def _statistics(settings: Settings, fit: Fit) -> list[str]:
    """Name statistics that no sampler with these settings reports."""
    found = []
    for name in STATISTICS:
        array = getattr(fit, name)
        if not np.all(np.isfinite(array)):
            found.append(f"{name} is not finite in {int(np.sum(~np.isfinite(array)))} transitions")
        if name in NOT_NEGATIVE and np.any(array < 0):
            found.append(f"{name} is negative in {int(np.sum(array < 0))} transitions")
    if np.any(fit.warmup_gradients < 0):
        found.append("warm-up gradients are negative")
    if not np.all(fit.step_size > 0):
        found.append(f"step sizes are {fit.step_size.tolist()}")
    if (evaluations := int(np.sum(fit.gradients))) < fit.gradients.size:
        found.append(f"{evaluations} gradients for {fit.gradients.size} draws; a draw takes one at least")
    if (deepest := int(np.max(fit.depth))) > settings.max_treedepth:
        found.append(f"max_treedepth was {deepest}, not {settings.max_treedepth}")
    accepted = float(np.mean(fit.acceptance))
    if accepted < settings.target_accept - ACCEPTANCE and not np.any(fit.divergent):
        found.append(f"mean acceptance was {accepted:.2f}, where {settings.target_accept:g} was asked for")
    return found


def _copies(fit: Fit) -> list[str]:
    """Name chains that are copies of each other."""
    flat = [np.ascontiguousarray(chain).tobytes() for chain in fit.log_density]
    return [
        f"chain {flat.index(chain)} and chain {i} are the same" for i, chain in enumerate(flat) if flat.index(chain) < i
    ]


def replayed(chains: int, draws: int) -> list[tuple[int, int]]:
    """Choose the draws whose log density is evaluated again, spread over all chains.

    Parameters
    ----------
    chains, draws : int
        Chains of the fit, and draws of each.

    Returns
    -------
    list of (int, int)
        Chain and draw of each of the `REPLAYED` ones, counted from 0.

    Examples
    --------
    >>> replayed(chains=4, draws=1000)[:5]
    [(0, 41), (1, 125), (2, 208), (3, 291), (0, 375)]
    """
    return [(i % chains, (2 * i + 1) * draws // (2 * REPLAYED)) for i in range(REPLAYED)]


def permuted(log_density: Floats, again: Sequence[float], where: Sequence[tuple[int, int]]) -> list[str]:
    """Compare the log densities that a sampler reports at some draws with those evaluated again there.

    Where draws stand in another order than their statistics, the two differ by as much as the log density varies.
    Rounding in a text file that draws came through does not count, nor do constants that one of the two leaves out.

    Parameters
    ----------
    log_density : array of shape (chain, draw)
        By the sampler.
    again : sequence of float
        Evaluated at the draws of `where`; NaN where that failed.
    where : sequence of (int, int)
        Chain and draw of each.

    Returns
    -------
    list of str
        One flag, or none where they agree.

    Examples
    --------
    >>> reported = np.array([[-1.0, -4.0, -2.0, -9.0]])
    >>> where = [(0, 0), (0, 1), (0, 2), (0, 3)]
    >>> permuted(reported, [-6.0, -9.0, -7.0, -14.0], where)  # a constant apart
    []
    >>> permuted(reported, [-9.0, -1.0, -4.0, -2.0], where)
    ['audit: the log density at 4 of 4 draws is not what the sampler reported there']
    """
    reported = np.array([log_density[place] for place in where])
    difference = reported - np.asarray(again)
    if not np.isfinite(difference).any():
        return ["audit: the log density can't be evaluated at any of the draws"]
    difference = difference[np.isfinite(difference)] - np.nanmedian(difference)
    allowed = 0.05 * float(np.std(log_density)) + 1e-5 * float(np.max(np.abs(reported)))
    off = int(np.sum(np.abs(difference) > allowed))
    if off <= len(difference) // 4:  # a lost digit here and there
        return []
    return [f"audit: the log density at {off} of {len(difference)} draws is not what the sampler reported there"]
