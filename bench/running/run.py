"""A run: what is asked, refused before anything is sampled if it can't be done, and the life of its folder."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.backends import BACKENDS
from bench.backends.base import Backend
from bench.families.base import Dataset, Family, Model
from bench.records import RUNS, Journal, Record, RunError, Status, find_run, new_run_id, read_run
from bench.running import dask_worker
from bench.running.cluster import Cluster, Job
from bench.running.environment import environment
from bench.running.equality import Equality
from bench.running.isolation import Workers
from bench.running.measure import Case, Measured, Replicates, keep, record_of
from bench.settings import Asked

T = TypeVar("T")


class UsageError(ValueError):
    """Something that can't be asked; the message says what can."""


def choose(kind: str, names: str | None, known: Mapping[str, T]) -> list[T]:
    """Pick by comma-separated names, in the order of the registry.

    Parameters
    ----------
    kind : str
        What they are the names of, for the message.
    names : str, optional
        What was typed; None takes all.
    known : mapping of str to object
        The registry.

    Raises
    ------
    UsageError
        If a name is unknown; the message lists the known ones.

    Examples
    --------
    >>> choose("model", "noncentered, centered", {"centered": 1, "noncentered": 2, "other": 3})
    [1, 2]
    """
    if names is None:
        return list(known.values())
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise UsageError(f"no {kind} {', '.join(unknown) or names!r}; there are: {', '.join(known)}")
    return [value for name, value in known.items() if name in wanted]


def variant(text: str) -> Backend:
    """Return the backend with options that a text names.

    Parameters
    ----------
    text : str
        A backend and its options, as in `nutpie:adaptation=low_rank`; several are separated by commas.

    Raises
    ------
    UsageError
        If there is no such backend or option; the message says what there is.
    """
    name, _, given = text.partition(":")
    if name not in BACKENDS:
        raise UsageError(f"--engine-option {text}: no backend {name!r}; there are: {', '.join(BACKENDS)}")
    there = [f"{option}={value}" for option, known in BACKENDS[name].options.items() for value in known.values]
    parts = given.split(",")
    for part in parts:
        if part not in there:
            said = f"there are: {', '.join(there)}" if there else "it has none"
            raise UsageError(f"--engine-option {text}: {name} has no option {part!r}; {said}")
    return BACKENDS[name].variant(dict(part.split("=") for part in parts))


@dataclass(frozen=True)
class Plan:
    """What a run asks: every dataset of some families with every model of its family by every backend.

    Attributes
    ----------
    subjects : sequence of (Family, Dataset, Model)
        What to fit.
    backends : sequence of Backend
        By what.
    missing : dict of str to str
        Backends of the default set that can't run here, with the reason.
    asked : Asked
        How.
    """

    subjects: Sequence[tuple[Family, Dataset, Model]]
    backends: Sequence[Backend]
    missing: Mapping[str, str]
    asked: Asked

    def cluster(self, address: str, say: Callable[[str], None]) -> Cluster:
        """Connect to workers that can make the fits; see `Cluster`.

        Parameters
        ----------
        address : str
            As in `Cluster`.
        say : callable
            Prints a line of what the cluster does.

        Raises
        ------
        RunError
            If there is no such cluster, or none of its workers can be used.
        """
        return Cluster(
            address,
            [backend for backend in self.backends if not backend.unavailable()],
            chains=max(self.asked.settings(backend).parallel_chains for backend in self.backends),
            memory_limit=self.asked.memory_limit,
            timeout=self.asked.fit_timeout,
            say=say,
        )

    @classmethod
    def make(
        cls,
        families: Sequence[tuple[Family, Sequence[Dataset]]],
        models: str | None,
        backends: str | None,
        asked: Asked,
        options: Sequence[str] = (),
    ) -> "Plan":
        """Resolve names; without names of backends, take the default ones that can run here.

        Parameters
        ----------
        families : sequence of (Family, sequence of Dataset)
            Families, each with the data to fit its models to.
        models, backends : str, optional
            Names, separated by commas.
        asked : Asked
            How.
        options : sequence of str
            Of engines, such as `nutpie:adaptation=low_rank`; each is a backend more, beside the others.

        Raises
        ------
        UsageError
            If a name is unknown, or two models on two datasets have the same names.
        ValueError
            If no sampler could use the settings.
        """
        chosen = choose("backend", backends, BACKENDS)
        missing = {}
        if backends is None:
            reasons = {backend.name: backend.unavailable() for backend in chosen if backend.default != "never"}
            missing = {name: why for name, why in reasons.items() if why and BACKENDS[name].default == "always"}
            chosen = [backend for backend in chosen if reasons.get(backend.name, "") is None]
        for text in dict.fromkeys(options):
            chosen.append(variant(text))
            if why := chosen[-1].unavailable():
                raise UsageError(f"--engine-option {text}: {why}")
        for backend in chosen:
            asked.settings(backend)  # refuses what no sampler could use
        known = {name: model for family, _ in families for name, model in family.models.items()}
        names = {model.name for model in choose("model", models, known)}
        subjects = [
            (family, dataset, model)
            for family, datasets in families
            for dataset in datasets
            for model in family.models.values()
            if model.name in names
        ]
        ids = [f"{dataset.id} {model.name}" for _, dataset, model in subjects]
        if twice := next((each for each in ids if ids.count(each) > 1), None):
            raise UsageError(f"{twice} is asked for twice, and records would not be told apart; rename a folder")
        return cls(subjects, chosen, missing, asked)

    @property
    def cases(self) -> list[Case]:
        """All combinations; the backends of one dataset and model stand next to each other.

        A backend for which a model has no program has no case.
        """
        return [
            Case(family, dataset, model, backend)
            for family, dataset, model in self.subjects
            for backend in self.backends
            if getattr(model, backend.language) is not None
        ]

    def describe(self, command: Sequence[str], cluster: Cluster | None = None) -> dict[str, Any]:
        """Return what `run.json` keeps.

        Parameters
        ----------
        command : sequence of str
            The words of the command line.
        cluster : Cluster, optional
            Where the fits are made, if not here.
        """
        return {
            "command": list(command),
            "datasets": {dataset.id: dataset.digest for _, dataset, _ in self.subjects},
            "models": {f"{family.name} {model.name}": model.digest for family, _, model in self.subjects},
            "cases": len(self.cases),
            "backends": {
                backend.name: {} if backend.unavailable() else dict(backend.versions()) for backend in self.backends
            },
            "missing": dict(self.missing),
            "asked": asdict(self.asked),
            "settings": {backend.name: asdict(self.asked.settings(backend)) for backend in self.backends},
            "environment": environment() if cluster is None else {**environment(), **ELSEWHERE},
        }


ELSEWHERE = dict.fromkeys(("cpu", "cores", "machine", "memory_gib", "system", "usable_cores"), "those of a cluster")
"""What is said of the machine of a run whose fits are made on many; their records say which."""
_PLANNED = ("datasets", "models", "backends", "settings")
"""What has an entry for each name of the plan; the parts of a run may ask for fewer of them."""
_SAID = 12
"""Lines of differences that a person is told; the rest is counted."""
_IMMATERIAL = {("environment", "commit")} | {
    ("asked", name) for name in ("fit_timeout", "memory_limit", "replicates", "save_draws")
}
"""What may differ between the parts of a run: it changes no figure that is measured."""


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name everything in which two descriptions of a run ask for different measurements.

    What changes no measured figure is passed over: the commit, limits of time and memory, whether draws are
    kept, the number of replicates, and fewer datasets, models or backends, for a run may be made in parts.

    Parameters
    ----------
    before : mapping
        What `run.json` says.
    now : mapping
        What `Plan.describe` says.

    Returns
    -------
    list of str
        One line for each, with both values; empty where the run may go on.
    """
    found = []
    for part in (*_PLANNED, "asked", "environment"):
        old, new = before.get(part, {}), json.loads(json.dumps(now[part]))
        for name in sorted(new.keys() if part in _PLANNED else old.keys() | new.keys()):
            if (part, name) in _IMMATERIAL:
                continue
            if name in ("machine", "usable_cores") and name not in old:
                continue  # older runs don't say
            if old.get(name) != new.get(name):
                found.append(f"{part}: {name} was {old.get(name, 'not there')}, is {new.get(name, 'not there')}")
    return found


class Run:
    """The open run of this process: its plan, its folder and where its fits are made.

    Parameters
    ----------
    plan : Plan
        What is asked.
    command : sequence of str
        The command line, to run it again.
    resume : str, optional
        Id or path of the run to go on with, or `latest`; None starts a new one.
    anyway : bool
        Whether to resume although something differs.
    runs : Path
        Folder of all runs.
    tell : callable
        Called with each record that `measure` or `refuse` made.
    cluster : Cluster, optional
        Where `measure` makes fits; None makes them on this machine.

    Raises
    ------
    RunError
        If the folder can't be written, or the run to resume asked for something else.
    """

    def __init__(
        self,
        plan: Plan,
        command: Sequence[str] = (),
        resume: str | None = None,
        *,
        anyway: bool = False,
        runs: Path = RUNS,
        tell: Callable[[Record], None] = lambda record: None,
        cluster: Cluster | None = None,
    ) -> None:
        """Open the folder; no worker is started yet."""
        self.plan = plan
        asked = plan.describe(command, cluster)
        if resume is None:
            self.journal = Journal(runs / new_run_id(), asked)
        else:
            folder = find_run(resume, runs)
            changed = differences(read_run(folder), asked)
            if (more := len(changed) - _SAID) > 0:
                changed = [*changed[:_SAID], f"and {more} more"]
            if changed and not anyway:
                raise RunError(
                    f"{folder.name} can't be resumed, for its records would not compare with new ones:\n  "
                    + "\n  ".join(changed)
                    + "\nStart a new run without --resume, or go on all the same: --resume-anyway"
                )
            self.journal = Journal(folder)
            self.journal.go_on(command, plan.asked.replicates)
        self.workers = Workers(plan.asked.memory_limit, plan.asked.fit_timeout)
        self.equality = Equality(self.workers, plan.asked.fit_timeout)
        self._tell, self._cluster = tell, cluster
        self._earlier = {record.key for record in self.journal.records}
        self._rounds: dict[tuple[str, str], deque[tuple[Case, int]]] = {}
        self._here: dict[tuple[str, str, str], Replicates] = {}
        self._made: dict[tuple[str, str, str, int], Record] = {}

    def missing(self, case: Case) -> list[int]:
        """Replicates of a case that had no record when the run was opened."""
        return [number for number in range(self.plan.asked.replicates) if (*case.key, number) not in self._earlier]

    def send(self, fits: Sequence[tuple[Case, int]]) -> None:
        """Order some fits in rounds: what is compared is made one after the other, on one machine.

        Here a round is a replicate of a dataset and model by every backend, so that what the machine does meanwhile
        is no difference between backends. On a cluster it is a replicate of a dataset, by every model too; they are
        sent there, and go on where they began.

        Parameters
        ----------
        fits : sequence of (Case, int)
            Those that `measure` will be asked for.
        """
        possible = [(case, number) for case, number in fits if self.impossible(case) is None]
        if self._cluster is None:
            for case, number in sorted(possible, key=lambda fit: fit[1]):
                self._rounds.setdefault(case.key[:2], deque()).append((case, number))
            return
        groups: dict[tuple[str, int], list[Job]] = {}
        for case, number in possible:
            job = Job((case, number), dask_worker.fit, (case, self.plan.asked, number))
            groups.setdefault((case.dataset.id, number), []).append(job)
        machines = {(r.dataset, r.replicate): r.environment.get("machine") for r in self.journal.records}
        for group, jobs in groups.items():
            self._cluster.add(jobs, machines.get(group))

    def measure(self, case: Case, number: int) -> Record:
        """Make a replicate here, and what its round has before it, or wait for it.

        Every record is on the disk before the next one is looked at.

        Parameters
        ----------
        case : Case
            What to fit.
        number : int
            Of the replicate.

        Raises
        ------
        RunError
            If a record can't be written, or the cluster is gone.
        """
        while (*case.key, number) not in self._made:
            record = self._next(case, number) if self._cluster is None else self._arrived(self._cluster)
            self._made[record.key] = record
        return self._made.pop((*case.key, number))

    def _next(self, case: Case, number: int) -> Record:
        """Make the next fit of the rounds that a fit is in, or that fit itself if it is in none."""
        rounds = self._rounds.get(case.key[:2])
        of, which = rounds.popleft() if rounds else (case, number)
        self._here = {key: made for key, made in self._here.items() if key[:2] == of.key[:2]}
        if of.key not in self._here:
            self._here[of.key] = Replicates(of, self.plan.asked, self.workers, self.equality)
        return self._keep(self._here[of.key].make(which))

    def _arrived(self, cluster: Cluster) -> Record:
        answer = next(cluster)
        of, which = answer.key
        if answer.status == "ok":
            return self._keep(answer.value)
        return self.refuse(of, which, answer.status, str(answer.value))

    @staticmethod
    def impossible(case: Case) -> tuple[Status, str] | None:
        """Return the status and the reason of fits that can't be made here, or None.

        Parameters
        ----------
        case : Case
            What is to be fit.
        """
        if reason := case.backend.unavailable():
            return "unavailable", reason
        if reason := case.backend.unsupported(case.model):
            return "unsupported", reason
        return None

    def refuse(self, case: Case, number: int, status: Status, reason: str) -> Record:
        """Record that a replicate can't be made.

        Parameters
        ----------
        case : Case
            What was to be fit.
        number : int
            Of the replicate.
        status, reason : str
            Of the record, such as `unsupported`, and why.
        """
        return self._keep(Measured(record_of(case, self.plan.asked, number, status, reason)))

    def _keep(self, measured: Measured) -> Record:
        record = keep(self.journal, measured)
        self._tell(record)
        return record

    def close(self) -> None:
        """End the workers and release the folder."""
        self.workers.close()
        self.journal.close()
