"""What a comparison found, and how all of it is written down."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap
from typing import Any

from bench.comparing.difference import Difference
from bench.comparing.effect import HEADS, LEVEL, Effect, Kind
from bench.comparing.matching import By
from bench.github import details, fitted, plain, table
from bench.words import printable

SAID: dict[Kind, str] = {
    "slower": "slower",
    "faster": "faster",
    "same": "the same",
    "not enough": "undecided",
    "not ranked": "not ranked",
}
"""Verdicts as they are counted."""


@dataclass(frozen=True)
class Comparison:
    """The result of `compare_runs`.

    Attributes
    ----------
    a, b : str
        Runs that were compared.
    by : str
        What differs between A and B.
    rows, means : tuple of Difference
        One for each case, and the geometric means over datasets.
    notes : tuple of str
        Versions, differences that were passed over, and cases that were not compared.
    within, alpha : float
        Margin of `same`, and the chance of a false alarm in the whole table.
    pooled : tuple of Difference
        For each backend the geometric mean over all its cases, with a verdict of its own.
    looks : tuple of int
        At how many replicates verdicts were looked for, see `bench.comparing.sequential`; empty for one look at all.
    """

    a: str
    b: str
    by: By
    rows: tuple[Difference, ...]
    means: tuple[Difference, ...]
    notes: tuple[str, ...]
    within: float
    alpha: float
    pooled: tuple[Difference, ...] = ()
    looks: tuple[int, ...] = ()

    @property
    def measures(self) -> list[str]:
        """Those that some row has."""
        there = {effect.measure for row in self._every() for effect in row.effects}
        return [measure for measure in HEADS if measure in there]

    @property
    def regressions(self) -> list[Difference]:
        """Rows in which B diverges more or is unhealthy more often."""
        return [row for row in self.rows if row.regression]

    def summary(self) -> str:
        """Return the outcome in one sentence."""
        kinds = [row.kind for row in self.rows]
        parts = [f"{kinds.count(kind)} {said}" for kind, said in SAID.items() if kind in kinds]
        parts += [f"{len(self.regressions)} less healthy or with more divergences"] if self.regressions else []
        surely = "" if any(row.changed for row in self.rows) else "; nothing differs for sure"
        return f"Of {len(self.rows)} case{'s' if len(self.rows) > 1 else ''}: {', '.join(parts)}{surely}"

    def how(self) -> str:
        """Return how to read the numbers."""
        ratios = "Ratios are B/A (time: below 1 is faster; ESS: above 1 is better)"
        same = f"Same: the interval lies within a factor of {1 + self.within:g}."
        if self.looks:
            return (
                f"{ratios}. All intervals hold at once, for the whole table and for all looks at it (after "
                f"{', '.join(map(str, self.looks))} replicates of a case): one of them is wrong in at most "
                f"{100 * self.alpha:.2g} % of tables, and so are the verdicts, which are read from them. Slower, "
                f"faster: the interval leaves out 1. {same}"
            )
        return (
            f"{ratios}, each with its own {LEVEL:.0%} interval, from which `same` is read. A difference holds for the "
            f"whole table at once: Holm, a false alarm in at most {100 * self.alpha:.2g} % of tables. {same}"
        )

    def lines(self) -> Iterator[str]:
        """Yield the lines for a terminal."""
        yield self._title()
        yield from wrap(self.how(), 110, break_on_hyphens=False, break_long_words=False)
        for heading, of_dataset in groupby(self._every(), key=self._heading):
            yield ""
            yield printable(heading)
            rows = list(of_dataset)
            names = [_name(row, self.by) for row in rows]
            width = max(map(len, names)) + 2
            heads = "".join(f"{HEADS[measure]:<22}" for measure in self.measures)
            yield f"  {'':<{width}}{'n':>4}  {heads}{'diverg. A, B':<14}verdict"
            for name, row in zip(names, rows, strict=True):
                yield f"  {name:<{width}}{row.n:>4}  " + "".join(
                    [*(f"{text:<22}" for text in self._ratios(row)), f"{_divergences(row):<14}", printable(row.verdict)]
                )
        yield ""
        yield from (printable(note) for note in self.notes)
        yield self.summary()

    def heads(self) -> list[str]:
        """Return the heads of `table`."""
        return ["dataset", "case", "n", *(HEADS[each] for each in self.measures), "divergences A, B", "verdict"]

    def table(self) -> Iterator[list[str]]:
        """Yield every row as text, the geometric means last."""
        yield from map(self._texts, self._every())

    def _texts(self, row: Difference) -> list[str]:
        name = _name(row, self.by)
        return [self._heading(row), name, str(row.n), *self._ratios(row), _divergences(row), row.verdict]

    def markdown(self, first: str = "") -> str:
        """Return the same as Markdown, short enough for a comment on a pull request.

        Parameters
        ----------
        first : str, optional
            What stands first, such as the outcome of a condition.
        """
        heading = f"## {plain(self._title())}"
        return fitted(lambda most: (heading, *(("", f"**{plain(first)}**") if first else ()), *self.parts(most)))

    def parts(self, most: int) -> Iterator[str]:
        """Yield Markdown: the verdict, that over all cases, what changed, and all else to unfold.

        Parameters
        ----------
        most : int
            Lines of a table, and notes.
        """
        yield from ("", f"**{plain(self.summary())}.**")
        for row in self.pooled:
            effect = row.deciding
            measured = f" {HEADS[effect.measure]} {self._ratio(effect)}," if effect is not None else ""
            yield from ("", plain(f"{_name(row, self.by)}, {self._heading(row)}:{measured} {row.verdict}"))
        if changed := [self._texts(row) for row in self.rows if row.changed]:
            yield from ("", "What differs:", "", *table(self.heads(), changed, most))
        yield from details(f"All {len(self.rows):,} cases", table(self.heads(), self.table(), most))
        notes = [f"- {plain(note)}" for note in self.notes[:most]]
        yield from details("How to read it, and what was compared", [plain(self.how()), "", *notes])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "a": self.a,
            "b": self.b,
            "by": self.by,
            "within": self.within,
            "alpha": self.alpha,
            "adjustment": "simultaneous intervals" if self.looks else "holm",
            "level": None if self.looks else LEVEL,
            "looks": list(self.looks),
            "pooled": [row.to_dict() for row in self.pooled],
            "rows": [row.to_dict() for row in self.rows],
            "geometric_means": [row.to_dict() for row in self.means],
            "notes": list(self.notes),
            "summary": self.summary(),
        }

    def _ratios(self, row: Difference) -> Iterator[str]:
        effects = {effect.measure: effect for effect in row.effects}
        for measure in self.measures:
            effect = effects.get(measure)
            yield "-" if effect is None else self._ratio(effect)

    @staticmethod
    def _ratio(effect: Effect) -> str:
        low, high = effect.interval
        if high > 1000:  # of a spread that is unknown, or as good as
            return f"{effect.ratio:.2f}"
        digits = 2 if high - low > 0.1 else 3  # so that a margin of a few per cent can be seen
        return f"{effect.ratio:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    def _every(self) -> tuple[Difference, ...]:
        """Return all rows in the order in which they are shown."""
        return (*self.pooled, *self.rows, *self.means)

    def _heading(self, row: Difference) -> str:
        """Dataset of a row, with its family if there are several."""
        if row.over:
            return f"geometric mean over all {row.over} cases"
        families = {each.family for each in self.rows}
        return (f"{row.family}: " if len(families) > 1 else "") + (row.dataset or "geometric means over n datasets")

    def _title(self) -> str:
        return f"A {self.a}, B {self.b}" if self.by == "version" else f"{self.a}, by {self.by}"


def _name(row: Difference, by: By) -> str:
    name = f"{row.model} {row.backend}"
    return printable(name if by == "version" else f"{name} / {row.versus}")


def _divergences(row: Difference) -> str:
    return f"{row.divergences[0]}, {row.divergences[1]}" if row.divergences else "-"
