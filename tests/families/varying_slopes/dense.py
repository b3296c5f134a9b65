"""The posterior given the scales by full matrices over all observations: nothing but the definition of the models."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from bench.arrays import Floats
from bench.families.varying_slopes.data import Lines, simpson
from bench.families.varying_slopes.exact import ExactLines, exact_lines

SMALL: dict[str, Lines] = {
    "unbalanced": simpson([3, 1, 4, 2, 6]),
    "two groups": simpson([3, 5]),
    "x centred": simpson([4, 2, 3], centred=True),
}


@cache
def unbalanced(target: str) -> ExactLines:
    """Return the exact posterior of unbalanced groups, for all tests of a process."""
    return exact_lines(SMALL["unbalanced"], target)


def design(dataset: Lines, *, gamma: bool) -> tuple[Floats, Floats]:
    """Return what the locations (N, P) and the coefficients (N, 2 G), intercepts first, add to y."""
    groups = np.eye(dataset.n_groups)[dataset.group]
    locations = [np.ones_like(dataset.x), dataset.x, *([dataset.x_means[dataset.group]] if gamma else [])]
    return np.stack(locations, axis=1), np.hstack([groups, groups * dataset.x[:, None]])


def effects(dataset: Lines, scales: Mapping[str, Floats]) -> Floats:
    """Return the covariance of the effects, (K, 2 G, 2 G), from scales and rho of shape (K,)."""
    a, b = scales["tau_alpha"], scales["tau_beta"]
    cross = scales.get("rho", np.zeros_like(a)) * a * b
    pair = np.moveaxis(np.array([[a**2, cross], [cross, b**2]]), -1, 0)
    return np.stack([np.kron(each, np.eye(dataset.n_groups)) for each in pair])


def given_scales(dataset: Lines, scales: Mapping[str, Floats], *, gamma: bool) -> tuple[Floats, Floats, Floats]:
    """Log p(y | scales) (K,), and mean (K, P + 2 G) and covariance of locations and lines, each given y."""
    x, z = design(dataset, gamma=gamma)
    count, n_groups = x.shape[1], dataset.n_groups
    # what locations add to the lines: alpha + gamma xbar to an intercept, beta to a slope
    to_lines = np.zeros((2 * n_groups, count))
    to_lines[:n_groups, 0] = to_lines[n_groups:, 1] = 1
    if gamma:
        to_lines[:n_groups, 2] = dataset.x_means
    prior = np.zeros((len(scales["sigma"]), count + 2 * n_groups, count + 2 * n_groups))
    prior[:, :count, :count] = 4 * np.eye(count)
    prior[:, count:, :count] = 4 * to_lines
    prior[:, :count, count:] = 4 * to_lines.T
    prior[:, count:, count:] = 4 * to_lines @ to_lines.T + effects(dataset, scales)
    to_y = np.hstack([np.zeros_like(x), z])
    with_y = prior @ to_y.T
    covariance = to_y @ with_y + scales["sigma"][:, None, None] ** 2 * np.eye(len(dataset.y))
    weights = np.linalg.solve(covariance, np.tile(dataset.y[:, None], (len(covariance), 1, 1)))
    log_density = -0.5 * (np.linalg.slogdet(2 * np.pi * covariance)[1] + weights[..., 0] @ dataset.y)
    return log_density, (with_y @ weights)[..., 0], prior - with_y @ np.linalg.solve(covariance, with_y.swapaxes(1, 2))
