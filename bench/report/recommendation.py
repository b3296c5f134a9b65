"""The recommendation for one dataset: which model, on which backend, at what cost, and how sure that is."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.models import MODELS, Target
from bench.records import Record
from bench.report.cells import printable
from bench.report.compare import compare_runs
from bench.report.comparison import LEVEL, Comparison, Effect
from bench.report.tables import Row, number, span, summarise
from bench.theory import Seen

NAMES = {True: "centered", False: "noncentered"}


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
        Every case that has a record.
    unmeasured : tuple of str
        Cases without one.
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
        """Summarise the records of one run on one dataset; `cases` are all that could be measured."""
        rows = tuple(summarise(records))
        have = {row.case for row in rows}
        first = records[0]
        return cls(first.run, first.dataset, seen, posterior, target, rows, tuple(c for c in cases if c not in have))

    @cached_property
    def ranked(self) -> list[Row]:
        """Healthy cases with the wanted posterior, the largest rate first."""
        healthy = [row for row in self.rows if row.healthy and row.rate and row.posterior == self.posterior]
        return sorted(healthy, key=lambda row: -(row.rate or 0))

    @property
    def first(self) -> Row | None:
        """The answer."""
        return self.ranked[0] if self.ranked else None

    @property
    def runner_up(self) -> Row | None:
        """The next."""
        return self.ranked[1] if len(self.ranked) > 1 else None

    @property
    def other(self) -> Row | None:
        """The best healthy case of the other parameterization."""
        if self.first is None:
            return None
        centered = MODELS[self.first.model].centered
        return next((row for row in self.ranked if MODELS[row.model].centered != centered), None)

    @cached_property
    def comparison(self) -> Comparison | None:
        """Every case against the first, as `hierbench compare --by case` has it."""
        if self.first is None or len(self.ranked) < 2:
            return None
        records = [record for row in self.ranked for record in row.records]
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
        if effect is None or effect.kind == "not enough":
            more = f"; {effect.more} more fits of each would show {100 * effect.resolution:.3g} %" if effect else ""
            return f"their order is open{more}"
        if effect.kind == "same":
            return f"as good: the same within {100 * effect.resolution:.3g} %"
        return "surely slower"

    @property
    def parameterization(self) -> str:
        """`centered`, `noncentered`, `open`, or `none` where no fit was healthy."""
        if self.first is None:
            return "none"
        mine = NAMES[MODELS[self.first.model].centered]
        if self.other is None:
            return mine if self._unhealthy_others else "open"
        effect = self.effect(self.other)
        return mine if effect is not None and effect.kind == "slower" else "open"

    @property
    def _unhealthy_others(self) -> list[Row]:
        """Cases of the other parameterization, which gave draws, none of them healthy."""
        assert self.first is not None
        centered = MODELS[self.first.model].centered
        return [
            row
            for row in self.rows
            if row.posterior == self.posterior and MODELS[row.model].centered != centered and row.fits
        ]

    @property
    def why(self) -> str:
        """Say how sure the parameterization is."""
        if self.first is None:
            return "no fit was healthy, so none can be recommended"
        mine, theirs = (NAMES[MODELS[self.first.model].centered is side] for side in (True, False))
        if self.other is None:
            sick = self._unhealthy_others
            if not sick:
                return f"{mine} was first, but no {theirs} fit was made, so it is open"
            return f"{mine}, for no {theirs} case was healthy: " + "; ".join(f"{r.case} {r.verdict}" for r in sick[:3])
        effect = self.effect(self.other)
        if effect is None:
            return f"open: {mine} was first, but no interval can be given"
        low, high = (1 / bound if bound else float("inf") for bound in effect.interval[::-1])
        said = f"{number(1 / effect.ratio)} times the best {theirs} rate ({number(low)} to {number(high)})"
        if effect.kind == "slower":
            return f"{mine}, surely: {said}"
        return f"open: {mine} was first by {said}, {self.other.case}; {self.order(self.other)}"

    @property
    def theory(self) -> str:
        """Say what theory takes, and whether the measurement agrees."""
        theory, measured = self.seen.theory, self.parameterization
        information = self.seen.information
        given = (
            f"n omega²/sigma² is {number(information.median)} in the median group (94 % interval "
            f"{number(information.low)} to {number(information.high)}): "
        )
        if theory == "undecided":
            return given + "near 1, where theory leaves it open; let the measurement decide"
        side = "well above 1, where theory is for centered" if theory == "centered" else (
            "well below 1, where theory is for noncentered"
        )  # fmt: skip
        if measured == theory:
            return f"{given}{side}; the measurement agrees"
        if measured in ("open", "none"):
            return f"{given}{side}; the measurement alone leaves it open"
        return f"{given}{side}; the measurement says {measured}: theory and measurement disagree, trust these fits"

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
        """Cases that gave draws that can't be trusted, or none; those that ran out of budget are not among them."""
        return [row for row in self.rows if not row.healthy and not self._stopped(row)]

    @property
    def stopped(self) -> list[str]:
        """Cases that were stopped, or not begun, because the budget was used."""
        return [row.case for row in self.rows if self._stopped(row)] + list(self.unmeasured)

    @staticmethod
    def _stopped(row: Row) -> bool:
        return all(record.status == "timeout" for record in row.records)

    def answer(self) -> Iterator[tuple[str, str]]:
        """Yield the lines of the answer, each with its head."""
        first = self.first
        if first is None:
            yield "answer", "none: no fit was healthy. Try --target-accept 0.95, or a larger --budget"
        else:
            seconds, interval = self.seconds(first)
            yield "model", first.model
            yield "backend", first.engine
            yield (
                "rate",
                (
                    f"{number(first.rate)} effective draws/s of the slowest quantity ({span(first.interval)}, "
                    f"{len(first.fits)} fits)"
                ),
            )
            yield (
                f"ESS {self.target:,.0f}",
                f"about {number(seconds)} s ({span(interval)}) with {self.draws(first):,} draws a chain, and "
                f"{number(first.build_seconds, 2)} s to build",
            )
            if self.runner_up is not None:
                effect = self.effect(self.runner_up)
                ratio = f", {number(effect.ratio)} times that ({span(effect.interval)})" if effect else ""
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
                of = f"{number(effect.ratio)} [{span(effect.interval)}]" if effect else "1"
                yield f"  {row.case:<40}{len(row.fits):>5}{number(row.rate):>11}  {span(row.interval):<20}{of:<24}"
        if self.unhealthy:
            yield ""
            yield "  not ranked"
            yield from (f"  {row.case:<40}{printable(row.verdict)}" for row in self.unhealthy)
        if self.stopped:
            yield ""
            text = f"not measured within the budget: {', '.join(self.stopped)}; go on with --resume {self.run}"
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
            "why": self.why,
            "theory": self.seen.theory,
            "theory_and_measurement": self.theory,
            "ranked": [plain(row) for row in self.ranked],
            "unhealthy": [{"case": row.case, "reason": row.verdict} for row in self.unhealthy],
            "not_measured": self.stopped,
            "programs": dict(self.programs),
        }
