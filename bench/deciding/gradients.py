"""`hierbench versions --gradient`: versions compared on one evaluation of log density and gradient, in seconds."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.backends import BACKENDS
from bench.backends.base import Backend
from bench.comparing.compare import ALPHA
from bench.comparing.comparison import Comparison
from bench.comparing.gradients import Case, Seconds, compare_gradients
from bench.deciding.environments import Environment, make_environments
from bench.deciding.fitter import plan_of
from bench.deciding.matrix import Combination, Matrix
from bench.families.base import DataError, Dataset, Family, Model, Values
from bench.files import write
from bench.github import details, fitted, plain, table
from bench.records import RunError
from bench.running.equality import Equality
from bench.running.isolation import Worker, WorkerError, Workers
from bench.settings import ROUND_SECONDS, TYPICAL
from bench.words import printable

ROUNDS = 40
"""Of each replicate, in turn."""
TIMEOUT = 900.0
"""Seconds a build may take."""


@dataclass(frozen=True)
class Gradients:
    """What an evaluation takes, by version.

    Attributes
    ----------
    seconds : dict of str to dict
        For each combination by name, and each case of it, the seconds of one evaluation by replicate.
    versions : dict of str to dict
        For each combination by name, the versions of its backends.
    comparisons : sequence of (str, Comparison)
        Of each combination with the first of its kind, with a heading.
    notes : sequence of str
        What went wrong.
    """

    seconds: Mapping[str, Seconds]
    versions: Mapping[str, Mapping[str, str]]
    comparisons: Sequence[tuple[str, Comparison]]
    notes: Sequence[str]

    def heads(self) -> list[str]:
        """Return the heads of `rows`."""
        return ["dataset", "model", "backend", *self.seconds]

    def rows(self) -> Iterator[list[str]]:
        """Yield for each case the fastest evaluation of each version, in microseconds."""
        for case in dict.fromkeys(case for of_version in self.seconds.values() for case in of_version):
            every = [of_version.get(case) for of_version in self.seconds.values()]
            yield [*case[1:], *(f"{1e6 * min(each.values()):.2f}" if each else "-" for each in every)]

    def lines(self) -> Iterator[str]:
        """Yield the lines for a terminal."""
        yield "Microseconds of one evaluation of log density and gradient, the fastest of all rounds"
        rows = [self.heads(), *self.rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            yield printable(
                "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            )
        for heading, comparison in self.comparisons:
            yield from ("", printable(heading), *(f"  {line}" for line in comparison.lines()))
        if self.notes:
            yield from ("", *map(printable, self.notes))

    def markdown(self, first: str = "") -> str:
        """Return the same as Markdown, short enough for a comment on a pull request.

        Parameters
        ----------
        first : str, optional
            What stands first, such as the outcome of a condition.
        """
        return fitted(lambda most: self._parts(first, most))

    def _parts(self, first: str, most: int) -> Iterator[str]:
        yield "## One evaluation of log density and gradient"
        yield from ("", f"**{plain(first)}**") if first else ()
        yield from ("", *(f"- {plain(note)}" for note in self.notes[:most]))
        for heading, comparison in self.comparisons:
            yield from ("", f"### {plain(heading)}", *comparison.parts(most))
        yield from details("Microseconds, the fastest of all rounds", table(self.heads(), self.rows(), most))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "seconds": {
                name: [
                    {**dict(zip(("family", "dataset", "model", "backend"), case, strict=True)), "by_replicate": found}
                    for case, found in of_version.items()
                ]
                for name, of_version in self.seconds.items()
            },
            "versions": {name: dict(found) for name, found in self.versions.items()},
            "comparisons": {heading: comparison.to_dict() for heading, comparison in self.comparisons},
            "notes": list(self.notes),
        }


def try_gradients(matrix: Matrix, folder: Path, say: Callable[[str], None]) -> Gradients:
    """Time evaluations in an environment for each combination, in turn, and compare.

    A replicate is a new process in each environment, for two processes of one version differ too. Short rounds are made
    in all of them in turn, and the fastest counts: nothing disturbed that one. All evaluate at the same values.

    Parameters
    ----------
    matrix : Matrix
        What to try.
    folder : Path
        Where `gradients.json` and `gradients.md` go; made if it is missing.
    say : callable
        Prints a line of progress.

    Raises
    ------
    RunError
        If nothing could be timed.
    """
    ready, notes = make_environments(matrix.combinations, say)
    timing = _Timing(matrix, ready, notes, say)
    for number in range(matrix.replicates):
        timing.replicate(number)
        result = _result(timing, list(ready), notes)
        write(folder / "gradients.json", json.dumps(result.to_dict(), indent=1) + "\n")
        write(folder / "gradients.md", result.markdown())
    if not any(timing.seconds.values()):
        raise RunError("nothing could be timed:\n  " + "\n  ".join(notes or ["none was tried"]))
    return result


def _result(timing: "_Timing", ready: Sequence[Combination], notes: Sequence[str]) -> Gradients:
    pairs = list(Matrix.pairs(ready))
    comparisons = [
        (f"{a.name} (A) to {b.name} (B)", found)
        for a, b in pairs
        if (found := compare_gradients(timing.seconds, (a.name, b.name), ALPHA / len(pairs))) is not None
    ]
    return Gradients(timing.seconds, timing.versions, comparisons, tuple(notes))


class _Timing:
    """Replicates of all cases in all environments.

    Parameters
    ----------
    matrix, say
        As in `try_gradients`.
    ready : mapping of Combination to Environment
        Where to evaluate.
    notes : list of str
        What goes wrong is added to it.
    """

    def __init__(
        self,
        matrix: Matrix,
        ready: Mapping[Combination, Environment],
        notes: list[str],
        say: Callable[[str], None],
    ) -> None:
        self._matrix, self._ready, self._notes, self._say = matrix, ready, notes, say
        self.seconds: dict[str, dict[Case, dict[int, float]]] = {each.name: {} for each in ready}
        self.versions: dict[str, dict[str, str]] = {each.name: {} for each in ready}
        self._values: dict[tuple[str, str], list[Values]] = {}
        self._passes: dict[Case, int] = {}
        self._lost: set[tuple[str, Case]] = set()

    def replicate(self, number: int) -> None:
        """Time every case once, in new processes."""
        for backend in BACKENDS.values():
            there = {each: where for each, where in self._ready.items() if backend.name in each.backends}
            if there and backend.compared_at is not None:
                if number == 0:
                    self._notes.append(f"{backend.name}: an evaluation is a call of a program, whose time says nothing")
            elif there:
                self._say(f"gradients {number + 1} of {self._matrix.replicates}: {backend.name}")
                with ExitStack() as stack:
                    workers = self._start(stack, backend, there)
                    for each in plan_of(self._matrix.asked([backend.name])).cases:
                        case = (each.family.name, *each.key)
                        self._time(number, case, each.family, each.dataset, each.model, workers)

    def _start(
        self, stack: ExitStack, backend: Backend, there: Mapping[Combination, Environment]
    ) -> dict[str, tuple[Worker, Equality]]:
        """Start a worker in each environment; one that does not start is told, once."""
        found = {}
        for combination, where in there.items():
            workers = stack.enter_context(Workers(timeout=TIMEOUT, python=where.python, environment=where.variables))
            try:
                worker = workers[backend]
                self.versions[combination.name] |= worker.versions()
            except WorkerError as error:
                self._note(f"{combination.name}: {backend.name} does not start: {_first(error)}")
            else:
                found[combination.name] = (worker, Equality(workers, TIMEOUT))
        return found

    def _time(
        self,
        number: int,
        case: Case,
        family: Family,
        dataset: Dataset,
        model: Model,
        workers: Mapping[str, tuple[Worker, Equality]],
    ) -> None:
        """Time a case in all environments in which it is the right posterior, in turn."""
        fastest: dict[str, float] = {}
        for name, (worker, equality) in workers.items():
            if (name, case) in self._lost or worker.closed:
                continue
            try:
                worker.prepare(model, dataset, TIMEOUT)
                if number == 0:
                    verdict = equality.check(family, model, dataset, BACKENDS[case[-1]], worker)
                    if not verdict.passes:
                        raise DataError(str(verdict))
                    worker.prepare(model, dataset, TIMEOUT)
                    if case[1:3] not in self._values:
                        self._values[case[1:3]] = equality.typical(family, model, dataset, TYPICAL)
                one = worker.repeat_gradient(self._values[case[1:3]], 1, TIMEOUT)
                fastest[name] = float("inf")
                self._passes.setdefault(case, max(1, int(ROUND_SECONDS / (TYPICAL * one))))
            except (WorkerError, DataError) as error:
                self._lost.add((name, case))
                self._note(f"{name}: {' '.join(case[1:])}: {_first(error)}")
        for _ in range(ROUNDS):
            for name in list(fastest):
                try:
                    took = workers[name][0].repeat_gradient(self._values[case[1:3]], self._passes[case], TIMEOUT)
                    fastest[name] = min(fastest[name], took)
                except WorkerError as error:
                    del fastest[name]
                    self._note(f"{name}: {' '.join(case[1:])}: {_first(error)}")
        for name, seconds in fastest.items():
            self.seconds[name].setdefault(case, {})[number] = seconds

    def _note(self, what: str) -> None:
        if what not in self._notes:
            self._notes.append(what)
            self._say(f"    {what}")


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
