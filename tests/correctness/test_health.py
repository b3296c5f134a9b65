from dataclasses import replace

import numpy as np
import pytest

from bench.backends.base import Fit
from bench.correctness.health import health


@pytest.fixture
def fit():
    rng = np.random.default_rng(0)
    scalars = {name: rng.normal(size=(2, 1000)) for name in ("mu", "sigma", "omega")}
    never = np.zeros((2, 1000), dtype=bool)
    return Fit(
        draws=scalars | {"mu_g": rng.normal(size=(2, 1000, 5))},
        divergent=never,
        saturated=never,
        gradients=np.full((2, 1000), 7),
        depth=np.full((2, 1000), 3),
        energy=rng.normal(size=(2, 1000)),
        log_density=rng.normal(size=(2, 1000)),
        acceptance=np.full((2, 1000), 0.8),
        step_size=np.ones(2),
        warmup_gradients=np.full((2, 50), 7),
        extraction_seconds=0.0,
    )


def flags(fit, bulk=1000.0, tail=1000.0, rhat=1.0, ebfmi=1.0):
    return health(fit, bulk, tail, rhat, np.full(2, ebfmi))


def first(share):
    """Whether a transition is among the first share of all."""
    return (np.arange(2000) < share * 2000).reshape(2, 1000)


def test_a_healthy_fit_has_no_flags(fit):
    assert flags(fit) == []


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"bulk": 199.0}, "bulk ESS: 199"),
        ({"tail": 199.0}, "tail ESS: 199"),
        ({"rhat": 1.02}, "R-hat: 1.020"),
        ({"ebfmi": 0.2}, "E-BFMI: 0.20"),
        ({"bulk": np.nan}, "bulk ESS: nan"),
        ({"rhat": np.nan}, "R-hat: nan"),
        ({"ebfmi": np.nan}, "E-BFMI: nan"),
    ],
)
def test_each_diagnostic_beyond_its_limit_is_flagged_and_so_is_none_at_all(fit, change, flag):
    assert flags(fit, **change) == [flag]


@pytest.mark.parametrize(("share", "expected"), [(0.001, []), (0.0015, ["divergences: 3"])])
def test_divergences_beyond_one_in_a_thousand_are_flagged(fit, share, expected):
    assert flags(replace(fit, divergent=first(share))) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.01, []), (0.02, ["maximum tree depth: 40"])])
def test_saturation_beyond_one_in_a_hundred_is_flagged(fit, share, expected):
    assert flags(replace(fit, saturated=first(share))) == expected


def test_chains_that_never_move_are_flagged(fit):
    fit.log_density[1] = -3.0
    assert flags(fit) == ["chains that never move: 1"]


def test_draws_that_are_not_finite_are_flagged(fit):
    fit.draws["omega"][1, 3] = np.inf
    assert flags(fit) == ["draws are not finite"]
