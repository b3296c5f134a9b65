"""Grades a fit against the exact posterior: z-scores with a family-wise bound, seconds to a stated error.

What is graded is always a posterior expectation E f(x): f = x for a mean, (x - exact mean)^2 for an sd, and
1[x <= exact quantile] for a quantile, which is so compared as a probability. Both E f and sd f are known exactly, so
that the draws are asked for the effective sample size of f alone: z = (average of f - E f) / (sd f / sqrt(ESS)). An
MCSE all by the draws would be small just when they miss a tail, and raise false alarms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.correctness.diagnostics import ess
from bench.families.normal_means.exact import ExactPosterior

Floats = NDArray[np.float64]

SCALARS = ("mu", "sigma", "omega")
MOMENTS = ("mean", "sd", "fourth")
PROBABILITIES = (0.03, 0.5, 0.97)
MOMENTS = ("mean", "sd", "fourth")
FALSE_ALARMS = 1e-4  # of correct fits whose largest |z| exceeds the bound: few, for a run grades hundreds of fits
DRAWS_PER_DEGREE = 10.0  # effective draws for one degree of freedom


@dataclass(frozen=True)
class Grade:
    """How far a fit is from the exact posterior.

    Attributes
    ----------
    z : mapping of str to float
        z-score of each graded quantity: `omega mean`, `omega sd`, `omega 97%`, `mu_g[3] mean`, ...
    bound : float
        What the largest |z| of a correct fit exceeds with probability `FALSE_ALARMS`.
    fewest : float
        Smallest ESS of all that the z-scores rest on.
    ess : mapping of str to float
        Effective sample size of the mean of mu, sigma and omega.
    """

    z: Mapping[str, float]
    bound: float
    fewest: float
    ess: Mapping[str, float]

    @property
    def worst(self) -> str:
        """The quantity with the largest |z|."""
        return max(self.z, key=lambda name: abs(self.z[name]))

    @property
    def largest(self) -> float:
        """The largest |z|."""
        return abs(self.z[self.worst])

    @property
    def biased(self) -> bool:
        """Whether the largest |z| is beyond the bound."""
        return self.largest > self.bound


def grade(draws: Mapping[str, Floats], exact: ExactPosterior) -> Grade:
    """Grade mean, sd and quantiles (3 %, 50 %, 97 %) of mu, sigma and omega, and mean and sd of every mu_g.

    The bound is Sidak's over all z, of Student's t: ESS is estimated, over windows of some correlation lengths, which
    leaves one degree of freedom for some `DRAWS_PER_DEGREE` effective draws of the quantity that has fewest.
    Simulation with exact draws, independent and autocorrelated down to an ESS of 100, gave 1 % false alarms or so where
    the bound was for 1 %, with an omega of kurtosis 100 too.

    Parameters
    ----------
    draws : mapping of str to array
        mu, sigma and omega of shape (chain, draw), mu_g of shape (chain, draw, G), of a fit with good R-hat.
    exact : ExactPosterior
        Of the same dataset, and of the posterior that the model targets.

    Raises
    ------
    ValueError
        If a draw is not finite.
    """
    for name in (*SCALARS, "mu_g"):
        if not np.isfinite(draws[name]).all():
            raise ValueError(f"draws of {name} are not finite; such a fit cannot be graded")
    marginals = {name: exact.marginals[name] for name in SCALARS}
    marginals |= {f"mu_g[{g}]": exact.group(g) for g in range(len(exact.mu_g_mean))}
    mean, sd, fourth = (np.array([getattr(each, what) for each in marginals.values()]) for what in MOMENTS)
    scalars = np.stack([draws[name] for name in SCALARS], axis=2)
    x = (np.concatenate([scalars, draws["mu_g"]], axis=2) - mean) / sd
    limits = np.array([[exact.quantile(name, p) for name in SCALARS] for p in PROBABILITIES])
    below = np.concatenate([scalars <= limit for limit in limits], axis=2).astype(np.float64)
    p = np.repeat(PROBABILITIES, len(SCALARS))

    of_mean, of_sd, of_quantile = (ess(f, "mean") for f in (x, x**2, below))
    z = {f"{name} mean": value for name, value in zip(marginals, np.sqrt(of_mean) * _average(x), strict=True)}
    sd_z = 2 * (np.sqrt(_average(x**2)) - 1) * np.sqrt(of_sd / (fourth / sd**4 - 1))
    z |= {f"{name} sd": value for name, value in zip(marginals, sd_z, strict=True)}
    quantile_z = (_average(below) - p) * np.sqrt(of_quantile / (p * (1 - p)))
    names = [f"{name} {p:.0%}" for p in PROBABILITIES for name in SCALARS]
    z |= dict(zip(names, quantile_z, strict=True))

    fewest = float(np.concatenate([of_mean, of_sd, of_quantile]).min())
    return Grade(
        z={name: float(value) for name, value in z.items()},
        bound=bound(len(z), fewest),
        fewest=fewest,
        ess={name: float(size) for name, size in zip(SCALARS, of_mean, strict=False)},
    )


def _average(f: Floats) -> Floats:
    """Mean over chains and draws."""
    return np.asarray(f.mean(axis=(0, 1)))


def bound(count: int, fewest: float, false_alarms: float = FALSE_ALARMS) -> float:
    """Return what the largest of `count` correct |z| exceeds with a small probability; see `grade`.

    Parameters
    ----------
    count : int
        Number of z-scores in the family, of one fit or of several.
    fewest : float
        Smallest ESS that one of them rests on.
    false_alarms : float
        The probability.
    """
    each = 1 - (1 - false_alarms) ** (1 / count)
    return float(stats.t.isf(each / 2, fewest / DRAWS_PER_DEGREE))


def seconds_to_error(seconds: float, ess: Mapping[str, float], error: float = 0.01) -> dict[str, float]:
    """Seconds of sampling until the MCSE of the mean is a share of the posterior sd.

    As MCSE = sd / sqrt(ESS), and ESS grows with the time, it is seconds / (ESS error^2).

    Parameters
    ----------
    seconds : float
        Wall time in which the draws were sampled.
    ess : mapping of str to float
        Effective sample size of each mean, as in `Grade.ess`.
    error : float
        MCSE to reach, in posterior sds.
    """
    return {name: seconds / (size * error**2) for name, size in ess.items()}
