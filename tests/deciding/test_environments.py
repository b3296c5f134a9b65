"""Environments: what is installed into them, with a stand-in for what needs a network, and once for real."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bench.backends import BACKENDS
from bench.cli import main
from bench.deciding import environments, turns
from bench.deciding.environments import Environment, NotMadeError, fixed, make_environment
from bench.deciding.fitter import LostError
from bench.deciding.matrix import Combination
from tests.checkouts import checkout, cmdstan, commit, git

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
OFFLINE = "Traceback (most recent call last):\nValueError: Version 2.39.0 cannot be downloaded."


class StandIn:
    """Notes commands, and does what they would do; CmdStan 2.39.0 can't be fetched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        self.commands: list[list[str]] = []
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        monkeypatch.setattr(environments, "run", self.run)

    def run(self, command: Sequence[str], variables: Mapping[str, str] = {}) -> "subprocess.CompletedProcess[str]":
        self.commands.append(list(command))
        if "venv" in command:
            (Path(command[-1]) / "bin").mkdir(parents=True)
        if "cmdstanpy.install_cmdstan" in command:
            version, folder = command[command.index("--version") + 1], Path(command[-1])
            if version == "2.39.0":
                return subprocess.CompletedProcess(command, 1, OFFLINE)
            cmdstan(folder / f"cmdstan-{version}", version)
        return subprocess.CompletedProcess(command, 0, "")

    def count(self, word: str) -> int:
        return sum(word in command for command in self.commands)


def test_a_cmdstan_is_installed_once_and_one_that_can_not_be_had_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = StandIn(monkeypatch, tmp_path / "cache")
    mine = cmdstan(tmp_path / "mine", "2.40.0")
    fitted: list[Environment] = []

    def fitter(environment: Environment, *_: object) -> None:
        fitted.append(environment)
        raise LostError("there are no fits")

    monkeypatch.setattr(turns, "Fitter", fitter)
    typed = f"cmdstan==2.38.0,cmdstan==2.39.0,cmdstan={mine}"
    assert main(["versions", "--try", typed, "--replicates", "1", "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    note = "cmdstan==2.39.0: no environment: CmdStan 2.39.0 could not be installed: ValueError: Version 2.39.0 cannot"
    assert note in said.err
    release = tmp_path / "cache" / "hierbench" / "cmdstan-releases" / "cmdstan-2.38.0"
    assert [each.variables for each in fitted] == [{"CMDSTAN": str(release)}, {"CMDSTAN": str(mine)}]
    assert (stand_in.count("venv"), stand_in.count("cmdstanpy.install_cmdstan")) == (1, 2)  # one environment for all
    make_environment(Combination(("cmdstan==2.38.0",), ("cmdstan",), OWN), print)
    assert (stand_in.count("venv"), stand_in.count("cmdstanpy.install_cmdstan")) == (1, 2)


def test_a_folder_that_holds_no_cmdstan_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    StandIn(monkeypatch, tmp_path / "cache")
    empty = Combination((f"cmdstan @ {tmp_path.as_uri()}",), ("cmdstan",), OWN)
    with pytest.raises(NotMadeError, match=r"holds no CmdStan that is built; type: make -C .* build"):
        make_environment(empty, print)


def test_the_backend_runs_the_cmdstan_of_its_environment_and_keeps_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, mine = cmdstan(tmp_path / "release", "2.38.0"), cmdstan(tmp_path / "mine", "2.39.0")
    made = commit(mine)[:12]
    monkeypatch.setenv("CMDSTAN", str(release))
    assert BACKENDS["cmdstan"].versions()["cmdstan"] == "2.38.0"
    monkeypatch.setenv("CMDSTAN", str(mine))
    assert BACKENDS["cmdstan"].versions()["cmdstan"] == f"2.39.0 ({made})"


def test_a_checkout_that_changed_makes_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = StandIn(monkeypatch, tmp_path / "cache")
    folder = checkout(tmp_path / "one", "httpstan")
    commit(folder)
    combination = Combination((f"httpstan @ {folder.as_uri()}",), ("stanli",), OWN)
    first = make_environment(combination, print)
    assert make_environment(combination, print) == first
    for left_by_pip in ("build/lib/httpstan.py", "httpstan.egg-info/PKG-INFO"):
        (folder / left_by_pip).parent.mkdir(parents=True)
        (folder / left_by_pip).write_text("")
    assert make_environment(combination, print) == first
    (folder / "httpstan.py").write_text("answer = 22\n")
    assert make_environment(combination, print) != first
    assert stand_in.count("pip") == 2
    assert stand_in.commands[-1][-1] == f"httpstan @ {folder.as_uri()}"


def test_a_branch_is_fixed_at_its_commit(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "one", "one")
    made = commit(folder)
    git(folder, "branch", "feature/main")
    (folder / "one.py").write_text("answer = 2\n")
    later = commit(folder)
    git(folder, "tag", "v2")
    url = f"git+{folder.as_uri()}"

    def of(text: str) -> str:
        return str(fixed(Requirement(f"one @ {text}")).url)

    assert of(url) == of(f"{url}@main") == of(f"{url}@v2") == f"{url}@{later}"
    assert of(f"{url}@feature/main") == f"{url}@{made}"
    assert of(f"{url}@main#subdirectory=x") == f"{url}@{later}#subdirectory=x"
    for kept in (f"{url}@{made}", f"{url}@nowhere", f"git+{tmp_path.as_uri()}/nowhere@main"):
        assert of(kept) == kept


@pytest.mark.slow
def test_a_real_environment_is_made_once_has_what_was_pinned_and_keeps_the_commit_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = checkout(tmp_path / "one", "httpstan")
    made = commit(folder)[:12]
    (folder / "httpstan.py").write_text("answer = 2\n")
    wanted = Combination((f"stanli=={version('stanli')}", f"httpstan @ {folder.as_uri()}"), ("stanli",), OWN)
    told: list[str] = []
    found = make_environment(wanted, told.append)
    code = (
        "from importlib.metadata import version; from bench.origin import package_version as v; import httpstan; "
        "print(version('stanli'), version('hierbench'), httpstan.answer, v('httpstan'))"
    )
    said = subprocess.run([found.python, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{version('stanli')} {version('hierbench')} 2 0.0.1 ({made}+changes.")
    assert make_environment(wanted, told.append) == found
    assert len(told) == 1


def real_cmdstans() -> list[Path]:
    return sorted(path.parents[1] for path in (Path.home() / ".cmdstan").glob("cmdstan-*/bin/stanc"))


@pytest.mark.slow
@pytest.mark.skipif(len(real_cmdstans()) < 2, reason="there are no two CmdStans in ~/.cmdstan")
def test_two_real_cmdstans_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tried = ",".join(f"cmdstan={path}" for path in real_cmdstans()[-2:])
    options = ["--model", "noncentered", "--replicates", "2", "--output", str(tmp_path)]
    assert main(["versions", "--try", tried, *options]) == 0
    assert "1 compared" in capsys.readouterr().out


@pytest.mark.slow
def test_the_stand_in_is_called_as_the_real_one() -> None:
    """What the stand-in for CmdStanPy's installer takes must be what that takes."""
    asked = [sys.executable, "-m", "cmdstanpy.install_cmdstan", "--help"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert all(option in said for option in ("--version VERSION", "--dir DIR"))
