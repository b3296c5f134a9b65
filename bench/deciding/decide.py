"""As many replicates as it takes: rounds of fits until every case has its verdict, or the budget is spent."""

import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.comparing.comparison import Comparison
from bench.comparing.difference import Difference
from bench.comparing.outcome import asks_for_more, limit, outcome
from bench.comparing.sequential import LOOKS, undecided
from bench.records import named, read_run
from bench.running.run import UsageError
from bench.settings import positive

Key = tuple[str, str, str]
"""Dataset, model and backend."""


@dataclass(frozen=True)
class Decide:
    """When there are enough replicates.

    Attributes
    ----------
    margin : str
        Of `same`, such as `5%`.
    most : int
        Replicates of a case; the last look at or before them is the last round.
    minutes : float, optional
        To measure; None is no limit.
    condition : str, optional
        That of `--fail-on`: then there are enough as soon as it can be told.
    """

    margin: str = "10%"
    most: int = 20
    minutes: float | None = None
    condition: str | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be decided."""
        number = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", self.margin)
        if number is None or not 0 < float(number[1]) < 100:
            raise UsageError(f"--decide is {self.margin!r}; give a margin above 0 and below 100 %, e.g. --decide 5%")
        if not LOOKS[0] <= self.most <= LOOKS[-1]:
            raise UsageError(f"--max-replicates is {self.most}; give {LOOKS[0]} to {LOOKS[-1]}, e.g. 20")
        if self.minutes is not None:
            positive("--budget", self.minutes, "minutes, e.g. --budget 10")
        if self.condition is not None:
            limit(self.condition)

    @property
    def within(self) -> float:
        """The margin as a number."""
        return float(self.margin.strip().rstrip("%")) / 100

    @property
    def rounds(self) -> int:
        """Replicates at the last look."""
        return max(look for look in LOOKS if look <= self.most)

    @property
    def is_open(self) -> Callable[[Difference], bool]:
        """What tells whether a case needs more replicates."""
        return undecided if self.condition is None else asks_for_more(self.condition)

    def open_cases(self, comparison: Comparison) -> set[Key]:
        """Return the cases, of both sides, that need more replicates.

        Parameters
        ----------
        comparison : Comparison
            By `decide_runs`.
        """
        found = set()
        for row in filter(self.is_open, comparison.rows):
            model, backend = row.model, row.backend
            if comparison.by == "backend":
                backend = row.versus
            elif comparison.by == "model":
                model = row.versus
            elif comparison.by == "case":
                model, backend = row.versus.split(" on ")
            found |= {(row.dataset, row.model, row.backend), (row.dataset, model, backend)}
        return found

    def next_line(self, comparison: Comparison, folder: Path) -> str:
        """Say that all is decided, or what to type for the replicates up to the next look.

        Parameters
        ----------
        comparison : Comparison
            By `decide_runs`, of one run.
        folder : Path
            Of the run.
        """
        cases = self.open_cases(comparison)
        made = max((n for row in comparison.rows for _, n in row.unhealthy or ()), default=0)
        beyond = [look for look in LOOKS if look > made]
        if not cases or not beyond or self.fails([comparison]):
            return "decided" if not cases else "no more replicates are asked for"
        command = shlex.join(read_run(folder).get("command") or ["pytest", "bench/", "--benchmark-only"])
        ids = ",".join(sorted(map("-".join, cases)))
        return f"to go on, type: {command} --resume {named(folder)} --replicates {beyond[0]} --case {ids}"

    def fails(self, comparisons: Sequence[Comparison]) -> bool:
        """Whether the condition fails already, so that nothing more need be known."""
        return self.condition is not None and outcome(comparisons, self.condition).state == "fails"


def in_rounds(
    decide: Decide,
    ask: Callable[[int], bool],
    fit: Callable[[int], None],
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Make rounds of fits until nothing is asked for any more, and say in one line why it ended.

    A round is begun only where there is time for one that takes as long as the one before.

    Parameters
    ----------
    decide : Decide
        When there are enough.
    ask : callable
        Whether any case is open before a round, given its number, from 1.
    fit : callable
        Makes a round: one more replicate of each open case.
    clock : callable
        Returns seconds.
    """
    begun = clock()
    last = 0.0
    for number in range(1, decide.rounds + 1):
        if not ask(number):
            return "everything is decided"
        now = clock()
        if decide.minutes is not None and now - begun + last > 60 * decide.minutes:
            return f"the budget of {decide.minutes:g} minutes is spent after {number - 1} rounds"
        fit(number)
        last = clock() - now
    return f"all {decide.rounds} rounds are made; more with --max-replicates"
