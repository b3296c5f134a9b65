"""Calibration on a Dask cluster: every simulation is a job of its own."""

from collections.abc import Callable, Iterator, Sequence

from bench.backends.base import Backend
from bench.correctness.calibration import SETTINGS, Calibration, collected
from bench.families.base import Family, Model
from bench.records import RunError
from bench.running import place
from bench.running.cluster import Cluster, Job


def calibrate_on(
    address: str,
    subjects: Sequence[tuple[Family, Model, Backend]],
    simulations: int,
    seed: int,
    say: Callable[[str], None],
) -> Iterator[Calibration]:
    """Calibrate on the workers of a cluster; the ranks are those that `bench.correctness.calibration.calibrate` gives.

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
                cluster.add([Job((i, number), place.rank, (*subject, (seed, number), SETTINGS))])
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
