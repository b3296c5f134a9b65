import numpy as np
import pytest

from bench.correctness import diagnostics


@pytest.fixture(scope="module")
def draws():
    """Draws of shape (4, 500, 2): one independent quantity and one with autocorrelation 0.9."""
    rng = np.random.default_rng(5)
    slow = rng.normal(size=(4, 500))
    for i in range(1, 500):
        slow[:, i] = 0.9 * slow[:, i - 1] + np.sqrt(1 - 0.81) * slow[:, i]
    return np.stack([rng.normal(size=(4, 500)), slow], axis=-1)


def test_ess_of_independent_and_of_autocorrelated_draws(draws):
    independent, slow = diagnostics.ess(draws, "bulk")
    assert independent == pytest.approx(2000, rel=0.15)
    assert slow == pytest.approx(2000 * 0.1 / 1.9, rel=0.35)


def test_tail_ess_is_that_of_the_5_and_95_percent_quantiles_on_every_arviz(draws):
    below = [draws <= np.quantile(draws, prob, axis=(0, 1)) for prob in diagnostics.TAIL]
    quantiles = [diagnostics.ess(each, "mean") for each in below]
    np.testing.assert_allclose(diagnostics.ess(draws, "tail"), np.min(quantiles, axis=0))


def test_rhat_sees_a_chain_elsewhere(draws):
    assert diagnostics.rhat(draws)[0] < 1.01
    moved = draws + np.array([0, 0, 0, 3.0])[:, None, None]
    assert diagnostics.rhat(moved)[0] > 1.2


def test_mcse_of_independent_normal_draws(draws):
    assert diagnostics.mcse(draws[..., 0]) == pytest.approx(1 / np.sqrt(2000), rel=0.15)


def test_arrays_of_any_shape_keep_it():
    draws = np.random.default_rng(0).normal(size=(2, 100, 3, 2))
    assert diagnostics.ess(draws).shape == (3, 2)
    assert diagnostics.rhat(draws).shape == (3, 2)
    assert diagnostics.mcse(draws).shape == (3, 2)


def test_ebfmi_by_chain_is_two_for_independent_energies_and_low_for_a_random_walk():
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(2, 2000))
    assert diagnostics.ebfmi(steps) == pytest.approx([2, 2], rel=0.1)
    assert np.all(diagnostics.ebfmi(np.cumsum(steps, axis=1)) < 0.1)


def test_draws_that_never_move_have_no_estimates_and_raise_nothing():
    still = np.full((4, 100), 3.0)
    assert not diagnostics.rhat(still) <= 1.01
    assert diagnostics.mcse(still) == 0 or np.isnan(diagnostics.mcse(still))
    assert np.isnan(diagnostics.rhat(np.full((4, 100), np.nan)))
