"""The pictures of a report: which they are and what each one holds."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from bench.records import Record
from bench.report.svg import Group, Line, Mark, Panel, Point, Scale, Series, Tile, curves, lines, sheet, short, tiles
from bench.report.tables import PHASES, SCALARS, Row, number, span, summarise

T = TypeVar("T")

CSS = Path(__file__).with_name("chart.css")
MAX_ACROSS = 12
MAX_LEVELS = 4
MAX_TILES = 60
MAX_POINTS = 600


@dataclass(frozen=True)
class Figure:
    """Panels that belong together.

    Attributes
    ----------
    id, title, note : str
        Its name in a file name, its heading, and how to read it.
    parts : sequence of (str, sequence of Panel)
        Panels in rows, each with its heading.
    legend : sequence of (str, str)
        Class of a colour and what it stands for; the markers follow in their order.
    columns : int
        Panels beside each other where there is room.
    """

    id: str
    title: str
    note: str
    parts: Sequence[tuple[str, Sequence[Panel]]]
    legend: Sequence[tuple[str, str]] = ()
    columns: int = 2

    @property
    def width(self) -> int:
        """Width of its widest panel, in pixels."""
        return max(panel.width for _, panels in self.parts for panel in panels)


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
        self.legend = [(f"s{i % 8}", model) for model, i in self.style.items()]

    def overall(self) -> list[Figure]:
        """Return the figures over all datasets."""
        found = [self._rate_by_groups(), self._rate_by_omega(), self._error(), self._divergences()]
        return [figure for figure in found if figure is not None]

    def of_dataset(self, rows: Sequence[Row]) -> list[Figure]:
        """Return the figures of the rows of one dataset."""
        rows = [row for row in rows if row.fits]
        found = [self._rates(rows), self._times(rows), self._ess(rows), self._intervals(rows)] if rows else []
        return [figure for figure in found if figure is not None]

    def _rate_by_groups(self) -> Figure | None:
        return self._rate_by(
            "groups",
            "Effective draws per second by number of groups",
            Scale.over((row.first.n_groups for row in self.rows if row.omega), "number of groups, G", log=True, few=6),
            lambda row: float(row.first.n_groups),
            lambda row: f"omega {row.omega:g}",
        )

    def _rate_by_omega(self) -> Figure | None:
        return self._rate_by(
            "omega",
            "Effective draws per second by omega",
            Scale.over((row.omega for row in self.rows), "omega, sd of the group means (unit of y)", log=True, few=6),
            lambda row: row.omega or math.nan,
            lambda row: f"G = {row.first.n_groups}",
        )

    def _rate_by(
        self, id_: str, title: str, x: Scale, of: Callable[[Row], float], part: Callable[[Row], str]
    ) -> Figure | None:
        once: dict[tuple[str, str, float, str], Row] = {}
        for row in self.rows:
            if row.rate and row.omega:
                once.setdefault((row.model, row.engine, of(row), part(row)), row)
        at, levels = (sorted({key[2] for key in once}), list(dict.fromkeys(key[3] for key in once)))
        if len(at) < 2:
            return None
        shown = {*_spread(at, MAX_ACROSS), *_spread(levels, MAX_LEVELS)}
        rows = [row for key, row in once.items() if {key[2], key[3]} <= shown]
        y = Scale.over(_ends(rows), "min ESS/s", log=True)
        parts = []
        for level in _spread(levels, MAX_LEVELS):
            panels = []
            for engine in self.engines:
                here = [row for row in rows if row.engine == engine and part(row) == level]
                if here:
                    series = self._series(here, of, lambda row: row.rate)
                    head = engine if len(self.engines) > 1 else level
                    panels.append(curves(head, x, y, series, backend=here[0].backend))
            parts.append((level, panels))
        note = (
            "Smallest bulk ESS of mu, sigma, omega and all mu_g per second of wall time, with 95 % intervals from "
            "replicates. Hollow: unhealthy, not ranked, not joined."
        )
        if len(once) < sum(bool(row.rate and row.omega) for row in self.rows):
            note += " Of datasets with the same omega and G, the first."
        if len(rows) < len(once):
            note += f" {len(rows):,} of {len(once):,} cases, spread over the range; all are in results.csv."
        return self._grid(id_, title, note, parts, self.legend)

    def _error(self) -> Figure | None:
        rows = [row for row in self.rows if row.error and row.wall_seconds][:MAX_POINTS]
        if not rows:
            return None
        x = Scale.over((row.wall_seconds for row in rows), "wall time (s)", log=True)
        y = Scale.over((row.error for row in rows), "error of the means (sd)", log=True)
        panels = []
        for engine in self.engines:
            here = [row for row in rows if row.engine == engine]
            if here:
                series = self._series(here, lambda row: row.wall_seconds or 0.0, lambda row: row.error)
                panels.append(curves(engine, x, y, series, backend=here[0].backend, joined=False))
        note = (
            "One point for each model and dataset: root mean square error of the posterior means of mu, sigma and "
            "omega against the exact posterior, over replicates. Lower left is better. Hollow: unhealthy."
        )
        return Figure("error", "Wall time against error", note, [("", panels)], self.legend, columns=len(self.engines))

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

    def _series(self, rows: Sequence[Row], x: Callable[[Row], float], y: Callable[[Row], float | None]) -> list[Series]:
        found = []
        for model in self.style:
            points = [
                Point(
                    x(row),
                    value,
                    f"{row.name}, {row.dataset}: {_facts(row)}",
                    row.interval if value == row.rate else None,
                    not row.healthy,
                )
                for row in rows
                if row.model == model and (value := y(row)) is not None
            ]
            if points:
                found.append(Series(model, self.style[model], points))
        return found

    def _divergences(self) -> Figure | None:
        rows = [row for row in self.rows if row.omega and row.transitions]
        omegas = sorted({row.omega for row in rows if row.omega})
        sizes = sorted({row.first.n_groups for row in rows})
        if not 1 < len(omegas) * len(sizes) <= MAX_TILES:
            return None
        parts = []
        for model in self.style:
            panels = []
            for engine in self.engines:
                here = [row for row in rows if (row.model, row.engine) == (model, engine)]
                if here:
                    x = ("omega", [short(omega) for omega in omegas])
                    y = ("G", [short(size) for size in sizes])
                    cells = list(_divergence_tiles(here, omegas, sizes))
                    head = engine if len(self.engines) > 1 else model
                    panels.append(tiles(head, x, y, cells, backend=here[0].backend, model=model))
            parts.append((model, panels))
        note = (
            "Divergent transitions after warm-up, all replicates and datasets of that omega and G. The colour is their "
            "share on a log scale: none to 10 % and more. Empty: no fit."
        )
        return self._grid("divergences", "Divergences over omega and G", note, parts)

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

        panels = self._by_posterior(shown, x, marks)
        note = (
            f"Further right is better; intervals may end beyond the axis. {STAR} "
            "Different posteriors answer different questions."
        )
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
            cache = next((r.prepare_cache for r in row.records if r.prepare_cache), "")
            return [Mark(f"{row.name}: build {number(seconds)} s ({cache})", seconds, colour="t5", shape=0)]

        wall = Scale.over((row.wall_seconds for row in rows), "wall time (s)", zero=True)
        before = Scale.over((row.build_seconds for row in rows), "first build (s)", log=True)
        used = [(f"t{i}", name) for i, name in enumerate(PHASES) if any(row.phases.get(name) for row in rows)]
        panels = [
            lines("Wall time of a fit", wall, self._groups(rows, lambda row: list(parts(row)))),
            lines("Build, before the wall time", before, self._groups(rows, build)),
        ]
        note = (
            "Geometric mean over replicates. Seconds of chains that ran at the same time are divided by their number; "
            f"other: starting processes, waiting for the slowest chain. {STAR}"
        )
        return Figure("times", "Where the time goes", note, [("", panels)], used)

    def _ess(self, rows: Sequence[Row]) -> Figure | None:
        names = (*SCALARS, "mu_g")
        found = {(row.name, name): row.quantity(name) for row in rows for name in names}
        x = Scale.over((q.ess_bulk for q in found.values() if q), "bulk ESS, smallest of the replicates", log=True)

        def marks(row: Row) -> list[Mark]:
            return [
                Mark(
                    f"{row.name}: {name} bulk ESS {number(q.ess_bulk)}, tail ESS {number(q.ess_tail)}",
                    q.ess_bulk, colour=f"q{i}", shape=i, hollow=not row.healthy,
                )
                for i, name in enumerate(names)
                if (q := found[row.name, name]) and math.isfinite(q.ess_bulk)
            ]  # fmt: skip

        legend = [(f"q{i}", name if name != "mu_g" else "mu_g with the smallest ESS") for i, name in enumerate(names)]
        panels = self._by_posterior(rows, x, marks)
        return Figure("ess", "Effective sample size of each parameter", STAR, [("", panels)], legend)

    def _by_posterior(self, rows: Sequence[Row], x: Scale, marks: Callable[[Row], Sequence[Mark]]) -> list[Panel]:
        posteriors = dict.fromkeys(row.first.posterior for row in rows)
        return [
            lines(_words(posterior), x, self._groups([r for r in rows if r.first.posterior == posterior], marks))
            for posterior in posteriors
        ]

    def _intervals(self, rows: Sequence[Row]) -> Figure | None:
        parts = []
        for posterior in dict.fromkeys(row.first.posterior for row in rows):
            here = [row for row in rows if row.first.posterior == posterior]
            exact = next((row.exact for row in here if row.exact), {})
            panels = []
            for name in SCALARS:
                shown = [row for row in here if row.quantity(name)]
                if not shown:
                    continue
                known = exact.get(name)
                trusted = [row for row in shown if row.healthy] or shown
                ends = [e for row in trusted if (q := row.quantity(name)) for e in (q.q3, q.q97)]
                ends += [known["q3"], known["q97"]] if known else []
                x = Scale.over(ends, f"{name} (unit of y), 3 % to 97 %")
                groups = self._groups(shown, lambda row, name=name: [self._interval(row, name)])  # type: ignore[misc]
                if known:
                    band = (known["q3"], known["mean"], known["q97"])
                    groups = [Group(g.model, g.style, g.lines, band) for g in groups]
                panels.append(lines(name, x, groups))
            parts.append((f"{_words(posterior)}", panels))
        note = (
            "Mean and 3 % to 97 % interval of each fit, averaged over replicates. Grey: the same of the exact "
            f"posterior. {STAR}"
        )
        return Figure("intervals", "Posterior intervals beside the exact ones", note, parts, columns=3)

    def _interval(self, row: Row, name: str) -> Mark:
        q = row.quantity(name)
        assert q is not None
        tip = f"{row.name}: {name} {number(q.mean)} ({number(q.q3)} to {number(q.q97)})"
        if name in row.exact:
            known = row.exact[name]
            tip += f"; exact {number(known['mean'])} ({number(known['q3'])} to {number(known['q97'])})"
        return Mark(tip, q.mean, q.q3, q.q97, None, self.style[row.model], not row.healthy)


STAR = "An asterisk and a hollow marker: unhealthy, not ranked."


def static(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write the pictures over all datasets, and those of the first one, as SVG files into a folder.

    Parameters
    ----------
    records : sequence of Record
        What to show.
    folder : Path
        It is made if it is missing.
    """
    pictures = Pictures(summarise(records))
    first = [row for row in pictures.rows if row.dataset == records[0].dataset]
    return save([*pictures.overall(), *pictures.of_dataset(first)], folder)


def save(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Write figures as SVG files into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    css, written = CSS.read_text(encoding="utf-8"), []
    for figure in figures:
        path = folder / f"{figure.id}.svg"
        path.write_text(sheet(figure.parts, figure.columns, css, figure.legend), encoding="utf-8")
        written.append(path)
    return written


def _words(name: str) -> str:
    return name.replace("_", " ") + " posterior"


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


def _divergence_tiles(rows: Sequence[Row], omegas: Sequence[float], sizes: Sequence[int]) -> Iterator[Tile]:
    def place(row: Row) -> tuple[int, int]:
        return omegas.index(row.omega or 0.0), sizes.index(row.first.n_groups)

    for (column, line), found in groupby(sorted(rows, key=place), place):
        here = list(found)
        count, of = sum(row.divergences for row in here), sum(row.transitions for row in here)
        share = count / of
        strength = 0.0 if not count else min(1.0, max(0.12, 1 + math.log10(share / 0.1) / 4))
        where = ", ".join(row.dataset for row in here)
        tip = f"{here[0].name}: {count:,} of {of:,} transitions ({100 * share:.2g} %); {where}"
        yield Tile(column, line, strength, short(count), tip)
