"""The columns of the tables of a run: what stands in each for a case, and for each of its quantities."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.cells import best_of
from bench.comparing.rows import SHOWN_ERROR, Row
from bench.comparing.statistics import TrueEss
from bench.words import NOTHING, listed, number, span

MAX_QUANTITIES = 40
"""Of a case, in the table of quantities."""


class Column(NamedTuple):
    """A column of the table of a dataset: its head, what it means, and its text for a row and the best rate."""

    head: str
    meaning: str
    text: Callable[[Row, float | None], str]


def best_rate(rows: Sequence[Row], league: tuple[str, str]) -> float | None:
    """Return the largest rate of the healthy rows that share a family and a target.

    Parameters
    ----------
    rows : sequence of Row
        Cases of one dataset.
    league : (str, str)
        Family and target.
    """
    best = best_of(row for row in rows if row.league == league)
    return None if best is None else best.rate


def _of_best(row: Row, best: float | None) -> str:
    return f"{100 * row.rate / best:.0f} %" if row.healthy and row.rate and best else "not ranked"


def whose_programs(rows: Sequence[Row]) -> str:
    """Say which engines ran Stan programs, and which PyMC programs.

    Parameters
    ----------
    rows : sequence of Row
        All of them.
    """
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.fits:
            found.setdefault(row.first.language, {})[row.engine] = None
    names = {"stan": "Stan", "pymc": "PyMC"}
    return "; ".join(f"{names[of]} programs: {listed(list(found[of]))}" for of in names if of in found)


def _build(row: Row) -> str:
    return f"{number(row.build_seconds, 2)} {row.build_cache}".rstrip()


def _rate(row: Row, best: float | None) -> str:
    healthy, fits = len(row.healthy_fits), len(row.records)
    return number(row.rate) + (f" ({healthy} of {fits} fits)" if row.healthy and healthy < fits else "")


def _largest(row: Row, best: float | None) -> str:
    grade = row.worst_grade
    return f"{grade['largest']:.1f} of {grade['bound']:.1f}" if grade else NOTHING


def _sampling(row: Row, best: float | None) -> str:
    both = row.phases.get("warm-up and sampling")
    return f"{number(both, 2)} both" if both else number(row.phases.get("sampling"), 2)


TABLE = (
    Column("model", "", lambda row, best: row.model),
    Column("backend", "", lambda row, best: row.engine),
    Column("min ESS/s", "smallest bulk ESS of every quantity, per second of wall time", _rate),
    Column("slowest", "the quantity, or the element of one, that has it", lambda row, best: row.slowest),
    Column("95 % interval", "from replicates, on the log scale", lambda row, best: span(row.interval)),
    Column("of best", "share of the best healthy rate on this dataset of the same target", _of_best),
    Column("wall s", "from the call to all draws in memory, build aside", lambda row, best: number(row.wall_seconds)),
    Column("warm-up s", "part of the wall time", lambda row, best: number(row.phases.get("warm-up"), 2)),
    Column("sampling s", "part of the wall time; both: with warm-up, where a sampler has no clock for each", _sampling),
    Column(
        "reading s",
        "part of the wall time: from the sampler's end to arrays in memory",
        lambda row, best: number(row.phases.get("reading"), 2),
    ),
    Column(
        "other s",
        "the rest of the wall time: starting processes, waiting for the slowest chain",
        lambda row, best: number(row.phases.get("other"), 2),
    ),
    Column("build s", "the first build; disk or memory: it had been compiled before", lambda row, best: _build(row)),
    Column("diverg.", "divergent transitions after warm-up, all replicates", lambda row, best: f"{row.divergences:,}"),
    Column("R-hat", "largest of all quantities and replicates", lambda row, best: _rhat(row.max_rhat)),
    Column("max |z|", "largest error against the truth in its Monte Carlo errors, of its bound", _largest),
    Column(
        "error",
        "root mean square error of the means of the headline quantities, in true posterior sds",
        lambda row, best: number(row.error, 2),
    ),
    Column(
        f"s to {100 * SHOWN_ERROR:g} %",
        f"seconds until every headline quantity is known to {100 * SHOWN_ERROR:g} % of its posterior sd",
        lambda row, best: number(row.seconds_to_error, 2),
    ),
    Column("health", "why it is not ranked, if it is not", lambda row, best: row.verdict),
)


def _rhat(value: float | None) -> str:
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.3f}"


def _true_ess(found: TrueEss | None) -> str:
    if found is None:
        return NOTHING
    return f"{number(found.ess)} ({number(found.lower)} to {number(found.upper)})"


QUANTITIES = (
    "model", "backend", "quantity", "mean", "sd", "3 %", "50 %", "97 %", "MCSE", "bulk ESS", "tail ESS",
    "true ESS (95 % interval)", "R-hat",
    "truth", "true mean", "true sd", "true 3 %", "true 97 %",
)  # fmt: skip


def quantity_lines(rows: Sequence[Row], most: int = MAX_QUANTITIES) -> list[tuple[str, ...]]:
    """Return the lines of the table of quantities, as text.

    Parameters
    ----------
    rows : sequence of Row
        Cases of one dataset.
    most : int
        Quantities of a case; of what is beyond, a line says how many there are.
    """
    lines = []
    for row in rows:
        lines += [_quantity_line(row, name) for name in row.quantities[:most]]
        if len(row.quantities) > most:
            rest = f"and {len(row.quantities) - most:,} more, all faster"
            lines.append((row.model, row.engine, rest, *[""] * (len(QUANTITIES) - 3)))
    return lines


def _quantity_line(row: Row, name: str) -> tuple[str, ...]:
    q = row.quantity(name)
    assert q is not None
    known = row.known.get(name, {})
    values = [q.mean, q.sd, q.q3, q.q50, q.q97, q.mcse]
    sizes = ("constant", "constant") if q.constant else (number(q.ess_bulk), number(q.ess_tail))
    true = [known.get(field) for field in ("mean", "sd", "q3", "q97")]
    return (
        row.model,
        row.engine,
        q.element,
        *map(number, values),
        *sizes,
        _true_ess(row.true_ess(name)),
        _rhat(q.rhat),
        row.truth if known else NOTHING,
        *map(number, true),
    )
