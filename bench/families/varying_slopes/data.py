"""Observations in groups with a predictor: generated so that the pooled slope has the wrong sign."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from bench.arrays import Floats
from bench.families.base import DataError
from bench.families.normal_means.data import FURTHEST, NEAREST, Groups
from bench.families.tables import read_frame, sorted_columns, table_id


@dataclass(frozen=True, eq=False, kw_only=True)
class Lines(Groups):
    """Observations of y at x in groups, each with a line of its own.

    A QR decomposition of each group's design turns its observations into two that say all of its line, the mean of y
    and `slope_data`, and residuals that know sigma alone. Where x does not vary in a group, its `slope_data` is 0 with
    the variance sigma^2, as if one more residual were known to be 0; `residual_df` has one less for it.

    Attributes
    ----------
    x : array of shape (N,)
        Predictor of each observation, float64.

    Raises
    ------
    DataError
        If no slope could be told from them.
    """

    x: Floats

    def __post_init__(self) -> None:
        """Refuse data that tell no slope."""
        super().__post_init__()
        if bad := np.flatnonzero(~np.isfinite(self.x)).tolist():
            raise DataError(
                f"{self.id}: {len(bad)} missing or infinite values of x, the first in row {bad[0] + 1} "
                f"({self.x[bad[0]]}); drop or mend those rows"
            )
        instead = "leave out --slope-column, and the means of the groups are told"
        if (furthest := float(np.abs(self.x).max())) > FURTHEST:
            raise DataError(f"{self.id}: an x of {furthest:g} can't be squared; give it in another unit")
        if (spread := float(np.ptp(self.x))) < NEAREST:
            raise DataError(f"{self.id}: x has a spread of {spread:g}, so no slope can be told; {instead}")
        if self.group_sizes.max() == 1:
            raise DataError(f"{self.id}: one observation in every group tells no slope within groups; {instead}")
        rounding = 8 * np.finfo(float).eps * np.abs(self.x).max()
        if np.all(self.x_ss <= self.group_sizes * rounding**2):
            raise DataError(f"{self.id}: x does not vary within any group, so no slope can be told there; {instead}")
        rounding = 8 * np.finfo(float).eps * max(np.abs(self.y).max(), np.abs(self.x).max())
        about = self.x - self.x.mean()
        pooled = self.y - self.y.mean() - about * (about @ self.y) / (about @ about)
        told = len(self.y) > self.n_groups + np.sum(self.x_ss > 0)  # whether lines leave residuals
        if min(float(pooled @ pooled), self.residual_ss if told else np.inf) <= len(self.y) * rounding**2:
            raise DataError(f"{self.id}: y is a line of x without any error, so sigma would be 0")
        self.x.flags.writeable = False
        object.__setattr__(self, "data", {**self.data, "x": self.x})

    def in_units(self, x: tuple[float, float], y: tuple[float, float]) -> "Lines":
        """Return the dataset of ``(value - centre) / scale``, with an id of its own.

        Parameters
        ----------
        x, y : (float, float)
            Centre and scale of each, in its unit.
        """
        (x_centre, x_scale), (y_centre, y_scale) = x, y
        draft = replace(self, x=(self.x - x_centre) / x_scale, y=(self.y - y_centre) / y_scale)
        return replace(draft, id=f"{self.id.rsplit('-', 1)[0]}-{draft.digest[:8]}")

    @cached_property
    def x_means(self) -> Floats:
        """Mean of x in each group, shape (G,)."""
        return np.bincount(self.group, weights=self.x, minlength=self.n_groups) / self.group_sizes

    @cached_property
    def x_ss(self) -> Floats:
        """Sum of squared deviations of x from its mean in each group, shape (G,)."""
        squares = (self.x - self.x_means[self.group]) ** 2
        return np.bincount(self.group, weights=squares, minlength=self.n_groups).astype(np.float64)

    @cached_property
    def slope_data(self) -> Floats:
        """What each group says of its slope: normal(root(x_ss) beta_g, sigma), shape (G,)."""
        products = (self.x - self.x_means[self.group]) * (self.y - self.means[self.group])
        sums = np.bincount(self.group, weights=products, minlength=self.n_groups)
        return np.divide(sums, np.sqrt(self.x_ss), out=np.zeros(self.n_groups), where=self.x_ss > 0)

    @cached_property
    def residual_ss(self) -> float:
        """Sum of squared residuals of y from the least-squares lines of the groups."""
        slopes = np.divide(self.slope_data, np.sqrt(self.x_ss), out=np.zeros(self.n_groups), where=self.x_ss > 0)
        fitted = self.means[self.group] + slopes[self.group] * (self.x - self.x_means[self.group])
        return float(np.sum((self.y - fitted) ** 2))

    @property
    def pooled_slope(self) -> float:
        """Least-squares slope of one line through all observations."""
        about = self.x - self.x.mean()
        return float(about @ self.y / (about @ about))

    @property
    def within_slope(self) -> float:
        """Least-squares slope that the groups share if each has an intercept of its own."""
        return float(np.sqrt(self.x_ss) @ self.slope_data / self.x_ss.sum())

    @property
    def residual_df(self) -> int:
        """Power of 1 / sigma that the residuals have in the likelihood: N - 2 G, negative where groups are small."""
        return len(self.y) - 2 * self.n_groups


TAU_ALPHA, TAU_BETA, SIGMA = 0.3, 0.3, 0.5
ALPHA, BETA, GAMMA = 1.0, -0.6, 1.4
X_SD = 0.7
"""Of x within groups."""


def simpson(sizes: Sequence[int], seed: int = 17, *, centred: bool = False) -> Lines:
    """Generate groups in which y falls with x, while groups with a higher mean of x have a higher intercept.

    Group g has x around its own mean, normal(0, 1), with the sd 0.7, and the line

        y = ALPHA + GAMMA * mean_g + TAU_ALPHA * z_alpha_g + (BETA + TAU_BETA * z_beta_g) * x + SIGMA * noise.

    So the slope is BETA = -0.6 within groups and BETA + GAMMA = 0.8 between their means, and a line through all
    observations rises (Simpson's paradox). One generator draws, for each group in order, its mean of x, its two
    effects, its x and its noise.

    Parameters
    ----------
    sizes : sequence of int
        Observations in each group, 2 or more in one of them.
    seed : int, default 17
        Seed of `numpy.random.default_rng`.
    centred : bool, default False
        Whether the mean of each group is taken off its x afterwards, so that nothing is confounded any more.

    Examples
    --------
    >>> made = simpson([20] * 50)
    >>> made.id, made.sizes
    ('G50-n20-s17', {'observations': 1000, 'groups': 50})
    >>> made.pooled_slope > 0 > made.within_slope
    True
    """
    rng = np.random.default_rng(seed)
    x, y = [], []
    for size in sizes:
        mean, z_alpha, z_beta = rng.standard_normal(3)
        at = mean + X_SD * rng.standard_normal(size)
        line = ALPHA + GAMMA * mean + TAU_ALPHA * z_alpha + (BETA + TAU_BETA * z_beta) * at
        y.append(line + SIGMA * rng.standard_normal(size))
        x.append(at - at.mean() if centred else at)
    n = str(sizes[0]) if len(set(sizes)) == 1 else f"{min(sizes)}to{max(sizes)}"
    return Lines(
        id=f"G{len(sizes)}-n{n}{'-centred' if centred else ''}-s{seed}",
        x=np.concatenate(x),
        y=np.concatenate(y),
        group=np.repeat(np.arange(len(sizes)), sizes),
        labels=tuple(str(g) for g in range(len(sizes))),
        generated_with={"beta": BETA, "gamma": GAMMA, "sigma": SIGMA, "tau_beta": TAU_BETA},
    )


def read_table(path: Path, group_column: str, slope_column: str, value_column: str) -> Lines:
    """Read a reader's own table, CSV or Parquet, its rows in any order.

    Parameters
    ----------
    path : Path
        The file; its ending tells the format, see `bench.families.tables`.
    group_column, slope_column, value_column : str
        Names of the columns of labels, of x, and of y.

    Raises
    ------
    DataError
        If the file cannot be read, a column is not there, or its values cannot be used or tell no slope.
    """
    columns = {"group": group_column, "slope": slope_column, "value": value_column}
    table, first_row = read_frame(path, columns)
    numbers = [slope_column, value_column]
    group, labels, (x, y) = sorted_columns(table, group_column, numbers, name=path.stem, first_row=first_row)
    draft = Lines(id=path.stem, x=x, y=y, group=group, labels=labels)
    return replace(draft, id=table_id(path.stem, draft))


GRIDS = ("quick", "smoke", "groups", "full")


@cache
def grid(name: str) -> tuple[Lines, ...]:
    """Generate the datasets of a grid.

    Parameters
    ----------
    name : str
        One of `GRIDS`: `smoke` (5 groups), `quick` (5 and 50 groups, x centred within 50 groups), `groups` (5, 50, 200
        and 1,000 groups), `full` (those, x centred, small groups, and groups of unequal sizes).

    Raises
    ------
    DataError
        If there is no such grid.
    """
    if name == "smoke":
        return (simpson([20] * 5),)
    if name == "quick":
        return (*grid("smoke"), simpson([20] * 50), simpson([20] * 50, centred=True))
    if name == "groups":
        return tuple(simpson([20] * n_groups) for n_groups in (5, 50, 200, 1000))
    if name == "full":
        unequal = [int(size) for size in np.rint(np.geomspace(1, 100, 50))]
        return (
            *grid("quick"),
            *(simpson([20] * n_groups, centred=centred) for n_groups in (200, 1000) for centred in (False, True)),
            *(simpson([5] * n_groups) for n_groups in (50, 200, 1000)),
            simpson(unequal),
        )
    raise DataError(f"no grid {name!r}; the grids are {', '.join(GRIDS)}")
