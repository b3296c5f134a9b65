"""Simulation-based calibration (Talts et al. 2018): draws of the prior, ranked among the draws of their posteriors.

For every model and backend: parameters from the prior, data from the parameters, a fit of the data. Over many
simulations the rank of each parameter among its posterior draws is uniform if, and only if, the model is the one that
made the data and the sampler is right. (ArviZ's simuk does this for PyMC models only; here every backend is asked.)

Ranks of parameters alone can't tell a sampler that never looks at the data and returns the prior: they are uniform too.
So where the family knows it the log likelihood of the data is ranked beside them, a quantity that depends on the data
(Modrák et al. 2023, "Simulation-based calibration checking for Bayesian computation: the choice of test quantities
shapes sensitivity", Bayesian Analysis).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from bench.arrays import Floats, Ints
from bench.backends.base import Backend
from bench.correctness.truth import elements
from bench.families.base import LOG_LIKELIHOOD, Dataset, Family, Model
from bench.running.isolation import Worker
from bench.settings import Settings

RANKED = 99
"""Draws of a posterior among which a parameter is ranked: 100 possible ranks."""
SETTINGS = Settings(chains=2, warmup=1000, draws=2000, target_accept=0.95, cores=2)


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


def ranks_of(
    family: Family,
    model: Model,
    worker: Worker,
    seed: tuple[int, int],
    settings: Settings = SETTINGS,
    timeout: float | None = None,
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
    timeout : float, optional
        Seconds that the build and the fit may take each.

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
    worker.prepare(model, dataset, timeout)
    declared = worker.describe(model, dataset, timeout)
    wanted = set(family.target(model).quantities)
    keep = [*declared.parameters, *(name for name in declared.transformed if name in wanted)]
    points = [family.points(model, dataset, rng) for _ in range(settings.chains)]
    own = [point for point in points if point is not None]
    starts = own if own else worker.starts(settings.chains, [*seed, 1])
    worker.sample(settings, int(rng.integers(1, 2**30)), starts, keep, timeout)
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


def uniformity(ranks: Ints, replications: int = 200_000) -> float:
    """Monte Carlo p-value of the largest distance between the ranks' distribution function and a uniform one.

    The distance is in binomial standard deviations, so that the tails count as much as the middle.

    Parameters
    ----------
    ranks : array of shape (simulation,)
        In 0 to `RANKED`.
    replications : int, default 200000
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
    simulated = uniform_distances(len(ranks), replications)
    return float((1 + np.sum(simulated >= distance(ranks[None])[0])) / (1 + len(simulated)))


@cache
def uniform_distances(n: int, replications: int) -> Floats:
    """Return the distances of sets of uniform ranks, shape (replications,), the same for all parameters.

    Parameters
    ----------
    n : int
        Ranks in a set.
    replications : int
        Sets, in thousands.
    """
    rng = np.random.default_rng(7)
    return np.concatenate([distance(rng.integers(0, RANKED + 1, (1000, n))) for _ in range(replications // 1000)])


def distance(ranks: Ints) -> Floats:
    """Return the largest distance of each row's distribution function from the uniform one, shape (row,).

    Parameters
    ----------
    ranks : array of shape (row, simulation)
        In 0 to `RANKED`.

    Returns
    -------
    array of shape (row,)
        In binomial standard deviations.
    """
    rows, n = ranks.shape
    counts = np.zeros((rows, RANKED + 1))
    np.add.at(counts, (np.arange(rows)[:, None], ranks), 1)
    expected = np.arange(1, RANKED + 1) / (RANKED + 1)
    found = np.cumsum(counts, axis=1)[:, :-1] / n
    distances: Floats = np.max(np.abs(found - expected) / np.sqrt(expected * (1 - expected) / n), axis=1)
    return distances
