"""Simulation-based calibration (Talts et al. 2018): draws of the prior, ranked among the draws of their posteriors.

For every model and backend: parameters from the prior, data from the parameters, a fit of the data. Over many
simulations the rank of each parameter among its posterior draws is uniform if, and only if, the model is the one that
made the data and the sampler is right. (ArviZ's simuk does this for PyMC models only; here every backend is asked.)

Ranks of parameters alone can't tell a sampler that never looks at the data and returns the prior: they are uniform too.
So where the family knows it the log likelihood of the data is ranked beside them, a quantity that depends on the data
(Modrák et al. 2023, "Simulation-based calibration checking for Bayesian computation: the choice of test quantities
shapes sensitivity", Bayesian Analysis).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle
from pathlib import Path

import numpy as np

from bench.arrays import Floats, Ints
from bench.backends.base import Backend
from bench.correctness.truth import elements
from bench.families.base import LOG_LIKELIHOOD, Dataset, Family, Model
from bench.files import write
from bench.records import RunError
from bench.running.cluster import Cluster, Job
from bench.running.dask_worker import Bench
from bench.running.isolation import Worker
from bench.settings import Settings

RANKED = 99
"""Draws of a posterior among which a parameter is ranked: 100 possible ranks."""
SETTINGS = Settings(chains=2, warmup=1000, draws=2000, target_accept=0.95, cores=2)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclass(frozen=True)
class Calibration:
    """Ranks of a model under a backend.

    Attributes
    ----------
    name, backend : str
        Family and model, and the engine.
    ranks : dict of str to array of shape (simulation,)
        Of each scalar that was simulated, the rank in 0 to `RANKED`.
    """

    name: str
    backend: str
    ranks: Mapping[str, Ints]

    @property
    def p_values(self) -> dict[str, float]:
        """Probability of ranks as uneven as these, for each quantity; see `uniformity`."""
        return {name: uniformity(ranks) for name, ranks in self.ranks.items()}


def calibrate(
    family: Family,
    model: Model,
    backend: Backend,
    simulations: int,
    seed: int = 1,
    settings: Settings = SETTINGS,
) -> Calibration:
    """Fit simulated datasets and rank their parameters.

    Parameters
    ----------
    family : Family
        The one that simulates.
    model : Model
        What to calibrate.
    backend : Backend
        By which engine.
    simulations : int
        Datasets to draw and fit.
    seed : int
        Seed of all draws.
    settings : Settings
        Of every fit; the draws are thinned to `RANKED` of all chains.

    Raises
    ------
    ValueError
        If the family can't simulate from its prior.
    WorkerError
        If a fit fails.
    """
    with Worker(backend) as worker:
        found = [ranks_of(family, model, worker, (seed, number), settings) for number in range(simulations)]
    return collected(family, model, backend, found)


def calibrate_on(
    address: str,
    subjects: Sequence[tuple[Family, Model, Backend]],
    simulations: int,
    seed: int,
    say: Callable[[str], None],
) -> Iterator[Calibration]:
    """Calibrate on the workers of a cluster; the ranks are those that `calibrate` gives.

    Parameters
    ----------
    address : str
        As in `Cluster`.
    subjects : sequence of (Family, Model, Backend)
        What to calibrate.
    simulations, seed : int
        As in `calibrate`.
    say : callable
        Prints a line about workers.

    Yields
    ------
    Calibration
        In the order of the subjects.

    Raises
    ------
    RunError
        If a fit fails, or the cluster can't be used.
    """
    cluster = Cluster(address, list(dict.fromkeys(backend for *_, backend in subjects)), say=say)
    try:
        for i, subject in enumerate(subjects):
            for number in range(simulations):
                cluster.add([Job((i, number), _ranks_there, (*subject, (seed, number), SETTINGS))])
        found: dict[int, dict[int, dict[str, int]]] = {i: {} for i in range(len(subjects))}
        for i, subject in enumerate(subjects):
            while len(found[i]) < simulations:
                answer = next(cluster)
                of, number = answer.key
                if answer.status != "ok":
                    family, model, backend = subjects[of]
                    raise RunError(f"{family.name} {model.name} on {backend.name}: {answer.value}")
                found[of][number] = answer.value
            yield collected(*subject, [found[i][number] for number in range(simulations)])
    finally:
        cluster.close()


def _ranks_there(
    bench: Bench, family: Family, model: Model, backend: Backend, seed: tuple[int, int], settings: Settings
) -> dict[str, int]:
    """Rank the scalars of one simulation, in a worker of a cluster."""
    return ranks_of(family, model, bench.workers[backend], seed, settings)


def ranks_of(
    family: Family, model: Model, worker: Worker, seed: tuple[int, int], settings: Settings = SETTINGS
) -> dict[str, int]:
    """Fit one simulated dataset and return the rank of each of its scalars.

    Parameters
    ----------
    family, model, settings : Family, Model, Settings
        As in `calibrate`.
    worker : Worker
        In which the engine lives.
    seed : pair of int
        Seed of all draws, and the number of the simulation.

    Raises
    ------
    ValueError
        If the family can't simulate from its prior.
    WorkerError
        If the fit fails.
    """
    rng = np.random.default_rng(seed)
    simulated = family.simulate(model.target, rng)
    if simulated is None:
        raise ValueError(f"{family.name} has no proper prior to simulate from, so it can't be calibrated")
    dataset, values = simulated
    worker.prepare(model, dataset)
    declared = worker.describe(model, dataset)
    wanted = set(family.target(model).quantities)
    keep = [*declared.parameters, *(name for name in declared.transformed if name in wanted)]
    points = [family.points(model, dataset, rng) for _ in range(settings.chains)]
    own = [point for point in points if point is not None]
    starts = own if own else worker.starts(settings.chains, [*seed, 1])
    worker.sample(settings, int(rng.integers(1, 2**30)), starts, keep)
    draws = family.derive(model, dataset, worker.fetch().draws, rng)
    ranks = {}
    for name, value in values.items():
        flat = _draws_of(name, family, dataset, draws).ravel()
        thinned = flat[np.linspace(0, len(flat) - 1, RANKED).astype(int)]
        ranks[name] = int(np.sum(thinned < value))
    return ranks


def collected(family: Family, model: Model, backend: Backend, ranks: Sequence[Mapping[str, int]]) -> Calibration:
    """Put the ranks of all simulations together.

    Parameters
    ----------
    family, model, backend : Family, Model, Backend
        As in `calibrate`.
    ranks : sequence of mapping
        By `ranks_of`.
    """
    names = dict.fromkeys(name for each in ranks for name in each)
    found = {name: np.array([each[name] for each in ranks]) for name in names}
    return Calibration(f"{family.name} {model.name}", backend.name, found)


def _draws_of(name: str, family: Family, dataset: Dataset, draws: Mapping[str, Floats]) -> Floats:
    """Return the draws of a scalar, of an element such as `theta[0]`, or of the log likelihood, shape (chain, draw)."""
    if name == LOG_LIKELIHOOD:
        found = family.log_likelihood(dataset, draws)
        assert found is not None
        return found
    quantity = name.partition("[")[0]
    array = draws[quantity]
    return array.reshape(*array.shape[:2], -1)[..., elements(quantity, array.shape[2:]).index(name)]


def uniformity(ranks: Ints, replications: int = 20_000) -> float:
    """Monte Carlo p-value of the largest distance between the ranks' distribution function and a uniform one.

    The distance is in binomial standard deviations, so that the tails count as much as the middle.

    Parameters
    ----------
    ranks : array of shape (simulation,)
        In 0 to `RANKED`.
    replications : int, default 20000
        Sets of uniform ranks that are drawn to compare with, in thousands.

    Returns
    -------
    float
        In (0, 1]; small where the ranks are not uniform.

    Examples
    --------
    >>> uniformity(np.arange(100), replications=1000)  # each rank once
    1.0
    >>> uniformity(np.arange(100) // 2, replications=1000) < 0.01  # a sampler that is off to one side
    True
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

    models = list(dict.fromkeys(calibration.name for calibration in calibrations))
    backends = list(dict.fromkeys(calibration.backend for calibration in calibrations))
    figure, axes = pyplot.subplots(
        len(models),
        len(backends),
        figsize=(3.6 * len(backends), 1.9 * len(models)),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    legends: set[tuple[str, ...]] = set()
    expected = np.arange(1, RANKED + 1) / (RANKED + 1)
    for calibration in calibrations:
        axis = axes[models.index(calibration.name), backends.index(calibration.backend)]
        n = len(next(iter(calibration.ranks.values())))
        simulated = _distance(np.random.default_rng(7).integers(0, RANKED + 1, (2000, n)))
        band = np.quantile(simulated, 0.99) * np.sqrt(expected * (1 - expected) / n)
        axis.fill_between(expected, -band, band, color="0.88", linewidth=0)
        for (name, ranks), colour in zip(calibration.ranks.items(), cycle(COLOURS), strict=False):
            found = np.searchsorted(np.sort(ranks), np.arange(RANKED), side="right") / n
            axis.plot(expected, found - expected, color=colour, linewidth=1.2, label=name)
        axis.set_title(f"{calibration.name}, {calibration.backend}, {n} fits", fontsize=8)
        axis.tick_params(labelsize=7)
        if tuple(calibration.ranks) not in legends:  # the scalars are those of the family
            legends.add(tuple(calibration.ranks))
            axis.legend(fontsize=6, ncols=2, frameon=False)
    figure.supxlabel("rank of the prior draw among its posterior draws, as a fraction", fontsize=8)
    figure.supylabel("share of ranks below it, less the fraction", fontsize=8)
    figure.tight_layout()
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110, format="png")
    write(path, drawn.getvalue())
    pyplot.close(figure)
