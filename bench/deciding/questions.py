"""What `hierbench recommend` is asked: a family, its data, what the models should target, and what may be spent."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from bench.backends import BACKENDS
from bench.backends.base import Backend
from bench.comparing.by_map import ByMap
from bench.comparing.recommendation import About, Recommendation
from bench.families.base import Dataset, Family
from bench.families.pair import Pair
from bench.families.programs import PYMC, STAN
from bench.running.run import Plan
from bench.settings import Asked, Settings, fit_seed, positive
from bench.words import printable


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
    ValueError
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
        positive("--budget", self.budget, "seconds, e.g. 60")
        positive("--target-ess", self.target_ess, "a number of effective draws, e.g. 1000")

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
