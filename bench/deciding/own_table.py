"""Questions about a reader's own table: which model of normal means or of varying slopes, and which backend."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from bench.backends.base import Backend
from bench.comparing.by_map import ByMap, by_map
from bench.comparing.map_table import Place
from bench.comparing.recommendation import About
from bench.deciding.questions import Question
from bench.families.base import Family
from bench.families.normal_means import forms as means_forms
from bench.families.normal_means import programs as means_programs
from bench.families.normal_means.data import Groups
from bench.families.normal_means.data import read_table as read_groups
from bench.families.normal_means.theory import CLEAR, Seen, units
from bench.families.normal_means.theory import look as look_at_groups
from bench.families.registry import FAMILIES
from bench.families.varying_slopes import forms as slopes_forms
from bench.families.varying_slopes import programs as slopes_programs
from bench.families.varying_slopes.data import Lines
from bench.families.varying_slopes.data import read_table as read_lines
from bench.families.varying_slopes.theory import look as look_at_lines
from bench.settings import Settings
from bench.words import printable


@dataclass(frozen=True, kw_only=True)
class OwnTable(Question):
    """Which model, and which backend, for a reader's own table.

    Attributes
    ----------
    path : Path
        CSV or Parquet.
    group_column, value_column : str
        Its columns.
    posterior : str
        What the models should target.
    as_is : bool
        Whether the models get the values as they are, however far from their priors.
    """

    path: Path
    group_column: str
    value_column: str
    posterior: str
    as_is: bool = False

    @property
    def target(self) -> str:
        """What the models should target."""
        return self.posterior


@dataclass(frozen=True, kw_only=True)
class MeansQuestion(OwnTable):
    """Which of the normal means."""

    @property
    def family(self) -> Family:
        """The family of its models."""
        return FAMILIES["normal_means"]

    @property
    def forms(self) -> Mapping[str, str]:
        """Centered, noncentered or marginal."""
        return {name: form.kind for name, form in means_forms.FORMS.items()}

    @cached_property
    def table(self) -> means_programs.Table:
        """The table, and how its values become y."""
        centre, scale = (0.0, 1.0) if self.as_is else units(self._as_read)
        return means_programs.Table(self.path.resolve(), self.group_column, self.value_column, centre, scale)

    @cached_property
    def dataset(self) -> Groups:
        """What the models are given."""
        if (self.table.centre, self.table.scale) == (0.0, 1.0):
            return self._as_read
        return self._as_read.rescaled(self.table.centre, self.table.scale)

    @cached_property
    def _as_read(self) -> Groups:
        return read_groups(self.path, self.group_column, self.value_column)

    @cached_property
    def _seen(self) -> Seen:
        return look_at_groups(self.dataset, self.table.centre, self.table.scale)

    @property
    def summary(self) -> str:
        """The question in one line."""
        return f"{printable(self.path.name)}: {self._seen.summary}"

    @cached_property
    def about(self) -> About:
        """What the exact posterior and theory say."""
        seen, information = self._seen, self._seen.information
        said = {
            "undecided": "near 1, where theory leaves the parameterization open",
            "centered": "well above 1, where theory is for centered",
            "noncentered": "well below 1, where theory is for noncentered",
        }
        return About(
            lines=tuple(seen.lines()),
            between=("centered", "noncentered"),
            theory=seen.theory,
            theory_says=(
                f"n omega²/sigma² is {information.median:.3g} in the median group (94 % interval {information.low:.3g} "
                f"to {information.high:.3g}): {said[seen.theory]}"
            ),
            measure="n omega²/sigma²",
            information={"these data": (information.low, information.median, information.high)},
            limits=(1 / CLEAR, CLEAR),
            values=asdict(seen),
        )

    def by_map(self, backends: Sequence[Backend]) -> tuple[ByMap, ...]:
        """Return what the committed map says of data like these."""
        seen = self._seen
        models = [name for name, form in means_forms.FORMS.items() if form.target == self.target]
        versions = {backend.name: backend.versions() for backend in backends if not backend.unavailable()}
        sigma = seen.sigma.median / seen.scale
        asked = Place(seen.information.median, seen.n_groups, seen.largest / seen.smallest, sigma)
        return tuple(by_map(asked, models, versions))

    def program(self, model: str, backend: str, settings: Settings, seed: int) -> str:
        """Write a program to copy."""
        return means_programs.program(means_forms.MODELS[model], backend, self.table, settings, seed)


@dataclass(frozen=True, kw_only=True)
class SlopesQuestion(OwnTable):
    """Which of the varying slopes.

    Attributes
    ----------
    slope_column : str
        The column of the predictor.
    """

    slope_column: str

    @property
    def family(self) -> Family:
        """The family of its models."""
        return FAMILIES["varying_slopes"]

    @property
    def forms(self) -> Mapping[str, str]:
        """Centered, noncentered or marginal."""
        return {name: form.kind for name, form in slopes_forms.FORMS.items()}

    @cached_property
    def table(self) -> slopes_programs.LineTable:
        """The table, and how its values become x and y."""
        columns = (self.path.resolve(), self.group_column, self.slope_column, self.value_column)
        read = self._as_read
        if self.as_is:
            return slopes_programs.LineTable(*columns)
        of_x = Groups(id=read.id, y=read.x.copy(), group=read.group.copy(), labels=read.labels)
        return slopes_programs.LineTable(*columns, units(of_x), units(read))

    @cached_property
    def dataset(self) -> Lines:
        """What the models are given."""
        if self.table.x == self.table.y == (0.0, 1.0):
            return self._as_read
        return self._as_read.in_units(self.table.x, self.table.y)

    @cached_property
    def _as_read(self) -> Lines:
        return read_lines(self.path, self.group_column, self.slope_column, self.value_column)

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
        seen = look_at_lines(self.dataset, self.posterior)
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

    def program(self, model: str, backend: str, settings: Settings, seed: int) -> str:
        """Write a program to copy."""
        return slopes_programs.program(slopes_forms.MODELS[model], backend, self.table, settings, seed)
