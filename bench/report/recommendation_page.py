"""The page of a recommendation."""

import math
from pathlib import Path

from bench.files import write
from bench.report import layout
from bench.report.figures import Figure, Pictures
from bench.report.recommendation import About, Recommendation
from bench.report.svg import Group, Line, Mark, Scale, lines
from bench.report.tables import number, span

PAGE = "recommendation.html"


def write_page(folder: Path, answer: Recommendation) -> Path:
    """Write `recommendation.html` and return its path.

    Parameters
    ----------
    folder : Path
        Of the run.
    answer : Recommendation
        What to show.
    """
    page = folder / PAGE
    shown = [row for row in answer.rows if row.target == answer.target]
    figures = {figure.id: figure for figure in Pictures(shown).of_dataset(shown)}
    text = layout.render(
        "recommendation.html",
        title=f"Which model, which backend: {answer.name}",
        r=answer,
        information=information(answer.about) if answer.about and answer.forms else None,
        rates=figures.get("rates"),
        number=number,
        span=span,
    )
    write(page, text)
    return page


def information(about: About) -> Figure:
    """Draw the number by which theory decides, beside the range in which it does not."""
    least, most = about.limits
    ends = [end for interval in about.information.values() for end in interval]
    x = Scale.over((*ends, least / 10, 10 * most), f"{about.measure}, log scale", log=True)
    rows = []
    for of, (low, median, high) in about.information.items():
        tip = f"{about.measure}, {of}: {number(median)} ({number(low)} to {number(high)})"
        rows.append(Line(of, "", [Mark(tip, median, max(low, x.low), high)]))
    band = (least, math.sqrt(least * most), most)
    group = Group("theory: undecided in the grey band", 0, rows, band)
    note = (
        f"How much the data of a group say of it, beside the other groups: {about.measure}, its median and interval. "
        "Left of the band theory is for noncentered models, right of it for centered ones."
    )
    return Figure("information", "Information of a group", note, [("", [lines("", x, [group], width=560)])], columns=1)
