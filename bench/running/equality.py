"""The gate in a run: which side leads, what the sides have in common, and whether a backend may be timed."""

from collections.abc import Sequence
from contextlib import suppress
from difflib import SequenceMatcher
from functools import partial
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.backends import BACKENDS
from bench.backends.base import LANGUAGES, Backend, Description
from bench.correctness.gate import TYPICAL, Verdict, Visits, beyond, jacobians, judge, supports, visit, written
from bench.correctness.places import Found, Place, follow_reference
from bench.families.base import DataError, Dataset, Family, Model, Values
from bench.running.isolation import Worker, WorkerError, Workers

LEADERS = ("stanli", "pymc")
"""The backends that lead for their language, and the order in which they are asked."""
REMEMBERED = 8
"""Models on datasets whose descriptions and visits are kept: all backends and replicates of a case share them."""


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
        self._described: dict[tuple[str, str, str], Description | WorkerError] = {}
        self._visits: dict[tuple[str, str], Visits] = {}
        self._maps: dict[tuple[str, str], list[str]] = {}

    def description(self, model: Model, dataset: Dataset, backend: Backend) -> Description:
        """Return what the program in the language of a backend declares.

        Parameters
        ----------
        model : Model
            Whose program.
        dataset : Dataset
            On which data.
        backend : Backend
            The one to ask, unless another one of its language was asked before.

        Raises
        ------
        WorkerError
            If the program can't be used.
        """
        key = (model.digest, dataset.digest, backend.language)
        if key not in self._described:
            try:
                self._described[key] = self._workers[backend].describe(model, dataset, self._timeout)
            except WorkerError as error:
                self._described[key] = error
            _forget(self._described)
        found = self._described[key]
        if isinstance(found, WorkerError):
            raise found
        return found

    def leader(self, model: Model, dataset: Dataset) -> Backend:
        """Return the backend whose positions are used: stanli, unless there is no Stan program that it can run.

        Parameters
        ----------
        model : Model
            What is fit.
        dataset : Dataset
            To which data.

        Raises
        ------
        WorkerError
            If no program of the model can be used.
        """
        failure: WorkerError | None = None
        for backend in (BACKENDS[name] for name in LEADERS):
            if getattr(model, backend.language) is not None:
                try:
                    self.description(model, dataset, backend)
                except WorkerError as error:
                    failure = failure or error
                else:
                    return backend
        raise failure or WorkerError(f"{model.name} has no program")

    def common(self, model: Model, dataset: Dataset) -> dict[str, tuple[int, ...]]:
        """Return the quantities that every language has, with their shapes.

        Parameters
        ----------
        model : Model
            What is fit.
        dataset : Dataset
            To which data.

        Raises
        ------
        WorkerError
            If no program of the model can be used.
        """
        usable = self._usable(model, dataset)
        return {name: shape for name, shape in usable[0].items() if all(n.get(name) == shape for n in usable)}

    def known(self, model: Model, dataset: Dataset) -> list[str]:
        """Return the names of the quantities that any program has.

        Parameters
        ----------
        model : Model
            What is fit.
        dataset : Dataset
            To which data.

        Raises
        ------
        WorkerError
            If no program of the model can be used.
        """
        return list(dict.fromkeys(name for names in self._usable(model, dataset) for name in names))

    def _usable(self, model: Model, dataset: Dataset) -> list[dict[str, tuple[int, ...]]]:
        """Names and shapes by every program that can be used, the leading one first."""
        usable = [self.description(model, dataset, self.leader(model, dataset)).names]
        for backend in (BACKENDS[name] for name in LEADERS):
            with suppress(WorkerError):
                if getattr(model, backend.language) is not None:
                    usable.append(self.description(model, dataset, backend).names)
        return usable

    def note(self, model: Model, dataset: Dataset) -> str:
        """Say why nothing is compared across languages; empty where that is done.

        Parameters
        ----------
        model : Model
            What is fit.
        dataset : Dataset
            To which data.
        """
        there = [language for language in LANGUAGES if getattr(model, language) is not None]
        why = f"there is only a {LANGUAGES[there[0]]} program" if len(there) == 1 else ""
        for language in there:
            failed = self._described.get((model.digest, dataset.digest, language))
            if isinstance(failed, WorkerError):
                why = f"the {LANGUAGES[language]} program can't be used ({str(failed).splitlines()[0]})"
        return why and f"{why}: nothing was compared across languages"

    def starts(self, family: Family, model: Model, dataset: Dataset, seed: Sequence[int], chains: int) -> list[Values]:
        """Draw the starts of all chains: the same values for every backend.

        Parameters
        ----------
        family : Family
            It may draw them itself; else they are uniform on (-2, 2) on the leading side's unconstrained scale.
        model : Model
            What is fit.
        dataset : Dataset
            To which data.
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
        family : Family
            It may know a reference and typical values.
        model : Model
            What is fit.
        dataset : Dataset
            To which data.
        backend : Backend
            The one to compare.
        worker : Worker
            Where it lives.

        Raises
        ------
        WorkerError
            If a side can't be built or asked.
        DataError
            If parameters have other names or shapes on the two sides, or if the leading side can't take the draws that
            the family makes from the posterior.
        """
        leads_by = self.leader(model, dataset)
        if leads_by.language != backend.language:
            sides = [self.description(model, dataset, each) for each in (leads_by, backend)]
            compare_names(sides[0], sides[1], (LANGUAGES[leads_by.language], LANGUAGES[backend.language]))
        visits = _some(self._visit(family, model, dataset), backend.compared_at)
        leads = leads_by is backend
        reference = partial(family.reference, model, dataset)
        if reference(visits.places[0].values) is not None:
            standard = follow_reference(reference, visits.places)  # type: ignore[arg-type]
            first, names = _densities(reference), ("the reference", backend.name)
        elif leads:
            return Verdict("same", 0, 0, error=0.0, constant=0.0)
        else:
            standard, first = visits.found, self._lead(model, dataset).densities
            names = (leads_by.name, backend.name)
        leader = worker if leads else self._lead(model, dataset)
        worker.prepare(model, dataset, self._timeout)
        found = worker.follow(visits.places)
        outside: list[str] = []
        if leads_by.language != backend.language:
            outside += self._between_languages(model, dataset, worker, (leads_by.name, backend.name))
        if standard is not visits.found:
            outside += beyond(visits, standard, found, names)
        return judge(visits, standard, found, (first, worker.densities), leader, names, outside)

    def _between_languages(self, model: Model, dataset: Dataset, worker: Worker, names: tuple[str, str]) -> list[str]:
        """Compare supports and Jacobians, once: all engines of a language share its maps."""
        key = (model.digest, dataset.digest)
        if key not in self._maps:
            visits, leader = self._visits[key], self._lead(model, dataset)
            outside = supports(visits, leader, worker, worker.dimension(), names)
            self._maps[key] = outside + jacobians(visits, leader, worker, names)
            _forget(self._maps)
        return self._maps[key]

    def typical(self, family: Family, model: Model, dataset: Dataset, count: int) -> list[Values]:
        """Return values where the posterior has its mass; of all places where no such are known.

        Parameters
        ----------
        family : Family
            It may draw them without a sampler.
        model : Model
            What is fit.
        dataset : Dataset
            To which data.
        count : int
            How many at most.
        """
        visits = self._visit(family, model, dataset)
        chosen = [place.values for place, is_typical in zip(visits.places, visits.typical, strict=True) if is_typical]
        return (chosen or [place.values for place in visits.places])[:count]

    def _lead(self, model: Model, dataset: Dataset) -> Worker:
        worker = self._workers[self.leader(model, dataset)]
        worker.prepare(model, dataset, self._timeout)
        return worker

    def _visit(self, family: Family, model: Model, dataset: Dataset) -> Visits:
        key = (model.digest, dataset.digest)
        if key not in self._visits:
            leader = self._lead(model, dataset)
            drawn = family.typical(model, dataset, np.random.default_rng(19))
            if drawn is not None:
                typical = np.array(leader.unconstrain(drawn))
                if not np.isfinite(typical).all():
                    at = drawn[int(np.argmin(np.isfinite(typical).all(axis=1)))]
                    raise DataError(
                        f"{model.name} can't take a draw from its own posterior, {written(at)}: the program declares "
                        f"{', '.join(self.description(model, dataset, self.leader(model, dataset)).parameters)}, "
                        "and a name, a shape or a bound is another one"
                    )
            else:
                typical = self._explore(model, dataset)
                leader = self._lead(model, dataset)
            self._visits[key] = visit(leader, leader.dimension(), typical)
            _forget(self._visits)
        return self._visits[key]

    def _explore(self, model: Model, dataset: Dataset) -> Floats:
        """Positions of the leading side where the posterior has its mass; another side looks where that one can't."""
        for backend in (BACKENDS[name] for name in LEADERS):
            if getattr(model, backend.language) is not None:
                with suppress(WorkerError):
                    worker = self._workers[backend]
                    worker.prepare(model, dataset, self._timeout)
                    values = worker.constrain(worker.explore(TYPICAL, 19, self._timeout))
                    found = np.array(self._lead(model, dataset).unconstrain(values))
                    return found[np.isfinite(found).all(axis=1)]
        return np.empty((0, self._lead(model, dataset).dimension()))


class NamesError(DataError):
    """Parameters have other names or shapes on the two sides.

    Parameters
    ----------
    said : str
        How they differ.
    lines : sequence of str
        Lines of TOML that would match them; empty where none would.
    advice : str
        The rest of the message.

    Attributes
    ----------
    said, lines
        As given.
    """

    def __init__(self, said: str, lines: Sequence[str], advice: str) -> None:
        """Say both."""
        super().__init__(f"{said}{advice}")
        self.said, self.lines = said, list(lines)


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
    NamesError
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
            for mine, theirs in zip(_alike(alone[0], alone[1], a, b), alone[1], strict=False)
            if mine
        ]
        proposal = "\n  ".join(["[names]", *(lines or [f'{names[0]}_name = "{names[1]}_name"'])])
        raise NamesError(
            f"the parameters have different names: {said}",
            ["[names]", *lines] if lines else [],
            f". If they are the same, say so in pair.toml ({names[0]} name first):\n  {proposal}",
        )
    for name, shape in a.items():
        if b[name] != shape:
            said = f"{name} has shape {shape} in {names[0]} and {b[name]} in {names[1]}"
            axes = None
            if sorted(b[name]) == sorted(shape):
                axes = [b[name].index(size) for size in shape]
                advice = "if their dimensions stand in another order"
            elif (shape, b[name]) == ((1,), ()):
                axes, advice = [], "if the one element of the first is the second"
            if axes is None:
                raise NamesError(said, [], "")
            lines = ["[axes]", f"{name} = {axes}"]
            raise NamesError(said, lines, f"; {advice}, say so in pair.toml:\n  " + "\n  ".join(lines))


def _alike(
    mine: Sequence[str], theirs: Sequence[str], a: dict[str, tuple[int, ...]], b: dict[str, tuple[int, ...]]
) -> list[str]:
    """Return for each name of the other side the most similar one of ours with the same shape, or an empty one."""
    left = list(mine)
    found = []
    for other in theirs:
        fitting = [name for name in left if a[name] == b[other]]
        match = max(fitting, key=lambda name: SequenceMatcher(None, name, other).ratio(), default="")
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
