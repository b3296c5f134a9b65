"""One cell of a comparison: all replicates of a (family, dataset, model, backend), from records alone."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from bench.agreement import judged
from bench.records import Record
from bench.words import printable


@dataclass(frozen=True)
class Cell:
    """The replicates of one case.

    Attributes
    ----------
    records : tuple of Record
        All of them, whatever became of them.
    """

    records: tuple[Record, ...]

    @property
    def first(self) -> Record:
        """Its first replicate."""
        return self.records[0]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Family, dataset, model and backend."""
        return key_of(self.first)

    @property
    def family(self) -> str:
        """Family of the model."""
        return self.first.family

    @property
    def dataset(self) -> str:
        """Dataset id."""
        return self.first.dataset

    @property
    def model(self) -> str:
        """Model name."""
        return self.first.model

    @property
    def backend(self) -> str:
        """Backend name."""
        return self.first.backend

    @property
    def case(self) -> str:
        """Model and backend."""
        return f"{self.model} on {self.backend}"

    @property
    def target(self) -> str:
        """The posterior that the model targets."""
        return self.first.target

    @property
    def league(self) -> tuple[str, str]:
        """Family and target; only cells that share both are ranked together."""
        return (self.family, self.target)

    @property
    def fits(self) -> list[Record]:
        """The replicates that gave draws."""
        return [record for record in self.records if record.status == "ok"]

    @property
    def healthy_fits(self) -> list[Record]:
        """The replicates that were healthy."""
        return [record for record in self.records if record.healthy]

    @property
    def healthy(self) -> bool:
        """Whether it may be ranked, by its healthy fits."""
        return rankable(len(self.records) - len(self.healthy_fits), len(self.records))

    @property
    def counted(self) -> list[Record]:
        """The fits that its numbers are made of: the healthy ones where it may be ranked, else all that gave draws."""
        return self.healthy_fits if self.healthy else self.fits

    @property
    def wall_seconds(self) -> float | None:
        """Geometric mean of the wall time."""
        return geometric_mean([record.wall_seconds for record in self.counted])

    @property
    def ess_per_second(self) -> float | None:
        """Geometric mean of the smallest bulk ESS per second of wall time."""
        return geometric_mean([record.ess_per_second for record in self.counted])

    @property
    def divergences(self) -> int:
        """Divergent transitions of all replicates."""
        return sum(record.divergences or 0 for record in self.records)

    @property
    def verdict(self) -> str:
        """Health in a few words, or why there is no fit."""
        if self.healthy and len(self.healthy_fits) < len(self.records):
            kinds = dict.fromkeys(flag.split(":")[0] for record in self.records for flag in record.health)
            kinds |= dict.fromkeys(record.status for record in self.records if record.status != "ok")
            return f"{len(self.healthy_fits)} of {len(self.records)} healthy (else {', '.join(kinds)})"
        broken = next((record for record in self.records if record.status != "ok"), None)
        if broken is not None:
            count = sum(record.status != "ok" for record in self.records)
            which = "" if len(self.records) == 1 else f" ({count} of {len(self.records)})"
            return f"{broken.status}{which}: {printable(broken.reason.splitlines()[0] if broken.reason else '')[:60]}"
        flags = [flag for record in self.records for flag in record.health]
        if not flags:
            return "healthy"
        if len(self.records) == 1:
            return "; ".join(flags)
        sick = sum(bool(record.health) for record in self.records)
        kinds = dict.fromkeys(flag.split(":")[0] for flag in flags)
        return f"{sick} of {len(self.records)} unhealthy: " + ", ".join(kinds)


T = TypeVar("T", bound=Cell)


def rankable(sick: int, replicates: int) -> bool:
    """Whether a case may be ranked: not if more than one in five of its replicates, and at least two, are not healthy.

    Parameters
    ----------
    sick : int
        Replicates that broke or were unhealthy; if all are, there is nothing to rank.
    replicates : int
        All of them.
    """
    return sick < replicates and (sick < 2 or 5 * sick <= replicates)


def key_of(record: Record) -> tuple[str, str, str, str]:
    """Return what makes records replicates of one case: family, dataset, model and backend."""
    return (record.family, *record.key[:3])


def cells(records: Sequence[Record]) -> list[Cell]:
    """Judge the records of one run and group them by case.

    Datasets, their models, and the backends of these stand in the order in which they first appear.
    """
    grouped: dict[tuple[str, str], dict[str, dict[str, list[Record]]]] = {}
    for record in judged(records):
        of_dataset = grouped.setdefault((record.family, record.dataset), {})
        of_dataset.setdefault(record.model, {}).setdefault(record.backend, []).append(record)
    return [
        Cell(tuple(sorted(case, key=lambda record: record.replicate)))
        for of_dataset in grouped.values()
        for of_model in of_dataset.values()
        for case in of_model.values()
    ]


def machines(records: Iterable[Record]) -> set[str]:
    """Return the machines that fits were made on, as far as records say; older ones don't, and were made on one."""
    return {str(record.environment["machine"]) for record in records if "machine" in record.environment}


def baseline(table: Sequence[Cell]) -> str:
    """Choose the backend that ratios refer to: `cmdstan`, else `stanli`, else the first there is."""
    present = list(dict.fromkeys(cell.backend for cell in table if cell.fits))
    return next((name for name in ("cmdstan", "stanli") if name in present), present[0] if present else "none")


def ranked(found: Iterable[T]) -> list[T]:
    """Return the healthy cells that have a rate, the fastest first."""
    healthy = (cell for cell in found if cell.healthy and cell.ess_per_second)
    return sorted(healthy, key=lambda cell: -(cell.ess_per_second or 0))


def best_of(found: Iterable[T]) -> T | None:
    """Return the healthy cell with the largest rate, if there is one."""
    return next(iter(ranked(found)), None)


def rival(found: Sequence[T], best: Cell, forms: Mapping[str, str]) -> T | None:
    """Return the best cell of another parameterization: most often healthy first, then by the rate of its fits.

    Parameters
    ----------
    found : sequence of Cell
        Cells of one dataset and one target.
    best : Cell
        The cell that it is a rival of.
    forms : mapping of str to str
        The parameterization of each model, such as `centered`; empty where there is no such notion, and so no rival.
    """
    own = forms.get(best.model)
    others = [cell for cell in found if cell.fits and own and forms.get(cell.model, own) != own]

    def merit(cell: Cell) -> tuple[bool, float]:
        rates = [record.ess_per_second for record in cell.healthy_fits]
        return 2 * len(cell.healthy_fits) >= len(cell.records), geometric_mean(rates) or 0.0

    return max(others, key=merit, default=None)


def geometric_mean(values: Sequence[float | None]) -> float | None:
    """Geometric mean of the positive values, or None if there is none.

    Examples
    --------
    >>> round(geometric_mean([1.0, None, 100.0]), 6)
    10.0
    """
    logs = [math.log(value) for value in values if value]
    return math.exp(fmean(logs)) if logs else None
