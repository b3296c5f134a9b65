"""Calibration: right models have uniform ranks, and data of another prior or ranks of another shape are refused."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.correctness.calibration import RANKED, Calibration, calibrate, picture, uniformity
from bench.families.base import Dataset, Family
from bench.families.eight_schools import EightSchools
from bench.families.normal_means import NormalMeans
from bench.families.radon import Radon
from bench.settings import Settings

QUICK = Settings(chains=2, warmup=500, draws=1000, target_accept=0.9, cores=2)
STANLI, SIMULATIONS = BACKENDS["stanli"], 40

NORMAL_MEANS = NormalMeans()
SAMPLEABLE = [
    *((NORMAL_MEANS, model) for model in NORMAL_MEANS.models),
    (EightSchools(), "noncentered"),  # the centered one misses the neck of tau
    (Radon(), "centered"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "model"), SAMPLEABLE, ids=[f"{f.name}-{name}" for f, name in SAMPLEABLE])
def test_every_model_that_can_be_sampled_is_calibrated_on_stanli(family: Family, model: str) -> None:
    result = calibrate(family, family.models[model], STANLI, SIMULATIONS, settings=QUICK)
    assert (result.name, result.backend) == (f"{family.name} {model}", "stanli")
    assert all(len(ranks) == SIMULATIONS for ranks in result.ranks.values())
    assert min(result.p_values.values()) > 0.01 / 34, result.p_values  # that many in all


@pytest.mark.slow
def test_a_model_is_calibrated_on_pymc() -> None:
    model = NORMAL_MEANS.models["finite_zerosum_centered"]
    result = calibrate(NORMAL_MEANS, model, BACKENDS["pymc"], 10, settings=QUICK)
    assert min(result.p_values.values()) > 0.01 / 4, result.p_values


class Doubled(NormalMeans):
    """The same family, that says of sigma that it was twice what it was."""

    def simulate(self, target: str, rng: np.random.Generator) -> tuple[Dataset, Mapping[str, float]]:
        dataset, values = super().simulate(target, rng)
        return dataset, {**values, "sigma": 2 * values["sigma"]}


@pytest.mark.slow
def test_ranks_against_data_of_another_prior_are_refused() -> None:
    told: list[int] = []
    model = NORMAL_MEANS.models["centered"]
    result = calibrate(Doubled(), model, STANLI, SIMULATIONS, settings=QUICK, tell=told.append)
    assert result.p_values["sigma"] < 0.001
    assert told == [*range(1, SIMULATIONS + 1)]
    assert set(result.ranks) == {"mu", "sigma", "omega", "mu_g[0]"}
    assert all(0 <= rank <= RANKED for ranks in result.ranks.values() for rank in ranks)


def test_a_calibration_can_be_made_again() -> None:
    model = NORMAL_MEANS.models["zerosum_noncentered"]  # whose mu is derived
    first, again = (calibrate(NORMAL_MEANS, model, STANLI, 2, seed=3, settings=QUICK) for _ in range(2))
    assert {name: ranks.tolist() for name, ranks in first.ranks.items()} == {
        name: ranks.tolist() for name, ranks in again.ranks.items()
    }


class Silent(NormalMeans):
    """The same family where nothing can be drawn from the prior."""

    def simulate(self, target: str, rng: np.random.Generator) -> None:  # type: ignore[override]
        return None


def test_a_family_that_simulates_nothing_can_not_be_calibrated() -> None:
    with pytest.raises(ValueError, match="normal_means has no proper prior to simulate from"):
        calibrate(Silent(), NORMAL_MEANS.models["centered"], STANLI, 1, settings=QUICK)


def test_uniform_ranks_are_not_refused_and_shifted_and_narrow_ones_are() -> None:
    rng = np.random.default_rng(3)
    uniform = rng.integers(0, RANKED + 1, 300)
    assert uniformity(uniform) > 0.01
    assert uniformity(np.minimum(uniform + 15, RANKED)) < 0.001
    assert uniformity(25 + uniform // 2) < 0.001


@pytest.mark.slow
def test_uniform_ranks_are_refused_as_often_as_the_p_value_says() -> None:
    rng = np.random.default_rng(4)
    p = np.array([uniformity(rng.integers(0, RANKED + 1, 40), replications=1000) for _ in range(150)])
    assert 0.02 < np.mean(p < 0.1) < 0.2


@pytest.mark.parametrize("names", [("mu", "sigma", "omega", "mu_g[0]"), tuple(f"theta[{i}]" for i in range(9))])
def test_the_picture_is_drawn(tmp_path: Path, names: Sequence[str]) -> None:
    rng = np.random.default_rng(0)
    ranks = {name: rng.integers(0, RANKED + 1, 50) for name in names}
    path = tmp_path / "folder" / "picture.png"
    made = [("centered", "stanli"), ("noncentered", "pymc"), ("centered", "pymc")]
    picture([Calibration(*which, ranks) for which in made], path)
    assert path.read_bytes().startswith(b"\x89PNG")
