"""Environments that fit in turn: those of this machine, or of the machines of a cluster."""

import json
import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.deciding.decide import Key
from bench.deciding.environments import make_environments
from bench.deciding.fitter import Fitter, LostError
from bench.deciding.matrix import Combination, Matrix
from bench.files import write
from bench.records import Journal, Record, RunError, read_records, read_run
from bench.report.page import write_report
from bench.running.cluster import Cluster, Job
from bench.running.dask_worker import Bench
from bench.running.measure import Measured, keep
from bench.settings import Settings

TOGETHER, FEWEST, REPEATS = 2.0, 3, 20
"""A fit of fewer seconds than the first is repeated in all environments in turn, until it took as many in each.

It is made at least as often as the second says, so that a median can pass over a busy moment, and at most as often as
the third.

On a machine that others use, a fit of a tenth of a second tells how busy they were just then; turns that are as short
as that hit all versions alike.
"""
T = TypeVar("T")


class Turns(ABC):
    """What makes a replicate of a case in several environments, one after the other.

    Parameters
    ----------
    matrix : Matrix
        What to try.
    folder : Path
        Of the records, with a folder for each combination, and of `versions.json`, which says what is tried. Made if it
        is missing; what is there is gone on with.
    say : callable
        Prints a line of progress.

    Attributes
    ----------
    notes : list of str
        What went wrong.
    """

    def __init__(self, matrix: Matrix, folder: Path, say: Callable[[str], None]) -> None:
        self.matrix, self.folder, self.say = matrix, folder, say
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "versions.json", json.dumps(matrix.to_dict(), indent=1) + "\n")
        self.notes: list[str] = []

    @property
    @abstractmethod
    def ready(self) -> list[Combination]:
        """Those that can be fitted in; one that is lost leaves it."""

    @abstractmethod
    def cases(self, combination: Combination) -> list[Key]:
        """Return all that can be asked for in an environment that is ready."""

    @abstractmethod
    def take(self, turns: Mapping[Key, Sequence[Combination]], number: int) -> None:
        """Make a replicate of each case in its environments; its records are on the disk afterwards.

        Parameters
        ----------
        turns : mapping of (str, str, str) to sequence of Combination
            The environments of each case.
        number : int
            Of the replicate, from 0.
        """

    @abstractmethod
    def close(self) -> None:
        """Write the pages of the runs, and end."""

    @abstractmethod
    def kill(self) -> None:
        """End at once."""

    def note(self, *notes: str) -> None:
        """Tell what went wrong, once."""
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
                self.say(f"    {note}")


class TurnsHere(Turns):
    """Turns on this machine, with a process in each environment.

    Parameters
    ----------
    matrix, folder, say : Matrix, Path, callable
        As in `Turns`.
    """

    def __init__(self, matrix: Matrix, folder: Path, say: Callable[[str], None]) -> None:
        """Make the environments, or find them; no process is started yet."""
        super().__init__(matrix, folder, say)
        self._environments, self.notes = make_environments(matrix.combinations, say)
        self._fitters: dict[Combination, Fitter] = {}

    @property
    def ready(self) -> list[Combination]:
        """Those whose environment was made and whose process was not lost."""
        return list(self._environments)

    def cases(self, combination: Combination) -> list[Key]:
        """Return all that can be asked for in an environment, none if its process can't be started."""
        if combination not in self._fitters:
            environment, asked = self._environments[combination], self.matrix.asked(combination.backends)
            try:
                self._fitters[combination] = Fitter(environment, self.folder / combination.folder, asked)
            except LostError as error:
                self._lose(combination, error)
                return []
        return self._fitters[combination].cases

    def take(self, turns: Mapping[Key, Sequence[Combination]], number: int) -> None:
        """Make a replicate of each case in its environments; a short fit is repeated, in turn.

        Parameters
        ----------
        turns, number : mapping, int
            As in `Turns`.
        """
        for case, there in turns.items():
            seconds = self._each(there, lambda fitter, case=case: fitter.begin(case, number))  # type: ignore[misc]
            longest = max((each for each in seconds.values() if each is not None), default=math.inf)
            times = max(FEWEST, min(REPEATS, math.ceil(TOGETHER / longest))) if longest < TOGETHER else 1
            for _ in range(times - 1):
                self._each(there, lambda fitter: fitter.again())
            self._each(there, lambda fitter: fitter.end())

    def close(self) -> None:
        """Let each process write its page and end."""
        for fitter in self._fitters.values():
            fitter.close()

    def kill(self) -> None:
        """End the processes at once."""
        for fitter in self._fitters.values():
            fitter.kill()

    def _each(self, there: Sequence[Combination], order: Callable[[Fitter], T]) -> dict[Combination, T]:
        """Give an order in some environments, one after the other; one that is lost meanwhile is told."""
        answers = {}
        for combination in there:
            if combination in self._fitters:
                try:
                    answers[combination] = order(self._fitters[combination])
                except LostError as error:
                    self._lose(combination, error)
        return answers

    def _lose(self, combination: Combination, error: LostError) -> None:
        self.note(f"{combination.name}: {error}")
        del self._environments[combination]
        self._fitters.pop(combination, None)


class TurnsElsewhere(Turns):
    """Turns on the machines of a cluster: all environments of a replicate on one machine, so that they compare.

    Each machine makes the environments for itself. Replicates of a case go on where it began.

    Parameters
    ----------
    matrix, folder, say : Matrix, Path, callable
        As in `Turns`; the records of each machine are a run of their own.
    address : str
        As in `Cluster`.

    Raises
    ------
    RunError
        If there is no such cluster, or it can't make the environments.
    """

    def __init__(self, matrix: Matrix, folder: Path, say: Callable[[str], None], address: str) -> None:
        """Connect, and have the environments made on one machine; the others make them when it is their turn."""
        chains = Settings().override(**matrix.overrides).parallel_chains
        self._cluster = Cluster(address, [], chains=chains, say=say)  # first: without it there is to be no folder
        self._journals: dict[Path, Journal] = {}
        self._made_with: dict[Combination, Any] = {}
        self._machines: dict[Key, str] = {}
        self._cases: dict[Combination, list[Key]] = {}
        try:
            super().__init__(matrix, folder, say)
            for combination in matrix.combinations:
                for run in runs_of(folder / combination.folder):
                    self._made_with.setdefault(combination, read_run(run)["backends"])
                    self._machines |= {r.key[:3]: str(r.environment.get("machine")) for r in read_records(run)}
            self._cluster.add([Job("environments", environments_there, (matrix,))])
            (answer,) = self._cluster
            if answer.status != "ok":
                raise RunError(f"a worker could not make the environments: {answer.value}")
            self._cases, notes = answer.value
            self.note(*notes)
        except BaseException:
            self._cluster.close()
            raise

    @property
    def ready(self) -> list[Combination]:
        """Those whose environment the first machine made, and that no machine lost."""
        return list(self._cases)

    def cases(self, combination: Combination) -> list[Key]:
        """Return all that can be asked for in an environment."""
        return self._cases[combination]

    def take(self, turns: Mapping[Key, Sequence[Combination]], number: int) -> None:
        """Have each case's replicate made on a machine, and keep the records as they come.

        Parameters
        ----------
        turns, number : mapping, int
            As in `Turns`.
        """
        for case, there in turns.items():
            job = Job(case, turn_there, (self.matrix, case, number, list(there)))
            self._cluster.add([job], self._machines.get(case))
        for answer in self._cluster:
            if answer.status != "ok":
                self.note(f"{' '.join(answer.key)}, replicate {number}: {answer.value}")
                continue
            for combination, asked, record in answer.value.records:
                self._keep(combination, asked, record)
            self.note(*answer.value.notes)
            for combination in answer.value.lost:
                self._cases.pop(combination, None)

    def close(self) -> None:
        """Write the page of each run, and let the workers go."""
        for journal in self._journals.values():
            write_report(journal.folder, journal.records, journal.asked)
        self.kill()

    def kill(self) -> None:
        """Let the workers go."""
        for journal in self._journals.values():
            journal.close()
        self._cluster.close()

    def _keep(self, combination: Combination, asked: Mapping[str, Any], record: Record) -> None:
        """Put a record into the journal of its machine, unless that has other versions than the first."""
        machine = str(record.environment.get("machine"))
        first = self._made_with.setdefault(combination, asked["backends"])
        if asked["backends"] != first:
            self.note(
                f"{combination.name}: machine {machine} has {_said(asked['backends'])}, and the one before it "
                f"{_said(first)}; its fits are left out"
            )
            return
        folder = self.folder / combination.folder / f"on-{machine}"
        command = ["hierbench", "versions", "--resume", self.folder.name]
        if folder not in self._journals:
            new = None if (folder / "run.json").exists() else {**asked, "command": command}
            self._journals[folder] = Journal(folder, new)
        journal = self._journals[folder]
        if record.replicate >= journal.asked["asked"]["replicates"]:
            journal.go_on(command, record.replicate + 1)
        keep(journal, Measured(record))
        self._machines[record.key[:3]] = machine


@dataclass(frozen=True)
class Turn:
    """What a machine made of a turn.

    Attributes
    ----------
    records : list of (Combination, dict, Record)
        With what the `run.json` of each says, but for its name.
    notes : list of str
        All that went wrong on that machine.
    lost : list of Combination
        Those that can't be fitted in there.
    """

    records: list[tuple[Combination, dict[str, Any], Record]]
    notes: list[str]
    lost: list[Combination]


def environments_there(bench: Bench, matrix: Matrix) -> tuple[dict[Combination, list[Key]], list[str]]:
    """Make the environments on this machine of a cluster; return what can be asked for in each, and what went wrong.

    Parameters
    ----------
    bench : Bench
        Of this process.
    matrix : Matrix
        What to try.
    """
    turns = _kept(bench, matrix)
    return {combination: cases for combination in turns.ready if (cases := turns.cases(combination))}, turns.notes


def turn_there(bench: Bench, matrix: Matrix, case: Key, number: int, there: Sequence[Combination]) -> Turn:
    """Make a replicate of a case in some environments on this machine of a cluster.

    Parameters
    ----------
    bench : Bench
        Of this process.
    matrix : Matrix
        What to try.
    case : (str, str, str)
        Dataset, model and backend.
    number : int
        Of the replicate.
    there : sequence of Combination
        The environments, in their order.
    """
    turns = _kept(bench, matrix)

    def made() -> list[tuple[Combination, dict[str, Any], Record]]:
        return [
            (
                combination,
                {name: value for name, value in read_run(run).items() if name not in ("schema", "run")},
                record,
            )
            for combination in there
            for run in runs_of(turns.folder / combination.folder)
            for record in read_records(run)
            if record.key == (*case, number)
        ]

    before = {combination for combination, *_ in made()}  # an answer that was lost on its way is given again
    lacking = [each for each in there if each not in before and each in turns.ready and case in turns.cases(each)]
    turns.take({case: lacking}, number)
    return Turn(made(), turns.notes, [combination for combination in there if combination not in turns.ready])


def runs_of(folder: Path) -> list[Path]:
    """Return the folders of the runs of a combination.

    Parameters
    ----------
    folder : Path
        Of the combination.
    """
    return sorted(path.parent for path in folder.glob("*/records.jsonl"))


def records_of(folder: Path) -> list[Record]:
    """Return all records of a combination.

    Parameters
    ----------
    folder : Path
        Of the combination.
    """
    return [record for run in runs_of(folder) for record in read_records(run)]


def _kept(bench: Bench, matrix: Matrix) -> TurnsHere:
    """Return the turns of a client on this machine; they end with its bench."""
    turns = bench.kept.get("turns")
    if not isinstance(turns, TurnsHere):
        folder = bench.ends.enter_context(tempfile.TemporaryDirectory(prefix="hierbench-versions-"))
        turns = bench.kept["turns"] = TurnsHere(matrix, Path(folder), lambda line: None)
        bench.ends.callback(turns.kill)
    return turns


def _said(backends: Mapping[str, Mapping[str, str]]) -> str:
    """Write the versions of backends."""
    return ", ".join(f"{name} {version}" for versions in backends.values() for name, version in versions.items())
