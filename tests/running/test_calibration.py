"""Calibration: right models have uniform ranks, and data of another prior or ranks of another shape are refused."""

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from bench.arrays import Floats
from bench.backends import BACKENDS
from bench.backends.base import Backend, Description
from bench.families.base import LOG_LIKELIHOOD, Dataset, Family
from bench.families.eight_schools import EightSchools
from bench.families.normal_means import NormalMeans
from bench.families.normal_means.data import Groups
from bench.families.radon import Radon
from bench.running import calibration
from bench.running.calibration import RANKED, calibrate, uniformity
from bench.settings import Settings

QUICK = Settings(chains=2, warmup=500, draws=1000, target_accept=0.9, cores=2)
STANLI, SIMULATIONS = BACKENDS["stanli"], 25

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
    model = NORMAL_MEANS.models["centered"]
    result = calibrate(Doubled(), model, STANLI, SIMULATIONS, settings=QUICK)
    assert result.p_values["sigma"] < 0.001
    assert set(result.ranks) == {"mu", "sigma", "omega", "mu_g[0]", LOG_LIKELIHOOD}
    assert all(0 <= rank <= RANKED for ranks in result.ranks.values() for rank in ranks)


def test_a_calibration_can_be_made_again() -> None:
    model = NORMAL_MEANS.models["zerosum_noncentered"]  # whose mu is derived
    first, again = (calibrate(NORMAL_MEANS, model, STANLI, 2, seed=3, settings=QUICK) for _ in range(2))
    assert {name: ranks.tolist() for name, ranks in first.ranks.items()} == {
        name: ranks.tolist() for name, ranks in again.ranks.items()
    }


class NeverLooks:
    """A sampler that does not look at the data and returns draws of the prior, in the place of a worker."""

    def __init__(self, family: Family, target: str) -> None:
        self._family, self._target, self._rng = family, target, np.random.default_rng(5)

    def __call__(self, backend: Backend) -> "NeverLooks":
        return self

    def __enter__(self) -> "NeverLooks":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def prepare(self, *given: object) -> None:
        pass

    def describe(self, *given: object) -> Description:
        return Description({"mu": (), "sigma": (), "omega": ()}, {"mu_g": (5,)})

    def sample(self, *given: object) -> None:
        pass

    def fetch(self) -> SimpleNamespace:
        mu, sigma, omega = self._rng.normal(size=(3, 2, 100)) * np.array([1, 1, 10])[:, None, None]
        mu_g = mu[..., None] + omega[..., None] * self._rng.normal(size=(2, 100, 5))
        return SimpleNamespace(draws={"mu": mu, "sigma": abs(sigma), "omega": abs(omega), "mu_g": mu_g})


@pytest.mark.slow
def test_a_sampler_that_returns_the_prior_is_caught_by_the_log_likelihood_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration, "Worker", NeverLooks(NORMAL_MEANS, "superpopulation"))
    p = calibrate(NORMAL_MEANS, NORMAL_MEANS.models["centered"], STANLI, 100).p_values
    assert p.pop(LOG_LIKELIHOOD) < 1e-4
    assert min(p.values()) > 0.01


@pytest.mark.parametrize("family", [NORMAL_MEANS, EightSchools(), Radon()], ids=lambda family: family.name)
def test_the_log_likelihood_of_draws_is_that_of_each(family: Family) -> None:
    """Array by array and one by one, and as the Stan program has it, up to a constant."""
    rng, target = np.random.default_rng(6), next(iter(family.targets))
    found = family.simulate(target, rng)
    assert found is not None
    dataset, _ = found
    sizes = {"mu_g": 5, "theta": 8, "alpha": 85}
    names = family.targets[target].quantities
    draws = {name: abs(rng.normal(size=(2, 3, *([sizes[name]] if name in sizes else [])))) for name in names}
    every = family.log_likelihood(dataset, draws)
    assert every is not None
    assert every.shape == (2, 3)
    for at in np.ndindex(2, 3):
        one = family.log_likelihood(dataset, {name: values[at] for name, values in draws.items()})
        assert one == pytest.approx(every[at])
        direct = density(family, dataset, {name: values[at] for name, values in draws.items()})
        first = density(family, dataset, {name: values[0, 0] for name, values in draws.items()})
        assert every[at] - every[0, 0] == pytest.approx(direct - first)


def density(family: Family, dataset: Dataset, values: Mapping[str, Floats]) -> float:
    """Log density of the data, observation by observation."""
    if isinstance(dataset, Groups):
        return float(stats.norm.logpdf(dataset.y, values["mu_g"][dataset.group], values["sigma"]).sum())
    data = dataset.data
    if "theta" in values:
        return float(stats.norm.logpdf(data["y"], values["theta"], data["sigma"]).sum())
    line = values["alpha"][np.asarray(data["county"]) - 1] + values["beta"] * data["floor_measure"]
    return float(stats.norm.logpdf(data["log_radon"], line, values["sigma_y"]).sum())


class Silent(NormalMeans):
    """The same family where nothing can be drawn from the prior."""

    def simulate(self, target: str, rng: np.random.Generator) -> None:  # type: ignore[override]
        return None


def test_a_family_that_simulates_nothing_can_not_be_calibrated() -> None:
    with pytest.raises(ValueError, match="normal_means has no proper prior to simulate from"):
        calibrate(Silent(), NORMAL_MEANS.models["centered"], STANLI, 1, settings=QUICK)


@pytest.mark.slow
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
