"""A figure, the answer that it belongs to, and figures as files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from bench.comparing.factors import Factor
from bench.files import write
from bench.report.svg import Panel, Scale, marker, tag, text

CSS = Path(__file__).with_name("chart.css")


@dataclass(frozen=True)
class Figure:
    """Panels that belong together.

    Attributes
    ----------
    id, title, note : str
        Its name in a file name, its heading, and how to read it.
    parts : sequence of (str, sequence of Panel)
        Panels in rows, each with its heading.
    legend : sequence of (str, str)
        Class of a colour and what it stands for; the markers follow in their order.
    columns : int
        Panels beside each other where there is room.
    """

    id: str
    title: str
    note: str
    parts: Sequence[tuple[str, Sequence[Panel]]]
    legend: Sequence[tuple[str, str]] = ()
    columns: int = 2

    @property
    def width(self) -> int:
        """Width of its widest panel, in pixels."""
        return max(panel.width for _, panels in self.parts for panel in panels)


@dataclass(frozen=True)
class Finding:
    """The answer to one question, as a page shows it first.

    Attributes
    ----------
    question, sentence : str
        What a reader asks, and the answer.
    figure : Figure, optional
        The picture that shows it.
    sure : str
        How sure that is.
    rest : str
        What belongs to the answer and is less important.
    """

    question: str
    sentence: str
    figure: Figure | None
    sure: str
    rest: str = ""

    @classmethod
    def of(cls, question: str, sentences: Sequence[str], figure: Figure | None, sure: str) -> "Finding":
        """Return an answer of several sentences, the first of which is the most important.

        Parameters
        ----------
        question, figure, sure : str, Figure, str
            As above.
        sentences : sequence of str
            One or more.
        """
        first, *rest = sentences
        return cls(question, first, figure, sure, " ".join(rest))


def save(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Write figures as SVG files, and return their paths.

    Parameters
    ----------
    figures : sequence of Figure
        What to write; each has the name of its `id`.
    folder : Path
        Where to; it is made if it is missing.
    """
    if folder.is_symlink():
        folder.unlink()
    css, written = CSS.read_text(encoding="utf-8"), []
    for figure in figures:
        path = folder / f"{figure.id}.svg"
        write(path, sheet(figure.parts, figure.columns, css, figure.legend))
        written.append(path)
    return written


def sheet(
    parts: Sequence[tuple[str, Sequence[Panel]]], columns: int, css: str, legend: Sequence[tuple[str, str]] = ()
) -> str:
    """Put panels on one self-contained SVG document.

    Parameters
    ----------
    parts : sequence of (str, sequence of Panel)
        Panels, with a heading for each part.
    columns : int
        Panels beside each other.
    css : str
        The style sheet.
    legend : sequence of (str, str)
        Class of a colour and what it stands for; it stands on top.
    """
    rows = [
        (heading if at == 0 else "", panels[at : at + columns])
        for heading, panels in parts
        for at in range(0, len(panels), columns)
    ]
    width = max(sum(panel.width for panel in row) for _, row in rows)
    drawn, x, y = [], 6.0, 16
    for shape, (class_, words) in enumerate(legend):
        if x + 26 + 6.2 * len(words) > width:
            x, y = 6.0, y + 17
        key = tag("path", d=marker(shape, x + 5, y - 4), class_="dot")
        drawn.append(tag("g", key, text(x + 13, y, words, "key"), class_=class_))
        x += 26 + 6.2 * len(words)
    top = y + 10 if legend else 4
    for heading, row in rows:
        if heading:
            drawn.append(text(6, top + 14, heading, "heading"))
            top += 20
        x = 0.0
        for panel in row:
            drawn.append(tag("svg", panel.body, x=x, y=top, width=panel.width, height=panel.height))
            x += panel.width
        top += max(panel.height for panel in row)
    style = Markup("<style>{}</style>").format(Markup(css))
    paper = tag("rect", width="100%", height="100%", class_="paper")
    document = tag(
        "svg",
        style,
        paper,
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        viewBox=f"0 0 {width} {top}",
        width=width,
        height=top,
    )
    return f"{document}\n"


def figure_id(family: str, name: str) -> str:
    """Name a figure so that the name can stand in a file name and in a page.

    Parameters
    ----------
    family : str
        Its family, where there are several.
    name : str
        What it shows.
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{family} {name}".strip()).strip("-") or "figure"


def title_of(family: str) -> str:
    """Return what a title says of a family, empty where there is one alone."""
    return f", {family.replace('_', ' ')}" if family else ""


def axis(factor: Factor) -> Scale:
    """Return an axis for a number in which data differ; logarithmic where it can be."""
    return Scale.over(factor.values, factor.label, log=factor.values[0] > 0, few=6)
