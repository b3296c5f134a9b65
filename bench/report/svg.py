"""Drawing as SVG, for the page and for files alike: elements, axes and markers; `panels` puts them together.

Colours come from classes (`chart.css`), so that a picture follows the reader's light or dark scheme. Every mark says
what it shows in `data-tip`, and whose it is in `data-model` and `data-backend`, which the page filters by.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

HEAD, FOOT, HEADING = 22, 36, 18
"""Pixels above and below what a panel shows, and of a heading in it."""


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


def left_axis(y: Scale, left: float, across: float, top: float, bottom: float, most: int = 5) -> list[Markup]:
    """Draw a vertical axis with its lines.

    Parameters
    ----------
    y : Scale
        The axis.
    left, across : float
        Where its lines begin and how long they are, in pixels.
    top, bottom : float
        From where to where it goes.
    most : int, default 5
        Lines, as far as round values allow.
    """
    parts = []
    for value, label in y.ticks(most):
        at = top + (1 - y(value)) * (bottom - top)
        parts.append(tag("path", d=f"M{left},{at:.1f}h{across}", class_="grid"))
        parts.append(text(left - 4, at + 3.5, label, "tick", "end"))
    return [*parts, left_label(y.label, (top + bottom) / 2)]


def left_label(words: str, y: float) -> Markup:
    """Return the label of a vertical axis, read from below.

    Parameters
    ----------
    words : str
        What it says.
    y : float
        Where its middle is, in pixels.
    """
    return tag("text", words, class_="label", transform=f"translate(9 {y:g}) rotate(-90)", text_anchor="middle")
