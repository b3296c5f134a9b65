"""Long fits of every model are right: all z-scores of a backend, over five datasets, within one family-wise bound."""

import pytest

from bench.datasets import normal_means
from bench.diagnosis import with_mu
from bench.exact import exact_posterior
from bench.grading import bound, grade
from bench.models import MODELS
from bench.points import initial_points
from bench.settings import Settings
from tests.conftest import WorkerOf

DATASETS = (  # five groups each, so that a backend compiles once a model, and data for which every model can be sampled
    normal_means(1.0, [20] * 5),
    normal_means(0.5, [20] * 5, seed=42),
    normal_means(1.0, [10] * 5, seed=43),
    normal_means(0.75, [5, 7, 10, 15, 30], seed=44),
    normal_means(1.5, [4, 40, 5, 6, 8], seed=45),
)
DRAWS = {"stanli": (10_000, 5), "nutpie": (4_000, 5)}
"""Draws of a chain, and how many of the datasets."""


@pytest.mark.parametrize("backend", DRAWS)
def test_long_fits_agree_with_the_exact_posterior(backend: str, worker_of: WorkerOf) -> None:
    worker = worker_of(backend)
    draws_of_chain, datasets = DRAWS[backend]
    settings = Settings(chains=4, warmup=1000, draws=draws_of_chain, target_accept=0.95, cores=2)
    grades = {}
    for number, dataset in enumerate(DATASETS[:datasets]):
        exact = {
            posterior: exact_posterior(dataset, posterior) for posterior in ("superpopulation", "finite_population")
        }
        for model in MODELS.values():
            worker.prepare(model, dataset)
            worker.sample(settings, 100 + number, initial_points(model, dataset, 1, number, settings.chains))
            draws = with_mu(model, worker.fetch().draws, dataset, replicate=number)
            grades[dataset.id, model.name] = grade(draws, exact[model.posterior])
    count = sum(len(each.z) for each in grades.values())
    beyond = {
        case: f"{each.worst} {each.z[each.worst]:.2f}"
        for case, each in grades.items()
        if each.largest > bound(count, each.fewest, 0.01)
    }
    assert beyond == {}
    assert count == datasets * 6 * 25
