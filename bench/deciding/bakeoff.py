"""A bake-off: what a budget of seconds can measure of every model on every backend, the most telling fit first."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bench.cells import Cell, best_of, cells, ranked, rival
from bench.records import Record
from bench.running.measure import Case, Measured, Replicates, keep, record_of
from bench.running.run import Run

FIRST = "stanli"
"""Has nothing to compile, so that every model can be seen in seconds."""
CONTENDING = 3.0
"""A case contends while its rate is within this factor of the best."""
FEW, ENOUGH, MOST = 3, 5, 15
"""Fits of each contender: before another backend is tried, before what has no fit yet is tried, and in the end."""
ROOM = 1.3
"""A fit is started if this many times its expected seconds are left."""


def bake_off(
    run: Run, target: str, forms: Mapping[str, str], budget: float, tell: Callable[[Record], None], *, stop: bool
) -> bool:
    """Measure until the budget is used or nothing is left that would tell more.

    Every fit goes into the run's journal as it ends, in the same way as those of `pytest bench/`.

    Parameters
    ----------
    run : Run
        The open run; what it has measured already counts.
    target : str
        The posterior that is wanted; models of another one come last.
    forms : mapping of str to str
        The parameterization of each model; empty where there is no such notion.
    budget : float
        Seconds; a build or a fit that would go on longer is stopped.
    tell : callable
        Called with each record.
    stop : bool
        Whether to end as soon as no model of the target is healthy in all its fits on the first backend.

    Returns
    -------
    bool
        Whether it was ended for that.
    """
    started = time.monotonic()
    cases = list(run.plan.cases)
    while True:
        left = budget - (time.monotonic() - started)
        if stop and hopeless(cases, run.journal.records, target):
            return True
        case = next_case(cases, run.journal.records, target, forms, left)
        if case is None:
            return False
        fits = [record.replicate for record in run.journal.records if record.key[:3] == case.key]
        asked = replace(run.plan.asked, fit_timeout=max(left, 0.001))
        number = max(fits, default=-1) + 1
        if refused := run.impossible(case):
            measured = Measured(record_of(case, asked, number, *refused))
        else:
            measured = Replicates(case, asked, run.workers, run.equality).make(number)
        tell(keep(run.journal, measured))


def next_case(
    cases: Sequence[Case], records: Sequence[Record], target: str, forms: Mapping[str, str], left: float
) -> Case | None:
    """Choose what to fit next, or None if there is no time or nothing would tell more.

    In turn: every model on `FIRST`, or on the first backend there is; contenders until each has `FEW` fits; the best
    model on every other backend; contenders until each has `ENOUGH`; then by turns what has none, and contenders until
    each has `MOST`.

    Parameters
    ----------
    cases : sequence of Case
        All that could be fit, in the order of preference.
    records : sequence of Record
        What was.
    target : str
        The posterior that is wanted.
    forms : mapping of str to str
        The parameterization of each model; empty where there is no such notion.
    left : float
        Seconds that are left.
    """
    records = [record for record in records if record.status != "timeout"]  # an end of the budget says nothing
    done = {cell.first.key[:3]: cell for cell in cells(records)}
    wanted = sorted(cases, key=lambda case: case.model.target != target)
    fresh = [case for case in wanted if case.key not in done]
    of_target = [cell for cell in done.values() if cell.target == target]
    first = _first(cases)
    best = best_of(of_target)
    contenders = [case for case in cases if case.key in _contending(of_target, forms)]

    def fewer_than(most: int) -> list[Case]:
        few = [case for case in contenders if len(done[case.key].records) < most]
        return sorted(few, key=lambda case: len(done[case.key].records))

    turns = [
        [case for case in fresh if case.backend.name == first],
        fewer_than(FEW),
        [case for case in fresh if best is not None and case.model.name == best.model],
        fewer_than(ENOUGH),
        *([fresh, fewer_than(MOST)] if len(records) % 2 else [fewer_than(MOST), fresh]),
    ]
    return next((case for turn in turns for case in turn if ROOM * _expected(case, records) < left), None)


def hopeless(cases: Sequence[Case], records: Sequence[Record], target: str) -> bool:
    """Tell whether every model of the target has given draws on the first backend that can't be trusted.

    Parameters
    ----------
    cases : sequence of Case
        All that could be fit.
    records : sequence of Record
        What was.
    target : str
        The posterior that is wanted.
    """
    wanted = {case.key for case in cases if case.model.target == target and case.backend.name == _first(cases)}
    return wanted == {r.key[:3] for r in records if r.key[:3] in wanted and r.status == "ok" and not r.healthy}


def _first(cases: Sequence[Case]) -> str:
    names = [case.backend.name for case in cases]
    return FIRST if FIRST in names else names[0]


def _contending(found: Sequence[Cell], forms: Mapping[str, str]) -> set[tuple[str, str, str]]:
    """Keys of the cases near the best, of the runner-up, and of the best of the other parameterization.

    That one may be unhealthy; some fits show whether it always is.
    """
    order = ranked(found)
    if not order:
        return set()
    least = (order[0].ess_per_second or 0) / CONTENDING
    contending = [cell for i, cell in enumerate(order) if i < 2 or (cell.ess_per_second or 0) >= least]
    other = rival(found, order[0], forms)
    if other is not None and (other.healthy_fits or len(other.records) < ENOUGH):
        contending.append(other)
    return {cell.first.key[:3] for cell in contending}


def _expected(case: Case, records: Sequence[Record]) -> float:
    """Seconds that a fit of a case will cost, by its own last one or the dearest of its backend; 0 if there is none.

    What a case was built with once stays in the memory of its worker.
    """
    own = [record.wall_seconds or 0.0 for record in records if record.key[:3] == case.key]
    return own[-1] if own else max((_cost(r) for r in records if r.backend == case.backend.name), default=0.0)


def _cost(record: Record) -> float:
    return (record.prepare_seconds or 0.0) + (record.wall_seconds or 0.0)
