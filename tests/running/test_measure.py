import json
from dataclasses import replace

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.correctness.gate import Verdict
from bench.families.normal_means.data import grid
from bench.families.normal_means.forms import MODELS
from bench.families.registry import FAMILIES
from bench.records import STATUSES, Journal, read_records
from bench.running import measure
from bench.running.equality import Equality
from bench.running.isolation import Workers
from bench.running.measure import Case, Replicates, digest
from bench.settings import Asked, Settings

SMOKE = grid("smoke")[0]
SMALL = {"chains": 2, "warmup": 500, "draws": 1000}


def case(model):
    return Case(FAMILIES["normal_means"], SMOKE, MODELS[model], BACKENDS["stanli"])


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "run", {})
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def workers():
    opened = Workers()
    yield opened
    opened.close()


def measured(case, journal, workers, asked, count=1):
    told = []
    replicates = Replicates(case, asked, list(range(count)), workers, Equality(workers), journal, told.append)
    for _ in range(count):
        replicates.prepare()
        replicates.sample()
        replicates.record()
    assert told == replicates.records
    return replicates.records


@pytest.mark.parametrize("model", MODELS)
def test_a_record_is_whole_and_on_disk(model, journal, workers):
    (record,) = measured(case(model), journal, workers, Asked(overrides=SMALL))
    assert record.status == "ok", record.reason
    assert [kept.to_dict() for kept in read_records(journal.folder)] == [json.loads(json.dumps(record.to_dict()))]
    assert set(record.quantities) == {"mu", "sigma", "omega", "mu_g"}
    for quantity in record.quantities.values():
        assert quantity.q3 < quantity.q50 < quantity.q97
        assert record.min_ess_bulk <= quantity.ess_bulk + 1e-9
        assert quantity.rhat <= record.max_rhat + 1e-9
    assert record.dataset_digest == SMOKE.digest
    assert record.ess_per_second == pytest.approx(record.min_ess_bulk / record.wall_seconds)
    assert record.ess_per_gradient == pytest.approx(record.min_ess_bulk / (record.gradients + record.warmup_gradients))
    seconds = sum(record.warmup_seconds) + sum(record.sampling_seconds)
    assert record.ess_per_chain_second == pytest.approx(record.min_ess_bulk / seconds)
    assert record.extraction_seconds < record.wall_seconds
    assert record.prepare_seconds > 0
    assert record.prepare_cache == "none"
    assert len(record.ebfmi) == len(record.step_size) == 2
    assert record.versions == BACKENDS["stanli"].versions()
    assert ("population_mean" in record.further) == (record.target == "finite_population")
    assert record.gate["with"] == "the reference"
    assert record.gate["error"] < 1e-9
    assert record.headline == ["mu", "sigma", "omega"]


def test_replicates_differ_in_seed_and_draws_and_are_made_again_alike(journal, workers):
    first, second = measured(case("centered"), journal, workers, Asked(overrides=SMALL), count=2)
    assert first.seed != second.seed
    assert first.draws_digest != second.draws_digest
    (again,) = measured(case("centered"), journal, workers, Asked(overrides=SMALL))
    assert again.draws_digest == first.draws_digest
    assert again.quantities == first.quantities


def test_a_healthy_fit_is_graded_against_the_exact_posterior(journal, workers):
    (record,) = measured(case("centered"), journal, workers, Asked(overrides={"draws": 2000, "target_accept": 0.95}))
    assert record.health == []
    grade = record.grade
    assert grade["graded"] == 25
    assert grade["largest"] < grade["bound"]
    omega = record.quantities["omega"]
    assert abs(omega.mean - grade["known"]["omega"]["mean"]) < 5 * omega.mcse
    assert grade["seconds_to_error"]["omega"] > 0


def test_what_cannot_be_diagnosed_keeps_its_time(journal, workers, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("odd draws")

    monkeypatch.setattr(measure, "diagnose", broken)
    (record,) = measured(case("centered"), journal, workers, Asked(overrides=SMALL))
    assert record.wall_seconds > 0
    assert record.health == ["not diagnosed: ZeroDivisionError: odd draws"]
    assert not record.healthy


@pytest.mark.parametrize("status", ["unavailable", "unsupported"])
def test_what_cannot_run_has_a_record_for_each_replicate(status, journal, workers):
    replicates = Replicates(case("centered"), Asked(), [0, 1], workers, Equality(workers), journal, lambda record: None)
    replicates.refuse(status, "no compiler; type: x")
    assert status in STATUSES
    kept = read_records(journal.folder)
    assert [(r.status, r.reason, r.replicate) for r in kept] == [(status, "no compiler; type: x", n) for n in (0, 1)]
    assert all(r.wall_seconds is None for r in kept)


def test_a_mismatch_is_recorded_and_never_timed(journal, workers, monkeypatch):
    refused = Verdict("different", 9, 9, reasons=["log density"])
    monkeypatch.setattr(Equality, "check", lambda *_: refused)
    records = measured(case("centered"), journal, workers, Asked(overrides=SMALL), count=2)
    assert [r.status for r in records] == ["mismatch", "mismatch"]
    assert all(r.wall_seconds is None and "not the same posterior: log density" in r.reason for r in records)


def test_records_are_plain_json(journal, workers):
    measured(case("noncentered"), journal, workers, Asked(overrides=SMALL))
    (line,) = (journal.folder / "records.jsonl").read_text().splitlines()
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_saved_draws_are_read_by_arviz(journal, workers):
    import arviz

    (record,) = measured(case("zerosum_centered"), journal, workers, Asked(overrides=SMALL, save_draws=True))
    path = journal.folder / record.draws_file
    assert path.stat().st_size == record.draws_bytes
    data = arviz.from_netcdf(str(path))
    assert data["posterior"]["mu_g"].shape == (2, 1000, 5)
    assert data["posterior"]["omega"].values.mean() == pytest.approx(record.quantities["omega"].mean)
    assert int(data["sample_stats"]["diverging"].values.sum()) == record.divergences
    assert int(data["sample_stats"]["n_steps"].values.sum()) == record.gradients


def test_the_digest_tells_draws_apart(workers):
    settings = Settings(**SMALL)
    subject = case("centered")
    worker = workers[subject.backend]
    worker.prepare(subject.model, subject.dataset)
    worker.sample(settings, 3, None, ["mu_g"])
    fit = worker.fetch()
    changed = {name: draws.copy() for name, draws in fit.draws.items()}
    changed["mu_g"][1, 2, 3] = np.nextafter(changed["mu_g"][1, 2, 3], np.inf)
    assert digest(fit) == digest(replace(fit))
    assert digest(fit) != digest(replace(fit, draws=changed))
