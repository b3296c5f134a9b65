"""What every backend must do; a new one has to pass this and nothing else.

Everything runs in the backend's worker, as in a real run, and on five groups, so that each model is compiled once.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.backends.base import Fit
from bench.correctness.places import follow_reference
from bench.families.base import Model, Values
from bench.families.normal_means import NormalMeans
from bench.families.normal_means.data import Groups, normal_means
from bench.families.normal_means.exact import exact_posterior
from bench.families.normal_means.forms import FORMS, MODELS, standardised
from bench.families.normal_means.reference import log_density_and_gradient
from bench.running.isolation import Worker, WorkerError
from bench.settings import Settings
from tests.conftest import WorkerOf

FAMILY = NormalMeans()
G = 5
DATASETS = {
    "balanced": normal_means(1.0, [20] * G),
    "unbalanced": normal_means(10.0, [1, 60, 3, 16, 20]),
    "small omega": normal_means(0.01, [20] * G),
}
DATASET = DATASETS["balanced"]
SETTINGS = Settings(chains=2, warmup=150, draws=100, target_accept=0.9, max_treedepth=8, cores=1)
TOLERANCE = 1e-9

MODEL_NAMES = pytest.mark.parametrize("name", MODELS)
SOME_MODELS = pytest.mark.parametrize("name", ["noncentered", "zerosum_centered"])


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def worker(backend: str, worker_of: WorkerOf) -> Worker:
    return worker_of(backend)


def keep(name: str) -> dict[str, tuple[int, ...]]:
    """Return the quantities of a model with their shapes."""
    form = FORMS[name]
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(form.parameters, ())
    return shapes | ({form.effects: (G,), "mu_g": (G,)} if form.effects else {})


def dimension(name: str) -> int:
    """Return how many unconstrained parameters a model has."""
    return 3 + (G - FORMS[name].zero_sum if FORMS[name].effects else 0)


def starts(model: Model, dataset: Groups, chains: int) -> list[Values]:
    """Draw starts as a matched run does."""
    rng = np.random.default_rng(5)
    return [FAMILY.points(model, dataset, rng) for _ in range(chains)]


class Fits:
    """The fits of one backend, each made once."""

    def __init__(self, backend: str, worker: Worker) -> None:
        self._backend, self._worker = BACKENDS[backend], worker
        self._kept: dict[tuple[str, int], Fit] = {}

    def model(self, name: str) -> Model:
        if reason := self._backend.unsupported(MODELS[name]):
            pytest.skip(f"{self._backend.name}: {reason}")
        return MODELS[name]

    def make(
        self, name: str, seed: int, settings: Settings = SETTINGS, start: Sequence[Values] | None = None
    ) -> tuple[Fit, float]:
        """Sample from the given starts, or from those of a matched run, and keep all that the program declares."""
        model = self.model(name)
        self._worker.prepare(model, DATASET)
        start = start or starts(model, DATASET, settings.chains)
        seconds = self._worker.sample(settings, seed, start, list(keep(name))).seconds
        return self._worker.fetch(), seconds

    def __getitem__(self, key: tuple[str, int]) -> Fit:
        if key not in self._kept:
            self._kept[key], _ = self.make(*key)
        return self._kept[key]


@pytest.fixture(scope="module")
def fits(backend: str, worker: Worker) -> Fits:
    return Fits(backend, worker)


def test_identity(backend: str, worker: Worker) -> None:
    engine = BACKENDS[backend]
    assert engine.name == backend
    assert engine.language in {"stan", "pymc"}
    versions = engine.versions()
    assert versions
    assert all(isinstance(text, str) and text for pair in versions.items() for text in pair)
    assert engine.imports


def near(name: str, dataset: Groups) -> list[Values]:
    """Ten starts, and ten places around the data."""
    rng = np.random.default_rng(3)
    found = starts(MODELS[name], dataset, 10)
    for _ in range(10):
        sigma, omega = np.exp(rng.normal(-0.3, 0.5)), np.exp(rng.normal(0, 1.5))
        z = (dataset.means - 1.5 + rng.normal(0, 0.5, G)) / omega
        found.append(standardised(FORMS[name], 1.5 + rng.normal(), sigma, omega, z))
    return found


@MODEL_NAMES
def test_it_declares_what_the_programs_declare(name: str, worker: Worker, fits: Fits) -> None:
    model, form = fits.model(name), FORMS[name]
    worker.prepare(model, DATASET)
    described = worker.describe(model, DATASET)
    assert set(described.parameters) == set(form.parameters)
    assert described.names == keep(name)
    assert worker.dimension() == dimension(name)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
@MODEL_NAMES
def test_log_density_and_gradient_are_the_reference(name: str, dataset: Groups, worker: Worker, fits: Fits) -> None:
    """Over the values, up to one constant, along a line through each place; data of one shape are exchanged."""
    model, form = fits.model(name), FORMS[name]
    worker.prepare(model, dataset)
    positions = np.array(worker.unconstrain(near(name, dataset)))
    visited = worker.lead(positions, np.random.default_rng(2).normal(size=positions.shape) / 3)
    places = [place for place, _ in visited]
    expected = follow_reference(lambda values: log_density_and_gradient(form, dataset, values), places)
    constant = visited[0][1].log_density - expected[0].log_density
    for true, led, followed in zip(expected, (found for _, found in visited), worker.follow(places), strict=True):
        for found in (led, followed):
            assert not found.error
            size = max(abs(true.log_density), abs(expected[0].log_density))
            assert found.log_density - constant == pytest.approx(true.log_density, abs=TOLERANCE * size)
            allowed = TOLERANCE * (true.size + found.size) + true.rounding + found.rounding
            assert found.slope == pytest.approx(true.slope, abs=allowed)


@SOME_MODELS
def test_values_and_vectors_are_maps_of_each_other(name: str, worker: Worker, fits: Fits) -> None:
    worker.prepare(fits.model(name), DATASET)
    values = near(name, DATASET)
    again = worker.constrain(np.array(worker.unconstrain(values)))
    for before, after in zip(values, again, strict=True):
        assert list(map(np.shape, after.values())) == [np.shape(before[key]) for key in after]
        for key in before:
            assert after[key] == pytest.approx(before[key], rel=1e-12, abs=1e-12)


@SOME_MODELS
def test_values_outside_of_the_support_are_told(name: str, worker: Worker, fits: Fits) -> None:
    worker.prepare(fits.model(name), DATASET)
    inside = near(name, DATASET)[0]
    assert worker.inside([inside, {**inside, "sigma": np.asarray(-1.0)}]) == [True, False]


@SOME_MODELS
def test_the_density_is_evaluated_again_at_the_draws(name: str, worker: Worker, fits: Fits) -> None:
    fits.make(name, 7)  # the fit was fetched, so that nothing is there to be replayed
    with pytest.raises(WorkerError, match="nothing was sampled"):
        worker.replay([(0, 0)])
    worker.sample(SETTINGS, 7, starts(MODELS[name], DATASET, SETTINGS.chains), list(keep(name)))
    where = [(0, 0), (1, 50), (0, 99)]
    again = np.array(worker.replay(where))
    fit = worker.fetch(["sigma"])
    assert list(fit.draws) == ["sigma"]
    if np.isfinite(again).all():  # six digits of a zero-sum vector do not sum to zero
        reported = np.array([fit.log_density[place] for place in where])
        assert reported - reported[0] == pytest.approx(again - again[0], abs=0.05)


OTHER = normal_means(1.0, [20] * G, seed=97, mean=12.0)
"""Data of the same shapes as `DATASET`, far from them."""


@pytest.mark.parametrize("name", ["noncentered", "zerosum_centered", "finite_marginal"])
def test_data_of_the_same_shapes_are_exchanged_and_nothing_is_compiled(
    name: str, backend: str, worker: Worker, fits: Fits
) -> None:
    model, at = fits.model(name), near(name, DATASET)
    worker.prepare(model, DATASET)
    constants = []
    for dataset in (OTHER, DATASET):
        cache = worker.prepare(model, dataset).cache
        assert cache == "memory" if BACKENDS[backend].language == "pymc" else cache in {"none", "disk"}
        expected = np.array([log_density_and_gradient(FORMS[name], dataset, values)[0] for values in at])
        differences = np.array(worker.densities(at)) - expected
        assert differences == pytest.approx(differences[0], abs=TOLERANCE * np.abs(expected).max())
        constants.append(differences[0])
        worker.sample(SETTINGS, 7, starts(model, dataset, SETTINGS.chains), list(keep(name)))
        draws = FAMILY.derive(model, dataset, worker.fetch().draws, np.random.default_rng(1))
        assert draws["mu_g"].mean() == pytest.approx(dataset.means.mean(), abs=0.5)
    assert constants[0] == pytest.approx(constants[1], abs=1e-6)


def test_an_edit_of_the_program_in_the_other_language_compiles_nothing(
    backend: str, worker: Worker, fits: Fits
) -> None:
    model = fits.model("zerosum_centered")
    worker.prepare(model, DATASET)
    edited = replace(model, **{"pymc" if BACKENDS[backend].language == "stan" else "stan": None})
    cache = worker.prepare(edited, DATASET).cache
    assert cache == "memory" if BACKENDS[backend].language == "pymc" else cache in {"none", "disk"}


def test_data_of_other_sizes_are_another_compiled_model_though_as_many_are_observed(
    backend: str, worker: Worker, fits: Fits
) -> None:
    """A hundred observations in 5 and in 20 groups: a model compiled for one can't take the data of the other."""
    model = fits.model("zerosum_centered")
    for dataset in (DATASET, normal_means(1.0, [5] * 20)):
        worker.prepare(model, dataset)
        start = starts(model, dataset, SETTINGS.chains)
        worker.sample(SETTINGS, 7, start, ["mu_g"])
        assert worker.fetch().draws["mu_g"].shape[2] == dataset.n_groups
        differences = np.array(worker.densities(start[:2])) - [
            log_density_and_gradient(FORMS["zerosum_centered"], dataset, each)[0] for each in start[:2]
        ]
        assert differences[0] == pytest.approx(differences[1], abs=1e-8)


@SOME_MODELS
def test_nothing_is_compiled_twice(name: str, worker: Worker, fits: Fits) -> None:
    model = fits.model(name)
    worker.prepare(model, DATASETS["balanced"])
    prepared = worker.prepare(model, DATASETS["unbalanced"])
    assert prepared.cache in {"none", "disk", "memory"}
    assert prepared.seconds > 0


@pytest.mark.slow
@pytest.mark.usefixtures("worker")  # which skips what is not here
def test_a_build_in_an_empty_cache_is_called_built_and_that_of_the_next_process_is_from_the_disk_if_it_was_kept(
    backend: str, tmp_path: Path
) -> None:
    engine, found = BACKENDS[backend], []
    for _ in range(2):
        with Worker(engine, environment=dict(engine.cache_environment(tmp_path))) as worker:
            found.append(worker.prepare(FAMILY.models["marginal"], DATASET).cache)
    assert found[0] == ("none" if engine.gradient == "stanli" else "built")
    assert found[1] == ("disk" if backend in ("cmdstan", "pymc", "pystan") else found[0])


@MODEL_NAMES
def test_fit_has_the_shapes_and_types_of_its_description(name: str, fits: Fits) -> None:
    fit = fits[name, 7]
    shape = (SETTINGS.chains, SETTINGS.draws)
    assert {key: draws.shape for key, draws in fit.draws.items()} == {
        key: (*shape, *own) for key, own in keep(name).items()
    }
    assert all(draws.dtype == np.float64 and np.isfinite(draws).all() for draws in fit.draws.values())
    assert (fit.draws["sigma"] > 0).all()
    assert (fit.draws["omega"] > 0).all()
    for array, dtype in (
        (fit.divergent, np.bool_),
        (fit.saturated, np.bool_),
        (fit.gradients, np.int64),
        (fit.depth, np.int64),
        (fit.energy, np.float64),
        (fit.log_density, np.float64),
        (fit.acceptance, np.float64),
    ):
        assert array.shape == shape
        assert array.dtype == dtype
    assert fit.warmup_gradients.shape == (SETTINGS.chains, SETTINGS.warmup)
    assert fit.warmup_gradients.dtype == np.int64
    assert fit.step_size.shape == (SETTINGS.chains,)
    assert (fit.step_size > 0).all()
    assert np.isfinite(fit.energy).all()
    assert (fit.acceptance >= 0).all()
    assert (fit.acceptance <= 1 + 1e-9).all()
    assert fit.acceptance.mean() > SETTINGS.target_accept - 0.25


@MODEL_NAMES
def test_every_transition_is_accounted_for(name: str, fits: Fits) -> None:
    fit = fits[name, 7]
    for gradients in (fit.gradients, fit.warmup_gradients):
        assert (gradients >= 1).all()
        assert (gradients <= 2**SETTINGS.max_treedepth).all()
    assert (fit.gradients >= fit.depth).all()
    assert (fit.depth >= 0).all()
    assert (fit.depth <= SETTINGS.max_treedepth).all()
    assert (fit.depth[fit.saturated] == SETTINGS.max_treedepth).all()
    # a tree of depth d that was finished has 2^d - 1 leapfrog steps
    assert (fit.gradients[~fit.divergent] >= 2 ** (fit.depth[~fit.divergent] - 1)).all()
    assert len(np.unique(fit.draws["sigma"])) > fit.divergent.size / 2


@MODEL_NAMES
def test_chains_differ_and_move(name: str, fits: Fits) -> None:
    for draws in fits[name, 7].draws.values():
        assert not np.array_equal(draws[0], draws[1])
        assert (draws.std(axis=1) > 0).all()


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.zero_sum and form.effects])
def test_location_is_the_mean_of_the_groups(name: str, fits: Fits) -> None:
    draws = fits[name, 7].draws  # with the six digits that CmdStan writes to its files
    assert draws["mu_g"].mean(axis=2) == pytest.approx(draws[FORMS[name].location], rel=1e-5, abs=1e-5)


@MODEL_NAMES
def test_energy_is_that_of_the_draws(name: str, fits: Fits) -> None:
    """Energy less potential energy is a kinetic energy, half a chi-square variable that knows nothing of the draw.

    So draws, chains and energies belong together. nutpie 0.16.11 adds a constant a chain, that of its metric.
    """
    fit = fits[name, 7]
    potential = -fit.log_density
    kinetic = (fit.energy - fit.energy.mean(axis=1, keepdims=True)) - (
        potential - potential.mean(axis=1, keepdims=True)
    )
    half = dimension(name) / 2
    assert kinetic.var() == pytest.approx(half, rel=0.7)  # five standard errors
    assert kinetic.min() > -half - 2  # no kinetic energy is negative; the mean is known to 0.2
    assert abs(np.corrcoef(kinetic.ravel(), potential.ravel())[0, 1]) < 0.4


@MODEL_NAMES
def test_samples_the_posterior(name: str, fits: Fits) -> None:
    draws = FAMILY.derive(MODELS[name], DATASET, fits[name, 7].draws, np.random.default_rng(1))
    exact = exact_posterior(DATASET, MODELS[name].target)
    for quantity in ("sigma", "omega"):
        assert draws[quantity].mean() == pytest.approx(exact.marginals[quantity].mean, abs=exact.marginals[quantity].sd)
    assert np.abs(draws["mu_g"].mean(axis=(0, 1)) - exact.mu_g_mean).max() < exact.mu_g_sd.max()


@SOME_MODELS
def test_seed_decides_the_draws(name: str, fits: Fits) -> None:
    first, (again, _), other = fits[name, 7], fits.make(name, 7), fits[name, 8]
    for quantity, draws in first.draws.items():
        assert np.array_equal(draws, again.draws[quantity])
        assert not np.array_equal(draws, other.draws[quantity])
    assert np.array_equal(first.gradients, again.gradients)
    assert np.array_equal(first.warmup_gradients, again.warmup_gradients)


@MODEL_NAMES
def test_chains_begin_where_they_are_told(name: str, fits: Fits) -> None:
    """Log omega is nearly flat far below sigma: in five short steps no chain comes from 1e-6 to 1 or back."""
    settings = replace(SETTINGS, warmup=1, draws=4, max_treedepth=1)
    z = np.random.default_rng(1).normal(size=G)
    start = [standardised(FORMS[name], DATASET.y.mean(), 0.8, omega, z) for omega in (1e-6, 1.0)]
    omega = fits.make(name, 7, settings, start)[0].draws["omega"]
    assert np.abs(np.log(omega[0] / 1e-6)).max() < 4
    assert np.abs(np.log(omega[1])).max() < 4


@SOME_MODELS
def test_tree_depth_is_limited(name: str, fits: Fits) -> None:
    fit, _ = fits.make(name, 7, replace(SETTINGS, max_treedepth=2))
    assert fit.gradients.max() <= 4
    assert fit.depth.max() == 2
    assert fit.saturated.mean() > 0.5


def test_divergences_are_told(worker: Worker) -> None:
    """In the funnel that few observations leave, long steps diverge."""
    settings = replace(SETTINGS, draws=400, target_accept=0.3)
    model = MODELS["zerosum_centered"]
    worker.prepare(model, DATASETS["small omega"])
    worker.sample(settings, 7, starts(model, DATASETS["small omega"], settings.chains), ["sigma"])
    fit = worker.fetch()
    assert fit.divergent.any()
    assert not fit.divergent.all()


@SOME_MODELS
def test_own_starts_work(name: str, worker: Worker, fits: Fits) -> None:
    worker.prepare(fits.model(name), DATASET)
    worker.sample(replace(SETTINGS, warmup=100, draws=20), 7, None, ["mu_g"])
    fit = worker.fetch()
    assert fit.draws["mu_g"].shape == (SETTINGS.chains, 20, G)
    assert fit.warmup_gradients.shape == (SETTINGS.chains, 100)
    assert worker.fetch() is None


def test_two_chains_at_once_are_those_one_after_the_other_and_every_clock_runs(fits: Fits) -> None:
    fit, seconds = fits.make("zerosum_centered", 7, replace(SETTINGS, cores=2))
    assert all(np.array_equal(draws, fits["zerosum_centered", 7].draws[name]) for name, draws in fit.draws.items())
    assert 0 <= fit.extraction_seconds < seconds
    assert (fit.warmup_seconds is None) == (fit.sampling_seconds is None)
    for clock in (fit.warmup_seconds, fit.sampling_seconds):
        if clock is not None:
            assert clock.shape == (SETTINGS.chains,)
            assert (clock > 0).all()
            assert (clock < seconds).all()
