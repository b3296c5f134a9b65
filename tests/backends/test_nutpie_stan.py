"""nutpie's sampler on Stan programs: what its private names must be, and programs that need more than a density."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.families.base import Model, Program
from bench.settings import Settings

SETTINGS = Settings(chains=2, warmup=100, draws=50, cores=2)


def model(code: str) -> Model:
    return Model("model", "target", Program(Path("model.stan"), code))


def test_the_private_names_that_are_used_are_there() -> None:
    """They stand in `nutpie_stan` and `stanli_functions` alone."""
    import stanli
    from nutpie.compile_pymc import CompiledPyMCModel

    fields = {field.name for field in dataclasses.fields(CompiledPyMCModel)}
    used = {"compiled_logp_func", "compiled_expand_func", "user_data", "shape_info", "n_expanded", "initial_point_func"}
    assert fields >= used | {"_n_dim", "_shapes", "dims", "_coords"}, "nutpie keeps a compiled model in another way"
    assert Path(stanli._runtime_lib_path()).is_file(), "stanli's runtime stands elsewhere"


def test_what_follows_from_the_parameters_is_there_random_numbers_too() -> None:
    posterior = BACKENDS["nutpie_stan"].prepare(
        model(
            "data { int n; } parameters { matrix<lower=0>[2, n] a; } transformed parameters { matrix[2, n] b = -a; } "
            "model { to_vector(a) ~ exponential(1); } generated quantities { real z = normal_rng(a[2, 1], 1e-3); }"
        ),
        {"n": 3},
    )
    assert posterior.description.names == {"a": (2, 3), "b": (2, 3), "z": ()}
    start = [posterior.constrain(np.full(6, 0.3)), posterior.constrain(np.ones(6))]
    posterior.get_ready(SETTINGS, 1, start)
    fits = [posterior.sample(SETTINGS, 1, start, ["a", "b", "z"]) for _ in range(2)]
    a, b, z = (fits[0].draws[name] for name in ("a", "b", "z"))
    assert a.shape == b.shape == (2, 50, 2, 3)
    np.testing.assert_array_equal(a, -b)
    assert (a > 0).all()
    np.testing.assert_allclose(z, a[..., 1, 0], atol=1e-2)
    assert np.ptp(z - a[..., 1, 0]) > 1e-4
    np.testing.assert_array_equal(z, fits[1].draws["z"])


def test_a_program_that_rejects_diverges_and_is_no_crash() -> None:
    posterior = BACKENDS["nutpie_stan"].prepare(
        model('parameters { real x; } model { x ~ normal(0, 1); if (x > 0.5) reject("not here"); }'), {}
    )
    start = [posterior.constrain(np.array([-1.0]))] * 2
    with pytest.raises(ValueError, match="error code 1"):
        posterior.log_density_and_gradient(np.array([1.0]))
    posterior.get_ready(SETTINGS, 1, start)
    fit = posterior.sample(SETTINGS, 1, start, ["x"])
    assert fit.divergent.any()
    assert (fit.draws["x"] <= 0.5).all()


def test_a_generated_quantity_that_raises_is_nan_for_that_draw() -> None:
    posterior = BACKENDS["nutpie_stan"].prepare(
        model(
            "parameters { real x; } model { x ~ normal(0, 1); } "
            'generated quantities { real z = 1; if (x > 0) reject("not here"); }'
        ),
        {},
    )
    start = [posterior.constrain(np.array([-1.0]))] * 2
    posterior.get_ready(SETTINGS, 1, start)
    fit = posterior.sample(SETTINGS, 1, start, ["z"])
    assert set(np.unique(fit.draws["z"][np.isfinite(fit.draws["z"])])) == {1.0}
    assert np.isnan(fit.draws["z"]).any()
