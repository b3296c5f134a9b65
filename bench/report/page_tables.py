"""The tables of the page of a run."""

from collections.abc import Sequence

from bench.cells import best_of
from bench.comparing.across import HEADS
from bench.comparing.rows import SHOWN_ERROR, Row
from bench.report.columns import QUANTITIES
from bench.report.contents import CROSSING, Report
from bench.report.layout import Head, Line, Table

MAX_TROUBLES = 200
ASIDE = (
    "slowest", "warm-up s", "sampling s", "reading s", "other s", "error", f"s to {100 * SHOWN_ERROR:g} %",
)  # fmt: skip
"""Columns that a reader has to ask for."""


def cases(report: Report) -> Table:
    """Return every case that is shown, with the columns of the report.

    Parameters
    ----------
    report : Report
        What the page says.
    """
    heads = [Head(c.head, c.meaning, c.head not in ASIDE) for c in report.columns]
    if report.across is None:
        heads = [Head("data"), *heads]
    lines = []
    for section in report.sections:
        rows = [row for row, _ in section.rows]
        first: list[Row | None] = []
        if report.across is None:
            first = [best_of(row for row in rows if row.league == league) for league in {row.league for row in rows}]
        for row, texts in section.rows:
            if report.across is None:
                texts = [section.name, *texts]
            style = "best" if any(row is each for each in first) else "" if row.healthy else "sick"
            lines.append(Line(texts, style))
    note = (
        "min ESS/s is the smallest bulk ESS of every quantity per second of wall time: the geometric mean of the "
        "replicates, with Student's 95 % interval on the log scale. Warm-up, sampling, reading and other add up to "
        "the wall time."
    )
    if report.across is not None:
        note += f" Ratios are to {report.across.engines[0]}; a dash: left out."
    if report.left_out:
        note += (
            f" {report.left_out:,} more datasets are not shown here, to keep the page small; all are in results.csv."
        )
    return Table("cases", "Every case", heads, lines, note)


def tables(report: Report) -> list[Table]:
    """Return all tables, that of the cases first.

    Parameters
    ----------
    report : Report
        What the page says.
    """
    found = [cases(report)]
    if report.across is not None:
        found.append(Table.of("kinds", "By kind", HEADS, list(report.across.table()), report.across.how))
    else:
        facts = [(section.name, section.facts) for section in report.sections]
        found.append(Table.of("data", "The data", ("data", "what they are"), facts))
    if quantities := [(section.name, *line) for section in report.sections for line in section.quantities]:
        note = (
            "Means over replicates; the smallest ESS and the largest R-hat. Of an array: the element with the "
            "smallest bulk ESS, counted from 0."
        )
        title = "Posterior of each quantity"
        found.append(Table.of("quantities", title, ("data", *QUANTITIES), quantities, note))
    return found


def crossing_table(report: Report) -> Table:
    """Return where differences come from, step by step.

    Parameters
    ----------
    report : Report
        What the page says.
    """
    note = (
        "Ratios to the first engine of the steps, with 95 % intervals. A step that changes the gradients is "
        "measured by the CPU seconds of one gradient, with the same sampler; a step that changes the sampler by "
        "the CPU seconds of an effective draw, with the same gradients. CPU/ESS is the product of both."
    )
    return Table.of("steps", "Step by step, for each dataset and model", CROSSING, report.crossing_lines, note)


def trouble_tables(report: Report) -> list[Table]:
    """Return what failed, and what is left out of the first picture.

    Parameters
    ----------
    report : Report
        What the page says.
    """
    found = []
    if report.across is not None and report.across.left_out:
        heads = ("why", "reason", "backends", "model, on which data")
        left = [(e.why, e.reason, e.engines, f"{e.model}, {e.data}") for e in report.across.left_out]
        found.append(Table.of("left-out", "Left out of the first picture", heads, left[:MAX_TROUBLES], _more(left)))
    if troubles := [(t.status, t.reason, f"{t.fits:,}", t.what) for t in report.troubles]:
        heads = ("status", "reason", "fits", "where")
        title = "What failed, was refused, was missing or unhealthy"
        found.append(Table.of("failed", title, heads, troubles[:MAX_TROUBLES], _more(troubles)))
    return found


def _more(found: Sequence[object]) -> str:
    rest = len(found) - MAX_TROUBLES
    return f"{rest:,} more are in results.csv." if rest > 0 else ""
