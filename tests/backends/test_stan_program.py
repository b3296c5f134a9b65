"""Stan programs as text, and Stan's maps in the declared shapes."""

from pathlib import Path

import numpy as np
import pytest

from bench.backends.stan_program import blocks, fortran, jacobian_program
from bench.backends.stanli import StanliPosterior
from bench.families.base import DataError, Program

CODE = """
// a comment with a brace { and model { }
functions { real twice(real x) { return 2 * x; } /* } */ }
data { int<lower=0> N; vector[N] y; }
transformed data { real top = max(y); }
parameters { real<lower=0, upper=top> a; matrix[2, 3] b; array[2] simplex[3] p; }
transformed parameters { real c = twice(a); print("a string with } in it"); }
model { a ~ normal(0, 1); }
generated quantities { vector[2] g = [a, c]'; }
"""
DATA = {"N": 3, "y": np.array([1.0, 2.0, 3.0])}


def test_blocks_are_split_at_braces_that_count() -> None:
    found = blocks(CODE)
    assert list(found) == ["functions", "data", "transformed data", "parameters", "transformed parameters", "model",
                           "generated quantities"]  # fmt: skip
    assert found["data"] == " int<lower=0> N; vector[N] y; "
    assert found["model"] == " a ~ normal(0, 1); "
    assert "twice" in found["functions"]


def test_the_jacobian_program_keeps_what_bounds_depend_on() -> None:
    found = blocks(jacobian_program(CODE))
    assert found["model"] == ""
    assert list(found) == ["functions", "data", "transformed data", "parameters", "model"]


def test_names_and_shapes() -> None:
    posterior = StanliPosterior(Program(Path("m.stan"), CODE.replace(' print("a string with } in it");', "")), DATA)
    assert posterior.description.parameters == {"a": (), "b": (2, 3), "p": (2, 3)}
    assert posterior.description.transformed == {"c": (), "g": (2,)}
    assert posterior.dimension == 1 + 6 + 4


def test_maps_and_jacobian() -> None:
    posterior = StanliPosterior(Program(Path("m.stan"), CODE.replace(' print("a string with } in it");', "")), DATA)
    position = np.random.default_rng(1).uniform(-2, 2, posterior.dimension)
    values = posterior.constrain(position)
    assert 0 < values["a"] < 3  # the bound is the largest y
    assert values["p"].sum(axis=1) == pytest.approx([1, 1])
    assert posterior.unconstrain(values) == pytest.approx(position, rel=1e-10)
    jacobian, gradient = posterior.log_jacobian_and_gradient(position)
    step = np.zeros(posterior.dimension)
    step[0] = 1e-5
    numeric = [posterior.log_jacobian_and_gradient(position + sign * step)[0] for sign in (1, -1)]
    assert (numeric[0] - numeric[1]) / 2e-5 == pytest.approx(gradient[0], abs=1e-6)
    # of the interval (0, 3): log of the derivative of 3 / (1 + exp(-u)); the rest does not depend on u
    moved = position.copy()
    moved[0] = 0.0
    u = position[0]
    expected = np.log(np.exp(-u) / (1 + np.exp(-u)) ** 2) - np.log(0.25)
    assert jacobian - posterior.log_jacobian_and_gradient(moved)[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "program", ["parameters { complex z; } model { }", "parameters { tuple(real, real) t; } model { }"]
)
def test_what_has_no_real_shape_is_refused(program: str) -> None:
    with pytest.raises((DataError, RuntimeError)):
        assert StanliPosterior(Program(Path("m.stan"), program), {}).description


def test_first_index_fastest() -> None:
    columns = np.arange(12.0).reshape(1, 2, 6)
    shaped = fortran(columns, (2, 3))
    assert shaped.shape == (1, 2, 2, 3)
    assert shaped[0, 0].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert fortran(columns[..., :1], ()).shape == (1, 2)
