"""A reader's own pair: a folder with a Stan program, a PyMC module and the data that both are given."""

import json
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.correctness.reference_draws import truth_from_draws
from bench.correctness.truth import Truth
from bench.families.base import Data, DataError, Dataset, Family, Model, Program, Target, check_file

FILES = ("model.stan", "model.py", "data.json", "pair.toml")
FEWEST_DRAWS = 4
"""Of a chain of reference draws: ArviZ gives no ESS for fewer."""
KNOWN = {
    "names": dict, "axes": dict, "unconstrained": dict, "quantities": list, "headline": list, "reference": str,
    "kind": str,
}  # fmt: skip
"""What `pair.toml` may hold, and its types."""


class Pair(Family):
    """One model in one or two languages on one set of data.

    Parameters
    ----------
    name : str
        Name of the data and of the pair, for ids.
    model : Model
        Its programs.
    data : mapping
        What both are given.
    options : mapping
        What `pair.toml` says.
    folder : Path
        Where files that it names stand.
    """

    def __init__(self, name: str, model: Model, data: Data, options: Mapping[str, Any], folder: Path) -> None:
        """Take what was read."""
        self.name = "pair"
        self.kind = options.get("kind", "")
        self.grids = (name,)
        self.models = {model.name: model}
        quantities, headline = (tuple(options.get(key, ())) for key in ("quantities", "headline"))
        self.targets = {model.target: Target(model.target, quantities, headline)}
        self._dataset = Dataset(name, data)
        reference = folder / options["reference"] if "reference" in options else None
        self._reference = None if reference is None else (reference.name, read_draws(reference))

    @classmethod
    def read(cls, folder: Path) -> "Pair":
        """Read a folder with `model.stan`, `model.py`, `data.json` and, if wanted, `pair.toml`.

        One of the two programs may be missing.

        Raises
        ------
        DataError
            If a file can't be used, reference draws among them; the message says which and why.
        """
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder; give one that holds {', '.join(FILES[:3])}")
        return cls.of([folder / name for name in FILES if (folder / name).exists()], folder.resolve().name)

    @classmethod
    def of(cls, files: Sequence[Path], name: str = "") -> "Pair":
        """Make a pair of files: up to one `.stan` and one `.py`, at most one `.json`, and a `.toml` if wanted.

        Parameters
        ----------
        files : sequence of Path
            In any order; without a `.json` the programs are given no data.
        name : str
            Name of the pair; by default that of the first program's file.

        Raises
        ------
        DataError
            If a file can't be used.
        """
        by_kind: dict[str, Path] = {}
        for path in files:
            if path.suffix in by_kind:
                raise DataError(f"{path} and {by_kind[path.suffix]} are both {path.suffix}; a pair has one of each")
            by_kind[path.suffix] = path
        programs = {kind: Program.read(by_kind[kind]) for kind in (".stan", ".py") if kind in by_kind}
        if not programs:
            raise DataError(
                f"no program among {', '.join(map(str, files)) or 'no files'}; give model.stan and model.py"
            )
        data = read_data(by_kind[".json"]) if ".json" in by_kind else {}
        options = read_options(by_kind[".toml"]) if ".toml" in by_kind else {}
        name = re.sub(r"[^A-Za-z0-9_.]+", "_", name or next(iter(programs.values())).path.stem)
        matched = (options.get(key, {}) for key in ("names", "axes", "unconstrained"))
        model = Model("pair", name, programs.get(".stan"), programs.get(".py"), *matched)
        return cls(name, model, data, options, files[0].parent)

    def datasets(self, grid: str) -> Sequence[Dataset]:
        """Return the one dataset."""
        return (self._dataset,)

    def truth(self, target: str, dataset: Dataset) -> Truth | None:
        """Return what the reference draws say, where `pair.toml` names some."""
        return self._truth

    @cached_property
    def _truth(self) -> Truth | None:
        return None if self._reference is None else truth_from_draws(self._reference[1], self._reference[0])

    def lacking(self, names: Collection[str]) -> str:
        """Say which names in `pair.toml`, or in all of the reference draws, no program has."""
        (target,) = self.targets.values()
        has = f"the programs have {', '.join(names)}"
        if lost := [name for name in dict.fromkeys((*target.quantities, *target.headline)) if name not in names]:
            return f"pair.toml asks for {', '.join(lost)}, and {has}"
        if self._reference is None:
            return ""
        source, draws = self._reference
        known = dict.fromkeys(name.partition("[")[0] for name in draws)
        return "" if known.keys() & set(names) else f"{source} holds draws of {', '.join(known)}, and {has}"


def read_data(path: Path) -> dict[str, Any]:
    """Read a data block from JSON; see `parse_data`."""
    return parse_data(_content(path), path)


def parse_data(content: bytes, path: Path) -> dict[str, Any]:
    """Make a data block of JSON; lists become arrays, of whole numbers where all are.

    Parameters
    ----------
    content : bytes
        The JSON.
    path : Path
        Where it stands, for messages.

    Raises
    ------
    DataError
        If it is not a JSON object of numbers and lists.
    """
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not readable as JSON ({error}); give an object of names and values") from error
    if not isinstance(values, dict):
        raise DataError(f"{path} holds a {type(values).__name__}; give an object of names and values")
    return {name: _array(path, name, value) for name, value in values.items()}


def _content(path: Path) -> bytes:
    check_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read ({error})") from error


def _array(path: Path, name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | list):
        raise DataError(f"{path}: {name} is {json.dumps(value)[:40]}; give a number or a list of numbers")
    if not isinstance(value, list):
        return value
    try:
        array = np.array(value)
    except ValueError:
        raise DataError(f"{path}: the rows of {name} differ in length; give rows of one length") from None
    if array.size and array.dtype.kind not in "if":
        raise DataError(f"{path}: {name} holds something that is not a number; give numbers alone")
    array.flags.writeable = False
    return array


def read_options(path: Path) -> dict[str, Any]:
    """Read `pair.toml`.

    Raises
    ------
    DataError
        If it can't be read or says something unknown.
    """
    check_file(path)
    try:
        options = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable as TOML ({error})") from error
    unknown = [name for name in options if name not in KNOWN]
    if unknown:
        raise DataError(f"{path}: {', '.join(unknown)} is not known; it may hold {', '.join(KNOWN)}")
    for name, value in options.items():
        if not isinstance(value, KNOWN[name]):
            raise DataError(f"{path}: {name} is {value!r}; give a {'table' if KNOWN[name] is dict else 'list or text'}")
    return options


def read_draws(path: Path) -> dict[str, Floats]:
    """Read reference draws; see `parse_draws`."""
    return parse_draws(_content(path), path)


def parse_draws(content: bytes, path: Path) -> dict[str, Floats]:
    """Make reference draws of a list of chains, each an object of names and draws, as posteriordb keeps them.

    Indices count from 1 there, as in `theta[1]`; here they count from 0.

    Parameters
    ----------
    content : bytes
        The JSON.
    path : Path
        Where it stands, for messages.

    Raises
    ------
    DataError
        If it can't be read, or a draw is missing or not finite.
    """
    try:
        chains = json.loads(content)
        columns = {name: [np.array(chain[name], dtype=np.float64) for chain in chains] for name in chains[0]}
        lacks = [f"chain {i} lacks {name}" for i, chain in enumerate(chains, 1) for one in chains for name in one
                 if name not in chain]  # fmt: skip
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        lacks, columns = [f"{type(error).__name__}: {error}"], {}
    if lacks or not columns:
        raise DataError(
            f"{path} holds no reference draws ({lacks[0] if lacks else 'no names'}); give a list of chains, each an "
            'object such as {"mu": [0.1, 0.2], "theta[1]": [1.0, 1.1]}'
        )
    length = np.shape(next(iter(columns.values()))[0])
    for name, draws in columns.items():
        for i, chain in enumerate(draws, 1):
            if chain.ndim != 1 or chain.shape != length:
                raise DataError(
                    f"{path}: {name} has draws of shape {chain.shape} in chain {i}, and the first chain has {length}; "
                    "give as many numbers of every name in every chain"
                )
            if not np.isfinite(chain).all():
                at = int(np.argmin(np.isfinite(chain)))
                raise DataError(
                    f"{path}: draw {at + 1} of {name} in chain {i} is {chain[at]}; give numbers that are finite"
                )
    if length[0] < FEWEST_DRAWS:
        raise DataError(f"{path}: a chain has {length[0]} draws, too few for an ESS; give {FEWEST_DRAWS} or more")
    return {_from_zero(name): np.stack(draws) for name, draws in columns.items()}


def _from_zero(name: str) -> str:
    return re.sub(r"\[([\d,]+)\]$", lambda m: f"[{','.join(str(int(i) - 1) for i in m[1].split(','))}]", name)
