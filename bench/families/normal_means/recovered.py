"""What models integrate out, recovered from draws after sampling: the superpopulation mean, and the group means.

The zero-sum models know the mean m of these G groups; the population they came from has the mean mu. Given mu and
omega, m ~ N(mu, q) with q = omega^2 / G, and the prior of mu is N(0, 1), so that

    mu | m, omega ~ N(m / (1 + q), variance q / (1 + q)),  and  m | omega ~ N(0, variance 1 + q).

A superpopulation model has this m | omega, and mu is drawn at once. A finite-population model has m ~ N(0, 1) instead,
and each draw first takes the ratio of the two densities as its weight, (1 + q)^(-1/2) exp(m^2 q / (2 (1 + q))).

The marginal models know mu, sigma and omega. Given these the effects mu_g - mu are independent, normal with the mean
(1 - a) (ybar - mu) and the variance a omega^2, a = sigma^2 / (sigma^2 + n omega^2); or they are those given that they
sum to zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.arrays import Floats
from bench.correctness.diagnostics import mcse
from bench.correctness.truth import PROBABILITIES
from bench.families.normal_means.data import Groups


@dataclass(frozen=True)
class PopulationMean:
    """Superpopulation mean by a finite-population fit.

    Attributes
    ----------
    mean, sd : float
        Of the superpopulation mean.
    quantiles : mapping of float to float
        Its 3 %, 50 % and 97 % quantiles.
    ess : float
        Effective sample size of `mean`, (sd / MCSE)^2: less for autocorrelated draws and for unequal weights. It is
        Kish's, (sum of weights)^2 / sum of their squares, if draws are independent and weights unrelated to mu, and
        never more than that, so that a weight that outweighs all others shows.
    """

    mean: float
    sd: float
    quantiles: Mapping[float, float]
    ess: float


def recover_mu(m: Floats, omega: Floats, n_groups: int, rng: np.random.Generator) -> Floats:
    """Draw the superpopulation mean given the mean of the groups and omega.

    Parameters
    ----------
    m, omega : array of shape (chain, draw)
        Draws of the mean of the G groups, and of omega.
    n_groups : int
        G.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    array of shape (chain, draw)
        Draws of mu; of its posterior, if those given are of the superpopulation posterior.

    Examples
    --------
    With omega 2 and 4 groups q is 1, so that mu given m = 3 is normal(1.5, sqrt(0.5)).

    >>> m, omega = np.full((4, 10_000), 3.0), np.full((4, 10_000), 2.0)
    >>> mu = recover_mu(m, omega, 4, np.random.default_rng(1))
    >>> round(float(mu.mean()), 1), round(float(mu.var()), 1)
    (1.5, 0.5)
    """
    q = omega**2 / n_groups
    return rng.normal(m / (1 + q), np.sqrt(q / (1 + q)))


def recover_mu_g(draws: Mapping[str, Floats], dataset: Groups, rng: np.random.Generator, *, zero_sum: bool) -> Floats:
    """Draw the group means given mu, sigma and omega.

    Parameters
    ----------
    draws : mapping of str to array of shape (chain, draw)
        Draws of `mu`, `sigma` and `omega`.
    dataset : Groups
        The data.
    rng : numpy.random.Generator
        Source of the draws.
    zero_sum : bool
        Whether the effects sum to zero, so that mu is the mean of these groups.

    Returns
    -------
    array of shape (chain, draw, G)
        Draws of mu_g; of its posterior, if those given are.

    Notes
    -----
    Independent normals are conditioned on their sum by taking off its excess in proportion to their variances, as in
    Rue and Held (2005), Gaussian Markov Random Fields, section 2.3.3.
    """
    mu, sigma, omega = (draws[name][..., None] for name in ("mu", "sigma", "omega"))
    a = 1 / (1 + dataset.group_sizes * (omega / sigma) ** 2)
    effects = (1 - a) * (dataset.means - mu) + omega * np.sqrt(a) * rng.standard_normal(a.shape)
    if zero_sum:
        effects -= a * (effects.sum(axis=-1, keepdims=True) / a.sum(axis=-1, keepdims=True))
    return np.asarray(mu + effects)


def reweighted_population_mean(m: Floats, omega: Floats, n_groups: int, rng: np.random.Generator) -> PopulationMean:
    """Summarise the superpopulation mean by draws of the finite-population posterior.

    Parameters
    ----------
    m, omega : array of shape (chain, draw)
        Draws of `mu` of a finite-population model, the mean of the G groups, and of omega.
    n_groups : int
        G.
    rng : numpy.random.Generator
        Source of the draws of mu given m and omega.
    """
    mu, q = recover_mu(m, omega, n_groups, rng), omega**2 / n_groups
    log_weight = -0.5 * np.log1p(q) + 0.5 * m**2 * q / (1 + q)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.mean()
    mean = float(np.mean(weight * mu))
    sd = float(np.sqrt(np.mean(weight * (mu - mean) ** 2)))
    error = float(mcse(weight * (mu - mean)))  # of a ratio of means, by the delta method
    order = np.argsort(mu, axis=None)
    below = np.cumsum(weight.ravel()[order]) / weight.size
    quantiles = {p: float(np.interp(p, below, mu.ravel()[order])) for p in PROBABILITIES}
    kish = weight.size / float(np.mean(weight**2))
    return PopulationMean(mean, sd, quantiles, min((sd / error) ** 2, kish))
