"""What can be said of a table before anything is sampled: its scales, and the parameterization theory would take.

How much the n observations of a group say of its mean, beside what the other groups say, is n omega²/sigma²: the
precision of the data over that of the population. Where it is large the group means are known and a centered model is
nearly independent of omega; where it is small they follow omega, and a non-centered one is
(Papaspiliopoulos, Roberts and Sköld 2007, Statistical Science 22, 59-73; Betancourt and Girolami 2013).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.families.normal_means.data import Groups
from bench.families.normal_means.exact import exact_posterior

Theory = Literal["centered", "noncentered", "undecided"]

CLEAR = 5.0
"""Information by which theory calls for centered; below 1 / `CLEAR` it calls for non-centered."""
PRIOR_SDS = 3.0
"""How far from 0 the mean of y, and how large its spread within groups, may be: the models' priors have scale 1."""
DRAWS = 4000


@dataclass(frozen=True)
class Estimate:
    """Posterior median and 94 % interval, exact or from exact draws."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write it with three digits."""
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


@dataclass(frozen=True)
class Seen:
    """What a table is like.

    Attributes
    ----------
    n_obs, n_groups, smallest, largest : int
        Observations, groups, and observations in the smallest and the largest group.
    centre, scale : float
        The models were given ``(y - centre) / scale``.
    sigma, omega : Estimate
        Scales within and between groups, in the unit of y.
    information : Estimate
        n omega²/sigma² of the median group.
    least, most : float
        Posterior medians of it for the smallest and the largest group.
    """

    n_obs: int
    n_groups: int
    smallest: int
    largest: int
    centre: float
    scale: float
    sigma: Estimate
    omega: Estimate
    information: Estimate
    least: float
    most: float

    @property
    def theory(self) -> Theory:
        """The parameterization that theory takes, by the median group."""
        if self.information.median >= CLEAR:
            return "centered"
        return "noncentered" if self.information.median <= 1 / CLEAR else "undecided"

    @property
    def summary(self) -> str:
        """Say how many observations and groups there are."""
        sizes = f"{self.smallest:,}" if self.smallest == self.largest else f"{self.smallest:,} to {self.largest:,}"
        return f"{self.n_obs:,} observations in {self.n_groups:,} groups of {sizes}"

    def lines(self) -> Iterator[str]:
        """Yield in words what the table is like."""
        yield self.summary
        if (self.centre, self.scale) != (0.0, 1.0):
            yield (
                f"the models' priors expect y near 0 and a spread within groups near 1, so they get "
                f"(y - {self.centre:g}) / {self.scale:g}; as it is: --as-is"
            )
        yield f"exact posterior: sigma {self.sigma}, omega {self.omega}, medians with 94 % intervals"
        groups = "a group" if self.smallest == self.largest else "the median group"
        yield f"information of {groups} on its mean, n omega²/sigma²: {self.information}"
        if self.smallest != self.largest:
            yield f"it goes from {self.least:.3g} in the smallest group to {self.most:.3g} in the largest"


def look(dataset: Groups, centre: float = 0.0, scale: float = 1.0) -> Seen:
    """Summarise a dataset by its exact posterior.

    Parameters
    ----------
    dataset : Groups
        What the models are given.
    centre, scale : float, default 0 and 1
        The models are given ``(y - centre) / scale`` of the reader's y.

    Examples
    --------
    >>> from bench.families.normal_means.data import normal_means
    >>> [look(normal_means(omega, [20] * 50)).theory for omega in (0.01, 10.0)]
    ['noncentered', 'centered']
    """
    exact = exact_posterior(dataset, "superpopulation")
    sigma, omega = exact.draw_scales(DRAWS, np.random.default_rng(1))
    ratio = (omega / sigma) ** 2
    sizes = dataset.group_sizes
    low, middle, high = np.quantile(ratio, (0.03, 0.5, 0.97))

    def estimate(name: str) -> Estimate:
        return Estimate(*(scale * exact.marginals[name].quantile(p) for p in (0.5, 0.03, 0.97)))

    n = float(np.median(sizes))
    return Seen(
        n_obs=len(dataset.y),
        n_groups=dataset.n_groups,
        smallest=int(sizes.min()),
        largest=int(sizes.max()),
        centre=centre,
        scale=scale,
        sigma=estimate("sigma"),
        omega=estimate("omega"),
        information=Estimate(float(n * middle), float(n * low), float(n * high)),
        least=float(sizes.min() * middle),
        most=float(sizes.max() * middle),
    )


def units(dataset: Groups) -> tuple[float, float]:
    """Choose centre and scale that bring y to where the models' priors expect it: (0, 1) if it is there already.

    The priors are mu ~ normal(0, 1) and sigma ~ half-normal(1). Beyond `PRIOR_SDS` of these the mean of the group means
    becomes the centre and the standard deviation within groups the scale, both to three digits.

    Parameters
    ----------
    dataset : Groups
        The reader's y, as it is.

    Returns
    -------
    centre, scale : float
        In the unit of y.

    Examples
    --------
    >>> from bench.families.normal_means.data import normal_means
    >>> units(normal_means(1.0, [20] * 5))
    (0.0, 1.0)
    >>> units(normal_means(10.0, [20] * 5, mean=500.0, sigma=40.0))
    (494.0, 37.2)
    """
    spare = len(dataset.y) - dataset.n_groups
    within = math.sqrt(dataset.within_ss / spare) if spare else float(np.std(dataset.y))
    mean = float(dataset.means.mean())
    if abs(mean) <= PRIOR_SDS and 1 / 100 <= within <= PRIOR_SDS:
        return 0.0, 1.0
    return float(f"{mean:.3g}"), float(f"{within:.3g}")
