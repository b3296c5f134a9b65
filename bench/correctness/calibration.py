"""Simulation-based calibration (Talts et al. 2018): draws of the prior, ranked among the draws of their posteriors.

For every model and backend: parameters from the prior, data from the parameters, a fit of the data. Over many
simulations the rank of each parameter among its posterior draws is uniform if, and only if, the model is the one that
made the data and the sampler is right. (ArviZ's simuk does this for PyMC models only; here every backend is asked.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.backends.base import Backend
from bench.correctness.truth import elements
from bench.families.base import DataError, Dataset, Family, Model, Values
from bench.running.isolation import Worker
from bench.settings import Settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RANKED = 99
"""Draws of a posterior among which a parameter is ranked: 100 possible ranks."""
SETTINGS = Settings(chains=2, warmup=1000, draws=2000, target_accept=0.95, cores=2)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclass(frozen=True)
class Calibration:
    """Ranks of a model under a backend.

    Attributes
    ----------
    family, model, backend : str
        Which.
    ranks : dict of str to array of shape (simulation,)
        For each scalar that the family simulates, as `mu` or `theta[0]`, its ranks in 0 to `RANKED`.
    """

    family: str
    model: str
    backend: str
    ranks: Mapping[str, Ints]

    @property
    def p_values(self) -> dict[str, float]:
        """Probability of ranks as uneven as these, for each scalar; see `uniformity`."""
        return {name: uniformity(ranks) for name, ranks in self.ranks.items()}

    @property
    def simulations(self) -> int:
        """How many datasets were drawn and fit."""
        return len(next(iter(self.ranks.values())))


def calibrate(
    family: Family,
    model: Model,
    backend: Backend,
    simulations: int,
    seed: int = 1,
    settings: Settings = SETTINGS,
    tell: Callable[[int], None] = lambda done: None,
) -> Calibration:
    """Fit simulated datasets and rank their parameters.

    Parameters
    ----------
    family : Family
        The family of the model; it simulates.
    model, backend
        What to calibrate.
    simulations : int
        Datasets to draw and fit.
    seed : int
        Seed of all draws.
    settings : Settings
        Of every fit; the draws are thinned to `RANKED` of all chains.
    tell : callable
        Called with the number of simulations done.

    Raises
    ------
    DataError
        If nothing can be drawn from the prior.
    WorkerError
        If a fit fails.
    """
    ranks: dict[str, list[int]] = {}
    with Worker(backend) as worker:
        for number in range(simulations):
            rng = np.random.default_rng([seed, number])
            simulated = family.simulate(model.target, rng)
            if simulated is None:
                raise DataError(f"{family.name} can't be calibrated: nothing can be drawn from its prior")
            dataset, drawn = simulated
            draws = _fit(family, model, dataset, worker, settings, rng)
            for name, value in drawn.items():
                flat = _element(draws, name).ravel()
                thinned = flat[np.linspace(0, len(flat) - 1, RANKED).astype(int)]
                ranks.setdefault(name, []).append(int(np.sum(thinned < value)))
            tell(number + 1)
    return Calibration(family.name, model.name, backend.name, {name: np.array(found) for name, found in ranks.items()})


def _fit(
    family: Family, model: Model, dataset: Dataset, worker: Worker, settings: Settings, rng: np.random.Generator
) -> Mapping[str, Floats]:
    """Return the draws of every parameter and of every quantity that the family reports."""
    worker.prepare(model, dataset)
    declared = worker.describe(model, dataset)
    wanted = family.target(model).quantities
    keep = [*declared.parameters, *(name for name in declared.transformed if name in wanted)]
    start: list[Values] = []
    while len(start) < settings.chains and (point := family.points(model, dataset, rng)) is not None:
        start.append(point)
    start = start or worker.starts(settings.chains, [int(rng.integers(2**31))])
    worker.sample(settings, int(rng.integers(1, 2**30)), start, keep)
    return family.derive(model, dataset, worker.fetch().draws, rng)


def _element(draws: Mapping[str, Floats], name: str) -> Floats:
    """Return the draws, of shape (chain, draw), of a scalar or of an element, as `theta[0]`."""
    quantity = name.partition("[")[0]
    array = draws[quantity]
    flat = array.reshape(*array.shape[:2], -1)
    return flat[..., elements(quantity, array.shape[2:]).index(name)]


def uniformity(ranks: Ints, replications: int = 20_000) -> float:
    """Monte Carlo p-value of the largest distance between the ranks' distribution function and a uniform one.

    The distance is in binomial standard deviations, so that the tails count as much as the middle.

    Parameters
    ----------
    ranks : array of shape (simulation,)
        In 0 to `RANKED`.
    replications : int
        Sets of uniform ranks that are drawn to compare with.
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
    """Draw, for each model and backend, the ranks' distribution functions less the uniform one, in a 99 % band.

    Parameters
    ----------
    calibrations : sequence of Calibration
        Those to draw: a row for each model, a column for each backend.
    path : Path
        The picture to write, as PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = list(dict.fromkeys((calibration.family, calibration.model) for calibration in calibrations))
    columns = list(dict.fromkeys(calibration.backend for calibration in calibrations))
    figure, axes = pyplot.subplots(
        len(rows),
        len(columns),
        figsize=(3.6 * len(columns), 2.0 * len(rows)),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    expected = np.arange(1, RANKED + 1) / (RANKED + 1)
    for calibration in calibrations:
        row = rows.index((calibration.family, calibration.model))
        axis = axes[row, columns.index(calibration.backend)]
        n = calibration.simulations
        simulated = _distance(np.random.default_rng(7).integers(0, RANKED + 1, (2000, n)))
        band = np.quantile(simulated, 0.99) * np.sqrt(expected * (1 - expected) / n)
        axis.fill_between(expected, -band, band, color="0.88", linewidth=0)
        for (name, ranks), colour in zip(calibration.ranks.items(), cycle(COLOURS)):
            found = np.searchsorted(np.sort(ranks), np.arange(RANKED), side="right") / n
            axis.plot(expected, found - expected, color=colour, linewidth=1.2, label=name)
        family = calibration.family.replace("_", " ")
        axis.set_title(f"{family}: {calibration.model}\n{calibration.backend}, {n} fits", fontsize=7)
        axis.tick_params(labelsize=7)
        if row == 0 or rows[row - 1][0] != calibration.family:  # the scalars are those of the family
            axis.legend(fontsize=6, ncols=2, frameon=False)
    figure.supxlabel("rank of the prior draw among its posterior draws, as a fraction", fontsize=8)
    figure.supylabel("share of ranks below it, less the fraction", fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
