"""The statistics of a comparison, against SciPy, published examples and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.comparing.aa import Noise, false_alarms
from bench.comparing.statistics import (
    Contrast,
    holm,
    mean_of,
    mean_over_rounds,
    moderate,
    paired,
    rate_ratio,
    true_ess,
    welch,
)

RNG = np.random.default_rng(7)


def test_paired_is_students_t_on_log_ratios() -> None:
    a, b = np.exp(RNG.normal(size=(2, 8)))
    expected = stats.ttest_rel(np.log(b), np.log(a))
    contrast = paired(a, b)
    assert contrast.p == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert contrast.mean - contrast.half_width() == pytest.approx(low)
    assert contrast.mean + contrast.half_width() == pytest.approx(high)


def test_welch_is_scipys() -> None:
    a, b = np.exp(RNG.normal(0, 0.1, 5)), np.exp(RNG.normal(0.2, 0.6, 12))
    expected = stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
    contrast = welch(a, b)
    assert contrast.p == pytest.approx(expected.pvalue)
    assert contrast.df == pytest.approx(expected.df)
    assert contrast.half_width() == pytest.approx(np.diff(expected.confidence_interval(0.95))[0] / 2)


@pytest.mark.parametrize("contrast", [paired([2.0], [3.0]), welch([2.0], [3.0, 4.0]), mean_of([0.5])])
def test_one_value_has_no_interval(contrast: Contrast) -> None:
    assert math.isnan(contrast.p)
    assert contrast.half_width() == math.inf
    assert contrast.more_needed(0.1) >= 1


def test_identical_pairs_are_surely_the_same() -> None:
    assert paired([1.0, 2.0], [1.0, 2.0]).p == 1
    assert paired([1.0, 2.0], [1.0, 2.0]).half_width() == 0


def test_a_spread_of_nothing_about_a_difference_is_an_unknown_one() -> None:
    found = welch([1.0, 1.0], [2.0, 2.0])
    assert math.isnan(found.p)
    assert found.interval is None


def test_a_round_of_which_no_case_tells_the_spread_leaves_it_unknown() -> None:
    assert not mean_over_rounds([{0: 0.05}, {1: 0.02}]).known
    assert not mean_over_rounds([{0: 0.05, 1: 0.04}, {2: 0.02}]).known


@pytest.mark.parametrize("rounds", [2, 3, 5])
def test_a_mean_over_rounds_of_which_cases_lack_some_is_called_different_as_often_as_it_should_be(rounds: int) -> None:
    rng = np.random.default_rng(rounds)
    false = known = 0
    for _ in range(600):
        shared = rng.normal(0, 0.05, rounds)
        cases = [{at: shared[at] + rng.normal(0, 0.1) for at in range(rounds) if rng.random() > 0.25} for _ in range(4)]
        found = mean_over_rounds([case for case in cases if case] or [{0: 0.0}])
        known += found.known
        false += found.known and found.p < 0.05
    assert known > 400
    assert false < 0.05 * known + 3 * math.sqrt(0.05 * known)


@given(st.floats(0.01, 0.5), st.integers(2, 30), st.floats(0.02, 0.2))
def test_more_needed_is_the_smallest_number(sd: float, n: int, half_width: float) -> None:
    contrast = Contrast(0.0, sd**2, n, n - 1)
    more = contrast.more_needed(half_width)

    def reached(k: int) -> float:
        return Contrast(0.0, sd**2, n + k, n + k - 1).half_width()

    assert reached(more) <= half_width
    assert more == 0 or reached(more - 1) > half_width


def test_holm_against_the_definition() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_alike_spreads_are_pooled_and_different_ones_are_left() -> None:
    alike = [Contrast(0.0, v, 5, 4) for v in 0.01 * stats.chi2(4).rvs(60, random_state=1) / 4]
    pooled = moderate(alike)
    assert all(c.df == pytest.approx(12) for c in pooled)
    assert np.std([c.variance for c in pooled]) < np.std([c.variance for c in alike]) / 2
    assert np.mean([c.variance for c in pooled]) == pytest.approx(0.01, rel=0.15)
    different = [Contrast(0.0, 10.0**-k, 30, 29) for k in range(8)]
    assert all(29 < after.df < 30 for after in moderate(different))


def test_moderation_finds_the_prior_of_its_model() -> None:
    prior_df, scale = 6.0, 0.04
    variances = scale * prior_df / stats.chi2(prior_df).rvs(20_000, random_state=2)
    sampled = variances * stats.chi2(10).rvs(20_000, random_state=3) / 10
    one = moderate([Contrast(0.0, v, 11, 10) for v in sampled])[0]
    assert one.df - 10 == pytest.approx(prior_df, rel=0.1)
    assert one.variance == pytest.approx((prior_df * scale + 10 * sampled[0]) / (prior_df + 10), rel=0.1)


def test_a_mean_over_rounds_is_students_t_on_the_means_of_rounds() -> None:
    x = RNG.normal(0.1, 0.2, (4, 7))
    found, expected = mean_over_rounds([dict(enumerate(row)) for row in x]), mean_of(x.mean(axis=0))
    assert (found.mean, found.se, found.df) == pytest.approx((expected.mean, expected.se, expected.df))


def test_what_all_cases_of_a_round_share_does_not_look_like_many_measurements() -> None:
    shared, missing = np.random.default_rng(3).normal(size=(600, 6)), np.random.default_rng(4).random((600, 8, 6)) < 0.2
    held = 0
    for round_, lacks in zip(shared, missing, strict=True):
        cases = [{i: v for i, v in enumerate(round_) if not lacking[i]} or {0: round_[0]} for lacking in lacks]
        found = mean_over_rounds(cases)
        held += abs(found.mean) < found.half_width(0.9)
    assert held / 600 > 0.86  # of 90 %; were the 48 values independent it would be a half


def test_one_round_has_no_interval() -> None:
    assert mean_over_rounds([{0: 0.1}, {0: 0.2}]).half_width() == math.inf


def test_what_has_no_variance_is_not_moderated() -> None:
    odd = [Contrast(0.1, math.nan, 1, 0), Contrast(0.0, 0.0, 5, 4)]
    few = [Contrast(0.0, v, 5, 4) for v in (0.1, 0.2, 0.3)]
    table = moderate([*odd, *(Contrast(0.0, v, 5, 4) for v in np.linspace(0.01, 0.02, 9))])
    assert table[1] == odd[1]
    assert table[0].df == 0
    assert moderate(few) == few


@pytest.mark.parametrize("noise", ["log-normal", "Student t, 3 df", "outliers"])
@pytest.mark.parametrize("replicates", [3, 5, 20])
@pytest.mark.parametrize("mixed", [False, True], ids=["alike", "mixed"])
@pytest.mark.slow
def test_false_alarms_of_a_table_are_controlled(noise: Noise, replicates: int, mixed: bool) -> None:
    # 1 % of 300 tables is 3; more than 9 has probability 0.1 %
    assert false_alarms(np.random.default_rng([replicates, mixed]), noise, replicates, mixed, tables=300) <= 9 / 300


def test_rate_ratio_of_poisson_counts_is_near_the_exact_interval() -> None:
    a, b = np.random.default_rng(1).poisson((3.0, 6.0), (40, 2)).T
    result = rate_ratio(a, b)
    share = stats.binomtest(int(b.sum()), int(a.sum() + b.sum())).proportion_ci(0.95)
    assert result.low == pytest.approx(share.low / (1 - share.low), rel=0.05)
    assert result.high == pytest.approx(share.high / (1 - share.high), rel=0.05)
    assert result.p < 1e-4


def test_rates_are_per_transition() -> None:
    same = rate_ratio([10, 12, 9, 11], [20, 24, 18, 22], exposure=2)
    assert same.ratio == pytest.approx(1, rel=0.02)
    assert same.p > 0.9


def test_one_bad_chain_is_no_higher_rate() -> None:
    assert rate_ratio([0] * 5, [0, 0, 0, 0, 35]).p > 0.05
    assert rate_ratio([0] * 5, [20, 25, 30, 22, 18]).p == pytest.approx(1 / 126, rel=0.1)
    assert rate_ratio([0] * 10, [20, 25, 30, 22, 18] * 2).p < 1e-4
    assert rate_ratio([0] * 20, [1] + [0] * 19).p > 0.05


@pytest.mark.parametrize(("a", "b"), [([0, 0], [0, 0]), ([0], [1])])
def test_no_rate_without_events_or_replicates(a: list[int], b: list[int]) -> None:
    result = rate_ratio(a, b)
    assert (result.low, result.high, result.p) == (0, math.inf, 1)


def test_intervals_of_rates_open_where_one_side_has_no_event() -> None:
    up, down = rate_ratio([0, 0, 0], [3, 4, 5]), rate_ratio([3, 4, 5], [0, 0, 0])
    assert up.high == math.inf
    assert 1 < up.low < up.ratio
    assert down.low == 0
    assert down.high == pytest.approx(1 / up.low)


def test_clustered_counts_raise_no_false_alarms() -> None:
    rng = np.random.default_rng(5)
    counts = rng.negative_binomial(0.1, 0.1, (2, 1000, 10))
    p = np.array([rate_ratio(a, b).p for a, b in zip(*counts, strict=True)])
    assert np.mean(p < 0.01) <= 0.02
    assert np.mean(p < 0.001) <= 0.003


def test_a_hopelessly_uncertain_rate_has_an_open_interval() -> None:
    result = rate_ratio([0] * 19 + [90], [1] + [0] * 19)
    assert (result.low, result.p > 0.05) == (0, True)


def test_true_ess_covers_the_ess() -> None:
    rng = np.random.default_rng(8)
    results = [true_ess(rng.normal(1.0, 2.0 / np.sqrt(400), 12), 1.0, 2.0) for _ in range(400)]
    covered = np.mean([each.lower < 400 < each.upper for each in results])
    assert 0.91 < covered < 0.98
    assert all(each.lower < each.ess < each.upper for each in results)
    assert np.median([each.ess for each in results]) == pytest.approx(400, rel=0.15)
