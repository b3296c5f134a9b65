"""A small checkout in posteriordb's layout, with programs and data of our own."""

import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

STAN = """
data { int<lower=0> n; int<lower=0> heads; }
parameters { real<lower=0, upper=1> rate; }
transformed parameters { real odds = rate / (1 - rate); }
model { rate ~ beta(2, 2); heads ~ binomial(n, rate); }
"""
PYMC = """
def make_model(data):
    with pm.Model() as model:
        rate = pm.Beta("rate", 2, 2)
        pm.Deterministic("odds", rate / (1 - rate))
        pm.Binomial("heads", data["n"], rate, observed=data["heads"])
    return model
"""
DATA = {"n": 20, "heads": 7}
LINE_STAN = """
data { int<lower=0> N; vector[N] x; vector[N] y; }
parameters { vector[2] beta; real<lower=0> sigma; }
model { beta ~ normal(0, 5); sigma ~ exponential(1); y ~ normal(beta[1] + beta[2] * x, sigma); }
"""
LINE_PYMC = """
def make_model(data):
    with pm.Model() as model:
        beta = pm.Normal("beta", 0, 5, shape=2)
        sigma = pm.Exponential("sigma", 1)
        pm.Normal("y", beta[0] + beta[1] * np.array(data["x"]), sigma, observed=np.array(data["y"]))
    return model
"""
LINE = {"N": 6, "x": [-1.0, -0.5, 0.0, 0.5, 1.0, 2.0], "y": [-1.2, 0.1, 1.1, 1.8, 3.2, 4.9]}


def coin_draws() -> list[dict[str, list[float]]]:
    """Draw from the posterior of `STAN` on `DATA`, which is a beta: 10 chains of 1000 draws, as in posteriordb."""
    rates = np.random.default_rng(1).beta(2 + 7, 2 + 13, (10, 1000))
    return [{"rate": rate.tolist(), "odds": (rate / (1 - rate)).tolist()} for rate in rates]


def zipped(path: Path, content: Any) -> None:
    """Write JSON into a zip, or text as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr(path.stem, content if isinstance(content, str) else json.dumps(content))


def add(
    root: Path,
    posterior: str,
    stan: str | None = STAN,
    pymc: str | None = PYMC,
    data: Any = DATA,
    draws: Any = None,
    dimensions: Any = None,
) -> None:
    """Add a posterior, named by its data and its model with a hyphen between, to a folder `posterior_database`."""
    data_name, model = posterior.split("-")
    index = {"name": posterior, "model_name": model, "data_name": data_name, "dimensions": dimensions or {"rate": 1},
             "reference_posterior_name": posterior if draws else None}  # fmt: skip
    texts = {
        f"posteriors/{posterior}.json": json.dumps(index),
        f"models/stan/{model}.stan": stan,
        f"models/pymc/{model}.py": pymc,
    }
    for name, text in texts.items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    if data is not None:
        zipped(root / "data" / "data" / f"{data_name}.json.zip", data)
    if draws is not None:
        zipped(root / "reference_posteriors" / "draws" / "draws" / f"{posterior}.json.zip", draws)


def checkout(folder: Path) -> Path:
    """Make a checkout of three posteriors: one with reference draws, one without, one planted different."""
    root = folder / "posterior_database"
    add(root, "coin-fair", draws=coin_draws())
    add(root, "coin-lies", pymc=PYMC.replace('"rate", 2, 2', '"rate", 2, 3'))
    add(root, "points-line", LINE_STAN, LINE_PYMC, LINE, dimensions={"beta": [2], "sigma": 1})
    return folder
