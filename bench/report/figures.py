"""The pictures of a report: which they are and what each one holds."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from bench.comparing.cost import PHASES
from bench.comparing.crossing import Crossing
from bench.comparing.factors import Factor, factors
from bench.comparing.rows import Row, headline
from bench.report.figure import Figure, axis, figure_id, title_of
from bench.report.panels import Curve, Dot, Group, Line, Mark, Tile, curves, lines, tiles
from bench.report.svg import Panel, Scale, short
from bench.words import number, posterior_words, span

T = TypeVar("T")

MAX_ACROSS = 12
MAX_LEVELS = 4
MAX_TILES = 60
MAX_DOTS = 600
MAX_FACTORS = 4
MAX_QUANTITIES = 8
MAX_MODELS = 8  # of a family; there are as many colours in `chart.css`
FEW_QUANTITIES = 4  # where none is a headline
COLOURS = 4  # of quantities, in `chart.css`


class Pictures:
    """Makes the figures of some rows; what has no data has no figure.

    Parameters
    ----------
    rows : sequence of Row
        What to show; colours and markers follow the order of its models.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        """Keep the rows and give each model its colour."""
        self.rows = rows
        self.style = {model: i for i, model in enumerate(dict.fromkeys(row.model for row in rows))}
        self.engines = list(dict.fromkeys(row.engine for row in rows))

    def overall(self) -> list[Figure]:
        """Return the figures over all datasets, family by family."""
        families = dict.fromkeys(row.family for row in self.rows)
        found: list[Figure | None] = []
        for family in families:
            rows = [row for row in self.rows if row.family == family]
            if len({row.model for row in rows}) > MAX_MODELS:
                continue
            name = family if len(families) > 1 else ""
            differ = factors(rows)
            found += [self._rate_by(name, rows, factor, differ) for factor in differ[:MAX_FACTORS]]
            found += [self._error(name, rows), self._divergences(name, rows, differ)]
        return [figure for figure in found if figure is not None]

    def of_dataset(self, rows: Sequence[Row]) -> list[Figure]:
        """Return the figures of the rows of one dataset."""
        rows = [row for row in rows if row.fits]
        found = [self._rates(rows), self._times(rows), self._ess(rows), self._intervals(rows)] if rows else []
        return [figure for figure in found if figure is not None]

    def crossing(self, of: Sequence[Crossing]) -> list[Figure]:
        """Return the picture of where differences come from, of one crossing for each model and engine; none of none.

        Parameters
        ----------
        of : sequence of Crossing
            Each over all datasets of its model.
        """
        if not of:
            return []
        both = [each.contrasts[part] for each in of for part in ("gradients", "sampler") if each.changed(part)]
        ends = [end for contrast in both for end in (contrast.ratio, *(contrast.interval or ()))]
        x = Scale.over([1.0, *ends], f"times the CPU time of {of[0].a} for an effective draw", log=True)
        ordered = sorted(of, key=lambda each: self.style[each.model])
        panels = []
        for part in ("gradients", "sampler"):
            groups = []
            for model, of_model in groupby(ordered, lambda each: each.model):
                rows = [Line(each.b, each.b, [_part(each, part, self.style[model])]) for each in of_model]
                groups.append(Group(model, self.style[model], rows))
            panels.append(lines(f"by the {part}", x, groups))
        note = (
            "Each engine against the first, in CPU time for an effective draw, over all datasets, with 95 % intervals. "
            "The product of left and right is the whole difference. A part at 1 without an interval is shared by both. "
            "Steps that change one of the two alone lead from engine to engine; see the table of steps."
        )
        return [Figure("crossing", "Where a difference comes from", note, [("", panels)])]

    def _rate_by(self, family: str, rows: Sequence[Row], factor: Factor, differ: Sequence[Factor]) -> Figure | None:
        """Draw rates by one number, a row of panels for each level of another, if there is one."""
        others = [other for other in differ if other != factor]
        other = next((each for each in others if each.size != factor.size), next(iter(others), None))
        once: dict[tuple[str, str, float, str], Row] = {}
        every = [row for row in rows if row.rate and factor.of(row) is not None and (not other or other.level(row))]
        for row in every:
            once.setdefault((row.model, row.engine, factor.of(row) or 0.0, other.level(row) if other else ""), row)
        at, levels = (sorted({key[2] for key in once}), list(dict.fromkeys(key[3] for key in once)))
        if len(at) < 2:
            return None
        shown = {*_spread(at, MAX_ACROSS)}, {*_spread(levels, MAX_LEVELS)}
        rows = [row for key, row in once.items() if key[2] in shown[0] and key[3] in shown[1]]
        x, y = axis(factor), Scale.over(_ends(rows), "min ESS/s", log=True)
        parts = []
        for level in _spread(levels, MAX_LEVELS):
            panels = []
            for engine in self.engines:
                here = [row for row in rows if row.engine == engine and (not other or other.level(row) == level)]
                if here:
                    drawn = self._curves(here, lambda row: factor.of(row) or 0.0, lambda row: row.rate)
                    head = engine if len(self.engines) > 1 else level or engine
                    panels.append(curves(head, x, y, drawn, backend=here[0].backend))
            parts.append((level, panels))
        note = (
            "Smallest bulk ESS of every quantity per second of wall time, with 95 % intervals from replicates. "
            "Hollow: unhealthy, not ranked, not joined."
        )
        if len(once) < len(every):
            note += f" Of datasets with the same {factor.name}{f' and {other.name}' if other else ''}, the first."
        if len(rows) < len(once):
            note += f" {len(rows):,} of {len(once):,} cases, spread over the range; all are in results.csv."
        title = f"Effective draws per second by {factor.label}{title_of(family)}"
        return self._grid(figure_id(family, factor.name), title, note, parts, self._legend(rows))

    def _error(self, family: str, rows: Sequence[Row]) -> Figure | None:
        rows = [row for row in rows if row.error and row.wall_seconds][:MAX_DOTS]
        if not rows:
            return None
        x = Scale.over((row.wall_seconds for row in rows), "wall time (s)", log=True)
        y = Scale.over((row.error for row in rows), "error of the means (sd)", log=True)
        panels = []
        for engine in self.engines:
            here = [row for row in rows if row.engine == engine]
            if here:
                drawn = self._curves(here, lambda row: row.wall_seconds or 0.0, lambda row: row.error)
                panels.append(curves(engine, x, y, drawn, backend=here[0].backend, joined=False))
        note = (
            "One mark for each model and dataset: root mean square error of the posterior means of the headline "
            f"quantities against the {_truths(rows)}, over replicates. Lower left is better. Hollow: unhealthy."
        )
        title = f"Wall time against error{title_of(family)}"
        return Figure(
            figure_id(family, "error"), title, note, [("", panels)], self._legend(rows), columns=len(self.engines)
        )

    def _legend(self, rows: Sequence[Row]) -> list[tuple[str, str]]:
        models = {row.model for row in rows}
        return [(f"s{i % 8}", model) for model, i in self.style.items() if model in models]

    def _grid(
        self,
        id_: str,
        title: str,
        note: str,
        parts: list[tuple[str, list[Panel]]],
        legend: Sequence[tuple[str, str]] = (),
    ) -> Figure:
        """Make a figure with a row for each part and a column for each engine; one engine's parts stand in one row."""
        if len(self.engines) > 1:
            return Figure(id_, title, note, parts, legend, columns=len(self.engines))
        panels = [panel for _, of_part in parts for panel in of_part]
        return Figure(id_, title, note, [("", panels)], legend, columns=max(4, min(6, len(panels))))

    def _curves(self, rows: Sequence[Row], x: Callable[[Row], float], y: Callable[[Row], float | None]) -> list[Curve]:
        found = []
        for model in self.style:
            dots = [
                Dot(
                    x(row),
                    value,
                    f"{row.name}, {row.dataset}: {_facts(row)}",
                    row.interval if value == row.rate else None,
                    not row.healthy,
                )
                for row in rows
                if row.model == model and (value := y(row)) is not None
            ]
            if dots:
                found.append(Curve(model, self.style[model], dots))
        return found

    def _divergences(self, family: str, rows: Sequence[Row], differ: Sequence[Factor]) -> Figure | None:
        """Draw a map over the first generating value and the first size that differ; one of them is enough."""
        first = [next((factor for factor in differ if factor.size == size), None) for size in (False, True)]
        axes = [factor for factor in first if factor is not None]
        rows = [row for row in rows if row.transitions and all(factor.of(row) is not None for factor in axes)]
        if not axes or not rows or math.prod(len(factor.values) for factor in axes) > MAX_TILES:
            return None
        x, y = axes[0], axes[1] if len(axes) > 1 else None
        across = (x.name, [short(value) for value in x.values])
        down = (y.name, [short(value) for value in y.values]) if y else ("", [""])
        parts = []
        for model in self.style:
            panels = []
            for engine in self.engines:
                here = [row for row in rows if (row.model, row.engine) == (model, engine)]
                if here:
                    head = engine if len(self.engines) > 1 else model
                    found = list(_divergence_tiles(here, x, y))
                    panels.append(tiles(head, across, down, found, backend=here[0].backend, model=model))
            if panels:
                parts.append((model, panels))
        over = " and ".join(factor.name for factor in axes)
        note = (
            f"Divergent transitions after warm-up, all replicates and datasets of that {over}. The colour is their "
            "share on a log scale: none to 10 % and more. Empty: no fit."
        )
        return self._grid(figure_id(family, "divergences"), f"Divergences over {over}{title_of(family)}", note, parts)

    def _groups(self, rows: Sequence[Row], marks: Callable[[Row], Sequence[Mark]]) -> list[Group]:
        return [
            Group(model, self.style[model], [Line(_label(row), row.backend, marks(row)) for row in of_model])
            for model, of_model in groupby(sorted(rows, key=lambda row: self.style[row.model]), lambda row: row.model)
        ]

    def _rates(self, rows: Sequence[Row]) -> Figure | None:
        shown = [row for row in rows if row.rate]
        if not shown:
            return None
        x = Scale.over(_ends(shown), "min ESS/s, 95 % interval", log=True)

        def marks(row: Row) -> list[Mark]:
            low, high = row.interval or (None, None)
            return [
                Mark(f"{row.name}: {_facts(row)}", row.rate, low, high, None, self.style[row.model], not row.healthy)
            ]

        panels = self._by_target(shown, x, marks)
        note = f"Further right is better; intervals may end beyond the axis. {STAR}"
        if len(panels) > 1:
            note += " Different posteriors answer different questions."
        return Figure("rates", "Effective draws per second", note, [("", panels)])

    def _times(self, rows: Sequence[Row]) -> Figure | None:
        def parts(row: Row) -> Iterator[Mark]:
            end = 0.0
            for i, name in enumerate(PHASES):
                seconds = row.phases.get(name)
                if seconds:
                    yield Mark(f"{row.name}: {name} {number(seconds)} s", None, end, end + seconds, f"t{i}")
                    end += seconds

        def build(row: Row) -> list[Mark]:
            seconds = row.build_seconds
            if not seconds:
                return []
            tip = f"{row.name}: build {number(seconds)} s" + (f" ({row.build_cache})" if row.build_cache else "")
            return [Mark(tip, seconds, colour="t5", shape=0, hollow=bool(row.build_cache))]

        wall = Scale.over((row.wall_seconds for row in rows), "wall time (s)", zero=True)
        before = Scale.over((row.build_seconds for row in rows), "first build (s)", log=True)
        used = [(f"t{i}", name) for i, name in enumerate(PHASES) if any(row.phases.get(name) for row in rows)]
        panels = [
            lines("Wall time of a fit", wall, self._groups(rows, lambda row: list(parts(row)))),
            lines("Build, before the wall time", before, self._groups(rows, build)),
        ]
        note = (
            "Geometric mean over replicates. Seconds of chains that ran at the same time are divided by their number; "
            "other: starting processes, waiting for the slowest chain. Builds: filled from an empty cache, hollow from "
            f"a warm one. {STAR}"
        )
        return Figure("times", "Where the time goes", note, [("", panels)], used)

    def _ess(self, rows: Sequence[Row]) -> Figure | None:
        names = _shown(rows)
        if not names:
            return None
        found = {(row.name, name): row.quantity(name) for row in rows for name in names}
        x = Scale.over((q.ess_bulk for q in found.values() if q), "bulk ESS, smallest of the replicates", log=True)

        def marks(row: Row) -> list[Mark]:
            return [
                Mark(
                    f"{row.name}: {q.element} bulk ESS {number(q.ess_bulk)}, tail ESS {number(q.ess_tail)}",
                    q.ess_bulk, colour=f"q{i % COLOURS}", shape=i, hollow=not row.healthy,
                )
                for i, name in enumerate(names)
                if (q := found[row.name, name]) and math.isfinite(q.ess_bulk)
            ]  # fmt: skip

        legend = [(f"q{i % COLOURS}", _element(rows, name)) for i, name in enumerate(names)]
        note = f"Headline quantities and the slowest other one. {STAR}"
        panels = self._by_target(rows, x, marks)
        return Figure("ess", "Effective sample size of each quantity", note, [("", panels)], legend)

    def _by_target(self, rows: Sequence[Row], x: Scale, marks: Callable[[Row], Sequence[Mark]]) -> list[Panel]:
        return [
            lines(posterior_words(league[1]), x, self._groups([row for row in rows if row.league == league], marks))
            for league in dict.fromkeys(row.league for row in rows)
        ]

    def _intervals(self, rows: Sequence[Row]) -> Figure | None:
        parts = []
        for league in dict.fromkeys(row.league for row in rows):
            here = [row for row in rows if row.league == league]
            truth = next((row.known for row in here if row.known), {})
            panels = []
            for name in _shown(here):
                element, shown = _of_one_element(here, name)
                known = truth.get(name, {})
                low, middle, high = (known.get(field) for field in ("q3", "mean", "q97"))
                trusted = [row for row in shown if row.healthy] or shown
                ends = [e for row in trusted if (q := row.quantity(name)) for e in (q.q3, q.q97)]
                x = Scale.over([*ends, low, high], f"{element}, 3 % to 97 %")
                groups = self._groups(shown, lambda row, name=name: [self._interval(row, name)])  # type: ignore[misc]
                if low is not None and middle is not None and high is not None:
                    band = (low, middle, high)
                    groups = [Group(g.model, g.style, g.lines, band) for g in groups]
                panels.append(lines(element, x, groups))
            if panels:
                parts.append((posterior_words(league[1]), panels))
        if not parts:
            return None
        note = (
            "Mean and 3 % to 97 % interval of each fit, averaged over replicates: the headline quantities, and the "
            "slowest other one. Of an array: the element that is the slowest in most cases, where it is. "
            f"{f'Grey: the same of the {truths}. ' if (truths := _truths(rows)) else ''}{STAR}"
        )
        return Figure("intervals", "Posterior intervals", note, parts, columns=3)

    def _interval(self, row: Row, name: str) -> Mark:
        q = row.quantity(name)
        assert q is not None
        tip = f"{row.name}: {q.element} {number(q.mean)} ({number(q.q3)} to {number(q.q97)})"
        if name in row.known:
            mean, low, high = (number(row.known[name].get(field)) for field in ("mean", "q3", "q97"))
            tip += f"; {row.truth} {mean} ({low} to {high})"
        return Mark(tip, q.mean, q.q3, q.q97, None, self.style[row.model], not row.healthy)


def _part(crossing: Crossing, part: str, style: int) -> Mark:
    low, high = crossing.contrasts[part].interval or (None, None)
    tip = f"{crossing.model} on {crossing.b}, by the {part}: {crossing.shown(part)}; steps: {' → '.join(crossing.path)}"
    return Mark(tip, crossing.contrasts[part].ratio, low, high, None, style)


STAR = "An asterisk: unhealthy, not ranked."


def _truths(rows: Iterable[Row]) -> str:
    return " or ".join(dict.fromkeys(row.truth for row in rows if row.truth))


def _shown(rows: Sequence[Row]) -> list[str]:
    """Names of the headline quantities of some rows and of the slowest other one; of the slowest few without these."""
    slowest: dict[str, float] = {}
    for row in rows:
        for name in row.quantities:
            if (q := row.quantity(name)) and math.isfinite(q.ess_bulk):
                slowest[name] = min(slowest.get(name, math.inf), q.ess_bulk)
    first = [name for name in headline([row.first for row in rows]) if name in slowest][: MAX_QUANTITIES - 1]
    others = sorted(slowest.keys() - set(first), key=lambda name: (slowest[name], name))
    return [*first, *others[: 1 if first else FEW_QUANTITIES]]


def _of_one_element(rows: Sequence[Row], name: str) -> tuple[str, list[Row]]:
    """Return the element of a quantity that most rows have, since intervals of different ones can't be compared."""
    elements = [(q.element, row) for row in rows if (q := row.quantity(name))]
    most = Counter(element for element, _ in elements).most_common(1)[0][0]
    return most, [row for element, row in elements if element == most]


def _element(rows: Sequence[Row], name: str) -> str:
    """Name a quantity, and say if it is an array of which each fit shows an element."""
    elements = {q.element for row in rows if (q := row.quantity(name))}
    return name if elements == {name} else f"{name}, the slowest element of each fit"


def _label(row: Row) -> str:
    return row.engine if row.healthy else f"{row.engine} *"


def _facts(row: Row) -> str:
    facts = f"{number(row.rate)} ESS/s"
    if row.interval:
        facts += f" ({span(row.interval)})"
    facts += f", {number(row.wall_seconds)} s"
    if row.error is not None:
        facts += f", error {number(row.error, 2)} sd"
    return facts if row.healthy else f"{facts}; {row.verdict}"


def _ends(rows: Iterable[Row]) -> Iterator[float | None]:
    """Rates and, unless they are so wide that they would flatten the rest, ends of their intervals."""
    for row in rows:
        yield row.rate
        if row.interval and row.interval[1] < 100 * row.interval[0]:
            yield from row.interval


def _spread(levels: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of the levels, the first and the last among them."""
    if len(levels) <= most:
        return levels
    return [levels[round(i * (len(levels) - 1) / (most - 1))] for i in range(most)]


def _divergence_tiles(rows: Sequence[Row], x: Factor, y: Factor | None) -> Iterator[Tile]:
    def place(row: Row) -> tuple[int, int]:
        return x.values.index(x.of(row) or 0.0), y.values.index(y.of(row) or 0.0) if y else 0

    for (column, line), found in groupby(sorted(rows, key=place), place):
        here = list(found)
        count, of = sum(row.divergences for row in here), sum(row.transitions for row in here)
        share = count / of
        strength = 0.0 if not count else min(1.0, max(0.12, 1 + math.log10(share / 0.1) / 4))
        where = ", ".join(row.dataset for row in here)
        tip = f"{here[0].name}: {count:,} of {of:,} transitions ({100 * share:.2g} %); {where}"
        yield Tile(column, line, strength, short(count), tip)
