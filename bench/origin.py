"""Where software comes from: the commit of a folder, and the version of a package with the commit it was built from."""

import json
import subprocess
import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import unquote, urlparse

COMMITS = "hierbench.json"
"""File in an environment that `hierbench versions` made: commits of the folders that packages were built from."""


def commit_of(folder: Path) -> str:
    """Return the commit of a folder under git, such as `3f2a1c9d0b12`, or nothing where there is none.

    Where its files differ from the commit, `+changes.` and a digest of the differences follow. Files that git does not
    track are passed over.

    Parameters
    ----------
    folder : Path
        A repository, or a folder in one.
    """
    try:
        if not git(folder, "ls-files", "-z", "--", ".")[:1]:  # nothing of it is tracked: somebody else's repository
            return ""
        head = git(folder, "rev-parse", "--short=12", "HEAD").decode().strip()
        changes = git(folder, "diff", "--no-ext-diff", "--binary", "--submodule=diff", "HEAD", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + (f"+changes.{sha256(changes).hexdigest()[:8]}" if changes else "")


def git(folder: Path, *arguments: str) -> bytes:
    """Ask git about a folder and return what it prints.

    Parameters
    ----------
    folder : Path
        Where git is run.
    *arguments : str
        Of git.

    Raises
    ------
    OSError
        If there is no git.
    subprocess.CalledProcessError
        If it has no answer.
    """
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True).stdout


@cache
def package_version(name: str) -> str:
    """Return the version of an installed package, and in brackets what it was built from, where that is known.

    That is the commit of a git repository or checkout, or the first digits of the SHA-256 of a wheel that was installed
    from a file: `0.16.11`, `0.16.11 (3f2a1c9d0b12)`, `0.16.11 (file 90ab12cd34ef)`.

    Parameters
    ----------
    name : str
        Of the package.

    Raises
    ------
    PackageNotFoundError
        If it is not installed.

    Notes
    -----
    pip keeps where a package came from in `direct_url.json` (PEP 610).
    """
    found = distribution(name)
    where = json.loads(found.read_text("direct_url.json") or "{}")
    if "vcs_info" in where:
        source = str(where["vcs_info"]["commit_id"])[:12]
    elif "archive_info" in where:
        digest = where["archive_info"].get("hashes", {}).get("sha256", "")
        source = digest and f"file {digest[:12]}"
    elif where.get("dir_info", {}).get("editable"):
        source = commit_of(Path(unquote(urlparse(where["url"]).path)))
    else:
        source = _kept_commits().get(name, "") if "dir_info" in where else ""
    return built_from(found.version, source)


def built_from(version: str, source: str) -> str:
    """Write a version with what it was built from, if that is known.

    Parameters
    ----------
    version : str
        Of a release.
    source : str
        A commit, or nothing.

    Examples
    --------
    >>> built_from("0.16.11", "3f2a1c9d0b12"), built_from("0.16.11", "")
    ('0.16.11 (3f2a1c9d0b12)', '0.16.11')
    """
    return f"{version} ({source})" if source else version


def _kept_commits() -> dict[str, str]:
    path = Path(sys.prefix) / COMMITS
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
