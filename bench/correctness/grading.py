"""Grades a fit against the truth: z-scores with a family-wise bound, seconds to a stated error.

What is graded is always a posterior expectation E f(x): f = x for a mean, (x - exact mean)^2 for an sd, and
1[x <= exact quantile] for a quantile, which is so compared as a probability. Both E f and sd f come from the truth, so
that the draws are asked for the effective sample size of f alone: z = (average of f - E f) / (sd f sqrt(1/ESS + 1/T)),
where T is the ESS that the truth itself rests on, infinite if it is exact. An MCSE all by the draws would be small just
when they miss a tail, and raise false alarms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.arrays import Floats
from bench.bias import bound
from bench.correctness.diagnostics import ROUNDING, constant, ess
from bench.correctness.truth import PROBABILITIES, Truth, elements

MOST_KURTOSIS = 5.0  # of a quantity whose sd is graded


@dataclass(frozen=True)
class Grade:
    """How far a fit is from the truth.

    Attributes
    ----------
    z : mapping of str to float
        z-score of each graded quantity: `omega mean`, `omega sd`, `omega 97%`, `mu_g[3] mean`, ...
    bound : float
        What the largest |z| of a correct fit exceeds with probability `bias.FALSE_ALARMS`.
    fewest : float
        Smallest ESS of all that the z-scores rest on.
    ess : mapping of str to float
        Effective sample size of the mean of each headline quantity.
    shared : mapping of str to float
        Share of the variance of each z that is the truth's own error, where that is not exact.

    Examples
    --------
    >>> found = Grade({"mu mean": -6.2, "mu sd": 1.1}, bound=4.5, fewest=900.0, ess={"mu": 900.0})
    >>> found.worst, found.largest, found.biased
    ('mu mean', 6.2, True)
    """

    z: Mapping[str, float]
    bound: float
    fewest: float
    ess: Mapping[str, float]
    shared: Mapping[str, float] = field(default_factory=dict)

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


def grade(draws: Mapping[str, Floats], truth: Truth, headline: Sequence[str] = ()) -> Grade:
    """Grade mean, sd and quantiles (3 %, 50 %, 97 %) of every scalar, as far as the truth knows them.

    The bound is Sidak's over all z, of Student's t: ESS is estimated, over windows of some correlation lengths, which
    leaves one degree of freedom for some `bias.DRAWS_PER_DEGREE` effective draws of the quantity that has fewest.
    Simulation with exact draws, independent and autocorrelated down to an ESS of 100, gave 1 % false alarms or so where
    the bound was for 1 %, with an omega of kurtosis 100 too.

    The sd of a quantity whose kurtosis is above `MOST_KURTOSIS` is not graded: an average of squares of a heavy tail is
    far from normal, and went beyond the bound 60 to 280 times as often as it should. Its mean and quantiles did not.

    Parameters
    ----------
    draws : mapping of str to array
        Quantities of shape (chain, draw, *their own), of a fit with good R-hat.
    truth : Truth
        Of the posterior that the model targets.
    headline : sequence of str
        Scalars whose ESS the grade keeps.

    Raises
    ------
    ValueError
        If a draw is not finite, or the truth knows none of the quantities.
    """
    for name, values in draws.items():
        if not np.isfinite(values).all():
            raise ValueError(f"draws of {name} are not finite; such a fit cannot be graded")
    at = {name: i for i, name in enumerate(truth.names)}
    columns = {
        element: flat[..., i]
        for name, values in draws.items()
        for flat in [values.reshape(*values.shape[:2], -1)]
        for i, element in enumerate(elements(name, values.shape[2:]))
        if element in at and truth.sd[at[element]] > 0
    }
    if not columns:
        raise ValueError(f"the truth knows {', '.join(list(truth.names)[:5])}, and the fit has none of these")
    names, known = list(columns), [at[name] for name in columns]
    mean, sd, fourth = truth.mean[known], truth.sd[known], truth.fourth[known]
    x = (np.stack(list(columns.values()), axis=2) - mean) / sd
    quantiles = (truth.quantiles[:, known] - mean) / sd
    pairs = [(q, k) for q, k in np.argwhere(np.isfinite(quantiles))]
    p = np.array([PROBABILITIES[q] for q, _ in pairs])
    columns_below = [x[..., k] <= quantiles[q, k] for q, k in pairs]
    below = np.stack(columns_below, axis=2).astype(np.float64) if pairs else x[..., :0]

    ess_mean, ess_sd = (np.broadcast_to(each, len(truth.names))[known] for each in (truth.ess_mean, truth.ess_sd))
    ess_quantile = np.broadcast_to(truth.ess_quantile, truth.quantiles.shape)[:, known]
    of_mean, of_sd = ess(x, "mean"), ess(x**2, "mean")
    of_quantile = ess(below, "mean") if pairs else np.empty(0)
    if pairs:  # where all draws or none lie below, they don't say how many of them are effective
        beside = np.array([min(of_mean[k], of_sd[k]) for _, k in pairs])
        of_quantile = np.where(constant(below), beside, of_quantile)
    excess = fourth / sd**4 - 1
    # two values of the same chance are always one sd from their mean
    spreads = (excess > ROUNDING) & (excess <= MOST_KURTOSIS - 1)
    sd_error = 2 * (np.sqrt(_average(x**2)) - 1)[spreads] / np.sqrt(excess[spreads])
    quantile_error = (_average(below) - p) / np.sqrt(p * (1 - p)) if pairs else np.empty(0)
    what = [f"{name} mean" for name in names]
    what += [f"{name} sd" for name, graded in zip(names, spreads, strict=True) if graded]
    what += [f"{names[k]} {PROBABILITIES[q]:.0%}" for q, k in pairs]
    ours = np.concatenate([of_mean, of_sd[spreads], of_quantile])
    theirs = np.concatenate([ess_mean, ess_sd[spreads], np.array([ess_quantile[q, k] for q, k in pairs])])
    errors = np.concatenate([_average(x), sd_error, quantile_error])
    z = dict(zip(what, errors / np.sqrt(1 / ours + 1 / theirs), strict=True))
    shared = dict(zip(what, ours / (ours + theirs), strict=True))

    fewest = float(np.concatenate([of_mean, of_sd, of_quantile]).min())
    sizes = dict(zip(names, of_mean, strict=True))
    return Grade(
        z={name: float(value) for name, value in z.items()},
        bound=bound(len(z), fewest),
        fewest=fewest,
        ess={name: float(sizes[name]) for name in headline if name in sizes},
        shared={name: float(share) for name, share in shared.items() if share > 0},
    )


def _average(f: Floats) -> Floats:
    """Mean over chains and draws."""
    return np.asarray(f.mean(axis=(0, 1)))


def seconds_to_error(seconds: float, ess: Mapping[str, float], error: float = 0.01) -> dict[str, float]:
    """Seconds of sampling until the MCSE of the mean is a given share of the posterior sd.

    As MCSE = sd / sqrt(ESS), and ESS grows with the time, it is seconds / (ESS error^2).

    Parameters
    ----------
    seconds : float
        Wall time in which the draws were sampled.
    ess : mapping of str to float
        Effective sample size of each mean, as in `Grade.ess`.
    error : float, default 0.01
        MCSE to reach, in posterior sds.

    Returns
    -------
    dict of str to float
        Seconds for each name.

    Examples
    --------
    An error of 1 % of the sd takes 10,000 effective draws, four times as many as there are.

    >>> seconds_to_error(3.0, {"mu": 2500.0})
    {'mu': 12.0}
    """
    return {name: seconds / (size * error**2) for name, size in ess.items()}
