"""PyStan's fits: sampled each time, and none of another process's business."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.families.base import Dataset, Model, Program
from bench.running.isolation import Worker
from bench.settings import Settings
from tests.conftest import WorkerOf

SETTINGS = Settings(chains=2, warmup=200, draws=200, cores=2)
MODEL = Model("pystan", "target", Program(Path("model.stan"), "parameters { real x; } model { x ~ normal(0, 1); }"))


@pytest.fixture
def two(worker_of: WorkerOf) -> Iterator[tuple[Worker, Worker]]:
    """Two workers with one program, as two runs on one machine have them."""
    worker_of("pystan")
    with ExitStack() as stack:
        first, second = (stack.enter_context(Worker(BACKENDS["pystan"])) for _ in range(2))
        for worker in (first, second):
            worker.prepare(MODEL, Dataset("none", {}))
        yield first, second


def test_two_processes_fit_one_program_with_one_seed_at_once(two: tuple[Worker, Worker]) -> None:
    """They wrote, read and deleted the same file, once."""

    def fit(worker: Worker) -> list[np.ndarray]:
        draws = []
        for _ in range(5):
            worker.sample(SETTINGS, 1, None, ["x"])
            draws.append(worker.fetch().draws["x"])
        return draws

    with ThreadPoolExecutor() as pool:
        draws = [each for fits in pool.map(fit, two) for each in fits]
    assert len(draws) == 10
    for each in draws:
        np.testing.assert_array_equal(each, draws[0])


def test_no_fit_is_served_from_the_disk(two: tuple[Worker, Worker]) -> None:
    import httpstan.cache
    import httpstan.models

    folder = httpstan.cache.model_directory(httpstan.models.calculate_model_name(MODEL.stan.code))
    before = set(folder.rglob("*.gz"))
    two[0].sample(SETTINGS, 1, None, ["x"])
    assert set(folder.rglob("*.gz")) == before
