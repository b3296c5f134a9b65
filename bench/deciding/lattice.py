"""Where a map is measured: information by number of groups, sizes and priors, and the data that are made there."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from bench.families.normal_means.data import Groups, normal_means, unbalanced

SIGMA, SMALL = 0.75, 0.075
"""Standard deviations within groups: as everywhere in this suite, and a tenth of it.

The priors are those of the programs, so data that are ten times as small meet priors that are ten times as wide.
"""
MEAN = 2.0 / 0.75
"""Mean of the group means, in units of sigma."""
SIZE = 10
"""Observations in each group, or in the median group of unbalanced ones."""


@dataclass(frozen=True, order=True)
class Point:
    """A place on the map.

    Attributes
    ----------
    imbalance : int
        The largest group over the smallest: 1, or sizes from 1 to that, spread evenly on the log scale.
    sigma : float
        Standard deviation within groups, in the unit of the priors.
    groups : int
        How many.
    information : float
        n omega²/sigma² of the median group, by the generating values.
    """

    imbalance: int
    sigma: float
    groups: int
    information: float

    @property
    def layer(self) -> tuple[int, float]:
        """Imbalance and sigma."""
        return self.imbalance, self.sigma

    def __str__(self) -> str:
        """Write it in a few words."""
        sizes = f"{SIZE}" if self.imbalance == 1 else f"1 to {self.imbalance}"
        small = "" if self.sigma == SIGMA else f", sigma {self.sigma:g}"
        return f"information {self.information:.3g}, {self.groups:,} groups of {sizes}{small}"

    def id(self, seed: int) -> str:
        """Name the data that `dataset` generates.

        Parameters
        ----------
        seed : int
            Of the data.
        """
        n = f"{SIZE}" if self.imbalance == 1 else f"1to{self.imbalance}"
        small = "" if self.sigma == SIGMA else f"-sigma{self.sigma:g}"
        return f"i{self.information:.3g}-G{self.groups}-n{n}{small}-s{seed}"

    def dataset(self, seed: int) -> Groups:
        """Generate data; every replicate has data of its own, so that the map is not one of a few tables.

        Parameters
        ----------
        seed : int
            Of the data.
        """
        sizes = [SIZE] * self.groups if self.imbalance == 1 else unbalanced(self.groups, self.imbalance)
        omega = self.sigma * math.sqrt(self.information / SIZE)
        made = normal_means(omega, sizes, seed, mean=MEAN * self.sigma, sigma=self.sigma)
        where = {"information": self.information, "size": float(SIZE), "imbalance": float(self.imbalance)}
        return replace(made, id=self.id(seed), generated_with={**made.generated_with, **where})


@dataclass(frozen=True)
class Lattice:
    """All places that may be measured; a map begins with some of them.

    Attributes
    ----------
    informations, groups : tuple of float, tuple of int
        Values along the two axes.
    layers : mapping of (int, float) to int
        Each imbalance and sigma, with the largest number of groups that it is measured at.
    steps : (int, int)
        Along each axis a map begins with every value at such a distance.
    """

    informations: tuple[float, ...] = tuple(10 ** (k / 4) for k in range(-12, 17))
    groups: tuple[int, ...] = (3, 5, 10, 20, 50, 100, 200, 600, 2000)
    layers: Mapping[tuple[int, float], int] = field(
        default_factory=lambda: {(1, SIGMA): 2000, (100, SIGMA): 200, (1, SMALL): 200, (100, SMALL): 200}
    )
    steps: tuple[int, int] = (4, 2)

    def coarse(self) -> Iterator[Point]:
        """Yield the places that a map begins with."""
        for layer, most in self.layers.items():
            for groups in self.groups[:: self.steps[1]]:
                if groups <= most:
                    for information in self.informations[:: self.steps[0]]:
                        yield Point(*layer, groups, information)

    def between(self, points: Iterable[Point]) -> Iterator[tuple[Point, Point, Point]]:
        """Yield each two neighbours between which there is room, and the place in their middle.

        Parameters
        ----------
        points : iterable of Point
            The places that there are.
        """
        there = sorted(points)
        for a, b in pairwise(there):
            if (*a.layer, a.groups) == (*b.layer, b.groups):
                middle = _middle(self.informations, a.information, b.information)
                if middle is not None:
                    yield a, replace(a, information=middle), b
        for a, b in pairwise(sorted(there, key=lambda point: (point.layer, point.information, point.groups))):
            if (*a.layer, a.information) == (*b.layer, b.information):
                middle = _middle(self.groups, a.groups, b.groups)
                if middle is not None:
                    yield a, replace(a, groups=int(middle)), b


def _middle(values: tuple[float, ...], a: float, b: float) -> float | None:
    low, high = values.index(a), values.index(b)
    return values[(low + high) // 2] if high - low > 1 else None
