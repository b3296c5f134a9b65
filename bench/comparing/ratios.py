"""The ratio of two backends on one posterior: over replicates, without the build and with it."""

import re
from collections.abc import Mapping
from statistics import fmean

from bench.cells import machines
from bench.comparing.matching import Match
from bench.comparing.rows import Row
from bench.comparing.statistics import Contrast, mean_of, paired, welch
from bench.records import Record
from bench.words import number, span

FIT, FIRST = "a fit", "the first fit"
MEASURES = (FIT, FIRST)
"""Effective draws per second of wall time, and per second of wall time and the first build together."""

Key = tuple[str, str, str]
"""Family, dataset and model of a case."""


def key(row: Row) -> Key:
    """Return which posterior a case is of, by which model."""
    return (row.family, row.dataset, row.model)


def name(case: Key) -> str:
    """Name a posterior by its data and its model, or a pair by its name."""
    return case[1] if case[0] == "pair" else f"{case[1]}-{case[2]}"


def source(case: Key) -> tuple[str, str]:
    """Return where the data of a posterior are from: in posteriordb, the word that their name begins with.

    Models of one source are often near copies of each other, as ten of radon levels are there.

    Parameters
    ----------
    case : Key
        Family, dataset and model.

    Examples
    --------
    >>> source(("posteriordb", "radon_mn", "radon_pooled")), source(("posteriordb", "nes1972", "nes"))
    (('posteriordb', 'radon'), ('posteriordb', 'nes'))
    """
    family, dataset, _ = case
    word = re.match("[A-Za-z]+", dataset) if family == "posteriordb" else None
    return family, word[0].lower() if word else dataset


def over_sources(logs: Mapping[Key, float]) -> Contrast:
    """Mean over sources of data, with Student's t over these.

    Each source counts once, each of its models as much as the others, however many data it was fit to.

    Parameters
    ----------
    logs : mapping of Key to float
        Log ratio of each case.

    Examples
    --------
    >>> radon = {("posteriordb", "radon_mn", "pooled"): 1.0, ("posteriordb", "radon_all", "pooled"): 3.0}
    >>> found = over_sources(radon | {("posteriordb", "dogs", "dogs"): 1.0})
    >>> found.mean, found.n
    (1.5, 2)
    """
    sources: dict[tuple[str, str], dict[str, list[float]]] = {}
    for case, log in logs.items():
        sources.setdefault(source(case), {}).setdefault(case[2], []).append(log)
    return mean_of([fmean(fmean(of_model) for of_model in models.values()) for models in sources.values()])


def rate(record: Record, measure: str, build: float | None) -> float:
    """Return the smallest bulk ESS per second; 0 where it is not known.

    Parameters
    ----------
    record : Record
        Of a fit.
    measure : str
        One of `MEASURES`.
    build : float, optional
        Seconds of the first build.
    """
    if measure == FIT:
        return record.ess_per_second or 0.0
    if build is None or not record.wall_seconds:
        return 0.0
    return (record.min_ess_bulk or 0.0) / (record.wall_seconds + build)


def compared(a: Row, b: Row, measure: str) -> Contrast | None:
    """Return the log ratio b/a of rates, over pairs of replicates where both have the same seeds.

    Parameters
    ----------
    a, b : Row
        Cases of one posterior.
    measure : str
        One of `MEASURES`.

    Returns
    -------
    Contrast, optional
        None where a rate is not known, or the fits were made on several machines and none in pairs.
    """
    sides = [
        {record.replicate: value for record in row.counted if (value := rate(record, measure, row.build_seconds)) > 0}
        for row in (a, b)
    ]
    match = Match(a, b, "")
    both = sides[0].keys() & sides[1].keys() - match.apart
    if both and match.paired:
        return paired(*([side[number] for number in sorted(both)] for side in sides))
    if len(machines([*a.counted, *b.counted])) > 1:
        return None
    return welch(*(list(side.values()) for side in sides)) if all(sides) else None


def times(contrast: Contrast, unit: str = " times", digits: int = 3) -> str:
    """Write a ratio with its interval, where it has one.

    Parameters
    ----------
    contrast : Contrast
        Its logarithm.
    unit : str
        What follows the number.
    digits : int, default 3
        As in `bench.comparing.rows.number`.

    Examples
    --------
    >>> times(Contrast(mean=0.0, variance=0.01, n=4, df=3))
    '1.00 times (0.853 to 1.17)'
    """
    said = f"{number(contrast.ratio, digits)}{unit}"
    return f"{said} ({span(contrast.interval, digits)})" if contrast.interval else said
