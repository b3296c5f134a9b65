"""What a fit costs until it is good enough: warm-up once, draws at their rate, and what the next fit takes."""

from dataclasses import replace

import numpy as np
import pytest

from bench.comparing.aa import simulated_record
from bench.comparing.cost import growing, seconds_for, seconds_to_ess
from bench.records import Record


def fit(draws: int = 1000, **changes: object) -> Record:
    """Record of a fit of four chains, two at a time: 0.2 s to start, 1 ms for a draw, 3 s of warm-up, 0.1 s to read."""
    clock: dict[str, object] = {
        "warmup_seconds": [1.5] * 4,
        "sampling_seconds": [draws / 2000] * 4,
        "extraction_seconds": 0.1 * draws / 1000,
        "wall_seconds": 0.2 + 3 + draws / 1000 + 0.1 * draws / 1000,
        "settings": {"chains": 4, "cores": 2, "draws": draws},
    }
    made = simulated_record(dataset="d", model="m", target="t", backend="b", replicate=0, min_ess_bulk=draws / 2.0)
    return replace(made, **{**clock, **changes})  # type: ignore[arg-type]


def test_warm_up_and_starting_do_not_grow_with_the_draws() -> None:
    assert growing(fit()) == pytest.approx(1.1)
    for times in (0.2, 1.0, 7.0):
        assert seconds_for(fit(), times) == pytest.approx(fit(int(1000 * times)).wall_seconds)


def test_what_is_drawn_after_sampling_grows_with_the_draws() -> None:
    derived = fit(derive_seconds=0.5, wall_seconds=4.8)
    assert growing(derived) == pytest.approx(1.6)


def test_without_a_clock_sampling_has_its_share_of_the_gradients() -> None:
    blind = fit(warmup_seconds=None, sampling_seconds=None, warmup_gradients=3000, gradients=1000)
    assert growing(blind) == pytest.approx(0.25 * (4.3 - 0.1) + 0.1)


def test_one_fit_has_no_interval_and_none_no_cost() -> None:
    assert seconds_to_ess([fit()], 1000) == (pytest.approx(seconds_for(fit(), 2.0)), None)
    assert seconds_to_ess([], 1000) == (float("inf"), None)


@pytest.mark.parametrize("fits", [2, 3, 5])
def test_the_next_fit_is_in_the_interval_in_95_percent_of_cases(fits: int) -> None:
    """Wall times and ESS vary as those of real fits; the next one makes the draws that the prediction speaks of."""
    rng = np.random.default_rng(fits)
    covered = 0
    for _ in range(1000):
        speed = rng.lognormal(0, 0.1, fits + 1)
        seen = [
            fit(wall_seconds=4.3 * s, warmup_seconds=[1.5 * s] * 4, sampling_seconds=[0.5 * s] * 4,
                extraction_seconds=0.1 * s, min_ess_bulk=500.0)
            for s in speed[:-1]
        ]  # fmt: skip
        _, interval = seconds_to_ess(seen, 1500.0)
        assert interval is not None
        truth = float(speed[-1]) * (fit(3000).wall_seconds or 0.0)
        covered += interval[0] <= truth <= interval[1]
    assert covered == pytest.approx(950, abs=25)  # four standard errors
