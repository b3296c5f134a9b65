"""Virtual environments with the versions that are tried, made once and kept."""

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from bench.backends import BACKENDS
from bench.deciding.matrix import PYTHONS, Combination, requirements

ROOT = Path(__file__).parents[2]
CHECKOUT = (ROOT / "pyproject.toml").exists()


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
        made = run([interpreter, "-m", "venv", str(folder)])
        if made.returncode == 0:
            extras = sorted({BACKENDS[name].extra for name in combination.backends} - {""})
            extra = f"[{','.join(extras)}]" if extras else ""
            with TemporaryDirectory() as place:
                itself = ["-e", f"{ROOT}{extra}"] if CHECKOUT else [f"{_wheel(Path(place))}{extra}"]
                made = run([str(python), "-m", "pip", "install", "-q", *itself, *combination.packages])
        if made.returncode == 0:
            (folder / "ready").touch()
            return python
        shutil.rmtree(folder, ignore_errors=True)
        reasons.append(f"Python {version}: {why(made.stdout)}")
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
            if run([place, "-c", "import ensurepip, venv"]).returncode == 0:
                yield version, place
                break


def _key(combination: Combination, version: str) -> str:
    """Name an environment by all that goes into it."""
    parts = [version, *combination.packages, *combination.backends, *requirements(), str(ROOT), _installed_at()]
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


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Have this process killed when its parent is, however that ends; what a killed run leaves is resumed."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command without what in this process is set for Python; a program that is not there ends with 127.

    Parameters
    ----------
    command : sequence of str
        Its output and errors are kept together.
    """
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
