"""Radon: the two programs against each other, and the reference draws against quadrature and a fit."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.arrays import Floats
from bench.correctness.quadrature import Marginal, NormalMixture, ScaleMarginal, axis_of
from bench.correctness.truth import PROBABILITIES, Truth
from bench.families.base import LOG_LIKELIHOOD, Data
from bench.families.radon import (
    COEFFICIENT_SD,
    REFERENCE,
    SCALARS,
    SCALE_SD,
    Radon,
    make_reference,
    read_reference,
    reference_draws,
    summary,
    written,
)
from tests.families.densities import differences, pymc_model, stan_model

FAMILY = Radon()
(MINNESOTA,) = FAMILY.datasets("radon")
MODELS = tuple(FAMILY.models)
LARGEST_Z = 4.5  # of some 450, most of them dependent: exceeded by chance in less than 1 of 300 correct references


@pytest.mark.parametrize("name", MODELS)
def test_both_programs_have_one_density(name: str) -> None:
    difference = differences("radon", FAMILY.models[name], MINNESOTA, seed=1)
    assert np.ptp(difference) < 1e-8  # of values up to 1e5


@pytest.mark.parametrize("name", MODELS)
def test_both_languages_have_every_quantity(name: str) -> None:
    built = pymc_model("radon", FAMILY.models[name], MINNESOTA)
    fit = stan_model(FAMILY.models[name], MINNESOTA).sample(chains=1, warmup=20, samples=10, refresh=0)
    for quantity in FAMILY.targets["radon"].quantities:
        shape = (85,) if quantity == "alpha" else ()
        assert tuple(built[quantity].shape.eval()) == shape
        assert fit.draws(quantity).shape == (1, 10, *shape)


def test_data_are_those_of_minnesota() -> None:
    """919 houses in 85 counties (Gelman and Hill 2007, 12.2); 116 of them, the most, in St. Louis, county 70."""
    data = MINNESOTA.data
    houses = np.bincount(data["county"], minlength=86)[1:]
    assert (data["N"], data["J"], len(data["log_radon"]), len(data["log_uranium"])) == (919, 85, 919, 85)
    assert houses.min() == 1
    assert houses.max() == houses[69] == 116
    assert set(data["floor_measure"]) == {0.0, 1.0}
    assert int(data["floor_measure"].sum()) == 153


def test_reference_agrees_with_quadrature() -> None:
    z = z_scores(known())
    assert max(float(np.abs(each).max()) for each in z) < LARGEST_Z
    assert np.sqrt(np.mean(np.concatenate([each.ravel() for each in z]) ** 2)) == pytest.approx(1, abs=0.2)


def test_reference_is_precise_and_healthy() -> None:
    truth = known()
    assert min(truth.ess_mean.min(), truth.ess_sd.min(), truth.ess_quantile.min()) > 30_000
    assert '"divergences": 0,' in REFERENCE.read_text()


def test_truth_is_of_minnesota_alone() -> None:
    other, _ = FAMILY.simulate("radon", np.random.default_rng(1))
    assert FAMILY.truth("radon", other) is None
    assert known().names == (*SCALARS, *(f"alpha[{c}]" for c in range(85)))


def test_reference_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_reference(chains=2, warmup=300, samples=500)
    monkeypatch.setattr("bench.families.radon.REFERENCE", tmp_path / "reference.json")
    (tmp_path / "reference.json").write_text(written(made))
    truth, digest = read_reference()
    assert digest == MINNESOTA.digest
    assert truth.names == known().names
    assert max(float(np.abs(each).max()) for each in z_scores(truth)) < 6  # few draws: their ESS is rough
    assert truth.ess_mean.max() < 5000


def test_summary_of_independent_draws() -> None:
    x = np.random.default_rng(1).standard_normal((4, 5000))
    found = summary(x)
    assert found["fourth"] == pytest.approx(np.mean((x - x.mean()) ** 4))
    assert (found["mean"], found["sd"], found["q97"]) == pytest.approx((x.mean(), x.std(), np.quantile(x, 0.97)))
    assert all(15_000 < found[column] < 25_000 for column in found if column.startswith("ess"))


@pytest.mark.slow
def test_noncentered_and_centered_fits_agree() -> None:
    """All but in sigma_alpha, in whose neck the centered model diverges and is too slow for a short fit."""
    pairs = [reference_draws(name, MINNESOTA.data, chains=4, samples=1000, delta=0.95, seed=1)[0] for name in MODELS]
    for name in ("gamma0", "gamma1", "beta", "sigma_y", "alpha[0]", "alpha[69]"):
        one, other = (summary(draws[name]) for draws in pairs)
        error = one["sd"] * np.sqrt(1 / one["ess_mean"] + 1 / other["ess_mean"])
        assert abs(one["mean"] - other["mean"]) < 5 * error


@pytest.mark.slow
def test_simulated_values_are_calibrated() -> None:
    """Where a value is drawn with its data, its posterior cdf is uniform (Cook, Gelman and Rubin 2006)."""
    rng = np.random.default_rng(2)
    ranks: dict[str, list[float]] = {}
    for _ in range(60):
        dataset, values = FAMILY.simulate("radon", rng)
        marginals = exact(dataset.data, values["sigma_alpha"], values["sigma_y"], counties=1)
        for name in values.keys() - {LOG_LIKELIHOOD}:
            ranks.setdefault(name, []).append(float(marginals[name].cdf(values[name])))
    assert set(ranks) == {*SCALARS, "alpha[0]"}
    for name, each in ranks.items():
        assert stats.kstest(each, "uniform").pvalue > 1e-3, name


def known() -> Truth:
    truth = FAMILY.truth("radon", MINNESOTA)
    assert truth is not None
    return truth


def z_scores(truth: Truth) -> list[Floats]:
    """How far means, sds and quantiles are from the quadrature, in their own Monte Carlo errors."""
    marginals = [minnesota_exact()[name] for name in truth.names]
    mean, sd, fourth = (np.array([getattr(m, what) for m in marginals]) for what in ("mean", "sd", "fourth"))
    below = np.array([[float(m.cdf(q)) for m, q in zip(marginals, row, strict=True)] for row in truth.quantiles])
    p = np.array(PROBABILITIES)[:, None]
    return [
        (truth.mean - mean) / sd * np.sqrt(truth.ess_mean),
        ((truth.sd / sd) ** 2 - 1) * np.sqrt(truth.ess_sd / (fourth / sd**4 - 1)),
        (below - p) * np.sqrt(truth.ess_quantile / (p * (1 - p))),
    ]


@cache
def minnesota_exact() -> Mapping[str, Marginal]:
    return exact(MINNESOTA.data, 0.15, 0.75, counties=85)


def exact(data: Data, sigma_alpha: float, sigma_y: float, counties: int) -> dict[str, Marginal]:
    """Marginals of the scalars and of the first alphas, integrated over both scales by the trapezoid rule.

    Given these the coefficients b = (gamma0, gamma1, beta) and all alpha are Gaussian. With k = sigma_alpha^2 /
    (sigma_y^2 + n sigma_alpha^2) the inverse covariance of the n houses of a county is (I - k 11') / sigma_y^2; its
    alpha has mean (1 - n k) (gamma0 + gamma1 u) + n k (average y - beta average floor), variance (1 - n k)
    sigma_alpha^2.

    Parameters
    ----------
    data : mapping
        The data block.
    sigma_alpha, sigma_y : float
        Typical values, along which the grid is laid.
    counties : int
        How many alphas are wanted.
    """
    at, u = data["county"] - 1, data["log_uranium"]
    n = np.bincount(at)
    xy = np.stack([np.ones(len(at)), u[at], data["floor_measure"], data["log_radon"]], axis=1)
    sums = np.stack([np.bincount(at, weights=column) for column in xy.T], axis=1)
    squares = np.einsum("ci,cj->cij", sums, sums).reshape(len(n), 16)

    def given(a: Floats, s: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Log density, mean (K, 3) and covariance (K, 3, 3) of b, and k (K, counties)."""
        k = a[:, None] ** 2 / (s[:, None] ** 2 + n * a[:, None] ** 2)
        products = (xy.T @ xy - (k @ squares).reshape(-1, 4, 4)) / s[:, None, None] ** 2
        precision, linear = np.eye(3) / COEFFICIENT_SD**2 + products[:, :3, :3], products[:, :3, 3]
        covariance = np.linalg.inv(precision)
        mean = np.einsum("kij,kj->ki", covariance, linear)
        log_scale = (len(at) - len(n)) * np.log(s**2) + np.log(s[:, None] ** 2 + n * a[:, None] ** 2).sum(axis=1)
        log_density = -0.5 * (log_scale + products[:, 3, 3] - (mean * linear).sum(axis=1) + (a**2 + s**2) / SCALE_SD**2)
        return log_density - 0.5 * np.linalg.slogdet(precision)[1], mean, covariance, k

    def near(s: Floats) -> Floats:
        """Zero within a factor of 3, -inf elsewhere: 919 houses know sigma_y to 3 %, and far off the sums cancel."""
        return np.where(np.abs(np.log(s / sigma_y)) < np.log(3), 0.0, -np.inf)

    first = axis_of(lambda a: given(a, np.full_like(a, sigma_y))[0], sigma_alpha, 96)
    second = axis_of(lambda s: near(s) + given(np.full_like(s, sigma_alpha), s)[0], sigma_y, 48)
    a, s = (x.ravel() for x in np.meshgrid(first.value(first.nodes), second.value(second.nodes), indexing="ij"))
    slope = np.outer(first.derivative(first.nodes), second.derivative(second.nodes)).ravel()
    log_density, mean, covariance, k = given(a, s)
    weight = np.exp(log_density - log_density.max()) * slope
    weight /= weight.sum()
    grid = weight.reshape(len(first.nodes), len(second.nodes))

    found: dict[str, Marginal] = {
        name: NormalMixture(weight, mean[:, i], np.sqrt(covariance[:, i, i])) for i, name in enumerate(SCALARS[:3])
    }
    found["sigma_alpha"] = ScaleMarginal(first, grid.sum(axis=1) / first.step)
    found["sigma_y"] = ScaleMarginal(second, grid.sum(axis=0) / second.step)
    for c in range(counties):
        own = n[c] * k[:, c]
        row = np.stack([1 - own, (1 - own) * u[c], -k[:, c] * sums[c, 2]], axis=1)
        variance = np.einsum("ki,kij,kj->k", row, covariance, row) + a**2 * (1 - own)
        found[f"alpha[{c}]"] = NormalMixture(weight, (row * mean).sum(axis=1) + k[:, c] * sums[c, 3], np.sqrt(variance))
    return found
