"""What can be asked of a backend in its worker; here in this process, and over a socket."""

import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.arrays import Floats
from bench.backends.base import Fit
from bench.backends.stanli import Stanli
from bench.families.base import Data, Model, Program, Values
from bench.running.worker import TRIES, Session
from bench.settings import Settings
from tests.running.processes import ROOT

NORMAL = """
data { real centre; }
parameters { real m; real<lower=0> s; }
model { m ~ normal(centre, 1); s ~ gamma(3, 2); }
"""
SETTINGS = Settings(chains=2, warmup=100, draws=50, cores=1)
START: list[Values] = [{"m": np.array(9.0), "s": np.array(1.0)}, {"m": np.array(11.0), "s": np.array(2.0)}]
KEEP = ["m", "s"]
DATA = {"centre": 10.0}


def model(code: str = NORMAL) -> Model:
    return Model("m", "t", stan=Program(Path("m.stan"), code))


def session(code: str = NORMAL, data: Data = DATA, backend: Stanli | None = None) -> Session:
    made = Session(backend or Stanli())
    made.prepare(model(code), data)
    return made


class Noting(Stanli):
    """stanli, which notes what is asked of its posterior."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def prepare(self, model: Model, data: Data) -> Any:
        posterior = super().prepare(model, data)
        for name in ("log_density_and_gradient", "compile_for", "get_ready", "sample"):
            setattr(posterior, name, self._noted(name, getattr(posterior, name)))
        return posterior

    def _noted(self, name: str, method: Any) -> Any:
        def noted(*arguments: Any) -> Any:
            self.asked.append(name)
            return method(*arguments)

        return noted


# Before anything is there


def test_a_backends_modules_are_imported_first() -> None:
    backend = Stanli()
    backend.imports = ("no_such_module",)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        Session(backend)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("description", ()),
        ("dimension", ()),
        ("starts", (1, [1])),
        ("explore", (5, 1)),
        ("densities", (START,)),
        ("constrain", (np.zeros((1, 2)),)),
        ("unconstrain", (START,)),
        ("repeat_gradient", (START, 1)),
        ("sample", (SETTINGS, 1, None, KEEP)),
    ],
)
def test_what_needs_a_posterior_says_so(method: str, arguments: Sequence[Any]) -> None:
    with pytest.raises(RuntimeError, match="nothing is prepared; call prepare first"):
        getattr(Session(Stanli()), method)(*arguments)


def test_describing_leaves_what_is_prepared() -> None:
    made = session()
    other = made.describe(model("parameters { vector[3] x; } model { x ~ std_normal(); }"), {})
    assert other.parameters == {"x": (3,)}
    assert made.description().parameters == {"m": (), "s": ()}
    assert made.dimension() == 2


def test_a_build_that_fails_leaves_nothing_of_the_one_before() -> None:
    made = session()
    made.sample(SETTINGS, 1, None, KEEP)
    with pytest.raises(Exception, match=r"(?i)syntax|expected|error"):
        made.prepare(model("parameters { real m }"), {})
    with pytest.raises(RuntimeError, match="nothing is prepared"):
        made.dimension()
    assert made.fetch() is None


def test_a_build_is_timed_and_says_what_served_it() -> None:
    prepared = Session(Stanli()).prepare(model(), DATA)
    assert prepared.cache == "none"
    assert prepared.seconds > 0


# Starts and places


def test_starts_are_uniform_on_the_unconstrained_scale() -> None:
    made = session()
    starts = made.starts(400, [3, 1])
    positions = np.array(made.unconstrain(starts))
    assert np.abs(positions).max() <= 2
    assert positions.min(axis=0) == pytest.approx([-2, -2], abs=0.1)
    assert positions.max(axis=0) == pytest.approx([2, 2], abs=0.1)
    assert np.abs(positions.mean(axis=0)).max() < 0.3
    for one, other in zip(starts, made.starts(400, [3, 1]), strict=True):
        assert one == other
    assert made.starts(1, [4, 1])[0] != starts[0]


def test_starts_have_a_finite_density_and_gradient() -> None:
    made = session("parameters { real m; } model { target += log(m) - m; }", {})
    assert all(0 < start["m"] <= 2 for start in made.starts(30, [1]))


def test_no_such_start_is_an_error_after_many_tries() -> None:
    backend = Noting()
    made = session("parameters { real m; } model { target += log(m - 3) - m; }", {}, backend)
    with pytest.raises(ValueError, match=f"no start among {TRIES} draws .* a parameter without its bound"):
        made.starts(1, [1])
    assert len(backend.asked) == TRIES


def test_maps_of_many() -> None:
    made = session()
    positions = np.array([[1.0, 0.5], [-3.0, -1.0]])
    values = made.constrain(positions)
    assert [float(each["m"]) for each in values] == [1.0, -3.0]
    assert [float(each["s"]) for each in values] == pytest.approx(np.exp([0.5, -1.0]))
    assert np.array(made.unconstrain(values)) == pytest.approx(positions)
    outside: Values = {"m": np.array(1.0), "s": np.array(-1.0)}
    found = made.unconstrain([outside, values[0]])
    assert np.isnan(found[0]).all()
    assert found[0].shape == (2,)
    assert found[1] == pytest.approx(positions[0])
    assert made.inside([outside, values[0]]) == [False, True]
    assert np.isnan(made.densities([outside, values[0]])).tolist() == [True, False]


def test_exploring_finds_where_the_posterior_has_its_mass() -> None:
    made = session()
    positions = made.explore(40, 3)
    assert positions.shape == (40, 2)
    assert len(np.unique(positions[:, 0])) > 20
    assert np.abs(positions[:, 0] - 10).max() < 5
    assert np.array_equal(positions, made.explore(40, 3))
    assert not np.array_equal(positions, made.explore(40, 4))


# Fits


def test_repeats_are_as_many_as_were_asked_for() -> None:
    backend = Noting()
    made = session(backend=backend)
    assert made.repeat_gradient(START, 7) > 0
    assert backend.asked == ["log_density_and_gradient"] * 14


def test_a_backend_gets_ready_for_given_starts_before_the_clock() -> None:
    backend = Noting()
    made = session(backend=backend)
    assert made.sample(SETTINGS, 1, START, KEEP).seconds > 0
    assert backend.asked == ["compile_for", "get_ready", "sample"]
    made.sample(SETTINGS, 1, None, KEEP)
    assert backend.asked == ["compile_for", "get_ready", "sample", "compile_for", "sample"]


class Compiling(Stanli):
    """stanli, as if it compiled for the settings of the first fit."""

    def prepare(self, model: Model, data: Data) -> Any:
        posterior = super().prepare(model, data)
        left = [0.2]
        posterior.compile_for = lambda settings: time.sleep(left.pop() if left else 0)  # type: ignore[method-assign]
        return posterior


def test_what_is_compiled_for_the_settings_is_part_of_the_build_and_of_every_fit_since() -> None:
    made = session(backend=Compiling())
    for _ in range(2):
        spent = made.sample(SETTINGS, 1, START, KEEP)
        assert spent.compile_seconds >= 0.2
        assert spent.compile_cpu_seconds < 0.2  # it slept
    made.prepare(model(), {"centre": 11.0})
    made._posterior.compile_for = lambda settings: None  # type: ignore[method-assign, union-attr]
    assert made.sample(SETTINGS, 1, START, KEEP).compile_seconds < 0.2


def test_a_fit_is_handed_over_once_with_what_is_wanted_of_it() -> None:
    made = session()
    made.sample(SETTINGS, 1, START, KEEP)
    some = made.fetch(["s", "nothing"])
    assert some is not None
    assert list(some.draws) == ["s"]
    assert made.fetch() is None
    made.sample(SETTINGS, 1, START, KEEP)
    everything = made.fetch()
    assert everything is not None
    assert list(everything.draws) == KEEP
    assert np.array_equal(everything.draws["s"], some.draws["s"])


def test_what_is_no_fit_is_an_error_and_the_fit_before_is_gone() -> None:
    made = session()
    made.sample(SETTINGS, 1, START, KEEP)
    assert made._posterior is not None
    made._posterior.sample = lambda *_: "done"  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(TypeError, match="stanli returned str instead of a Fit"):
        made.sample(SETTINGS, 1, START, KEEP)
    assert made.fetch() is None


def test_the_log_density_is_evaluated_again_at_draws() -> None:
    made = session()
    with pytest.raises(RuntimeError, match="nothing was sampled; call sample first"):
        made.replay([(0, 0)])
    made.sample(SETTINGS, 1, START, KEEP)
    where = [(0, 0), (1, 49), (0, 25)]
    again = made.replay(where)
    fit = made.fetch()
    assert fit is not None
    assert again == pytest.approx([fit.log_density[place] for place in where], abs=1e-9)


@pytest.mark.parametrize("draws", [{"m": np.zeros((2, 50))}, {"m": np.zeros((2, 50)), "s": np.full((2, 50), -1.0)}])
def test_draws_at_which_it_cannot_be_evaluated_give_nan(draws: dict[str, Floats]) -> None:
    made = session()
    made.sample(SETTINGS, 1, START, KEEP)
    made._fit = replace(kept(made), draws=draws)
    assert not np.isfinite(made.replay([(0, 0), (9, 9)])).any()


def kept(made: Session) -> Fit:
    assert made._fit is not None
    return made._fit


# Over a socket


class Client:
    """The parent's end of a worker's socket."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        self._answers = self._connection.makefile("rb")
        command = "import sys; from bench.running.worker import serve; serve(int(sys.argv[1]))"
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen([sys.executable, "-c", command, str(number)], pass_fds=(number,), cwd=ROOT)

    def send(self, message: object) -> Any:
        self._connection.sendall(pickle.dumps(message))
        return pickle.load(self._answers)

    def __call__(self, method: str, *arguments: object) -> Any:
        return self.send((method, arguments))

    def close(self) -> None:
        self._answers.close()
        self._connection.close()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    client = Client()
    assert client.send(Stanli()) == ("ok", None)
    yield client
    client.close()
    assert client.process.wait(timeout=30) == 0  # it ends when the parent hangs up


def test_calls_are_answered_one_after_the_other(client: Client) -> None:
    kind, prepared = client("prepare", model(), DATA)
    assert (kind, prepared.cache) == ("ok", "none")
    assert client("dimension") == ("ok", 2)
    assert client("sample", SETTINGS, 1, START, KEEP)[0] == "ok"
    kind, fit = client("fetch")
    assert kind == "ok"
    assert fit.draws["m"].shape == (2, 50)


def test_an_error_is_an_answer_with_its_trace_and_the_next_call_is_answered(client: Client) -> None:
    client("prepare", model(), DATA)
    kind, text = client("replay", [(0, 0)])
    assert kind == "error"
    assert text.startswith("RuntimeError: nothing was sampled; call sample first\nTraceback")
    assert client("no_such_method")[0] == "error"
    assert client("prepare", model(), DATA)[0] == "ok"
