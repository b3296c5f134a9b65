"""`hierbench recommend`: spend a budget on a reader's table or model, and say what to put into production."""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path

from bench.backends import BACKENDS
from bench.backends.base import Backend
from bench.cells import printable
from bench.comparing.by_map import ByMap, by_map
from bench.comparing.map_table import Place
from bench.comparing.recommendation import About, Recommendation
from bench.deciding.bakeoff import bake_off
from bench.families.base import Dataset, Family
from bench.families.normal_means.data import Groups, read_table
from bench.families.normal_means.forms import FORMS, MODELS
from bench.families.normal_means.programs import Table, program
from bench.families.normal_means.theory import CLEAR, Seen, look, units
from bench.families.pair import Pair
from bench.families.programs import PYMC, STAN
from bench.families.registry import FAMILIES
from bench.files import write
from bench.records import RUNS, Record, RunError, find_run, named, read_run
from bench.report.page import write_report
from bench.report.recommendation_page import write_page
from bench.report.terminal import fit_outcome
from bench.running.run import Plan, Run, UsageError
from bench.settings import Asked, Settings, fit_seed


@dataclass(frozen=True, kw_only=True)
class Question(ABC):
    """What a reader asks of a family and its data.

    Attributes
    ----------
    target_ess : float
        Smallest bulk ESS that is wanted.
    budget : float
        Seconds to measure.
    models, backends : str, optional
        Names, separated by commas; all that run here by default.
    asked : Asked
        Settings, seed and limits of the fits.

    Raises
    ------
    UsageError
        If budget or target can't be met by anything.
    DataError
        If the data can't be used.
    """

    target_ess: float = 1000.0
    budget: float = 45.0
    models: str | None = None
    backends: str | None = None
    asked: Asked = field(default_factory=Asked)

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        if not (self.budget > 0 and math.isfinite(self.budget)):
            raise UsageError(f"--budget is {self.budget:g}; give seconds, e.g. 60")
        if not (self.target_ess > 0 and math.isfinite(self.target_ess)):
            raise UsageError(f"--target-ess is {self.target_ess:g}; give a number of effective draws, e.g. 1000")

    @property
    @abstractmethod
    def family(self) -> Family:
        """The family of the models."""

    @property
    @abstractmethod
    def dataset(self) -> Dataset:
        """What the models are given."""

    @property
    @abstractmethod
    def target(self) -> str:
        """What the models should target."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """The question in one line."""

    @property
    def forms(self) -> Mapping[str, str]:
        """The parameterization of each model; empty where there is no such notion."""
        return {}

    @property
    def about(self) -> About | None:
        """What is known of the data before anything is sampled."""
        return None

    def by_map(self, backends: Sequence[Backend]) -> tuple[ByMap, ...]:
        """Return what the committed map says of the data, by some backends; nothing by default.

        Parameters
        ----------
        backends : sequence of Backend
            Those that will be measured.
        """
        return ()

    def program(self, model: str, backend: str, settings: Settings, seed: int) -> str:
        """Write a program to copy; none by default.

        Parameters
        ----------
        model, backend : str
            What to fit, and by what.
        settings : Settings
            As measured.
        seed : int
            Of the fit.
        """
        return ""

    def programs(self, plan: Plan, answer: Recommendation) -> Iterator[tuple[str, str]]:
        """Yield the recommended model in both languages, each for the best of its backends: file name and text.

        Parameters
        ----------
        plan : Plan
            What was measured.
        answer : Recommendation
            What it says.
        """
        if answer.first is None:
            return
        model = answer.first.model
        seed = fit_seed(self.asked.seed, self.dataset.id, 0)
        of_model = [row.backend for row in answer.ranked if row.model == model]
        measured = [row.backend for row in answer.rows]
        for name, language in (("fit_stan.py", STAN), ("fit_pymc.py", PYMC)):
            backend = next(b for b in [*of_model, *measured, *language] if b in language)
            if text := self.program(model, backend, plan.asked.settings(BACKENDS[backend]), seed):
                yield name, text

    def asked_at(self, target_accept: float | None) -> Asked:
        """Return what is asked of the fits at a target acceptance, None for that of the backends.

        No build, comparison or fit may take longer than the whole budget.
        """
        given = {} if target_accept is None else {"target_accept": target_accept}
        return replace(self.asked, overrides=self.asked.overrides | given, fit_timeout=self.budget)

    def plan(self, target_accept: float | None) -> Plan:
        """Return all that could be measured; what can't be asked is refused here."""
        asked = self.asked_at(target_accept)
        plan = Plan.make([(self.family, [self.dataset])], self.models, self.backends, asked)
        if self.backends is None:  # a build by PyStan alone takes longer than the budget
            plan = replace(plan, backends=[backend for backend in plan.backends if backend.default == "always"])
        return plan


@dataclass(frozen=True, kw_only=True)
class PairQuestion(Question):
    """Which backend for a reader's own model.

    Attributes
    ----------
    folder : Path
        Its programs and data.
    """

    folder: Path

    @cached_property
    def family(self) -> Pair:
        """The pair."""
        return Pair.read(self.folder)

    @property
    def dataset(self) -> Dataset:
        """Its data."""
        return self.family.datasets(self.family.grids[0])[0]

    @property
    def target(self) -> str:
        """Its posterior."""
        return next(iter(self.family.targets))

    @property
    def summary(self) -> str:
        """The question in one line."""
        (model,) = self.family.models.values()
        there = [program.path.name for program in (model.stan, model.pymc) if program is not None]
        return f"{printable(str(self.folder))}: {' and '.join(there)}"


@dataclass(frozen=True, kw_only=True)
class TableQuestion(Question):
    """Which model of the normal means, and which backend, for a reader's own table.

    Attributes
    ----------
    path : Path
        CSV or Parquet.
    group_column, value_column : str
        Its columns.
    posterior : str
        What the models should target.
    as_is : bool
        Whether the models get y as it is, however far from their priors.
    """

    path: Path
    group_column: str
    value_column: str
    posterior: str = "superpopulation"
    as_is: bool = False

    @property
    def family(self) -> Family:
        """The normal means."""
        return FAMILIES["normal_means"]

    @property
    def target(self) -> str:
        """What the models should target."""
        return self.posterior

    @cached_property
    def table(self) -> Table:
        """The table, and how its values become y."""
        centre, scale = (0.0, 1.0) if self.as_is else units(self._as_read)
        return Table(self.path.resolve(), self.group_column, self.value_column, centre, scale)

    @cached_property
    def dataset(self) -> Groups:
        """What the models are given."""
        if (self.table.centre, self.table.scale) == (0.0, 1.0):
            return self._as_read
        return self._as_read.rescaled(self.table.centre, self.table.scale)

    @cached_property
    def _as_read(self) -> Groups:
        return read_table(self.path, self.group_column, self.value_column)

    @cached_property
    def _seen(self) -> Seen:
        return look(self.dataset, self.table.centre, self.table.scale)

    @property
    def summary(self) -> str:
        """The question in one line."""
        return f"{printable(self.path.name)}: {self._seen.summary}"

    @property
    def forms(self) -> Mapping[str, str]:
        """Centered, noncentered or marginal."""
        return {name: form.kind for name, form in FORMS.items()}

    @cached_property
    def about(self) -> About:
        """What the exact posterior and theory say."""
        seen, information = self._seen, self._seen.information
        said = {
            "undecided": "near 1, where theory leaves the parameterization open",
            "centered": "well above 1, where theory is for centered",
            "noncentered": "well below 1, where theory is for noncentered",
        }
        return About(
            lines=tuple(seen.lines()),
            between=("centered", "noncentered"),
            theory=seen.theory,
            theory_says=(
                f"n omega²/sigma² is {information.median:.3g} in the median group (94 % interval {information.low:.3g} "
                f"to {information.high:.3g}): {said[seen.theory]}"
            ),
            measure="n omega²/sigma²",
            information={"these data": (information.low, information.median, information.high)},
            limits=(1 / CLEAR, CLEAR),
            values=asdict(seen),
        )

    def by_map(self, backends: Sequence[Backend]) -> tuple[ByMap, ...]:
        """Return what the committed map says of data like these."""
        seen = self._seen
        models = [name for name, form in FORMS.items() if form.target == self.target]
        versions = {backend.name: backend.versions() for backend in backends if not backend.unavailable()}
        asked = Place(seen.information.median, seen.n_groups, seen.largest / seen.smallest)
        return tuple(by_map(asked, models, versions))

    def program(self, model: str, backend: str, settings: Settings, seed: int) -> str:
        """Write a program to copy."""
        return program(MODELS[model], backend, self.table, settings, seed)


LADDER = (0.95, 0.99)
"""Target acceptances tried in turn where no model is healthy at the default one."""
WORTH_IT = 0.5
"""Share of the budget that must be left to try the next one."""


def recommend(
    question: Question,
    command: Sequence[str],
    say: Callable[[str], None],
    *,
    resume: str | None = None,
    runs: Path = RUNS,
) -> Recommendation:
    """Measure within the budget and answer.

    The run's folder gets the pages of every run, and beside them `recommendation.html`, `recommendation.json` and the
    programs. Ctrl-C ends the measuring; the answer is then given from what there is. Where no model is healthy at the
    default target acceptance, all is measured again, as a run of its own, at the higher ones of `LADDER`.

    Parameters
    ----------
    question : Question
        What is asked.
    command : sequence of str
        The command line, to run it again.
    say : callable
        Prints a line of progress.
    resume : str, optional
        Run to go on with.
    runs : Path
        Folder of all runs.

    Raises
    ------
    UsageError, DataError, RunError
        If something can't be asked or written, or nothing could be measured.
    """
    started = time.monotonic()
    ladder = _ladder(question, resume, runs)
    plan = question.plan(ladder[0])
    maps = question.by_map(plan.backends)
    for line in _introduction(question, plan, maps):
        say(line)
    for target, following in zip_longest(ladder, ladder[1:]):
        plan = question.plan(target)
        run = Run(plan, command, resume, runs=runs)
        try:
            left = question.budget - (time.monotonic() - started)
            again = following is not None and left > question.budget * WORTH_IT
            if not bake_off(run, question.target, question.forms, left, partial(_tell, say), stop=again):
                break
            said = target or Settings().target_accept
            say(f"no model is healthy at target accept {said:g}; all again at {following:g}")
        except KeyboardInterrupt:
            say(f"stopped; the answer is from what there is, and --resume {named(run.journal.folder)} goes on")
            break
        except RunError as error:  # a disk that is full; what was measured before is worth an answer
            return _written(question, plan, run, maps, [str(error)])
        finally:
            run.close()
    return _written(question, plan, run, maps, [])


def _written(question: Question, plan: Plan, run: Run, maps: tuple[ByMap, ...], notes: list[str]) -> Recommendation:
    """Answer from the records of a run, and put the answer into its folder; an error there does not cost the answer."""
    folder = run.journal.folder
    records = run.journal.records
    if not any(record.status == "ok" for record in records):
        if records and all(record.status != "timeout" for record in records):
            why = "; ".join(
                f"{record.model} on {record.backend}: {record.status}: {printable(record.reason.splitlines()[0])}"
                for record in records
            )
            raise RunError(f"nothing could be fit: {why}")
        raise RunError(
            f"no fit ended within the budget of {question.budget:g} s; type: --budget "
            f"{max(60.0, 4 * question.budget):g} --resume {named(run.journal.folder)}"
        )
    answer = replace(_answered(question, plan, records), by_map=maps, folder=folder)
    notes += [run.journal.lost] if run.journal.lost else []
    try:
        write_report(folder, records, run.journal.asked)
        write_page(folder, answer)
        write(folder / "recommendation.json", json.dumps(answer.to_dict(), indent=1) + "\n")
        for name, text in answer.programs.items():
            write(folder / name, text)
    except Exception as error:  # whatever the pages stumble over, the fits were paid for
        notes.append(f"not all pages were written, for {type(error).__name__}: {error}")
    return replace(answer, notes=tuple(notes))


def _ladder(question: Question, resume: str | None, runs: Path) -> list[float | None]:
    """Target acceptances to try: the one that was typed, that of the run to go on with, or all, the default first."""
    if "target_accept" in question.asked.overrides:
        return [None]
    if resume is None:
        return [None, *LADDER]
    return [read_run(find_run(resume, runs)).get("asked", {}).get("overrides", {}).get("target_accept")]


def _answered(question: Question, plan: Plan, records: list[Record]) -> Recommendation:
    cases = [f"{case.model.name} on {case.backend.name}" for case in plan.cases]
    answer = Recommendation.of(
        records, question.target, question.target_ess, cases, forms=question.forms, about=question.about
    )
    return replace(answer, programs=dict(question.programs(plan, answer)))


def _introduction(question: Question, plan: Plan, maps: tuple[ByMap, ...]) -> Iterator[str]:
    yield question.summary
    yield from (each.line for each in maps)
    yield from (f"without {name}: {printable(reason)}" for name, reason in plan.missing.items())
    names = ", ".join(dict.fromkeys(case.backend.name for case in plan.cases))
    yield f"measuring for up to {question.budget:g} s on {names}; Ctrl-C ends it, with the answer so far"


def _tell(say: Callable[[str], None], record: Record) -> None:
    result = "stopped, for the budget is used" if record.status == "timeout" else fit_outcome(record)
    say(f"  {record.model + ' on ' + record.backend:<40}{result}")
