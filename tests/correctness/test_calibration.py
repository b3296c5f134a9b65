import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.correctness.calibration import RANKED, Calibration, calibrate, picture, uniformity
from bench.families.registry import FAMILIES
from bench.settings import Settings

QUICK = Settings(chains=2, warmup=500, draws=1000, target_accept=0.9, cores=2)


FAMILY = FAMILIES["normal_means"]


def test_simulated_data_are_those_of_the_prior():
    rng = np.random.default_rng(0)
    drawn = [FAMILY.simulate("superpopulation", rng)[1] for _ in range(2000)]
    assert np.std([truth["mu"] for truth in drawn]) == pytest.approx(1, rel=0.1)
    assert np.mean([truth["sigma"] for truth in drawn]) == pytest.approx(np.sqrt(2 / np.pi), rel=0.1)
    assert np.mean([truth["omega"] for truth in drawn]) == pytest.approx(10 * np.sqrt(2 / np.pi), rel=0.1)


def test_uniform_ranks_are_not_refused_and_shifted_and_narrow_ones_are():
    rng = np.random.default_rng(3)
    uniform = rng.integers(0, RANKED + 1, 300)
    assert uniformity(uniform) > 0.01
    assert uniformity(np.minimum(uniform + 15, RANKED)) < 0.001
    assert uniformity(25 + uniform // 2) < 0.001


@pytest.mark.slow
@pytest.mark.parametrize("model", FAMILY.models)
def test_every_model_is_calibrated_on_stanli(model):
    simulations = 40
    result = calibrate(FAMILY, FAMILY.models[model], BACKENDS["stanli"], simulations, settings=QUICK)
    assert all(len(ranks) == simulations for ranks in result.ranks.values())
    assert min(result.p_values.values()) > 0.01 / 24, result.p_values


@pytest.mark.slow
def test_a_model_is_calibrated_on_pymc():
    result = calibrate(FAMILY, FAMILY.models["finite_zerosum_centered"], BACKENDS["pymc"], 10, settings=QUICK)
    assert min(result.p_values.values()) > 0.01 / 4, result.p_values


def test_ranks_against_data_of_another_prior_are_refused(monkeypatch):
    def doubled(target, rng):
        dataset, truth = simulate(target, rng)
        return dataset, truth | {"sigma": 2 * truth["sigma"]}

    simulate = FAMILY.simulate
    monkeypatch.setattr(FAMILY, "simulate", doubled)
    result = calibrate(FAMILY, FAMILY.models["centered"], BACKENDS["stanli"], 40, settings=QUICK)
    assert result.p_values["sigma"] < 0.001


def test_the_picture_is_drawn(tmp_path):
    rng = np.random.default_rng(0)
    ranks = {name: rng.integers(0, RANKED + 1, 50) for name in ("mu", "sigma", "omega", "mu_g[0]")}
    path = tmp_path / "folder" / "picture.png"
    picture([Calibration("centered", "stanli", ranks), Calibration("noncentered", "pymc", ranks)], path)
    assert path.read_bytes().startswith(b"\x89PNG")
