"""Observations in groups: generated, or a reader's own table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bench.arrays import Floats, Ints
from bench.families.base import Data, DataError, Dataset
from bench.families.tables import read_frame, sorted_columns, table_id

FURTHEST, NEAREST = 1e100, 1e-100
"""Observations beyond these overflow when they are squared, or vanish."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Groups(Dataset):
    """Observations in groups; `data` and `sizes` follow from them.

    Attributes
    ----------
    y : array of shape (N,)
        Observations, float64.
    group : array of shape (N,)
        Group number of each observation, 0-based, int64.
    labels : tuple of str
        Label of each group.

    Raises
    ------
    DataError
        If no model could be fit to them.
    """

    data: Data = field(init=False)
    sizes: Mapping[str, int] = field(init=False)
    y: Floats
    group: Ints
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse data on which no model could be fit."""
        if len(self.y) == 0:
            raise DataError(f"{self.id}: no rows; give a table with observations of two or more groups")
        if self.n_groups < 2:
            raise DataError(f"{self.id}: one group ({self.labels[0]!r}); a hierarchical model needs two or more")
        bad = np.flatnonzero(~np.isfinite(self.y))
        if len(bad):
            raise DataError(
                f"{self.id}: {len(bad)} missing or infinite observations, the first in row {bad[0] + 1} "
                f"({self.y[bad[0]]}); drop or mend those rows"
            )
        if (furthest := float(np.abs(self.y).max())) > FURTHEST:
            raise DataError(f"{self.id}: an observation of {furthest:g} can't be squared; give them in another unit")
        if len(self.y) < 3 or np.ptp(self.y) == 0:
            raise DataError(
                f"{self.id}: all observations are {self.y[0]:g}; nothing varies, so no scale can be estimated"
            )
        if (spread := float(np.ptp(self.y))) < NEAREST:
            raise DataError(f"{self.id}: a spread of {spread:g} can't be squared; give observations in another unit")
        rounding = 8 * np.finfo(float).eps * np.abs(self.y).max()
        if len(self.y) > self.n_groups and self.within_ss <= len(self.y) * rounding**2:
            raise DataError(
                f"{self.id}: nothing varies within any group, so sigma would be 0; give the single observations, "
                "not a mean of each group repeated"
            )
        from_one = self.group + 1
        for array in (self.y, self.group, from_one):
            array.flags.writeable = False
        data = {"N": len(self.y), "G": self.n_groups, "group": from_one, "y": self.y}
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "sizes", {"observations": len(self.y), "groups": self.n_groups})

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.labels)

    @cached_property
    def group_sizes(self) -> Ints:
        """Observations in each group, shape (G,)."""
        return np.bincount(self.group, minlength=self.n_groups)

    @cached_property
    def means(self) -> Floats:
        """Mean of each group, shape (G,)."""
        return np.bincount(self.group, weights=self.y, minlength=self.n_groups) / self.group_sizes

    @cached_property
    def within_ss(self) -> float:
        """Sum of squared deviations from the group means."""
        return float(np.sum((self.y - self.means[self.group]) ** 2))

    def rescaled(self, centre: float, scale: float) -> "Groups":
        """Return the dataset of ``(y - centre) / scale``, with an id of its own and no generating values.

        Parameters
        ----------
        centre : float
            Taken from each observation, in the unit of y.
        scale : float
            By which it is then divided, in the unit of y.
        """
        draft = Groups(id=self.id, y=(self.y - centre) / scale, group=self.group.copy(), labels=self.labels)
        stem = self.id.rsplit("-", 1)[0]
        return Groups(id=f"{stem}-{draft.digest[:8]}", y=draft.y, group=draft.group, labels=draft.labels)


def normal_means(
    omega: float, sizes: Sequence[int], seed: int = 41, *, mean: float = 2.0, sigma: float = 0.75
) -> Groups:
    """Generate groups with normal means and normal observations.

    One generator draws, for each group in order, its mean and then its observations.

    Parameters
    ----------
    omega : float
        Standard deviation of the group means.
    sizes : sequence of int
        Observations in each group.
    seed : int, default 41
        Seed of `numpy.random.default_rng`.
    mean, sigma : float, default 2.0 and 0.75
        Mean of the group means, and standard deviation within groups.

    Raises
    ------
    DataError
        If a size or a scale is not positive, or there are fewer than two groups.

    Examples
    --------
    >>> made = normal_means(omega=1.0, sizes=[1, 3])
    >>> made.id, made.group, made.sizes
    ('omega1-G2-n1to3-s41', array([0, 1, 1, 1]), {'observations': 4, 'groups': 2})
    """
    for name, value in (("omega", omega), ("sigma", sigma)):
        if not (np.isfinite(value) and value > 0):
            raise DataError(f"normal_means: {name} is {value}; give a positive number")
    if len(sizes) == 0 or any(size < 1 for size in sizes):
        raise DataError(f"normal_means: sizes are {list(sizes)[:10]}; give one positive size for each group")
    rng = np.random.default_rng(seed)
    groups = [rng.normal(rng.normal(mean, omega), sigma, size) for size in sizes]
    n = str(sizes[0]) if len(set(sizes)) == 1 else f"{min(sizes)}to{max(sizes)}"
    return Groups(
        id=f"omega{omega:g}-G{len(sizes)}-n{n}-s{seed}",
        y=np.concatenate(groups),
        group=np.repeat(np.arange(len(sizes)), sizes),
        labels=tuple(str(g) for g in range(len(sizes))),
        generated_with={"mu": mean, "omega": omega, "sigma": sigma},
    )


def read_table(path: Path, group_column: str, value_column: str) -> Groups:
    """Read a reader's own table, CSV or Parquet.

    Rows may stand in any order: they are sorted by label and value, so that the same
    observations always make the same dataset.

    Parameters
    ----------
    path : Path
        The file; its ending tells the format, see `bench.families.tables`.
    group_column : str
        Name of the column of labels.
    value_column : str
        Name of the column of observations.

    Raises
    ------
    DataError
        If the file cannot be read, a column is not there, or its values cannot be used.
    """
    table, first_row = read_frame(path, {"group": group_column, "value": value_column})
    return from_table(table, group_column, value_column, name=path.stem, first_row=first_row)


def from_table(table: pd.DataFrame, group_column: str, value_column: str, *, name: str, first_row: int = 1) -> Groups:
    """Make a dataset of two columns of a data frame; see `read_table`.

    Labels are sorted as numbers where the column has a numeric type, and as text otherwise.

    Parameters
    ----------
    table : DataFrame
        The data.
    group_column, value_column : str
        Its columns.
    name : str
        What to call it.
    first_row : int, default 1
        Number of its first row in the file, for messages: 2 where a header is row 1.

    Raises
    ------
    DataError
        If the values cannot be used.

    Examples
    --------
    >>> table = pd.DataFrame({"clinic": ["b", "a", "b"], "score": [3.0, 1.5, 2.0]})
    >>> clinics = from_table(table, "clinic", "score", name="clinics")
    >>> clinics.labels, clinics.group, clinics.y
    (('a', 'b'), array([0, 1, 1]), array([1.5, 2. , 3. ]))
    """
    group, labels, (y,) = sorted_columns(table, group_column, [value_column], name=name, first_row=first_row)
    draft = Groups(id=name, y=y, group=group, labels=labels)
    return replace(draft, id=table_id(name, draft))


def unbalanced(n_groups: int, largest: int) -> list[int]:
    """Return group sizes from 1 to a largest one, spread evenly on the log scale.

    Parameters
    ----------
    n_groups : int
        How many.
    largest : int
        The last of them.

    Examples
    --------
    >>> unbalanced(5, 100)
    [1, 3, 10, 32, 100]
    """
    return [int(size) for size in np.rint(np.geomspace(1, largest, n_groups))]


@cache
def grid(name: str) -> tuple[Groups, ...]:
    """Generate the datasets of a grid.

    Parameters
    ----------
    name : str
        One of `GRIDS`: `smoke` (one dataset), `quick` (that, 50 groups, and 50 groups with a small omega), `thread`
        (the nine of the public forum thread that this project starts from), `full` (those, unbalanced groups, other
        group sizes and other data seeds).

    Raises
    ------
    DataError
        If there is no such grid.
    """
    if name == "smoke":
        return (normal_means(1.0, [20] * 5),)
    if name == "quick":
        return tuple(normal_means(omega, [20] * n_groups) for omega, n_groups in ((1.0, 5), (0.1, 50), (1.0, 50)))
    if name == "thread":
        return tuple(normal_means(omega, [20] * n_groups) for omega in (0.1, 1.0, 10.0) for n_groups in (5, 50, 500))
    if name == "full":
        return (
            *grid("thread"),
            *(normal_means(omega, unbalanced(n_groups, 100)) for omega in (0.1, 1.0, 10.0) for n_groups in (5, 50)),
            *(normal_means(omega, [n] * 50) for omega in (0.1, 1.0, 10.0) for n in (1, 5, 100)),
            *(normal_means(omega, [20] * 50, seed) for omega in (0.1, 1.0, 10.0) for seed in (42, 43)),
        )
    raise DataError(f"no grid {name!r}; the grids are {', '.join(GRIDS)}")


GRIDS = ("smoke", "quick", "thread", "full")
