"""How often what `bench.report.cost` predicts holds, with real records: fits predict longer ones of the same cases.

Run it with ``python -m bench.report.cost_real RUN LONGER``, two runs of the same cases with many replicates each, the
second with other draws (``--draws``); it writes `reports/reference/cost-real.md`.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.cells import cells
from bench.records import Record, find_run, read_records
from bench.report.aa import OUTPUT as SIMULATED
from bench.report.aa import SEED
from bench.report.cost import seconds_to_ess

OUTPUT = SIMULATED.with_name("cost-real.md")
FITS = 5
"""Fits that predict one."""


@dataclass(frozen=True)
class Coverage:
    """How often a fit took what was predicted.

    Attributes
    ----------
    case : str
        Dataset, model and backend.
    trials, inside : int
        Fits that were predicted; those whose wall time was in the interval.
    width : float
        Upper end of the interval over its lower one, the median of all.
    """

    case: str
    trials: int
    inside: int
    width: float


def coverage(records: Sequence[Record], longer: Sequence[Record], seed: int, fits: int = FITS) -> list[Coverage]:
    """Predict each fit of a run by some of another run: the seconds until the ESS that it came to, and what it took.

    Parameters
    ----------
    records : sequence of Record
        That predict.
    longer : sequence of Record
        That are predicted, of the same cases.
    seed : int
        Of the choice of the fits that predict.
    fits : int
        How many predict each.
    """
    rng = np.random.default_rng(seed)
    known = {cell.key: cell.healthy_fits for cell in cells(records)}
    found = []
    for cell in cells(longer):
        inside, widths = 0, []
        if len(known.get(cell.key, ())) < fits:
            continue
        for record in cell.healthy_fits:
            if not record.min_ess_bulk or record.wall_seconds is None:
                continue
            chosen = [known[cell.key][at] for at in rng.choice(len(known[cell.key]), fits, replace=False)]
            _, interval = seconds_to_ess(chosen, record.min_ess_bulk)
            if interval is not None:
                inside += interval[0] <= record.wall_seconds <= interval[1]
                widths.append(interval[1] / interval[0])
        if widths:
            case = f"{cell.dataset} {cell.model} {cell.backend}"
            found.append(Coverage(case, len(widths), inside, float(np.median(widths))))
    return found


def report(records: Sequence[Record], longer: Sequence[Record], seed: int = SEED) -> Iterator[str]:
    """Yield the lines of `reports/reference/cost-real.md`.

    Parameters
    ----------
    records, longer, seed
        As in `coverage`.
    """
    found = coverage(records, longer, seed)
    trials, inside = (sum(getattr(each, name) for each in found) for name in ("trials", "inside"))
    draws = [run[0].settings.get("draws") for run in (records, longer)]
    yield "# How often costs to a target hold, with real records"
    yield ""
    yield f"Made with `python -m bench.report.cost_real RUN LONGER` (seed {seed}). {FITS} fits of {draws[0]}"
    yield f"draws a chain, chosen by chance, predict the wall time of one with {draws[1]} draws, until the ESS"
    yield "that it came to. The interval is meant to hold 95 %."
    yield ""
    yield "| case | predicted | inside | upper end / lower end |"
    yield "|---|---|---|---|"
    for each in found:
        yield f"| {each.case} | {each.trials} | {each.inside} ({each.inside / each.trials:.0%}) | {each.width:.2f} |"
    yield f"| all | {trials} | {inside} ({inside / trials:.0%}) | |"


if __name__ == "__main__":
    runs = [read_records(find_run(run)) for run in sys.argv[1:3]]
    text = "\n".join(report(runs[0], runs[1])) + "\n"
    OUTPUT.write_text(text)
    sys.stdout.write(text)
