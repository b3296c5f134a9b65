"""A history in words and as a page: each case over its runs, the changes first."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from bench.comparing.comparison import Comparison
from bench.comparing.effect import MEASURES
from bench.comparing.history import ALPHA, Point, Series, history, labels
from bench.files import write
from bench.github import details, fitted, plain, table
from bench.records import Record
from bench.report import layout
from bench.report.changes import of_comparisons, of_history
from bench.report.figure import Figure, Finding
from bench.report.layout import Table
from bench.report.timeline import timeline
from bench.words import NOTHING, changed, days, ends, number, printable, span

NamedBy = Literal["date", "version"]
"""What names a run."""
UNITS = {"wall_seconds": "s", "ess_per_second": "1/s", "ess_per_gradient": "per gradient", "cpu_per_gradient": "s"}
MAX_PICTURED = 240
MAX_ROWS = 2_000


@dataclass(frozen=True)
class History:
    """Cases over runs.

    Attributes
    ----------
    title : str
        What it is of.
    series : tuple of Series
        One for each measure of each case.
    by : str
        What names a run: its `date`, or the `version` of its backend.
    comparisons : tuple of (str, Comparison)
        Verdicts between some of the runs, each with its heading.
    notes : tuple of str
        What went wrong.
    how : str
        How it was made.
    """

    title: str
    series: tuple[Series, ...]
    by: NamedBy = "date"
    comparisons: tuple[tuple[str, Comparison], ...] = ()
    notes: tuple[str, ...] = ()
    how: str = ""

    @classmethod
    def of(
        cls, title: str, runs: Sequence[Sequence[Record]], measures: Sequence[str], by: NamedBy, **rest: Any
    ) -> "History":
        """Follow every case over runs.

        Parameters
        ----------
        title : str
            What it is of.
        runs : sequence of sequences of Record
            In any order.
        measures : sequence of str
            Keys of `effect.MEASURES`.
        by : str
            What names a run.
        **rest
            The other attributes.
        """
        return cls(title, tuple(one for measure in measures for one in history(runs, measure)), by, **rest)

    @property
    def made(self) -> str:
        """How many cases and runs it is of, and of when."""
        times = sorted({point.time[:10] for one in self.series for point in one.points})
        runs = {point.run for one in self.series for point in one.points}
        cases = {(one.family, one.dataset, one.model, one.backend) for one in self.series}
        when = ends(times)
        return f"{len(cases):,} cases over {len(runs):,} runs, {when}. {self.how}".strip()

    def place(self, series: Series) -> str:
        """Name the data of a series, with the family if there are several."""
        families = {one.family for one in self.series}
        return f"{series.family}: {series.dataset}" if len(families) > 1 else series.dataset

    def labels(self, series: Series) -> list[str]:
        """Name the runs of a series.

        Parameters
        ----------
        series : Series
            One of `series`.
        """
        return labels(series.points, _package(series) if self.by == "version" else "")

    def changes(self, series: Series) -> Iterator[str]:
        """Yield each step in words: where, by how much, and what changed with it."""
        for step in series.steps:
            before, after = series.points[step.at - 1].versions, series.points[step.at].versions
            new = ", ".join(changed(before, after))
            yield f"{series.points[step.at].run}: {step.words}" + (f", with {new}" if new else "")

    def row(self, series: Series) -> tuple[str, ...]:
        """Return the line of a series in the table, as text."""
        have = [point for point in series.points if point.healthy and point.value]
        first, last = have[0] if have else None, have[-1] if len(have) > 1 else None
        ratio = (last.value or 1) / (first.value or 1) if first and last else math.nan
        sick = sum(not point.healthy for point in series.points)
        return (
            self.place(series),
            series.model,
            series.backend,
            MEASURES[series.measure],
            str(len(series.points)),
            _written(first),
            _written(last),
            number(ratio),
            str(sick) if sick else NOTHING,
            "; ".join(self.changes(series)) or NOTHING,
        )

    def lines(self) -> Iterator[str]:
        """Yield the lines for a terminal."""
        yield printable(self.title)
        if self.how:
            yield printable(self.how)
        for measure, of_measure in groupby(self.series, key=lambda series: series.measure):
            yield ""
            yield f"{MEASURES[measure]} ({UNITS[measure]}): of the first run, of the last, their ratio; steps"
            for one in of_measure:
                row = self.row(one)
                name = f"{self.place(one)} {one.model} {one.backend}"
                yield f"  {printable(name):<62}{row[4]:>5} runs  {row[5]:<26}{row[6]:<26}{row[7]:>7}"
                yield from (f"      step at {printable(change)}" for change in self.changes(one))
        for heading, comparison in self.comparisons:
            yield ""
            yield printable(heading)
            yield from (f"  {line}" for line in comparison.lines())
        if self.notes:
            yield ""
            yield from map(printable, self.notes)

    def markdown(self, first: str = "") -> str:
        """Return the same as Markdown, short enough for a comment on a pull request.

        Parameters
        ----------
        first : str, optional
            What stands first, such as the outcome of a condition.
        """
        return fitted(lambda most: self._parts(first, most))

    def _parts(self, first: str, most: int) -> Iterator[str]:
        found = self.first()
        yield f"## {plain(self.title)}"
        yield from ("", f"**{plain(first)}**") if first else ()
        yield from ("", " ".join(plain(part) for part in (found.sentence, found.rest, found.sure) if part))
        yield from ("", *(f"- {plain(note)}" for note in self.notes[:most]))
        for heading, comparison in self.comparisons:
            yield from ("", f"### {plain(heading)}", *comparison.parts(most))
        if not self.comparisons:
            stepped = [self.row(one) for one in self.series if one.steps]
            yield f"**{len(stepped):,} of {len(self.series):,} series changed.**"
            yield from ("", *table(HEADS, stepped, most)) if stepped else ()
        yield from details("Each case over its runs", table(HEADS, map(self.row, self.series), most))
        yield from ("", plain(self.how)) if self.how else ()

    def figures(self) -> Iterator[Figure]:
        """Yield a figure for each measure: a panel for each case, those with steps first."""
        for measure, of_measure in groupby(self.series, key=lambda series: series.measure):
            every = sorted(of_measure, key=lambda series: not series.steps)
            parts = []
            shown = every[:MAX_PICTURED]
            for place in dict.fromkeys(map(self.place, shown)):
                panels = [timeline(one, self.labels(one), _unit(measure)) for one in shown if self.place(one) == place]
                parts.append((place, panels))
            note = (
                f"Geometric mean of the fits of a run with its 95 % interval, by {self.by}. Hollow: unhealthy, in no "
                f"step. Dashed red: a step, the chance of one in a history without any is {100 * ALPHA:g} %."
            )
            if len(every) > len(shown):
                note += f" The first {len(shown)} of {len(every):,} cases; all are in the table."
            yield Figure(measure, MEASURES[measure], note, parts, columns=3)

    def first(self) -> Finding:
        """Return what the page says first: what changed."""
        if self.comparisons:
            return of_comparisons(self.comparisons)
        labels = {i: self.labels(one) for i, one in enumerate(self.series)}
        return of_history(self.series, labels, {measure: _unit(measure) for measure in MEASURES})

    def tables(self) -> Iterator[Table]:
        """Yield the tables of the page: verdicts between runs, and every case over its runs."""
        for i, (heading, comparison) in enumerate(self.comparisons):
            note = f"{comparison.how()} {comparison.summary()}. {' '.join(f'{note}.' for note in comparison.notes)}"
            yield Table.of(f"verdicts-{i}", heading, comparison.heads(), list(comparison.table()), note)
        rows = list(map(self.row, self.series[:MAX_ROWS]))
        yield Table.of("cases", "Every case: its first run, its last, and its changes", HEADS, rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "title": self.title,
            "by": self.by,
            "series": [asdict(one) for one in self.series],
            "comparisons": {heading: comparison.to_dict() for heading, comparison in self.comparisons},
            "notes": list(self.notes),
        }


HEADS = ("dataset", "model", "backend", "measure", "runs", "first", "last", "last/first", "unhealthy runs", "steps")


def write_history(folder: Path, found: History, name: str = "history") -> Path:
    """Write a page and Markdown, and return the page.

    Parameters
    ----------
    folder : Path
        Where to; it is made if it is missing.
    found : History
        What to show.
    name : str
        Of both files, without the ending.
    """
    write(folder / f"{name}.md", found.markdown())
    page = folder / f"{name}.html"
    when = days(point.time for one in found.series for point in one.points)
    text = layout.render(
        "history.html",
        title=f"{found.title} {when}".strip(),
        h=found,
        name=name,
        first=found.first(),
        tables=list(found.tables()),
        figures=list(found.figures()),
    )
    write(page, text)
    return page


def _package(series: Series) -> str:
    """Name the package whose version names a run: the backend itself, unless only others differ between the runs."""
    versions = [point.versions for point in series.points]
    differ = [name for name in versions[0] if len({each.get(name) for each in versions}) > 1]
    return series.backend if not differ or series.backend in differ else differ[0]


def _unit(measure: str) -> str:
    return f"{MEASURES[measure]} ({UNITS[measure]})"


def _written(point: Point | None) -> str:
    if point is None:
        return NOTHING
    interval = (point.low, point.high) if point.low and point.high else None
    return number(point.value) + (f" ({span(interval)})" if interval else "")
