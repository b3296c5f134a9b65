"""Errors of all replicates of a case together: their average shows a bias that is too small for any fit alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from scipy.special import stdtrit

from bench.records import Record

FALSE_ALARMS = 1e-4
"""Chance that a correct fit is called biased, or engines that agree different; a run has hundreds of fits."""
DRAWS_PER_DEGREE = 10.0
"""Effective draws for one degree of freedom of Student's t, since a Monte Carlo error is itself estimated."""
BIASED = "biased"
"""How a flag begins that says so."""


def bound(count: int, fewest: float, false_alarms: float = FALSE_ALARMS) -> float:
    """Return what the largest of `count` correct |z| exceeds with a small probability (Sidak).

    Parameters
    ----------
    count : int
        Number of z-scores in the family, of one fit or of several.
    fewest : float
        Smallest ESS that one of them rests on.
    false_alarms : float, default `FALSE_ALARMS`
        The probability.

    Examples
    --------
    More z-scores, and fewer effective draws behind them, leave more room for chance.

    >>> [round(bound(1, 4000), 2), round(bound(100, 4000), 2), round(bound(100, 400), 2)]
    [3.93, 4.97, 5.77]
    """
    each = -math.expm1(math.log1p(-false_alarms) / count)
    return float(-stdtrit(max(1.0, fewest / DRAWS_PER_DEGREE), each / 2))


def graded_together(records: Sequence[Record]) -> list[Record]:
    """Return the records, with a flag on all fits of a case that are off the truth together.

    To do it again changes nothing: what has a flag is given none.

    Parameters
    ----------
    records : sequence of Record
        Of one run or of several; each is looked at by itself.
    """
    grouped: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        if record.grade is not None and record.grade.get("z"):
            grouped.setdefault(_case(record), []).append(record.grade)
    flags = {case: flag for case, grades in grouped.items() if len(grades) > 1 and (flag := _flag(grades))}
    if not flags:
        return list(records)
    return [
        replace(record, health=[*record.health, flags[_case(record)]])
        if record.healthy and _case(record) in flags
        else record
        for record in records
    ]


def pooled_z(z: Sequence[float], shared: float) -> float:
    """Return the z-score of the average error of several fits.

    Parameters
    ----------
    z : sequence of float
        z-score of each fit.
    shared : float
        Share of their variance that is the truth's own error: the same in all of them, it does not average out.

    Examples
    --------
    Twenty fits that are each off by two errors are off by nine together, unless the truth itself is that uncertain.

    >>> round(pooled_z([2.0] * 20, 0.0), 1), round(pooled_z([2.0] * 20, 1.0), 1)
    (8.9, 2.0)
    """
    n = len(z)
    return sum(z) / math.sqrt(n * (1 + (n - 1) * shared))


def _case(record: Record) -> tuple[str, ...]:
    return (record.run, record.family, *record.key[:3])


def _flag(grades: Sequence[Mapping[str, Any]]) -> str:
    """Say what is off the truth by more than chance explains; nothing if nothing is."""
    z = {
        name: pooled_z([grade["z"][name] for grade in grades], fmean(_shared(grade, name) for grade in grades))
        for name in grades[0]["z"]
        if all(grade["z"].get(name) is not None for grade in grades)
    }
    if not z:
        return ""
    worst = max(z, key=lambda name: abs(z[name]))
    limit = bound(len(z), sum(grade.get("fewest") or 0.0 for grade in grades))
    if abs(z[worst]) <= limit:
        return ""
    return f"{BIASED} over {len(grades)} fits: {worst} is {abs(z[worst]):.1f} errors off, bound {limit:.1f}"


def _shared(grade: Mapping[str, Any], name: str) -> float:
    return float((grade.get("shared") or {}).get(name) or 0.0)
