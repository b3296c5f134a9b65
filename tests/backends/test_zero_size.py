"""Parameters that have no elements with some data, as a `vector[0]`: from names and shapes to the record of a fit."""

import os
from pathlib import Path

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.families.base import DataError
from bench.families.pair import Pair
from bench.records import Journal
from bench.running.equality import Equality
from bench.running.isolation import Workers
from bench.running.measure import Case, Replicates, keep
from bench.settings import Asked
from tests.conftest import WorkerOf
from tests.running.tiny import tiny

STAN = """
data { int<lower=0> K; int N; vector[N] y; }
parameters { vector[K] beta; real mu; array[2] vector<lower=0>[K] w; }
transformed parameters { vector[K] twice = 2 * beta; }
model {
  beta ~ normal(0, 1); mu ~ normal(0, 1); y ~ normal(mu, 1);
  for (i in 1:2) w[i] ~ exponential(1);
}
generated quantities { matrix[2, K] table = rep_matrix(mu, 2, K); real last = mu + 1; }
"""
PYMC = """
def build(data):
    K = int(data["K"])
    with pm.Model() as model:
        beta = pm.Normal("beta", 0, 1, shape=K)
        mu = pm.Normal("mu", 0, 1)
        pm.Exponential("w", 1, shape=(2, K))
        pm.Deterministic("twice", 2 * beta)
        pm.Deterministic("last", mu + 1)
        pm.Normal("y", mu, 1, observed=data["y"])
    return model
"""
DATA = {"K": 0, "N": 3, "y": np.array([0.5, 1.0, 2.0])}
NAMES = ("stanli", "nutpie_stan", "pymc", "nutpie")


@pytest.fixture(scope="module")
def equality(workers: Workers) -> Equality:
    return Equality(workers)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_what_has_no_elements_is_left_out_from_the_description_to_the_record(
    name: str, worker_of: WorkerOf, workers: Workers, equality: Equality, tmp_path: Path
) -> None:
    worker_of(name)
    pair = tiny(STAN, PYMC, DATA)
    ((model,), (dataset,)) = pair.models.values(), pair.datasets("tiny")
    assert dict(equality.common(model, dataset)) == {"mu": (), "last": ()}
    journal = Journal(tmp_path / "run", {})
    asked = Asked(overrides={"chains": 2, "warmup": 500, "draws": 1000, "cores": min(2, os.cpu_count() or 1)})
    case = Case(pair, dataset, model, BACKENDS[name])
    record = keep(journal, Replicates(case, asked, workers, equality).make(0))
    assert (record.status, record.health) == ("ok", []), record.reason
    assert set(record.quantities) == {"mu", "last"}
    assert record.quantities["mu"].mean == pytest.approx(3.5 / 4, abs=0.1)
    journal.close()


@pytest.mark.parametrize("name", NAMES)
def test_where_no_parameter_has_elements_one_line_says_so(name: str) -> None:
    if reason := BACKENDS[name].unavailable():
        pytest.skip(reason)
    stan = "data { int K; } parameters { vector[K] beta; } model { beta ~ normal(0, 1); }"
    build = 'def build(data):\n with pm.Model() as m:\n  pm.Normal("beta", 0, 1, shape=int(data["K"]))\n return m\n'
    pair: Pair = tiny(stan, build, {"K": 0})
    (model,) = pair.models.values()
    with pytest.raises(DataError, match="with these data no parameter has elements, so there is nothing to sample"):
        BACKENDS[name].describe(model, {"K": 0})
