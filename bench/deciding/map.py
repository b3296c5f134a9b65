"""`hierbench map`: which form wins where, with more points where the winner changes and as many fits as it takes."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bench.backends import BACKENDS
from bench.backends.base import Backend
from bench.comparing.crossover import Field, fields
from bench.deciding.lattice import Lattice, Point
from bench.families.base import Model
from bench.families.registry import FAMILIES
from bench.records import RUNS, Record, RunError, named, read_run
from bench.report.map_page import write_map
from bench.running.measure import Case
from bench.running.run import Plan, Run, UsageError, choose
from bench.settings import Asked, positive

MOST = 12
"""Fits of a model at a point."""
AHEAD = 64
"""Replicates of points that a cluster is given before the first of them is answered."""
BEFORE = 500
"""What is to be measured is chosen anew once a map has grown by a part in so many: choosing looks at all of it."""
LATTICE = Lattice()
ENGINES = "stanli,nutpie_stan"
"""Build a model in milliseconds, on data of any shape."""


@dataclass(frozen=True)
class Turn:
    """Fits that belong together: some models by some backends, on one replicate of the data of a point."""

    point: Point
    number: int
    seed: int
    who: Sequence[tuple[Model, Backend]]

    @cached_property
    def cases(self) -> list[Case]:
        """The fits, on one dataset."""
        dataset = self.point.dataset(self.seed)
        return [Case(FAMILIES["normal_means"], dataset, model, backend) for model, backend in self.who]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a map is made of.

    Attributes
    ----------
    minutes : float
        To measure.
    models, backends : str, optional
        Names, separated by commas; all models of the posterior, and `ENGINES`, by default.
    posterior : str
        That the models target.
    asked : Asked
        Settings, seed and limits of the fits; a form whose fits take longer is given up at that point.
    lattice : Lattice
        Where to measure.

    Raises
    ------
    UsageError
        If a name is unknown, a backend can't run here, or there is nothing to compare.
    """

    minutes: float
    models: str | None = None
    backends: str | None = None
    posterior: str = "superpopulation"
    asked: Asked = field(default_factory=Asked)
    lattice: Lattice = field(default_factory=lambda: LATTICE)

    def __post_init__(self) -> None:
        """Refuse what can't be measured."""
        positive("--budget", self.minutes, "minutes, e.g. --budget 60")
        if len(self.chosen_models) < 2:
            raise UsageError(
                f"--model {self.models}: a map compares two models or more of the {self.posterior} posterior; give "
                f"some of: {', '.join(self._known)}"
            )
        for backend in self.chosen_backends:
            if reason := backend.unavailable():
                raise UsageError(f"{backend.name}: {reason}")

    @property
    def _known(self) -> dict[str, Model]:
        every = FAMILIES["normal_means"].models
        return {name: model for name, model in every.items() if model.target == self.posterior}

    @cached_property
    def chosen_models(self) -> list[Model]:
        """The models."""
        return choose(f"model of the {self.posterior} posterior", self.models, self._known)

    @cached_property
    def chosen_backends(self) -> list[Backend]:
        """The backends."""
        return choose("backend", ENGINES if self.backends is None else self.backends, BACKENDS)

    @property
    def plan(self) -> Plan:
        """The first replicate of the points that the map begins with; the others follow from what is measured."""
        family = FAMILIES["normal_means"]
        first = [point.dataset(self._seed(0)) for point in self.lattice.coarse()]
        subjects = [(family, dataset, model) for dataset in first for model in self.chosen_models]
        return Plan(subjects, self.chosen_backends, {}, self.asked)

    def _seed(self, number: int) -> int:
        return 1000 * self.asked.seed + number

    def turns(self, records: Sequence[Record]) -> list[Turn]:
        """Return what to measure, the most telling first.

        Points with few fits come before others, and small data before large ones, whose fits take as long as several:
        about as many times as long as they have more groups.

        Parameters
        ----------
        records : sequence of Record
            What was measured.
        """
        here = _by_point(fields(records))
        points = [*self.lattice.coarse(), *here]
        for a, middle, b in self.lattice.between(dict.fromkeys(points)):
            if _changes(here.get(a), here.get(b)):
                points.append(middle)
        made = {record.key[:3] for record in records}
        found = [self._turn(point, here.get(point, {}), made) for point in dict.fromkeys(points)]
        return sorted(
            (turn for turn in found if turn is not None),
            key=lambda turn: ((turn.number + 1) * (50 + turn.point.groups), turn.point),
        )

    def _turn(self, point: Point, here: Mapping[str, Field], made: set[tuple[str, str, str]]) -> Turn | None:
        """Return the next replicate of a point, None where all is told or there are enough."""
        wanted = [
            (model, backend)
            for model in self.chosen_models
            for backend in self.chosen_backends
            if backend.name not in here or model.name in here[backend.name].wanted
        ]
        for number in range(MOST):
            name = point.id(self._seed(number))
            if missing := [(m, b) for m, b in wanted if (name, m.name, b.name) not in made]:
                return Turn(point, number, self._seed(number), missing)
        return None


def _by_point(found: Sequence[Field]) -> dict[Point, dict[str, Field]]:
    """Return the fields of all engines by their point."""
    here: dict[Point, dict[str, Field]] = {}
    for each in found:
        spot = each.spot
        point = Point(int(spot.imbalance), spot.sigma, spot.groups, spot.information)
        here.setdefault(point, {})[spot.backend] = each
    return here


def _changes(a: Mapping[str, Field] | None, b: Mapping[str, Field] | None) -> bool:
    """Whether another model surely wins at a neighbour, for any engine.

    Where that is open more fits come first; where two are as good or none is healthy, points between tell no more.
    """
    both = [(a[engine], b[engine]) for engine in a if engine in b] if a and b else []
    duels = [duels for x, y in both for duels in ((x.pair, y.pair), (x.every, y.every))]
    return any(x.told and y.told and x.first != y.first for x, y in duels)


def go_on(folder: Path, minutes: float, seconds: float | None) -> Survey:
    """Return what an earlier map was made of, with a new budget.

    Parameters
    ----------
    folder : Path
        Of its run.
    minutes : float
        To measure.
    seconds : float, optional
        That a fit may take; None lets it run.

    Raises
    ------
    UsageError
        If the run is none of a map.
    RunError
        If it can't be read.
    """
    said = read_run(folder)
    models = [name.split()[-1] for name in said.get("models", {})]
    if said.get("command", [])[:2] != ["hierbench", "map"] or not models:
        raise UsageError(f"{folder.name} is no map; make one: hierbench map")
    unknown = [name for name in models if name not in FAMILIES["normal_means"].models]
    if unknown:
        raise UsageError(f"{folder.name} has models that are not here: {', '.join(unknown)}; make a new map")
    return Survey(
        minutes=minutes,
        models=",".join(models),
        backends=",".join(said["backends"]),
        posterior=FAMILIES["normal_means"].models[models[0]].target,
        asked=Asked(**said["asked"] | {"fit_timeout": seconds}),
    )


def measure_map(
    survey: Survey,
    command: Sequence[str],
    say: Callable[[str], None],
    *,
    resume: str | None = None,
    runs: Path = RUNS,
    dask: str | None = None,
) -> Path:
    """Measure until all is told or the budget is spent, and return the page. Ctrl-C ends the measuring.

    Parameters
    ----------
    survey : Survey
        What to measure.
    command : sequence of str
        The command line, to run it again.
    say : callable
        Prints a line of progress.
    resume : str, optional
        Run to go on with.
    runs : Path
        Folder of all runs.
    dask : str, optional
        As in `Cluster`; None measures here.

    Raises
    ------
    UsageError, RunError
        If something can't be asked or written, or nothing was measured.
    """
    plan = survey.plan
    cluster = None if dask is None else plan.cluster(dask, say)
    run = None
    try:
        run = Run(plan, command, resume, runs=runs, cluster=cluster)
        say(_measure(survey, run, say, AHEAD if cluster else 1))
    except KeyboardInterrupt:
        if run is None:
            raise
        say("stopped; the map is from what there is")
    finally:
        if run is not None:
            run.close()
        if cluster is not None:
            cluster.close()
    folder, records = run.journal.folder, run.journal.records
    if not records:
        raise RunError(f"nothing was measured; go on: hierbench map --resume {named(folder)}")
    say(f"to go on, type: hierbench map --resume {named(folder)} --budget {survey.minutes:g}")
    return write_map(folder, records, run.journal.asked)


def _measure(survey: Survey, run: Run, say: Callable[[str], None], ahead: int) -> str:
    """Measure turn by turn, and say why it ended; a cluster is given some turns ahead of the one that is waited for."""
    until = time.monotonic() + 60 * survey.minutes
    flying: deque[Turn] = deque()
    while True:
        ahead = max(ahead, len(run.journal.records) // BEFORE)
        if 2 * len(flying) <= ahead:
            sent = {(turn.point, turn.number) for turn in flying}
            fresh = [turn for turn in survey.turns(run.journal.records) if (turn.point, turn.number) not in sent]
            for turn in fresh[: ahead - len(flying)]:
                run.send([(case, 0) for case in turn.cases])
                flying.append(turn)
        if not flying:
            return "every winner is told, or has as many fits as there may be"
        turn = flying.popleft()
        for case in turn.cases:
            if time.monotonic() > until:
                return f"the budget of {survey.minutes:g} minutes is spent"
            if refused := run.impossible(case):
                run.refuse(case, 0, *refused)
            else:
                run.measure(case, 0)
        say(f"{len(run.journal.records):>7,} fits: {turn.point}, replicate {turn.number + 1}")
