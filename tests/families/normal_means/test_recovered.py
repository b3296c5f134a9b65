"""Recovery of the superpopulation mean and of the group means, against the exact posterior."""

import numpy as np
import pytest
from scipy import integrate, stats

from bench.families.normal_means.data import Groups, normal_means
from bench.families.normal_means.exact import exact_posterior
from bench.families.normal_means.recovered import recover_mu, recover_mu_g, reweighted_population_mean

DATASETS = {
    "balanced": normal_means(1.0, [20] * 5),
    "unbalanced": normal_means(0.5, [3, 1, 20, 2, 7, 1]),
    "omega far below sigma": normal_means(0.01, [20] * 10),
    "wide": normal_means(10.0, [5] * 8),
    "far from the prior": normal_means(1.0, [20] * 5, mean=4.0),
}
EACH = pytest.mark.parametrize(
    "dataset",
    [
        pytest.param(dataset, marks=[] if "balanced" in name else [pytest.mark.slow], id=name)
        for name, dataset in DATASETS.items()
    ],
)


@EACH
def test_superpopulation_draws_give_its_mu(dataset: Groups) -> None:
    result = exact_posterior(dataset, "superpopulation")
    rng = np.random.default_rng(1)
    draws = result.draws(40_000, rng)
    # the zero-sum models' m is the mean of the groups
    m, omega = (x.reshape(4, -1) for x in (draws["mu_g"].mean(axis=1), draws["omega"]))
    mu = recover_mu(m, omega, dataset.n_groups, rng)
    assert mu.shape == m.shape
    assert stats.kstest(mu.ravel()[::20], lambda x: result.marginals["mu"].cdf(x)).pvalue > 1e-3
    assert mu.mean() == pytest.approx(result.marginals["mu"].mean, abs=4 * result.marginals["mu"].sd / 200)
    covariance = np.cov(mu.ravel(), omega.ravel()) - np.cov(draws["mu"], draws["omega"])
    assert abs(covariance[0, 1]) < 8 * result.marginals["mu"].sd * result.marginals["omega"].sd / 200


@EACH
def test_reweighted_finite_population_draws_give_the_superpopulation_mu(dataset: Groups) -> None:
    finite, superpopulation = (exact_posterior(dataset, name) for name in ("finite_population", "superpopulation"))
    rng = np.random.default_rng(2)
    draws = finite.draws(40_000, rng)
    mu, omega = (draws[name].reshape(4, -1) for name in ("mu", "omega"))
    found = reweighted_population_mean(mu, omega, dataset.n_groups, rng)
    mean, sd = superpopulation.marginals["mu"].mean, superpopulation.marginals["mu"].sd
    assert 400 < found.ess < 45_000
    error = sd / np.sqrt(found.ess)
    assert found.mean == pytest.approx(mean, abs=4 * error)
    assert found.sd == pytest.approx(sd, abs=8 * error)
    for p, value in found.quantiles.items():
        assert superpopulation.marginals["mu"].cdf(value) == pytest.approx(
            p, abs=4 * np.sqrt(p * (1 - p) / found.ess) + 1e-4
        )


@pytest.mark.slow
def test_ess_is_that_of_the_estimate_over_replicates() -> None:
    dataset = DATASETS["unbalanced"]
    finite = exact_posterior(dataset, "finite_population")
    superpopulation = exact_posterior(dataset, "superpopulation")
    rng = np.random.default_rng(3)
    found = []
    for _ in range(100):
        draws = finite.draws(800, rng)
        mu, omega = (np.repeat(draws[name].reshape(4, -1), 3, axis=1) for name in ("mu", "omega"))
        found.append(reweighted_population_mean(mu, omega, dataset.n_groups, rng))
    variance = np.mean([(each.mean - superpopulation.marginals["mu"].mean) ** 2 for each in found])
    true_ess = superpopulation.marginals["mu"].sd ** 2 / variance
    assert np.median([each.ess for each in found]) == pytest.approx(true_ess, rel=0.45)


@pytest.mark.parametrize(("m", "omega"), [(0.3, 0.1), (-2.0, 1.0), (1.5, 3.0), (4.0, 20.0)])
def test_mu_given_m_is_prior_times_likelihood(m: float, omega: float) -> None:
    """By a grid over mu ~ normal(0, 1), m ~ normal(mu, omega / sqrt(G)), which knows no conjugate formula."""
    grid = np.linspace(-8, 8, 20_001)
    density = stats.norm.pdf(grid) * stats.norm.pdf(m, grid, omega / np.sqrt(5))
    below = np.cumsum(density) / density.sum()
    drawn = recover_mu(np.full((4, 2000), m), np.full((4, 2000), omega), 5, np.random.default_rng(5))
    assert stats.kstest(drawn.ravel(), lambda x: np.interp(x, grid, below)).pvalue > 1e-3


def test_draws_are_weighted_by_the_ratio_of_the_two_densities_of_m() -> None:
    """Two places, half of the draws at each: their shares in the mean are the ratios, by an integral over mu."""
    at, omegas = (0.5, -1.5), (0.2, 2.0)
    q = [omega**2 / 5 for omega in omegas]
    grid = np.linspace(-12, 12, 20_001)
    superpopulation = [
        integrate.trapezoid(stats.norm.pdf(grid) * stats.norm.pdf(m, grid, np.sqrt(v)), grid)
        for m, v in zip(at, q, strict=True)
    ]
    weight = np.array(superpopulation) / stats.norm.pdf(at)  # in the finite population m ~ normal(0, 1)
    given = [
        integrate.trapezoid(grid * stats.norm.pdf(grid) * stats.norm.pdf(m, grid, np.sqrt(v)), grid) / norm
        for m, v, norm in zip(at, q, superpopulation, strict=True)
    ]
    expected = float(weight @ given / weight.sum())
    assert abs(expected - np.mean(given)) > 0.05  # equal weights would show
    m, omega = (np.tile(values, (4, 10_000)) for values in (at, omegas))
    found = reweighted_population_mean(m, omega, 5, np.random.default_rng(6))
    assert found.mean == pytest.approx(expected, abs=4 * found.sd / np.sqrt(found.ess))


def test_large_weights_do_not_overflow() -> None:
    rng = np.random.default_rng(4)
    m, omega = rng.normal(300, 1, (4, 100)), np.exp(rng.normal(3, 1, (4, 100)))
    found = reweighted_population_mean(m, omega, 5, rng)
    assert np.isfinite([found.mean, found.sd, found.ess]).all()
    assert found.ess < 20


@pytest.mark.parametrize("posterior", ["superpopulation", "finite_population"])
@EACH
def test_group_means_given_the_rest_are_those_of_the_posterior(dataset: Groups, posterior: str) -> None:
    exact = exact_posterior(dataset, posterior)
    rng = np.random.default_rng(7)
    drawn = exact.draws(20_000, rng)
    draws = {name: drawn[name].reshape(4, -1) for name in ("mu", "sigma", "omega")}
    mu_g = recover_mu_g(draws, dataset, rng, zero_sum=posterior == "finite_population")
    assert mu_g.shape == (4, 5000, dataset.n_groups)
    for g in (0, dataset.n_groups - 1):
        assert stats.kstest(mu_g[..., g].ravel()[::4], exact.group(g).cdf).pvalue > 1e-3
    if posterior == "finite_population":
        assert mu_g.mean(axis=-1) == pytest.approx(draws["mu"], rel=1e-9, abs=1e-9)
    together = [np.cov(mu_g[..., 0].ravel(), draws[name].ravel())[0, 1] for name in draws]
    expected = [np.cov(drawn["mu_g"][:, 0], drawn[name])[0, 1] for name in draws]
    sds = [exact.mu_g_sd[0] * exact.marginals[name].sd for name in draws]
    assert np.array(together) / sds == pytest.approx(np.array(expected) / sds, abs=8 / np.sqrt(20_000))
