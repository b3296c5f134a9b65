"""The programs that are printed run as printed, and give the exact posterior."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.backends import BACKENDS
from bench.families.programs import PYMC, STAN
from bench.families.varying_slopes.data import read_table, simpson
from bench.families.varying_slopes.exact import KNOWN, exact_lines
from bench.families.varying_slopes.forms import MODELS
from bench.families.varying_slopes.programs import LineTable, program
from bench.settings import Settings
from tests.conftest import REQUIRED

SETTINGS = Settings(chains=2, warmup=1000, draws=4000, target_accept=0.95, cores=2)
RUN = [
    ("marginal", "stanli"),
    pytest.param("between_marginal", "stanli", marks=pytest.mark.slow),
    pytest.param("zerosum_noncentered", "stanli", marks=pytest.mark.slow),
    pytest.param("correlated_marginal", "stanli", marks=pytest.mark.slow),
    pytest.param("between_marginal", "nutpie", marks=pytest.mark.slow),
    pytest.param("centered", "pymc", marks=pytest.mark.slow),
]


def table(folder: Path) -> LineTable:
    """Write a table in units far from the priors, whose names need quoting."""
    made = simpson([10] * 12)
    path = folder / 'my "own" table.csv'
    rows = pd.DataFrame({'the "group"': [f"<{g}>" for g in made.group], "x": 50 + 10 * made.x, "it's y": 7 * made.y})
    rows.sample(frac=1, random_state=1).to_csv(path, index=False)
    return LineTable(path, 'the "group"', "x", "it's y", (50.0, 10.0), (0.0, 7.0))


@pytest.mark.parametrize("backend", [*STAN, *PYMC])
@pytest.mark.parametrize("model", MODELS)
def test_every_program_is_whole(model: str, backend: str, tmp_path: Path) -> None:
    text = program(MODELS[model], backend, table(tmp_path), SETTINGS, 1)
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert {"alpha", "beta", "sigma", "tau_alpha", "tau_beta", "alpha_g", "beta_g", "x"} <= names
    assert "bench" not in text.replace("hierbench", "")
    assert max(map(len, text.splitlines())) < 180


@pytest.mark.parametrize(("model", "backend"), RUN)
def test_it_runs_as_printed_and_fits(model: str, backend: str, tmp_path: Path) -> None:
    if backend not in REQUIRED and (reason := BACKENDS[backend].unavailable()):
        pytest.skip(f"{backend}: {reason}")
    given = table(tmp_path)
    path = tmp_path / "fit.py"
    path.write_text(program(MODELS[model], backend, given, SETTINGS, 1), encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = {n: float(x) for n, x in re.findall(r"^(\S.*?) +mean +(\S+)", done.stdout, re.MULTILINE)}
    read = read_table(given.path, given.group_column, given.slope_column, given.value_column)
    dataset = read.in_units(given.x, given.y)
    target = MODELS[model].target
    further = {"independent": [], "between": ["gamma"], "correlated": ["rho"]}[target]
    assert len(said) == 5 + len(further) + 2 * 12
    truth = exact_lines(dataset, target if target in KNOWN else "independent").truth  # correlated is near that
    unit = {"alpha": 7.0, "sigma": 7.0, "tau_alpha": 7.0, "alpha_g": 7.0}
    for name in truth.names:
        quantity, _, index = name.partition("[")
        at = " at 50" if "alpha" in quantity else ""
        label = f"{quantity}{at}" + (f"[{dataset.labels[int(index[:-1])]}]" if index else "")
        column = list(truth.names).index(name)
        scale = unit.get(quantity, 0.7)
        allowed = (0.25 if target in KNOWN else 1.0) * scale * truth.sd[column]
        assert said[label] == pytest.approx(scale * truth.mean[column], abs=allowed), name
