"""What `--try` names: any requirement of pip, and CmdStan, each written as PEP 508 says."""

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote, urlparse

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, canonicalize_name
from packaging.utils import parse_sdist_filename as sdist
from packaging.utils import parse_wheel_filename as wheel

from bench.running.run import UsageError

EXAMPLES = "nutpie==0.16.11, a wheel, a checkout, git+https://…@commit, cmdstan==2.38.0 or cmdstan=FOLDER"
BETWEEN = re.compile(r",(?!\s*[<>=!~])(?![^\[]*\])")
"""What stands between two environments: no comma of `pymc>=5,<6` or `package[one,two]`."""
BESIDE = re.compile(r"(?<!\bgit)\+")
"""What stands between the packages of one environment: no `+` of `git+https`."""


def split(tried: str) -> list[list[str]]:
    """Return the requirements of each environment that `--try` names.

    Parameters
    ----------
    tried : str
        What was typed.

    Examples
    --------
    >>> split("pymc>=5,<6, pymc==6.4.0+nutpie==0.16.11, git+https://host/nutpie@main")
    [['pymc>=5,<6'], ['pymc==6.4.0', 'nutpie==0.16.11'], ['git+https://host/nutpie@main']]
    """
    return [[each.strip() for each in BESIDE.split(part)] for part in BETWEEN.split(tried) if part.strip()]


def requirement(text: str) -> Requirement:
    """Read a requirement as it was typed; what names no package by itself is given its name.

    Parameters
    ----------
    text : str
        As PEP 508 says, or `name=PATH`, a path to a wheel or a checkout, or a URL that git or pip can fetch.

    Raises
    ------
    UsageError
        If it can't be read, or it can't be told which package it is.

    Examples
    --------
    >>> str(requirement("git+https://host/nutpie.git@3f2a1c9"))
    'nutpie @ git+https://host/nutpie.git@3f2a1c9'
    """
    named = re.fullmatch(r"([A-Za-z0-9][\w.-]*)=([^=].*)", text)
    where = named[2] if named else text
    if "://" in where and "@ " not in where:
        name = named[1] if named else _of_url(where)
        return _parsed(f"{name} @ {where}", text)
    if named or "/" in where.split("@ ")[0] or where in (".", "..") or Path(where).is_file():
        path = Path(where).expanduser().resolve()
        if not path.exists():
            raise UsageError(f"{text!r}: {path} is not there; give one of: {EXAMPLES}")
        return _parsed(f"{named[1] if named else _of_path(path)} @ {path.as_uri()}", text)
    return _parsed(text, text)


def place(wanted: Requirement) -> Path | None:
    """Return the file or folder that a requirement names, if it names one."""
    found = urlparse(wanted.url or "")
    return Path(unquote(found.path)) if found.scheme == "file" else None


def _parsed(requirement: str, typed: str) -> Requirement:
    try:
        found = Requirement(requirement)
    except InvalidRequirement:
        raise UsageError(f"{typed!r} is no requirement; give one of: {EXAMPLES}") from None
    found.name = canonicalize_name(found.name)
    if found.name == "cmdstan" and place(found) is None:
        exact = re.fullmatch(r"==\d+\.\d+\.\d+(-rc\d+)?", str(found.specifier))
        if exact is None:
            raise UsageError(f"{typed!r}: CmdStan is no package of pip; give cmdstan==2.38.0 or cmdstan=FOLDER")
    return found


def _of_url(url: str) -> str:
    """Name the package of a URL: what it says itself, or its last part, as of `https://host/nutpie.git@main`."""
    parts = urlparse(url)
    if said := re.search(r"egg=([\w.-]+)", parts.fragment):
        return said[1]
    last = unquote(parts.path).rsplit("@", 1)[0].rstrip("/").rsplit("/", 1)[-1]
    return _of_archive(last) or last.removesuffix(".git")


def _of_path(path: Path) -> str:
    """Name the package of a wheel, a source archive or a checkout."""
    if path.is_dir():
        project = path / "pyproject.toml"
        try:
            said = tomllib.loads(project.read_text(encoding="utf-8")) if project.exists() else {}
        except (OSError, ValueError) as error:
            raise UsageError(f"{project} can't be read: {error}") from error
        found = said.get("project", {}).get("name") or said.get("tool", {}).get("poetry", {}).get("name")
    else:
        found = _of_archive(path.name)
    if not found:
        raise UsageError(f"{path} does not say which package it is; name it, e.g. nutpie={path}")
    return str(found)


def _of_archive(file: str) -> str:
    for read in (wheel, sdist):
        try:
            return str(read(file)[0])
        except (InvalidWheelFilename, InvalidSdistFilename):
            continue
    return ""
