"""PyMC modules: how they are built, told apart, and mapped."""

from pathlib import Path

import numpy as np
import pytest

from bench.backends.pymc import PyMCPosterior
from bench.backends.pymc_program import build, fingerprint, swappable
from bench.families.base import DataError, Model, Program

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


def test_the_fingerprint_is_of_all_but_the_values_of_data() -> None:
    own = fingerprint(program(), build(program(), DATA))
    assert own == fingerprint(program(), build(program(), {"y": np.array([5.0, 5.0, 1.0])}))
    longer = {"y": np.arange(4.0)}
    assert own != fingerprint(program(), build(program(), longer))
    for old, new in (('"a", 0, 1', '"a", 0, 2'), ("b.sum()", "b.mean()"), ("2 * a", "3 * a")):
        other = program(CODE.replace(old, new))
        assert own != fingerprint(other, build(other, DATA))
    constant = program(CODE.replace('pm.Data("y_given", data["y"])', 'data["y"]'))
    first, second = (fingerprint(constant, build(constant, {"y": np.full(3, value)})) for value in (1.0, 2.0))
    assert first != second  # what is no pm.Data is compiled in


def test_only_data_can_be_exchanged() -> None:
    assert list(swappable(build(program(), DATA))) == ["y_given"]


def test_names_axes_and_maps() -> None:
    model = Model("m", "t", pymc=program(), renamed={"alpha": "a"}, axes={"b": (1, 0)})
    posterior = PyMCPosterior(model, build(program(), DATA), DATA, None, "none")
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
