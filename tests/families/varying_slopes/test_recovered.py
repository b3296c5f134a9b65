"""What is recovered after sampling has the distribution that it has given the rest."""

import numpy as np
import pytest
from scipy import stats

from bench.families.varying_slopes.data import Lines
from bench.families.varying_slopes.recovered import recover_lines, recover_location
from tests.families.varying_slopes.dense import SMALL, design, effects, unbalanced


@pytest.mark.parametrize("dataset", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("further", [{}, {"gamma": 1.2}, {"rho": -0.7}], ids=["independent", "between", "correlated"])
def test_lines_given_the_rest_are_those_of_full_matrices(dataset: Lines, further: dict[str, float]) -> None:
    at = {"alpha": 0.5, "beta": -1.0, "sigma": 0.6, "tau_alpha": 0.9, "tau_beta": 0.4, **further}
    draws = {name: np.full((4, 5000), value) for name, value in at.items()}
    found = np.concatenate(recover_lines(draws, dataset, np.random.default_rng(1)), axis=-1).reshape(20_000, -1)

    x, z = design(dataset, gamma=True)
    where = np.array([at["alpha"], at["beta"], at.get("gamma", 0.0)])
    spread = effects(dataset, {name: np.array([value]) for name, value in at.items()})[0]
    gain = spread @ z.T @ np.linalg.inv(z @ spread @ z.T + at["sigma"] ** 2 * np.eye(len(dataset.y)))
    line = np.concatenate([at["alpha"] + at.get("gamma", 0.0) * dataset.x_means, np.full(dataset.n_groups, at["beta"])])
    mean, covariance = line + gain @ (dataset.y - x @ where), spread - gain @ z @ spread
    sd = np.sqrt(np.diag(covariance))
    deviation = (found - mean) / sd
    assert np.abs(deviation.mean(axis=0)).max() < 5 / np.sqrt(20_000)
    assert np.cov(deviation.T) == pytest.approx(covariance / np.outer(sd, sd), abs=5 * np.sqrt(2 / 20_000))


def test_means_of_the_population_follow_from_those_of_the_groups() -> None:
    found = unbalanced("independent")
    rng = np.random.default_rng(2)
    draws = found.draws(8000, rng)
    for name in ("alpha", "beta"):
        m = draws[f"{name}_g"].mean(axis=1)
        drawn = recover_location(m, draws[f"tau_{name}"], 5, rng)
        assert stats.kstest(drawn[:400], found.marginals[name].cdf).pvalue > 1e-3
        assert np.corrcoef(drawn, m)[0, 1] == pytest.approx(np.corrcoef(draws[name], m)[0, 1], abs=0.05)
