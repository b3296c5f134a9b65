"""The programs that are printed run as printed, and give the exact posterior."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.backends import BACKENDS
from bench.families.normal_means.data import normal_means, read_table
from bench.families.normal_means.exact import exact_posterior
from bench.families.normal_means.forms import MODELS
from bench.families.normal_means.programs import Table, program
from bench.families.programs import PYMC, STAN
from bench.settings import Settings
from tests.conftest import REQUIRED

LABELS = ("oak", 'the "big" elm', "äsp <b>", "pine | x", "birch's", "12", "yew, old", "fir", "gum", "ash", "box", "fig")
SETTINGS = Settings(chains=2, warmup=1000, draws=4000, target_accept=0.95, cores=2)
RUN = [(model, "stanli") for model in MODELS] + [
    ("centered", "pymc"),
    ("zerosum_centered", "nutpie"),
    ("noncentered", "nutpie_stan"),
    ("zerosum_noncentered", "pystan"),
    ("finite_zerosum_centered", "cmdstan"),
    ("finite_zerosum_noncentered", "numpyro"),
    ("marginal", "blackjax"),
]


def table(folder: Path, centre: float = 0.0, scale: float = 1.0) -> Table:
    """Write a table whose names and labels need quoting."""
    made = normal_means(1.2, [5] * len(LABELS), seed=3)  # where every model can be sampled
    path = folder / 'my "own" table.csv'
    rows = pd.DataFrame({'the "group"': [LABELS[g] for g in made.group], "it's y": centre + scale * made.y})
    rows.sample(frac=1, random_state=1).to_csv(path, index=False)
    return Table(path, 'the "group"', "it's y", centre, scale)


@pytest.mark.parametrize("backend", [*STAN, *PYMC])
@pytest.mark.parametrize("model", MODELS)
def test_every_program_is_whole(model: str, backend: str, tmp_path: Path) -> None:
    text = program(MODELS[model], backend, table(tmp_path), SETTINGS, 1)
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert {"mu", "sigma", "omega", "mu_g", "table"} <= names
    assert "bench" not in text.replace("hierbench", "")
    assert max(map(len, text.splitlines())) < 160
    own = MODELS[model].stan.code if backend in STAN else "def build("
    assert own in text


@pytest.mark.parametrize(
    ("model", "backend"),
    [pytest.param(*case, marks=[] if case == ("finite_marginal", "stanli") else [pytest.mark.slow]) for case in RUN],
)
@pytest.mark.parametrize(("centre", "scale"), [pytest.param(0.0, 1.0, marks=pytest.mark.slow), (170.0, 8.5)])
def test_it_runs_as_printed_and_fits(model: str, backend: str, centre: float, scale: float, tmp_path: Path) -> None:
    if backend not in REQUIRED and (reason := BACKENDS[backend].unavailable()):
        pytest.skip(f"{backend}: {reason}")
    if backend != "stanli" and scale != 1.0:
        pytest.skip("what is scaled is the same for every backend")
    given = table(tmp_path, centre, scale)
    path = tmp_path / "fit.py"
    path.write_text(program(MODELS[model], backend, given, SETTINGS, 1), encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = dict(re.findall(r"^(\S.*?) +mean +(\S+)", done.stdout, re.MULTILINE))
    assert len(lines) == 3 + len(LABELS)
    dataset = read_table(given.path, given.group_column, given.value_column)
    dataset = dataset.rescaled(centre, scale) if scale != 1.0 else dataset
    exact = exact_posterior(dataset, MODELS[model].target)
    for name in ("mu", "sigma", "omega"):
        expected = scale * exact.marginals[name].mean + (centre if name == "mu" else 0.0)
        assert abs(float(lines[name]) - expected) < 0.25 * scale * exact.marginals[name].sd
    for g, label in enumerate(dataset.labels):
        expected = centre + scale * exact.mu_g_mean[g]
        assert abs(float(lines[f"mu_g[{label}]"]) - expected) < 0.25 * scale * exact.mu_g_sd[g]
