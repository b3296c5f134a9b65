"""The report as Markdown, for a place that shows no page: the answer on one screen, all else to unfold."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import Any

from bench.cells import best_of
from bench.comparing.across import HEADS
from bench.comparing.rows import Row
from bench.github import details, plain, table
from bench.report.contents import CROSSING, Report
from bench.words import NOTHING, number, printable

SHOWN = (
    "data",
    "model",
    "backend",
    "kind",
    "ratio",
    "first fit",
    "min ESS/s",
    "95 % interval",
    "of best",
    "wall s",
    "build s",
    "diverg.",
    "R-hat",
    "max |z|",
    "health",
)
"""Columns of the tables of single datasets."""
MOST = 20
"""Lines of the table that stands first; the others are to unfold."""
MAX_TROUBLES = 50
MAX_REASON = 300


def markdown(report: Report, results: str = "results.csv", pictures: Sequence[PurePath] = ()) -> str:
    """Return the report with its main columns.

    Parameters
    ----------
    report : Report
        What to say.
    results : str
        Name of the table of replicates, beside the text.
    pictures : sequence of path
        Files to show, relative to where the text will lie; the first one stands open.
    """
    return "\n".join(_lines(report, results, pictures)) + "\n"


def _lines(report: Report, results: str, pictures: Sequence[PurePath]) -> Iterator[str]:
    answers = [each for each in report.findings if each.question == report.findings[0].question]
    yield from (f"# {plain(report.title)}", "")
    said = " ".join(f"{answer.sentence} {answer.rest}" for answer in answers)
    for answer in answers:
        yield from (f"**{plain(answer.sentence)}**", "")
        yield from (plain(answer.rest), "") if answer.rest else ()
    if report.across is not None:
        yield from table(HEADS, report.across.table())
        yield from ("", plain(report.across.how))
    elif lines := list(_best(report)):
        heads = ("data", *(["posterior"] if len({row.league for row in report.rows}) > 1 else []), *_engines(report))
        yield from table((*heads, "fastest"), lines[:MOST])
        yield from (
            "",
            "Effective draws per second of the slowest quantity, by the best healthy model on each backend.",
        )
        if lines[MOST:]:
            yield from details(f"{len(lines) - MOST:,} more", table((*heads, "fastest"), lines[MOST:]))
    yield ""
    yield "The page with every picture and number is [index.html](index.html); every replicate is a row of"
    yield f"[{results}]({results}), whose columns are told in [columns.md](columns.md)."
    shown = [f"![{path.stem}]({path.as_posix()})" for path in pictures]
    yield from ("", *shown[:1])
    yield from details(
        "How sure that is, and what it does not cover",
        [*_paragraphs([plain(each) for each in report.verdict if each not in said]), *map(_item, report.limits)],
    )
    if report.across is not None:
        left_out = [each._replace(reason=each.reason[:MAX_REASON]) for each in report.across.left_out]
        heads = ("why", "data", "model", "backends", "reason")
        yield from details(f"Left out, and why: {len(left_out):,}", table(heads, left_out))
    keep = [i for i, column in enumerate(report.columns) if column.head in SHOWN]
    for section in report.sections:
        lines = [[texts[i] for i in keep] for _, texts in section.rows]
        of_section = [f"{plain(section.facts)}.", "", *table([report.columns[i].head for i in keep], lines)]
        yield from details(f"{section.name}: every case", of_section)
    if report.left_out:
        yield from ("", f"{report.left_out:,} more datasets are in results.csv.")
    if report.crossings:
        sources = [*(f"- {plain(sentence)}." for sentence in report.sources), ""]
        yield from details("Where a difference comes from", [*sources, *table(CROSSING, report.crossing_lines)])
    if shown[1:]:
        yield from details("More pictures", shown[1:])
    troubles = [(t.status, t.reason[:MAX_REASON], str(t.fits), t.what) for t in report.troubles]
    if troubles:
        of_troubles = table(("status", "reason", "fits", "where"), troubles, MAX_TROUBLES)
        yield from details(
            f"What failed, was refused, was missing or unhealthy: {len(troubles):,} reasons", of_troubles
        )
    for run in report.runs:
        yield from details(f"How {run['name']} was made", _made(run))


def _engines(report: Report) -> list[str]:
    return list(dict.fromkeys(row.engine for row in report.rows))


def _best(report: Report) -> Iterator[list[str]]:
    """Yield for each dataset and posterior the best healthy rate of each engine, and which model has the largest."""
    several = len({row.league for row in report.rows}) > 1
    for section in report.sections:
        rows = [row for row, _ in section.rows]
        for (_, target), group in groupby(sorted(rows, key=_league), key=_league):
            here = list(group)
            best = {engine: best_of([row for row in here if row.engine == engine]) for engine in _engines(report)}
            first = best_of(here)
            yield [
                section.name,
                *([target.replace("_", " ")] if several else []),
                *(number(row.rate) if row else NOTHING for row in best.values()),
                first.name if first else "no fit is healthy",
            ]


def _league(row: Row) -> tuple[str, str]:
    return row.league


def _made(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield how a run was made."""
    if run["command"]:
        yield from ("Run it again:", "", *("    " + printable(line) for line in run["command"].split("\n")))
    for name, pairs in run["facts"].items():
        if pairs:
            yield from ("", f"**{plain(name)}**", "", *table(("name", "value"), pairs))


def _paragraphs(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from (sentence, "")


def _item(text: str) -> str:
    return f"- {plain(text)}"
