"""PyMC modules: how they are built, told apart, and mapped."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backends.base import Backend
from bench.backends.nutpie import Nutpie
from bench.backends.pymc import PyMC, PyMCPosterior
from bench.backends.pymc_program import build, swappable
from bench.families.base import DataError, Model, Program
from bench.settings import Settings

CODE = """
def build(data):
    with pm.Model() as model:
        y = pm.Data("y_given", data["y"])
        a = pm.Normal("a", 0, 1)
        b = pm.HalfNormal("b", 1, shape=(2, 3))
        pm.Deterministic("c", 2 * a)
        pm.Normal("y", a, b.sum(), observed=y)
    return model
"""
DATA = {"y": np.array([1.0, 2.0, 3.0])}


def program(code: str = CODE) -> Program:
    return Program(Path("model.py"), code)


def test_modules_need_no_imports_and_may_name_their_function_otherwise() -> None:
    for name in ("build", "make_model", "model"):
        assert [rv.name for rv in build(program(CODE.replace("build", name)), DATA).free_RVs] == ["a", "b"]
    plain = "with pm.Model() as model:\n    pm.Normal('x', np.zeros(2).sum(), pt.ones(2).sum())\n"
    assert [rv.name for rv in build(program(plain), {}).free_RVs] == ["x"]


def test_build_gets_arrays_and_make_model_gets_lists() -> None:
    check = """
def {name}(data):
    assert isinstance(data["y"], {kind})
    with pm.Model() as model:
        pm.Normal("x")
    return model
"""
    build(program(check.format(name="build", kind="np.ndarray")), DATA)
    build(program(check.format(name="make_model", kind="list")), DATA)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1", "has no function build"),
        ("def build(data):\n    return 3", "returned int, not a pm.Model"),
        ("with pm.Model() as model:\n    pm.Poisson('k', 2)\n    pm.Normal('x')", r"discrete parameters \(k\)"),
        ("with pm.Model() as model:\n    pm.Normal('x', 0, 1, observed=1.0)", "has no parameters"),
    ],
)
def test_modules_that_are_refused(code: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        build(program(code), {})


def fingerprint(code: str, y: np.ndarray = DATA["y"], **changes: Any) -> str:
    model = Model("m", "t", pymc=program(code), **changes)
    return PyMCPosterior(model, build(program(code), {"y": y}), {"y": y}).fingerprint


def test_the_fingerprint_is_of_all_but_the_values_of_data() -> None:
    own = fingerprint(CODE)
    assert own == fingerprint(CODE, np.array([5.0, 5.0, 1.0]))
    assert own != fingerprint(CODE, np.arange(4.0))
    assert own != fingerprint(CODE, renamed={"alpha": "a"})
    for old, new in (('"a", 0, 1', '"a", 0, 2'), ("b.sum()", "b.mean()"), ("2 * a", "3 * a")):
        assert own != fingerprint(CODE.replace(old, new))
    constant = CODE.replace('pm.Data("y_given", data["y"])', 'data["y"]')
    first, second = (fingerprint(constant, np.full(3, value)) for value in (1.0, 2.0))
    assert first != second  # what is no pm.Data is compiled in


def test_the_fingerprint_tells_sizes_that_the_graph_does_not_show() -> None:
    """The length of a dimension, and a shared variable that is no pm.Data."""
    by_dims = """
def build(data):
    with pm.Model(coords={"g": np.arange(int(data["y"][0]))}) as model:
        z = pm.Normal("z", dims="g")
        pm.Normal("y", z.sum(), observed=pm.Data("y_given", data["y"]))
    return model
"""
    shared = """
def build(data):
    import pytensor
    with pm.Model() as model:
        pm.Normal("z", pytensor.shared(data["y"][0]))
        pm.Normal("y", observed=pm.Data("y_given", data["y"]))
    return model
"""
    for code in (by_dims, shared):
        first, second, again = (fingerprint(code, np.array([n, 1.0])) for n in (5.0, 20.0, 5.0))
        assert first == again != second


def test_only_data_can_be_exchanged() -> None:
    assert list(swappable(build(program(), DATA))) == ["y_given"]


def test_names_axes_and_maps() -> None:
    model = Model("m", "t", pymc=program(), renamed={"alpha": "a"}, axes={"b": (1, 0)})
    posterior = PyMCPosterior(model, build(program(), DATA), DATA)
    assert posterior.description.parameters == {"alpha": (), "b": (3, 2)}
    assert posterior.description.transformed == {"c": ()}
    position = np.random.default_rng(1).normal(size=posterior.dimension)
    values = posterior.constrain(position)
    assert values["b"].shape == (3, 2)
    assert values["b"].T.ravel() == pytest.approx(np.exp(position[1:]))
    assert posterior.unconstrain(values) == pytest.approx(position)
    value, gradient = posterior.log_jacobian_and_gradient(position)
    assert value == pytest.approx(position[1:].sum())  # each of b is the exponential of its coordinate
    assert gradient == pytest.approx([0, *np.ones(6)])
    draws = np.arange(24.0).reshape(2, 2, 2, 3)
    assert posterior.from_pymc("b", draws, 2)[1, 1].tolist() == draws[1, 1].T.tolist()
    assert not np.isfinite(posterior.unconstrain({**values, "b": -values["b"]})).all()


SCALED_STAN = """
data { int N; }
parameters { real a; array[N] simplex[3] p; real<lower=0> s; }
model { a ~ std_normal(); for (n in 1:N) p[n] ~ dirichlet([2, 2, 2]'); s ~ exponential(1); }
"""
SCALED = """
def build(data):
    helmert = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
    with pm.Model() as model:
        free = pm.Flat("p_free", shape=(data["N"], 2))
        p = pm.math.softmax(free @ helmert, axis=-1)
        pm.Potential("prior and Jacobian of p", (1 + 1) * pt.log(p).sum())
        s_log = pm.Flat("s_log")
        pm.Potential("prior and Jacobian of s", -pt.exp(s_log) + s_log)
        pm.Normal("a", 0, 1)
    return model
"""
ON_STANS_SCALE = {"p": "p_free", "s": "s_log"}


def scaled(code: str = SCALED, **changes: Any) -> Model:
    options: dict[str, Any] = {
        "stan": Program(Path("s.stan"), SCALED_STAN),
        "pymc": Program(Path("s.py"), code),
        "unconstrained": ON_STANS_SCALE,
    }
    return Model("s", "t", **{**options, **changes})


def test_parameters_on_stans_scale() -> None:
    model, data = scaled(), {"N": 2}
    posterior = PyMCPosterior(model, build(program_of(model), data), data)
    assert posterior.description.parameters == {"p": (2, 3), "s": (), "a": ()}
    position = np.random.default_rng(1).normal(size=posterior.dimension)
    values = posterior.constrain(position)
    assert values["p"].sum(axis=1) == pytest.approx([1, 1])
    assert values["s"] == pytest.approx(np.exp(position[4]))
    assert posterior.unconstrain(values) == pytest.approx(position)
    value, gradient = posterior.log_jacobian_and_gradient(position)
    assert type(value) is float  # PyTensor's own zero has half of the digits
    step = 1e-5
    for i, slope in enumerate(gradient):
        moved = [position + sign * step * np.eye(len(position))[i] for sign in (1, -1)]
        up, down = (posterior.log_jacobian_and_gradient(each)[0] for each in moved)
        assert slope == pytest.approx((up - down) / (2 * step), abs=1e-6)
    flat = np.log(values["p"]).sum() + position[4]
    elsewhere = posterior.constrain(position + 0.1)
    moved_by = posterior.log_jacobian_and_gradient(position + 0.1)[0] - value
    assert moved_by == pytest.approx(np.log(elsewhere["p"]).sum() + position[4] + 0.1 - flat)
    draws = np.random.default_rng(2).normal(size=(2, 5, 2, 2))
    mapped = posterior.from_pymc("p", draws, 2)
    assert mapped.shape == (2, 5, 2, 3)
    assert mapped[1, 3] == pytest.approx(posterior.constrain(np.r_[draws[1, 3].ravel(), 0, 0])["p"])
    assert posterior.from_pymc("s", np.zeros((2, 5)), 2) == pytest.approx(np.ones((2, 5)))


@pytest.mark.slow
@pytest.mark.parametrize("engine", [PyMC, Nutpie])
def test_draws_of_parameters_on_stans_scale(engine: type[Backend]) -> None:
    posterior = engine().prepare(scaled(), {"N": 2})
    start = posterior.constrain(np.full(posterior.dimension, 0.3))  # nutpie refuses the mode
    settings = Settings(chains=1, warmup=100, draws=100, cores=1)
    posterior.get_ready(settings, 1, [start])
    draws = posterior.sample(settings, 1, [start], ["p", "s", "a"]).draws
    assert draws["p"].shape == (1, 100, 2, 3)
    assert draws["p"].sum(axis=-1) == pytest.approx(np.ones((1, 100, 2)))
    assert draws["s"].min() > 0


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            scaled(SCALED.replace('shape=(data["N"], 2)', 'shape=(data["N"], 3)').replace("free @", "free[:, :2] @")),
            r"p_free has shape \(2, 3\), and p has 4 unconstrained elements in Stan",
        ),
        (scaled(SCALED.replace('pm.Flat("s_log")', 'pm.HalfFlat("s_log")')), "s_log is to be on Stan's .* once more"),
        (scaled(stan=None), "s has parameters on Stan's scale, and no Stan program"),
    ],
)
def test_scales_that_do_not_fit(model: Model, said: str) -> None:
    with pytest.raises(DataError, match=said):
        PyMC().describe(model, {"N": 2})


def test_a_scalar_that_is_a_vector_of_one_element_in_stan() -> None:
    model = Model("m", "t", pymc=program(), axes={"a": []})
    posterior = PyMCPosterior(model, build(program(), DATA), DATA)
    assert posterior.description.parameters["a"] == (1,)
    values = posterior.constrain(np.arange(7.0))
    assert values["a"].tolist() == [0]
    assert posterior.unconstrain(values) == pytest.approx(np.arange(7.0))
    assert posterior.from_pymc("a", np.zeros((4, 10)), 2).shape == (4, 10, 1)


def program_of(model: Model) -> Program:
    assert model.pymc is not None
    return model.pymc
