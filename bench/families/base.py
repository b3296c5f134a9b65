"""What the instrument knows of any model: values by name, programs, data, targets, and what a family says of them."""

import stat
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.correctness.truth import Truth
from bench.files import ROOT

STAN = next(path for path in (Path(__file__).parent.parent / "stan", ROOT / "stan") if path.is_dir())
"""The Stan programs: inside the package where it was installed from a wheel, beside it in a checkout."""
PYMC = ROOT / "pymc_models"

Values = Mapping[str, Floats]
"""Parameters by the names that the Stan program gives them, in constrained space, in their declared shapes."""
Data = Mapping[str, Any]
"""The data block of the Stan program: numbers and arrays by name, indices counted from 1."""


class DataError(ValueError):
    """Data or programs that cannot be used; the message says why and what to change."""


LOG_LIKELIHOOD = "log likelihood"
"""Its name among the values that `Family.simulate` returns."""
MAX_BYTES = 2**28
"""Size of a program or of data in JSON that is read."""


def check_file(path: Path, most: int = MAX_BYTES) -> None:
    """Refuse, before any of it is read, what is not a file (a folder, a pipe, a device) and what is too large.

    Parameters
    ----------
    path : Path
        What to look at.
    most : int, default `MAX_BYTES`
        Bytes that it may have.

    Raises
    ------
    DataError
        If it can't be read as a whole.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise DataError(f"{path}: not readable ({error})") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise DataError(f"{path}: this is {kind}; give a file")
    if found.st_size > most:
        raise DataError(f"{path}: {found.st_size / 2**30:.1f} GiB; the limit is {most / 2**30:.2g} GiB")


@dataclass(frozen=True)
class Program:
    """A model in one language.

    Attributes
    ----------
    path : Path
        Where it stands, for messages.
    code : str
        Its text.
    """

    path: Path
    code: str

    @classmethod
    def read(cls, path: Path) -> "Program":
        """Read a program.

        Raises
        ------
        DataError
            If the file can't be read.
        """
        check_file(path)
        try:
            return cls(path, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} can't be read ({error}); give a text file in UTF-8") from error


@dataclass(frozen=True, eq=False)
class Model:
    """One parameterization, in one or both languages.

    Attributes
    ----------
    name : str
        The file stem in `stan/<family>/` and in `pymc_models/<family>/`.
    target : str
        Name of the posterior that it targets; models that share it must agree to Monte Carlo error.
    stan, pymc : Program, optional
        Its programs.
    renamed : mapping of str to str
        Parameters that the PyMC program names otherwise: the Stan name and the PyMC name.
    axes : mapping of str to sequence of int
        Parameters whose dimensions stand in another order in PyMC: the Stan axis of each PyMC axis, from 0; none for
        a scalar that is a vector of one element in Stan.
    unconstrained : mapping of str to str
        Parameters that the PyMC program has on Stan's unconstrained scale, with a Jacobian of its own: the Stan name
        and the PyMC name. Their constraints must not depend on other parameters.
    """

    name: str
    target: str
    stan: Program | None = None
    pymc: Program | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    axes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    unconstrained: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, family: str, name: str, target: str) -> "Model":
        """Read the programs of a model of this suite.

        Parameters
        ----------
        family : str
            Name of its folders in `stan/` and `pymc_models/`.
        name : str
            Stem of both files, and the model's name.
        target : str
            Name of the posterior that it targets.

        Raises
        ------
        DataError
            If a program can't be read.
        """
        stan, pymc = STAN / family / f"{name}.stan", PYMC / family / f"{name}.py"
        return cls(name, target, Program.read(stan), Program.read(pymc))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over both programs and how their names match."""
        parts = [program.code if program else "" for program in (self.stan, self.pymc)]
        return sha256("\0".join([*parts, self.naming]).encode()).hexdigest()

    @property
    def naming(self) -> str:
        """How names, axes and scales of both programs match, as text for a digest; a scale is the Stan program's."""
        scales = repr((sorted(self.unconstrained.items()), self.stan and self.stan.code)) if self.unconstrained else ""
        return repr((sorted(self.renamed.items()), sorted((k, tuple(v)) for k, v in self.axes.items()))) + scales


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data with a name.

    Attributes
    ----------
    id : str
        Short and stable; history is matched on it.
    data : mapping of str to int, float or array
        The data block of the Stan programs; PyMC's `build` is given the same.
    sizes : mapping of str to int
        How large it is, in the family's words; empty: as many `values` as there are numbers in it.
    generated_with : mapping of str to float
        The generating values, where they are known.
    """

    id: str
    data: Data
    sizes: Mapping[str, int] = field(default_factory=dict)
    generated_with: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, shapes and little-endian values, in the order of the names."""
        return data_digest(self.data)

    @cached_property
    def values(self) -> int:
        """How many numbers there are in it."""
        return sum(np.size(value) for value in self.data.values())


def data_digest(data: Data) -> str:
    """SHA-256 over names, shapes and little-endian values of data, in the order of the names.

    Parameters
    ----------
    data : mapping of str to int, float, array or nested list
        Lists of rows of unequal length are taken as they are written.

    Examples
    --------
    >>> data_digest({"J": 2, "y": [1.0, 2.5]}) == data_digest({"y": np.array([1.0, 2.5]), "J": 2})
    True
    >>> data_digest({"J": 2}) == data_digest({"J": 2.0})  # a program may tell them apart
    False
    """
    sha = sha256()
    for name in sorted(data):
        try:
            array = np.asarray(data[name])
        except ValueError:  # rows of unequal length
            array = np.asarray(repr(data[name]))
        sha.update(f"{name} {array.shape} {array.dtype.kind}\0".encode())
        kind = {"i": "<i8", "u": "<i8", "b": "<i8", "f": "<f8"}.get(array.dtype.kind)
        sha.update(array.astype(kind).tobytes() if kind else str(array.tolist()).encode())
    return sha.hexdigest()


@dataclass(frozen=True)
class Target:
    """A posterior that models target.

    Attributes
    ----------
    name : str
        Its name.
    quantities : tuple of str
        Parameters and transformed quantities that are reported and graded; empty: all that every language has.
    headline : tuple of str
        Those that pages show first, scalars; their quantiles are graded too.
    """

    name: str
    quantities: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()


class Family(ABC):
    """Models of one kind of data, with what is known of them.

    Only `name`, `models`, `targets` and `datasets` must be there; each method below says what the instrument does
    where a family does not know better.

    Attributes
    ----------
    name : str
        Its name, and that of its folders in `stan/` and `pymc_models/`.
    models : mapping of str to Model
        Its models by name.
    targets : mapping of str to Target
        The posteriors they target, by name.
    grids : tuple of str
        Names that `datasets` knows, the default one first.
    default_models : tuple of str
        Models that the default grid is measured with where none are named; empty: all.
    kind : str
        What kind of model they are, such as `hierarchical`; pages over many models sum up by it. Empty: not said.
    """

    kind: str = ""
    default_models: tuple[str, ...] = ()
    name: str
    models: Mapping[str, Model]
    targets: Mapping[str, Target]
    grids: tuple[str, ...]

    @abstractmethod
    def datasets(self, grid: str) -> Sequence[Dataset]:
        """Return the datasets of a grid, one of `grids`."""

    def only(self, names: Collection[str]) -> "Family":
        """Return the same family with some of its models alone.

        Parameters
        ----------
        names : collection of str
            Of these; the order stays that of the family.
        """
        found = copy(self)
        found.models = {name: model for name, model in self.models.items() if name in names}
        return found

    def target(self, model: Model) -> Target:
        """Return what a model targets."""
        return self.targets[model.target]

    def lacking(self, names: Collection[str]) -> str:
        """Say what is asked for that is not among the names that the programs have; nothing by default."""
        return ""

    def truth(self, target: str, dataset: Dataset) -> Truth | None:
        """Return what fits are graded against; None where nothing is known, and engines are held against each other.

        Parameters
        ----------
        target : str
            Name of the posterior.
        dataset : Dataset
            Given which data.
        """
        return None

    def reference(self, model: Model, dataset: Dataset, values: Values) -> tuple[float, Values] | None:
        """Evaluate a hand-written log density over the values, and its gradient with respect to each of them.

        It is a third side for the equality gate, since two programs can share one error.

        Parameters
        ----------
        model : Model
            Which parameterization.
        dataset : Dataset
            Given which data.
        values : mapping of str to array
            All of its parameters.

        Returns
        -------
        (float, mapping of str to array), optional
            The log density, up to a constant and without a Jacobian, and its partial derivatives; None without a
            reference.
        """
        return None

    def points(self, model: Model, dataset: Dataset, rng: np.random.Generator) -> Values | None:
        """Draw a start.

        Parameters
        ----------
        model : Model
            Which parameterization.
        dataset : Dataset
            Given which data.
        rng : numpy.random.Generator
            Source of the draw; in the same state it gives the same start for every backend.

        Returns
        -------
        mapping of str to array, optional
            All parameters of the model; None leaves it to the instrument: uniform on (-2, 2) on Stan's unconstrained
            scale.
        """
        return None

    def typical(self, model: Model, dataset: Dataset, rng: np.random.Generator) -> list[Values] | None:
        """Draw values from the posterior without a sampler, for the gate; None where that can't be done.

        Parameters
        ----------
        model : Model
            Which parameterization.
        dataset : Dataset
            Given which data.
        rng : numpy.random.Generator
            Source of the draws.
        """
        return None

    def derive(
        self, model: Model, dataset: Dataset, draws: Mapping[str, Floats], rng: np.random.Generator
    ) -> dict[str, Floats]:
        """Add quantities that follow from the draws; none by default.

        Parameters
        ----------
        model : Model
            What was fit.
        dataset : Dataset
            To which data.
        draws : mapping of str to array
            Parameters and transformed quantities, of shape (chain, draw, ...).
        rng : numpy.random.Generator
            Source of what is drawn given them.

        Returns
        -------
        dict of str to array
            The draws given, and those added, of the same shape.
        """
        return dict(draws)

    def further(
        self, model: Model, dataset: Dataset, draws: Mapping[str, Floats], rng: np.random.Generator
    ) -> dict[str, dict[str, Any]]:
        """Return what else the family tells of a fit, as plain JSON values by name.

        Parameters
        ----------
        model : Model
            What was fit.
        dataset : Dataset
            To which data.
        draws : mapping of str to array
            As `derive` returns them.
        rng : numpy.random.Generator
            Source of what is drawn given them.
        """
        return {}

    def simulate(self, target: str, rng: np.random.Generator) -> tuple[Dataset, Mapping[str, float]] | None:
        """Draw values from the prior and data from them, for calibration.

        Parameters
        ----------
        target : str
            Name of the posterior, which tells the prior.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        (Dataset, mapping of str to float), optional
            The data, and the values of scalars by the names of quantities or of their elements, such as `mu_g[0]`; with
            `LOG_LIKELIHOOD`, if `log_likelihood` knows it. None where the prior is not proper.
        """
        return None

    def log_likelihood(self, dataset: Dataset, values: Values) -> Floats | None:
        """Evaluate the log density of the data given values, up to a constant; None if the family does not say it.

        Parameters
        ----------
        dataset : Dataset
            The data.
        values : mapping of str to array
            Quantities that are reported, of shape (..., their own).

        Returns
        -------
        array of shape (...), optional
            One for each set of values.
        """
        return None
