"""The picture over many models: the ratio of each to the baseline, sorted, by kind and backend."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup

from bench.report.across import ALL, Across
from bench.report.figures import Figure
from bench.report.ratios import FIRST, FIT, MEASURES, Key, name, times
from bench.report.statistics import Contrast
from bench.report.svg import FOOT, HEAD, HEADING, Panel, Scale, bottom_axis, marker, tag, text

WIDTH, LEFT, RIGHT = 420, 78, 104
LOW, HIGH, PITCH, TICKS = 15.0, 32.0, 4.0, 13
"""Pixels of a strip: at least, at most, and for each model where there is room; of a second line of ticks, on top."""
HEADS = {FIT: "A fit, without its build", FIRST: "The first fit, with its build"}


class Strip(NamedTuple):
    """One backend in one kind: the log ratio of each model, and their mean."""

    engine: str
    style: int
    ratios: dict[Key, Contrast]
    mean: Contrast

    @property
    def height(self) -> float:
        """Pixels down."""
        return min(HIGH, max(LOW, PITCH * len(self.ratios)))


def figure(across: Across) -> Figure | None:
    """Draw the ratios of all models; None where there are none.

    Parameters
    ----------
    across : Across
        What was found.
    """
    base = across.engines[0]
    drawn = {measure: [(kind, list(_strips(across, measure, kind))) for kind in across.kinds] for measure in MEASURES}
    strips = [strip for groups in drawn.values() for _, of_kind in groups for strip in of_kind]
    if not strips:
        return None
    panels = []
    for measure, groups in drawn.items():
        values = [c.ratio for _, of_kind in groups for strip in of_kind for c in strip.ratios.values()]
        if values:
            x = Scale.over([1.0, *values], f"times the rate of {base}", log=True)
            panels.append(_panel(HEADS[measure], x, groups, across))
    note = (
        f"Effective draws per second; right of the line, faster than {base}. Dots: models, sorted, with 95 % intervals "
        "where there are replicates. Diamonds, numbers: geometric means over models, with 95 % intervals."
    )
    return Figure("models", f"How many times as fast as {base}", note, [("", panels)])


def _strips(across: Across, measure: str, kind: str) -> Iterator[Strip]:
    for style, engine in enumerate(across.engines[1:]):
        ratios = across.ratios(measure, engine, across.engines[0], kind)
        mean = across.mean(measure, engine, across.engines[0], kind)
        if mean is not None:
            yield Strip(engine, style, dict(sorted(ratios.items(), key=lambda item: item[1].mean)), mean)


def _panel(title: str, x: Scale, groups: Sequence[tuple[str, Sequence[Strip]]], across: Across) -> Panel:
    """Draw the strips of each kind under its heading, over one axis."""
    wide = WIDTH - LEFT - RIGHT
    groups = [(kind, strips) for kind, strips in groups if strips]
    down = sum(HEADING + sum(strip.height for strip in strips) for _, strips in groups)
    top, one = HEAD + TICKS, LEFT + wide * x(1.0)
    parts = [
        text(4, 13, title, "title"),
        *(text(LEFT + wide * x(value), top - 3, label, "tick", "middle") for value, label in x.ticks()),
        *bottom_axis(x, LEFT, wide, top, top + down),
        tag("path", d=f"M{one:.1f},{top}v{down:.1f}", class_="one"),
    ]
    y = float(top)
    for kind, strips in groups:
        count = len({case for strip in strips for case in strip.ratios})
        of_kind = [text(4, y + 12.5, f"{kind} ({count})" if count > 1 else kind, "heading")]
        y += HEADING
        for strip in strips:
            of_kind.append(_strip(strip, y, x, wide))
            y += strip.height
        parts.append(tag("g", *of_kind, data_kind=None if kind == ALL else kind))
    return Panel(title, WIDTH, round(top + down + FOOT), Markup("").join(parts))


def _strip(strip: Strip, top: float, x: Scale, wide: float) -> Markup:
    def px(log: float) -> float:
        return LEFT + wide * x(math.exp(max(-700.0, min(700.0, log))))

    def across_to(contrast: Contrast) -> tuple[float, float] | None:
        half = contrast.half_width()
        return (px(contrast.mean - half), px(contrast.mean + half)) if math.isfinite(half) else None

    middle, mean = top + strip.height / 2, strip.mean
    ends = across_to(mean)
    marks = [tag("path", d=f"M{ends[0]:.1f},{middle:.1f}H{ends[1]:.1f}", class_="bold")] if ends else []
    for i, (case, contrast) in enumerate(strip.ratios.items()):
        y = top + strip.height * (i + 0.5) / len(strip.ratios)
        inside = [tag("circle", cx=px(contrast.mean), cy=y, r=1.8, class_="speck")]
        if ends := across_to(contrast):
            inside.insert(0, tag("path", d=f"M{ends[0]:.1f},{y:.1f}H{ends[1]:.1f}", class_="hair"))
        tip = f"{name(case)} on {strip.engine}: {times(contrast)}"
        marks.append(tag("g", *inside, data_tip=tip))
    marks.append(tag("path", d=marker(3, px(mean.mean), middle, 4), class_="diamond"))
    words = [
        text(LEFT - 6, middle + 3.5, strip.engine, "row"),
        text(WIDTH - RIGHT + 8, middle + 3.5, times(mean, "", 2), "value"),
    ]
    return tag("g", *words, *marks, class_=f"s{strip.style % 8}", data_backend=strip.engine)
