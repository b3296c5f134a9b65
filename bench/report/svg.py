"""Drawing: scales, marks and two kinds of panel, as SVG for the page and for files alike.

Colours come from classes (`chart.css`), so that a picture follows the reader's light or dark scheme. Every mark says
what it shows in `data-tip`, and whose it is in `data-model` and `data-backend`, which the page filters by.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup, escape

HEAD, FOOT, LINE, HEADING = 22, 36, 13, 18


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element.

    Parameters
    ----------
    name : str
        Of the element.
    *children : str
        What is in it; text is escaped.
    **attributes : str, float or None
        Those that are None are left out; `_` in a name becomes `-`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>")


def _attribute(value: str | float | None) -> Markup:
    return escape(f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value)


def text(x: float, y: float, words: str, class_: str | None = None, anchor: str | None = None) -> Markup:
    """Return a text element.

    Parameters
    ----------
    x, y : float
        Where it is.
    words : str
        What it says.
    class_, anchor : str, optional
        Its class, and which end of it is at x.
    """
    return tag("text", words, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic axis.

    Attributes
    ----------
    low, high : float
        Its ends.
    label : str
        What it shows, with the unit.
    log : bool
        Whether it is logarithmic.
    levels : tuple of float
        Where its ticks are; empty for round values.
    """

    low: float
    high: float
    label: str
    log: bool = False
    levels: tuple[float, ...] = ()

    @classmethod
    def over(
        cls, values: Iterable[float | None], label: str, *, log: bool = False, zero: bool = False, few: int = 0
    ) -> "Scale":
        """Choose ends with a little room around the values that can be shown.

        Parameters
        ----------
        values : iterable of float or None
            What is to be shown; None, what is not finite, and for a logarithmic axis what is not positive, is passed
            over.
        label : str
            What the axis shows, with the unit.
        log : bool
            Whether it is logarithmic.
        zero : bool
            Whether a linear axis starts at 0.
        few : int
            Up to so many distinct values are the ticks of a logarithmic axis.
        """
        shown = [v for v in values if v is not None and math.isfinite(v) and (v > 0 or not log)]
        if zero:
            shown.append(0.0)
        low, high = (min(shown), max(shown)) if shown else (1.0, 10.0)
        if log:
            room = max(1.15, (high / low) ** 0.06)
            levels = tuple(sorted(set(shown)))
            return cls(low / room, high * room, label, True, levels if 1 < len(levels) <= few else ())
        room = 0.06 * (high - low) or abs(high) or 1.0
        return cls(low if zero else low - room, high + room, label)

    def __call__(self, value: float) -> float:
        """Position of a value, 0 at the low end and 1 at the high one; values beyond lie on the ends."""
        if self.log:
            if value <= 0:
                return 0.0
            place = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, place))

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Values to mark on the axis, with their labels."""
        if self.levels:
            return [(value, short(value)) for value in self.levels]
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for digits in ((1, 2, 5), (1, 3), (1,)):
                found = [d * 10.0**e for e in decades for d in digits if self.low <= d * 10.0**e <= self.high]
                if len(found) <= most:
                    break
            else:
                found = found[:: math.ceil(len(found) / most)]
            if len(found) > 1:
                return [(value, short(value)) for value in found]
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        return [
            (i * step, short(i * step) if places == 0 else f"{i * step:.{places}f}") for i in range(first, last + 1)
        ]


def short(value: float) -> str:
    """Write a round number in few characters.

    Examples
    --------
    >>> [short(value) for value in (0.5, 20.0, 1500.0, 2e6)]
    ['0.5', '20', '1.5k', '2M']
    """
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:g}"


def marker(shape: int, x: float, y: float, size: float = 3.4) -> str:
    """Return the path of a marker.

    Parameters
    ----------
    shape : int
        From 0: circle, square, triangle, diamond, triangle down, plus; then the same again.
    x, y : float
        Its middle.
    size : float
        About half its width.
    """
    s = size * (1.0, 0.9, 1.15, 1.25, 1.15, 1.2)[shape % 6]
    points = {
        1: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        2: ((0, -1), (1, 0.8), (-1, 0.8)),
        3: ((0, -1), (1, 0), (0, 1), (-1, 0)),
        4: ((0, 1), (1, -0.8), (-1, -0.8)),
        5: tuple(
            (a, b) for a, b in ((-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35),
                                (0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35))
        ),
    }.get(shape % 6)  # fmt: skip
    if points is None:
        return f"M{x - s:.1f},{y:.1f}a{s:.1f},{s:.1f} 0 1 0 {2 * s:.1f},0a{s:.1f},{s:.1f} 0 1 0 {-2 * s:.1f},0z"
    return "M" + "L".join(f"{x + s * a:.1f},{y + s * b:.1f}" for a, b in points) + "z"


@dataclass(frozen=True)
class Panel:
    """One picture: a size and what is drawn on it.

    Attributes
    ----------
    title : str
        What it shows.
    width, height : int
        In pixels.
    body : Markup
        Its elements.
    backend : str, optional
        The backend it is of, if it is of one.
    """

    title: str
    width: int
    height: int
    body: Markup
    backend: str | None = None

    def svg(self) -> Markup:
        """Return the element for the page."""
        return tag(
            "svg",
            self.body,
            class_="chart",
            viewBox=f"0 0 {self.width} {self.height}",
            role="img",
            aria_label=self.title,
            data_backend=self.backend,
        )


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

    parts = [text(left, 13, title, "title"), *bottom_axis(x, left, across, HEAD, HEAD + down)]
    for value, label in y.ticks(5):
        parts.append(tag("path", d=f"M{left},{py(value):.1f}h{across}", class_="grid"))
        parts.append(text(left - 4, py(value) + 3.5, label, "tick", "end"))
    parts.append(
        tag(
            "text",
            y.label,
            class_="label",
            transform=f"translate(9 {HEAD + down / 2}) rotate(-90)",
            text_anchor="middle",
        )
    )
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
    parts.append(
        tag(
            "text", y[0], class_="label", transform=f"translate(10 {HEAD + down / 2}) rotate(-90)", text_anchor="middle"
        )
    )
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


def bottom_axis(x: Scale, left: float, across: float, top: float, bottom: float) -> list[Markup]:
    """Draw a horizontal axis with its lines.

    Parameters
    ----------
    x : Scale
        The axis.
    left, across, top, bottom : float
        Where it begins, how long it is, and from where to where its lines go, in pixels.
    """
    parts = []
    for value, label in x.ticks():
        at = left + x(value) * across
        parts.append(tag("path", d=f"M{at:.1f},{top}V{bottom + 3:.1f}", class_="grid"))
        parts.append(text(at, bottom + 13, label, "tick", "middle"))
    parts.append(text(left + across / 2, bottom + 28, x.label, "label", "middle"))
    return parts
