"""One replicate after the other, by real workers: what its record holds, whatever the fit was."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.arrays import Floats
from bench.backends import BACKENDS
from bench.families.base import Dataset, Family, Model
from bench.families.eight_schools import EightSchools
from bench.families.normal_means import NormalMeans
from bench.families.normal_means.forms import MODELS
from bench.records import Journal, Record, read_records
from bench.running import measure
from bench.running.equality import Equality
from bench.running.isolation import Worker, Workers
from bench.running.measure import Case, Replicates, digest, keep
from bench.running.worker import Spent
from bench.settings import Asked, Settings
from tests.running.faults import Faulty, nan_gradient, twice, wrong_shape
from tests.running.tiny import tiny

FAMILY = NormalMeans()
(SMOKE,) = FAMILY.datasets("smoke")
SMALL = {"chains": 2, "warmup": 500, "draws": 1000}
STANLI = BACKENDS["stanli"]


def case(model: str, family: Family = FAMILY) -> Case:
    (dataset, *_) = family.datasets(family.grids[0] if family is not FAMILY else "smoke")
    return Case(family, dataset, family.models[model], STANLI)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "run", {})
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def equality(workers: Workers) -> Equality:
    return Equality(workers)


class Measure:
    """Measures cases into one journal."""

    def __init__(self, journal: Journal, workers: Workers, equality: Equality) -> None:
        self.journal, self._workers, self._equality = journal, workers, equality

    def __call__(self, case: Case, count: int = 1, asked: Asked | None = None) -> list[Record]:
        replicates = Replicates(case, asked or Asked(overrides=SMALL), self._workers, self._equality)
        return [keep(self.journal, replicates.make(number)) for number in range(count)]


@pytest.fixture
def measured(journal: Journal, workers: Workers, equality: Equality) -> Measure:
    return Measure(journal, workers, equality)


@pytest.mark.parametrize("model", MODELS)
def test_a_record_is_whole_and_on_disk(model: str, measured: Measure) -> None:
    (record,) = measured(case(model))
    assert record.status == "ok", record.reason
    kept = read_records(measured.journal.folder)
    assert [each.to_dict() for each in kept] == [json.loads(json.dumps(record.to_dict()))]
    assert set(record.quantities) == {"mu", "sigma", "omega", "mu_g"}
    assert record.headline == ["mu", "sigma", "omega"]
    assert record.min_ess_bulk is not None
    assert record.wall_seconds is not None
    for quantity in record.quantities.values():
        assert quantity.q3 < quantity.q50 < quantity.q97
        assert record.min_ess_bulk <= quantity.ess_bulk + 1e-9
        assert record.max_rhat is not None
        assert quantity.rhat <= record.max_rhat + 1e-9
    assert record.dataset_digest == SMOKE.digest
    assert record.ess_per_second == pytest.approx(record.min_ess_bulk / record.wall_seconds)
    assert record.gradients is not None
    assert record.warmup_gradients is not None
    assert record.ess_per_gradient == pytest.approx(record.min_ess_bulk / (record.gradients + record.warmup_gradients))
    seconds = sum(record.warmup_seconds or []) + sum(record.sampling_seconds or [])
    assert record.ess_per_chain_second == pytest.approx(record.min_ess_bulk / seconds)
    assert record.extraction_seconds is not None
    assert record.extraction_seconds < record.wall_seconds
    assert record.prepare_seconds is not None
    assert record.prepare_seconds > 0
    assert record.prepare_cache == "none"
    assert len(record.ebfmi or []) == len(record.step_size or []) == 2
    assert record.versions == STANLI.versions()
    assert (record.family, record.target, record.language) == ("normal_means", MODELS[model].target, "stan")
    assert (record.sizes, record.generated_with) == (SMOKE.sizes, SMOKE.generated_with)
    assert (record.kind, record.dimension) == (
        "hierarchical",
        3 if "marginal" in model else 7 if "zerosum" in model else 8,
    )
    assert set(record.further) == ({"population_mean"} if record.target == "finite_population" else set())


def test_a_record_says_what_the_gate_compared(measured: Measure) -> None:
    gate = measured(case("zerosum_centered"))[0].gate
    assert gate is not None
    assert gate["with"] == "the reference"
    assert gate["places"] > 50
    assert 0 <= gate["error"] < 1e-9
    assert gate["note"] == gate["numerics"] == ""
    assert json.dumps(gate, allow_nan=False)


def test_a_quantity_that_no_program_has_is_refused_before_anything_is_sampled(measured: Measure) -> None:
    (record,) = measured(case("pair", tiny(quantities=["m", "mm"])))
    assert (record.status, record.wall_seconds) == ("mismatch", None)
    assert record.reason.startswith("pair.toml asks for mm, and the programs have m, s, z")


def test_where_no_truth_is_known_a_record_keeps_what_engines_can_be_held_against(measured: Measure) -> None:
    """And the quantities are those that both programs have."""
    (record,) = measured(case("pair", tiny()))
    assert record.status == "ok", record.reason
    assert set(record.quantities) == {"m", "s", "z", "shifted"}  # not what one language has alone
    assert (record.sizes, record.kind) == ({"values": 7}, "")
    assert record.headline == ["m", "s"]
    assert record.grade is None
    assert record.summary is not None
    assert record.summary["names"] == ["m", "s", "z[0]", "z[1]", "shifted[0]", "shifted[1]"]
    assert record.summary["mean"][0] == pytest.approx(record.quantities["m"].mean)
    assert record.gate is not None
    assert (record.gate["with"], record.gate["places"]) == ("itself", 0)  # stanli leads


def test_a_pair_with_one_language_says_that_nothing_was_compared(measured: Measure) -> None:
    (record,) = measured(case("pair", tiny(pymc=None)))
    assert record.status == "ok", record.reason
    assert "in_stan_alone" in record.quantities
    assert record.gate is not None
    assert record.gate["note"] == "there is only a Stan program: nothing was compared across languages"


@pytest.mark.parametrize(("mean", "biased"), [(1.0, False), (1.5, True)])
def test_a_fit_is_graded_against_reference_draws(mean: float, biased: bool, measured: Measure, tmp_path: Path) -> None:
    draws = np.random.default_rng(1).normal(mean, 2, (10, 1000))
    (tmp_path / "draws.json").write_text(json.dumps([{"m": chain.tolist()} for chain in draws]))
    program = "parameters { real m; } model { m ~ normal(1, 2); }"
    pair = tiny(program, None, {}, reference=str(tmp_path / "draws.json"))
    (record,) = measured(case("pair", pair), asked=Asked())
    assert record.grade is not None
    assert (record.grade["truth"], record.grade["graded"]) == ("reference draws", 5)
    assert any(flag.startswith("biased: ") for flag in record.health) == record.grade["biased"] == biased


def test_a_fit_is_graded_against_an_exact_posterior_of_another_family(measured: Measure) -> None:
    (record,) = measured(case("noncentered", EightSchools()), asked=Asked(overrides={"target_accept": 0.95}))
    assert record.health == []
    assert record.grade is not None
    assert record.grade["truth"] == "exact"
    assert record.grade["largest"] < record.grade["bound"]


def test_replicates_differ_in_seed_and_draws_and_are_made_again_alike(measured: Measure) -> None:
    first, second = measured(case("centered"), count=2)
    assert first.seed != second.seed
    assert first.draws_digest != second.draws_digest
    (again,) = measured(case("centered"))
    assert again.draws_digest == first.draws_digest
    assert again.quantities == first.quantities


def test_a_repeated_fit_has_the_mean_of_all_times_and_the_draws_of_one(
    workers: Workers, equality: Equality, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seconds = Worker.sample, iter([1.0, 2.0, 6.0, 5.0])

    def sample(worker: Worker, *given: Any) -> Spent:
        real(worker, *given)
        took = next(seconds)
        return Spent(took, 2 * took)

    monkeypatch.setattr(Worker, "sample", sample)
    replicates = Replicates(case("centered"), Asked(overrides=SMALL), workers, equality)
    assert replicates.begin(0) == 1.0
    replicates.again()
    replicates.again()
    record = replicates.end().record
    assert (record.repeats, record.cpu_seconds) == (3, 6.0)
    assert record.cpu_repeats == [2.0, 4.0, 12.0]
    assert record.wall_repeats == pytest.approx([took + (record.derive_seconds or 0.0) for took in (1.0, 2.0, 6.0)])
    assert record.wall_seconds == pytest.approx(3.0 + (record.derive_seconds or 0.0))
    once = replicates.make(0).record
    assert (once.repeats, once.cpu_seconds, once.cpu_repeats) == (1, 10.0, None)
    assert once.draws_digest == record.draws_digest


def test_the_same_draws_with_another_seed_are_flagged(journal: Journal, workers: Workers, equality: Equality) -> None:
    stuck = Replicates(case("centered"), Asked(overrides=SMALL), workers, equality).make(0)
    copy = replace(stuck, record=replace(stuck.record, replicate=5))
    assert keep(journal, stuck).health == []
    assert keep(journal, stuck).health == []  # the same replicate twice is no copy
    assert set(keep(journal, copy).health) == {"audit: the same draws as in replicate 0, which has another seed"}


def test_a_healthy_fit_is_graded_against_the_exact_posterior(measured: Measure) -> None:
    (record,) = measured(case("centered"), asked=Asked(overrides={"draws": 2000, "target_accept": 0.95}))
    assert record.health == []
    grade = record.grade
    assert grade is not None
    assert (grade["truth"], grade["graded"]) == ("exact", 23)  # no sd of mu and omega, whose tails are heavy
    assert grade["largest"] < grade["bound"]
    omega = record.quantities["omega"]
    assert abs(omega.mean - grade["known"]["omega"]["mean"]) < 5 * omega.mcse
    assert grade["seconds_to_error"]["omega"] > 0
    assert record.summary is None


def test_what_cannot_be_diagnosed_keeps_its_time(measured: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("odd draws")

    monkeypatch.setattr(measure, "diagnose", broken)
    (record,) = measured(case("centered"))
    assert record.wall_seconds is not None
    assert record.wall_seconds > 0
    assert record.health == ["not diagnosed: ZeroDivisionError: odd draws"]
    assert not record.healthy


def test_draws_of_another_shape_keep_their_time(measured: Measure) -> None:
    (record,) = measured(Case(FAMILY, SMOKE, MODELS["centered"], Faulty("shape", answer=wrong_shape)))
    assert record.status == "ok"
    assert record.wall_seconds is not None
    assert not record.healthy


@pytest.mark.parametrize("density", [twice, nan_gradient])
def test_a_mismatch_is_recorded_and_never_timed(density: object, measured: Measure) -> None:
    backend = Faulty(density.__name__, density=density)  # type: ignore[attr-defined, arg-type]
    records = measured(Case(FAMILY, SMOKE, MODELS["centered"], backend), count=2)
    assert [r.status for r in records] == ["mismatch", "mismatch"]
    for record in records:
        assert record.wall_seconds is None
        assert record.reason.startswith(("not the same posterior: ", "not shown to be the same posterior: "))
        assert record.gate is not None
        assert record.gate["with"] == "the reference"


def test_records_are_plain_json(measured: Measure) -> None:
    measured(case("noncentered"))
    (line,) = (measured.journal.folder / "records.jsonl").read_text().splitlines()
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_saved_draws_are_read_by_arviz(measured: Measure) -> None:
    import arviz

    (record,) = measured(case("zerosum_centered"), asked=Asked(overrides=SMALL, save_draws=True))
    assert record.draws_file is not None
    path = measured.journal.folder / record.draws_file
    assert path.stat().st_size == record.draws_bytes
    data = arviz.from_netcdf(str(path))
    assert data["posterior"]["mu_g"].shape == (2, 1000, 5)
    assert data["posterior"]["e"].shape == (2, 1000, 5)
    assert data["posterior"]["omega"].values.mean() == pytest.approx(record.quantities["omega"].mean)
    assert int(data["sample_stats"]["diverging"].values.sum()) == record.divergences
    assert int(data["sample_stats"]["n_steps"].values.sum()) == record.gradients


def test_the_digest_tells_draws_apart(workers: Workers) -> None:
    worker = workers[STANLI]
    worker.prepare(MODELS["centered"], SMOKE)
    worker.sample(Settings(chains=2, warmup=100, draws=100), 3, None, ["mu", "mu_g"])
    fit = worker.fetch()
    changed = {name: draws.copy() for name, draws in fit.draws.items()}
    changed["mu_g"][1, 2, 3] = np.nextafter(changed["mu_g"][1, 2, 3], np.inf)
    assert digest(fit) == digest(replace(fit))
    assert digest(fit) != digest(replace(fit, draws=changed))
    assert digest(fit) != digest(replace(fit, draws={"mu": fit.draws["mu"]}))


def test_what_a_family_derives_is_reported(measured: Measure) -> None:
    class Derives(NormalMeans):
        def derive(
            self, model: Model, dataset: Dataset, draws: dict[str, Floats], rng: np.random.Generator
        ) -> dict[str, Floats]:
            return {**draws, "mu": draws["mu"] + 100}

    (record,) = measured(Case(Derives(), SMOKE, MODELS["centered"], STANLI))
    assert record.quantities["mu"].mean > 90
    assert any(flag.startswith("biased: mu mean") for flag in record.health)
