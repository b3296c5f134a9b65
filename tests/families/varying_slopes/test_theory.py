"""What is said of lines before anything is sampled."""

from dataclasses import replace

import numpy as np
import pytest

from bench.families.normal_means.theory import Estimate
from bench.families.varying_slopes.data import simpson
from bench.families.varying_slopes.exact import exact_lines
from bench.families.varying_slopes.theory import Seen, look

SMALL = simpson([3, 8, 20], seed=3)


@pytest.mark.parametrize(
    ("intercepts", "slopes", "theory", "said"),
    [
        (40.0, 5.0, "centered", "both well above 1"),
        (0.2, 0.01, "noncentered", "both well below 1"),
        (40.0, 1.0, "undecided", "where theory leaves the parameterization open"),
        (40.0, 0.1, "undecided", "centered intercepts and noncentered slopes, which no model here has"),
    ],
)
def test_theory_goes_by_both_effects(intercepts: float, slopes: float, theory: str, said: str) -> None:
    information = {"intercepts": Estimate(intercepts, 0.0, 99.0), "slopes": Estimate(slopes, 0.0, 99.0)}
    seen = Seen({}, information, assumed_independent=False)
    assert seen.theory == theory
    assert said in seen.theory_says


@pytest.mark.slow
def test_information_is_what_data_take_off_the_variance_of_an_effect() -> None:
    """Against the covariance of both effects given the data, by a matrix of 2 x 2 for each group."""
    dataset = SMALL
    draws = exact_lines(dataset, "independent").draws(1000, np.random.default_rng(1))
    found = np.empty((1000, 3, 2))
    for i in range(1000):
        sigma, taus = draws["sigma"][i], np.array([draws["tau_alpha"][i], draws["tau_beta"][i]])
        for g in range(3):
            design = np.stack([np.ones_like(dataset.x), dataset.x], axis=1)[dataset.group == g]
            covariance = np.linalg.inv(design.T @ design / sigma**2 + np.diag(taus**-2))
            found[i, g] = taus**2 / np.diag(covariance) - 1
    expected = np.quantile(np.median(found, axis=1), 0.5, axis=0)
    seen = look(dataset, "independent").information
    assert [seen["intercepts"].median, seen["slopes"].median] == pytest.approx(expected, rel=1e-9)


def test_correlated_effects_are_looked_at_as_if_they_were_independent() -> None:
    dataset = SMALL
    seen = look(dataset, "correlated")
    assert "as if effects were independent" in next(seen.lines())
    assert replace(seen, assumed_independent=False) == look(dataset, "independent")
