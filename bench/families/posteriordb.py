"""The posteriors of a checkout of posteriordb that have data and programs in both languages."""

import json
import re
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from bench.correctness.reference_draws import truth_from_draws
from bench.correctness.truth import Truth
from bench.families.base import MAX_BYTES, DataError, Dataset, Family, Model, Program, Target, check_file
from bench.families.pair import parse_data, parse_draws

NAMES = Path(__file__).parent / "names.toml"
"""What PyMC programs of posteriordb name otherwise than the Stan programs do, by model."""
KINDS = Path(__file__).parent / "kinds.toml"
"""By which words of posteriordb a model is of which kind."""
LIMIT_SECONDS, LIMIT_GIB = 120.0, 6.0
"""Default limits of a build or a fit: some programs there never end, and some eat all memory."""
SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""Names that may stand in ids, in paths and in names of files."""


class ZippedData(Mapping[str, Any]):
    """A data block in a zip, read when it is asked for; only the last ones that were read are kept.

    Parameters
    ----------
    path : Path
        A zip that holds one file in JSON.
    """

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self.path = path

    def __getitem__(self, name: str) -> Any:
        """Return a value."""
        return _read_data(self.path)[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(_read_data(self.path))

    def __len__(self) -> int:
        """Count the names."""
        return len(_read_data(self.path))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a worker be given the values, so that it need not read them while its build is timed."""
        return dict, (_read_data(self.path),)


@lru_cache(maxsize=2)
def _read_data(path: Path) -> dict[str, Any]:
    return parse_data(unzipped(path), path)


class ZippedDataset(Dataset):
    """Data in a zip, told apart by its bytes: that takes a tenth of the time in which they are read as JSON."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the bytes in the zip."""
        data: Any = self.data
        return sha256(unzipped(data.path)).hexdigest()


class Entry(Family):
    """One posterior: a model on its data, with reference draws where there are some.

    Parameters
    ----------
    posterior : str
        Its name in posteriordb.
    model : Model
        Its programs.
    dataset : Dataset
        Its data.
    draws : Path, optional
        Zipped reference draws.
    kind : str
        What kind of model it is; see `kind_of`.

    Attributes
    ----------
    posterior, model, dataset, draws, kind
        As given.
    """

    def __init__(self, posterior: str, model: Model, dataset: Dataset, draws: Path | None, kind: str) -> None:
        """Take what was found."""
        self.name = "posteriordb"
        self.grids = (posterior,)
        self.models = {model.name: model}
        self.targets = {posterior: Target(posterior)}
        self.posterior, self.model, self.dataset, self.draws, self.kind = posterior, model, dataset, draws, kind

    def datasets(self, grid: str) -> Sequence[Dataset]:
        """Return the one dataset."""
        return (self.dataset,)

    def truth(self, target: str, dataset: Dataset) -> Truth | None:
        """Return what the reference draws say, which are read when this is first asked for."""
        return self._truth

    @cached_property
    def _truth(self) -> Truth | None:
        if self.draws is None:
            return None
        return truth_from_draws(parse_draws(unzipped(self.draws), self.draws), self.draws.name)


@dataclass(frozen=True)
class Checkout:
    """What a checkout of posteriordb holds.

    Attributes
    ----------
    entries : dict of str to Entry
        Posteriors that can be compared, by name.
    left_out : dict of str to str
        Posteriors that can't, and why.
    """

    entries: dict[str, Entry]
    left_out: dict[str, str]

    @classmethod
    def read(cls, path: Path, names: str | None = None) -> "Checkout":
        """Find the posteriors of a checkout; programs are read, data are digested, and nothing is executed.

        Parameters
        ----------
        path : Path
            The folder `posterior_database`, or the one that holds it.
        names : str, optional
            Names of posteriors, separated by commas; None takes all.

        Raises
        ------
        DataError
            If it is no posteriordb, a name is unknown, or no posterior is left.
        """
        root = next((each for each in (path / "posterior_database", path) if (each / "posteriors").is_dir()), None)
        if root is None:
            raise DataError(f"{path} is no posteriordb; give the folder that holds posterior_database/posteriors")
        known = sorted(each.stem for each in (root / "posteriors").glob("*.json"))
        entries, left_out = {}, {}
        for name in known if names is None else _chosen(names, known):
            try:
                entries[name] = _entry(root, name)
            except DataError as error:
                left_out[name] = str(error)
        if not entries:
            why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items()) or "it has no posteriors"
            raise DataError(f"{path} has nothing to compare: {why}")
        return cls(entries, left_out)

    def notes(self) -> list[str]:
        """Say what was left out and why, and how many posteriors have no reference draws, a line each."""
        of: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            of.setdefault(reason, []).append(name)
        lines = [f"without {', '.join(names)}: {reason}" for reason, names in of.items()]
        unknown = sum(entry.draws is None for entry in self.entries.values())
        if unknown:
            lines.append(
                f"{unknown} of {len(self.entries)} posteriors have no reference draws: there, engines are held against "
                "each other"
            )
        return lines


def unzipped(path: Path) -> bytes:
    """Return the one file of a zip, unpacked in memory.

    Parameters
    ----------
    path : Path
        The zip.

    Raises
    ------
    DataError
        If it is broken, or holds something else than one file of up to `MAX_BYTES`.
    """
    check_file(path)
    try:
        with ZipFile(path) as archive:
            files = archive.infolist()
            if len(files) != 1:
                raise DataError(f"{path} holds {len(files)} files; a zip of posteriordb holds one")
            with archive.open(files[0]) as file:
                content = file.read(MAX_BYTES + 1)
    except (BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is a broken zip ({error}); check it out anew") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path} holds more than {MAX_BYTES / 2**30:.2g} GiB")
    return content


@cache
def known_names() -> dict[str, Any]:
    """Return what `names.toml` says: for each model, `names`, `axes` and `unconstrained` as in `pair.toml`."""
    return tomllib.loads(NAMES.read_text(encoding="utf-8"))


def _chosen(names: str, known: Sequence[str]) -> list[str]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise DataError(f"--posterior is {names!r}; give names, separated by commas, e.g. {known[0] if known else ''}")
    for name in wanted:
        if name not in known:
            like = ", ".join(get_close_matches(name, known, cutoff=0.4)) or ", ".join(known[:3])
            raise DataError(f"no posterior {name}; there are {len(known)}, among them {like}")
    return list(dict.fromkeys(wanted))


def _entry(root: Path, posterior: str) -> Entry:
    """Read what belongs to one posterior."""
    index = {**_object(root / "posteriors" / f"{posterior}.json"), "file": posterior}
    posterior, model, data = (_name(index, key) for key in ("file", "model_name", "data_name"))
    stan, pymc = root / "models" / "stan" / f"{model}.stan", root / "models" / "pymc" / f"{model}.py"
    for path, language in ((stan, "Stan"), (pymc, "PyMC")):
        if not path.exists():
            raise DataError(f"no {language} program")
    said = known_names().get(model, {})
    file = root / "data" / "data" / f"{data}.json.zip"
    if not file.exists():
        raise DataError(f"no data ({file.relative_to(root)}: no such file)")
    dataset = ZippedDataset(posterior.removesuffix(f"-{model}"), ZippedData(file))
    dataset.digest  # noqa: B018, a broken zip is told now
    reference = index.get("reference_posterior_name")
    draws = root / "reference_posteriors" / "draws" / "draws" / f"{reference}.json.zip"
    matched = (said.get(key, {}) for key in ("names", "axes", "unconstrained"))
    return Entry(
        posterior,
        Model(model, posterior, Program.read(stan), Program.read(pymc), *matched),
        dataset,
        draws if isinstance(reference, str) and draws.is_file() else None,
        kind_of([posterior, *_words(index), *_words(_information(root, model))]),
    )


def kind_of(words: Sequence[str]) -> str:
    """Return the kind of a model.

    Parameters
    ----------
    words : sequence of str
        What posteriordb says of it.

    Examples
    --------
    >>> kind_of(["radon_mn-radon_pooled", "A pooled linear model"]), kind_of(["GLMM"]), kind_of([])
    ('regression', 'hierarchical', 'other')
    """
    said = re.sub(r"[\W_]+", " ", " ".join(words)).lower()
    return next((kind for kind, signs in _kinds().items() if any(sign in said for sign in signs)), "other")


@cache
def _kinds() -> dict[str, list[str]]:
    return tomllib.loads(KINDS.read_text(encoding="utf-8"))


def _information(root: Path, model: str) -> Mapping[str, Any]:
    """Return what posteriordb says of a model; nothing where that can't be read, for it decides no number."""
    try:
        return _object(root / "models" / "info" / f"{model}.info.json")
    except DataError:
        return {}


def _words(said: Mapping[str, Any]) -> list[str]:
    """Return keywords and title, in whatever form they are given."""
    return [str(said[key]) for key in ("keywords", "title") if said.get(key)]


def _object(path: Path) -> dict[str, Any]:
    check_file(path)
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not readable as JSON ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no JSON object")
    return found


def _name(index: Mapping[str, Any], key: str) -> str:
    value = index.get(key)
    if not isinstance(value, str) or not SAFE.fullmatch(value):
        raise DataError(f"{key} is {value!r}; a name of letters, digits, -, _ and . is needed")
    return value
