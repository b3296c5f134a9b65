"""A picture of ratios: a strip for each backend, with a dot for each case and a diamond for their mean."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from bench.comparing.ratios import FIRST, FIT, times
from bench.comparing.statistics import Contrast
from bench.report.svg import FOOT, HEAD, HEADING, Panel, Scale, bottom_axis, marker, tag, text

PANELS = {FIT: "A fit, without its build", FIRST: "The first fit, with its build"}
"""Heading of the panel of each measure."""
WIDTH, LEFT, RIGHT = 468, 78, 168
LOW, HIGH, PITCH, TICKS = 15.0, 32.0, 4.0, 13
"""Pixels of a strip: at least, at most, and for each case where there is room; of a second line of ticks, on top."""


class Strip(NamedTuple):
    """Log ratios of several cases, and their mean.

    Attributes
    ----------
    label : str
        What stands beside it.
    style : int
        Number of its colour.
    dots : dict of str to Contrast
        The log ratio of each case, by what is said of it.
    mean : Contrast
        Of them all.
    backend : str
        Whose it is.
    """

    label: str
    style: int
    dots: dict[str, Contrast]
    mean: Contrast
    backend: str

    @property
    def height(self) -> float:
        """Pixels down."""
        return min(HIGH, max(LOW, PITCH * len(self.dots)))


class Block(NamedTuple):
    """Strips under a heading; `kind` is what the page filters them by."""

    heading: str
    strips: Sequence[Strip]
    kind: str | None = None


def strips(title: str, label: str, of: Sequence[Block], digits: int = 2) -> Panel | None:
    """Draw the strips of each block over one axis; None where there are none.

    Parameters
    ----------
    title : str
        What the panel shows.
    label : str
        What the axis shows.
    of : sequence of Block
        What to draw.
    digits : int
        Of the means that stand beside the strips.
    """
    blocks = [block for block in of if block.strips]
    if not blocks:
        return None
    values = [c.ratio for block in blocks for strip in block.strips for c in (strip.mean, *strip.dots.values())]
    x = Scale.over([1.0, *values], label, log=True)
    wide = WIDTH - LEFT - RIGHT
    down = sum(HEADING + sum(strip.height for strip in block.strips) for block in blocks)
    top, one = HEAD + TICKS, LEFT + wide * x(1.0)
    parts = [
        text(4, 13, title, "title"),
        *(text(LEFT + wide * x(value), top - 3, label, "tick", "middle") for value, label in x.ticks()),
        *bottom_axis(x, LEFT, wide, top, top + down),
        tag("path", d=f"M{one:.1f},{top}v{down:.1f}", class_="one"),
    ]
    y = float(top)
    for block in blocks:
        inside = [text(4, y + 12.5, block.heading, "heading")]
        y += HEADING
        for strip in block.strips:
            inside.append(_strip(strip, y, x, wide, digits))
            y += strip.height
        parts.append(tag("g", *inside, data_kind=block.kind))
    return Panel(title, WIDTH, round(top + down + FOOT), Markup("").join(parts))


def _strip(strip: Strip, top: float, x: Scale, wide: float, digits: int) -> Markup:
    def px(log: float) -> float:
        return LEFT + wide * x(math.exp(max(-700.0, min(700.0, log))))

    def across_to(contrast: Contrast) -> tuple[float, float] | None:
        half = contrast.half_width()
        return (px(contrast.mean - half), px(contrast.mean + half)) if math.isfinite(half) else None

    middle, mean = top + strip.height / 2, strip.mean
    ends = across_to(mean)
    marks = [tag("path", d=f"M{ends[0]:.1f},{middle:.1f}H{ends[1]:.1f}", class_="bold")] if ends else []
    for i, (tip, contrast) in enumerate(sorted(strip.dots.items(), key=lambda item: item[1].mean)):
        y = top + strip.height * (i + 0.5) / len(strip.dots)
        inside = [tag("circle", cx=px(contrast.mean), cy=y, r=1.8, class_="speck")]
        if ends := across_to(contrast):
            inside.insert(0, tag("path", d=f"M{ends[0]:.1f},{y:.1f}H{ends[1]:.1f}", class_="hair"))
        marks.append(tag("g", *inside, data_tip=f"{tip}: {times(contrast)}"))
    diamond = tag("path", d=marker(3, px(mean.mean), middle, 4), class_="diamond")
    marks.append(tag("g", diamond, data_tip=f"{strip.label}, mean: {times(mean)}"))
    words = [
        text(LEFT - 6, middle + 3.5, strip.label, "row"),
        text(WIDTH - RIGHT + 8, middle + 3.5, times(mean, "", digits), "value"),
    ]
    return tag("g", *words, *marks, class_=f"b{strip.style % 8}", data_backend=strip.backend)
