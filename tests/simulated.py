"""Simulated records for the report: every status, healthy and unhealthy fits, and text that means harm."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bench.records import Quantity, Record, Status

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>|`*_"
MODELS = {
    "centered": "superpopulation",
    "noncentered": "superpopulation",
    "zerosum_centered": "superpopulation",
    "zerosum_noncentered": "superpopulation",
    "finite_zerosum_centered": "finite_population",
    "finite_zerosum_noncentered": "finite_population",
}
SPEED = {"cmdstan": 1.0, "stanli": 3.0, "pymc": 0.5, "nutpie": 1.4}
KNOWN = {
    "mu": {"mean": 2.0, "sd": 0.4, "q3": 1.2, "q97": 2.8},
    "sigma": {"mean": 0.75, "sd": 0.03, "q3": 0.69, "q97": 0.81},
    "omega": {"mean": 1.0, "sd": 0.2, "q3": 0.65, "q97": 1.4},
}


def simulate(
    run: str = "20260101-000000-abcd",
    omegas: tuple[float, ...] = (0.1, 10.0),
    groups: tuple[int, ...] = (5, 50),
    replicates: int = 3,
    *,
    hostile: bool = False,
) -> Iterator[Record]:
    """Yield the records of a run: the grid by all models and four backends, and one table of a reader's own."""
    cases: list[tuple[str, float | None, int]] = [(f"omega{o:g}-G{g}-n20-s41", o, g) for o in omegas for g in groups]
    if hostile:
        cases.append((HOSTILE, None, 7))
    rng = np.random.default_rng(3)
    for dataset, omega, n_groups in cases:
        for i, (model, target) in enumerate(MODELS.items()):
            for backend, speed in SPEED.items():
                for replicate in range(replicates):
                    common: dict[str, Any] = {
                        "run": run,
                        "time": "2026-01-01T00:00:00Z",
                        "family": "normal_means",
                        "dataset": dataset,
                        "dataset_digest": "d" * 64,
                        "sizes": {"observations": 20 * n_groups, "groups": n_groups},
                        "generated_with": {} if omega is None else {"mu": 2.0, "sigma": 0.75, "omega": omega},
                        "model": model,
                        "model_digest": "e" * 64,
                        "target": target,
                        "backend": backend,
                        "language": "stan" if "stan" in backend else "pymc",
                        "protocol": "matched",
                        "settings": {"chains": 4, "warmup": 1000, "draws": 1000, "target_accept": 0.8, "cores": 2},
                        "replicate": replicate,
                        "seed": 100 + replicate,
                        "versions": {backend: "1.0"},
                        "environment": {"cpu": "a CPU", "cores": 2, "python": "3.12.1", "commit": "0123456789ab"},
                    }
                    yield Record(**common, **_outcome(rng, i, backend, speed, omega or 1.0, n_groups, replicate))


def asked(run: str = "20260101-000000-abcd", *, hostile: bool = False) -> dict[str, Any]:
    """Return `run.json` of the simulated run."""
    return {
        "run": run,
        "command": [
            "pytest",
            "bench/",
            "--benchmark-only",
            "--replicates",
            "3",
            *(["--data", HOSTILE] if hostile else []),
        ],
        "datasets": {"omega0.1-G5-n20-s41": "d" * 64},
        "models": dict.fromkeys(MODELS, "e" * 64),
        "backends": {name: {name: "1.0"} for name in SPEED},
        "missing": {"pystan": f"not installed; type: pip install pystan {HOSTILE if hostile else ''}"},
        "asked": {"protocol": "matched", "overrides": {}, "seed": 1, "replicates": 3},
        "settings": {name: {"chains": 4, "warmup": 1000, "draws": 1000} for name in SPEED},
        "environment": {"cpu": "a CPU", "cores": 2},
    }


def _outcome(
    rng: np.random.Generator, model: int, backend: str, speed: float, omega: float, n_groups: int, replicate: int
) -> dict[str, Any]:
    if backend == "cmdstan" and model == 4 and replicate == 1:
        return {"status": "crashed", "reason": f"signal 11\n{HOSTILE}"}
    if backend == "pymc" and model == 5:
        return {"status": "mismatch", "reason": "log density differs by 3.2 at point 2 " + "x" * 300}
    centered = model % 2 == 0
    fit = (omega if centered else 1 / omega) ** 0.25
    ess = float(min(3900, 1500 * fit * rng.lognormal(0, 0.1)))
    wall = float(0.3 * n_groups**0.7 / speed * rng.lognormal(0, 0.05))
    divergences = int(rng.poisson(200)) if centered and omega < 1 else 0
    chains = (0.4 * wall / 2 * rng.lognormal(0, 0.1, 4)).tolist()
    clock = backend != "nutpie"
    health = [f"divergences: {divergences}"] if divergences > 4 else []
    quantities, scale = {}, 2.0 if health else 1.0
    for name, known in {**KNOWN, "mu_g": KNOWN["mu"]}.items():
        mean = known["mean"] + known["sd"] * float(rng.normal(0, scale / math.sqrt(ess)))
        low, high = mean - 1.9 * known["sd"], mean + 1.9 * known["sd"]
        own = ess * (1 + len(name) / 3)
        element = f"mu_g[{rng.integers(3)}]" if name == "mu_g" else name
        error = known["sd"] / math.sqrt(ess)
        quantities[name] = Quantity(mean, known["sd"], low, mean, high, error, own, own, 1.002, element)
    return {
        "status": "ok",
        "health": health,
        "wall_seconds": wall,
        "prepare_seconds": {"cmdstan": 26.0, "stanli": 0.006, "pymc": 9.0, "nutpie": 14.0}[backend],
        "prepare_cache": "none" if backend == "stanli" else "built",
        "warmup_seconds": chains if clock else None,
        "sampling_seconds": chains if clock else None,
        "extraction_seconds": 0.1 * wall if backend == "cmdstan" else 0.001,
        "warmup_gradients": 40_000,
        "gradients": 30_000,
        "divergences": divergences,
        "saturated": 0,
        "headline": list(KNOWN),
        "quantities": quantities,
        "min_ess_bulk": ess,
        "min_ess_of": "omega",
        "max_rhat": 1.002,
        "ess_per_second": ess / wall,
        "ess_per_gradient": ess / 70_000,
        "ebfmi": [0.9, 1.0, 0.9, 1.1],
        "step_size": [0.4, 0.4, 0.5, 0.4],
        "gate": {"with": "reference", "places": 9, "error": 1e-13, "constant": 0.0, "note": ""},
        "grade": {
            "truth": "exact",
            "largest": float(abs(rng.normal(2, 0.5))),
            "worst": "omega mean",
            "bound": 4.1,
            "biased": False,
            "known": KNOWN,
            "seconds_to_error": dict.fromkeys(KNOWN, 10 * wall),
        },
    }


KINDS = {"hierarchical": 2.0, "regression": 0.5, "time series": 1.0}
"""Kinds of models, and how many times as fast as stanli nutpie_stan is on them, by geometric mean."""
BUILDS = {"stanli": 0.01, "nutpie_stan": 0.01, "nutpie": 20.0, "pymc": 5.0, "pystan": 60.0}


def simulate_many(
    posteriors: int = 24, backends: tuple[str, ...] = ("stanli", "nutpie_stan", "nutpie"), replicates: int = 3
) -> Iterator[Record]:
    """Yield the records of a run over a checkout of posteriordb, a posterior for each model, kind after kind.

    nutpie is 1.2 times as fast as stanli on every kind, and the rest are half as fast. Of the last four posteriors
    one is not the same in PyMC, one is unhealthy everywhere, one takes nutpie too long and one crashes every second
    time in stanli.
    """
    rng = np.random.default_rng(15)
    like = next(simulate(groups=(5,), omegas=(10.0,), replicates=1))
    for i in range(posteriors):
        kind, own = list(KINDS)[i % len(KINDS)], rng.lognormal(0, 2.0)
        word = f"{chr(97 + i // 26)}{chr(97 + i % 26)}"  # a source of its own
        for backend in backends:
            speed = {"stanli": 1.0, "nutpie_stan": KINDS[kind], "nutpie": 1.2}.get(backend, 0.5)
            rate = 1000 * own * speed * (1 if backend == "stanli" else rng.lognormal(0, 0.2))
            for replicate in range(replicates):
                wall = float(2000 / rate * rng.lognormal(0, 0.05))
                fit = replace(
                    like, family="posteriordb", kind=kind, dataset=f"{word}_data", model=f"model{i}",
                    target=f"{word}_data-model{i}", backend=backend, dataset_digest=f"{i:064}",
                    sizes={"values": 10 * (i + 1)},
                    dimension=i + 1, generated_with={}, versions={backend: "1.0"}, replicate=replicate,
                    language="stan" if "stan" in backend else "pymc", seed=100 + replicate, health=[], divergences=0,
                    wall_seconds=wall, ess_per_second=2000 / wall, min_ess_bulk=2000.0, grade=None,
                    prepare_seconds=BUILDS[backend],
                )  # fmt: skip
                yield _fate(fit, posteriors - 1 - i)


def _fate(fit: Record, left: int) -> Record:
    if left == 0 and fit.language == "pymc":
        return broken(fit, "mismatch", "the log density differs by 3.2; the difference depends on tau (up to 3.2)")
    if left == 1:
        return replace(fit, health=["divergences: 300"])
    if left == 2 and fit.backend == "nutpie":
        return broken(fit, "timeout", "sample took longer than 120 s on 1.96 cores and was stopped")
    if left == 3 and fit.backend == "stanli" and fit.replicate % 2 == 0:
        return broken(fit, "crashed", "signal 11")
    return fit


def broken(fit: Record, status: Status, reason: str) -> Record:
    """Return the record of a fit that came to nothing."""
    return replace(fit, status=status, reason=reason, wall_seconds=None, min_ess_bulk=None, ess_per_second=None)
