"""The exact posterior against full matrices and brute-force integration."""

import numpy as np
import pytest
from scipy import stats

from bench.arrays import Floats
from bench.correctness.truth import PROBABILITIES
from bench.families.varying_slopes import exact
from bench.families.varying_slopes.data import Lines, simpson
from bench.families.varying_slopes.exact import KNOWN, SCALES, exact_lines
from tests.families.varying_slopes.dense import SMALL, given_scales, unbalanced

targets = pytest.mark.parametrize("target", KNOWN)
datasets = pytest.mark.parametrize("dataset", SMALL.values(), ids=SMALL)


@datasets
@targets
def test_what_follows_from_the_scales_is_that_of_full_matrices(target: str, dataset: Lines) -> None:
    scales = np.exp(np.random.default_rng(1).uniform(-3, 1.5, (3, 20)))
    of_name = dict(zip(SCALES, scales, strict=True))
    log_density, mean, covariance = given_scales(dataset, of_name, gamma=target == "between")
    sums, count = exact._Sums(dataset, target), len(KNOWN[target])
    found = sums.given(scales)
    assert found.log_likelihood == pytest.approx(log_density, rel=1e-9, abs=1e-7)
    assert found.mean == pytest.approx(mean[:, :count], abs=1e-8)
    assert found.covariance == pytest.approx(covariance[:, :count, :count], abs=1e-8)
    (alpha, alpha_var), (beta, beta_var) = sums.lines(scales, found, slice(None))
    assert np.hstack([alpha, beta]) == pytest.approx(mean[:, count:], abs=1e-8)
    variance = np.diagonal(covariance, axis1=1, axis2=2)[:, count:]
    assert np.hstack([alpha_var, beta_var]) == pytest.approx(variance, rel=1e-6, abs=1e-8)


def panels(edges: Floats, count: int) -> tuple[Floats, Floats]:
    """Nodes and weights of the Gauss-Legendre rule on each interval between edges."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = np.diff(edges)[:, None] / 2
    return ((edges[:-1] + edges[1:])[:, None] / 2 + half * nodes).ravel(), (half * weights).ravel()


@targets
@pytest.mark.slow
def test_agrees_with_brute_force(target: str) -> None:
    """Integrate over the scales as they are; what follows from them is tested above."""
    dataset, count = simpson([6, 1, 5]), len(KNOWN[target])
    of_tau = panels(np.array([0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 3, 4, 6, 8, 11, 16]), 6)
    rules = [panels(2.0 ** np.arange(-4, 3.1), 8), of_tau, of_tau]
    nodes = np.stack([x.ravel() for x in np.meshgrid(*(x for x, _ in rules), indexing="ij")])
    weight = np.einsum("i,j,k->ijk", *(w for _, w in rules)).ravel()
    sums = exact._Sums(dataset, target)
    given = sums.given(nodes)
    log_density = given.log_likelihood + stats.halfnorm.logpdf(nodes, scale=2).sum(axis=0)
    (alpha, alpha_var), (beta, beta_var) = sums.lines(nodes, given, slice(None))
    mean = np.hstack([given.mean, alpha, beta])
    variance = np.hstack([np.diagonal(given.covariance, axis1=1, axis2=2), alpha_var, beta_var])
    top = log_density.max()
    weight = weight * np.exp(log_density - top)
    evidence = weight.sum()
    weight /= evidence

    found = exact_lines(dataset, target)
    assert found.log_evidence == pytest.approx(top + np.log(evidence), abs=1e-5)
    truth, centre = found.truth, weight @ mean
    names = [*KNOWN[target], *(f"{name}[{g}]" for name in ("alpha_g", "beta_g") for g in range(3))]
    at = [list(truth.names).index(name) for name in names]
    square = (mean - centre) ** 2
    sd = np.sqrt(weight @ (square + variance))
    assert truth.mean[at] == pytest.approx(centre, abs=1e-5)
    assert truth.sd[at] == pytest.approx(sd, rel=1e-5)
    fourth = weight @ (square**2 + 6 * square * variance + 3 * variance**2)
    assert truth.fourth[at] == pytest.approx(fourth, rel=1e-4)
    for name, values in zip(SCALES, nodes, strict=True):
        column = list(truth.names).index(name)
        expected = weight @ values
        assert truth.mean[column] == pytest.approx(expected, rel=1e-5)
        assert truth.sd[column] == pytest.approx(np.sqrt(weight @ (values - expected) ** 2), rel=1e-5)
    for i in range(count):
        column = list(truth.names).index(names[i])
        below = [weight @ stats.norm.cdf(q, mean[:, i], np.sqrt(variance[:, i])) for q in truth.quantiles[:, column]]
        assert below == pytest.approx(PROBABILITIES, abs=1e-5)


def test_states_an_error_that_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = unbalanced("independent")
    assert fine.error < exact.TOLERANCE
    monkeypatch.setattr(exact, "INTERVALS", (24,))
    coarse = exact_lines.__wrapped__(SMALL["unbalanced"], "independent")
    assert coarse.error > exact.TOLERANCE
    changes = [abs(coarse.marginals[n].mean - m.mean) / m.sd for n, m in fine.marginals.items()]
    assert max(changes) < coarse.error


@targets
def test_draws_are_of_the_posterior(target: str) -> None:
    found = unbalanced(target)
    truth, draws = found.truth, found.draws(2000, np.random.default_rng(2))
    flat = np.column_stack([draws[name] for name in (*found.marginals, "alpha_g", "beta_g")])
    assert np.all(np.abs(flat.mean(axis=0) - truth.mean) < 5 * truth.sd / np.sqrt(2000))
    spread = np.sqrt(truth.fourth / truth.sd**4 - 1)
    assert np.all(np.abs(flat.var(axis=0) / truth.sd**2 - 1) < 5 * spread / np.sqrt(2000))
    for name in KNOWN[target]:
        assert stats.kstest(draws[name][:200], found.marginals[name].cdf).pvalue > 1e-3


@pytest.mark.slow
@targets
def test_many_groups(target: str) -> None:
    dataset = simpson([20] * 1000)
    found = exact_lines(dataset, target)
    assert found.error < exact.TOLERANCE
    truth = found.truth
    slopes = truth.mean[[name.startswith("beta_g") for name in truth.names]]
    assert np.corrcoef(slopes, dataset.slope_data / np.sqrt(dataset.x_ss))[0, 1] > 0.8
    assert truth.known("sigma")["mean"] == pytest.approx(0.5, abs=0.02)
