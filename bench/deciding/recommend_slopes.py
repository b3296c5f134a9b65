"""What is asked of a reader's own table with a predictor: which model of varying slopes, and which backend."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from bench.cells import printable
from bench.comparing.recommendation import About
from bench.deciding.recommend import Question
from bench.families.base import Family
from bench.families.normal_means.data import Groups
from bench.families.normal_means.theory import CLEAR, units
from bench.families.registry import FAMILIES
from bench.families.varying_slopes.data import Lines, read_table
from bench.families.varying_slopes.forms import FORMS, MODELS
from bench.families.varying_slopes.programs import LineTable, program
from bench.families.varying_slopes.theory import look
from bench.settings import Settings


@dataclass(frozen=True, kw_only=True)
class SlopesQuestion(Question):
    """Which model of the varying slopes, and which backend, for a reader's own table.

    Attributes
    ----------
    path : Path
        CSV or Parquet.
    group_column, slope_column, value_column : str
        Its columns.
    posterior : str
        What the models should target.
    as_is : bool
        Whether the models get x and y as they are, however far from their priors.
    """

    path: Path
    group_column: str
    slope_column: str
    value_column: str
    posterior: str = "independent"
    as_is: bool = False

    @property
    def family(self) -> Family:
        """The varying slopes."""
        return FAMILIES["varying_slopes"]

    @property
    def target(self) -> str:
        """What the models should target."""
        return self.posterior

    @cached_property
    def table(self) -> LineTable:
        """The table, and how its values become x and y."""
        columns = (self.path.resolve(), self.group_column, self.slope_column, self.value_column)
        read = self._as_read
        if self.as_is:
            return LineTable(*columns)
        of_x = Groups(id=read.id, y=read.x.copy(), group=read.group.copy(), labels=read.labels)
        return LineTable(*columns, units(of_x), units(read))

    @cached_property
    def dataset(self) -> Lines:
        """What the models are given."""
        if self.table.x == self.table.y == (0.0, 1.0):
            return self._as_read
        return self._as_read.in_units(self.table.x, self.table.y)

    @cached_property
    def _as_read(self) -> Lines:
        return read_table(self.path, self.group_column, self.slope_column, self.value_column)

    @property
    def summary(self) -> str:
        """The question in one line, with the slope of a line through all observations and that within groups."""
        read = self._as_read
        pooled, within = read.pooled_slope, read.within_slope
        against = ": the two have opposite signs" if pooled * within < 0 else ""
        scaled = "" if self.dataset is read else "; the models get both in units in which their priors fit (--as-is)"
        return (
            f"{printable(self.path.name)}: {len(read.y):,} observations in {read.n_groups:,} groups; the least-squares "
            f"slope is {pooled:.3g} through all of them and {within:.3g} within groups{against}{scaled}"
        )

    @cached_property
    def about(self) -> About:
        """What the exact posterior and theory say."""
        seen = look(self.dataset, self.posterior)
        return About(
            lines=(self.summary, *seen.lines()),
            between=("centered", "noncentered"),
            theory=seen.theory,
            theory_says=seen.theory_says,
            measure="information of a group on its line",
            information={of: (value.low, value.median, value.high) for of, value in seen.information.items()},
            limits=(1 / CLEAR, CLEAR),
            values=asdict(seen),
        )

    @property
    def forms(self) -> Mapping[str, str]:
        """Centered, noncentered or marginal."""
        return {name: form.kind for name, form in FORMS.items()}

    def program(self, model: str, backend: str, settings: Settings, seed: int) -> str:
        """Write a program to copy."""
        return program(MODELS[model], backend, self.table, settings, seed)
