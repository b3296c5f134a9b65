"""A truth from reference draws: what it says, and that what it does not know is in the errors."""

import numpy as np
import pytest
from scipy import stats

from bench.arrays import Floats
from bench.correctness.grading import bound, grade
from bench.correctness.reference_draws import truth_from_draws
from bench.correctness.truth import PROBABILITIES, Truth

NAMES = ("normal", "skewed", "tailed")


def draws(rng: np.random.Generator, count: int, stay: float = 0.0) -> dict[str, Floats]:
    """Four chains of three known distributions, each draw kept for another step with probability `stay`."""
    moves = rng.random((4, count)) >= stay
    moves[:, 0] = True
    index = np.cumsum(moves).reshape(moves.shape) - 1
    size = int(moves.sum())
    independent = (rng.normal(3, 2, size), rng.gamma(2.0, size=size), rng.standard_t(8, size))
    return {name: x[index] for name, x in zip(NAMES, independent, strict=True)}


def test_it_is_what_the_draws_are() -> None:
    given = draws(np.random.default_rng(1), 1000)
    truth = truth_from_draws(given, "some file")
    assert (truth.kind, truth.source, tuple(truth.names)) == ("reference draws", "some file", NAMES)
    for at, (name, x) in enumerate(given.items()):
        assert truth.mean[at] == pytest.approx(x.mean())
        assert truth.sd[at] == pytest.approx(x.std())
        assert truth.fourth[at] == pytest.approx(stats.moment(x.ravel(), 4))
        assert truth.quantiles[:, at] == pytest.approx(np.quantile(x, PROBABILITIES))
        assert truth.known(name)["q97"] == pytest.approx(np.quantile(x, 0.97))
    assert truth.ess_quantile.shape == (3, 3)


def test_it_knows_how_much_it_rests_on() -> None:
    independent = truth_from_draws(draws(np.random.default_rng(2), 1000))
    slow = truth_from_draws(draws(np.random.default_rng(2), 1000, stay=0.8))
    assert independent.ess_mean == pytest.approx([4000] * 3, rel=0.15)
    assert slow.ess_mean == pytest.approx([4000 / 9] * 3, rel=0.4)  # (1 - 0.8) / (1 + 0.8)
    assert np.all(slow.ess_sd < independent.ess_sd)
    assert np.all(slow.ess_quantile < independent.ess_quantile)


def spread(truths: list[Truth], rng: np.random.Generator, count: int) -> dict[str, float]:
    """Root mean square of the z-scores of correct fits, each held against a truth of its own."""
    graded = [grade(draws(rng, count), truth).z for truth in truths]
    always = [name for name in graded[0] if all(name in z for z in graded)]
    return {name: float(np.sqrt(np.mean([z[name] ** 2 for z in graded]))) for name in always}


@pytest.mark.slow
@pytest.mark.parametrize("reference", [250, 1000, 4000])
def test_scores_of_correct_fits_are_standard_normal_in_size(reference: int) -> None:
    """Whether the truth rests on fewer draws than the fit, as many, or more."""
    rng = np.random.default_rng(3)
    truths = [truth_from_draws(draws(rng, reference, stay=0.5)) for _ in range(120)]
    sizes = spread(truths, rng, 1000)
    assert {name for name in sizes if name.endswith(" sd")} == {"normal sd"}  # the others may have heavy tails
    assert len(sizes) == 3 * (1 + 3) + 1
    assert np.array(list(sizes.values())) == pytest.approx(1, abs=0.3)  # 120 each: an sd of 0.065, and ESS is estimated
    assert np.sqrt(np.mean(np.square(list(sizes.values())))) == pytest.approx(1, abs=0.12)


def discrete(rng: np.random.Generator, count: int) -> dict[str, Floats]:
    """Four chains of a constant, of two values with the same chance, of a rare event, and of a count."""
    size = (4, count)
    return {
        "constant": np.full(size, 0.3),
        "coin": rng.permuted(np.tile([0.0, 1.0], (4, count // 2)), axis=1),
        "rare": (rng.random(size) < 0.001).astype(float),
        "count": rng.poisson(2.0, size).astype(float),
    }


def test_discrete_and_constant_quantities_raise_no_false_alarm() -> None:
    rng = np.random.default_rng(6)
    fit = discrete(rng, 1000) | {"coin": rng.integers(0, 2, (4, 1000)).astype(float)}
    result = grade(fit, truth_from_draws(discrete(rng, 2500)))
    assert set(result.z) == {"coin mean", "coin 50%", "rare mean", "count mean", "count sd"}
    assert all(np.isfinite(list(result.z.values())))
    assert not result.biased


def test_discrete_quantities_that_are_off_are_found() -> None:
    rng = np.random.default_rng(7)
    off = discrete(rng, 1000) | {"rare": (rng.random((4, 1000)) < 0.02).astype(float)}
    assert grade(off, truth_from_draws(discrete(rng, 2500))).worst == "rare mean"
    assert grade(off, truth_from_draws(discrete(rng, 2500))).biased


def test_few_reference_draws_taken_for_exact_would_raise_alarms() -> None:
    rng = np.random.default_rng(4)
    known = [truth_from_draws(draws(rng, 250)) for _ in range(20)]
    believed = [Truth("exact", t.names, t.mean, t.sd, t.fourth, t.quantiles) for t in known]
    assert spread(believed, rng, 1000)["normal mean"] > 1.7  # sqrt(1 + 1000 / 250) = 2.2
    assert spread(known, rng, 1000)["normal mean"] < 1.6


def test_a_fit_that_is_off_is_found_as_far_as_the_reference_can_tell() -> None:
    rng = np.random.default_rng(5)
    fit = draws(rng, 1000)
    fit["normal"] = fit["normal"] + 0.3  # 0.15 sds, 9 errors of the fit's own
    long, short = (truth_from_draws(draws(rng, count)) for count in (10_000, 25))
    assert grade(fit, long).worst == "normal mean"
    assert grade(fit, long).biased
    assert not grade(fit, short).biased
    assert bound(15, 4000) < grade(fit, long).largest
