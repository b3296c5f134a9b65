"""What a record says of its draws, and that healthy draws of something else are found out."""

from dataclasses import replace

from bench.families.normal_means.data import grid
from bench.correctness.diagnosis import STATED_ERROR, diagnose
from bench.families.base import MODELS
from bench.families.normal_means.points import initial_points
from bench.settings import Settings
from tests.conftest import WorkerOf

MODEL, DATASET = MODELS["centered"], grid("smoke")[0]


def test_a_fit_that_is_healthy_and_wrong_is_flagged_biased(worker_of: WorkerOf) -> None:
    settings = Settings(draws=2000, target_accept=0.95)
    worker = worker_of("stanli")
    worker.prepare(MODEL, DATASET)
    worker.sample(settings, 3, initial_points(MODEL, DATASET, 1, 0, 4))
    fit = worker.fetch()
    wrong = replace(fit, draws=fit.draws | {"sigma": fit.draws["sigma"] * 1.05})
    said = diagnose(MODEL, DATASET, settings, fit, 1.0, 0)
    assert said["health"] == []
    assert said["grade"]["stated_error"] == STATED_ERROR
    (flag,) = diagnose(MODEL, DATASET, settings, wrong, 1.0, 0)["health"]
    assert flag.startswith("biased: sigma")
