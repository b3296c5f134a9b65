"""The page of a recommendation."""

from pathlib import Path

from bench.report import layout
from bench.report.figures import Figure, Pictures
from bench.report.recommendation import Recommendation
from bench.report.svg import Group, Line, Mark, Scale, lines
from bench.report.tables import number, span
from bench.families.normal_means.theory import CLEAR

PAGE = "recommendation.html"


def write_page(folder: Path, answer: Recommendation) -> Path:
    """Write `recommendation.html` into a run's folder and return its path."""
    page = folder / PAGE
    shown = [row for row in answer.rows if row.posterior == answer.posterior]
    figures = {figure.id: figure for figure in Pictures(shown).of_dataset(shown)}
    text = layout.render(
        "recommendation.html",
        title=f"Which model, which backend: {answer.name}",
        r=answer,
        information=information(answer),
        rates=figures.get("rates"),
        number=number,
        span=span,
    )
    page.write_text(text, encoding="utf-8")
    return page


def information(answer: Recommendation) -> Figure:
    """Draw n omega²/sigma² beside the range in which theory leaves the parameterization open."""
    seen = answer.seen
    found = seen.information
    x = Scale.over((found.low, found.median, found.high, 0.02, 50), "n omega²/sigma², log scale", log=True)
    tip = f"n omega²/sigma² {found}"
    mark = Mark(tip, found.median, max(found.low, x.low), found.high)
    group = Group("theory: undecided in the grey band", 0, [Line("this table", "", [mark])], (1 / CLEAR, 1.0, CLEAR))
    note = (
        "How much the observations of the median group say of its mean, beside the other groups: median and 94 % "
        "interval of the exact posterior. Left of the band theory is for non-centered models, right of it for centered."
    )
    return Figure("information", "Information of a group", note, [("", [lines("", x, [group], width=560)])], columns=1)
