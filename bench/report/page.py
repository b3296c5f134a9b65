"""The report of one run, or of several: one page that needs nothing else, and the same in Markdown and as tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.files import encodable, write
from bench.records import Record, records_file
from bench.report import layout
from bench.report.contents import MAX_PICTURED, Report
from bench.report.figure import save
from bench.report.markdown import markdown
from bench.report.page_tables import crossing_table, tables, trouble_tables
from bench.report.results import write_results
from bench.report.unhealthy import links

MAX_BYTES = 6_000_000


def write_report(folder: Path, records: Sequence[Record], *asked: Mapping[str, Any]) -> Path:
    """Write index.html, report.md with its pictures, results.csv, results.parquet and columns.md.

    Parameters
    ----------
    folder : Path
        Where to; it is made if it is missing.
    records : sequence of Record
        Those of one run or of several.
    *asked : mapping
        `run.json` of each run, as `bench.records.read_run` reads it.

    Returns
    -------
    Path
        The page.
    """
    results = write_results(folder, records)
    file = records_file(folder)
    about = (results, file.name if file.exists() else "", links(folder, records))
    for pictured in (MAX_PICTURED, MAX_PICTURED // 4, 0):
        report = Report.of(records, asked, pictured)
        text = render(report, *about)
        if len(encodable(text).encode()) <= MAX_BYTES:
            break
    page = folder / "index.html"
    write(page, text)
    first = [*(each.figure for each in report.findings if each.figure), *report.figures]
    pictures = save([*first, *(report.sections[0].figures if report.sections else ())], folder / "pictures")
    write(folder / "report.md", markdown(report, results, [path.relative_to(folder) for path in pictures]))
    return page


def render(
    report: Report, results: str = "results.csv", records: str = "", unhealthy: Sequence[tuple[str, str]] = ()
) -> str:
    """Return the page.

    Parameters
    ----------
    report : Report
        What to say.
    results, records : str
        Names of the table of replicates and of the file of records beside the page; empty where there are no records.
    unhealthy : sequence of (str, str)
        Pages on single unhealthy cases, as `unhealthy.links` names them.
    """
    return layout.render(
        "page.html",
        title=report.title,
        report=report,
        results=results,
        records=records,
        unhealthy=unhealthy,
        tables=tables(report),
        steps=crossing_table(report),
        troubles=trouble_tables(report),
    )
