"""What the draws of a fit say: every field of a record that follows from them."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.correctness import diagnostics
from bench.backends.base import Fit
from bench.families.normal_means.data import Dataset
from bench.families.normal_means.exact import ExactPosterior, exact_posterior
from bench.correctness.grading import grade, seconds_to_error
from bench.correctness.health import audit, health
from bench.families.base import Model, Target
from bench.families.normal_means.population_mean import recover_mu, reweighted_population_mean
from bench.records import Quantity
from bench.settings import Settings, fit_seed

Floats = NDArray[np.float64]

STATED_ERROR = 0.01
"""Monte Carlo error of a posterior mean, in posterior standard deviations, for `seconds_to_error`."""


def diagnose(
    model: Model, dataset: Dataset, settings: Settings, fit: Fit, seconds: float, replicate: int
) -> dict[str, Any]:
    """Compute every field of a record that follows from the draws.

    Parameters
    ----------
    model : Model
        What was fit.
    dataset : Dataset
        What it was fit to.
    settings : Settings
        As asked.
    fit : Fit
        The fit.
    seconds : float
        Its wall time.
    replicate : int
        Its number; it seeds what is drawn after sampling.
    """
    draws = with_mu(model, fit.draws, dataset, replicate)
    flags = audit(settings, fit)

    scalars = np.stack([draws[name] for name in ("mu", "sigma", "omega")], axis=-1)
    everything = np.concatenate([scalars, draws["mu_g"]], axis=-1)
    bulk = diagnostics.ess(everything, "bulk")
    rhats = diagnostics.rhat(everything)
    worst_group = 3 + int(np.argmin(np.where(np.isfinite(bulk[3:]), bulk[3:], -1)))
    names = {"mu": 0, "sigma": 1, "omega": 2, "mu_g": worst_group}
    shown = everything[..., list(names.values())]
    tail, mcse = diagnostics.ess(shown, "tail"), diagnostics.mcse(shown)
    q3, q50, q97 = np.quantile(shown, (0.03, 0.5, 0.97), axis=(0, 1))
    quantities = {
        name: Quantity(
            mean=float(np.mean(shown[..., i])),
            sd=float(np.std(shown[..., i])),
            q3=float(q3[i]),
            q50=float(q50[i]),
            q97=float(q97[i]),
            mcse=float(mcse[i]),
            ess_bulk=float(bulk[at]),
            ess_tail=float(tail[i]),
            rhat=float(rhats[at]),
        )
        for i, (name, at) in enumerate(names.items())
    }
    worst = int(np.argmin(np.where(np.isfinite(bulk), bulk, -1)))
    min_ess, max_rhat = float(bulk[worst]), float(np.max(rhats))
    ebfmi = diagnostics.ebfmi(fit.energy)
    flags += health(fit, min_ess, float(np.min(tail)), max_rhat, ebfmi)

    graded = held_against_truth(model, dataset, draws, seconds, ranked=not flags)
    if graded.get("biased"):
        flags.append(f"biased: {graded['worst']} is {graded['largest']:.1f} errors off, bound {graded['bound']:.1f}")
    population = None
    if model.posterior == "finite_population":
        rng = np.random.default_rng([fit_seed(0, dataset.id, replicate), 3])
        population = asdict(reweighted_population_mean(draws["mu"], draws["omega"], dataset.n_groups, rng))

    chain_seconds = None
    if fit.warmup_seconds is not None and fit.sampling_seconds is not None:
        chain_seconds = float(np.sum(fit.warmup_seconds) + np.sum(fit.sampling_seconds))
    gradients = int(np.sum(fit.gradients) + np.sum(fit.warmup_gradients))
    return {
        "health": flags,
        "warmup_seconds": None if fit.warmup_seconds is None else fit.warmup_seconds.tolist(),
        "sampling_seconds": None if fit.sampling_seconds is None else fit.sampling_seconds.tolist(),
        "extraction_seconds": fit.extraction_seconds,
        "warmup_gradients": int(np.sum(fit.warmup_gradients)),
        "gradients": int(np.sum(fit.gradients)),
        "divergences": int(np.sum(fit.divergent)),
        "saturated": int(np.sum(fit.saturated)),
        "quantities": quantities,
        "min_ess_bulk": min_ess,
        "min_ess_of": ("mu", "sigma", "omega")[worst] if worst < 3 else f"mu_g[{worst - 3}]",
        "max_rhat": max_rhat,
        "ess_per_second": min_ess / seconds,
        "ess_per_chain_second": min_ess / chain_seconds if chain_seconds else None,
        "ess_per_gradient": min_ess / gradients,
        "ebfmi": ebfmi.tolist(),
        "step_size": fit.step_size.tolist(),
        "grade": graded,
        "population_mean": population,
    }


def with_mu(model: Model, draws: Mapping[str, Floats], dataset: Dataset, replicate: int) -> dict[str, Floats]:
    """Return the draws with the population mean mu drawn from m where a model has m; the replicate seeds it."""
    if model.location == "mu":
        return dict(draws)
    rng = np.random.default_rng([fit_seed(0, dataset.id, replicate), 2])
    others = {name: values for name, values in draws.items() if name != "m"}
    return {"mu": recover_mu(draws["m"], draws["omega"], dataset.n_groups, rng), **others}


def held_against_truth(
    model: Model, dataset: Dataset, draws: Mapping[str, Floats], seconds: float, *, ranked: bool
) -> dict[str, Any]:
    """Return the exact posterior of mu, sigma and omega, and, for a fit that may be ranked, its grade.

    The grade has the largest |z| over all graded quantities, which one that is, the bound it must keep to, and for
    mu, sigma and omega the seconds in which the fit would reach a Monte Carlo error of `STATED_ERROR`.
    """
    exact = _exact(dataset, model.posterior)
    scalars = ("mu", "sigma", "omega")
    known: dict[str, Any] = {
        "exact": {
            name: {"mean": exact.mean(name), "sd": exact.sd(name)}
            | {f"q{round(100 * p)}": exact.quantile(name, p) for p in (0.03, 0.5, 0.97)}
            for name in scalars
        }
    }
    if not ranked:
        return known
    result = grade(draws, exact)
    return known | {
        "largest": result.largest,
        "worst": result.worst,
        "bound": result.bound,
        "biased": result.biased,
        "graded": len(result.z),
        "z_mean": {name: result.z[f"{name} mean"] for name in scalars},
        "stated_error": STATED_ERROR,
        "seconds_to_error": dict(seconds_to_error(seconds, result.ess, STATED_ERROR)),
    }


@lru_cache(maxsize=4)
def _exact(dataset: Dataset, posterior: Target) -> ExactPosterior:
    """Keep the exact posteriors of the datasets at hand: all models, backends and replicates share them."""
    return exact_posterior(dataset, posterior)
