"""The three kinds of panel: curves over two axes, labelled rows over one, and tiles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup

from bench.report.svg import FOOT, HEAD, HEADING, Panel, Scale, bottom_axis, left_axis, left_label, marker, tag, text

LINE = 13
"""Pixels of a row."""


@dataclass(frozen=True)
class Dot:
    """A value at x, with its interval, and words beside it; hollow if it may not be ranked."""

    x: float
    y: float
    tip: str
    interval: tuple[float, float] | None = None
    hollow: bool = False
    words: str = ""


@dataclass(frozen=True)
class Curve:
    """Dots of one model, or of one backend, and specks of what they are the means of."""

    name: str
    style: int
    dots: Sequence[Dot]
    backend: str | None = None
    specks: Sequence[Dot] = ()


def curves(
    title: str,
    x: Scale,
    y: Scale,
    of: Sequence[Curve],
    *,
    backend: str | None = None,
    joined: bool = True,
    width: int = 260,
    height: int = 214,
) -> Panel:
    """Draw the curves of some models, or of some backends, over a shared pair of axes.

    Parameters
    ----------
    title : str
        What the panel shows.
    x, y : Scale
        Its axes.
    of : sequence of Curve
        One for each model or backend.
    backend : str, optional
        Whose they are, if all are of one.
    joined : bool
        Whether lines join neighbours that may be ranked.
    width, height : int
        In pixels.
    """
    left, right = 40, 10
    across, down = width - left - right, height - HEAD - FOOT

    def px(value: float) -> float:
        return left + x(value) * across

    def py(value: float) -> float:
        return HEAD + (1 - y(value)) * down

    parts = [
        text(left, 13, title, "title"),
        *bottom_axis(x, left, across, HEAD, HEAD + down),
        *left_axis(y, left, across, HEAD, HEAD + down),
    ]
    words: list[tuple[float, float, str]] = []
    for one in of:
        dots = sorted(one.dots, key=lambda dot: dot.x)
        aside = 2.2 * (one.style % 6 - 2.5) if joined else 0.0  # so that equal values do not hide each other
        at = [(px(dot.x) + aside, py(dot.y)) for dot in dots]
        inside = [
            tag("g", tag("circle", cx=px(dot.x) + aside, cy=py(dot.y), r=1.8, class_="speck"), data_tip=dot.tip)
            for dot in one.specks
        ]
        for (a, start), (b, end) in pairwise(zip(dots, at, strict=True)):
            if joined and not (a.hollow or b.hollow):
                way = f"M{start[0]:.1f},{start[1]:.1f}L{end[0]:.1f},{end[1]:.1f}"
                inside.append(tag("path", d=way, class_="line"))
        for dot, (across_at, down_at) in zip(dots, at, strict=True):
            drawn = []
            if dot.interval:
                low, high = map(py, dot.interval)
                drawn.append(tag("path", d=f"M{across_at:.1f},{low:.1f}V{high:.1f}", class_="span"))
            shape = marker(one.style, across_at, down_at)
            drawn.append(tag("path", d=shape, class_="hollow" if dot.hollow else "dot"))
            if dot.words:
                words.append((min(across_at, width - 3.5 * len(dot.words) - 1), down_at - 7, dot.words))
            inside.append(tag("g", *drawn, data_tip=dot.tip))
        colour = f"{'b' if one.backend else 's'}{one.style % 8}"
        parts.append(
            tag("g", *inside, class_=colour, data_model=None if one.backend else one.name, data_backend=one.backend)
        )
    parts += _apart(words)
    return Panel(title, width, height, Markup("").join(parts), backend)


def _apart(words: Sequence[tuple[float, float, str]], wide: float = 30, tall: float = 12) -> Iterator[Markup]:
    """Write words at their places, from the top down, each below those that it would hide."""
    placed: list[tuple[float, float]] = []
    for x, y, said in sorted(words, key=lambda each: each[1]):
        for _, other in sorted(place for place in placed if abs(place[0] - x) < wide):
            y = other + tall if abs(other - y) < tall else y
        placed.append((x, y))
        yield text(x, y, said, "number", "middle")


@dataclass(frozen=True)
class Mark:
    """A bar from low to high, or a marker at a value with an interval from low to high."""

    tip: str
    at: float | None = None
    low: float | None = None
    high: float | None = None
    colour: str | None = None
    shape: int = 0
    hollow: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a panel: its label, whose it is, and its marks."""

    label: str
    backend: str
    marks: Sequence[Mark]


@dataclass(frozen=True)
class Group:
    """Rows under a heading; `band` is an interval drawn behind them, with a line at its middle."""

    model: str
    style: int
    lines: Sequence[Line] = field(default_factory=tuple)
    band: tuple[float, float, float] | None = None


def lines(title: str, x: Scale, groups: Sequence[Group], *, width: int = 400) -> Panel:
    """Draw labelled rows, group by group, over one horizontal axis.

    Parameters
    ----------
    title : str
        What the panel shows.
    x : Scale
        The axis.
    groups : sequence of Group
        Rows under a heading each.
    width : int
        In pixels.
    """
    left, right = 74, 12
    across = width - left - right
    down = sum(HEADING + LINE * len(group.lines) for group in groups)

    def px(value: float) -> float:
        return left + x(value) * across

    parts = [text(4, 13, title, "title"), *bottom_axis(x, left, across, HEAD, HEAD + down)]
    y = float(HEAD)
    for group in groups:
        if group.band is not None:
            low, middle, high = (px(value) for value in group.band)
            tall = LINE * len(group.lines)
            parts.append(tag("rect", x=low, y=y + HEADING - 2, width=high - low, height=float(tall), class_="band"))
            parts.append(tag("path", d=f"M{middle:.1f},{y + HEADING - 2:.1f}v{tall}", class_="middle"))
        inside = [
            tag("path", d=marker(group.style, 8, y + 9), class_="dot"),
            text(15, y + 12.5, group.model, "heading"),
        ]
        y += HEADING
        for line in group.lines:
            middle = y + LINE / 2 - 2
            marks = [_mark(mark, px, middle) for mark in line.marks]
            label = text(left - 6, middle + 3.5, line.label, "row")
            inside.append(tag("g", label, *marks, data_backend=line.backend))
            y += LINE
        parts.append(tag("g", *inside, class_=f"s{group.style % 8}", data_model=group.model))
    return Panel(title, width, HEAD + down + FOOT, Markup("").join(parts))


def _mark(mark: Mark, px: Callable[[float], float], y: float) -> Markup:
    if mark.at is None:
        low, high = px(mark.low or 0), px(mark.high or 0)
        return tag(
            "rect",
            x=low,
            y=y - 4.5,
            width=max(0.4, high - low),
            height=9.0,
            class_=f"bar {mark.colour}",
            data_tip=mark.tip,
        )
    drawn = []
    if mark.low is not None and mark.high is not None:
        drawn.append(tag("path", d=f"M{px(mark.low):.1f},{y:.1f}H{px(mark.high):.1f}", class_="span"))
    drawn.append(tag("path", d=marker(mark.shape, px(mark.at), y, 3), class_="hollow" if mark.hollow else "dot"))
    return tag("g", *drawn, class_=mark.colour, data_tip=mark.tip)


@dataclass(frozen=True)
class Tile:
    """A cell of a map: column, row, strength of its colour in [0, 1], and the words in it."""

    column: int
    row: int
    strength: float
    words: str
    tip: str


def tiles(
    title: str, x: tuple[str, Sequence[str]], y: tuple[str, Sequence[str]], cells: Sequence[Tile], **of: str
) -> Panel:
    """Draw a map.

    Parameters
    ----------
    title : str
        What the panel shows.
    x, y : (str, sequence of str)
        Label of the axis, and of each column or row.
    cells : sequence of Tile
        What is drawn; the first row is at the bottom.
    **of : str
        `model` and `backend` that it is of.
    """
    wide, tall, left = 40, 22, 46
    width, down = max(190, left + wide * len(x[1]) + 8), tall * len(y[1])
    parts = [text(4, 13, title, "title")]
    for i, label in enumerate(x[1]):
        parts.append(text(left + wide * (i + 0.5), HEAD + down + 12, label, "tick", "middle"))
    for i, label in enumerate(y[1]):
        parts.append(text(left - 5, HEAD + tall * (len(y[1]) - i - 0.5) + 3.5, label, "tick", "end"))
    parts.append(text(left + wide * len(x[1]) / 2, HEAD + down + 25, x[0], "label", "middle"))
    parts.append(left_label(y[0], HEAD + down / 2))
    for cell in cells:
        at, top = left + wide * cell.column, HEAD + tall * (len(y[1]) - 1 - cell.row)
        box = tag(
            "rect",
            x=at + 1,
            y=top + 1,
            width=wide - 2,
            height=tall - 2,
            class_="tile",
            style=f"--strength:{cell.strength:.2f}",
        )
        words = text(at + wide / 2, top + tall / 2 + 3.5, cell.words, "cell", "middle")
        parts.append(tag("g", box, words, data_tip=cell.tip))
    body = tag("g", *parts, data_model=of.get("model"))
    return Panel(title, width, HEAD + down + FOOT - 6, body, of.get("backend"))
