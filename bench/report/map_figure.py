"""The pictures of a map: information by number of groups, a tile for each point, coloured by who wins there."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup

from bench.comparing.crossover import Duel, Field, by_engine, crossings, pair_of
from bench.report.figure import Figure
from bench.report.svg import FOOT, HEAD, Panel, Scale, bottom_axis, left_label, tag, text
from bench.words import listed, number, span

WIDTH, TALL, LEFT = 300, 22, 42
ROOM = 17
"""Pixels that a tile with a number is wide."""
REACH = math.sqrt(10)
"""A point stands for at most so many times more, or less, information than its own."""
CLASSES = {"centered": ("t1", "t2"), "noncentered": ("t0", "t6"), "marginal": ("t3",)}
"""Colours of the models of each kind, the plainest first."""
ALIKE, NEITHER = "t4", "t5"
CONTOURS = {2: 0.9, 10: 2.4}
"""Costs of the wrong choice that have contours, and how thick these are, in pixels."""
FAINT, FULL, MUCH = 0.2, 0.8, 20.0
"""Opacity of a tile where rates are as good, and where one is `MUCH` times the other."""


def colours(models: Sequence[str]) -> dict[str, str]:
    """Return the class of the colour of each model.

    Parameters
    ----------
    models : sequence of str
        Their names, such as `zerosum_centered`.

    Examples
    --------
    >>> colours(["marginal", "centered", "zerosum_centered"])
    {'centered': 't1', 'zerosum_centered': 't2', 'marginal': 't3'}
    """
    found: dict[str, str] = {}
    for kind, classes in CLASSES.items():
        of_kind = sorted((name for name in models if name.rpartition("_")[2] == kind), key=len)
        found |= dict(zip(of_kind, classes, strict=False))
    return found


def pictures(found: Sequence[Field]) -> tuple[Figure | None, Figure]:
    """Draw who wins of the centered and the noncentered form, None where one of them is not there, and of all forms.

    Parameters
    ----------
    found : sequence of Field
        Of a map.
    """
    models = [side.model for side in found[0].sides]
    pair = pair_of(models)
    colour = colours(models)
    costs = listed([f"{cost} times" for cost in CONTOURS])
    contours = f"Solid lines: the wrong choice costs {costs} the CPU time, the thicker one more. "
    rest = (
        "Dashed: information 1, theory's line. Pale with a question mark: not sure yet. Empty: none was healthy. "
        "Prior: the scale of omega's half-normal prior."
    )
    every = Figure(
        "of-all",
        "Which of all forms wins",
        "Number: how many times the rate of the better one of the centered and the noncentered form it has; without "
        f"one, neither of these was healthy, or it is one of them. {rest}",
        _parts(found, colour, of_pair=False),
        [(colour[name], name) for name in models if name in colour],
    )
    if pair is None:
        return None, every
    two = Figure(
        "centered-or-not",
        "Which of the two wins, and what the wrong choice costs",
        "Number: how many times the rate of the other one it has, by CPU seconds; in full colour without a number, the "
        f"other one was not healthy. {contours}{rest}",
        _parts(found, colour, of_pair=True),
        [*((colour[name], f"{name} wins") for name in pair), (ALIKE, "as good, within 10 %")],
    )
    return two, every


def _parts(found: Sequence[Field], colour: Mapping[str, str], *, of_pair: bool) -> list[tuple[str, list[Panel]]]:
    parts = []
    every = [each.spot.information for each in found]
    x = Scale(min(every) / 2, max(every) * 2, "information of a group, n omega²/sigma²", log=True)
    for engine, own in by_engine(found):
        panels = []
        layers: dict[tuple[float, float], list[Field]] = {}
        for each in own:
            layers.setdefault(each.spot.layer, []).append(each)
        for here in layers.values():
            panels.append(_panel(here[0].spot.kind, engine, x, here, colour, of_pair))
        parts.append((engine, panels))
    return parts


def _panel(title: str, engine: str, x: Scale, here: Sequence[Field], colour: Mapping[str, str], of_pair: bool) -> Panel:
    levels = sorted({each.spot.groups for each in here})
    across, bottom = WIDTH - LEFT - 8, HEAD + TALL * len(levels)

    def px(value: float) -> float:
        return LEFT + x(value) * across

    axis = bottom_axis(x, LEFT, across, HEAD, bottom)
    parts, labels = [text(LEFT, 13, title, "title"), *axis], list[Markup]()
    for i, groups in enumerate(levels):
        top = bottom - TALL * (i + 1)
        parts.append(text(LEFT - 5, top + TALL / 2 + 3.5, f"{groups:,}", "tick", "end"))
        row = sorted((each for each in here if each.spot.groups == groups), key=lambda each: each.spot.information)
        ends = [math.sqrt(a.spot.information * b.spot.information) for a, b in pairwise(row)]
        for each, low, high in zip(row, [x.low, *ends], [*ends, x.high], strict=True):
            near = max(low, each.spot.information / REACH), min(high, each.spot.information * REACH)
            tile, words = _tile(each, px(near[0]), px(near[1]), top, colour, of_pair)
            parts.append(tile)
            labels += words
    parts.append(tag("path", d=f"M{px(1):.1f},{HEAD}V{bottom}", class_="unity"))
    if of_pair:
        rows = [[each for each in here if each.spot.groups == groups] for groups in levels]
        middles = [bottom - TALL * (i + 0.5) for i in range(len(levels))]
        for cost, wide in CONTOURS.items():
            for ratio in (cost, 1 / cost):
                parts += _contour([crossings(row, ratio) for row in rows], wide, px, middles)
    middle = HEAD + (bottom - HEAD) / 2
    parts += [*labels, left_label("groups", middle)]
    return Panel(f"{engine}, {title}", WIDTH, bottom + FOOT, Markup("").join(parts), engine)


def _contour(
    at: Sequence[Sequence[float]], wide: float, px: Callable[[float], float], middles: Sequence[float]
) -> Iterator[Markup]:
    """Draw a line through the crossings of each row; where a row has several, through the one in their middle."""
    path, broken = "", True
    for found, y in zip(at, middles, strict=True):
        if found:
            x = px(found[len(found) // 2])
            path += f"{'M' if broken else 'L'}{x:.1f},{y + TALL / 2:.1f}L{x:.1f},{y - TALL / 2:.1f}"
        broken = not found
    if path:
        yield tag("path", d=path, class_="contour", stroke_width=wide)


def _tile(
    each: Field, left: float, right: float, top: float, colour: Mapping[str, str], of_pair: bool
) -> tuple[Markup, list[Markup]]:
    """Return a tile, and its number where there is room for one; that stands before theory's line."""
    duel = each.pair if of_pair else each.every
    times = _times(each) if not of_pair else (duel.contrast.ratio if duel.contrast else None)
    class_, strength, words = NEITHER, 0.0, ""
    if duel.state == "alike" and of_pair:
        class_, strength = ALIKE, 1.0
    elif duel.first:
        class_ = colour.get(duel.first, NEITHER)
        share = math.log(max(1.0, times)) / math.log(MUCH) if times else 1.0
        strength = FAINT + (FULL - FAINT) * min(1.0, share)
        if times and (of_pair or times >= 1.05):
            words = number(times, 2) if times < 1000 else f"{times / 1000:.0f}k"
        if duel.state == "open":
            strength, words = FAINT, f"{words}?"
    box = tag(
        "rect",
        x=left,
        y=top + 0.5,
        width=max(0.5, right - left - 0.8),
        height=TALL - 1.0,
        class_="patch",
        fill_opacity=f"{strength:.2f}",
    )
    wide = right - left > max(ROOM, 6.0 * len(words))
    label = [text((left + right) / 2, top + TALL / 2 + 3.5, words, "cell above", "middle")] if words and wide else []
    return tag("g", box, class_=class_, data_tip=told(each, duel)), label


def _times(each: Field) -> float | None:
    """Return the rate of the best form over that of the better one of the pair; None where there is none."""
    rates = {side.model: side.contrast.ratio for side in each.sides if side.ranked}
    of_pair = [rates[name] for name in (each.pair.first, each.pair.second) if name in rates]
    if not of_pair or each.every.first not in rates:
        return None
    return rates[each.every.first] / max(of_pair)


def told(each: Field, duel: Duel) -> str:
    """Say what was found at a point.

    Parameters
    ----------
    each : Field
        The point, as one engine sees it.
    duel : Duel
        The one to tell of.
    """
    spot = each.spot
    where = f"{spot.backend}, {spot.groups:,} groups, {spot.kind}, information {number(spot.information)}"
    sides = ", ".join(
        f"{side.model} {number(side.contrast.ratio) if side.logs else 'no'}/s ({len(side.logs)} of {len(side.records)} "
        "healthy)"
        for side in each.sides
        if side.records
    )
    return f"{where}: {verdict(duel)}. {sides}"


def verdict(duel: Duel) -> str:
    """Say who wins, by how much, and how sure it is.

    Parameters
    ----------
    duel : Duel
        What was found.
    """
    if not duel.first:
        return "none is healthy" if duel.state == "none" else "not told yet"
    if duel.contrast is None:
        return f"{duel.first} alone is healthy" + (", as far as is known" if duel.state == "open" else "")
    ratio, interval = duel.contrast.ratio, duel.contrast.interval
    times = f"{number(ratio)} times {duel.second}" + (f" ({span(interval)})" if interval else "")
    sure = {"sure": "surely", "alike": "as good, within 10 %"}.get(duel.state, "not sure yet")
    return f"{duel.first} {times}, {sure}"
