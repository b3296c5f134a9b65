"""Small pairs of programs: what a reader brings, and all that can be wrong with it."""

import json
from pathlib import Path
from typing import Any

from bench.families.base import Data, Model, Program
from bench.families.pair import Pair

STAN = """
data { int<lower=1> N; vector[N] y; }
parameters { real m; real<lower=0> s; vector[2] z; }
transformed parameters { vector[2] shifted = m + z; real twice = 2 * m; }
model { m ~ normal(0, 5); s ~ gamma(2, 2); z ~ std_normal(); y ~ normal(m, s); }
generated quantities { real in_stan_alone = m + s; }
"""
PYMC = """
def build(data):
    with pm.Model() as model:
        m = pm.Normal("m", 0, 5)
        s = pm.Gamma("s", 2, 2)
        z = pm.Normal("z", shape=2)
        pm.Deterministic("shifted", m + z)
        pm.Deterministic("in_pymc_alone", m - s)
        pm.Normal("y", m, s, observed=pm.Data("observed", data["y"]))
    return model
"""
DATA = {"N": 6, "y": [1.0, 2.0, 0.5, 1.5, 3.0, 2.5]}


def tiny(stan: str | None = STAN, pymc: str | None = PYMC, data: Data = DATA, **options: Any) -> Pair:
    """Make a pair, with a `pair.toml` that says what the options say."""
    programs = [
        None if code is None else Program(Path(name), code) for code, name in ((stan, "model.stan"), (pymc, "model.py"))
    ]
    model = Model("pair", "tiny", *programs, options.get("names", {}), options.get("axes", {}))
    return Pair("tiny", model, data, options, Path())


def write(folder: Path, stan: str | None = STAN, pymc: str | None = PYMC, data: Data = DATA) -> Path:
    """Write the files of a pair into a new folder."""
    folder.mkdir()
    for name, text in (("model.stan", stan), ("model.py", pymc), ("data.json", json.dumps(data))):
        if text is not None:
            (folder / name).write_text(text)
    return folder
