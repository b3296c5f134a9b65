"""History: each case over its runs, with intervals, and the runs at which it changed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench.arrays import Floats
from bench.cells import Cell, cells
from bench.comparing.effect import LEVEL
from bench.comparing.matching import conditions
from bench.comparing.statistics import mean_of, welch
from bench.records import Record
from bench.words import number, span

SHORTEST = 3
"""Runs on each side of a step: one odd run, or two, are none."""
ALPHA = 0.002
"""Chance of a mark in a history without a step."""
PERMUTATIONS, BATCH = 2000, 100
"""Of a segment, and how many at a time: most segments show after a few that they are one."""


@dataclass(frozen=True)
class Point:
    """A case in one run.

    Attributes
    ----------
    run, time : str
        Run id, and when its first record of the case was made.
    versions : dict of str to str
        Of the backend.
    n : int
        Replicates.
    healthy : bool
        Whether all were healthy; others count in no step.
    value, low, high : float, optional
        Geometric mean over replicates and its 95 % interval; None without a value, low and high also for one replicate.
    """

    run: str
    time: str
    versions: dict[str, str]
    n: int
    healthy: bool
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Step:
    """A change between two runs.

    Attributes
    ----------
    at : int
        Index of the first point after it.
    ratio, low, high : float
        Of the geometric mean after it, up to the next step, to that before it, and its 95 % interval.
    """

    at: int
    ratio: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """The ratio with its interval."""
        return f"{number(self.ratio)} times ({span((self.low, self.high))})"


@dataclass(frozen=True)
class Series:
    """One measure of one case over the runs made under the same conditions.

    Attributes
    ----------
    family, dataset, model, backend, measure : str
        What it is.
    conditions : dict of str to str
        Data, program, settings, protocol and machine; a run under other ones belongs to another series.
    points : tuple of Point
        By time.
    steps : tuple of Step
        By time.
    """

    family: str
    dataset: str
    model: str
    backend: str
    measure: str
    conditions: dict[str, str]
    points: tuple[Point, ...]
    steps: tuple[Step, ...]


def history(runs: Sequence[Sequence[Record]], measure: str = "wall_seconds") -> list[Series]:
    """Follow every case over runs.

    Parameters
    ----------
    runs : sequence of sequences of Record
        In any order.
    measure : str
        A number of a record, as in `compare.MEASURES`.
    """
    grouped: dict[tuple[Any, ...], list[Cell]] = {}
    for records in runs:
        for cell in cells(records):
            if cell.fits:
                same = {name: value for name, value in conditions(cell, "version", "").items() if name != "Python"}
                grouped.setdefault((*cell.key, *same.items()), []).append(cell)
    return [_series(sorted(group, key=_time), measure, dict(key[4:])) for key, group in grouped.items()]


def labels(points: Sequence[Point], package: str = "") -> list[str]:
    """Name runs by as little as tells them apart.

    Parameters
    ----------
    points : sequence of Point
        Of one series, by time.
    package : str, optional
        Name them by its version, or by its commit where the version is the same; without it by their day, or by their
        time where the day is the same.

    Returns
    -------
    list of str
        One for each point.
    """
    days = [point.time[:10] for point in points]
    clocks = [point.time[11:16] for point in points]
    moments = [f"{day[5:]} {clock}" for day, clock in zip(days, clocks, strict=True)]
    ways = [days, clocks if len(set(days)) == 1 else moments, moments]
    if package:
        built = [point.versions.get(package, point.run) for point in points]
        releases = [text.partition(" (")[0] for text in built]
        commits = [text.partition(" (")[2].rstrip(")") for text in built]
        dated = [[f"{text}, {when}" for text, when in zip(built, way, strict=True)] for way in ways]
        ways = [releases, commits if len(set(releases)) == 1 and all(commits) else built, built, *dated]
    return next((way for way in ways if len(set(way)) == len(points)), ways[-1])


def steps(logs: ArrayLike) -> list[Step]:
    """Find the steps of a series of log values whose level is constant between them.

    Parameters
    ----------
    logs : array of shape (n,)
        Independent but for the steps.

    Notes
    -----
    Binary segmentation with the CUSUM statistic (Scott & Knott 1974, Biometrics 30, 507-512): a segment is split where
    the means of its parts are the most standard errors apart, if that is more than in all but a share `ALPHA` of its
    permutations: so often is a series without a step marked, whatever its distribution. Then each step is placed anew
    between its neighbours. Slow drifts and correlated runs are no part of this model, and would be marked as steps. A
    step of 3 standard deviations of a run is placed exactly four times in five, else a run or two beside; one of 6
    nearly always exactly.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0, 0.02, 20)
    >>> slower = np.log(1.5) * (np.arange(20) >= 12)  # from the thirteenth run on
    >>> [(step.at, round(step.ratio, 1)) for step in steps(noise + slower)]
    [(12, 1.5)]
    >>> steps(noise)
    []
    """
    x = np.asarray(logs, dtype=float)
    rng = np.random.default_rng(0)
    found: list[int] = []
    segments = [(0, len(x))]
    while segments:
        start, end = segments.pop()
        split = _split(x[start:end], rng)
        if split is not None:
            found.append(start + split)
            segments += [(start, start + split), (start + split, end)]
    ends = [0, *sorted(found), len(x)]
    for i in range(1, len(ends) - 1):
        ends[i] = ends[i - 1] + _furthest(x[ends[i - 1] : ends[i + 1]])[0]
    return [_step(x, *ends[i - 1 : i + 2]) for i in range(1, len(ends) - 1)]


def _split(x: Floats, rng: np.random.Generator) -> int | None:
    """Return where a segment splits, or None if it is one."""
    if len(x) < 2 * SHORTEST:
        return None
    at, apart = _furthest(x)
    more, most = 0, ALPHA * (PERMUTATIONS + 1) - 1  # permutations as far apart as this, and the limit
    for _ in range(PERMUTATIONS // BATCH):
        shuffled = rng.permuted(np.tile(x, (BATCH, 1)), axis=1)
        more += int(np.sum(np.max(_cusum(shuffled), axis=1) >= apart * (1 - 1e-12)))
        if more > most:
            return None
    return at


def _furthest(x: Floats) -> tuple[int, float]:
    apart = _cusum(x[None])[0]
    return int(np.argmax(apart)) + SHORTEST, float(np.max(apart))


def _cusum(x: Floats) -> Floats:
    """Distance of the means before and after each place, over its standard error in units of the common sd."""
    n = x.shape[1]
    before = np.arange(SHORTEST, n - SHORTEST + 1)
    sums = np.cumsum(x - x.mean(axis=1, keepdims=True), axis=1)[:, before - 1]
    return np.asarray(np.abs(sums) / np.sqrt(before * (n - before) / n))


def _step(x: Floats, start: int, at: int, end: int) -> Step:
    contrast = welch(np.exp(x[start:at]), np.exp(x[at:end]))
    half = contrast.half_width(LEVEL)
    return Step(at, *(math.exp(contrast.mean + sign * half) for sign in (0, -1, 1)))


def _series(group: Sequence[Cell], measure: str, same: dict[str, str]) -> Series:
    points = [_point(cell, measure) for cell in group]
    usable = [i for i, point in enumerate(points) if point.healthy and point.value]
    marked = steps(np.log([points[i].value or 1.0 for i in usable]))
    first = group[0]
    return Series(
        family=first.family,
        dataset=first.dataset,
        model=first.model,
        backend=first.backend,
        measure=measure,
        conditions=same,
        points=tuple(points),
        steps=tuple(Step(usable[step.at], step.ratio, step.low, step.high) for step in marked),
    )


def _point(cell: Cell, measure: str) -> Point:
    values = [getattr(record, measure) for record in cell.counted]
    logs = [math.log(value) for value in values if value]
    value = low = high = None
    if logs:
        contrast = mean_of(logs)
        value, half = math.exp(contrast.mean), contrast.half_width(LEVEL)
        if half < 700:
            low, high = math.exp(contrast.mean - half), math.exp(contrast.mean + half)
    first = cell.first
    return Point(first.run, _time(cell), dict(first.versions), len(cell.records), cell.healthy, value, low, high)


def _time(cell: Cell) -> str:
    return min(record.time for record in cell.records)
