"""What a page on versions, or on a history, says first: what changed, by how much, and with what."""

import math
from collections.abc import Iterator, Mapping, Sequence

from bench.comparing.comparison import Comparison
from bench.comparing.difference import Difference
from bench.comparing.effect import COSTS, GRADIENT, HEADS, Effect
from bench.comparing.history import ALPHA, SHORTEST, Series, Step
from bench.comparing.statistics import mean_of
from bench.report.figure import Figure, Finding
from bench.report.strips import Block, Strip, strips
from bench.report.timeline import timeline
from bench.words import changed, ends, listed, number, span

WORDS = {
    "wall_seconds": "takes {} the wall time",
    "ess_per_second": "gives {} the effective draws per second",
    "cpu_per_gradient": "takes {} the CPU time of a gradient",
    "ess_per_gradient": "gets {} the effective draws of a gradient",
    GRADIENT: "takes {} the time of a gradient",
}
"""What is said of each measure."""
SURE = ("faster", "slower")
MOST = 4
"""Backends, or changes, that a sentence names."""


def of_comparisons(found: Sequence[tuple[str, Comparison]]) -> Finding:
    """Say what differs between versions.

    Parameters
    ----------
    found : sequence of (str, Comparison)
        Each with its heading, such as `pymc==5.28.5 (A) to pymc==6.4.0 (B)`.
    """
    said = {heading: f"{_plain(heading)}: {sentence(comparison)}." for heading, comparison in found}
    first = [heading for heading, comparison in found if len(found) == 1 or _differs(comparison)]
    answer = " ".join(said[heading] for heading in first) or f"No sure change in any of {len(found)} comparisons."
    rest = " ".join(text for heading, text in said.items() if heading not in first)
    panels = [
        panel
        for heading, comparison in found
        if (panel := strips(_plain(heading), "times that of the first", list(_blocks(comparison)), 3)) is not None
    ]
    note = (
        "Left of the line: less time, or fewer draws, with the second version. Dots: cases, sorted. Diamonds, numbers: "
        "geometric means over cases, with 95 % intervals."
    )
    figure = Figure(
        "changes", "What each version takes and gives, as a multiple of the one before", note, [("", panels)]
    )
    replicates = sorted({row.n for _, each in found for row in each.rows if row.n})
    sure = (
        f"How sure: a false alarm in at most {100 * found[0][1].alpha:.2g} % of tables; "
        f"{ends(replicates) or 'no'} replicates."
    )
    return Finding("What changed?", answer, figure if panels else None, sure, rest)


def sentence(comparison: Comparison) -> str:
    """Say in one sentence, without its end, what B changed.

    Parameters
    ----------
    comparison : Comparison
        Of two versions.
    """
    every = sorted(
        comparison.pooled or comparison.rows, key=lambda row: not any(effect.kind in SURE for effect in row.effects)
    )
    if len(every) > MOST:
        return comparison.summary()
    said = [f"{_name(row)} {_changed(row, comparison.within)}" for row in every]
    worse = len(comparison.regressions)
    return "; ".join([*said, *([f"less healthy or more divergences in {worse} cases"] if worse else [])])


def _differs(comparison: Comparison) -> bool:
    """Whether any of the lines that a sentence names surely differs."""
    return any(effect.kind in SURE for row in comparison.pooled or comparison.rows for effect in row.effects)


def _plain(heading: str) -> str:
    return heading.replace(" (A)", "").replace(" (B)", "")


def _name(row: Difference) -> str:
    return row.backend if row.over else f"{row.model} on {row.backend}"


def _changed(row: Difference, within: float) -> str:
    """Say what of a row surely differs, and what is not told."""
    if not row.effects:
        return f"can't be compared ({row.health})"
    changed = [effect for effect in row.effects if effect.kind in SURE]
    unsure = [effect for effect in row.effects if effect.kind == "not enough"]
    same = [effect for effect in row.effects if effect.kind == "same"]
    said = [WORDS[effect.measure].format(_times(effect)) for effect in changed]
    if unsure and same and not changed:
        said = [f"{WORDS[each.measure].format(_times(each))}, the same within {100 * within:g} %" for each in same]
    if unsure:
        which = listed([f"{HEADS[effect.measure]}, {_times(effect)}" for effect in unsure])
        said.append(f"can't tell for {which}" if said else f"shows no sure change ({which})")
    elif changed:
        said.append("nothing else changed")
    else:
        said.append(f"did not change, within {100 * within:g} %")
    return ", ".join(said)


def _times(effect: Effect) -> str:
    """Write a ratio with the interval that its verdict is read from."""
    low, high = effect.interval
    said = f"{number(effect.ratio, 3)} times"
    return f"{said} ({span((low, high), 3)})" if low > 0 and high < math.inf else said


def _blocks(comparison: Comparison) -> Iterator[Block]:
    pooled = {(row.backend, effect.measure): effect for row in comparison.pooled for effect in row.effects}
    for backend in dict.fromkeys(row.backend for row in comparison.rows):
        found = []
        for style, measure in enumerate(HEADS):
            dots = {
                f"{row.model} on {backend}, {row.dataset}, {HEADS[measure]}": effect.contrast
                for row in comparison.rows
                for effect in row.effects
                if (row.backend, effect.measure) == (backend, measure)
            }
            if dots:
                every = list(dots.values())
                one = every[0] if len(every) == 1 else mean_of([contrast.mean for contrast in every])
                mean = pooled[backend, measure].contrast if (backend, measure) in pooled else one
                found.append(Strip(HEADS[measure], style, dots, mean, backend))
        yield Block(backend, found)


def of_history(series: Sequence[Series], labels: Mapping[int, Sequence[str]], units: Mapping[str, str]) -> Finding:
    """Say which cases changed at which run.

    Parameters
    ----------
    series : sequence of Series
        Cases over runs.
    labels : mapping of int to sequence of str
        How the runs of each series are named, by its index.
    units : mapping of str to str
        What each measure is, with its unit.
    """
    steps = sorted(
        ((i, step) for i, one in enumerate(series) for step in one.steps),
        key=lambda each: (-abs(math.log(each[1].ratio)), each[0]),
    )
    runs = max((len(one.points) for one in series), default=0)
    cases = {_case(one) for one in series}
    if not steps:
        few = f"; it takes {2 * SHORTEST} runs to tell" if runs < 2 * SHORTEST else ""
        said = f"No change can be told in any of {len(cases):,} cases over {runs} runs{few}."
    else:
        said = f"{_step(series[steps[0][0]], steps[0][1])}."
        others = {_case(series[i]) for i, _ in steps} - {_case(series[steps[0][0]])}
        rest = len(cases) - len(others) - 1
        said += f" {len(others):,} more of {len(cases):,} cases changed at some run" if others else ""
        said += (
            "." if others else f" Nothing else changed ({rest:,} other case{'' if rest == 1 else 's'})." if rest else ""
        )
    shown = steps[0][0] if steps else max(range(len(series)), key=lambda i: len(series[i].points), default=None)
    figure = None
    if shown is not None:
        one = series[shown]
        note = "Geometric mean of the fits of a run, with its 95 % interval. Dashed: a change. Hollow: unhealthy."
        panel = timeline(one, labels[shown], units[one.measure])
        figure = Figure("first", f"{one.dataset}: {one.model} on {one.backend}", note, [("", [panel])], columns=1)
    sure = f"How sure: a change is marked in at most {100 * ALPHA:g} % of histories that have none."
    return Finding("What changed?", said, figure, sure)


def _case(one: Series) -> tuple[str, str, str, str]:
    return (one.family, one.dataset, one.model, one.backend)


def _step(one: Series, step: Step) -> str:
    """Say what changed, when, by how much and with which versions."""
    before, after = one.points[step.at - 1], one.points[step.at]
    new = changed(before.versions, after.versions)
    up = step.ratio > 1
    words = ("slower" if up else "faster") if one.measure in COSTS else ("faster" if up else "slower")
    measure = HEADS[one.measure]
    return (
        f"{one.model} on {one.backend} got {words} on {after.time[:10]} (run {after.run}): {measure} "
        f"{step.words} that of before, "
        f"{f'with {listed(new)}' if new else 'with no other version of the backend'}; data {one.dataset}"
    )
