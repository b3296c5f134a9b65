"""Audits of what a backend returns: each with a planted defect."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.backends.base import Fit
from bench.correctness.audit import REPLAYED, audit, permuted, replayed
from bench.settings import Settings

SETTINGS = Settings(chains=2, warmup=50, draws=100, target_accept=0.8, max_treedepth=5)
SHAPES = {"mu": (), "theta": (3,), "L": (2, 2)}


@pytest.fixture
def fit() -> Fit:
    rng = np.random.default_rng(0)
    never = np.zeros((2, 100), dtype=bool)
    return Fit(
        draws={name: rng.normal(size=(2, 100, *shape)) for name, shape in SHAPES.items()},
        divergent=never.copy(),
        saturated=never.copy(),
        gradients=np.full((2, 100), 7),
        depth=np.full((2, 100), 3),
        energy=rng.normal(size=(2, 100)),
        log_density=rng.normal(size=(2, 100)),
        acceptance=np.full((2, 100), 0.82),
        step_size=np.full(2, 0.5),
        warmup_gradients=np.full((2, 50), 7),
        extraction_seconds=0.0,
    )


def put(array: Any, value: float) -> Any:
    """Return a copy with one element changed."""
    copy = array.copy()
    copy[1, 3] = value
    return copy


def test_a_fit_that_is_what_was_asked_for_has_no_flags(fit: Fit) -> None:
    assert audit(SETTINGS, fit, SHAPES) == []
    assert audit(SETTINGS, replace(fit, depth=fit.depth.astype(np.int32)), {"mu": ()}) == []


def test_more_or_fewer_chains_draws_and_warm_up_iterations(fit: Fit) -> None:
    (chains, *_) = audit(replace(SETTINGS, chains=4), fit, SHAPES)
    assert chains == "audit: draws of mu have shape (2, 100), not (4, 100)"
    flags = audit(replace(SETTINGS, draws=90), fit, SHAPES)
    assert "audit: draws of theta have shape (2, 100, 3), not (2, 90, 3)" in flags
    assert "audit: energy has shape (2, 100), not (2, 90)" in flags
    assert audit(replace(SETTINGS, warmup=40), fit, SHAPES) == ["audit: warm-up has shape (2, 50), not (2, 40)"]


def test_draws_of_another_shape(fit: Fit) -> None:
    fit.draws["L"] = fit.draws["L"].reshape(2, 100, 4)
    assert audit(SETTINGS, fit, SHAPES) == ["audit: draws of L have shape (2, 100, 4), not (2, 100, 2, 2)"]


def test_a_quantity_that_is_missing(fit: Fit) -> None:
    del fit.draws["theta"]
    assert audit(SETTINGS, fit, SHAPES) == ["audit: draws of theta are missing"]


def test_single_precision(fit: Fit) -> None:
    fit.draws["mu"] = fit.draws["mu"].astype(np.float32)
    assert audit(SETTINGS, fit, SHAPES) == ["audit: mu is float32, not float64"]
    fit.draws["mu"] = fit.draws["mu"].astype(np.float64)
    assert audit(SETTINGS, replace(fit, energy=fit.energy.astype(np.float32)), SHAPES) == [
        "audit: energy is float32, not float64"
    ]


@pytest.mark.parametrize("name", ["divergent", "gradients", "depth", "energy", "log_density", "acceptance"])
def test_statistics_of_another_shape_or_type(fit: Fit, name: str) -> None:
    flags = audit(SETTINGS, replace(fit, **{name: getattr(fit, name)[:1]}), SHAPES)
    assert flags == [f"audit: {name} has shape (1, 100), not (2, 100)"]
    (flag,) = audit(SETTINGS, replace(fit, **{name: getattr(fit, name).astype(str)}), SHAPES)
    assert flag.startswith(f"audit: {name} is <U")
    assert audit(SETTINGS, replace(fit, **{name: None}), SHAPES)[0].startswith(f"audit: {name} is NoneType, not")


def test_step_sizes_of_another_shape(fit: Fit) -> None:
    assert audit(SETTINGS, replace(fit, step_size=np.ones(3)), SHAPES) == ["audit: step_size has shape (3,), not (2,)"]


@pytest.mark.parametrize("name", ["energy", "log_density", "acceptance"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_statistics_that_are_not_finite(fit: Fit, name: str, value: float) -> None:
    flags = audit(SETTINGS, replace(fit, **{name: put(getattr(fit, name), value)}), SHAPES)
    assert f"audit: {name} is not finite in 1 transitions" in flags


@pytest.mark.parametrize(("name", "value"), [("gradients", -7), ("depth", -1), ("acceptance", -0.1)])
def test_statistics_that_are_negative(fit: Fit, name: str, value: float) -> None:
    flags = audit(SETTINGS, replace(fit, **{name: put(getattr(fit, name), value)}), SHAPES)
    assert flags == [f"audit: {name} is negative in 1 transitions"]


def test_negative_warm_up_gradients(fit: Fit) -> None:
    changed = replace(fit, warmup_gradients=put(fit.warmup_gradients, -1))
    assert audit(SETTINGS, changed, SHAPES) == ["audit: warm-up gradients are negative"]


@pytest.mark.parametrize("value", [0.0, -0.5, np.nan])
def test_step_sizes_that_no_sampler_takes(fit: Fit, value: float) -> None:
    (flag,) = audit(SETTINGS, replace(fit, step_size=np.array([0.5, value])), SHAPES)
    assert flag == f"audit: step sizes are [0.5, {value}]"


def test_fewer_gradients_than_draws(fit: Fit) -> None:
    changed = replace(fit, gradients=put(np.ones((2, 100), dtype=np.int64), 0))
    assert audit(SETTINGS, changed, SHAPES) == ["audit: 199 gradients for 200 draws; a draw takes one at least"]
    assert audit(SETTINGS, replace(fit, gradients=np.ones((2, 100), dtype=np.int64)), SHAPES) == []


def test_a_tree_deeper_than_allowed(fit: Fit) -> None:
    assert audit(SETTINGS, replace(fit, depth=put(fit.depth, 5)), SHAPES) == []
    assert audit(SETTINGS, replace(fit, depth=put(fit.depth, 6)), SHAPES) == ["audit: max_treedepth was 6, not 5"]


def test_acceptance_far_below_the_target(fit: Fit) -> None:
    assert audit(SETTINGS, replace(fit, acceptance=np.full((2, 100), 0.72)), SHAPES) == []
    low = replace(fit, acceptance=np.full((2, 100), 0.65))
    assert audit(SETTINGS, low, SHAPES) == ["audit: mean acceptance was 0.65, where 0.8 was asked for"]
    assert audit(replace(SETTINGS, target_accept=0.99), fit, SHAPES) != []
    assert audit(SETTINGS, replace(low, divergent=put(fit.divergent, True)), SHAPES) == []  # that is its own flag


def test_chains_that_are_copies_of_each_other(fit: Fit) -> None:
    copied = replace(fit, log_density=np.repeat(fit.log_density[:1], 2, axis=0))
    assert audit(SETTINGS, copied, SHAPES) == ["audit: chain 0 and chain 1 are the same"]


# Whether draws and statistics stand in the same order

LOG_DENSITY = np.random.default_rng(1).normal(-300, 3, (4, 250))
WHERE = replayed(4, 250)
AGAIN = np.array([LOG_DENSITY[place] for place in WHERE])


@pytest.mark.parametrize(("chains", "draws"), [(4, 250), (1, 1000), (8, 12), (3, 4), (40, 100)])
def test_draws_to_evaluate_again_are_spread_over_chains_and_draws(chains: int, draws: int) -> None:
    where = replayed(chains, draws)
    assert len(where) == REPLAYED
    assert {chain for chain, _ in where} == set(range(min(chains, REPLAYED)))
    assert all(0 <= draw < draws for _, draw in where)
    assert max(draw for _, draw in where) - min(draw for _, draw in where) >= draws / 2


@pytest.mark.parametrize("constant", [0.0, -1234.5, 1e5])
def test_the_same_order_but_for_a_constant_and_the_digits_of_a_file(constant: float) -> None:
    again = AGAIN + constant + 3e-4 * np.random.default_rng(2).normal(size=REPLAYED)
    assert permuted(LOG_DENSITY, again, WHERE) == []


def test_draws_in_another_order() -> None:
    shuffled = np.random.default_rng(3).permuted(LOG_DENSITY, axis=1)
    (flag,) = permuted(shuffled, AGAIN, WHERE)
    assert flag.startswith("audit: the log density at 1")
    assert flag.endswith("of 12 draws is not what the sampler reported there")
    shifted = np.roll(LOG_DENSITY, 1, axis=1)
    swapped = LOG_DENSITY[[1, 0, 3, 2]]
    assert permuted(shifted, AGAIN, WHERE) != []
    assert permuted(swapped, AGAIN, WHERE) != []


def test_a_draw_or_two_that_cannot_be_evaluated_do_not_count() -> None:
    again = AGAIN.copy()
    again[[2, 7]] = np.nan
    assert permuted(LOG_DENSITY, again, WHERE) == []
    again[5] = np.inf
    assert permuted(LOG_DENSITY, again, WHERE) == []
    again[9] += 100  # one of those that are left
    assert permuted(LOG_DENSITY, again, WHERE) == []


def test_draws_that_cannot_be_evaluated_at_all() -> None:
    assert permuted(LOG_DENSITY, np.full(REPLAYED, np.nan), WHERE) == [
        "audit: the log density can't be evaluated at any of the draws"
    ]
