import platform
import re
import subprocess
from pathlib import Path

import pytest

from bench.running import environment as module
from bench.running.environment import commit, environment

ROOT = Path(module.__file__).parents[2]


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_the_environment_says_what_it_ran_on_and_not_on_whose_machine() -> None:
    found = environment()
    assert found["python"] == platform.python_version()
    assert found["cores"] >= 1
    assert set(found["threads"].values()) == {"1"}
    assert platform.node() == "" or platform.node() not in str(found.values())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout, so there is no commit")
def test_the_commit_is_that_of_this_checkout() -> None:
    assert re.fullmatch(rf"{git('rev-parse', '--short=12', 'HEAD')}\+?", commit())


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to which the module believes to belong."""
    monkeypatch.setattr(module, "__file__", str(tmp_path / "bench" / "running" / "environment.py"))
    return tmp_path


def test_files_that_differ_from_the_commit_are_told(checkout: Path) -> None:
    def here(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=checkout, check=True)

    here("init", "-q")
    (checkout / "file").write_text("1")
    here("add", "file")
    here("commit", "-q", "-m", "first")
    committed = commit()
    assert re.fullmatch("[0-9a-f]{12}", committed)
    (checkout / "another").write_text("not under version control")
    assert commit() == committed
    (checkout / "file").write_text("2")
    assert commit() == committed + "+"


def test_without_a_repository_the_commit_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(checkout.parent))
    assert commit() == "unknown"
    monkeypatch.setenv("PATH", "")  # nor without git
    assert commit() == "unknown"
