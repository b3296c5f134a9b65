"""The pictures of the first screen of a run: backends by size, and the matrix of models."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from markupsafe import Markup

from bench.cells import best_of, geometric_mean
from bench.comparing.answer import Answer, best_cases
from bench.comparing.ratios import FIT, MEASURES, name, times
from bench.comparing.rows import Row
from bench.comparing.statistics import Contrast
from bench.report.columns import whose_programs
from bench.report.figure import Figure, axis, figure_id, title_of
from bench.report.panels import Curve, Dot, curves
from bench.report.strips import PANELS, Block, Strip, strips
from bench.report.svg import HEADING, Panel, Scale, short, tag, text
from bench.words import NOTHING, number, posterior_words

WIDTH, HEIGHT = 314, 240
MAX_COLUMNS, MAX_LINES = 12, 24
"""Datasets and models of a matrix."""
MAX_NUMBERS = 12
"""Marks of a panel that have room for their numbers."""
CELL, TALL, NAMES, LETTER, TICK = 47.0, 27, 168, 8, 6.2
"""Least width and the height of a cell, room for the names of models, and for a letter of a heading and of a head."""


def backends(answer: Answer) -> Figure | None:
    """Draw the ratios of backends to the baseline by size, or a strip for each; None where there are none.

    Parameters
    ----------
    answer : Answer
        What was found.
    """
    base, *others = answer.engines or ("",)
    if not any((engine, base) in pairs for pairs in answer.means[FIT].values() for engine in others):
        return None
    label = f"times the rate of {base}"
    by_size = answer.size is not None and len(answer.levels) > 1
    panels = [
        panel
        for measure in MEASURES
        if (panel := _by_size(answer, measure, label) if by_size else _strips(answer, measure, label)) is not None
    ]
    builds = "; ".join(f"{engine} {_builds(answer, engine)}" for engine in answer.engines)
    many = by_size and _crowded(answer)
    dots = "Small dots: one model on one dataset. " if by_size else ""
    note = (
        f"{whose_programs(answer.rows)}. Effective draws per second, as a multiple of {base}: above the line of {base} "
        f"is faster. {dots}{'Large marks' if many else 'Numbers'}: geometric means, with 95 % intervals. "
        f"Builds: {builds}."
    )
    if not by_size:
        note = note.replace("above the line of", "right of the line of")
    legend = [(f"b{i % 8}", engine) for i, engine in enumerate(answer.engines)] if by_size else []
    title = f"How many times as fast as {base}{title_of(answer.family)}"
    return Figure(figure_id(answer.family, "backends"), title, note, [("", panels)], legend)


def _builds(answer: Answer, engine: str) -> str:
    found = [seconds for (_, _, on), seconds in answer.build_seconds.items() if on == engine]
    if not found:
        return "none"
    low, high = number(min(found), 2), number(max(found), 2)
    cached = all(row.build_cache for row in answer.rows if row.engine == engine)
    return f"{low if low == high else f'{low} to {high}'} s{' from a cache' if cached else ''}"


def _crowded(answer: Answer) -> bool:
    """Whether a panel has more marks than room for their numbers."""
    return (len(answer.engines) - 1) * len(answer.levels) > MAX_NUMBERS


def _by_size(answer: Answer, measure: str, label: str) -> Panel | None:
    size, (base, *others) = answer.size, answer.engines
    assert size is not None
    many = _crowded(answer)
    drawn, ends = [], [1.0]
    for style, engine in enumerate(others, 1):
        dots, specks = [], []
        for level in answer.levels:
            mean = answer.means[measure][level.name].get((engine, base))
            at = size.of(level.rows[0]) or 0.0
            if mean is None:
                continue
            told = f"{engine} at {level.name}: {times(mean)} {base}"
            dots.append(Dot(at, mean.ratio, told, mean.interval, words="" if many else number(mean.ratio, 2)))
            ends += [mean.ratio, *((mean.interval or ()) if _narrow(mean) else ())]
            for case, logs in answer.cases(measure, level, engine, base).items():
                ratio = math.exp(sum(logs.values()) / len(logs))
                specks.append(Dot(at, ratio, f"{name(case)} on {engine}: {number(ratio)} times {base}"))
                ends.append(ratio)
        drawn.append(Curve(engine, style, dots, answer.engines[engine], specks))
    sizes = [size.of(level.rows[0]) or 0.0 for level in answer.levels]
    line = [Dot(at, 1.0, f"{base}, which the others are compared with") for at in sizes]
    first = Curve(base, 0, line, answer.engines[base])
    y = Scale.over(ends, label, log=True)
    return curves(PANELS[measure], axis(size), y, [first, *drawn], width=WIDTH, height=HEIGHT)


def _narrow(mean: Contrast) -> bool:
    """Whether an interval is not so wide that it would flatten the rest."""
    return mean.half_width() < math.log(10)


def _strips(answer: Answer, measure: str, label: str) -> Panel | None:
    base, *others = answer.engines
    blocks = []
    for level in answer.levels:
        found = []
        for style, engine in enumerate(others, 1):
            mean = answer.means[measure][level.name].get((engine, base))
            if mean is not None:
                dots = {
                    f"{name(case)} on {engine}": Contrast(sum(logs.values()) / len(logs), math.nan, len(logs), 0)
                    for case, logs in answer.cases(measure, level, engine, base).items()
                }
                found.append(Strip(engine, style, dots, mean, answer.engines[engine]))
        blocks.append(Block(level.name, found))
    return strips(PANELS[measure], label, blocks)


def models(answer: Answer) -> Figure | None:
    """Draw the matrix of models: how many fits were healthy, by colour, and the best rate; None of one model.

    The columns are datasets; of one dataset they are backends.

    Parameters
    ----------
    answer : Answer
        What was found.
    """
    rows = answer.rows
    names = list(dict.fromkeys(row.model for row in rows))
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    if len(names) < 2 or len(names) > MAX_LINES:
        return None
    if len(datasets) == 1:
        columns = [(engine, [row for row in rows if row.engine == engine]) for engine in answer.engines]
        panel = _matrix("Models by backend", "", [("", each) for each in columns], answer)
    else:
        first = sorted(datasets, key=lambda dataset: _place(answer, dataset))
        shown = first if len(first) <= MAX_COLUMNS else first[:: math.ceil(len(first) / MAX_COLUMNS)]
        by = [(*_heads(answer, dataset), [row for row in rows if row.dataset == dataset]) for dataset in shown]
        sizes = answer.size.name if answer.size else ""
        panel = _matrix("Models by dataset", sizes, [(group, (head, here)) for group, head, here in by], answer)
    note = (
        "Number: effective draws per second of the fastest backend with healthy fits; below it, healthy fits of all. "
        "The more orange, the fewer were healthy. Framed: the fastest of the column for its posterior."
    )
    title = f"Healthy fits, and effective draws per second{title_of(answer.family)}"
    return Figure(figure_id(answer.family, "which-model"), title, note, [("", [panel])], columns=1)


def _place(answer: Answer, dataset: str) -> tuple[float, float]:
    row = next(row for row in answer.rows if row.dataset == dataset)
    value = answer.value.of(row) if answer.value else None
    size = answer.size.of(row) if answer.size else None
    return (value if value is not None else math.inf, size if size is not None else math.inf)


def _heads(answer: Answer, dataset: str) -> tuple[str, str]:
    """Return what stands over the column of a dataset: its generating value, and its size; else its name."""
    row = next(row for row in answer.rows if row.dataset == dataset)
    value = answer.value.level(row) if answer.value and not answer.value.size else ""
    size = answer.size.of(row) if answer.size else None
    short_name = dataset if len(dataset) <= 8 else f"{dataset[:7]}…"
    return value, (short(size) if size is not None else short_name)


def _matrix(title: str, sizes: str, columns: Sequence[tuple[str, tuple[str, Sequence[Row]]]], answer: Answer) -> Panel:
    leagues = list(dict.fromkeys(row.league for row in answer.rows))
    names = {
        league: list(dict.fromkeys(row.model for row in answer.rows if row.league == league)) for league in leagues
    }
    top = 32 + HEADING
    wide = max(CELL, TICK * max(len(head) for _, (head, _) in columns))
    parts = [text(4, 13, title, "title"), text(NAMES - 6, top - 5, sizes, "tick", "end")]
    left, lefts = float(NAMES), []
    for group, inside in groupby(columns, key=lambda column: column[0]):
        heads = [head for _, (head, _) in inside]
        if group:
            parts.append(text(left + 2, top - 19, group, "heading"))
        for i, head in enumerate(heads):
            lefts.append(left + wide * i)
            parts.append(text(left + wide * (i + 0.5), top - 5, head, "tick", "middle"))
        left += max(wide * len(heads), LETTER * len(group))
    y = float(top)
    for league in leagues:
        if len(leagues) > 1:
            parts.append(text(4, y + 12.5, posterior_words(league[1]), "heading"))
            y += HEADING
        for model in names[league]:
            cells = [text(NAMES - 6, y + TALL / 2 + 3.5, model, "row")]
            for x, (_, (_, here)) in zip(lefts, columns, strict=True):
                cells += _cell(model, [row for row in here if row.league == league], x, y, wide)
            parts.append(tag("g", *cells, data_model=model))
            y += TALL
    return Panel(title, round(left) + 6, round(y) + 6, Markup("").join(parts))


def _cell(model: str, here: Sequence[Row], x: float, y: float, wide: float) -> Iterator[Markup]:
    rows = [row for row in here if row.model == model]
    if not rows:
        return
    healthy = sum(len(row.healthy_fits) for row in rows)
    fits = sum(len(row.records) for row in rows)
    best = best_of(rows)
    first = any(row.model == model for row in best_cases(here).values())
    said = "none may be ranked" if best is None else f"{number(best.rate)} ESS/s on {best.engine}"
    tip = f"{model}, {rows[0].dataset}: {healthy} of {fits} fits healthy; {said}"
    if best is None and (mean := geometric_mean([row.rate for row in rows])):
        tip += f" (unhealthy {number(mean)} ESS/s)"
    strength = 1 - healthy / fits
    box = tag(
        "rect",
        x=x + 1.5,
        y=y + 1.5,
        width=wide - 3.0,
        height=TALL - 3.0,
        class_="tile best" if first else "tile",
        style=f"--strength:{strength:.2f}",
    )
    rate = NOTHING if best is None else short(float(f"{best.rate:.2g}"))
    yield tag(
        "g",
        box,
        text(x + wide / 2, y + 13, rate, "number", "middle"),
        text(x + wide / 2, y + 22.5, f"{healthy}/{fits}", "share", "middle"),
        data_tip=tip,
    )
