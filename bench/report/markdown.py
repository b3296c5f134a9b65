"""The report as Markdown, for a place that shows no page."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from bench.cells import printable
from bench.report.across import HEADS
from bench.report.contents import CROSSING, Report

ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {c: f"\\{c}" for c in "\\`*_[]|#!"})
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


def markdown(report: Report, pictures: Sequence[PurePath] = ()) -> str:
    """Return the report with its main columns.

    Parameters
    ----------
    report : Report
        What to say.
    pictures : sequence of path
        Files to show, relative to where the text will lie.
    """
    return "\n".join(_lines(report, pictures)) + "\n"


def _lines(report: Report, pictures: Sequence[PurePath]) -> Iterator[str]:
    yield f"# {plain(report.title)}"
    yield ""
    yield " ".join(map(plain, report.verdict))
    yield ""
    yield "This does not cover:"
    yield ""
    yield from (f"- {plain(limit)}" for limit in report.limits)
    yield ""
    yield "The page with every picture and number is [index.html](index.html); every replicate is a row of"
    yield "[results.csv](results.csv), whose columns are told in [columns.md](columns.md)."
    if report.across is not None:
        yield from ("", "## By kind", "")
        yield from table(HEADS, report.across.table())
        yield from ("", plain(report.across.how))
        yield from ("", "## Left out, and why", "")
        yield from table(
            ("why", "data", "model", "backends", "reason"),
            (each._replace(reason=each.reason[:300]) for each in report.across.left_out),
        )
    keep = [i for i, column in enumerate(report.columns) if column.head in SHOWN]
    for section in report.sections:
        yield from ("", f"## {plain(section.name)}", "", f"{plain(section.facts)}.", "")
        yield from table(
            [report.columns[i].head for i in keep], ([texts[i] for i in keep] for _, texts in section.rows)
        )
    if report.left_out:
        yield from ("", f"{report.left_out:,} more datasets are in results.csv.")
    if report.crossings:
        yield from ("", "## Where a difference comes from", "")
        yield from (f"- {plain(sentence)}." for sentence in report.sources)
        yield ""
        yield from table(CROSSING, report.crossing_lines)
    if pictures:
        yield from ("", "## Pictures", "")
        yield from (f"![{path.stem}]({path.as_posix()})" for path in pictures)
    yield from ("", "## What failed, was refused, was missing or unhealthy", "")
    troubles = report.troubles
    if troubles:
        yield from table(
            ("status", "reason", "fits", "where"),
            ((t.status, t.reason[:300], str(t.fits), t.what) for t in troubles[:50]),
        )
        if len(troubles) > 50:
            yield from ("", f"{len(troubles) - 50:,} more reasons are in results.csv.")
    else:
        yield "Nothing."
    for run in report.runs:
        yield from ("", f"## How {plain(run['name'])} was made", "")
        if run["command"]:
            yield from ("Run it again:", "", *("    " + printable(line) for line in run["command"].split("\n")), "")
        for name, pairs in run["facts"].items():
            if pairs:
                yield from ("", f"### {name}", "")
                yield from table(("name", "value"), pairs)


def table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a table.

    Parameters
    ----------
    heads : iterable of str
        Heads of its columns.
    lines : iterable of iterable of str
        Its cells, line by line.
    """
    heads = list(heads)
    yield "| " + " | ".join(map(plain, heads)) + " |"
    yield "|" + "---|" * len(heads)
    for line in lines:
        yield "| " + " | ".join(map(plain, line)) + " |"


def plain(text: str) -> str:
    r"""Escape what Markdown or HTML would read as anything but text.

    Examples
    --------
    >>> print(plain("a|b <i>*"))
    a\|b &lt;i&gt;\*
    """
    flat = printable(" ".join(text.split()))
    return flat.translate(ESCAPES)
