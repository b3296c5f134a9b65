"""`hierbench same` on real programs, each change of one line found and named."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.deciding.same import Answer, Question, same
from bench.families.base import DataError

STAN = """
data { int<lower=0> N; vector[N] x; vector[N] y; }
parameters { real alpha; real beta; real<lower=0> sigma; }
model { alpha ~ normal(0, 10); beta ~ normal(0, 2.5); sigma ~ exponential(1); y ~ normal(alpha + beta * x, sigma); }
"""
PYMC = """
def build(data):
    with pm.Model() as model:
        sigma = pm.Exponential("sigma", 1)
        alpha = pm.Normal("alpha", 0, 10)
        beta = pm.Normal("beta", 0, 2.5)
        pm.Normal("y", alpha + beta * data["x"], sigma, observed=data["y"])
    return model
"""
DATA = {"N": 6, "x": [-1.0, -0.5, 0.0, 0.5, 1.0, 2.0], "y": [-1.2, 0.1, 1.1, 1.8, 3.2, 4.9]}
LIKELIHOOD = "y ~ normal(alpha + beta * x, sigma);"


def ask(folder: Path, first: str, second: str, data: object = DATA, options: str = "") -> Answer:
    """Write two programs, Stan or PyMC by their text, and compare them."""
    paths = [
        folder / f"{name}{'.stan' if 'parameters' in code else '.py'}"
        for name, code in zip("ab", (first, second), strict=True)
    ]
    for path, code in zip(paths, (first, second), strict=True):
        path.write_text(code)
    (folder / "data.json").write_text(json.dumps(data))
    paths.append(folder / "data.json")
    if options:
        (folder / "pair.toml").write_text(options)
        paths.append(folder / "pair.toml")
    return same(Question.read(paths))


def test_an_equal_pair_of_both_languages(tmp_path: Path) -> None:
    answer = ask(tmp_path, STAN, PYMC)
    assert answer.verdict.kind == "same"
    assert answer.verdict.error < 1e-9
    dropped = -4 * np.log(2 * np.pi) - np.log(10) - np.log(2.5)  # by Stan's `~`
    assert answer.verdict.constant == pytest.approx(dropped)
    assert answer.verdict.typical == 48
    assert answer.code() == 0
    assert next(answer.lines()) == "The same posterior: a.stan and b.py."


@pytest.mark.slow
def test_one_line_changed_in_the_pymc_program(tmp_path: Path) -> None:
    answer = ask(tmp_path, STAN, PYMC.replace('"beta", 0, 2.5', '"beta", 0, 2.4'))
    assert answer.verdict.kind == "different"
    assert list(answer.verdict.depends) == ["beta"]
    assert answer.code() == 1
    assert "the difference depends on beta" in "\n".join(answer.lines()).replace("\n    ", " ")


@pytest.mark.slow
def test_data_that_a_pymc_program_changes(tmp_path: Path) -> None:
    doubled = PYMC.replace('observed=data["y"]', 'observed=pm.Data("observed", 2 * data["y"])')
    assert ask(tmp_path, STAN, doubled).verdict.kind == "different"


@pytest.mark.slow
def test_two_pymc_programs_one_of_which_takes_lists(tmp_path: Path) -> None:
    lists = PYMC.replace("def build", "def make_model").replace('data["x"]', 'np.array(data["x"])')
    answer = ask(tmp_path, PYMC, lists + "\nassert True\n")
    assert answer.verdict.kind == "same"
    assert answer.verdict.constant == 0


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("alpha ~ normal(0, 10)", "alpha ~ normal(0, 10.01)", ["alpha"]),
        ("sigma ~ exponential(1)", "sigma ~ exponential(1.001)", ["sigma"]),
        ("alpha + beta * x", "alpha + beta * square(x)", ["beta"]),
        ("sigma ~ exponential(1);", "", ["sigma"]),
        ("sigma ~ exponential(1);", "sigma ~ exponential(1); target += log(sigma);", ["sigma"]),
        (LIKELIHOOD, "y[2:N] ~ normal(alpha + beta * x[2:N], sigma);", ["alpha", "beta", "sigma"]),
    ],
)
def test_one_line_changed_in_a_stan_program(tmp_path: Path, old: str, new: str, named: list[str]) -> None:
    assert old in STAN
    found = ask(tmp_path, STAN, STAN.replace(old, new)).verdict
    assert found.kind == "different"
    assert set(named) <= set(found.depends)
    assert found.values[0] != found.values[1]


@pytest.mark.parametrize(
    "changed",
    [
        STAN.replace("model {", "model { target += 1e10;"),
        STAN.replace("real alpha; real beta; real<lower=0> sigma;", "real<lower=0> sigma; real beta; real alpha;"),
        STAN.replace("real beta;", "real<offset=3, multiplier=0.1> beta;"),
        STAN.replace(LIKELIHOOD, "target += normal_lpdf(y | alpha + beta * x, sigma);"),
    ],
    ids=["a constant of 1e10", "another order", "offset and multiplier", "constants kept"],
)
def test_what_changes_no_posterior(tmp_path: Path, changed: str) -> None:
    assert ask(tmp_path, STAN, changed).verdict.kind == "same"


@pytest.mark.parametrize("swapped", [False, True])
def test_a_bound_of_99_for_one_of_100(tmp_path: Path, swapped: bool) -> None:
    programs = [
        STAN.replace("lower=0>  sigma", "").replace("lower=0> sigma", f"lower=0, upper={u}> sigma") for u in (100, 99)
    ]
    found = ask(tmp_path, *programs[:: -1 if swapped else 1]).verdict
    assert found.kind == "different"
    assert any("supports differ: sigma" in reason for reason in found.reasons)


def test_a_window_without_a_gradient(tmp_path: Path) -> None:
    window = STAN.replace("model {", "model { if (beta > 2.0 && beta < 2.3) target += -2;")
    assert "beta" in ask(tmp_path, STAN, window).verdict.depends


def test_digits_lost_are_no_other_model(tmp_path: Path) -> None:
    careful = "parameters { real z; } model { z ~ normal(0, 1); target += log1m_inv_logit(12 * z + 6); }"
    careless = careful.replace("log1m_inv_logit(12 * z + 6)", "log(1 - inv_logit(12 * z + 6))")
    answer = ask(tmp_path, careful, careless, {})
    assert answer.verdict.kind == "numerics"
    assert "b.stan" in answer.verdict.reasons[0]
    assert answer.code() == 0
    assert answer.code(strict_numerics=True) == 1


def test_a_density_that_is_nowhere_finite(tmp_path: Path) -> None:
    nowhere = "parameters { real a; } model { target += log(-1); }"
    answer = ask(tmp_path, nowhere, nowhere, {})
    assert answer.verdict.kind == "unknown"
    assert answer.code() == 2
    assert "finite nowhere" in answer.verdict.reasons[0]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            STAN,
            STAN.replace("beta", "slope"),
            r'beta in .* alone and slope in .* alone.*\n  \[names\]\n  beta = "slope"',
        ),
        ("parameters { vector[2] a; } model { }", "parameters { vector[3] a; } model { }", r"a has shape \(2,\)"),
        (
            "parameters { matrix[2, 3] a; } model { }",
            "parameters { matrix[3, 2] a; } model { }",
            r"\[axes\]\n  a = \[1, 0\]",
        ),
        (STAN, STAN.replace("model {", "model { nonsense"), r"b.stan can't be used: .*line"),
        (STAN, STAN.replace("int<lower=0> N;", "int<lower=0> N; int M;"), r"b.stan can't be used: .*M"),
    ],
)
def test_what_can_not_be_compared(tmp_path: Path, first: str, second: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        ask(tmp_path, first, second)


@pytest.mark.slow
def test_names_and_axes_of_pair_toml(tmp_path: Path) -> None:
    stan = """
parameters { matrix[2, 3] a; real b; }
model { to_vector(a) ~ normal(b, 1); a[1, 2] ~ normal(3, 1); b ~ std_normal(); }
"""
    pymc = """
with pm.Model() as model:
    centre = pm.Normal("centre", 0, 1)
    a = pm.Normal("a", centre, 1, shape=(3, 2))
    pm.Potential("one", -0.5 * (a[1, 0] - 3) ** 2)
"""
    options = '[names]\nb = "centre"\n\n[axes]\na = [1, 0]\n'
    assert ask(tmp_path, stan, pymc, {}, options).verdict.kind == "same"


@pytest.mark.slow
@pytest.mark.parametrize(("jacobian", "kind"), [(" + s_log", "same"), ("", "different")])
def test_parameters_on_stans_unconstrained_scale(tmp_path: Path, jacobian: str, kind: str) -> None:
    stan = "parameters { real a; real<lower=0> s; } model { a ~ normal(0, s); s ~ exponential(1); }"
    pymc = f"""
with pm.Model() as model:
    s_log = pm.Flat("s_log")
    pm.Normal("a", 0, pt.exp(s_log))
    pm.Potential("s", -pt.exp(s_log){jacobian})
"""
    verdict = ask(tmp_path, stan, pymc, {}, '[unconstrained]\ns = "s_log"\n').verdict
    assert verdict.kind == kind
    assert list(verdict.depends) == ([] if kind == "same" else ["s"])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.stan").write_text("parameters { real a; } model { a ~ normal(0, 1); }")
    (tmp_path / "other.stan").write_text("parameters { real a; } model { a ~ normal(0, 1.1); }")
    files = [str(tmp_path / name) for name in ("model.stan", "other.stan")]
    assert main(["same", *files, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["programs"] == ["model.stan", "other.stan"]
    assert found["kind"] == "different"
    assert list(found["depends"]) == ["a"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "one program|there is no|two programs"),
        (["model.stan"], "two programs are compared, and there are 1"),
        (["model.stan", "notes.txt"], "neither a program"),
        (["nothing.stan"], "there is no file or folder"),
    ],
)
def test_files_that_are_no_pair(tmp_path: Path, names: list[str], said: str) -> None:
    (tmp_path / "model.stan").write_text("parameters { real a; } model { }")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match=said):
        Question.read([tmp_path / name for name in names] or [tmp_path / "empty"])
