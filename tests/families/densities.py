"""Evaluates both programs of a model at the same values, without what the gate of the suite does."""

import importlib
import json
from collections.abc import Mapping

import numpy as np
import pymc as pm
import stanli

from bench.arrays import Floats
from bench.families.base import Dataset, Model, Values


def pymc_model(family: str, model: Model, dataset: Dataset) -> pm.Model:
    """Build the PyMC program."""
    return importlib.import_module(f"pymc_models.{family}.{model.name}").build(dataset.data)


def stan_model(model: Model, dataset: Dataset) -> stanli.Model:
    """Compile the Stan program."""
    assert model.stan is not None
    return stanli.Model(stan_code=model.stan.code, data=plain(dataset.data))


def differences(family: str, model: Model, dataset: Dataset, seed: int) -> Floats:
    """Log density by Stan less that by PyMC at random values; a constant where the programs are the same.

    Every transform of these families is a logarithm, so that Stan's log Jacobian is the sum of the logs of the scales.
    """
    built, compiled = pymc_model(family, model, dataset), stan_model(model, dataset)
    log_density = built.compile_fn(built.logp(jacobian=False), inputs=built.value_vars, point_fn=False)
    start = built.initial_point()
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(8):
        position = {value.name: rng.uniform(-1, 1, start[value.name].shape) for value in built.value_vars}
        scales = {name.removesuffix("_log__"): np.exp(at) for name, at in position.items() if name.endswith("_log__")}
        values: Values = {name: at for name, at in position.items() if not name.endswith("__")} | scales
        with_jacobian, _ = compiled.log_prob_grad(compiled.unconstrain(plain(values)))
        jacobian = sum(float(np.log(scale)) for scale in scales.values())
        found.append(with_jacobian - jacobian - float(log_density(*position.values())))
    return np.array(found)


def shapes(built: pm.Model) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter of a PyMC model."""
    start = built.initial_point()
    return {rv.name: start[built.rvs_to_values[rv].name].shape for rv in built.free_RVs}


def plain(values: Mapping[str, object]) -> dict[str, object]:
    """Return arrays as lists, as in JSON."""
    loaded: dict[str, object] = json.loads(json.dumps(dict(values), default=lambda array: array.tolist()))
    return loaded
