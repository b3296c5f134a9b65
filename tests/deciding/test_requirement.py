"""What may be tried: any requirement of pip, CmdStan, and what each is called."""

from pathlib import Path

import pytest

from bench.deciding.matrix import read_matrix
from bench.deciding.requirement import place, requirement
from bench.running.run import UsageError
from tests.checkouts import checkout


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("nutpie==0.16.11", "nutpie==0.16.11"),
        ("Arviz_Stats==1.0", "arviz-stats==1.0"),
        ("pymc>=5,<6", "pymc<6,>=5"),
        ("nutpie @ git+https://host/fork@3f2a1c9", "nutpie @ git+https://host/fork@3f2a1c9"),
        ("git+https://host/nutpie.git@a/branch", "nutpie @ git+https://host/nutpie.git@a/branch"),
        ("git+https://host/fork#egg=nutpie", "nutpie @ git+https://host/fork#egg=nutpie"),
        ("pymc=git+ssh://git@host/fork@main", "pymc @ git+ssh://git@host/fork@main"),
        ("https://host/nutpie-0.17-py3-none-any.whl", "nutpie @ https://host/nutpie-0.17-py3-none-any.whl"),
        ("cmdstan==2.38.0", "cmdstan==2.38.0"),
        ("cmdstan==2.38.0-rc1", "cmdstan==2.38.0-rc1"),
    ],
)
def test_a_requirement_is_written_with_its_name(typed: str, read: str) -> None:
    assert str(requirement(typed)) == read
    assert str(requirement(read)) == read  # as versions.json keeps it
    assert place(requirement(typed)) is None


def test_a_path_is_named_by_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout(tmp_path / "my branch", "nutpie")
    wheel = tmp_path / "stanli-0.24.0-py3-none-any.whl"
    wheel.touch()
    assert str(requirement(str(folder))) == f"nutpie @ {folder.as_uri()}"
    assert place(requirement(str(folder))) == folder
    assert str(requirement(str(wheel))) == f"stanli @ {wheel.as_uri()}"
    monkeypatch.chdir(tmp_path)
    assert requirement(wheel.name).name == "stanli"
    assert place(requirement("./my branch")) == folder
    assert place(requirement("cmdstan=my branch")) == folder
    assert requirement("cmdstan=my branch").name == "cmdstan"
    (folder / "pyproject.toml").unlink()
    with pytest.raises(UsageError, match=r"my branch does not say which package it is; name it, e\.g\. nutpie="):
        requirement("./my branch")
    assert requirement("nutpie=./my branch").name == "nutpie"


def test_versions_of_one_package_are_one_kind_wherever_they_come_from(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "branch", "nutpie")
    matrix = read_matrix(f"nutpie==0.16.11,{folder},git+https://host/nutpie@main,cmdstan==2.38.0,cmdstan={folder}")
    assert len(list(matrix.pairs(matrix.combinations))) == 3
    assert [combination.backends for combination in matrix.combinations] == [("nutpie",)] * 3 + [("cmdstan",)] * 2


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("cmdstan", "CmdStan is no package of pip; give cmdstan==2.38.0 or cmdstan=FOLDER"),
        ("cmdstan>=2.38", "CmdStan is no package of pip"),
        ("cmdstan=./nowhere", "nowhere is not there"),
        ("./nowhere", "nowhere is not there"),
        ("-r requirements.txt", "is no requirement; give one of: nutpie==0.16.11, a wheel"),
        ("--index-url=x", "is no requirement"),
        ("", "is no requirement"),
    ],
)
def test_what_is_none_is_refused(typed: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        requirement(typed)
