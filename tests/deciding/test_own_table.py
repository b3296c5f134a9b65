"""`hierbench recommend --slope-column` from the table to the answer, with real fits."""

import json
from pathlib import Path

import pandas as pd
import pytest

from bench.cli import main
from bench.deciding import bakeoff
from bench.families.varying_slopes.data import simpson


def asked(path: Path, *more: str) -> list[str]:
    return ["recommend", str(path), "--group-column", "g", "--slope-column", "x", "--value-column", "y",
            "--runs", str(path.parent / "runs"), *more]  # fmt: skip


@pytest.mark.slow
def test_it_tells_both_slopes_and_prints_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ENOUGH", "MOST"):  # it ends for that, however slow the machine is, and not for the budget
        monkeypatch.setattr(bakeoff, name, 3)
    made, path = simpson([10] * 12), tmp_path / "t.csv"
    pd.DataFrame({"g": [f"f{g}" for g in made.group], "x": 5 + made.x, "y": made.y}).to_csv(path, index=False)
    more = ("--backend", "stanli", "--model", "marginal", "--budget", "600", "--json")
    assert main(asked(path, *more)) == 0
    said = capsys.readouterr()
    assert "through all of them and -0." in said.err
    assert "the two have opposite signs" in said.err
    answer = json.loads(said.out)
    assert answer["answer"]["model"] == "marginal"
    assert all("beta_g = b + tb * z" in text for text in answer["programs"].values())
    assert set(answer["programs"]) == {"fit_stan.py", "fit_pymc.py"}
    assert set(answer["about"]["information"]) == {"intercepts", "slopes"}
    assert "the information of the median group is" in answer["theory_and_measurement"]


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ("a,1,1\na,1,2\nb,3,2\nb,3,1\n", (), "x does not vary within any group"),
        ("a,1,1\nb,2,2\nc,3,2\n", (), "one observation in every group tells no slope"),
        ("a,1,1\na,2,2\nb,3,3\nb,5,5\n", (), "without any error"),
        ("a,1,1\na,,2\nb,3,3\nb,5,5\n", (), "1 missing or infinite observations, the first in row 3 of the file"),
        ("a,1,1\na,2,2\nb,3,3\nb,5,5\n", ("--slope-column", "z"), "Name one of them: --slope-column NAME"),
        ("a,1,1\n", ("--slope-column", "y"), "'y' is named as slope and as value"),
        ("a,1,1\n", ("--posterior", "finite_population"), "there are: independent, correlated, between"),
    ],
)
def test_tables_without_a_slope_are_refused(
    rows: str, more: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("g,x,y\n" + rows)
    assert main(asked(path, *more)) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
