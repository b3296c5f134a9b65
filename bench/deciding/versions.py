"""`hierbench versions`: the same fits in environments with other versions, side by side."""

import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import distribution, requires
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from bench.backends import BACKENDS
from bench.families.normal_means.data import GRIDS
from bench.families.registry import FAMILIES
from bench.files import write
from bench.records import Record, RunError, new_run_id, read_records, read_run
from bench.report.compare import compare_runs
from bench.report.comparison import Comparison
from bench.report.history_page import History, write_history
from bench.report.matching import CompareError
from bench.running.run import UsageError, choose
from bench.settings import OPTIONS, Settings

ROOT = Path(__file__).parents[2]
CHECKOUT = (ROOT / "pyproject.toml").exists()
VERSIONS = (ROOT if CHECKOUT else Path()) / "reports" / "versions"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.+!-]*)")
MEASURED = ("wall_seconds", "ess_per_second")
KINDS = {str: "text", int: "a whole number", float: "a number with a point, as 0.9"}
"""What to call the types of what a matrix says."""


@dataclass(frozen=True)
class Combination:
    """An environment to try.

    Attributes
    ----------
    packages : tuple of str
        What is pinned, such as `name==version`; all else is the newest that goes with it.
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
        """Its pins, as they are typed."""
        return "+".join(self.packages) + (f" on Python {self.python}" if self.python else "")

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", self.name)

    @property
    def kind(self) -> tuple[str, ...]:
        """What it has in common with those it is compared with: the names of its packages and its backends."""
        return (*(package.split("==")[0] for package in self.packages), *self.backends)


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
    """

    combinations: tuple[Combination, ...]
    families: str = "normal_means"
    grid: str = "smoke"
    replicates: int = 5
    models: str | None = None
    overrides: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what can't be run."""
        if self.grid not in GRIDS:
            raise UsageError(f"no grid {self.grid!r}; the grids are {', '.join(GRIDS)}")
        if self.replicates < 1:
            raise UsageError(f"--replicates is {self.replicates}; give 1 or more, 5 for intervals")
        families = choose("family", self.families, FAMILIES)
        choose("model", self.models, {name: model for family in families for name, model in family.models.items()})
        try:
            Settings().override(**self.overrides)
        except ValueError as error:
            raise UsageError(str(error)) from error
        names = [combination.name for combination in self.combinations]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"{twice} is there twice; name each combination once")

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
    """Read `--try`: a TOML file, or pins separated by commas, with `+` between those of one environment.

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
        pins = [part.strip() for part in tried.split(",") if part.strip()]
        if not pins:
            raise UsageError("--try is empty; give e.g. --try pymc==5.28.5,pymc==6.4.0")
        values = {"combinations": [{"packages": [pin.strip() for pin in part.split("+")]} for part in pins]}
    return Matrix.from_dict({**values, **{name: value for name, value in rest.items() if value is not None}})


def _combination(table: Any) -> Combination:
    packages = table.get("packages") if isinstance(table, dict) else None
    if not isinstance(packages, list) or not packages:
        raise UsageError(f'{table!r} names no packages; give e.g. packages = ["pymc==6.4.0"]')
    if unknown := set(table) - {"packages", "backends", "python"}:
        raise UsageError(f"no setting {sorted(unknown)[0]!r} of a combination; there are: packages, backends, python")
    names = []
    for package in packages:
        found = PIN.fullmatch(str(package))
        if found is None:
            raise UsageError(f"{package!r} is no pin; give name==version, e.g. pymc==6.4.0")
        names.append(found[1].lower().replace("_", "-"))
        if names[-1] not in _known():
            raise UsageError(f"no backend depends on {found[1]!r}; the packages are: {', '.join(_known())}")
    chosen = table.get("backends")
    if chosen is None:
        chosen = [name for name in names if name in BACKENDS] or [name for name, b in BACKENDS.items() if b.default]
    choose("backend", ",".join(chosen), BACKENDS)
    python = table.get("python")
    if python is not None and python not in PYTHONS:
        raise UsageError(f"python is {python!r}; give one of {', '.join(PYTHONS)}")
    return Combination(tuple(str(package) for package in packages), tuple(chosen), python)


def _known() -> list[str]:
    """Name the packages whose version can matter to a backend."""
    own = {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in _requirements()}
    return sorted({*own, "pytensor", "numba", "llvmlite", "httpstan", "arviz-stats", "arviz-base", "xarray"})


def _requirements() -> list[str]:
    """Return what this project needs, but for its tests."""
    return [line for line in requires("hierbench") or [] if not re.search(r"extra\s*==\s*.test", line)]


def try_versions(matrix: Matrix, folder: Path, say: Callable[[str], None]) -> History:
    """Make an environment for each combination, fit in all of them in turn, and compare.

    Every replicate is made in all environments before the next one is, so that what the machine does hits all alike.
    What is there already, environments and fits, is not made again.

    Parameters
    ----------
    matrix : Matrix
        What to try.
    folder : Path
        Where the records and pages go; made if it is missing.
    say : callable
        Prints a line of progress.

    Raises
    ------
    RunError
        If no environment could be made or none gave records.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "versions.json", json.dumps(matrix.to_dict(), indent=1) + "\n")
    notes, ready = [], {}
    for number, combination in enumerate(matrix.combinations, 1):
        say(f"[{number}/{len(matrix.combinations)}] environment {combination.name}")
        try:
            ready[combination] = make_environment(combination, say)
        except NotMadeError as error:
            notes.append(f"{combination.name}: no environment: {error}")
            say(f"    {error}")
    for replicates in range(1, matrix.replicates + 1):
        for combination, python in list(ready.items()):
            say(f"fits {replicates} of {matrix.replicates}: {combination.name}")
            if problem := _fit(matrix, combination, python, folder / combination.folder, replicates):
                notes.append(f"{combination.name}: {problem}")
                say(f"    {problem}")
                del ready[combination]
    return report(matrix, folder, notes)


def report(matrix: Matrix, folder: Path, notes: Sequence[str] = ()) -> History:
    """Compare what the environments measured, and write the page and Markdown into the folder.

    Parameters
    ----------
    matrix : Matrix
        What was tried.
    folder : Path
        Where the records are and the pages go.
    notes : sequence of str
        What went wrong.

    Raises
    ------
    RunError
        If there are no records.
    """
    records = {
        combination: found for combination in matrix.combinations if (found := _records(folder / combination.folder))
    }
    if not records:
        raise RunError("no environment gave a fit:\n  " + "\n  ".join(notes or ["none was tried"]))
    comparisons: list[tuple[str, Comparison]] = []
    said = list(notes)
    for a, b in _pairs(list(records)):
        try:
            comparisons.append((f"{a.name} (A) to {b.name} (B)", compare_runs(records[a], records[b], anyway=True)))
        except CompareError as error:
            said.append(f"{a.name} and {b.name}: {error}")
    result = History.of(
        f"Versions: {', '.join(combination.name for combination in records)}",
        list(records.values()),
        MEASURED,
        "version",
        comparisons=tuple(comparisons),
        notes=tuple(said),
        how=_how(matrix, [record for found in records.values() for record in found]),
    )
    write_history(folder, result, "versions")
    return result


def _how(matrix: Matrix, records: Sequence[Record]) -> str:
    """Say what was measured, and on what."""
    target = {f"{record.settings.get('target_accept')}" for record in records}
    places = {name: {str(r.environment.get(name, "unknown")) for r in records} for name in ("python", "cpu", "cores")}
    said = {name: " and ".join(sorted(found)) for name, found in places.items()}
    return (
        f"{matrix.families}, grid {matrix.grid}, {matrix.replicates} replicates, each made in all environments before "
        f"the next; target accept {' and '.join(sorted(target))}. Python {said['python']} on "
        f"{said['cpu']}, {said['cores']} cores."
    )


def _pairs(combinations: Sequence[Combination]) -> Iterator[tuple[Combination, Combination]]:
    """Pair every combination with the first of its kind."""
    first: dict[tuple[str, ...], Combination] = {}
    for combination in combinations:
        if combination.kind in first:
            yield first[combination.kind], combination
        else:
            first[combination.kind] = combination


class NotMadeError(Exception):
    """An environment that can't be made; the message says why."""


def make_environment(combination: Combination, say: Callable[[str], None]) -> Path:
    """Make, or find, a virtual environment with a combination in it, and return its Python.

    Parameters
    ----------
    combination : Combination
        What goes into it.
    say : callable
        Prints a line of progress.

    Raises
    ------
    NotMadeError
        If no Python that is here can have these versions.
    """
    reasons = []
    for version, interpreter in _interpreters(combination.python):
        folder = _environments() / _key(combination, version)
        python = folder / "bin" / "python"
        if (folder / "ready").exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        say(f"    Python {version}: installing")
        made = _run([interpreter, "-m", "venv", str(folder)])
        if made.returncode == 0:
            extra = "[pystan]" if "pystan" in combination.backends else ""
            with TemporaryDirectory() as place:
                itself = ["-e", f"{ROOT}{extra}"] if CHECKOUT else [f"{_wheel(Path(place))}{extra}"]
                made = _run([str(python), "-m", "pip", "install", "-q", *itself, *combination.packages])
        if made.returncode == 0:
            (folder / "ready").touch()
            return python
        shutil.rmtree(folder, ignore_errors=True)
        reasons.append(f"Python {version}: {_why(made.stdout)}")
    wanted = f"Python {combination.python}" if combination.python else f"any of Python {', '.join(PYTHONS)}"
    raise NotMadeError("; ".join(reasons) or f"{wanted} is not here; install it, or name another")


def _interpreters(wanted: str | None) -> Iterator[tuple[str, str]]:
    """Yield version and path of the Pythons that are here, this process's own first."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for version in [wanted] if wanted else [own, *(v for v in PYTHONS if v != own)]:
        root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
        places = [sys.executable] if version == own else []
        places += [found] if (found := shutil.which(f"python{version}")) else []
        places += [str(folder / "bin" / "python3") for folder in sorted(root.glob(f"{version}.*"), reverse=True)]
        for place in places:
            if _run([place, "-c", "import ensurepip, venv"]).returncode == 0:
                yield version, place
                break


def _key(combination: Combination, version: str) -> str:
    """Name an environment by all that goes into it."""
    parts = [version, *combination.packages, *combination.backends, *_requirements(), str(ROOT), _installed_at()]
    return f"{combination.folder}-py{version}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:8]}"


def _installed_at() -> str:
    """Say when this project was installed from a wheel; a checkout is used as it is."""
    return "" if CHECKOUT else str(Path(__file__).stat().st_mtime_ns)


def _wheel(folder: Path) -> Path:
    """Pack this project, as it is installed, into a wheel again.

    Parameters
    ----------
    folder : Path
        Where the wheel goes.

    Notes
    -----
    A wheel is a ZIP file of what is installed (PEP 427), without what pip adds and the commands it makes.
    """
    here = distribution("hierbench")
    path = folder / f"hierbench-{here.version}-py3-none-any.whl"
    added = ("INSTALLER", "REQUESTED", "direct_url.json")
    with zipfile.ZipFile(path, "w") as archive:
        for file in here.files or []:
            if ".." not in file.parts and "__pycache__" not in file.parts and file.name not in added:
                archive.write(str(file.locate()), str(file))
    return path


def _environments() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hierbench" / "environments"


def _fit(matrix: Matrix, combination: Combination, python: Path, folder: Path, replicates: int) -> str | None:
    """Run the benchmark up to a number of replicates; return what went wrong."""
    begun = [int(read_run(path.parent)["asked"]["replicates"]) for path in folder.glob("*/run.json")]
    if replicates < max(begun, default=0):
        return None
    command = [
        *(str(python), "-P", "-m", "bench", "-k", "test_sample", "-q"),
        *("--family", matrix.families, "--grid", matrix.grid, "--backend", ",".join(combination.backends)),
        *("--replicates", str(replicates)),
        *("--runs", str(folder.resolve())),
    ]
    if matrix.models is not None:
        command += ["--model", matrix.models]
    for option in OPTIONS:
        if option.name in matrix.overrides:
            command += [option.flag, str(matrix.overrides[option.name])]
    if begun:
        command += ["--resume"]
    done = _run(command)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "log.txt", done.stdout)
    if done.returncode in (0, 1) and any(folder.glob("*/records.jsonl")):  # 1: some fit failed, and its record says why
        return None
    return f"pytest ended with {done.returncode}: {_why(done.stdout)} (all of it: {folder / 'log.txt'})"


def _records(folder: Path) -> list[Record]:
    return [record for path in sorted(folder.glob("*/records.jsonl")) for record in read_records(path.parent)]


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Have this process killed when its parent is, however that ends; what a killed run leaves is resumed."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    hidden = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        return subprocess.run(
            command,
            cwd=gettempdir(),  # the current folder may be deleted, or hold modules of the same names
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=_end_with_parent,
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, str(error))


def _why(output: str) -> str:
    """Return the line of an output that says most: the last error, else the last line."""
    told = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("[notice]")]
    errors = [line for line in told if "error" in line.lower()]
    return (errors or told or ["it said nothing"])[-1][:300]


def find_folder(name: str | None, root: Path) -> Path:
    """Return the folder of an earlier comparison by its id or path, or, without a name, that of a new one.

    Parameters
    ----------
    name : str, optional
        Id, path, or `latest`.
    root : Path
        Folder of all comparisons.

    Raises
    ------
    RunError
        If there is none.
    """
    if name is None:
        return root / new_run_id()
    known = sorted(path.parent for path in root.glob("*/versions.json"))
    for folder in (*known[-1:], root / name, Path(name)) if name == "latest" else (root / name, Path(name)):
        if (folder / "versions.json").exists():
            return folder
    newest = ", ".join(folder.name for folder in known[-5:]) or "none yet"
    raise RunError(f"no comparison of versions {name!r}; the newest are: {newest}")


def read_folder(folder: Path) -> Matrix:
    """Read what an earlier comparison tried."""
    try:
        values = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'versions.json'} can't be read: {error}") from error
    return Matrix.from_dict(values)
