"""Long fits of every model are right: all z-scores of a backend, over five datasets, within one family-wise bound."""

import numpy as np
import pytest

from bench.correctness.grading import bound, grade
from bench.families.normal_means import NormalMeans
from bench.families.normal_means.data import normal_means
from bench.families.normal_means.forms import FORMS
from bench.settings import Settings
from tests.conftest import WorkerOf

FAMILY = NormalMeans()
FEW = ("marginal", "zerosum_centered")
DATASETS = (  # twenty groups each, so that a backend compiles once a model; n omega²/sigma² is near enough to 1 that
    # every model can be sampled, and omega has no such tail as five groups leave it, which a short chain may not visit
    normal_means(0.5, [8] * 20),
    normal_means(0.4, [12] * 20, seed=42),
    normal_means(0.75, [5] * 20, seed=43),
    normal_means(0.6, [3, 4, 5, 7, 10, 15] * 3 + [6, 8], seed=44),
    normal_means(0.9, [2, 3, 4, 20] * 5, seed=45),
)
DRAWS = {"stanli": (10_000, 5, tuple(FAMILY.models)), "nutpie": (4_000, 1, FEW), "pymc": (1_000, 1, FEW)}
"""Of a chain, datasets, and models; each model of PyMC's takes a minute."""


@pytest.mark.slow
@pytest.mark.parametrize("backend", DRAWS)
def test_long_fits_agree_with_the_exact_posterior(backend: str, worker_of: WorkerOf) -> None:
    worker = worker_of(backend)
    draws_of_a_chain, datasets, models = DRAWS[backend]
    settings = Settings(chains=4, warmup=1000, draws=draws_of_a_chain, target_accept=0.95, cores=2)
    grades = {}
    for number, dataset in enumerate(DATASETS[:datasets]):
        for model in map(FAMILY.models.__getitem__, models):
            rng = np.random.default_rng([1, number])
            truth = FAMILY.truth(model.target, dataset)
            assert truth is not None
            starts = [FAMILY.points(model, dataset, rng) for _ in range(settings.chains)]
            worker.prepare(model, dataset)
            keep = [*starts[0], *({"mu_g"} - set(starts[0]) if FORMS[model.name].effects else ())]
            worker.sample(settings, 100 + number, starts, keep)
            draws = FAMILY.derive(model, dataset, worker.fetch().draws, rng)
            grades[dataset.id, model.name] = grade(draws, truth)
    count = sum(len(each.z) for each in grades.values())
    beyond = {
        case: f"{each.worst} {each.z[each.worst]:.2f}"
        for case, each in grades.items()
        if each.largest > bound(count, each.fewest, 0.01)
    }
    assert beyond == {}
    assert count == datasets * len(models) * (25 + 2 * 15)
