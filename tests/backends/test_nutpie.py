"""nutpie on PyMC programs: the private names of its that are used for gradients by JAX."""

import pytest


def test_the_private_names_that_are_used_are_there() -> None:
    """They stand in `bench.backends.nutpie` alone."""
    pytest.importorskip("jax", reason="jax is not installed; type: pip install 'hierbench[jax]'")
    import nutpie
    import pymc

    with pymc.Model() as model:
        pymc.Normal("x", 0.0, 1.0, observed=pymc.Data("y", [1.0]))
        pymc.Normal("a")
    compiled = nutpie.compile_pymc_model(model, backend="jax", gradient_backend="jax", freeze_model=False)
    for name in ("_make_logp_func", "_make_expand_func", "_make_initial_points", "_shared_data"):
        assert hasattr(compiled, name), f"nutpie has no {name} any more"
    assert set(compiled._shared_data) == {"y"}
