"""Commits of folders, and of what pip installed from a repository or a file."""

import subprocess
import sys
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest

from bench.origin import commit_of, package_version
from tests.checkouts import checkout, commit, git

ROOT = Path(__file__).parents[1]


def test_a_folder_has_its_commit_and_a_mark_where_its_files_differ(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "one", "one")
    made = commit(folder)[:12]
    assert commit_of(folder) == made
    (folder / "another").write_text("not under version control")
    assert commit_of(folder) == made
    (folder / "one.py").write_text("answer = 2\n")
    changed = commit_of(folder)
    assert changed.startswith(f"{made}+changes.")
    (folder / "one.py").write_text("answer = 3\n")
    assert commit_of(folder) not in (made, changed)
    git(folder, "checkout", "-q", "one.py")
    assert commit_of(folder) == made


def test_a_folder_that_git_does_not_track_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(checkout(tmp_path / "one", "one"))
    inside = checkout(tmp_path / "one" / "unpacked", "two")
    assert commit_of(inside) == ""
    assert commit_of(tmp_path) == ""
    monkeypatch.setenv("PATH", "")  # nor without git
    assert commit_of(tmp_path / "one") == ""


def installed(folder: Path, *what: str) -> str:
    """Install into a folder and return what a Python that sees it says of the package."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, *what], check=True)
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from bench.origin import *; print(package_version('one'))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.slow
def test_what_was_installed_from_a_repository_or_a_wheel_says_so(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "one", "one")
    made = commit(folder)
    assert installed(tmp_path / "a", f"git+{folder.as_uri()}@{made}") == f"0.0.1 ({made[:12]})"
    subprocess.run([sys.executable, "-c", "import builder; builder.build_wheel('..')"], cwd=folder, check=True)
    wheel = tmp_path / "one-0.0.1-py3-none-any.whl"
    digest = sha256(wheel.read_bytes()).hexdigest()[:12]
    assert installed(tmp_path / "b", str(wheel)) == f"0.0.1 (file {digest})"


def test_what_came_from_an_index_is_its_version() -> None:
    assert package_version("numpy") == version("numpy")
