"""Simulated records of a map: centered wins above an information of 1, noncentered below, marginal everywhere."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.records import Record
from tests.simulated import simulate

MODELS = ("marginal", "centered", "noncentered")
Rate = Callable[[str, float], float]


def rate(model: str, information: float) -> float:
    """Effective draws for a CPU second."""
    return {"marginal": 9000.0, "centered": 300 * math.sqrt(information), "noncentered": 300 / math.sqrt(information)}[
        model
    ]


def record(model: str, information: float, number: int = 0, of: float | None = 1000.0, **fields: Any) -> Record:
    """Return a fit on data of its own; with no rate it is unhealthy."""
    groups, imbalance = fields.pop("groups", 50), fields.pop("imbalance", 1)
    engine = fields.pop("backend", "stanli")
    sigma = fields.pop("sigma", 0.75)
    made = {"mu": 2.0, "sigma": sigma, "omega": sigma * math.sqrt(information / 10)}
    sizes, small = "10" if imbalance == 1 else f"1to{imbalance}", "" if sigma == 0.75 else f"-sigma{sigma}"
    sick = of is None
    common: dict[str, Any] = {
        "dataset": f"i{information:.3g}-G{groups}-n{sizes}{small}-s{1000 + number}",
        "sizes": {"observations": 10 * groups, "groups": groups},
        "generated_with": {**made, "information": information, "size": 10.0, "imbalance": float(imbalance)},
        "model": model,
        "backend": engine,
        "replicate": 0,
        "versions": {engine: "1.0"},
        "health": ["divergences: 40"] if sick else [],
        "min_ess_bulk": 1000.0,
        "cpu_seconds": 1000.0 / (of or 1000.0),
        "derive_seconds": 0.0,
        "grade": None,
    }
    return replace(_TEMPLATE, **{**common, **fields})


_TEMPLATE = next(each for each in simulate(omegas=(10.0,), groups=(5,)) if each.model == "centered" and each.healthy)


def simulated(
    informations: Sequence[float] = (0.01, 0.1, 1.0, 10.0, 100.0),
    fits: int = 4,
    rates: Rate = rate,
    noise: float = 0.05,
    **fields: Any,
) -> Iterator[Record]:
    """Yield the fits of a map."""
    rng = np.random.default_rng(5)
    for information in informations:
        for number in range(fits):
            for model in MODELS:
                found = rates(model, information) * math.exp(noise * rng.normal())
                yield record(model, information, number, found if found > 0 else None, **fields)
