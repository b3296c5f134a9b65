"""The truth as a record keeps it, and the names of elements."""

import numpy as np
import pytest

from bench.correctness.truth import PROBABILITIES, Truth, elements

TRUTH = Truth(
    "exact",
    ("mu", "theta[0]", "theta[1]"),
    mean=np.array([1.0, 2.0, 3.0]),
    sd=np.array([0.1, 0.2, 0.3]),
    fourth=3 * np.array([0.1, 0.2, 0.3]) ** 4,
    quantiles=np.array([[0.8, 1.6, np.nan], [1.0, 2.0, np.nan], [1.2, 2.4, np.nan]]),
)


def test_what_is_known_of_a_scalar_is_kept_by_name() -> None:
    assert TRUTH.known("theta[0]") == {"mean": 2.0, "sd": 0.2, "q3": 1.6, "q50": 2.0, "q97": 2.4}
    assert all(type(value) is float for value in TRUTH.known("mu").values())


def test_nothing_is_known_of_a_name_it_does_not_have() -> None:
    assert TRUTH.known("tau") == TRUTH.known("theta") == {}


def test_an_exact_truth_rests_on_no_draws() -> None:
    assert np.all(np.isinf([TRUTH.ess_mean, TRUTH.ess_sd, TRUTH.ess_quantile]))


def test_records_name_the_quantiles_that_are_graded() -> None:
    """`known` and `bench.records.Quantity` name quantiles by these."""
    assert PROBABILITIES == (0.03, 0.5, 0.97)


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((), ["x"]),
        ((3,), ["x[0]", "x[1]", "x[2]"]),
        ((2, 2), ["x[0,0]", "x[0,1]", "x[1,0]", "x[1,1]"]),
        ((1, 1, 2), ["x[0,0,0]", "x[0,0,1]"]),
        ((0,), []),
    ],
)
def test_elements_are_named_in_the_order_of_a_flat_array(shape: tuple[int, ...], names: list[str]) -> None:
    assert elements("x", shape) == names
    labels = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        labels[index] = f"x[{','.join(map(str, index))}]" if shape else "x"
    assert labels.ravel().tolist() == names
