"""What a run prints: a line for each fit, and at its end a table to decide from."""

import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from bench.bias import BIASED
from bench.cells import baseline, cells, ranked
from bench.comparing.across import Across
from bench.comparing.ratios import FIT, compared, key, times
from bench.comparing.rows import Row, summarise
from bench.comparing.verdict import uncompared, which_backend
from bench.records import Record
from bench.words import NOTHING, number, printable, span

WIDTH = 120
"""Of text that has no columns."""


class Progress:
    """Lines of progress.

    Parameters
    ----------
    total : int
        Fits of the whole run.
    write : callable
        Prints a line.
    """

    def __init__(self, total: int, write: Callable[[str], None]) -> None:
        """Start the clock."""
        self._total, self._write = total, write
        self._done = self._measured = 0
        self._started = time.monotonic()

    def skip(self, fits: int) -> None:
        """Count fits that an earlier process made."""
        self._done += fits

    def say(self, line: str) -> None:
        """Print a line about something else than a fit."""
        self._write(printable(line))

    def tell(self, record: Record) -> None:
        """Print a line for a fit."""
        self._done += 1
        self._measured += 1
        what = f"{record.dataset} {record.model} {record.backend}"
        remaining = self._total - self._done
        seconds = remaining * (time.monotonic() - self._started) / self._measured
        left = f"{remaining} left, about {_duration(seconds)}" if remaining else "the last"
        self._write(
            f"[{self._done:{len(str(self._total))}}/{self._total}] {printable(what):<62} {fit_outcome(record)}  "
            f"({left})"
        )


def fit_outcome(record: Record) -> str:
    """Say in one line what became of a fit."""
    if record.status != "ok":
        return f"{record.status}: {printable(record.reason.splitlines()[0])[:90]}"
    return (
        f"{number(record.wall_seconds):>7} s  min ESS {record.min_ess_bulk or 0:5.0f}  "
        f"{'-' if record.divergences is None else record.divergences:>4} divergent"
        f"{'' if record.healthy else '  unhealthy'}"
    )


def summary(records: Sequence[Record]) -> Iterator[str]:
    """Yield the lines of the summary: for each dataset and model, what each backend took and gave.

    Parameters
    ----------
    records : sequence of Record
        Those of one run.
    """
    rows = summarise(records)
    across = Across.of(rows)
    base = baseline(rows)
    families = len({row.family for row in rows})
    replicates = max((len(row.fits) for row in rows), default=0)
    interval = " (95 % interval)" if replicates > 1 else ""
    heads = ("model", "backend", "wall s", f"min ESS/s{interval}", f"ratio{interval}", "divergent", "health")
    references = {key(row): row for row in rows if row.backend == base}
    table = [(row, _line(row, references.get(key(row)))) for row in rows]
    wide = [max(map(len, column)) + 2 for column in zip(heads, *(line for _, line in table), strict=True)]
    yield f"min ESS/s: smallest bulk ESS of every quantity, per second of wall time; ratio: to {base}"
    for (family, dataset), of_dataset in groupby(table, key=lambda each: (each[0].family, each[0].dataset)):
        here = list(of_dataset)
        yield ""
        yield printable(f"{family.replace('_', ' ')}: {dataset}" if families > 1 else dataset)
        yield _padded(heads, wide)
        for _, of_model in groupby(here, key=lambda each: each[0].model):
            for i, (_, line) in enumerate(of_model):
                yield _padded(("" if i else line[0], *line[1:]), wide)
        for target in dict.fromkeys(row.target for row, _ in here if across is None):
            ranked = _ranking([row for row, _ in here if row.target == target])
            yield f"  fastest healthy, {target.replace('_', ' ')}: {ranked}"
    if across is not None:
        yield ""
        yield from map(printable, across.lines())
    if said := uncompared(records):
        yield ""
        yield printable(said)
    if replicates < 2:
        yield ""
        yield "One replicate: ratios of single runs are noisy. For intervals: --replicates 5"


def sentence(records: Sequence[Record]) -> list[str]:
    """Return the lines of what the page says first, of every family.

    Parameters
    ----------
    records : sequence of Record
        Those of one run.
    """
    rows = summarise(records)
    across = Across.of(rows)
    said = which_backend(rows) if across is None else [" ".join(across.answer)]
    return [line for each in said for line in textwrap.wrap(printable(each), WIDTH, break_on_hyphens=False)]


def biased(records: Sequence[Record]) -> list[str]:
    """Return a line for each case that is off the truth, by one of its fits or by all together.

    Parameters
    ----------
    records : sequence of Record
        Those of one run.
    """
    found = []
    for cell in cells(records):
        flags = [flag for record in cell.records for flag in record.health if flag.startswith(BIASED)]
        if flags:
            which = f"{cell.case}, {cell.dataset}: {len(flags)} of {len(cell.records)} fits"
            found.append(printable(f"off the truth: {which}; {flags[0]}"))
    return found


def _line(row: Row, reference: Row | None) -> tuple[str, ...]:
    """Return the line of a case; its ratio is to the baseline on the same model and data."""
    rate, ratio = NOTHING, NOTHING
    if row.healthy:
        rate = number(row.rate) + (f" ({span(row.interval)})" if row.interval else "")
        if row is reference:
            ratio = "1"
        elif reference is not None and reference.healthy and (found := compared(reference, row, FIT)):
            ratio = times(found, "")
    divergences = f"{row.divergences:,}" if row.fits else NOTHING
    return row.model, row.backend, number(row.wall_seconds), rate, ratio, divergences, row.verdict


def _padded(line: Sequence[str], wide: Sequence[int]) -> str:
    """Write two names to the left, numbers to the right, and the words after them."""
    *cells, last = line
    sides = [f"{cell:{'<' if i < 2 else '>'}{w}}" for i, (cell, w) in enumerate(zip(cells, wide, strict=False))]
    return f"  {''.join(sides)}  {last}"


def _ranking(rows: Sequence[Row]) -> str:
    named = [f"{row.case} ({number(row.rate)}/s)" for row in ranked(rows)[:2]]
    return ", then ".join(named) or "none, so there is nothing to rank"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
