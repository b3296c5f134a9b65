"""One picture of a history: a case over its runs, with intervals, and where it changed."""

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from bench.comparing.history import Series
from bench.report.svg import FOOT, HEAD, Panel, Scale, left_axis, marker, tag, text
from bench.words import number

MAX_TICKS = 5


def timeline(series: Series, labels: Sequence[str], unit: str) -> Panel:
    """Draw a series, its runs side by side.

    Parameters
    ----------
    series : Series
        What to draw.
    labels : sequence of str
        What stands under each run: its date or its version.
    unit : str
        Label of the upright axis.
    """
    width, height, left, right = 360, 190, 46, 10
    across, down = width - left - right, height - HEAD - FOOT
    points = series.points
    ends = [v for p in points for v in (p.value, p.low, p.high) if v]
    middle = sorted(p.value for p in points if p.value)
    if middle:  # an interval of two replicates must not flatten all others
        typical = middle[len(middle) // 2]
        ends = [v for v in ends if typical / 8 < v < 8 * typical]
    y = Scale.over(ends, unit, log=True)

    def px(at: float) -> float:
        return left + across * (at + 0.5) / len(points)

    def py(value: float) -> float:
        return HEAD + (1 - y(value)) * down

    title = text(left, 13, f"{series.model} on {series.backend}", "title")
    parts = [title, *left_axis(y, left, across, HEAD, HEAD + down, most=4)]
    every = -(-len(points) // MAX_TICKS)
    for i in range(0, len(points), every):
        parts.append(text(px(i), HEAD + down + 13, labels[i], "tick", "middle"))
    for step in series.steps:
        tip = f"{labels[step.at]}: {step.words}"
        at = px(step.at - 0.5)
        parts.append(tag("g", tag("path", d=f"M{at:.1f},{HEAD}v{down}", class_="step"), data_tip=tip))
    drawn = []
    for (i, a), (j, b) in pairwise((i, p) for i, p in enumerate(points) if p.healthy and p.value):
        way = f"M{px(i):.1f},{py(a.value or 1):.1f}L{px(j):.1f},{py(b.value or 1):.1f}"
        drawn.append(tag("path", d=way, class_="line"))
    for i, point in enumerate(points):
        if point.value is None:
            continue
        versions = ", ".join(f"{name} {version}" for name, version in point.versions.items())
        interval = f" ({number(point.low)} to {number(point.high)})" if point.low and point.high else ""
        sick = "" if point.healthy else ", unhealthy"
        tip = f"{point.run}, {versions}: {number(point.value)}{interval}, {point.n} fits{sick}"
        inside = []
        if point.low and point.high:
            inside.append(tag("path", d=f"M{px(i):.1f},{py(point.low):.1f}V{py(point.high):.1f}", class_="span"))
        size = 3.4 if len(points) <= 40 else 1.8
        inside.append(
            tag("path", d=marker(0, px(i), py(point.value), size), class_="dot" if point.healthy else "hollow")
        )
        drawn.append(tag("g", *inside, data_tip=tip))
    parts.append(tag("g", *drawn, class_="s0"))
    return Panel(f"{series.dataset} {series.model} {series.backend}", width, height, Markup("").join(parts))
