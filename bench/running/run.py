"""A run: what is asked, refused before anything is sampled if it can't be done, and the life of its folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.backends import BACKENDS
from bench.backends.base import Backend
from bench.families.base import Dataset, Family, Model
from bench.records import RUNS, Journal, RunError, find_run, new_run_id, read_run
from bench.running.environment import environment
from bench.running.equality import Equality
from bench.running.isolation import Workers
from bench.running.measure import Case
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

    def describe(self, command: Sequence[str]) -> dict[str, Any]:
        """Return what `run.json` keeps."""
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
            "environment": environment(),
        }


_IMMATERIAL = {("environment", "commit")} | {("asked", name) for name in ("fit_timeout", "memory_limit", "save_draws")}
"""What may differ between the parts of a run: it changes no figure that is measured."""


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name everything in which two descriptions of a run ask for different measurements.

    What changes no measured figure is passed over: the commit, limits of time and memory, whether draws are
    kept, and more replicates.

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
    for part in ("datasets", "models", "backends", "asked", "settings", "environment"):
        old, new = before.get(part, {}), json.loads(json.dumps(now[part]))
        for name in sorted(old.keys() | new.keys()):
            if (part, name) in _IMMATERIAL:
                continue
            if part == "asked" and name == "replicates" and new[name] >= old.get(name, 0):
                continue  # more of the same
            if old.get(name) != new.get(name):
                found.append(f"{part}: {name} was {old.get(name, 'not there')}, is {new.get(name, 'not there')}")
    return found


class Run:
    """The open run of this process: its plan, its folder and its workers.

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
    ) -> None:
        """Open the folder; no worker is started yet."""
        self.plan = plan
        asked = plan.describe(command)
        if resume is None:
            self.journal = Journal(runs / new_run_id(), asked)
        else:
            folder = find_run(resume, runs)
            changed = differences(read_run(folder), asked)
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

    def missing(self, case: Case) -> list[int]:
        """Replicates of a case that have no record yet."""
        done = {record.key for record in self.journal.records}
        return [number for number in range(self.plan.asked.replicates) if (*case.key, number) not in done]

    def close(self) -> None:
        """Kill the workers and release the folder."""
        self.workers.close()
        self.journal.close()
