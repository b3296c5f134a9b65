"""One line of a table for each case: its rate with an interval, where its time went, and how right it is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from bench.agreement import judged
from bench.cells import Cell, key_of
from bench.comparing.cost import PHASES, phases, seconds_for
from bench.comparing.statistics import TrueEss, mean_of, true_ess
from bench.records import Quantity, Record
from bench.words import NOTHING

CACHES = ("disk", "memory")
"""What may serve a build."""
SHOWN_ERROR = 0.01  # Monte Carlo error in posterior sds; seconds grow with its inverse square
TRUTHS = {"exact": "exact posterior"}
"""Kinds of truth that have another name on a page."""
ENOUGH_FOR_TRUE_ESS = 5  # replicates; its 95 % interval then spans a factor of fifteen, and narrows with more


@dataclass(frozen=True)
class Row(Cell):
    """The replicates of one case of one run, summarised.

    Attributes
    ----------
    engine : str
        The backend; with a letter for its run, if several runs have it.
    """

    engine: str

    @property
    def name(self) -> str:
        """Model and engine."""
        return f"{self.model} on {self.engine}"

    @property
    def kind(self) -> str:
        """What kind of model it is."""
        return self.first.kind or "kind not said"

    @property
    def size(self) -> int | None:
        """The largest of the sizes of its data."""
        return max(self.first.sizes.values(), default=None)

    @cached_property
    def rate(self) -> float | None:
        """Smallest bulk ESS per second of wall time; the geometric mean over replicates."""
        return self.ess_per_second

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the rate, Student's t on its logarithm; None for fewer than two replicates."""
        logs = [math.log(record.ess_per_second) for record in self.counted if record.ess_per_second]
        if len(logs) < 2:
            return None
        contrast = mean_of(logs)
        half = contrast.half_width()
        return math.exp(contrast.mean - half), math.exp(contrast.mean + half)

    @cached_property
    def _first_build(self) -> Record | None:
        """The first fit whose build no cache served; if one served all, the first."""
        built = [record for record in self.records if record.prepare_seconds is not None]
        return next((record for record in built if record.prepare_cache not in CACHES), built[0] if built else None)

    @property
    def build_seconds(self) -> float | None:
        """Seconds of its first build that no cache served; if one served all, of the first."""
        return self._first_build.prepare_seconds if self._first_build else None

    @property
    def build_cache(self) -> str:
        """What served that build; empty where it was built."""
        served = self._first_build.prepare_cache if self._first_build else None
        return served if served in CACHES else ""

    @cached_property
    def phases(self) -> dict[str, float]:
        """Seconds of the wall time by phase, as `bench.comparing.cost.phases` has it; they add up to it."""
        parts = [phases(record) for record in self.fits]
        if self.wall_seconds is None:
            return {}
        means = {name: fmean(part.get(name, 0.0) for part in parts) for name in PHASES}
        total = sum(means.values()) or 1.0
        return {
            name: value / total * self.wall_seconds for name, value in means.items() if any(name in p for p in parts)
        }

    @property
    def slowest(self) -> str:
        """The quantity, or its element, that most often has the smallest bulk ESS."""
        named = [record.min_ess_of for record in self.fits if record.min_ess_of]
        return max(named, key=named.count) if named else NOTHING

    @property
    def transitions(self) -> int:
        """Transitions after warm-up of all replicates."""
        return sum(int(r.settings.get("chains", 0)) * int(r.settings.get("draws", 0)) for r in self.fits)

    @property
    def max_rhat(self) -> float | None:
        """Largest R-hat of all replicates."""
        return max((r.max_rhat for r in self.fits if r.max_rhat is not None), default=None)

    @property
    def worst_grade(self) -> Mapping[str, Any]:
        """The grade with the largest |z| in units of its bound, empty if there is none."""
        grades = [record.grade for record in self.records if record.grade]
        graded = [grade for grade in grades if grade.get("largest") is not None and grade.get("bound")]
        return max(graded, key=lambda grade: grade["largest"] / grade["bound"], default={})

    @cached_property
    def headline(self) -> list[str]:
        """Names of the quantities to show first."""
        return headline(self.records)

    @cached_property
    def error(self) -> float | None:
        """Error of the posterior means of the headline quantities that are known, in posterior sds.

        The root mean square over these and all replicates.
        """
        squares = []
        for record in self.counted:
            known = known_of(record)
            squares += [
                ((record.quantities[name].mean - known[name]["mean"]) / known[name]["sd"]) ** 2
                for name in record.headline
                if name in record.quantities and known.get(name, {}).get("sd")
            ]
        value = math.sqrt(fmean(squares)) if squares else math.nan
        return value if math.isfinite(value) else None

    @property
    def seconds_to_error(self) -> float | None:
        """Seconds to the stated error of the slowest headline quantity; the mean over replicates."""
        slowest = [value for record in self.counted if (value := seconds_to_error(record)) is not None]
        return fmean(slowest) if slowest else None

    @cached_property
    def quantities(self) -> list[str]:
        """Names of all quantities, headline first, then the slowest first."""
        smallest: dict[str, float] = {}
        for record in self.fits:
            for name, quantity in record.quantities.items():
                smallest[name] = min(smallest.get(name, math.inf), _ess(quantity))
        first = [name for name in self.headline if name in smallest]
        return [*first, *sorted(smallest.keys() - set(first), key=lambda name: (smallest[name], name))]

    def quantity(self, name: str) -> Quantity | None:
        """Mean over replicates of the summary of a quantity; the worst R-hat, the smallest ESS.

        Of an array the replicates count that are of the same element as the slowest.
        """
        every = [record.quantities[name] for record in self.fits if name in record.quantities]
        if not every:
            return None
        found = [q for q in every if not q.constant] or every
        element = min(found, key=_ess).element
        same = [q for q in found if q.element == element]
        means = {field: fmean(getattr(q, field) for q in same) for field in ("mean", "sd", "q3", "q50", "q97", "mcse")}
        return Quantity(
            **means,
            ess_bulk=min(q.ess_bulk for q in found),
            ess_tail=min(q.ess_tail for q in found),
            rhat=max(q.rhat for q in found),
            element=element,
        )

    def true_ess(self, name: str) -> TrueEss | None:
        """Return the ESS by squared errors against the exact posterior, where replicates allow."""
        known = self.known.get(name)
        means = [record.quantities[name].mean for record in self.fits if name in record.quantities]
        if self.truth != TRUTHS["exact"] or known is None or len(means) < ENOUGH_FOR_TRUE_ESS:
            return None
        return true_ess(np.array(means), known["mean"], known["sd"])

    @cached_property
    def known(self) -> Mapping[str, Mapping[str, float]]:
        """Mean, sd, q3, q50 and q97 of each headline quantity by the truth, where a grade holds them."""
        return next((known for record in self.records if (known := known_of(record))), {})

    @cached_property
    def truth(self) -> str:
        """What kind of truth that is: `exact posterior` or `reference draws`; empty where there is none."""
        return next((kind for record in self.records if (kind := truth_of(record))), "")


def headline(records: Sequence[Record]) -> list[str]:
    """Return the names of the quantities that some records show first."""
    return list(dict.fromkeys(name for record in records for name in record.headline))


def known_of(record: Record) -> Mapping[str, Mapping[str, float]]:
    """Return what the grade of a record says is known of the headline quantities, empty if nothing is."""
    return (record.grade or {}).get("known") or {}


def truth_of(record: Record) -> str:
    """Kind of truth that a record was held against, in words; empty if there is none."""
    kind = str((record.grade or {}).get("truth") or "")
    return TRUTHS.get(kind, kind)


def _ess(quantity: Quantity) -> float:
    if quantity.constant:
        return math.inf
    return quantity.ess_bulk if math.isfinite(quantity.ess_bulk) else -1.0


def seconds_to_error(record: Record) -> float | None:
    """Seconds in which a fit would know each headline quantity to `SHOWN_ERROR`, warm-up once and draws at their rate.

    Its grade may state another error, and counts every second of the fit as one that grows with the draws.
    """
    grade = record.grade or {}
    every = (grade.get("seconds_to_error") or {}).values()
    slowest = max((seconds for seconds in every if seconds is not None), default=None)
    if not slowest or not record.wall_seconds:
        return None
    again = slowest * (grade.get("stated_error", SHOWN_ERROR) / SHOWN_ERROR) ** 2
    return seconds_for(record, again / record.wall_seconds)


def summarise(records: Sequence[Record]) -> list[Row]:
    """Judge records and group them by case and run, in the order in which the cases first appear."""
    runs = list(dict.fromkeys(record.run for record in records))
    runs_of: dict[str, set[str]] = {}
    grouped: dict[tuple[str, ...], list[Record]] = {}
    for record in judged(records):
        runs_of.setdefault(record.backend, set()).add(record.run)
        grouped.setdefault((*key_of(record), record.run), []).append(record)
    rows = []
    for (*_, backend, run), group in grouped.items():
        engine = f"{backend} {run_letter(runs.index(run))}" if len(runs_of[backend]) > 1 else backend
        rows.append(Row(tuple(sorted(group, key=lambda record: record.replicate)), engine))
    return rows


def run_letter(number: int) -> str:
    """Name the number-th of several runs, counted from 0: A, B, ..., Z, A1, ...

    Examples
    --------
    >>> [run_letter(i) for i in (0, 25, 26, 53)]
    ['A', 'Z', 'A1', 'B2']
    """
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")
