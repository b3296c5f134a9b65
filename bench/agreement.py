"""Where no truth is known, engines are held against each other: who differs from the others is not ranked.

Every engine (backend) that has healthy fits of a posterior is compared with the pool of the others, in the mean and
the sd of every element, on the scale of their Monte Carlo errors. If they differ, the odd one is the engine
without which the rest agrees best. It is flagged, and the rest is looked at again. Engines are believed only if those
that agree are more than half of all: where two engines differ, nobody is blamed and neither is ranked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.bias import bound, graded_together
from bench.records import Record

SD_ERROR = 10.0
"""How many times larger the error of an sd is taken than that of a normal sample with the same ESS.

Its true error grows with the kurtosis, which a record does not tell. In simulations of correct fits (4 x 500 draws,
correlated from -0.5 to 0.9, with tails from normal to half-t with 4 degrees of freedom and log-normal) the largest
difference of sds was 7 times what a normal sample allows, and that of means 0.8 times.
"""


@dataclass(frozen=True, eq=False)
class Engine:
    """What the healthy fits of one backend say of every element.

    Attributes
    ----------
    name : str
        The backend.
    mean, sd, ess : array of shape (elements,)
        Mean, standard deviation and effective sample size, over all of its fits.
    """

    name: str
    mean: Floats
    sd: Floats
    ess: Floats


@dataclass(frozen=True)
class Difference:
    """Where one engine is farthest from the pool of others.

    Attributes
    ----------
    engine, others, quantity : str
        Who, from whom, and in what: `theta[1] mean`.
    z, bound : float
        Monte Carlo errors between them, and what may come by chance.
    """

    engine: str
    others: str
    quantity: str
    z: float
    bound: float

    def __str__(self) -> str:
        """Write it as in a health flag."""
        return f"{self.quantity} differs from {self.others} by {self.z:.1f} errors (bound {self.bound:.1f})"


def judged(records: Sequence[Record]) -> list[Record]:
    """Return the records, with a flag on the fits of every engine that differs from the others, or from the truth.

    What one fit alone can't tell is told here: `bias.graded_together` where there is a truth, else the other engines.

    To judge them again changes nothing: what was flagged is no longer healthy, and the rest agrees.

    Parameters
    ----------
    records : sequence of Record
        Of one run or of several; each is judged by itself.
    """
    grouped: dict[tuple[str, ...], list[Record]] = {}
    records = graded_together(records)
    for record in records:
        if record.summary is not None and record.healthy:
            grouped.setdefault(_posterior(record), []).append(record)
    flags = {(*posterior, engine): flag for posterior, fits in grouped.items() for engine, flag in _flags(fits).items()}
    if not flags:
        return records

    def flagged(record: Record) -> Record:
        flag = flags.get((*_posterior(record), record.backend))
        if flag is None or record.summary is None or not record.healthy:
            return record
        return replace(record, health=[*record.health, flag])

    return [flagged(record) for record in records]


def _posterior(record: Record) -> tuple[str, str, str, str]:
    return (record.run, record.dataset, record.family, record.target)


def _flags(fits: Sequence[Record]) -> dict[str, str]:
    """Return the flag of each engine that is not believed."""
    names, every = _engines(fits)
    left, odd = dict(every), dict[str, Difference]()
    while len(left) > 1 and (found := _farthest(names, left)).z > found.bound:
        if len(left) == 2:
            odd |= {name: _difference(names, left, name) for name in left}
            break
        name = min(left, key=lambda name: _apart(names, {other: left[other] for other in left if other != name}))
        odd[name] = _difference(names, left, name)
        del left[name]
    if not odd:
        return {}
    if 2 * (len(every) - len(odd)) > len(every):
        return {name: f"disagrees: {difference}" for name, difference in odd.items()}
    why = "there is no third engine" if len(every) == 2 else "no more than half of the engines agree"
    return {
        name: f"disagrees: {odd.get(name) or _difference(names, every, name)}, and {why} to say who is right"
        for name in every
    }


def _engines(fits: Sequence[Record]) -> tuple[list[str], dict[str, Engine]]:
    """Pool the fits of each engine; elements that vary in every fit are compared."""
    summaries = [(record.backend, record.summary or {}) for record in fits]
    draws = np.array([[_draws(record)] for record in fits])
    names = list(map(str, summaries[0][1].get("names", ())))
    for _, summary in summaries[1:]:
        have = set(summary.get("names", ()))
        names = [name for name in names if name in have]
    values = [(backend, _values(summary, names)) for backend, summary in summaries]
    good = np.all([np.isfinite(v).all(axis=0) & (v[1:] > 0).all(axis=0) for _, v in values], axis=0)
    engines = {}
    for backend in dict.fromkeys(backend for backend, _ in values):
        mean, sd, mcse = (np.array([v[i][good] for name, v in values if name == backend]) for i in range(3))
        own = draws[[name == backend for name, _ in values]]
        sizes = np.minimum((sd / mcse) ** 2, own)  # that of an sd, or of a tail, is never larger
        ess = len(sizes) ** 2 / np.sum(1 / sizes, axis=0)
        engines[backend] = Engine(backend, mean.mean(axis=0), np.sqrt(np.mean(sd**2, axis=0)), ess)
    return [name for name, keep in zip(names, good, strict=True) if keep], engines


def _draws(record: Record) -> float:
    """Draws of all chains, infinite where the settings do not tell."""
    return float(record.settings.get("chains", math.inf)) * float(record.settings.get("draws", math.inf))


def _values(summary: Mapping[str, Any], names: Sequence[str]) -> Floats:
    """Return mean, sd and MCSE of some elements, an array of shape (3, elements); what was not finite is NaN."""
    at = {name: i for i, name in enumerate(summary.get("names", ()))}
    order = [at[name] for name in names]
    return np.array([summary[part] for part in ("mean", "sd", "mcse")], dtype=float)[:, order]


def _apart(names: Sequence[str], engines: Mapping[str, Engine]) -> float:
    """Distance of the engine that is farthest from the others, in units of the bound."""
    if len(engines) < 2:
        return 0.0
    found = _farthest(names, engines)
    return found.z / found.bound


def _farthest(names: Sequence[str], engines: Mapping[str, Engine]) -> Difference:
    every = (_difference(names, engines, name) for name in engines)
    return max(every, key=lambda difference: difference.z / difference.bound)


def _difference(names: Sequence[str], engines: Mapping[str, Engine], name: str) -> Difference:
    """Compare an engine with the others, each of which counts the same in their pool."""
    own, rest = engines[name], [engine for other, engine in engines.items() if other != name]
    others = ", ".join(engine.name for engine in rest)
    if not names:
        return Difference(name, others, "", 0.0, math.inf)
    # If all agree they share one sd: a fit that misses a tail must not make its own errors look small.
    sd = np.sqrt(np.mean([engine.sd**2 for engine in engines.values()], axis=0))
    inverse = 1 / own.ess + np.sum([1 / engine.ess for engine in rest], axis=0) / len(rest) ** 2
    pooled_mean = np.mean([engine.mean for engine in rest], axis=0)
    pooled_sd = np.sqrt(np.mean([engine.sd**2 for engine in rest], axis=0))
    of_mean = np.abs(own.mean - pooled_mean) / (sd * np.sqrt(inverse))
    of_sd = np.abs(np.log(own.sd / pooled_sd)) / (SD_ERROR * np.sqrt(inverse / 2))
    z = np.concatenate([of_mean, of_sd])
    worst = int(np.argmax(z))
    quantity = f"{names[worst % len(names)]} {'mean' if worst < len(names) else 'sd'}"
    fewest = min(float(engine.ess.min()) for engine in engines.values())
    return Difference(name, others, quantity, float(z[worst]), bound(len(engines) * len(z), fewest))
