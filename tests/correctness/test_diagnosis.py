"""What a record says of its draws, and that healthy draws of something else are found out."""

from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.backends.base import Fit
from bench.correctness import diagnostics
from bench.correctness.diagnosis import MOST_SUMMARISED, STATED_ERROR, Estimates, biased_further, diagnose
from bench.correctness.truth import Truth
from bench.families.normal_means import SCALARS, NormalMeans
from bench.families.normal_means.data import grid
from bench.families.normal_means.exact import exact_posterior
from bench.families.normal_means.forms import MODELS
from bench.records import Quantity, Record
from bench.settings import Settings
from tests.conftest import WorkerOf

FAMILY, MODEL, DATASET = NormalMeans(), MODELS["centered"], grid("smoke")[0]


@pytest.fixture(scope="module")
def fit(worker_of: WorkerOf) -> Fit:
    """A healthy fit."""
    settings, rng = Settings(draws=2000, target_accept=0.95, cores=2), np.random.default_rng(1)
    worker = worker_of("stanli")
    worker.prepare(MODEL, DATASET)
    starts = [FAMILY.points(MODEL, DATASET, rng) for _ in range(4)]
    worker.sample(settings, 3, starts, ["mu", "sigma", "omega", "mu_g"])
    return worker.fetch()


def truth() -> Truth:
    found = FAMILY.truth("superpopulation", DATASET)
    assert found is not None
    return found


def said(fit: Fit, truth: Truth | None = None, **draws: Any) -> dict[str, Any]:
    return diagnose(fit, {**fit.draws, **draws}, truth, SCALARS, 2.0, [])


def test_a_healthy_fit_has_every_field(fit: Fit) -> None:
    found = said(fit, truth())
    assert found["health"] == []
    assert set(found) <= {each.name for each in fields(Record)}
    assert found["headline"] == ["mu", "sigma", "omega"]
    assert set(found["quantities"]) == {"mu", "sigma", "omega", "mu_g"}
    assert found["min_ess_bulk"] == pytest.approx(min(q.ess_bulk for q in found["quantities"].values()))
    assert found["ess_per_second"] == pytest.approx(found["min_ess_bulk"] / 2)
    assert found["gradients"] == fit.gradients.sum()
    assert found["warmup_gradients"] == fit.warmup_gradients.sum()
    assert found["ess_per_gradient"] == pytest.approx(
        found["min_ess_bulk"] / (fit.gradients.sum() + fit.warmup_gradients.sum())
    )
    assert fit.warmup_seconds is not None
    assert fit.sampling_seconds is not None
    chain_seconds = fit.warmup_seconds.sum() + fit.sampling_seconds.sum()
    assert found["ess_per_chain_second"] == pytest.approx(found["min_ess_bulk"] / chain_seconds)
    assert len(found["ebfmi"]) == len(found["step_size"]) == 4


def test_a_quantity_is_summed_up_by_its_worst_element(fit: Fit) -> None:
    every = [diagnostics.ess(fit.draws["mu_g"][..., g], "bulk") for g in range(5)]
    worst = int(np.argmin(every))
    x = fit.draws["mu_g"][..., worst]
    found: Quantity = said(fit)["quantities"]["mu_g"]
    assert found.element == f"mu_g[{worst}]"
    assert (found.mean, found.sd, found.q50) == pytest.approx((x.mean(), x.std(), np.median(x)))
    assert found.q3 == pytest.approx(np.quantile(x, 0.03))
    assert found.q97 == pytest.approx(np.quantile(x, 0.97))
    assert found.ess_bulk == pytest.approx(every[worst])
    assert found.ess_tail == pytest.approx(diagnostics.ess(x, "tail"))
    assert found.mcse == pytest.approx(diagnostics.mcse(x))
    assert found.rhat == pytest.approx(diagnostics.rhat(x))


def test_the_worst_of_all_elements_is_named(fit: Fit) -> None:
    slow = np.repeat(np.random.default_rng(2).normal(size=(4, 50, 2)), 40, axis=1)
    found = said(fit, slow=slow, matrix=np.random.default_rng(3).normal(size=(4, 2000, 2, 2)))
    assert found["min_ess_of"].startswith("slow[")
    assert found["quantities"]["matrix"].element in ("matrix[0,0]", "matrix[0,1]", "matrix[1,0]", "matrix[1,1]")
    assert any(flag.startswith("bulk ESS") for flag in found["health"])


def test_elements_that_never_vary_spoil_nothing(fit: Fit) -> None:
    """As the diagonal of a correlation matrix, or what lies above that of a Cholesky factor."""
    matrix = np.ones((4, 2000, 2, 2))
    matrix[..., 0, 1] = matrix[..., 1, 0] = np.random.default_rng(4).uniform(-1, 1, (4, 2000))
    found = said(fit, R=matrix)
    assert found["health"] == []
    assert found["quantities"]["R"].element in ("R[0,1]", "R[1,0]")
    assert all(np.isfinite(value) for value in list(asdict(found["quantities"]["R"]).values())[:-1])
    assert "R[0,0]" not in found["summary"]["names"]
    assert np.isfinite(found["max_rhat"])


@pytest.mark.parametrize("graded", [True, False])
def test_a_quantity_that_never_varies_is_shown_as_constant_and_says_nothing_of_convergence(
    fit: Fit, *, graded: bool
) -> None:
    rounded = np.full((4, 2000), 0.3)
    rounded[:, ::2] += np.spacing(0.3)  # as the sum of a simplex
    without = said(fit, truth() if graded else None)
    found = said(fit, truth() if graded else None, c=np.full((4, 2000), 1.5), ones=np.ones((4, 2000, 3)), r=rounded)
    assert found["health"] == []
    assert {name: q.element for name, q in found["quantities"].items() if q.constant} == {
        "c": "c", "ones": "ones[0]", "r": "r",
    }  # fmt: skip
    assert (found["quantities"]["c"].mean, found["quantities"]["c"].q97) == (1.5, 1.5)
    for name in ("min_ess_bulk", "min_ess_of", "max_rhat", "ess_per_second", "summary"):
        assert found[name] == without[name]


def test_chains_that_are_stuck_at_different_values_are_not_healthy(fit: Fit) -> None:
    stuck = np.repeat([[1.0], [2.0], [3.0], [4.0]], 2000, axis=1)
    found = said(fit, stuck=stuck)
    assert found["min_ess_of"] == "stuck"
    assert [flag.split(":")[0] for flag in found["health"]] == ["R-hat", "bulk ESS", "tail ESS"]


def test_one_chain_that_is_stuck_is_not_healthy(fit: Fit) -> None:
    stuck = fit.draws["mu"].copy()
    stuck[2] = np.median(stuck)  # in the middle, where its mean says nothing
    assert any(flag.startswith("R-hat") for flag in said(fit, mu=stuck)["health"])


def test_a_fit_in_which_nothing_varies_is_not_healthy(fit: Fit) -> None:
    found = diagnose(fit, {"c": np.full((4, 2000), 1.5), "none": np.empty((4, 2000, 0))}, None, SCALARS, 2.0, [])
    assert found["health"] == ["nothing that is reported varies"]
    assert list(found["quantities"]) == ["c"]
    assert found["min_ess_bulk"] is found["min_ess_of"] is found["max_rhat"] is found["ess_per_second"] is None


def test_a_sampler_that_never_moves_is_not_healthy_whatever_a_generator_adds(fit: Fit) -> None:
    still = replace(fit, log_density=np.full_like(fit.log_density, -3.0))
    predicted = np.random.default_rng(5).normal(size=(4, 2000))
    found = diagnose(still, {"mu": np.ones((4, 2000)), "predicted": predicted}, None, SCALARS, 2.0, [])
    assert found["health"] == ["chains that never move: 4"]


def test_draws_that_are_not_numbers_are_flagged_and_not_graded(fit: Fit) -> None:
    sigma = fit.draws["sigma"].copy()
    sigma[0, 7] = np.nan
    found = diagnose(
        replace(fit, draws=fit.draws | {"sigma": sigma}), fit.draws | {"sigma": sigma}, truth(), SCALARS, 2.0, []
    )
    assert "draws are not finite" in found["health"]
    assert "largest" not in found["grade"]


def test_a_fit_that_is_healthy_and_wrong_is_flagged_biased(fit: Fit) -> None:
    found = said(fit, truth())
    assert found["grade"]["stated_error"] == STATED_ERROR
    assert found["grade"]["largest"] < found["grade"]["bound"]
    (flag,) = said(fit, truth(), sigma=fit.draws["sigma"] * 1.05)["health"]
    assert flag.startswith("biased: sigma")


def test_a_grade_says_what_it_is_held_against(fit: Fit) -> None:
    grade = said(fit, truth())["grade"]
    assert (grade["truth"], grade["source"]) == ("exact", "exact posterior, by quadrature")
    assert set(grade["known"]) == set(grade["seconds_to_error"]) == set(SCALARS)
    assert {name.split()[0] for name in grade["z"]} == set(SCALARS)
    assert {"mu mean", "sigma sd", "omega 97%"} <= set(grade["z"])
    assert grade["fewest"] > 100
    assert grade["shared"] == {}  # the truth is exact
    assert grade["known"]["sigma"] == truth().known("sigma")
    ess = diagnostics.ess(fit.draws["sigma"], "mean")
    assert grade["seconds_to_error"]["sigma"] == pytest.approx(2.0 / (ess * STATED_ERROR**2), rel=1e-3)
    assert grade["graded"] > len(grade["z"])


def test_a_fit_that_is_not_ranked_is_not_graded(fit: Fit) -> None:
    found = diagnose(fit, fit.draws, truth(), SCALARS, 2.0, ["audit: something"])
    assert found["health"] == ["audit: something"]
    assert set(found["grade"]) == {"truth", "source", "known"}


def test_headline_quantities_that_are_missing_are_passed_over(fit: Fit) -> None:
    found = diagnose(fit, {"mu": fit.draws["mu"]}, truth(), ("mu", "sigma", "tau"), 2.0, [])
    assert found["headline"] == ["mu"]
    assert set(found["grade"]["known"]) == {"mu"}


def test_without_a_truth_every_element_is_summed_up(fit: Fit) -> None:
    found = said(fit)
    assert found["grade"] is None
    summary = found["summary"]
    assert summary["names"] == ["mu", "sigma", "omega", *(f"mu_g[{g}]" for g in range(5))]
    assert summary["mean"][4] == pytest.approx(fit.draws["mu_g"][..., 1].mean())
    assert summary["sd"][4] == pytest.approx(fit.draws["mu_g"][..., 1].std())
    assert summary["mcse"][4] == pytest.approx(diagnostics.mcse(fit.draws["mu_g"][..., 1]))
    assert said(fit, truth())["summary"] is None


@pytest.mark.slow
def test_a_summary_has_an_end(fit: Fit) -> None:
    many = {"theta": stats.norm.rvs(size=(2, 10, MOST_SUMMARISED + 5), random_state=1)}
    summary = Estimates.of(many).summary()
    assert all(len(column) == MOST_SUMMARISED for column in summary.values())


def test_a_sampler_without_a_clock_of_its_own(fit: Fit) -> None:
    found = diagnose(replace(fit, warmup_seconds=None, sampling_seconds=None), fit.draws, None, SCALARS, 2.0, [])
    assert found["warmup_seconds"] is found["sampling_seconds"] is found["ess_per_chain_second"] is None


def autoregressive(rng: np.random.Generator, rho: float, count: int) -> np.ndarray:
    """Draws of four chains that agree, with so much autocorrelation, of so many quantities."""
    noise = rng.normal(size=(4, 1000, count)) * np.sqrt(1 - rho**2)
    draws = np.empty_like(noise)
    draws[:, 0] = rng.normal(size=(4, count))
    for i in range(1, 1000):
        draws[:, i] = rho * draws[:, i - 1] + noise[:, i]
    return draws


@pytest.mark.slow
@pytest.mark.parametrize(("count", "fits"), [(3, 400), (50, 60), (500, 6)])
@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.7])
def test_correct_fits_are_seldom_suspect_however_many_quantities_they_have(count: int, fits: int, rho: float) -> None:
    """At most 1 of 100; two more are allowed for the luck of so few fits."""
    rng = np.random.default_rng([count, fits])
    suspects = sum(Estimates.of({"x": autoregressive(rng, rho, count)}).suspect_rhat() > 1 for _ in range(fits))
    assert suspects <= 0.01 * fits + 2


@pytest.mark.parametrize(("count", "fits"), [(3, 60), pytest.param(300, 10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rho", [0.0, pytest.param(0.4, marks=pytest.mark.slow)])
def test_a_chain_that_is_stuck_half_an_sd_off_is_found(count: int, fits: int, rho: float) -> None:
    rng = np.random.default_rng([count, fits])
    found = 0
    for _ in range(fits):
        draws = autoregressive(rng, rho, count)
        draws[0, :, 0] += 0.5
        found += Estimates.of({"x": draws}).suspect_rhat() > 1
    assert found >= 0.95 * fits


def test_rhat_beyond_the_usual_limit_that_comes_by_chance_is_not_suspect() -> None:
    rng = np.random.default_rng(3)
    draws = autoregressive(rng, 0.8, 50)
    estimates = Estimates.of({"x": draws})
    assert estimates.rhat.max() > 1.01
    assert estimates.suspect_rhat() == 1.0


def test_rhat_that_can_not_be_computed_is_suspect() -> None:
    draws = np.random.default_rng(3).normal(size=(4, 100, 2))
    draws[1, 3, 1] = np.nan
    assert np.isnan(Estimates.of({"x": draws}).suspect_rhat())


def test_the_tail_of_every_element_counts() -> None:
    """An element whose middle mixes and whose tail does not, beside one with a smaller bulk ESS."""
    rng = np.random.default_rng(1)
    visits = np.where(np.arange(1000) < 30, 6.0, rng.normal(size=(4, 1000)))  # a tail that each chain visits once
    draws = np.stack([visits, autoregressive(rng, 0.8, 1)[..., 0]], axis=-1)
    estimates = Estimates.of({"x": draws})
    assert estimates.bulk[1] < estimates.bulk[0]
    assert estimates.tail[0] < 0.5 * estimates.tail[1]
    assert estimates.quantities()["x"].ess_tail == estimates.tail[1]


def test_what_a_family_adds_is_held_against_its_truth() -> None:
    """The mean of the population, recovered from draws of the finite-population posterior."""
    dataset, rng = DATASET, np.random.default_rng(3)
    family, exact = FAMILY, exact_posterior(DATASET, "finite_population")
    model, z = family.models["finite_zerosum_centered"], []
    for number in range(60):
        draws = {name: values.reshape(4, 500) for name, values in exact.draws(2000, rng).items() if name != "mu_g"}
        further = family.further(model, dataset, draws, rng)
        assert biased_further(further) == [], number
        z.append(further["population_mean"]["z"])
    assert 0.6 < np.std(z) < 1.4
    wrong = family.further(model, dataset, draws | {"mu": draws["mu"] + 0.3}, rng)
    (flag,) = biased_further(wrong)
    assert flag.startswith("biased: population_mean is ")
    assert biased_further({"something else": {"mean": 1.0}}) == []
