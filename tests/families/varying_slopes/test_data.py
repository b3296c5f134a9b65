"""Generated lines, what is kept of them, and data that tell no slope."""

import numpy as np
import pytest

from bench.arrays import Floats
from bench.families.base import DataError
from bench.families.varying_slopes.data import BETA, GAMMA, Lines, simpson

GROUP = np.repeat(np.arange(3), 4)
X = np.array([0.0, 1, 2, 3, 5, 5, 6, 8, -1, 0, 0, 1])
Y = np.array([1.0, 3, 2, 5, 0, 1, 1, 4, 2, 2, 3, 1])


def made(x: Floats = X, y: Floats = Y, group: np.ndarray = GROUP) -> Lines:
    labels = tuple(str(g) for g in range(int(group.max()) + 1))
    return Lines(id="made", x=np.array(x), y=np.array(y), group=group.copy(), labels=labels)


def test_the_pooled_slope_has_the_wrong_sign() -> None:
    dataset = simpson([20] * 200)
    pooled = np.polyfit(dataset.x, dataset.y, 1)[0]
    within = float(np.mean(dataset.slope_data / np.sqrt(dataset.x_ss)))
    between = np.polyfit(dataset.x_means, dataset.means, 1)[0]
    assert pooled > 0.2
    assert within == pytest.approx(BETA, abs=0.1)
    assert between == pytest.approx(BETA + GAMMA, abs=0.15)


def test_centred_x_has_no_means_and_the_same_slopes() -> None:
    plain, centred = simpson([4, 7, 3]), simpson([4, 7, 3], centred=True)
    assert centred.x_means == pytest.approx(np.zeros(3), abs=1e-12)
    assert centred.slope_data == pytest.approx(plain.slope_data)
    assert np.array_equal(centred.y, plain.y)


def test_what_is_kept_is_all_of_the_likelihood() -> None:
    """Sums of squares about any lines follow from it, in groups of one and with an x that does not vary too."""
    group = np.array([0, 0, 0, 1, 2, 2])
    dataset = made(np.array([1.0, 2, 4, 3, 7, 7]), np.array([1.0, 0, 2, 5, 1, 2]), group)
    assert dataset.residual_df == 0
    rng = np.random.default_rng(1)
    for _ in range(5):
        a, b = rng.normal(size=(2, 3))
        direct = np.sum((dataset.y - a[group] - b[group] * dataset.x) ** 2)
        of_means = np.sum(dataset.group_sizes * (dataset.means - a - b * dataset.x_means) ** 2)
        of_slopes = np.sum((dataset.slope_data - np.sqrt(dataset.x_ss) * b) ** 2)
        assert of_means + of_slopes + dataset.residual_ss == pytest.approx(direct)


@pytest.mark.parametrize(
    ("x", "y", "group", "said"),
    [
        (np.full(12, 2.0), Y, GROUP, "no slope can be told; leave out --slope-column"),
        (0.1 * GROUP, Y, GROUP, "does not vary within any group"),
        (X, Y, np.arange(12), "one observation in every group"),
        (np.where(X == 8, np.nan, X), Y, GROUP, "the first in row 8"),
        (X * 1e120, Y, GROUP, "can't be squared"),
        (X, 2 * X + GROUP, GROUP, "y is a line of x without any error"),
    ],
)
def test_data_without_a_slope_are_refused(x: Floats, y: Floats, group: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        made(x, y, group)
