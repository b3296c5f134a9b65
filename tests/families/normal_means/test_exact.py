"""The exact posterior against dense linear algebra and brute-force integration."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.arrays import Floats
from bench.correctness.quadrature import Marginal
from bench.correctness.truth import PROBABILITIES
from bench.families.normal_means import exact
from bench.families.normal_means.data import Groups, normal_means
from bench.families.normal_means.exact import ExactPosterior, exact_posterior

POSTERIORS = ("superpopulation", "finite_population")
SCALARS = ("mu", "sigma", "omega")
SMALL = {
    "unbalanced": normal_means(1.0, [3, 1, 4, 2]),
    "two groups": normal_means(0.3, [2, 3]),
    "omega far below sigma": normal_means(1e-3, [3, 4, 2]),
    "sigma 0.01": normal_means(3.0, [2, 4, 3], sigma=0.01),
    "nearly one observation a group": normal_means(1.0, [1, 1, 1, 1, 2]),
    "prior far from the data": normal_means(1.0, [3, 2], mean=12.0),
}


def dense(dataset: Groups, posterior: str, sigma: Floats, omega: Floats) -> tuple[Floats, Floats, Floats]:
    """Log p(y | sigma, omega), mean (K, 1 + G) and covariance (K, 1 + G, 1 + G) of (mu, mu_g), by full matrices."""
    n_groups = dataset.n_groups
    ones = np.ones((n_groups, n_groups))
    spread = np.eye(n_groups) - (ones / n_groups if posterior == "finite_population" else 0)
    prior = np.ones((len(sigma), 1 + n_groups, 1 + n_groups))
    prior[:, 1:, 1:] += omega[:, None, None] ** 2 * spread
    design = np.eye(1 + n_groups)[1 + dataset.group]  # (N, 1 + G)
    with_y = prior @ design.T
    covariance = design @ with_y + sigma[:, None, None] ** 2 * np.eye(len(dataset.y))
    weights = np.linalg.solve(covariance, np.broadcast_to(dataset.y[:, None], (len(sigma), len(dataset.y), 1)))[..., 0]
    log_density = -0.5 * (np.linalg.slogdet(2 * np.pi * covariance)[1] + weights @ dataset.y)
    mean = np.einsum("kiy,ky->ki", with_y, weights)
    return log_density, mean, prior - with_y @ np.linalg.solve(covariance, np.swapaxes(with_y, 1, 2))


def panels(edges: Floats, count: int) -> tuple[Floats, Floats]:
    """Nodes and weights of the Gauss-Legendre rule on each interval between edges."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = np.diff(edges)[:, None] / 2
    return ((edges[:-1] + edges[1:])[:, None] / 2 + half * nodes).ravel(), (half * weights).ravel()


def brute_force(dataset: Groups, posterior: str) -> dict[str, Any]:
    """Integrate over sigma and omega as they are, on panels of doubling length."""
    sigma, sigma_weight = panels(2.0 ** np.arange(-10, 4.1), 14)  # where observations repeat, it is not nearer to 0
    omega, omega_weight = panels(np.concatenate([[0], 2.0 ** np.arange(-13, 7.1)]), 14)
    sigma, omega = (x.ravel() for x in np.meshgrid(sigma, omega, indexing="ij"))
    weight = np.outer(sigma_weight, omega_weight).ravel()
    log_likelihood, mean, covariance = dense(dataset, posterior, sigma, omega)
    log_density = log_likelihood + stats.halfnorm.logpdf(sigma) + stats.halfnorm.logpdf(omega, scale=10)
    top = log_density.max()
    weight = weight * np.exp(log_density - top)
    evidence = weight.sum()
    weight /= evidence
    centre = weight @ mean
    deviation = mean - centre
    moments = {
        name: (weight @ x, np.sqrt(weight @ (x - weight @ x) ** 2)) for name, x in (("sigma", sigma), ("omega", omega))
    }
    return {
        "log_evidence": top + np.log(evidence),
        "mean": centre,
        "covariance": np.tensordot(weight, covariance, 1) + (weight[:, None] * deviation).T @ deviation,
        "moments": moments,
        "cdf": {
            "mu": lambda x: weight @ stats.norm.cdf(x, mean[:, 0], np.sqrt(covariance[:, 0, 0])),
            "mu_g[1]": lambda x: weight @ stats.norm.cdf(x, mean[:, 2], np.sqrt(covariance[:, 2, 2])),
        },
    }


EACH = [
    pytest.param((name, posterior), marks=[] if i < 2 else [pytest.mark.slow], id=f"{name} {posterior}")
    for i, name in enumerate(SMALL)
    for posterior in POSTERIORS
]


@pytest.fixture(scope="module", params=EACH)
def case(request: pytest.FixtureRequest) -> tuple[ExactPosterior, dict[str, Any]]:
    name, posterior = request.param
    return exact_posterior(SMALL[name], posterior), brute_force(SMALL[name], posterior)


def test_agrees_with_brute_force(case: tuple[ExactPosterior, dict[str, Any]]) -> None:
    result, truth = case
    assert result.log_evidence == pytest.approx(truth["log_evidence"], abs=1e-7)
    sds = np.sqrt(np.diag(truth["covariance"]))
    assert [result.marginals["mu"].mean, *result.mu_g_mean] == pytest.approx(truth["mean"], abs=1e-7 * sds.max())
    assert [result.marginals["mu"].sd, *result.mu_g_sd] == pytest.approx(sds, rel=1e-6)
    for name in ("sigma", "omega"):
        assert (result.marginals[name].mean, result.marginals[name].sd) == pytest.approx(
            truth["moments"][name], rel=1e-6
        )
    for p in (1e-3, 0.03, 0.5, 0.97):
        assert truth["cdf"]["mu"](result.marginals["mu"].quantile(p)) == pytest.approx(p, abs=1e-7)
        assert truth["cdf"]["mu_g[1]"](result.group(1).quantile(p)) == pytest.approx(p, abs=1e-7)


def test_draws_have_the_joint_moments(case: tuple[ExactPosterior, dict[str, Any]]) -> None:
    result, truth = case
    draws = result.draws(20_000, np.random.default_rng(1))
    deviation = np.column_stack([draws["mu"], draws["mu_g"]]) - truth["mean"]
    assert np.all(np.abs(deviation.mean(axis=0)) < 5 * deviation.std(axis=0) / np.sqrt(20_000))
    products = deviation[:, :, None] * deviation[:, None, :]
    error = 5 * products.std(axis=0) / np.sqrt(20_000)
    assert np.all(np.abs(products.mean(axis=0) - truth["covariance"]) < error)


def test_draws_have_the_distribution(case: tuple[ExactPosterior, dict[str, Any]]) -> None:
    result, _ = case
    draws = result.draws(3000, np.random.default_rng(2))
    assert result.draws_error < 1e-3
    for name in SCALARS:
        assert stats.kstest(draws[name], lambda x, name=name: result.marginals[name].cdf(x)).pvalue > 1e-4
    assert stats.kstest(draws["mu_g"][:, 1], result.group(1).cdf).pvalue > 1e-4


@pytest.mark.parametrize("name", ["unbalanced", "sigma 0.01"])
def test_cdf_of_scales_is_the_integral_of_the_marginal(name: str) -> None:
    """Of omega, up to a point, by a quadrature that knows nothing of the grid."""
    dataset = SMALL[name]
    result = exact_posterior(dataset, "superpopulation")
    nodes, weights = panels(
        np.concatenate([[0], result.marginals["sigma"].quantile(0.5) * 2.0 ** np.arange(-3, 10)]), 20
    )
    for p in (0.03, 0.5, 0.97):
        x, w = panels(result.marginals["omega"].quantile(p) * np.concatenate([[0], 2.0 ** np.arange(-8, 0.1)]), 12)
        sigma, omega = (axis.ravel() for axis in np.meshgrid(nodes, x, indexing="ij"))
        log_density = dense(dataset, "superpopulation", sigma, omega)[0] - result.log_evidence
        log_density += stats.halfnorm.logpdf(sigma) + stats.halfnorm.logpdf(omega, scale=10)
        assert np.outer(weights, w).ravel() @ np.exp(log_density) == pytest.approx(p, abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=6).filter(lambda sizes: sum(sizes) > 2),
    log_sigma=st.floats(-5, 4),
    log_omega=st.floats(-12, 6),
    posterior=st.sampled_from(POSTERIORS),
    seed=st.integers(0, 1000),
)
def test_conditionals_agree_with_dense_algebra(
    sizes: list[int], log_sigma: float, log_omega: float, posterior: str, seed: int
) -> None:
    dataset = normal_means(1.0, sizes, seed)
    sigma, omega = np.exp([log_sigma]), np.exp([log_omega])
    groups = exact._Groups(dataset, posterior)
    found, (log_density, mean, covariance) = groups.given(sigma, omega), dense(dataset, posterior, sigma, omega)
    variance = np.diag(covariance[0])
    assert found.log_likelihood == pytest.approx(log_density, rel=1e-7, abs=1e-7)
    assert found.mu_mean == pytest.approx(mean[:, 0], abs=1e-6)
    # the dense solution loses the digits that a prior variance omega^2 + 1 far above the posterior's costs
    lost = 1e-11 * (1 + omega[0] ** 2)
    assert found.mu_var == pytest.approx(covariance[:, 0, 0], rel=1e-6, abs=lost)
    means, sds = groups.means_and_sds(found, np.ones(1), sigma, omega)
    assert means == pytest.approx(mean[0, 1:], abs=1e-6 + lost)
    assert sds**2 == pytest.approx(variance[1:], rel=1e-6, abs=lost)


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("n_groups", [50, 1000])
def test_ridge_of_one_observation_a_group(n_groups: int, posterior: str) -> None:
    """Data then tell sigma^2 + omega^2 alone; in polar coordinates the integral is easy."""
    dataset = normal_means(1.0, [1] * n_groups)
    result = exact_posterior(dataset, posterior)
    y, centre = dataset.y, dataset.y.mean()
    radius, radius_weight = panels(np.linspace(0.4, 4.0, 61), 12)
    angle, angle_weight = panels(np.linspace(0, np.pi / 2, 11), 12)
    sigma, omega = radius[:, None] * np.cos(angle), radius[:, None] * np.sin(angle)
    variance = radius[:, None] ** 2
    of_sum = variance / n_groups + 1 - (omega**2 / n_groups if posterior == "finite_population" else 0)  # of the mean
    log_density = (
        stats.halfnorm.logpdf(sigma)
        + stats.halfnorm.logpdf(omega, scale=10)
        - 0.5 * (n_groups - 1) * np.log(2 * np.pi * variance)
        - 0.5 * np.sum((y - centre) ** 2) / variance
        - 0.5 * np.log(2 * np.pi * n_groups * of_sum)
        - 0.5 * centre**2 / of_sum
    )
    weight = np.outer(radius_weight * radius, angle_weight) * np.exp(log_density - log_density.max())
    assert result.log_evidence == pytest.approx(np.log(weight.sum()) + log_density.max(), abs=1e-8)
    for name, value in (("sigma", sigma), ("omega", omega)):
        mean = np.sum(weight * value) / weight.sum()
        assert result.marginals[name].mean == pytest.approx(mean, rel=1e-7)
        assert result.marginals[name].sd == pytest.approx(
            np.sqrt(np.sum(weight * (value - mean) ** 2) / weight.sum()), rel=1e-7
        )


def test_check_figures() -> None:
    dataset = normal_means(1.0, [20] * 5)
    superpopulation, finite = (exact_posterior(dataset, posterior) for posterior in POSTERIORS)
    assert finite.marginals["omega"].mean == pytest.approx(1.2410, abs=5e-5)
    assert superpopulation.marginals["omega"].mean == pytest.approx(1.3142, abs=5e-5)
    assert superpopulation.marginals["mu"].mean == pytest.approx(1.3200, abs=5e-5)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_states_its_error(posterior: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = normal_means(0.3, [20, 5, 9, 1])
    fine = exact_posterior(dataset, posterior)
    assert max(fine.error.values()) < exact.TOLERANCE
    monkeypatch.setattr(exact, "INTERVALS", (48,))
    coarse = exact_posterior(dataset, posterior)
    assert exact.TOLERANCE < max(coarse.error.values()) < np.inf

    def within(summary: Callable[[Marginal], float], stated: str) -> bool:
        pairs = [(coarse.marginals[name], fine.marginals[name]) for name in SCALARS]
        changes = [abs(summary(a) - summary(b)) / b.sd for a, b in pairs]
        return max(changes) <= coarse.error[stated] + 1e-9

    assert within(lambda of: of.mean, "mean")
    assert within(lambda of: of.sd, "sd")
    assert all(within(lambda of, p=p: of.quantile(p), "quantile") for p in PROBABILITIES)
    assert abs(coarse.log_evidence - fine.log_evidence) <= coarse.error["log_evidence"] + 1e-9


@pytest.mark.parametrize("sizes", [[20] * 500, list(range(1, 501)), [1] * 500])
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_many_groups(sizes: list[int], posterior: str) -> None:
    dataset = normal_means(0.4, sizes)
    result = exact_posterior(dataset, posterior)
    assert max(result.error.values()) < exact.TOLERANCE
    draws = result.draws(1000, np.random.default_rng(3))
    z = (draws["mu_g"].mean(axis=0) - result.mu_g_mean) / (result.mu_g_sd / np.sqrt(1000))
    assert np.abs(z).max() < 5
    assert draws["mu_g"].std(axis=0) == pytest.approx(result.mu_g_sd, rel=0.15)
    if posterior == "finite_population":
        assert draws["mu_g"].mean(axis=1) == pytest.approx(draws["mu"], abs=1e-12)
        assert result.mu_g_mean.mean() == pytest.approx(result.marginals["mu"].mean, abs=1e-9)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_far_fewer_digits_than_data(posterior: str) -> None:
    """A million observations: the posterior is a thousandth as wide as the grid's first range."""
    dataset = normal_means(1.0, [20_000] * 50)
    result = exact_posterior(dataset, posterior)
    pooled = np.sqrt(dataset.within_ss / (len(dataset.y) - 50))
    assert result.marginals["sigma"].mean == pytest.approx(pooled, abs=2e-6)
    assert result.marginals["sigma"].sd == pytest.approx(pooled / np.sqrt(2e6), rel=1e-3)
    assert result.mu_g_mean == pytest.approx(dataset.means, abs=1e-4)


def test_order_of_groups_does_not_matter() -> None:
    dataset = normal_means(1.0, [3, 1, 4, 2])
    order = np.array([2, 0, 3, 1])
    permuted = Groups(id="permuted", y=dataset.y, group=order[dataset.group], labels=tuple("abcd"))
    one, other = (exact_posterior(data, "superpopulation") for data in (dataset, permuted))
    assert other.log_evidence == pytest.approx(one.log_evidence, abs=1e-10)
    assert other.mu_g_mean[order] == pytest.approx(one.mu_g_mean, abs=1e-10)


@pytest.mark.parametrize("omega", [0.01, 1.0])
def test_hdi_is_the_shortest_interval(omega: float) -> None:
    result = exact_posterior(normal_means(omega, [20] * 8), "superpopulation")
    for marginal in (*result.marginals.values(), result.group(0)):
        lower, upper = marginal.hdi(0.9)
        assert marginal.cdf(upper) - marginal.cdf(lower) == pytest.approx(0.9, abs=1e-9)
        assert all(
            upper - lower <= marginal.quantile(below + 0.9) - marginal.quantile(below) + 1e-12
            for below in np.linspace(0.001, 0.099, 15)
        )


def test_cdf_outside_of_the_support() -> None:
    result = exact_posterior(normal_means(1.0, [20] * 5), "superpopulation")
    for name in ("sigma", "omega"):
        assert result.marginals[name].cdf([-1.0, 0.0, 1e6]) == pytest.approx([0, 0, 1], abs=1e-9)
