"""JAX's engines: what is compiled when, in which width, and what is said where they can't be used."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement

from bench.backends.base import Backend, Fit
from bench.backends.blackjax import BlackJAX
from bench.backends.numpyro import NumPyro
from bench.backends.pymc_jax import JaxBackend
from bench.families.base import Data, Dataset, Model, Program, Values
from bench.running.isolation import Worker, WorkerError
from bench.settings import Settings
from tests.conftest import REQUIRED

SETTINGS = Settings(chains=3, warmup=50, draws=50, cores=2)
NORMAL = """
def build(data):
    with pm.Model() as model:
        x = pm.Normal("x", 0, pm.Data("scale", data["scale"]), shape=2)
        pm.Deterministic("total", x.sum())
    return model
"""
LENGTH = NORMAL.replace("pm.Det", 'pm.Potential("p", pt.arange(pm.Data("n", np.array(2))) @ x)\n        pm.Det')
START = [{"x": np.array([0.5, -0.5])} for _ in range(SETTINGS.chains)]
DATA = Dataset("d", {"scale": 1.0})
ENGINES = pytest.mark.parametrize(
    "engine", [NumPyro, pytest.param(BlackJAX, marks=pytest.mark.slow)], ids=["numpyro", "blackjax"]
)


def model(code: str = NORMAL) -> Model:
    return Model("m", "t", pymc=Program(Path("m.py"), code))


def usable(backend: Backend) -> Backend:
    if (reason := backend.unavailable()) and backend.name not in REQUIRED:
        pytest.skip(f"{backend.name}: {reason}")
    return backend


class Watched(JaxBackend):
    """An engine whose fits fail if XLA compiles anything within them."""

    def prepare(self, model: Model, data: Data) -> Any:
        posterior = super().prepare(model, data)
        posterior.sample = watched(posterior.sample)
        return posterior


class NumPyroWatched(Watched, NumPyro):
    """NumPyro, watched."""


class BlackJAXWatched(Watched, BlackJAX):
    """BlackJAX, watched."""


def watched(sample: Any) -> Any:
    import jax.monitoring

    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: compiled.append(event))

    def of(settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        compiled.clear()
        fit: Fit = sample(settings, seed, start, keep)
        if found := [event for event in compiled if "compile" in event]:
            raise AssertionError(f"compiled within a fit: {found}")
        return fit

    return of


@pytest.mark.parametrize("engine", [NumPyroWatched, pytest.param(BlackJAXWatched, marks=pytest.mark.slow)])
def test_nothing_is_compiled_within_a_fit(engine: type[Watched]) -> None:
    """Neither with other seeds, starts and data, nor with other numbers of chains at a time, which change no draw."""
    with Worker(usable(engine())) as worker:
        assert worker.prepare(model(), DATA).cache == "built"
        first = worker.sample(SETTINGS, 1, START, ["x", "total"])
        fit = worker.fetch()
        assert first.compile_seconds > 0
        assert fit.draws["total"] == pytest.approx(fit.draws["x"].sum(axis=-1))
        again = worker.sample(Settings(**{**vars(SETTINGS), "cores": 1}), 1, START, ["x"])
        assert again.compile_seconds < 2 * first.compile_seconds
        assert np.array_equal(worker.fetch().draws["x"], fit.draws["x"])
        assert worker.prepare(model(), Dataset("e", {"scale": 1000.0})).cache == "memory"
        worker.sample(SETTINGS, 2, None, ["x"])
        assert np.abs(worker.fetch().draws["x"]).max() > 100


@ENGINES
@pytest.mark.parametrize(
    ("code", "environment", "said"),
    [
        pytest.param(LENGTH, {}, r"JAX can't trace m \(.*--backend pymc,nutpie", id="a length that is data"),
        pytest.param(
            NORMAL, {"PYTENSOR_FLAGS": "floatX=float32"}, "JAX computes in float32 here; type: unset PYTENSOR_FLAGS",
            id="32 bits",
        ),
    ],
)  # fmt: skip
def test_what_jax_cannot_do_is_said(engine: type[Backend], code: str, environment: dict[str, str], said: str) -> None:
    with Worker(usable(engine()), environment=environment) as worker, pytest.raises(WorkerError, match=said):
        worker.prepare(model(code), DATA)


@pytest.mark.parametrize("engine", [NumPyro, BlackJAX])
@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ("no-such-engine>=1", "no-such-engine is not installed; type: pip install no-such-engine"),
        ("numpy>=99", r'numpy is \d.*, which is too old; type: pip install "numpy>=99"'),
    ],
)
def test_what_is_missing_or_too_old_is_said(
    engine: type[NumPyro], needs: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "needs", (needs,))
    reason = engine().unavailable()
    assert reason is not None
    assert re.search(said, reason)


def test_the_extra_installs_what_they_need() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extra = set(map(Requirement, project["optional-dependencies"]["jax"]))
    assert extra == {Requirement(need) for engine in (NumPyro, BlackJAX) for need in engine.needs}


def test_neither_is_measured_unasked() -> None:
    assert NumPyro.default == BlackJAX.default == "never"
