"""The recommendation for one dataset: which model, on which backend, at what cost, and how sure that is."""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.cells import geometric_mean, rival
from bench.comparing.by_map import ByMap, against
from bench.comparing.compare import compare_runs
from bench.comparing.comparison import Comparison
from bench.comparing.cost import seconds_to_ess
from bench.comparing.effect import LEVEL, Effect
from bench.comparing.rows import Row, summarise
from bench.comparing.verdict import uncompared
from bench.records import Record, named
from bench.words import number, posterior_words, printable, span

UNDECIDED = "undecided"
WIDTH = 110
"""Of lines in a terminal."""
ENOUGH_UNHEALTHY = 3
"""Fits of a parameterization, none of them healthy, that rule it out."""


@dataclass(frozen=True)
class About:
    """What is known of the data before anything is sampled, and what theory makes of it.

    Attributes
    ----------
    lines : tuple of str
        What the data are like, in words.
    between : tuple of str
        The parameterizations that theory chooses from.
    theory : str
        The one that it takes, such as `centered`; or `undecided`.
    theory_says : str
        Why, as the beginning of a sentence.
    measure : str
        The number by which theory decides, such as `n omega²/sigma²`.
    information : mapping of str to (float, float, float)
        Low end, median and high end of its interval for these data; one for each effect that theory looks at.
    limits : (float, float)
        Between these theory is undecided; below it is for noncentered, above for centered.
    values : mapping
        What else is known, as plain JSON values.
    """

    lines: tuple[str, ...]
    between: tuple[str, ...]
    theory: str
    theory_says: str
    measure: str
    information: Mapping[str, tuple[float, float, float]]
    limits: tuple[float, float]
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recommendation:
    """What the fits of one dataset say.

    Attributes
    ----------
    run, name : str
        Run id, and the name of the data.
    target : str
        The posterior that was asked for.
    target_ess : float
        Smallest bulk ESS that is wanted.
    rows : tuple of Row
        Every case that was measured.
    forms : mapping of str to str
        The parameterization of each model, such as `centered`. Empty where there is no such notion: then the answer is
        about the backend alone.
    about : About, optional
        What is known of the data beforehand.
    by_map : tuple of ByMap
        What the committed map says of them, by each engine.
    unmeasured : tuple of str
        Cases that were stopped or not begun, because the budget was used.
    programs : mapping of str to str
        File name and text of the programs to copy.
    folder : Path
        Of the run.
    notes : tuple of str
        What went wrong beside the fits, such as pages that could not be written.
    """

    run: str
    name: str
    target: str
    target_ess: float
    rows: tuple[Row, ...]
    forms: Mapping[str, str] = field(default_factory=dict)
    about: About | None = None
    by_map: tuple[ByMap, ...] = ()
    unmeasured: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        records: Sequence[Record],
        target: str,
        target_ess: float,
        cases: Sequence[str],
        *,
        forms: Mapping[str, str] | None = None,
        about: About | None = None,
    ) -> "Recommendation":
        """Summarise the records of one run on one dataset.

        Parameters
        ----------
        records : sequence of Record
            Whatever became of them; a fit that was stopped because the budget was used says nothing of its case.
        target : str
            The posterior that was asked for.
        target_ess : float
            Smallest bulk ESS that is wanted.
        cases : sequence of str
            All that could be measured, such as `centered on stanli`.
        forms, about : optional
            As in the class.
        """
        rows = tuple(summarise([record for record in records if record.status != "timeout"]))
        have = {row.case for row in rows}
        first = records[0]
        return cls(
            run=first.run,
            name=first.dataset,
            target=target,
            target_ess=target_ess,
            rows=rows,
            forms=forms or {},
            about=about,
            unmeasured=tuple(case for case in cases if case not in have),
        )

    @cached_property
    def ranked(self) -> list[Row]:
        """Healthy cases of the wanted target, the largest rate first; those with a single fit come last."""
        healthy = [row for row in self._wanted if row.healthy and row.rate]
        return sorted(healthy, key=lambda row: (len(row.healthy_fits) < 2, -(row.rate or 0)))

    @property
    def _wanted(self) -> list[Row]:
        return [row for row in self.rows if row.target == self.target and row.fits]

    @property
    def first(self) -> Row | None:
        """The answer, for a model that is fit again and again: the largest rate of those with two healthy fits."""
        return self.ranked[0] if self.ranked and len(self.ranked[0].healthy_fits) > 1 else None

    @property
    def runner_up(self) -> Row | None:
        """The next."""
        return self.ranked[1] if len(self.ranked) > 1 else None

    @property
    def once(self) -> Row | None:
        """The answer for a model that is fit once: the least time for its build and the wanted ESS."""
        often = [row for row in self.ranked if len(row.healthy_fits) > 1]
        return min(often, key=lambda row: (row.build_seconds or 0.0) + self.seconds(row)[0], default=None)

    @cached_property
    def other(self) -> Row | None:
        """The best case of another parameterization, healthy or not."""
        return rival(self._wanted, self.first, self.forms) if self.first else None

    @cached_property
    def comparison(self) -> Comparison | None:
        """The healthy fits of every case against the first, as `hierbench compare --by case` has it.

        To leave out what was unhealthy flatters a case: one that is slower all the same is surely worse.
        """
        records = [record for row in self._wanted for record in row.healthy_fits]
        if self.first is None or len({row.case for row in self._wanted if row.healthy_fits}) < 2:
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
        if effect is None or not effect.contrast.known:
            return "their order is open, with so few fits"
        if effect.kind == "not enough":
            return f"their order is open; {effect.more} more fits of each would show {100 * effect.resolution:.3g} %"
        if effect.kind == "same":
            return f"as good: the same within {100 * effect.resolution:.3g} %"
        return "surely slower"

    @property
    def parameterization(self) -> str:
        """That of the first, such as `centered`; `none` if no case was healthy, empty if there is no such notion."""
        if not self.forms:
            return ""
        return self.forms[self.first.model] if self.first else "none"

    @property
    def measured(self) -> bool:
        """Whether the fits alone are sure of the parameterization, for these very data."""
        if self.first is None or self.other is None:
            return False
        effect = self.effect(self.other)
        if effect is None:
            return len(self._unhealthy_others) >= ENOUGH_UNHEALTHY
        return effect.kind == "slower"

    @property
    def sure(self) -> bool:
        """Whether the answer is sure: the parameterization for data like these, or else the backend for these."""
        if not self.forms:
            effect = self.effect(self.runner_up) if self.runner_up else None
            return effect is not None and effect.kind == "slower"
        return self.measured and (self.about is None or self.about.theory != UNDECIDED or not self._of_theory)

    @property
    def _of_theory(self) -> bool:
        """Whether the first is of a parameterization that theory chooses from."""
        return self.about is not None and self.parameterization in self.about.between

    @property
    def _other_forms(self) -> list[Row]:
        """Cases of another parameterization than the first."""
        assert self.first is not None
        own = self.parameterization
        return [row for row in self._wanted if self.forms.get(row.model, own) != own]

    @property
    def _unhealthy_others(self) -> list[Record]:
        """Fits of other parameterizations, if none of them is healthy."""
        fits = [record for row in self._other_forms for record in row.fits]
        return [] if any(record.healthy for record in fits) else fits

    @property
    def why(self) -> str:
        """Say how sure the parameterization is."""
        if self.first is None and self.ranked:
            return "open: no case has two healthy fits"
        if self.first is None:
            return "no case was healthy, so none can be recommended"
        mine = self.parameterization
        if self.sure:
            return f"{mine}, surely: {self._evidence}"
        if self.measured and self.about is not None:
            return f"{mine} on these very data: {self._evidence}. Theory leaves the order open for others like them"
        return f"the order is open. {mine} was first: {self._evidence}"

    @property
    def _evidence(self) -> str:
        if self.other is None:
            return "no model of another parameterization was fit"
        theirs = self.forms[self.other.model]
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
        """Say what theory takes, and whether the measurement agrees; empty where there is no theory."""
        if self.about is None or not self.forms:
            return ""
        theory, said = self.about.theory, self.about.theory_says
        if self.first is not None and not self._of_theory:
            return f"{said}; {self.parameterization} models have no such choice to make"
        if theory == UNDECIDED:
            return said
        if not self.measured:
            return f"{said}; the measurement alone leaves it open"
        if self.parameterization == theory:
            return f"{said}; the measurement agrees"
        return f"{said}; the measurement is for {self.parameterization}: they disagree, and these fits are of your data"

    def seconds(self, row: Row) -> tuple[float, tuple[float, float] | None]:
        """Seconds of warm-up and draws until the smallest bulk ESS is what is wanted; see `seconds_to_ess`."""
        return seconds_to_ess(row.healthy_fits, self.target_ess)

    def _with_build(self, row: Row) -> str:
        return f"{number((row.build_seconds or 0.0) + self.seconds(row)[0])} s with its build"

    def draws(self, row: Row) -> int:
        """Draws of a chain that give the wanted ESS, going by those that were made."""
        sizes = [record.min_ess_bulk for record in row.healthy_fits]
        draws = self.target_ess * int(row.first.settings["draws"]) / (geometric_mean(sizes) or 1.0)
        return math.ceil(draws * (1 - 1e-9))  # a last bit is no draw

    @property
    def equality(self) -> str:
        """Say what the gate refused, and what was not compared across languages; empty where neither is so."""
        refused: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            if row.first.status == "mismatch":
                refused.setdefault((row.model, row.first.language), []).append(row)
        said = [
            f"{' and '.join(row.case for row in rows)} {'were' if len(rows) > 1 else 'was'} refused and not timed: "
            f"{rows[0].first.reason.splitlines()[0]}."
            for rows in refused.values()
        ]
        return " ".join([*said, uncompared([record for row in self.rows for record in row.records])]).strip()

    @property
    def unhealthy(self) -> list[Row]:
        """Cases that gave draws that can't be trusted, or none."""
        return [row for row in self.rows if not row.healthy]

    def answer(self) -> Iterator[tuple[str, str]]:
        """Yield the lines of the answer, each with its head."""
        first = self.first
        if first is None:
            if self.ranked:
                yield "answer", "none yet: no case has two healthy fits. Try a larger --budget, or go on with --resume"
            else:
                yield (
                    "answer",
                    "none: no case was healthy. Try more draws (--draws 4000), or a larger --budget",
                )
        else:
            seconds, interval = self.seconds(first)
            of = f" ({span(interval)} in 95 % of runs)" if interval else ""
            if self.forms:
                yield "model", first.model
            yield "backend", first.engine
            yield (
                "rate",
                f"{number(first.rate)} effective draws/s of the slowest quantity ("
                + (f"{span(first.interval)}, {len(first.fits)} fits)" if first.interval else "one fit)"),
            )
            yield (
                f"ESS {self.target_ess:,.0f}",
                f"about {number(seconds)} s{of}: warm-up and {self.draws(first):,} draws a chain at target accept "
                f"{first.first.settings['target_accept']:g}; the build before the first takes "
                f"{number(first.build_seconds, 2)} s",
            )
            if self.once is not None and self.once is not first:
                against_it = f"against {self._with_build(first)} of {first.case}"
                yield "fit once", f"{self.once.case}: {self._with_build(self.once)}, {against_it}"
            if self.runner_up is not None:
                effect = self.effect(self.runner_up)
                ratio = f", {number(effect.ratio)} times that{_bracketed(effect)}" if effect else ""
                yield "runner-up", f"{self.runner_up.case}{ratio}: {self.order(self.runner_up)}"
        if self.forms:
            yield "parameterization", self.why
        if self.theory:
            yield "theory", self.theory
        if self.by_map:
            yield "map", against(self.by_map, self.rows)
        if self.equality:
            yield "equality", self.equality

    @property
    def again(self) -> str:
        """How the run is named where one goes on with it."""
        return named(self.folder) if self.folder.name else self.run

    def measured_lines(self) -> Iterator[str]:
        """Yield the lines for a terminal on what was measured: cases by rate, those not ranked, those not measured."""
        if self.ranked:
            yield f"  {'healthy, by rate':<40}{'fits':>5}{'min ESS/s':>11}  {'95 % interval':<20}{'of first':<24}"
            for row in self.ranked:
                effect = self.effect(row)
                of = f"{number(effect.ratio)}{_bracketed(effect)}" if effect else "1"
                yield f"  {row.case:<40}{len(row.fits):>5}{number(row.rate):>11}  {span(row.interval):<20}{of:<24}"
            yield ""
        if self.unhealthy:
            yield "  not ranked"
            yield from (f"  {row.case:<40}{printable(row.verdict)}" for row in self.unhealthy)
            yield ""
        if self.unmeasured:
            text = f"not measured within the budget: {', '.join(self.unmeasured)}; go on with --resume {self.again}"
            yield from (f"  {line}" for line in textwrap.wrap(printable(text), WIDTH))
            yield ""

    def lines(self) -> Iterator[str]:
        """Yield the lines of the answer for a terminal."""
        yield f"For the {posterior_words(self.target)}:"
        for head, text in self.answer():
            wrapped = textwrap.wrap(printable(text), WIDTH - 20)
            yield f"  {head:<17} {wrapped[0]}"
            yield from (f"  {'':<17} {rest}" for rest in wrapped[1:])

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
            "target": self.target,
            "target_ess": self.target_ess,
            "level": LEVEL,
            "about": self.about and asdict(self.about),
            "answer": self.first and plain(self.first),
            "once": self.once and plain(self.once),
            "runner_up": self.runner_up and plain(self.runner_up),
            "parameterization": self.parameterization or None,
            "order": "sure" if self.sure else "open",
            "why": self.why if self.forms else None,
            "theory": self.about.theory if self.about and self.forms else None,
            "theory_and_measurement": self.theory or None,
            "by_map": [each.line for each in self.by_map],
            "map_and_measurement": against(self.by_map, self.rows) or None,
            "equality": self.equality or None,
            "ranked": [plain(row) for row in self.ranked],
            "unhealthy": [{"case": row.case, "reason": row.verdict} for row in self.unhealthy],
            "not_measured": list(self.unmeasured),
            "programs": dict(self.programs),
        }


def _bracketed(effect: Effect) -> str:
    """Write the interval of a ratio, or nothing where its spread is unknown."""
    return f" ({span(effect.interval)})" if effect.interval[1] < math.inf else ""
