"""The recommendation for one dataset: which model, on which backend, at what cost, and how sure that is."""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from bench.families.base import MODELS, Target
from bench.records import Record
from bench.cells import Cell, geometric_mean, printable
from bench.report.compare import compare_runs
from bench.report.comparison import LEVEL, Comparison, Effect
from bench.report.tables import Row, number, span, summarise
from bench.families.normal_means.theory import Seen

NAMES = {True: "centered", False: "noncentered"}
ENOUGH_UNHEALTHY = 3
"""Fits of a parameterization, none of them healthy, that rule it out."""
T = TypeVar("T", bound=Cell)


def best_of(found: Sequence[Cell]) -> Cell | None:
    """Return the healthy cell with the largest rate, if there is one."""
    return max((cell for cell in found if cell.healthy), key=lambda cell: cell.ess_per_second or 0, default=None)


def rival(found: Sequence[T], best: Cell) -> T | None:
    """Return the best cell of the other parameterization: most often healthy first, then by the rate of its fits."""
    others = [cell for cell in found if MODELS[cell.model].centered != MODELS[best.model].centered and cell.fits]

    def merit(cell: Cell) -> tuple[bool, float]:
        rates = [record.ess_per_second for record in cell.healthy_fits]
        return 2 * len(cell.healthy_fits) >= len(cell.records), geometric_mean(rates) or 0.0

    return max(others, key=merit, default=None)


@dataclass(frozen=True)
class Recommendation:
    """What the fits of one dataset say.

    Attributes
    ----------
    run, name : str
        Run id, and the name of the data.
    seen : Seen
        What the table is like.
    posterior : str
        What was asked for.
    target : float
        Smallest bulk ESS that is wanted.
    rows : tuple of Row
        Every case that was measured.
    unmeasured : tuple of str
        Cases that were stopped or not begun, because the budget was used.
    programs : mapping of str to str
        File name and text of the programs to copy.
    """

    run: str
    name: str
    seen: Seen
    posterior: Target
    target: float
    rows: tuple[Row, ...]
    unmeasured: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, records: Sequence[Record], seen: Seen, posterior: Target, target: float, cases: Sequence[str]
    ) -> "Recommendation":
        """Summarise the records of one run on one dataset; `cases` are all that could be measured.

        What was stopped, for the budget was used, says nothing of a case.
        """
        rows = tuple(summarise([record for record in records if record.status != "timeout"]))
        have = {row.case for row in rows}
        first = records[0]
        return cls(first.run, first.dataset, seen, posterior, target, rows, tuple(c for c in cases if c not in have))

    @cached_property
    def ranked(self) -> list[Row]:
        """Healthy cases with the wanted posterior, the largest rate first."""
        return sorted((row for row in self._wanted if row.healthy), key=lambda row: -(row.rate or 0))

    @property
    def _wanted(self) -> list[Row]:
        return [row for row in self.rows if row.posterior == self.posterior and row.fits]

    @property
    def first(self) -> Row | None:
        """The answer."""
        return self.ranked[0] if self.ranked else None

    @property
    def runner_up(self) -> Row | None:
        """The next."""
        return self.ranked[1] if len(self.ranked) > 1 else None

    @cached_property
    def other(self) -> Row | None:
        """The best case of the other parameterization, be it healthy or not."""
        return rival(self._wanted, self.first) if self.first else None

    @cached_property
    def comparison(self) -> Comparison | None:
        """The healthy fits of every case against the first, as `hierbench compare --by case` has it.

        To leave out what was unhealthy flatters a case: one that is slower all the same is surely worse.
        """
        records = [record for row in self._wanted for record in row.healthy_fits]
        if self.first is None or len({record.key[:3] for record in records}) < 2:
            return None
        return compare_runs(records, by="case", reference=self.first.case)

    def effect(self, row: Row) -> Effect | None:
        """Return the ratio of a case's rate to that of the first, with its verdict over the whole table."""
        for line in self.comparison.rows if self.comparison else ():
            if (line.model, line.backend) == (row.model, row.backend):
                return next((effect for effect in line.effects if effect.measure == "ess_per_second"), None)
        return None

    def order(self, row: Row) -> str:
        """Say how sure it is that a case comes after the first."""
        effect = self.effect(row)
        if effect is None or effect.contrast.df <= 0:
            return "their order is open, with so few fits"
        if effect.kind == "not enough":
            return f"their order is open; {effect.more} more fits of each would show {100 * effect.resolution:.3g} %"
        if effect.kind == "same":
            return f"as good: the same within {100 * effect.resolution:.3g} %"
        return "surely slower"

    @property
    def parameterization(self) -> str:
        """That of the first: `centered` or `noncentered`; `none` where no case was healthy."""
        return NAMES[MODELS[self.first.model].centered] if self.first else "none"

    @property
    def measured(self) -> bool:
        """Whether the fits alone are sure of the parameterization, for this very table."""
        if self.first is None or self.other is None:
            return False
        effect = self.effect(self.other)
        if effect is None:
            return len(self._unhealthy_others) >= ENOUGH_UNHEALTHY
        return effect.kind == "slower"

    @property
    def sure(self) -> bool:
        """Whether the parameterization is sure for data like these: the fits are, and theory does not leave it open."""
        return self.measured and self.seen.theory != "undecided"

    @property
    def _unhealthy_others(self) -> list[Record]:
        """Fits of the other parameterization, if none of them is healthy."""
        assert self.first is not None
        centered = MODELS[self.first.model].centered
        fits = [record for row in self._wanted if MODELS[row.model].centered != centered for record in row.fits]
        return [] if any(record.healthy for record in fits) else fits

    @property
    def why(self) -> str:
        """Say how sure the parameterization is."""
        if self.first is None:
            return "no case was healthy, so none can be recommended"
        mine = self.parameterization
        if self.sure:
            return f"{mine}, surely: {self._evidence}"
        if self.measured:
            return (
                f"{mine} on this very table: {self._evidence}. With n omega²/sigma² near 1 the order is open for others"
            )
        return f"the order is open. {mine} was first: {self._evidence}"

    @property
    def _evidence(self) -> str:
        assert self.first is not None
        theirs = NAMES[not MODELS[self.first.model].centered]
        if self.other is None:
            return f"no {theirs} model was fit"
        effect = self.effect(self.other)
        if effect is None:
            count = len(self._unhealthy_others)
            return f"none of {count} {theirs} fits was healthy ({self.other.case}: {self.other.verdict})"
        low, high = effect.interval
        said = f"its rate is {number(1 / effect.ratio)} times that of the best {theirs} case, {self.other.case}"
        if low > 0 and high < math.inf:
            said += f" ({number(1 / high)} to {number(1 / low)})"
        sick = len(self.other.records) - len(self.other.healthy_fits)
        return said + (f", which was unhealthy in {sick} of {len(self.other.records)} fits" if sick else "")

    @property
    def theory(self) -> str:
        """Say what theory takes, and whether the measurement agrees."""
        theory, information = self.seen.theory, self.seen.information
        given = (
            f"n omega²/sigma² is {number(information.median)} in the median group (94 % interval "
            f"{number(information.low)} to {number(information.high)}): "
        )
        if theory == "undecided":
            return given + "near 1, where theory leaves the parameterization open"
        said = f"{given}well {'above' if theory == 'centered' else 'below'} 1, where theory is for {theory}"
        if not self.measured:
            return f"{said}; the measurement alone leaves it open"
        if self.parameterization == theory:
            return f"{said}; the measurement agrees"
        return f"{said}; the measurement is for {self.parameterization}: they disagree, and these fits are of your data"

    def seconds(self, row: Row) -> tuple[float, tuple[float, float] | None]:
        """Seconds until the smallest bulk ESS is what is wanted, build aside, and their 95 % interval."""
        assert row.rate
        interval = row.interval and (self.target / row.interval[1], self.target / row.interval[0])
        return self.target / row.rate, interval

    def draws(self, row: Row) -> int:
        """Draws of a chain that give the wanted ESS, going by those that were made."""
        ess = sum(record.min_ess_bulk or 0 for record in row.fits) / len(row.fits)
        return -(-int(self.target * int(row.first.settings["draws"])) // max(1, int(ess)))

    @property
    def unhealthy(self) -> list[Row]:
        """Cases that gave draws that can't be trusted, or none."""
        return [row for row in self.rows if not row.healthy]

    def answer(self) -> Iterator[tuple[str, str]]:
        """Yield the lines of the answer, each with its head."""
        first = self.first
        if first is None:
            yield (
                "answer",
                "none: no case was healthy in all its fits. Try more draws (--draws 4000), or a larger --budget",
            )
        else:
            seconds, interval = self.seconds(first)
            of = f" ({span(interval)})" if interval else ""
            yield "model", first.model
            yield "backend", first.engine
            yield (
                "rate",
                f"{number(first.rate)} effective draws/s of the slowest quantity ("
                + (f"{span(first.interval)}, {len(first.fits)} fits)" if first.interval else "one fit)"),
            )
            yield (
                f"ESS {self.target:,.0f}",
                f"about {number(seconds)} s{of}: {self.draws(first):,} draws a chain at target accept "
                f"{first.first.settings['target_accept']:g}, and {number(first.build_seconds, 2)} s to build",
            )
            if self.runner_up is not None:
                effect = self.effect(self.runner_up)
                ratio = f", {number(effect.ratio)} times that{_bracketed(effect)}" if effect else ""
                yield "runner-up", f"{self.runner_up.case}{ratio}: {self.order(self.runner_up)}"
        yield "parameterization", self.why
        yield "theory", self.theory

    def lines(self, width: int = 110) -> Iterator[str]:
        """Yield the lines for a terminal."""
        yield f"For the {self.posterior.replace('_', '-')} posterior:"
        for head, text in self.answer():
            wrapped = textwrap.wrap(printable(text), width - 20)
            yield f"  {head:<17} {wrapped[0]}"
            yield from (f"  {'':<17} {rest}" for rest in wrapped[1:])
        if self.ranked:
            yield ""
            yield f"  {'healthy, by rate':<40}{'fits':>5}{'min ESS/s':>11}  {'95 % interval':<20}{'of first':<24}"
            for row in self.ranked:
                effect = self.effect(row)
                of = f"{number(effect.ratio)}{_bracketed(effect)}" if effect else "1"
                yield f"  {row.case:<40}{len(row.fits):>5}{number(row.rate):>11}  {span(row.interval):<20}{of:<24}"
        if self.unhealthy:
            yield ""
            yield "  not ranked"
            yield from (f"  {row.case:<40}{printable(row.verdict)}" for row in self.unhealthy)
        if self.unmeasured:
            yield ""
            text = f"not measured within the budget: {', '.join(self.unmeasured)}; go on with --resume {self.run}"
            yield from (f"  {line}" for line in textwrap.wrap(printable(text), width))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""

        def plain(row: Row) -> dict[str, Any]:
            effect = self.effect(row)
            seconds, interval = self.seconds(row)
            return {
                "model": row.model,
                "backend": row.backend,
                "fits": len(row.fits),
                "ess_per_second": row.rate,
                "ess_per_second_interval": row.interval,
                "seconds_to_target": seconds,
                "seconds_to_target_interval": interval,
                "draws_to_target": self.draws(row),
                "build_seconds": row.build_seconds,
                "ratio_to_first": effect.ratio if effect else 1.0,
                "ratio_to_first_interval": effect and [b if b < float("inf") else None for b in effect.interval],
                "verdict": effect.kind if effect else "first",
            }

        return {
            "run": self.run,
            "dataset": self.name,
            "posterior": self.posterior,
            "target_ess": self.target,
            "level": LEVEL,
            "seen": self.seen.to_dict(),
            "answer": self.first and plain(self.first),
            "runner_up": self.runner_up and plain(self.runner_up),
            "parameterization": self.parameterization,
            "order": "sure" if self.sure else "open",
            "why": self.why,
            "theory": self.seen.theory,
            "theory_and_measurement": self.theory,
            "ranked": [plain(row) for row in self.ranked],
            "unhealthy": [{"case": row.case, "reason": row.verdict} for row in self.unhealthy],
            "not_measured": list(self.unmeasured),
            "programs": dict(self.programs),
        }


def _bracketed(effect: Effect) -> str:
    """Write the interval of a ratio, or nothing where its spread is unknown."""
    return f" ({span(effect.interval)})" if effect.interval[1] < math.inf else ""
