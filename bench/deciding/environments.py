"""Virtual environments with the versions that are tried, made once and kept."""

import ctypes
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from types import MappingProxyType
from typing import IO

from packaging.requirements import Requirement

from bench.backends import BACKENDS
from bench.deciding.matrix import PYTHONS, Combination, requirements
from bench.deciding.requirement import place, requirement
from bench.files import CHECKOUT, ROOT, write
from bench.origin import COMMITS, commit_of, git

MADE = re.compile(r"(^|/)(build|[^/]*\.egg-info|__pycache__)/")
"""Files that pip leaves in a checkout which it installs."""


class NotMadeError(Exception):
    """An environment that can't be made; the message says why."""


@dataclass(frozen=True)
class Environment:
    """Where a combination is run.

    Attributes
    ----------
    python : Path
        The Python of a virtual environment.
    variables : mapping of str to str
        Environment variables that are set for it.
    """

    python: Path
    variables: Mapping[str, str] = field(default_factory=dict)


def make_environments(
    combinations: Sequence[Combination], say: Callable[[str], None]
) -> tuple[dict[Combination, Environment], list[str]]:
    """Make an environment for each combination; return those that could be made, and notes on the others.

    Parameters
    ----------
    combinations : sequence of Combination
        What goes into each.
    say : callable
        Prints a line of progress.
    """
    ready, notes = {}, []
    for number, combination in enumerate(combinations, 1):
        say(f"[{number}/{len(combinations)}] environment {combination.name}")
        try:
            ready[combination] = make_environment(combination, say)
        except NotMadeError as error:
            notes.append(f"{combination.name}: no environment: {error}")
            say(f"    {error}")
    return ready, notes


def make_environment(combination: Combination, say: Callable[[str], None]) -> Environment:
    """Make, or find, what a combination runs in.

    Parameters
    ----------
    combination : Combination
        What goes into it.
    say : callable
        Prints a line of progress.

    Raises
    ------
    NotMadeError
        If no Python that is here can have these versions, or a CmdStan can't be had.
    """
    every = [requirement(package) for package in combination.packages]
    wanted = [fixed(each) for each in every if each.name != "cmdstan"]
    reasons = []
    for version, interpreter in _interpreters(combination.python):
        folder = _cache() / "environments" / _key(combination, wanted, version)
        python = folder / "bin" / "python"
        made = subprocess.CompletedProcess[str]("", 0, "")
        with _locked(folder):
            if not (folder / COMMITS).exists():
                shutil.rmtree(folder, ignore_errors=True)
                say(f"    Python {version}: installing")
                made = _install(combination, wanted, interpreter, folder)
            if made.returncode:
                shutil.rmtree(folder, ignore_errors=True)
        if made.returncode == 0:
            release = next((cmdstan(each, python, say) for each in every if each.name == "cmdstan"), None)
            return Environment(python, {} if release is None else {"CMDSTAN": str(release)})
        reasons.append(f"Python {version}: {why(made.stdout)}")
    versions = f"Python {combination.python}" if combination.python else f"any of Python {', '.join(PYTHONS)}"
    raise NotMadeError("; ".join(reasons) or f"{versions} is not here; install it, or name another")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Have one process alone make an environment; others that want it wait, and find it made."""
    locks = folder.parent.parent / "locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        lock = (locks / folder.name).open("w")
    except OSError as error:
        raise NotMadeError(f"{locks} can't be written ({error}); name another: XDG_CACHE_HOME=FOLDER") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(
    combination: Combination, wanted: Sequence[Requirement], interpreter: str, folder: Path
) -> "subprocess.CompletedProcess[str]":
    """Make a virtual environment; its file of commits is written last, and says that it is whole."""
    made = run([interpreter, "-m", "venv", str(folder)])
    if made.returncode == 0:
        extras = sorted({BACKENDS[name].extra for name in combination.backends} - {""})
        extra = f"[{','.join(extras)}]" if extras else ""
        checkouts = {each.name: path for each in wanted if (path := place(each)) and path.is_dir()}
        commits = {name: commit_of(path) for name, path in checkouts.items()}
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
        with TemporaryDirectory() as packed:
            itself = ["-e", f"{ROOT}{extra}"] if CHECKOUT else [f"{_wheel(Path(packed))}{extra}"]
            made = run([*pip, *itself, *map(_for_pip, wanted)])
        if made.returncode == 0:
            write(folder / COMMITS, json.dumps(commits) + "\n")
    return made


def _for_pip(wanted: Requirement) -> str:
    """Write a requirement so that every pip reads it: some refuse a name before the URL of a repository."""
    return wanted.url if wanted.url and wanted.url.startswith("git+") else str(wanted)


def cmdstan(wanted: Requirement, python: Path, say: Callable[[str], None]) -> Path:
    """Return the folder of a CmdStan; a release is installed by CmdStanPy, once.

    Parameters
    ----------
    wanted : Requirement
        `cmdstan==2.38.0`, or the folder of one that was built.
    python : Path
        That of an environment with CmdStanPy.
    say : callable
        Prints a line of progress.

    Raises
    ------
    NotMadeError
        If it is not there and can't be installed.
    """
    if folder := place(wanted):
        if not (folder / "bin" / "stanc").exists():
            raise NotMadeError(
                f"{folder} holds no CmdStan that is built; type: make -C {shlex.quote(str(folder))} build"
            )
        return folder
    version = str(wanted.specifier).removeprefix("==")
    releases = _cache() / "cmdstan-releases"
    folder = releases / f"cmdstan-{version}"
    last = folder / "examples" / "bernoulli" / "bernoulli"  # what CmdStanPy builds last
    if not last.exists():
        say(f"    CmdStan {version}: installing, which takes minutes")
        releases.mkdir(parents=True, exist_ok=True)
        made = run([str(python), "-m", "cmdstanpy.install_cmdstan", "--version", version, "--dir", str(releases)])
        if not last.exists():
            raise NotMadeError(f"CmdStan {version} could not be installed: {why(made.stdout)}")
    return folder


def fixed(wanted: Requirement) -> Requirement:
    """Return a requirement whose branch or tag of a git repository is the commit that it names now.

    Parameters
    ----------
    wanted : Requirement
        Any; one that names no branch is returned as it is, and so is one that git can't look up, of which pip says why.
    """
    found = re.fullmatch(r"git\+(.+?)(?:@([^@/:#]+(?:/[^@:#]+)*))?(#.*)?", wanted.url or "")
    if found is None or re.fullmatch("[0-9a-f]{40}", found[2] or ""):
        return wanted
    refs = [f"refs/heads/{found[2]}", f"refs/tags/{found[2]}"] if found[2] else ["HEAD"]
    asked = run(["git", "ls-remote", "--", found[1], *refs], {"GIT_TERMINAL_PROMPT": "0"})
    commit = re.search("^[0-9a-f]{40}", asked.stdout, re.MULTILINE) if asked.returncode == 0 else None
    if commit is None:
        return wanted
    return Requirement(f"{wanted.name} @ git+{found[1]}@{commit[0]}{found[3] or ''}")


def _interpreters(wanted: str | None) -> Iterator[tuple[str, str]]:
    """Yield version and path of the Pythons that are here, this process's own first."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for version in [wanted] if wanted else [own, *(v for v in PYTHONS if v != own)]:
        root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
        places = [sys.executable] if version == own else []
        places += [found] if (found := shutil.which(f"python{version}")) else []
        places += [str(folder / "bin" / "python3") for folder in sorted(root.glob(f"{version}.*"), reverse=True)]
        for path in places:
            if run([path, "-c", "import ensurepip, venv"]).returncode == 0:
                yield version, path
                break


def _key(combination: Combination, wanted: Sequence[Requirement], version: str) -> str:
    """Name an environment by all that goes into it."""
    parts = [version, *map(str, wanted), *map(_content, wanted), *combination.backends, *requirements()]
    name = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(each.name + str(each.specifier) for each in wanted)) or "cmdstan"
    digest = hashlib.sha256("|".join([*parts, str(ROOT), _installed_at()]).encode()).hexdigest()[:8]
    return f"{name[:80]}-py{version}-{digest}"


def _content(wanted: Requirement) -> str:
    """Say what a file or folder holds, so that another content makes another environment."""
    path = place(wanted)
    if path is None or not path.exists():
        return ""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        listed = git(path, "ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = [str(file.relative_to(path)) for file in path.rglob("*")]
    files = [path / name for name in listed if name and not MADE.search(name)]
    stats = [(str(file), file.stat()) for file in files if file.is_file()]
    return repr(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


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


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hierbench"


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Have this process killed when its parent is, however that ends; what a killed run leaves is resumed."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run(
    command: Sequence[str], variables: Mapping[str, str] = MappingProxyType({})
) -> "subprocess.CompletedProcess[str]":
    """Run a command without what in this process is set for Python; a program that is not there ends with 127.

    Parameters
    ----------
    command : sequence of str
        Its output and errors are kept together.
    variables : mapping of str to str
        Environment variables to set.
    """
    try:
        process = start(command, variables, subprocess.STDOUT)
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, str(error))
    try:
        output, _ = process.communicate()
    finally:
        process.kill()
    return subprocess.CompletedProcess(command, process.returncode, output)


def start(command: Sequence[str], variables: Mapping[str, str], errors: int | IO[bytes]) -> "subprocess.Popen[str]":
    """Start a command as `run` does, with a pipe to it and one from it.

    Parameters
    ----------
    command : sequence of str
        It ends when this process does, however that ends.
    variables : mapping of str to str
        Environment variables to set.
    errors : int or file
        Where its errors go.

    Raises
    ------
    OSError
        If the program is not there.
    """
    hidden = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    return subprocess.Popen(
        command,
        cwd=gettempdir(),  # the current folder may be deleted, or hold modules of the same names
        env={name: value for name, value in os.environ.items() if name not in hidden} | dict(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        errors="replace",
        preexec_fn=_end_with_parent,
    )


def why(output: str) -> str:
    """Return the line of an output that says most: the last error, else the last line.

    Parameters
    ----------
    output : str
        Of a command.
    """
    told = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("[notice]")]
    errors = [line for line in told if "error" in line.lower()]
    return (errors or told or ["it said nothing"])[-1][:300]
