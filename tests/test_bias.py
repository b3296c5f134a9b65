"""Errors of several fits together: small biases are found, and correct fits are not called biased."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bench.agreement import judged
from bench.bias import bound, graded_together, pooled_z
from bench.cells import cells
from bench.comparing.aa import simulated_record
from bench.correctness.grading import grade
from bench.records import Record
from bench.report.terminal import biased
from tests.correctness.test_grading import fit, posterior, truth


def fits(shift: float, seed: int, count: int = 20) -> list[Record]:
    """Exact draws, graded as in a run, with mu off by a share of its sd."""
    rng, exact = np.random.default_rng(seed), posterior(1.0)
    found = []
    for number in range(count):
        draws = fit(exact, rng)
        result = grade({"mu": draws["mu"] + shift * exact.marginals["mu"].sd, "sigma": draws["sigma"]}, truth(1.0))
        kept = {"z": dict(result.z), "fewest": result.fewest, "biased": result.biased}
        found.append(simulated_record(replicate=number, grade=kept))
    return found


def test_a_shift_that_no_fit_shows_alone_is_found_by_all_together() -> None:
    records = fits(0.03, 1)
    assert not any((record.grade or {})["biased"] for record in records)
    found = judged(records)
    flags = {flag for record in found for flag in record.health}
    assert len(flags) == 1
    (flag,) = flags
    assert flag.startswith("biased over 20 fits: mu ")
    assert not any(record.healthy for record in found)
    assert judged(found) == found
    (cell,) = cells(records)
    assert not cell.healthy
    (line,) = biased(records)
    assert line == f"off the truth: {cell.case}, {cell.dataset}: 20 of 20 fits; {flag}"


def test_correct_fits_are_not_biased_together() -> None:
    records = fits(0.0, 2)
    assert judged(records) == records
    assert biased(records) == []


def test_false_alarms_are_as_rare_as_stated() -> None:
    rng = np.random.default_rng(3)
    z = rng.standard_t(100, (20_000, 13, 5))
    together = np.max(np.abs(z.sum(axis=2) / np.sqrt(5)), axis=1)
    assert pooled_z(z[0, 0].tolist(), 0.0) == pytest.approx(z[0, 0].sum() / np.sqrt(5))
    assert stats.binom.sf(np.sum(together > bound(13, 5000)) - 1, 20_000, 1e-4) > 1e-3


def test_an_error_of_the_truth_itself_does_not_average_out() -> None:
    records = [simulated_record(replicate=i, grade={"z": {"mu mean": 2.5}, "fewest": 1000.0}) for i in range(20)]
    assert not any(record.healthy for record in graded_together(records))
    known = {"mu mean": 0.5}
    uncertain = [replace(record, grade={**(record.grade or {}), "shared": known}) for record in records]
    assert graded_together(uncertain) == uncertain


def test_fits_of_other_runs_or_without_scores_are_no_part_of_it() -> None:
    one = simulated_record(grade={"z": {"mu mean": 3.5}, "fewest": 1000.0})
    for others in (
        [replace(one, run=f"run {i}") for i in range(20)],
        [replace(one, replicate=i, grade={"largest": 9.0}) for i in range(20)],
        [replace(one, replicate=i, grade={"z": {"mu mean": None}, "fewest": 1000.0}) for i in range(20)],
        [one],
    ):
        assert graded_together(others) == others


def test_the_bound_grows_with_the_number_of_scores_and_with_fewer_draws() -> None:
    assert bound(1, 1e9, 0.05) == pytest.approx(1.96, abs=0.01)
    assert bound(100, 1e9, 0.05) == pytest.approx(stats.norm.isf(0.05 / 200), abs=0.01)
    assert bound(10, 100) > bound(10, 1000) > bound(10, 1e6)
