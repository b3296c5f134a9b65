"""What models integrate out, recovered from draws after sampling: population means, and the lines of the groups.

The zero-sum models know the mean m of the effects of these G groups: given the population's mean a and tau,
m ~ N(a, q) with q = tau^2 / G, and the prior of a is N(0, 4), so that a | m, tau ~ N(4 m / (4 + q), 4 q / (4 + q)).

The marginal models know no effects. Given all else the standardised effect z of the slope of a group is normal by its
`slope_data`; ybar adds what it says of z; and given z and ybar the intercept is normal.
"""

from collections.abc import Mapping

import numpy as np

from bench.arrays import Floats
from bench.families.varying_slopes.data import Lines
from bench.families.varying_slopes.reference import VARIANCE


def recover_location(m: Floats, tau: Floats, n_groups: int, rng: np.random.Generator) -> Floats:
    """Draw the mean of the population, of intercepts or slopes, given that of the groups and their scale.

    Parameters
    ----------
    m, tau : array of shape (chain, draw)
        Draws of the mean of the G groups, and of the scale between them.
    n_groups : int
        G.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    array of shape (chain, draw)
        Draws of the mean of the population.

    Examples
    --------
    With tau 4 and 4 groups q is 4, so that the mean given m = 3 is normal(1.5, sqrt(2)).

    >>> m, tau = np.full((4, 10_000), 3.0), np.full((4, 10_000), 4.0)
    >>> mean = recover_location(m, tau, 4, np.random.default_rng(1))
    >>> round(float(mean.mean()), 1), round(float(mean.var()), 1)
    (1.5, 2.0)
    """
    q = tau**2 / n_groups
    return rng.normal(VARIANCE * m / (VARIANCE + q), np.sqrt(VARIANCE * q / (VARIANCE + q)))


def recover_lines(draws: Mapping[str, Floats], dataset: Lines, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw intercepts and slopes of the groups given locations, scales and, where there are, gamma and rho.

    Parameters
    ----------
    draws : mapping of str to array of shape (chain, draw)
        Draws of `alpha`, `beta`, `sigma`, `tau_alpha`, `tau_beta`, and of `gamma` and `rho` if the model has them.
    dataset : Lines
        The data.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    alpha_g, beta_g : array of shape (chain, draw, G)
        Draws of the lines.
    """
    at = {name: array[..., None] for name, array in draws.items() if array.ndim == 2}
    n, xbar, ybar, root_ss = dataset.group_sizes, dataset.x_means, dataset.means, np.sqrt(dataset.x_ss)
    rho = at.get("rho", np.zeros((1, 1, 1)))
    noise = at["sigma"] ** 2
    alpha = at["alpha"] + at["gamma"] * xbar if "gamma" in at else at["alpha"]

    # z of the slope, given slope_data ~ normal(root_ss (beta + tau_beta z), sigma)
    d = noise + (at["tau_beta"] * root_ss) ** 2
    z = at["tau_beta"] * root_ss * (dataset.slope_data - root_ss * at["beta"]) / d
    variance = noise / d
    # and given ybar ~ normal(alpha + beta xbar + h z, root(own + noise / n)), own being the intercept's own variance
    h = rho * at["tau_alpha"] + at["tau_beta"] * xbar
    own = at["tau_alpha"] ** 2 * (1 - rho**2)
    rest = own + noise / n
    of_ybar = h**2 * variance + rest
    z = z + variance * h / of_ybar * (ybar - alpha - at["beta"] * xbar - h * z)
    z = z + np.sqrt(variance * rest / of_ybar) * rng.standard_normal(z.shape)
    beta_g = at["beta"] + at["tau_beta"] * z
    # the intercept, given z and ybar
    expected = alpha + rho * at["tau_alpha"] * z
    mean = expected + own / rest * (ybar - xbar * beta_g - expected)
    return mean + np.sqrt(own * noise / n / rest) * rng.standard_normal(z.shape), beta_g
