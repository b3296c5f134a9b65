"""Versions side by side: what may be asked, and one real comparison of two environments."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.comparing.aa import simulated_record
from bench.deciding import environments, turns, versions
from bench.deciding.environments import Environment, NotMadeError, make_environment
from bench.deciding.fitter import Fitter, LostError
from bench.deciding.matrix import Combination, Matrix, read_matrix
from bench.deciding.versions import find_folder, read_folder
from bench.records import Journal, RunError
from bench.running.run import UsageError


def test_pins_become_combinations_that_run_their_own_backend() -> None:
    matrix = read_matrix("pymc==5.28.5, pymc==6.4.0 ,stanli==0.24.0+numpy==2.3.0", grid="quick", replicates=None)
    assert [c.packages for c in matrix.combinations] == [
        ("pymc==5.28.5",),
        ("pymc==6.4.0",),
        ("stanli==0.24.0", "numpy==2.3.0"),
    ]
    assert [c.backends for c in matrix.combinations] == [("pymc",), ("pymc",), ("stanli",)]
    assert (matrix.grid, matrix.replicates) == ("quick", 5)


def test_a_package_that_is_no_backend_runs_the_default_ones() -> None:
    (combination,) = read_matrix("numpy==2.3.0").combinations
    assert set(combination.backends) == {"cmdstan", "stanli", "pymc", "nutpie", "nutpie_stan"}


def test_a_matrix_is_read_from_toml_and_back(tmp_path: Path) -> None:
    path = tmp_path / "matrix.toml"
    path.write_text(
        'families = "eight_schools,normal_means"\nreplicates = 2\ndraws = 400\ntarget_accept = 0.9\n'
        '[[combinations]]\npackages = ["pymc==5.28.5"]\npython = "3.11"\n'
        '[[combinations]]\npackages = ["pymc==6.4.0", "nutpie==0.16.11"]\nbackends = ["nutpie"]\n'
    )
    matrix = read_matrix(str(path), grid="quick", draws=500)
    assert matrix == Matrix(
        (
            Combination(("pymc==5.28.5",), ("pymc",), "3.11"),
            Combination(("pymc==6.4.0", "nutpie==0.16.11"), ("nutpie",)),
        ),
        families="eight_schools,normal_means",
        grid="quick",
        replicates=2,
        overrides={"draws": 500, "target_accept": 0.9},
    )
    (tmp_path / "versions.json").write_text(json.dumps(matrix.to_dict()))
    assert read_folder(tmp_path) == matrix


@pytest.mark.parametrize(
    ("tried", "message"),
    [
        ("", "--try is empty"),
        ("pymc=6", "'pymc=6': "),
        ("pymc==6.4.0,pymc==6.4.0", "pymc==6.4.0 is there twice"),
        ("leftpad==1.0", "no backend depends on 'leftpad'; the packages are: arviz"),
        ("pymc==6.4.0; rm -rf", "is no requirement; give one of: nutpie==0.16.11, a wheel, a checkout"),
        ("nowhere.toml", "can't be read as TOML"),
    ],
)
def test_what_cannot_be_tried_is_refused(tried: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        read_matrix(tried)
    assert main(["versions", "--try", tried]) == 2
    assert message in capsys.readouterr().err


def test_a_grid_of_another_family_is_taken() -> None:
    assert read_matrix("stanli==0.24.0", families="varying_slopes", grid="groups").grid == "groups"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid = 'none'\n[[combinations]]\npackages=['pymc==6.4.0']", "normal_means has no grid 'none'"),
        (
            "grid = 'thread'\nfamilies = 'varying_slopes'\n[[combinations]]\npackages=['pymc==6.4.0']",
            "varying_slopes has no grid 'thread'; its grids are: quick",
        ),
        ("families = 'abnormal'\n[[combinations]]\npackages=['pymc==6.4.0']", "no family .abnormal"),
        ("replicates = 'many'\n[[combinations]]\npackages=['pymc==6.4.0']", "replicates is 'many'.*a whole number"),
        ("replicates = 0\n[[combinations]]\npackages=['pymc==6.4.0']", "give 1 or more"),
        ("colour = 1\n[[combinations]]\npackages=['pymc==6.4.0']", "no setting 'colour'"),
        ("grid = 'smoke'", "has no .*combinations"),
        ("[[combinations]]\npackages=[]", "names no packages"),
        ("[[combinations]]\npackages=['pymc==6.4.0']\npython='2.7'", "python is '2.7'"),
        ("[[combinations]]\npackages=['pymc==6.4.0']\nbackends=['stan']", "no backend 'stan'"),
        ("[[combinations]]\npackages=['pymc==6.4.0']\nwheel='x'", "no setting 'wheel' of a combination"),
        ("target_accept = 1.5\n[[combinations]]\npackages=['pymc==6.4.0']", "target_accept is 1.5"),
        ("models = 'centred'\n[[combinations]]\npackages=['pymc==6.4.0']", "no model 'centred'"),
    ],
)
def test_a_bad_matrix_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "matrix.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_matrix(str(path))


@pytest.mark.slow
def test_a_version_that_is_not_there_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(NotMadeError, match=r"No matching distribution found for stanli==0\.0\.987"):
        make_environment(Combination(("stanli==0.0.987",), ("stanli",), own), print)
    assert not any((tmp_path / "hierbench" / "environments").glob("*"))


def fake_environments(monkeypatch: pytest.MonkeyPatch, broken: str = "") -> None:
    """Let every environment be this one, for the fits are what is tested; `broken` can't be made."""

    def made(combination: Combination, say: Callable[[str], None]) -> Environment:
        if combination.packages[0] == broken:
            raise NotMadeError("Python 3.11: no such version")
        return Environment(Path(sys.executable))

    monkeypatch.setattr(environments, "make_environment", made)


@pytest.mark.slow
def test_fits_are_made_in_turn_compared_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_environments(monkeypatch, broken="stanli==0.0.2")
    typed = ["versions", "--try", "stanli==0.0.1,stanli==0.0.2,stanli==0.0.3", "--model", "centered,noncentered",
             "--replicates", "2", "--target-accept", "0.9", "--output", str(tmp_path)]  # fmt: skip
    assert main(typed) == 1  # one environment could not be made
    said = capsys.readouterr().out
    assert "stanli==0.0.2: no environment: Python 3.11: no such version" in said
    assert "stanli==0.0.1 (A) to stanli==0.0.3 (B)" in said
    (folder,) = tmp_path.iterdir()
    records = {
        path.parent.parent.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*/*/records.jsonl")
    }
    assert all(r["settings"]["target_accept"] == 0.9 for found in records.values() for r in found)
    assert {name: len(found) for name, found in records.items()} == {"stanli-0.0.1": 4, "stanli-0.0.3": 4}
    first, second = (
        [(record["time"], record["replicate"]) for record in records[name]] for name in ("stanli-0.0.1", "stanli-0.0.3")
    )
    assert max(time for time, number in first + second if number == 0) <= min(
        time for time, number in first + second if number == 1
    )
    page = (folder / "versions.html").read_text(encoding="utf-8")
    assert "What changed?" in page
    assert 'id="table-verdicts-0"' in page
    assert "normal_means, grid smoke, 2 replicates" in page
    assert "accept 0.9." in (folder / "versions.md").read_text(encoding="utf-8")
    assert page.partition('id="lines"')[2].count('class="chart"') == 4
    assert (folder / "versions.md").exists()

    more = ["versions", "--resume", folder.name, "--replicates", "3", "--output", str(tmp_path)]
    assert main(more) == 1
    kept = list(folder.glob("*/*/records.jsonl"))
    assert [len(path.read_text().splitlines()) for path in kept] == [6, 6]


@pytest.mark.slow
def test_a_run_that_breaks_is_reported_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_environments(monkeypatch)

    def fitter(environment: Environment, folder: Path, asked: dict[str, Any]) -> Fitter:
        if folder.name == "stanli-0.0.1":
            raise LostError("its fits ended with 4: ImportError: no module named stanli")
        return Fitter(environment, folder, asked)

    monkeypatch.setattr(turns, "Fitter", fitter)
    matrix = read_matrix("stanli==0.0.1,stanli==0.0.3", models="centered", replicates=1)
    found = versions.try_versions(matrix, tmp_path / "x", print)
    assert found.notes == ("stanli==0.0.1: its fits ended with 4: ImportError: no module named stanli",)
    assert {series.backend for series in found.series} == {"stanli"}


class NoFits:
    """A fitter that knows no case."""

    cases = ()

    def __init__(self, *_: object) -> None:
        """Start nothing."""

    def close(self) -> None:
        """End nothing."""


def test_no_environment_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_environments(monkeypatch, broken="stanli==0.0.1")
    with pytest.raises(RunError, match="no environment gave a fit"):
        versions.try_versions(read_matrix("stanli==0.0.1"), tmp_path / "x", print)


def test_versions_of_one_family_are_compared_and_a_slow_one_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_environments(monkeypatch)
    monkeypatch.setattr(turns, "Fitter", NoFits)
    matrix = read_matrix("stanli==0.0.1,nutpie==0.0.1,stanli==0.0.2", replicates=1)
    for combination, factor in zip(matrix.combinations, (1.0, 1.0, 1.5), strict=True):
        journal = Journal(tmp_path / "v" / combination.folder / "run", {})
        for i in range(10):
            wall = factor * (1 + 0.01 * (i % (2 + round(factor))))
            pinned = {combination.backends[0]: combination.packages[0].split("==")[1]}
            journal.append(
                simulated_record(backend=combination.backends[0], replicate=i, wall_seconds=wall, versions=pinned)
            )
        journal.close()
    (tmp_path / "v" / "versions.json").write_text(json.dumps(matrix.to_dict()))
    typed = ["versions", "--resume", "v", "--output", str(tmp_path)]
    assert main([*typed, "--model", "centered", "--try", "stanli==0.0.3"]) == 2
    assert "--try --model: a comparison goes on with what it asked" in capsys.readouterr().err
    assert main(typed) == 0
    said = capsys.readouterr().out
    assert said.count("(A) to") == 1
    assert "1 slower" in said
    assert main([*typed, "--fail-on", "slower:10%"]) == 1


def test_an_unknown_comparison_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no comparison of versions 'x'; the newest are: none yet"):
        find_folder("x", tmp_path)
