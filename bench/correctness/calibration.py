"""Simulation-based calibration (Talts et al. 2018): draws of the prior, ranked among the draws of their posteriors.

For every model and backend: parameters from the prior, data from the parameters, a fit of the data. Over many
simulations the rank of each parameter among its posterior draws is uniform if, and only if, the model is the one that
made the data and the sampler is right. (ArviZ's simuk does this for PyMC models only; here every backend is asked.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.backends.base import Backend
from bench.families.normal_means.data import Dataset
from bench.running.isolation import Worker
from bench.families.base import Model, Target
from bench.families.normal_means.points import standardised
from bench.families.normal_means.population_mean import recover_mu
from bench.settings import Settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RANKED = 99
"""Draws of a posterior among which a parameter is ranked: 100 possible ranks."""
SETTINGS = Settings(chains=2, warmup=1000, draws=2000, target_accept=0.95, cores=2)
SIZES = (1, 1, 2, 2, 3)
"""Observations in each group: few, or non-centered models would need trajectories of thousands of steps."""


@dataclass(frozen=True)
class Calibration:
    """Ranks of a model under a backend.

    Attributes
    ----------
    model, backend : str
        Which.
    ranks : dict of str to array of shape (simulation,)
        For `mu`, `sigma`, `omega` and `mu_g[0]`, the rank in 0 to `RANKED`.
    """

    model: str
    backend: str
    ranks: Mapping[str, Ints]

    @property
    def p_values(self) -> dict[str, float]:
        """Probability of ranks as uneven as these, for each quantity; see `uniformity`."""
        return {name: uniformity(ranks) for name, ranks in self.ranks.items()}


def simulate(
    posterior: Target, rng: np.random.Generator, sizes: Sequence[int] = SIZES
) -> tuple[Dataset, dict[str, float]]:
    """Draw parameters from the prior and a dataset from them; returns also the parameters by name."""
    mu, sigma, omega = rng.normal(), abs(rng.normal()), 10 * abs(rng.normal())
    z = rng.normal(size=len(sizes))
    if posterior == "finite_population":
        z -= z.mean()
    mu_g = mu + omega * z
    group = np.repeat(np.arange(len(sizes)), sizes)
    labels = tuple(str(g) for g in range(len(sizes)))
    dataset = Dataset("simulated", rng.normal(mu_g[group], sigma), group, labels)
    return dataset, {"mu": mu, "sigma": sigma, "omega": omega, "mu_g[0]": mu_g[0]}


def calibrate(
    model: Model,
    backend: Backend,
    simulations: int,
    seed: int = 1,
    tell: Callable[[int], None] = lambda done: None,
    settings: Settings = SETTINGS,
) -> Calibration:
    """Fit simulated datasets and rank their parameters.

    Parameters
    ----------
    model, backend
        What to calibrate.
    simulations : int
        Datasets to draw and fit.
    seed : int
        Seed of all draws.
    tell : callable
        Called with the number of simulations done.
    settings : Settings
        Of every fit; the draws are thinned to `RANKED` of all chains.

    Raises
    ------
    WorkerError
        If a fit fails.
    """
    ranks: dict[str, list[int]] = {"mu": [], "sigma": [], "omega": [], "mu_g[0]": []}
    with Worker(backend) as worker:
        for number in range(simulations):
            rng = np.random.default_rng([seed, number])
            dataset, truth = simulate(model.posterior, rng)
            worker.prepare(model, dataset)
            starts = [
                standardised(
                    model, rng.normal(), np.exp(rng.normal()), np.exp(rng.normal()), rng.normal(size=len(SIZES))
                )
                for _ in range(settings.chains)
            ]
            worker.sample(settings, int(rng.integers(1, 2**30)), starts)
            draws = worker.fetch().draws
            if model.location == "m":
                draws["mu"] = recover_mu(draws["m"], draws["omega"], dataset.n_groups, rng)
            draws["mu_g[0]"] = draws["mu_g"][..., 0]
            for name, value in truth.items():
                flat = draws[name].ravel()
                thinned = flat[np.linspace(0, len(flat) - 1, RANKED).astype(int)]
                ranks[name].append(int(np.sum(thinned < value)))
            tell(number + 1)
    return Calibration(model.name, backend.name, {name: np.array(values) for name, values in ranks.items()})


def uniformity(ranks: Ints, replications: int = 20_000) -> float:
    """Monte Carlo p-value of the largest distance between the ranks' distribution function and a uniform one.

    The distance is in binomial standard deviations, so that the tails count as much as the middle.
    """
    observed = _distance(ranks[None])[0]
    rng = np.random.default_rng(7)
    simulated = np.concatenate(
        [_distance(rng.integers(0, RANKED + 1, (1000, len(ranks)))) for _ in range(replications // 1000)]
    )
    return float((1 + np.sum(simulated >= observed)) / (1 + len(simulated)))


def _distance(ranks: Ints) -> Floats:
    """Largest standardised distance of each row's distribution function from the uniform, shape (rows,)."""
    rows, n = ranks.shape
    counts = np.zeros((rows, RANKED + 1))
    np.add.at(counts, (np.arange(rows)[:, None], ranks), 1)
    expected = np.arange(1, RANKED + 1) / (RANKED + 1)
    found = np.cumsum(counts, axis=1)[:, :-1] / n
    distances: Floats = np.max(np.abs(found - expected) / np.sqrt(expected * (1 - expected) / n), axis=1)
    return distances


def picture(calibrations: Sequence[Calibration], path: Path) -> None:
    """Draw, for each model and backend, the ranks' distribution functions less the uniform one, in a 99 % band."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    models = list(dict.fromkeys(calibration.model for calibration in calibrations))
    backends = list(dict.fromkeys(calibration.backend for calibration in calibrations))
    figure, axes = pyplot.subplots(
        len(models),
        len(backends),
        figsize=(3.6 * len(backends), 1.9 * len(models)),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    colours = {"mu": "#0072B2", "sigma": "#D55E00", "omega": "#009E73", "mu_g[0]": "#CC79A7"}
    expected = np.arange(1, RANKED + 1) / (RANKED + 1)
    for calibration in calibrations:
        axis = axes[models.index(calibration.model), backends.index(calibration.backend)]
        n = len(calibration.ranks["mu"])
        simulated = _distance(np.random.default_rng(7).integers(0, RANKED + 1, (2000, n)))
        band = np.quantile(simulated, 0.99) * np.sqrt(expected * (1 - expected) / n)
        axis.fill_between(expected, -band, band, color="0.88", linewidth=0)
        for name, ranks in calibration.ranks.items():
            found = np.searchsorted(np.sort(ranks), np.arange(RANKED), side="right") / n
            axis.plot(expected, found - expected, color=colours[name], linewidth=1.2, label=name)
        axis.set_title(f"{calibration.model}, {calibration.backend}, {n} fits", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0, 0].legend(fontsize=7, ncols=2, frameon=False)
    figure.supxlabel("rank of the prior draw among its posterior draws, as a fraction", fontsize=8)
    figure.supylabel("share of ranks below it, less the fraction", fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
