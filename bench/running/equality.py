"""The gate in a run: which side leads, what the sides have in common, and whether a backend may be timed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backends import BACKENDS
from bench.backends.base import LANGUAGES, Backend, Description
from bench.correctness.gate import TYPICAL, Verdict, Visits, judge, supports, visit
from bench.correctness.places import Found, Place, follow_reference
from bench.families.base import DataError, Dataset, Family, Model, Values
from bench.running.isolation import Worker, WorkerError, Workers

Floats = NDArray[np.float64]

LEADERS = ("stanli", "pymc")
"""The backends that lead for their language, and the order in which they are asked."""
REMEMBERED = 8
"""Models on datasets whose visits are kept: all backends and replicates of a case share them."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model on a dataset, as the gate sees it.

    Attributes
    ----------
    leader : Backend
        The one whose positions are used.
    descriptions : dict of str to Description
        What each language's program declares.
    note : str
        Why nothing is compared across languages, or empty.
    """

    leader: Backend
    descriptions: dict[str, Description]
    note: str

    @property
    def common(self) -> dict[str, tuple[int, ...]]:
        """Quantities that every language has, with their shapes."""
        first, *others = self.descriptions.values()
        return {name: shape for name, shape in first.names.items() if all(o.names.get(name) == shape for o in others)}


class Equality:
    """Compares backends with the leading side, and remembers where it led.

    Parameters
    ----------
    workers : Workers
        Where the backends live.
    timeout : float, optional
        Seconds that a build may take.
    """

    def __init__(self, workers: Workers, timeout: float | None = None) -> None:
        """Compare nothing yet."""
        self._workers, self._timeout = workers, timeout
        self._subjects: dict[tuple[str, str], Subject] = {}
        self._visits: dict[tuple[str, str], Visits] = {}

    def subject(self, model: Model, dataset: Dataset) -> Subject:
        """Find out who leads and what the programs declare.

        Raises
        ------
        WorkerError
            If no program of the model can be described.
        DataError
            If parameters have other names or shapes on the two sides.
        """
        key = (model.digest, dataset.digest)
        if key not in self._subjects:
            self._subjects[key] = self._describe(model, dataset)
            _forget(self._subjects)
        return self._subjects[key]

    def _describe(self, model: Model, dataset: Dataset) -> Subject:
        candidates = [BACKENDS[name] for name in LEADERS if getattr(model, BACKENDS[name].language) is not None]
        descriptions: dict[str, Description] = {}
        failures: dict[str, WorkerError] = {}
        for backend in candidates:
            try:
                descriptions[backend.language] = self._workers[backend].describe(model, dataset, self._timeout)
            except WorkerError as error:
                failures[backend.language] = error
        if not descriptions:
            raise next(iter(failures.values()))
        leader = next(backend for backend in candidates if backend.language in descriptions)
        note = ""
        if failures:
            language, failure = next(iter(failures.items()))
            note = f"the {LANGUAGES[language]} program can't be used ({str(failure).splitlines()[0]})"
        elif len(candidates) == 1:
            note = f"there is only a {LANGUAGES[leader.language]} program"
        if len(descriptions) == 2:
            compare_names(descriptions["stan"], descriptions["pymc"], (LANGUAGES["stan"], LANGUAGES["pymc"]))
        return Subject(leader, descriptions, note and f"{note}: nothing was compared across languages")

    def starts(self, family: Family, model: Model, dataset: Dataset, seed: Sequence[int], chains: int) -> list[Values]:
        """Draw the starts of all chains: the same values for every backend.

        Parameters
        ----------
        family, model, dataset
            What is fit.
        seed : sequence of int
            Of the starts.
        chains : int
            How many.
        """
        rng = np.random.default_rng(seed)
        own = [family.points(model, dataset, rng) for _ in range(chains)]
        points = [point for point in own if point is not None]
        return points if len(points) == chains else self._lead(model, dataset).starts(chains, seed)

    def check(self, family: Family, model: Model, dataset: Dataset, backend: Backend, worker: Worker) -> Verdict:
        """Compare a backend, in whose worker the model is prepared, with the reference or with the leading side.

        Parameters
        ----------
        family, model, dataset
            What is fit.
        backend : Backend
            The one to compare.
        worker : Worker
            Where it lives.

        Raises
        ------
        WorkerError
            If a side can't be built or asked.
        """
        subject = self.subject(model, dataset)
        visits = _some(self._visit(family, model, dataset), backend.compared_at)
        leads = subject.leader is backend
        reference = partial(family.reference, model, dataset)
        if reference(visits.places[0].values) is not None:
            standard = follow_reference(reference, visits.places)  # type: ignore[arg-type]
            first, names = _densities(reference), ("the reference", backend.name)
        elif leads:
            return Verdict("same", 0, 0, error=0.0, constant=0.0)
        else:
            standard, first = visits.found, self._lead(model, dataset).densities
            names = (subject.leader.name, backend.name)
        leader = worker if leads else self._lead(model, dataset)
        worker.prepare(model, dataset, self._timeout)
        found = worker.follow(visits.places)
        outside = [] if leads else supports(visits, leader, worker, worker.dimension(), (subject.leader.name, names[1]))
        return judge(visits, standard, found, (first, worker.densities), leader, names, outside)

    def typical(self, family: Family, model: Model, dataset: Dataset, count: int) -> list[Values]:
        """Return values where the posterior has its mass."""
        visits = self._visit(family, model, dataset)
        chosen = [place.values for place, is_typical in zip(visits.places, visits.typical, strict=True) if is_typical]
        return (chosen or [place.values for place in visits.places])[:count]

    def _lead(self, model: Model, dataset: Dataset) -> Worker:
        worker = self._workers[self.subject(model, dataset).leader]
        worker.prepare(model, dataset, self._timeout)
        return worker

    def _visit(self, family: Family, model: Model, dataset: Dataset) -> Visits:
        key = (model.digest, dataset.digest)
        if key not in self._visits:
            leader = self._lead(model, dataset)
            drawn = family.typical(model, dataset, np.random.default_rng(19))
            if drawn is not None:
                typical = np.array(leader.unconstrain(drawn))
            else:
                try:
                    typical = leader.explore(TYPICAL, 19, self._timeout)
                except WorkerError:  # a sampler can fail where a density can be evaluated; other places are left
                    leader = self._lead(model, dataset)
                    typical = np.empty((0, leader.dimension()))
            self._visits[key] = visit(leader, leader.dimension(), typical)
            _forget(self._visits)
        return self._visits[key]


def compare_names(first: Description, second: Description, names: tuple[str, str]) -> None:
    """Refuse sides whose parameters have other names or shapes.

    Parameters
    ----------
    first, second : Description
        What either side declares.
    names : pair of str
        What to call the sides.

    Raises
    ------
    DataError
        If they differ; the message has the line that would match them.
    """
    a, b = first.parameters, second.parameters
    alone = ([name for name in a if name not in b], [name for name in b if name not in a])
    if any(alone):
        said = " and ".join(
            f"{', '.join(only)} in {name} alone" for only, name in zip(alone, names, strict=True) if only
        )
        lines = [
            f'{mine} = "{theirs}"'
            for mine, theirs in zip(_by_shape(alone[0], alone[1], a, b), alone[1], strict=False)
            if mine
        ]
        proposal = "\n  ".join(["[names]", *(lines or [f'{names[0]}_name = "{names[1]}_name"'])])
        raise DataError(
            f"the parameters have different names: {said}. If they are the same, say so in pair.toml ({names[0]} name "
            f"first):\n  {proposal}"
        )
    for name, shape in a.items():
        if b[name] != shape:
            hint = ""
            if sorted(b[name]) == sorted(shape):
                axes = [b[name].index(size) for size in shape]
                hint = (
                    f"; if their dimensions stand in another order, say so in pair.toml:\n  [axes]\n  {name} = {axes}"
                )
            raise DataError(f"{name} has shape {shape} in {names[0]} and {b[name]} in {names[1]}{hint}")


def _by_shape(
    mine: Sequence[str], theirs: Sequence[str], a: dict[str, tuple[int, ...]], b: dict[str, tuple[int, ...]]
) -> list[str]:
    """Return for each name of the other side one of ours with the same shape, or an empty one."""
    left = list(mine)
    found = []
    for other in theirs:
        match = next((name for name in left if a[name] == b[other]), "")
        if match:
            left.remove(match)
        found.append(match)
    return found


def _densities(reference: Any) -> Any:
    """Return a function for the log densities of the reference at values."""
    return lambda values: [found.log_density for found in follow_reference(reference, [Place(v) for v in values])]


def _some(visits: Visits, most: int | None) -> Visits:
    """Take some of the places, evenly, for a backend that is slow to ask."""
    if most is None or most >= len(visits.places):
        return visits
    chosen = np.unique(np.linspace(0, len(visits.places) - 1, most).astype(int))
    places: list[Place] = [visits.places[i] for i in chosen]
    found: list[Found] = [visits.found[i] for i in chosen]
    return Visits(visits.positions[chosen], visits.typical[chosen], places, found, visits.reached[:most])


def _forget(memory: dict[Any, Any]) -> None:
    while len(memory) > REMEMBERED:
        del memory[next(iter(memory))]
