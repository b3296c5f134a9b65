"""What `hierbench versions` is asked to try: combinations of packages, and on what."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from bench.backends import BACKENDS
from bench.deciding.decide import Decide
from bench.deciding.requirement import requirement, split
from bench.families.registry import FAMILIES
from bench.running.run import UsageError, choose
from bench.settings import OPTIONS, Settings

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
KINDS = {str: "text", int: "a whole number", float: "a number with a point, as 0.9"}
"""What to call the types of what a matrix says."""


@dataclass(frozen=True)
class Combination:
    """An environment to try.

    Attributes
    ----------
    packages : tuple of str
        Requirements as PEP 508 writes them, such as `name==version`; all else is the newest that goes with them.
    backends : tuple of str
        What is run in it.
    python : str, optional
        Its Python, such as `3.12`; by default that of this process, else the first that these versions can be
        installed on.
    """

    packages: tuple[str, ...]
    backends: tuple[str, ...]
    python: str | None = None

    @property
    def name(self) -> str:
        """What is required."""
        return "+".join(self.packages) + (f" on Python {self.python}" if self.python else "")

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", self.name)

    @property
    def kind(self) -> tuple[str, ...]:
        """What it has in common with those it is compared with: the names of its packages and its backends."""
        return (*(requirement(package).name for package in self.packages), *self.backends)


@dataclass(frozen=True)
class Matrix:
    """What to try, and on what.

    Attributes
    ----------
    combinations : tuple of Combination
        In order; the first of each kind is the one that the others are compared with.
    families : str
        Names, separated by commas.
    grid : str
        Datasets of the families that have several grids.
    replicates : int
        Fits of each case.
    models : str, optional
        Names, separated by commas; all by default.
    overrides : mapping of str to float
        Settings of all fits that are not those of the suite. Nothing is ranked that diverges, so a higher
        `target_accept` may say more.
    decide : str, optional
        Margin, such as `5%`: then there are as many replicates as it takes, whatever `replicates` says.
    max_replicates : int
        At most so many then.
    """

    combinations: tuple[Combination, ...]
    families: str = "normal_means"
    grid: str = "smoke"
    replicates: int = 5
    models: str | None = None
    overrides: Mapping[str, float] = field(default_factory=dict)
    decide: str | None = None
    max_replicates: int = Decide.most

    def __post_init__(self) -> None:
        """Refuse what can't be run."""
        if self.replicates < 1:
            raise UsageError(f"--replicates is {self.replicates}; give 1 or more, 5 for intervals")
        families = choose("family", self.families, FAMILIES)
        for family in families:
            if len(family.grids) > 1 and self.grid not in family.grids:
                raise UsageError(f"{family.name} has no grid {self.grid!r}; its grids are: {', '.join(family.grids)}")
        choose("model", self.models, {name: model for family in families for name, model in family.models.items()})
        try:
            Settings().override(**self.overrides)
        except ValueError as error:
            raise UsageError(str(error)) from error
        if self.decide is not None:
            Decide(self.decide, self.max_replicates)
            if not list(self.pairs(self.combinations)):
                raise UsageError(
                    "--decide compares versions; name two of the same package, e.g. pymc==5.28.5,pymc==6.4.0"
                )
        names = [combination.name for combination in self.combinations]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"{twice} is there twice; name each combination once")

    @staticmethod
    def pairs(combinations: Sequence[Combination]) -> Iterator[tuple[Combination, Combination]]:
        """Pair every combination with the first of its kind.

        Parameters
        ----------
        combinations : sequence of Combination
            Those that have records.
        """
        first: dict[tuple[str, ...], Combination] = {}
        for combination in combinations:
            if combination.kind in first:
                yield first[combination.kind], combination
            else:
                first[combination.kind] = combination

    def asked(self, backends: Sequence[str]) -> dict[str, Any]:
        """Return what some backends are asked for, as `bench.deciding.fitter.plan_of` reads it.

        Parameters
        ----------
        backends : sequence of str
            Their names.
        """
        return {
            "families": self.families,
            "grid": self.grid,
            "models": self.models,
            "backends": ",".join(backends),
            "overrides": dict(self.overrides),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Matrix":
        """Read the plain values of a TOML file, or of `versions.json`; settings stand beside the rest.

        Parameters
        ----------
        values : mapping
            None where a value is not given.

        Raises
        ------
        UsageError
            If a name is unknown or a value has the wrong type.
        """
        plain = {name: value for name, value in values.items() if value is not None}
        tables = plain.pop("combinations", None)
        settings: dict[str, type] = {option.name: option.kind for option in OPTIONS}
        known: dict[str, type] = {"families": str, "grid": str, "replicates": int, "models": str, **settings}
        known |= {"decide": str, "max_replicates": int}
        for name, value in plain.items():
            if name not in known:
                raise UsageError(f"no setting {name!r} in the matrix; there are: combinations, {', '.join(known)}")
            if not isinstance(value, known[name]):
                raise UsageError(f"{name} is {value!r} in the matrix; give {KINDS[known[name]]}")
        if not isinstance(tables, list) or not tables:
            raise UsageError(
                'the matrix has no [[combinations]]; give e.g. [[combinations]] packages = ["pymc==6.4.0"]'
            )
        given = {name: plain.pop(name) for name in settings if name in plain}
        return cls(tuple(_combination(table) for table in tables), overrides=given, **plain)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads."""
        plain = asdict(self)
        settings = plain.pop("overrides")
        return {**plain, **settings}


def read_matrix(tried: str, **rest: Any) -> Matrix:
    """Read `--try`: a TOML file, or requirements separated by commas, with `+` between those of one environment.

    Parameters
    ----------
    tried : str
        What was typed.
    **rest
        What else was typed, by the names of a TOML file; it goes before what the file says. None is nothing.

    Raises
    ------
    UsageError
        If it can't be read, or names a package that no backend depends on.
    """
    if tried.endswith(".toml"):
        try:
            values = tomllib.loads(Path(tried).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{tried} can't be read as TOML: {error}") from error
    else:
        environments = split(tried)
        if not environments:
            raise UsageError("--try is empty; give e.g. --try pymc==5.28.5,pymc==6.4.0")
        values = {"combinations": [{"packages": packages} for packages in environments]}
    return Matrix.from_dict({**values, **{name: value for name, value in rest.items() if value is not None}})


def _combination(table: Any) -> Combination:
    packages = table.get("packages") if isinstance(table, dict) else None
    if not isinstance(packages, list) or not packages:
        raise UsageError(f'{table!r} names no packages; give e.g. packages = ["pymc==6.4.0"]')
    if unknown := set(table) - {"packages", "backends", "python"}:
        raise UsageError(f"no setting {sorted(unknown)[0]!r} of a combination; there are: packages, backends, python")
    wanted = [requirement(str(package)) for package in packages]
    names = [each.name for each in wanted]
    for name in names:
        if name not in _known():
            raise UsageError(f"no backend depends on {name!r}; the packages are: {', '.join(_known())}")
    chosen = table.get("backends")
    if chosen is None:
        always = [name for name, backend in BACKENDS.items() if backend.default == "always"]
        chosen = [name for name in names if name in BACKENDS] or always
    choose("backend", ",".join(chosen), BACKENDS)
    python = table.get("python")
    if python is not None and python not in PYTHONS:
        raise UsageError(f"python is {python!r}; give one of {', '.join(PYTHONS)}")
    return Combination(tuple(map(str, wanted)), tuple(chosen), python)


def _known() -> list[str]:
    """Name the packages whose version can matter to a backend."""
    own = {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in requirements()}
    others = ("cmdstan", "pytensor", "numba", "llvmlite", "httpstan", "arviz-stats", "arviz-base", "xarray")
    return sorted({*own, *others})


def requirements() -> list[str]:
    """Return what this project needs, but for its tests."""
    return [line for line in requires("hierbench") or [] if not re.search(r"extra\s*==\s*.test", line)]
