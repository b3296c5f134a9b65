"""Which form wins where: the fits of a map, point by point, and how sure each winner is.

What wins has the most effective draws, by the smallest bulk ESS, for a CPU second of the whole fit. CPU seconds and not
wall seconds decide, for they hardly depend on what else the machine did in the hours that a map takes. A model with too
many unhealthy fits can't win (`bench.cells.rankable`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple

from bench.cells import rankable
from bench.comparing.statistics import Contrast, mean_of, moderate
from bench.records import Record
from bench.words import number

OMEGA_PRIOR = 10.0
"""Scale of the half-normal prior of omega, the spread between groups, in the programs of `normal_means`."""
LEAST = 2
"""Fits of a model at a point before it may win or is given up."""
ALIKE = 0.1
"""Rates within this of each other are as good."""
LEVEL = 0.99
"""Of the intervals that winners are told by, at each look.

Over the looks after 2, 3, ... 12 fits, of two equal forms one is called the winner at 4 to 6 of 100 points, as standard
normal numbers say that have no strength to borrow.
"""

State = Literal["sure", "alike", "only", "none", "open"]


class Spot(NamedTuple):
    """A point of the map as one engine sees it."""

    backend: str
    imbalance: float
    sigma: float
    groups: int
    information: float

    @property
    def layer(self) -> tuple[float, float]:
        """Imbalance and sigma: a picture of its own."""
        return self.imbalance, self.sigma

    @property
    def kind(self) -> str:
        """The sizes of its groups and the scale of omega's prior, in words."""
        sizes = "groups of one size" if self.imbalance == 1 else f"sizes from 1 to {self.imbalance:g}"
        return f"{sizes}, prior {number(OMEGA_PRIOR / self.sigma, 2)} sigma"


@dataclass(frozen=True)
class Side:
    """The fits of one model at a spot, each on data of its own.

    Attributes
    ----------
    model : str
        Its name.
    records : tuple of Record
        Its fits.
    """

    model: str
    records: tuple[Record, ...]

    @cached_property
    def logs(self) -> dict[tuple[str, str], float]:
        """Logarithm of the rate of each healthy fit, by its data and the machine: ratios are formed within these."""
        return {
            (record.dataset, str(record.environment.get("machine"))): math.log(rate)
            for record in self.records
            if record.healthy and (rate := record.ess_per_cpu_second)
        }

    @property
    def ranked(self) -> bool:
        """Whether it may win."""
        return rankable(len(self.records) - len(self.logs), len(self.records))

    @property
    def out(self) -> bool:
        """Whether it is given up: too many fits were unhealthy, or one took too long."""
        slow = any(record.status == "timeout" for record in self.records)
        return not self.ranked and (slow or len(self.records) >= LEAST)

    @cached_property
    def contrast(self) -> Contrast:
        """Mean of the logarithm of its rate."""
        return mean_of(list(self.logs.values()))


@dataclass(frozen=True)
class Duel:
    """Who wins at a spot.

    Attributes
    ----------
    first, second : str
        The best model and the next; empty where there is none.
    contrast : Contrast, optional
        Log ratio of their rates, over the data that both were fit to; None where there are none.
    state : str
        `sure`; `alike`, within `ALIKE`; `only`, no other was healthy; `none`, no model was; `open`.
    pending : tuple of str
        Models with too few fits.
    """

    first: str
    second: str
    contrast: Contrast | None
    state: State
    pending: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """Models whose fits would tell more."""
        if self.state != "open":
            return ()
        return self.pending or tuple(name for name in (self.first, self.second) if name)

    @property
    def told(self) -> bool:
        """Whether it is told which one wins."""
        return self.state in ("sure", "only")


@dataclass(frozen=True)
class Field:
    """All that was measured at a spot.

    Attributes
    ----------
    spot : Spot
        Where.
    sides : tuple of Side
        Each model.
    pair, every : Duel
        The winner of the centered and the noncentered form, and of all forms.
    """

    spot: Spot
    sides: tuple[Side, ...]
    pair: Duel
    every: Duel

    @property
    def lean(self) -> float:
        """Log of the centered form's rate over the noncentered one's; infinite where one alone is healthy, else nan."""
        if not self.pair.first:
            return math.nan
        by = self.pair.contrast.mean if self.pair.contrast else (math.inf if self.pair.state == "only" else math.nan)
        return by if self.pair.first.rpartition("_")[2] == "centered" else -by

    @property
    def fits(self) -> int:
        """How many fits there are."""
        return sum(len(side.records) for side in self.sides)

    @property
    def wanted(self) -> dict[str, None]:
        """Models whose fits would tell more, in the order of the models."""
        wanted = {*self.pair.wanted, *self.every.wanted}
        return {side.model: None for side in self.sides if side.model in wanted}


def is_map(records: Sequence[Record]) -> bool:
    """Tell whether records are those of a map."""
    return bool(records) and all("information" in record.generated_with for record in records)


def spot_of(record: Record) -> Spot:
    """Return where on the map a fit was made.

    Parameters
    ----------
    record : Record
        Of a map.
    """
    made = record.generated_with
    return Spot(record.backend, made["imbalance"], made["sigma"], record.sizes["groups"], made["information"])


def pair_of(models: Sequence[str]) -> tuple[str, str] | None:
    """Return the plainest centered and noncentered model; None where one of them is not there.

    Examples
    --------
    >>> pair_of(["zerosum_centered", "noncentered", "centered", "marginal"])
    ('centered', 'noncentered')
    """
    found = [
        min((name for name in models if name.rpartition("_")[2] == kind), key=len, default="")
        for kind in ("centered", "noncentered")
    ]
    return (found[0], found[1]) if all(found) else None


def fields(records: Sequence[Record]) -> list[Field]:
    """Return what each engine measured at each point, with its winners.

    The spread of a log ratio is learned from the whole map (`statistics.moderate`).

    Parameters
    ----------
    records : sequence of Record
        Of a map.
    """
    grouped: dict[Spot, dict[str, list[Record]]] = {}
    models = list(dict.fromkeys(record.model for record in records))
    engines = list(dict.fromkeys(record.backend for record in records))
    for record in records:
        grouped.setdefault(spot_of(record), {}).setdefault(record.model, []).append(record)
    pair = pair_of(models) or ()
    found = []
    for spot in sorted(grouped, key=lambda spot: (engines.index(spot.backend), spot.imbalance, -spot.sigma, spot)):
        of = grouped[spot]
        sides = tuple(Side(model, tuple(of.get(model, ()))) for model in models)
        two = _duel([side for side in sides if side.model in pair])
        found.append(Field(spot, sides, two, _duel(sides)))
    return _decided(found)


def _duel(sides: Sequence[Side]) -> Duel:
    """Rank the sides; whether the best is surely the best is not told yet."""
    ranked = sorted((side for side in sides if side.ranked), key=lambda side: -side.contrast.mean)
    pending = tuple(side.model for side in sides if not side.out and len(side.records) < LEAST)
    first, second = [side.model for side in ranked[:2]] + [""] * (2 - len(ranked[:2]))
    contrast = _ratio(ranked[0], ranked[1]) if second else None
    if pending or second:
        return Duel(first, second, contrast, "open", pending)
    return Duel(first, second, None, "only" if first else "none")


def _ratio(a: Side, b: Side) -> Contrast | None:
    both = [a.logs[where] - b.logs[where] for where in a.logs if where in b.logs]
    return mean_of(both) if both else None


def _decided(found: Sequence[Field]) -> list[Field]:
    """Tell which winners are sure."""
    duels = [duel for each in found for duel in (each.pair, each.every)]
    moderated = iter(moderate([duel.contrast for duel in duels if duel.contrast is not None]))
    judged = iter([_judged(replace(duel, contrast=next(moderated))) if duel.contrast else duel for duel in duels])
    return [replace(each, pair=next(judged), every=next(judged)) for each in found]


def _judged(duel: Duel) -> Duel:
    assert duel.contrast is not None
    half = duel.contrast.half_width(LEVEL)
    if duel.pending or half == math.inf:
        return duel
    if abs(duel.contrast.mean) + half < math.log1p(ALIKE):
        return replace(duel, state="alike")
    return replace(duel, state="sure") if duel.contrast.mean > half else duel


def crossings(column: Sequence[Field], ratio: float = 1.0) -> list[float]:
    """Return the information at which the centered form's rate over the noncentered one's rises past a ratio.

    Between two points it is interpolated on the log scales; next to a point at which one form alone is healthy it is
    taken to be in the middle.

    Parameters
    ----------
    column : sequence of Field
        Of one engine, layer and number of groups.
    ratio : float, default 1.0
        Above 1, what noncentered costs where centered is right; below 1, the other way round.
    """
    told = sorted((each for each in column if not math.isnan(each.lean)), key=lambda each: each.spot.information)
    found = []
    for a, b in pairwise(told):
        below, above = math.log(ratio) - a.lean, b.lean - math.log(ratio)
        if below >= 0 and above > 0:
            low, high = (math.log(each.spot.information) for each in (a, b))
            share = below / (below + above) if math.isfinite(below + above) else 0.5
            found.append(math.exp(low + share * (high - low)))
    return found


def by_engine(found: Sequence[Field]) -> Iterator[tuple[str, list[Field]]]:
    """Yield each engine with its part of the map.

    Parameters
    ----------
    found : sequence of Field
        Of a map.
    """
    engines: Mapping[str, None] = dict.fromkeys(each.spot.backend for each in found)
    for engine in engines:
        yield engine, [each for each in found if each.spot.backend == engine]
