"""Health of a fit: reasons in its draws why it may not be ranked."""

import numpy as np

from bench.backends.base import Fit

MAX_RHAT = 1.01
"""Vehtari et al. 2021; beyond it a fit is unhealthy unless that may come by chance, see `diagnostics.rhat_limit`."""
MIN_ESS_PER_CHAIN = 100
"""Vehtari et al. 2021: below it, the estimates of ESS and R-hat can't be relied on."""
MIN_EBFMI = 0.3
"""Betancourt 2016; the limit of Stan's `diagnose`."""
MAX_DIVERGENT = 0.001
"""Share of transitions; whether the rest did harm is seen against the exact posterior."""
MAX_SATURATED = 0.01
"""Share of transitions."""


def health(
    fit: Fit,
    min_ess_bulk: float,
    min_ess_tail: float,
    max_rhat: float,
    ebfmi: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> list[str]:
    """Return the flags of a fit, empty for a healthy one.

    Parameters
    ----------
    fit : Fit
        The fit.
    min_ess_bulk, min_ess_tail, max_rhat : float
        Worst over all quantities.
    ebfmi : array of shape (chain,)
        E-BFMI of each chain.
    """
    chains = len(fit.energy)
    flags = []
    if not all(np.all(np.isfinite(draws)) for draws in fit.draws.values()):
        flags.append("draws are not finite")
    if still := int(np.sum(np.all(fit.log_density == fit.log_density[:, :1], axis=1))):
        flags.append(f"chains that never move: {still}")
    if np.mean(fit.divergent) > MAX_DIVERGENT:
        flags.append(f"divergences: {int(np.sum(fit.divergent))}")
    if not max_rhat <= MAX_RHAT:
        flags.append(f"R-hat: {max_rhat:.3f}")
    if not min_ess_bulk >= MIN_ESS_PER_CHAIN * chains:
        flags.append(f"bulk ESS: {min_ess_bulk:.0f}")
    if not min_ess_tail >= MIN_ESS_PER_CHAIN * chains:
        flags.append(f"tail ESS: {min_ess_tail:.0f}")
    if not np.min(ebfmi) >= MIN_EBFMI:
        flags.append(f"E-BFMI: {np.min(ebfmi):.2f}")
    if np.mean(fit.saturated) > MAX_SATURATED:
        flags.append(f"maximum tree depth: {int(np.sum(fit.saturated))}")
    return flags
