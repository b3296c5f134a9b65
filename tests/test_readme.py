"""The workflow of the README does what it says."""

import os
import re
import shlex
from pathlib import Path

import pytest

from bench.cli import main
from bench.github import LIMIT
from tests.deciding.test_versions_decided import StandIn


@pytest.fixture
def command(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the workflow types after `hierbench`, for a pull request to stanli."""
    text = (pytestconfig.rootpath / "README.md").read_text(encoding="utf-8")
    (workflow,) = (block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "pull_request" in block)
    (typed,) = re.findall(r"hierbench (.*?) > speed\.md", workflow.replace("\\\n", ""), re.DOTALL)
    assert set(re.findall(r"\$(\w+)", typed)) == {"BASE", "HEAD"} <= set(re.findall(r"^ +(\w+):", workflow, re.M))
    for number, name in enumerate(("BASE", "HEAD"), 1):
        monkeypatch.setenv(name, f"git+https://host/stanli.git@{number}")
    return shlex.split(os.path.expandvars(typed))


def test_the_workflow_comments_on_what_got_slower_and_fails(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    StandIn(monkeypatch, {0: 1.5})
    assert main([*command, "--output", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("## Versions: stanli @ git+https://host/stanli.git@1, ")
    _, outcome, answer, _, verdict, *_ = [line for line in said.out.splitlines() if line]
    assert "stanli shows no sure change (wall time, 1.1" in answer
    assert outcome.startswith("**--fail-on slower:10%: fails: ")
    assert verdict.startswith("**Of 6 cases: 1 slower, ")
    assert "geometric mean over all 6 cases" in said.out
    changed = said.out.partition("What differs:")[2].partition("<details>")[0]
    assert changed.count("\n| ") == 2  # the heads, and the case that is slower
    assert "[1/2] environment" in said.err  # no progress in the comment
    assert len(said.out) < LIMIT
    (folder,) = tmp_path.iterdir()
    assert verdict in (folder / "versions.md").read_text(encoding="utf-8")


def test_the_workflow_passes_where_nothing_changed(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    StandIn(monkeypatch)
    assert main([*command, "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "; nothing differs for sure.**" in said
    assert "What differs:" not in said
