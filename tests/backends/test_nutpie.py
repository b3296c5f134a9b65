"""nutpie on PyMC programs: the private names of its that are used for gradients by JAX."""

import subprocess
import sys

import pytest

from bench.backends import BACKENDS

NAMES = ("_make_logp_func", "_make_expand_func", "_make_initial_points", "_shared_data")
"""They stand in `bench.backends.nutpie` alone."""
CODE = f"""
import nutpie, pymc
with pymc.Model() as model:
    a = pymc.Normal("a")
    pymc.Normal("x", a, 1.0, observed=pymc.Data("y", [1.0]))
compiled = nutpie.compile_pymc_model(model, backend="jax", gradient_backend="jax", freeze_model=False)
print(*(name for name in {NAMES} if hasattr(compiled, name)), *compiled._shared_data)
"""


def test_the_private_names_that_are_used_are_there() -> None:
    """In a process of its own: one that has imported JAX must not be forked."""
    if reason := BACKENDS["numpyro"].unavailable():
        pytest.skip(f"JAX: {reason}")
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*NAMES, "y"], "nutpie keeps a model compiled by JAX in another way"
