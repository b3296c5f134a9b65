"""The page of a recommendation."""

import math
from pathlib import Path

from bench.comparing.compare import ALPHA
from bench.comparing.recommendation import About, Recommendation
from bench.files import write
from bench.report import layout, panels
from bench.report.figure import Figure, Finding
from bench.report.figures import Pictures
from bench.report.layout import Head, Line, Table
from bench.report.svg import Scale
from bench.words import NOTHING, days, number, posterior_words, span

PAGE = "recommendation.html"
MAX_PICTURED = 8
"""Cases in the first picture."""


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
    text = layout.render(
        "recommendation.html",
        title=f"Which model, which backend: {answer.name} {days(row.first.time for row in answer.rows)}",
        r=answer,
        posterior=posterior_words(answer.target),
        first=first(answer),
        order=order(answer),
        information=information(answer.about) if answer.about and answer.forms else None,
    )
    write(page, text)
    return page


def first(answer: Recommendation) -> Finding:
    """Return what the page says first: what to use, and how sure that is.

    Parameters
    ----------
    answer : Recommendation
        What to show.
    """
    said = dict(answer.answer())
    ranked = answer.ranked[:MAX_PICTURED]
    figures = {figure.id: figure for figure in Pictures(ranked).of_dataset(ranked)} if ranked else {}
    if answer.first is None:
        sentence = f"Can't tell: {said['answer']}."
    else:
        sentence = f"Use {answer.first.case}: {said['rate']}; an ESS of {answer.target_ess:,.0f} takes about "
        sentence += f"{number(answer.seconds(answer.first)[0])} s."
        if "fit once" in said:
            sentence += f" To fit once: {said['fit once']}."
    reasons = [said["parameterization"]] if "parameterization" in said else []
    reasons += [f"the runner-up is {said['runner-up']}"] if "runner-up" in said else []
    sure = f"How sure: {'; '.join(reasons)}." if reasons else ""
    return Finding("What to use?", sentence, figures.get("rates"), sure)


def order(answer: Recommendation) -> Table:
    """Return the table of healthy cases, the best first.

    Parameters
    ----------
    answer : Recommendation
        What to show.
    """
    heads = (
        "model", "backend", "fits", "min ESS/s", "95 % interval", "of the first", "95 % interval",
        f"s to ESS {answer.target_ess:,.0f}", "build s", "verdict",
    )  # fmt: skip
    lines: list[Line] = []
    for row in answer.ranked:
        effect = answer.effect(row)
        texts = (
            row.model,
            row.engine,
            str(len(row.fits)),
            number(row.rate),
            span(row.interval),
            number(effect.ratio) if effect else "1",
            span(effect.interval) if effect and effect.interval[0] else NOTHING,
            number(answer.seconds(row)[0]),
            number(row.build_seconds, 2),
            answer.order(row) if lines else "first",
        )
        lines.append(Line(texts, "" if lines else "best"))
    note = (
        "min ESS/s is the smallest bulk ESS of every quantity per second of wall time, the geometric mean of the fits. "
        "The ratio to the first has a 95 % interval; verdicts hold for the whole table at once "
        f"(Holm, {100 * ALPHA:g} %)."
    )
    return Table("order", "Healthy cases, the best first", [Head(name) for name in heads], lines, note)


def information(about: About) -> Figure:
    """Draw the number by which theory decides, beside the range in which it does not."""
    least, most = about.limits
    ends = [end for interval in about.information.values() for end in interval]
    x = Scale.over((*ends, least / 10, 10 * most), f"{about.measure}, log scale", log=True)
    rows = []
    for of, (low, median, high) in about.information.items():
        tip = f"{about.measure}, {of}: {number(median)} ({number(low)} to {number(high)})"
        rows.append(panels.Line(of, "", [panels.Mark(tip, median, max(low, x.low), high)]))
    band = (least, math.sqrt(least * most), most)
    group = panels.Group("theory: undecided in the grey band", 0, rows, band)
    note = (
        f"How much the data of a group say of it, beside the other groups: {about.measure}, its median and interval. "
        "Left of the band theory is for noncentered models, right of it for centered ones."
    )
    return Figure(
        "information", "Information of a group", note, [("", [panels.lines("", x, [group], width=560)])], columns=1
    )
