"""Options of engines: each is used, and leaves the posterior what it is."""

from pathlib import Path

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.families.base import Dataset, Model, Program
from bench.running.isolation import Worker
from bench.settings import Settings

STAN = """
data { int N; vector[N] x; array[N] int y; }
parameters { real m; real<lower=0> s; vector[3] z; }
model { m ~ normal(0, 2); s ~ gamma(3, 2); z ~ normal(m, s); y ~ bernoulli_logit(m + s * x); }
"""
PYMC = """
def build(data):
    with pm.Model() as model:
        m = pm.Normal("m", 0, 2)
        s = pm.Gamma("s", 3, 2)
        pm.Normal("z", m, s, shape=3)
        pm.Bernoulli("y", logit_p=m + s * pm.Data("x", data["x"]), observed=data["y"])
    return model
"""
MODEL = Model("m", "t", stan=Program(Path("m.stan"), STAN), pymc=Program(Path("m.py"), PYMC))
X = np.random.default_rng(1).normal(size=200)
DATA = Dataset("d", {"N": 200, "x": X, "y": (X + np.random.default_rng(2).logistic(size=200) > 0).astype(int)})
SETTINGS = Settings(chains=2, warmup=300, draws=200, cores=2)
START = [{"m": np.array(m), "s": np.array(1.0), "z": np.array([0.1, 0.2, 0.9])} for m in (0.5, -0.5)]
EACH = [
    pytest.param(
        *(name, option, value),
        marks=[] if name == "stanli" else [pytest.mark.slow],
        id=f"{name} {option}={value}",
    )
    for name, backend in BACKENDS.items()
    for option, there in backend.options.items()
    for value in there.values
]


@pytest.mark.parametrize(("name", "option", "value"), EACH)
def test_an_option_changes_the_draws_and_not_the_posterior(name: str, option: str, value: str) -> None:
    draws, densities = [], []
    for engine in (BACKENDS[name], BACKENDS[name].variant({option: value})):
        if reason := engine.unavailable():
            pytest.skip(f"{engine.name}: {reason}")
        with Worker(engine) as worker:
            worker.prepare(MODEL, DATA)
            densities.append(worker.densities(START)[0])
            for start in (START, START[::-1]) if engine.chosen else (START,):
                worker.sample(SETTINGS, 1, start, ["m"])
                draws.append(worker.fetch().draws["m"])
    assert densities[0] == pytest.approx(densities[1], rel=1e-12)
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[1], draws[2]), "it starts where it likes"
    assert abs(draws[0].mean() - draws[1].mean()) < 0.5
