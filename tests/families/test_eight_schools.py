"""Eight schools: the two programs against each other, and the exact posterior against brute force and a fit."""

import numpy as np
import pytest
from scipy import stats

from bench.arrays import Floats
from bench.correctness.diagnostics import ess
from bench.correctness.truth import PROBABILITIES
from bench.families.base import LOG_LIKELIHOOD, Dataset
from bench.families.eight_schools import SIGMA, EightSchools, Y
from tests.families.densities import differences, pymc_model, shapes, stan_model

FAMILY = EightSchools()
(RUBIN,) = FAMILY.datasets("eight_schools")
MODELS = tuple(FAMILY.models)


@pytest.mark.parametrize("name", MODELS)
def test_both_programs_have_one_density(name: str) -> None:
    difference = differences("eight_schools", FAMILY.models[name], RUBIN, seed=1)
    assert np.ptp(difference) < 1e-10


@pytest.mark.parametrize("name", MODELS)
def test_both_languages_have_every_quantity(name: str) -> None:
    built = pymc_model("eight_schools", FAMILY.models[name], RUBIN)
    fit = stan_model(FAMILY.models[name], RUBIN).sample(chains=1, warmup=20, samples=10, refresh=0)
    assert set(FAMILY.targets["eight_schools"].quantities) <= set(built.named_vars)
    assert fit.draws("theta").shape == (1, 10, 8)


@pytest.mark.parametrize("name", MODELS)
def test_pymc_data_can_be_swapped(name: str) -> None:
    built, other = (pymc_model("eight_schools", FAMILY.models[name], dataset) for dataset in (RUBIN, simulated(3)))
    point = other.initial_point()
    assert built.compile_logp()(point) != pytest.approx(other.compile_logp()(point))
    with built:
        for variable in ("error", "observed"):
            built.set_data(variable, other[variable].get_value())
    assert built.compile_logp()(point) == pytest.approx(other.compile_logp()(point))


@pytest.mark.slow
def test_exact_posterior_against_brute_force() -> None:
    """Integrate over mu and tau by the midpoint rule; tau = 5 tan(phi) makes its prior uniform."""
    phi, mu = midpoints(0, np.pi / 2, 1500), midpoints(-35, 35, 700)
    tau = 5 * np.tan(phi)
    y, sigma = np.array(Y), np.array(SIGMA)
    spread = np.sqrt(sigma**2 + tau[:, None] ** 2)
    log_density = stats.norm.logpdf(mu, 0, 5)[None, :] + sum(
        stats.norm.logpdf(y[j], mu[None, :], spread[:, j, None]) for j in range(8)
    )
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    of_mu, of_tau = weight.sum(axis=0), weight.sum(axis=1)
    truth = FAMILY.truth("eight_schools", RUBIN)
    assert truth.names == ("mu", "tau", *(f"theta[{j}]" for j in range(8)))

    for x, w, at in ((mu, of_mu, 0), (tau, of_tau, 1)):
        mean = w @ x
        assert truth.mean[at] == pytest.approx(mean, rel=1e-5)
        assert truth.sd[at] == pytest.approx(np.sqrt(w @ (x - mean) ** 2), rel=1e-5)
        assert truth.fourth[at] == pytest.approx(w @ (x - mean) ** 4, rel=1e-4)
        assert np.interp(truth.quantiles[:, at], edges(x), np.cumsum(w)) == pytest.approx(PROBABILITIES, abs=1e-4)
    for j in range(8):
        precision = 1 / sigma[j] ** 2 + 1 / tau**2
        location = (y[j] / sigma[j] ** 2 + mu / tau[:, None] ** 2) / precision[:, None]
        variance = np.broadcast_to(1 / precision[:, None], location.shape)
        mean = np.sum(weight * location)
        square = (location - mean) ** 2
        fourth = np.sum(weight * (square**2 + 6 * square * variance + 3 * variance**2))
        assert truth.mean[2 + j] == pytest.approx(mean, rel=1e-5)
        assert truth.sd[2 + j] == pytest.approx(np.sqrt(np.sum(weight * (square + variance))), rel=1e-5)
        assert truth.fourth[2 + j] == pytest.approx(fourth, rel=1e-4)
        below = [np.sum(weight * stats.norm.cdf(q, location, np.sqrt(variance))) for q in truth.quantiles[:, 2 + j]]
        assert below == pytest.approx(PROBABILITIES, abs=5e-5)


@pytest.mark.slow
def test_stated_error_is_small() -> None:
    assert FAMILY.exact(RUBIN).error < 1e-12
    assert max(FAMILY.exact(simulated(seed)).error for seed in range(40)) < 1e-8


@pytest.mark.parametrize("name", MODELS)
def test_typical_values_are_the_parameters(name: str) -> None:
    model = FAMILY.models[name]
    built = pymc_model("eight_schools", model, RUBIN)
    typical = FAMILY.typical(model, RUBIN, np.random.default_rng(1))
    assert len(typical) == 32
    assert all({key: np.shape(value) for key, value in values.items()} == shapes(built) for values in typical)


def test_typical_values_of_both_models_are_the_same_draws() -> None:
    centered, noncentered = (FAMILY.typical(FAMILY.models[n], RUBIN, np.random.default_rng(2)) for n in MODELS)
    for one, other in zip(centered, noncentered, strict=True):
        assert other["mu"] + other["tau"] * other["z"] == pytest.approx(one["theta"])


def test_draws_are_of_the_posterior() -> None:
    draws = FAMILY.exact(RUBIN).draws(600, np.random.default_rng(3))
    flat = {"mu": draws["mu"], "tau": draws["tau"], "theta[3]": draws["theta"][:, 3]}
    for name, x in flat.items():
        assert stats.kstest(x, FAMILY.exact(RUBIN).marginals[name].cdf).pvalue > 1e-3
    product = np.corrcoef(draws["theta"][:, 0], draws["theta"][:, 6])[0, 1]
    assert product > 0.2  # through mu and tau, both estimates being far above the others


def test_simulated_values_are_calibrated() -> None:
    """Where a value is drawn with its data, its posterior cdf is uniform (Cook, Gelman and Rubin 2006)."""
    rng = np.random.default_rng(4)
    ranks: dict[str, list[float]] = {}
    for _ in range(300):
        dataset, values = FAMILY.simulate("eight_schools", rng)
        marginals = FAMILY.exact(dataset).marginals
        for name in values.keys() - {LOG_LIKELIHOOD}:
            ranks.setdefault(name, []).append(float(marginals[name].cdf(values[name])))
    assert set(ranks) == {"mu", "tau", "theta[0]"}
    for name, each in ranks.items():
        assert stats.kstest(each, "uniform").pvalue > 1e-3, name


def test_simulated_estimates_have_the_standard_errors_of_rubin() -> None:
    rng = np.random.default_rng(5)
    pairs = [FAMILY.simulate("eight_schools", rng) for _ in range(1000)]
    errors = [(dataset.data["y"][0] - values["theta[0]"]) / SIGMA[0] for dataset, values in pairs]
    assert stats.kstest(errors, "norm").pvalue > 1e-3


def test_a_fit_agrees_with_the_truth() -> None:
    fit = stan_model(FAMILY.models["noncentered"], RUBIN).sample(chains=4, samples=2000, delta=0.95, seed=1, refresh=0)
    x = np.concatenate([np.stack([fit.draws("mu"), fit.draws("tau")], axis=2), fit.draws("theta")], axis=2)
    truth = FAMILY.truth("eight_schools", RUBIN)
    x = (x - truth.mean) / truth.sd
    variance = truth.fourth / truth.sd**4 - 1
    assert np.abs(x.mean(axis=(0, 1)) * np.sqrt(ess(x, "mean"))).max() < 4.5
    assert np.abs(((x**2).mean(axis=(0, 1)) - 1) * np.sqrt(ess(x**2, "mean") / variance)).max() < 4.5
    for p, quantile in zip(PROBABILITIES, (truth.quantiles - truth.mean) / truth.sd, strict=True):
        below = (x <= quantile).astype(np.float64)
        assert np.abs((below.mean(axis=(0, 1)) - p) * np.sqrt(ess(below, "mean") / (p * (1 - p)))).max() < 4.5


def simulated(seed: int) -> Dataset:
    return FAMILY.simulate("eight_schools", np.random.default_rng(seed))[0]


def midpoints(lower: float, upper: float, count: int) -> Floats:
    return lower + (np.arange(count) + 0.5) * (upper - lower) / count


def edges(midpoint: Floats) -> Floats:
    """Upper edge of each cell, nearly: half-way to the next midpoint."""
    return np.append((midpoint[1:] + midpoint[:-1]) / 2, midpoint[-1])
