"""`hierbench recommend` from the table to the answer, with real fits."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.cli import main
from bench.deciding import bakeoff
from bench.families.normal_means.data import normal_means
from bench.families.normal_means.forms import FORMS
from bench.records import read_records

NAMES = ("Ash", "Birch", "Cedar", "Elm", "Fir", "Gum", "Hazel", "Larch", "Maple", "Oak", "Pine", "Yew")
UNBALANCED = [4, 5, 7, 12, 25, 9, 6, 8, 5, 10]
FAR = {  # omega, sizes, seed: three with n omega²/sigma² above 20 in every group, three with it below 0.05
    "centered": [(1.0, [20] * 8, 1), (3.0, [6, 9, 30, 12, 8, 20], 3), (5.0, UNBALANCED, 5)],
    "noncentered": [(0.03, [20] * 8, 6), (0.02, [10] * 12, 7), (0.02, UNBALANCED, 10)],
}


WITH_EFFECTS = ("--model", ",".join(name for name, form in FORMS.items() if form.effects))


def write(path: Path, omega: float, sizes: list[int], seed: int) -> Path:
    made = normal_means(omega, sizes, seed)
    rows = pd.DataFrame({"forest": [NAMES[g] for g in made.group], "height": made.y})
    rows.sample(frac=1, random_state=seed).to_csv(path, index=False)
    return path


def asked(path: Path, *more: str) -> list[str]:
    return ["recommend", str(path), "--group-column", "forest", "--value-column", "height",
            "--runs", str(path.parent / "runs"), *more]  # fmt: skip


@pytest.mark.parametrize(
    ("parameterization", "omega", "sizes", "seed"),
    [(name, *case) for name, cases in FAR.items() for case in cases],
)
@pytest.mark.slow
def test_far_from_the_boundary_it_picks_what_theory_picks(
    parameterization: str, omega: float, sizes: list[int], seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    information = np.array(sizes) * (omega / 0.75) ** 2
    assert information.min() > 20 if parameterization == "centered" else information.max() < 0.05
    path = write(tmp_path / "t.csv", omega, sizes, seed)
    two = ("--model", "centered,noncentered")
    assert main(asked(path, *two, "--budget", "90", "--backend", "stanli", "--json")) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["parameterization"] == parameterization
    assert FORMS[answer["answer"]["model"]].kind == parameterization
    if parameterization == "centered":  # with an omega near 0 the table itself can't tell how near
        assert answer["theory"] == "centered"
        assert answer["order"] == "sure"
    assert "disagree" not in answer["theory_and_measurement"]


@pytest.mark.parametrize(
    ("omega", "sizes", "seed"),
    [(0.168, [20] * 8, 11), (0.2, [10] * 12, 13)],
)
@pytest.mark.slow
def test_near_the_boundary_the_order_is_open(
    omega: float, sizes: list[int], seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "t.csv", omega, sizes, seed)
    assert main(asked(path, *WITH_EFFECTS, "--budget", "90", "--backend", "stanli", "--json")) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["order"] == "open"
    assert "the order is open" in answer["why"] or "leaves the order open" in answer["why"]
    assert "theory leaves the parameterization open" in answer["theory_and_measurement"]


@pytest.mark.slow
def test_with_many_groups_the_marginal_model_is_first_and_its_programs_recover_the_group_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = normal_means(1.0, [20] * 200)
    path = tmp_path / "t.csv"
    pd.DataFrame({"forest": [f"f{g}" for g in made.group], "height": made.y}).to_csv(path, index=False)
    assert main(asked(path, "--model", "marginal,centered", "--budget", "90", "--backend", "stanli", "--json")) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["answer"]["model"] == "marginal"
    assert answer["why"].startswith("marginal, surely")
    assert all("mu_g = mu[..., None] + effects" in text for text in answer["programs"].values())


@pytest.mark.slow
def test_the_answer_in_the_terminal_and_in_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ENOUGH", "MOST"):  # it ends for that, however slow the machine is, and not for the budget
        monkeypatch.setattr(bakeoff, name, 3)
    path = write(tmp_path / "t.csv", 1.0, [20] * 8, 1)
    asked_for = ("--budget", "600", "--backend", "stanli", "--model", "marginal,centered", "--draws", "1000")
    assert main(asked(path, *asked_for, "--target-ess", "500")) == 0
    said = capsys.readouterr().out
    last = said.partition("For the superpopulation posterior:\n")[2]  # the answer stands last
    for words in ("  model  ", "ESS 500", "runner-up", "parameterization"):
        assert words in last
    assert len(last.splitlines()) < 20
    assert "160 observations in 8 groups of 20" in said
    (folder,) = (tmp_path / "runs").iterdir()
    page = (folder / "recommendation.html").read_text(encoding="utf-8")
    answer = json.loads((folder / "recommendation.json").read_text(encoding="utf-8"))
    for name, text in answer["programs"].items():
        assert (folder / name).read_text(encoding="utf-8") == text
        assert f"program: {folder / name}\n" in said
        assert text.splitlines()[0].replace('"', "&#34;") in page
    assert (folder / "index.html").exists()
    assert f"hierbench recommend {path}" in (folder / "index.html").read_text(encoding="utf-8")

    before = len(read_records(folder))  # and it can be gone on with
    monkeypatch.setattr(bakeoff, "MOST", 4)
    assert main(asked(path, *asked_for, "--resume", folder.name)) == 0
    assert len(read_records(folder)) > before
    assert [each.name for each in (tmp_path / "runs").iterdir()] == [folder.name]


@pytest.mark.slow
def test_a_table_far_from_the_priors_is_brought_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "t.csv", 1.0, [20] * 8, 1)
    table = pd.read_csv(path)
    table["height"] = 170 + 9 * table["height"]
    table.to_csv(path, index=False)
    assert main(asked(path, "--budget", "20", "--backend", "stanli", "--model", "centered,noncentered", "--json")) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["parameterization"] == "centered"
    assert answer["about"]["values"]["scale"] == pytest.approx(0.75 * 9, rel=0.2)
    assert f"/ {answer['about']['values']['scale']}" in answer["programs"]["fit_stan.py"]


def test_a_budget_too_small_for_one_fit_says_so_and_keeps_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "t.csv", 1.0, [20] * 8, 1)
    assert main(asked(path, "--budget", "0.001", "--backend", "stanli")) == 2
    said = capsys.readouterr().err
    assert "no fit ended within the budget of 0.001 s" in said
    assert "--budget 60 --resume " in said


BAD = {
    "no such file": (None, "no such file"),
    "another column": ("wood,height\na,1\nb,2\n", "no column 'forest'; the columns are 'wood', 'height'"),
    "one group": ("forest,height\na,1\na,2\na,3\n", "one group ('a')"),
    "text": ("forest,height\na,1\nb,tall\nb,3\n", "holds 'tall', not a number"),
    "infinite": ("forest,height\na,1\nb,inf\nb,2\n", "missing or infinite"),
    "no rows": ("forest,height\n", "no rows"),
    "empty": ("", "the file is empty"),
    "constant": ("forest,height\na,1\nb,1\nb,1\n", "nothing varies"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_tables_are_refused_before_anything_is_sampled(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, message = BAD[kind]
    path = tmp_path / "t.csv"
    if text is not None:
        path.write_text(text)
    assert main(asked(path)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_too_many_rows_are_refused_with_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.families.tables.MAX_ROWS", 100)
    assert main(asked(write(tmp_path / "t.csv", 1.0, [20] * 8, 1))) == 2
    assert "at least 101 rows; the limit is 100. Take a random sample of the rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--budget", "0", "--budget is 0; give seconds"),
        ("--budget", "nan", "--budget is nan"),
        ("--target-ess", "-1", "--target-ess is -1"),
        ("--model", "centred", "no model 'centred'; there are: marginal, centered"),
        ("--backend", "stan", "there are: cmdstan"),
        ("--draws", "1", "draws is 1; give 4 or more"),
        ("--resume", "nothing", "no run 'nothing'"),
    ],
)
def test_bad_options_are_refused(
    option: str, value: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked(write(tmp_path / "t.csv", 1.0, [20] * 8, 1), option, value)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_ctrl_c_ends_the_measuring_with_the_answer_so_far(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 1.0, [20] * 8, 1)
    command = [sys.executable, "-c", "import sys; from bench.cli import main; sys.exit(main(sys.argv[1:]))"]
    command += asked(path, "--budget", "600", "--backend", "stanli", "--draws", "4000")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        fits = 0
        for line in process.stdout:
            fits += " on stanli" in line and "min ESS" in line
            if fits == 14:  # each of the eight models once, and those that contend again
                process.send_signal(signal.SIGINT)
                break
        said = process.stdout.read()
    assert process.returncode == 0
    assert "stopped; the answer is from what there is" in said
    assert "For the superpopulation posterior" in said


STAN = """
data { int N; vector[N] y; }
parameters { real mu; real<lower=0> sigma; }
model { mu ~ normal(0, 5); sigma ~ exponential(1); y ~ normal(mu, sigma); }
"""
PYMC = """
def build(data):
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 5)
        sigma = pm.Exponential("sigma", 1)
        pm.Normal("y", mu, sigma, observed=data["y"])
    return model
"""


def a_pair(folder: Path, **programs: str) -> list[str]:
    """Write the programs of a pair and return the command that asks about it."""
    folder.mkdir()
    for name, text in programs.items():
        (folder / f"model.{name}").write_text(text)
    (folder / "data.json").write_text(json.dumps({"N": 20, "y": [1.0, 2.0, 0.5, 1.5, 1.1] * 4}))
    return ["recommend", "--pair", str(folder), "--runs", str(folder.parent / "runs")]


@pytest.mark.slow
def test_a_pair_gets_an_answer_about_the_backend_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = a_pair(tmp_path / "mine", stan=STAN, py=PYMC)
    assert main([*command, "--budget", "60", "--backend", "stanli,nutpie", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["dataset"] == "mine"
    assert {row["backend"] for row in answer["ranked"]} == {"stanli", "nutpie"}
    assert answer["answer"]["backend"] == answer["ranked"][0]["backend"]
    assert answer["parameterization"] is None
    assert answer["theory"] is None
    assert answer["programs"] == {}


@pytest.mark.slow
def test_a_pair_that_is_not_the_same_is_not_ranked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = a_pair(tmp_path / "mine", stan=STAN, py=PYMC.replace('"mu", 0, 5', '"mu", 0, 4'))
    assert main([*command, "--budget", "60", "--backend", "stanli,nutpie"]) == 0
    said = capsys.readouterr().out
    assert "mismatch: not the same posterior" in said
    assert "backend           stanli" in said


@pytest.mark.slow
def test_a_pair_with_one_language_says_that_nothing_was_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = a_pair(tmp_path / "mine", stan=STAN)
    assert main([*command, "--budget", "8", "--backend", "stanli"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert {record.gate["note"] for record in read_records(folder) if record.gate} == {
        "there is only a Stan program: nothing was compared across languages"
    }
    assert "nothing was compared across languages" in " ".join(capsys.readouterr().out.split())


def test_a_question_about_nothing_says_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend"]) == 2
    assert "hierbench recommend --pair FOLDER" in capsys.readouterr().err
