"""What a run prints: a line for each fit, and at its end a table to decide from."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from bench.bias import BIASED
from bench.cells import Cell, baseline, cells, printable, ratio
from bench.records import Record
from bench.report.across import Across
from bench.report.tables import summarise
from bench.report.verdict import uncompared


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
        f"{record.wall_seconds:7.2f} s  min ESS {record.min_ess_bulk or 0:5.0f}  "
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
    table = cells(records)
    base = baseline(table)
    across = Across.of(summarise(records))
    wide = max([11, *(len(cell.backend) for cell in table)]) + 1
    families = len({cell.family for cell in table})
    yield f"min ESS/s: smallest bulk ESS of every quantity, per second of wall time; ratio: to {base}"
    for (family, dataset), of_dataset in groupby(table, key=lambda cell: (cell.family, cell.dataset)):
        rows = list(of_dataset)
        yield ""
        yield printable(f"{family.replace('_', ' ')}: {dataset}" if families > 1 else dataset)
        yield f"  {'model':<27}{'backend':<{wide}}{'wall s':>8}{'min ESS/s':>11}{'ratio':>8}{'diverg.':>9}  health"
        for _, of_model in groupby(rows, key=lambda cell: cell.model):
            pair = list(of_model)
            reference = next((cell for cell in pair if cell.backend == base and cell.healthy), None)
            for i, cell in enumerate(pair):
                yield _row(cell, reference, cell.model if i == 0 else "", wide)
        for target in dict.fromkeys(cell.target for cell in rows if across is None):
            yield f"  fastest healthy, {target.replace('_', ' ')}: {_ranking(rows, target)}"
    if across is not None:
        yield ""
        yield from map(printable, across.lines())
    if said := uncompared(records):
        yield ""
        yield printable(said)
    if len({record.replicate for record in records}) == 1:
        yield ""
        yield "One replicate: ratios of single runs are noisy. For intervals: --replicates 5"


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


def _row(cell: Cell, reference: Cell | None, name: str, wide: int) -> str:
    if cell.wall_seconds is None:
        numbers = f"{'-':>8}{'-':>11}{'-':>8}{'-':>9}"
    else:
        rate = f"{cell.ess_per_second:.1f}" if cell.healthy and cell.ess_per_second else "-"
        found = ratio(cell, reference) if cell.healthy and reference else None
        numbers = (
            f"{cell.wall_seconds:8.2f}{rate:>11}{'-' if found is None else f'{found:.2f}':>8}{cell.divergences:>9}"
        )
    return f"  {name:<27}{cell.backend:<{wide}}{numbers}  {cell.verdict}"


def _ranking(rows: Sequence[Cell], target: str) -> str:
    healthy = [cell for cell in rows if cell.healthy and cell.ess_per_second and cell.target == target]
    ranked = sorted(healthy, key=lambda cell: -(cell.ess_per_second or 0))
    named = [f"{cell.model} on {cell.backend} ({cell.ess_per_second:.0f}/s)" for cell in ranked[:2]]
    return ", then ".join(named) or "none, so there is nothing to rank"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
