"""What a fit costs until it is good enough: what any number of draws costs, and what grows with their number."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.special import stdtrit

from bench.records import Record


def phases(record: Record) -> dict[str, float]:
    """Split the wall time of one fit.

    Seconds of chains that ran at the same time are divided by their number. `other` is the rest: starting processes,
    waiting for the slowest chain. A sampler without a clock of its own has one phase for warm-up and sampling.

    Parameters
    ----------
    record : Record
        Of a fit.

    Returns
    -------
    dict of str to float
        Seconds by the names of `PHASES`; they add up to the wall time.
    """
    wall = record.wall_seconds or 0.0
    reading = min((record.extraction_seconds or 0.0) + (record.derive_seconds or 0.0), wall)
    if record.warmup_seconds is None or record.sampling_seconds is None:
        return {"warm-up and sampling": wall - reading, "reading": reading}
    parallel = max(1, min(int(record.settings.get("chains", 1)), int(record.settings.get("cores", 1))))
    parts = {"warm-up": sum(record.warmup_seconds) / parallel, "sampling": sum(record.sampling_seconds) / parallel}
    busy = sum(parts.values())
    if busy > wall - reading > 0:  # two clocks never agree to the last digit
        parts = {name: seconds * (wall - reading) / busy for name, seconds in parts.items()}
    return {**parts, "reading": reading, "other": max(0.0, wall - reading - sum(parts.values()))}


PHASES = ("warm-up", "sampling", "warm-up and sampling", "reading", "other")


def growing(record: Record) -> float:
    """Seconds of the wall time of a fit that grow with the number of its draws: sampling and reading.

    Where the sampler has no clock of its own, sampling has its share of the gradient evaluations.
    """
    parts = phases(record)
    if "sampling" in parts:
        return parts["sampling"] + parts["reading"]
    gradients = (record.warmup_gradients or 0) + (record.gradients or 0)
    share = (record.gradients or 0) / gradients if gradients else 1.0
    return parts["warm-up and sampling"] * share + parts["reading"]


def seconds_for(record: Record, times: float) -> float:
    """Wall time of a fit like this one with some times as many draws; warm-up is the same, the build is not in it.

    Parameters
    ----------
    record : Record
        Of a fit.
    times : float
        How many times as many draws.
    """
    more = growing(record)
    return (record.wall_seconds or 0.0) - more + times * more


def seconds_to_ess(records: Sequence[Record], ess: float) -> tuple[float, tuple[float, float] | None]:
    """Wall time until the smallest bulk ESS is what is wanted, and what another fit takes in 95 % of cases.

    Parameters
    ----------
    records : sequence of Record
        Fits of one case.
    ess : float
        The size that is wanted.

    Returns
    -------
    float
        Seconds, the geometric mean over the fits; infinite where none has an ESS.
    (float, float), optional
        Prediction interval for one more fit, by Student's t on the logarithms; None for fewer than two fits.

    Notes
    -----
    The interval is for an observation to come, whose variance adds to that of the mean: s sqrt(1 + 1/n) in place of
    s / sqrt(n) (Hahn and Meeker 1991, Statistical Intervals, section 4.7).
    """
    logs = [
        math.log(seconds_for(record, ess / record.min_ess_bulk))
        for record in records
        if record.min_ess_bulk and record.wall_seconds
    ]
    if not logs:
        return math.inf, None
    centre = fmean(logs)
    if len(logs) < 2:
        return math.exp(centre), None
    half = float(stdtrit(len(logs) - 1, 0.975)) * stdev(logs) * math.sqrt(1 + 1 / len(logs))
    return math.exp(centre), (math.exp(centre - half), math.exp(centre + half))
