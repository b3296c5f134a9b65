"""One cell of a comparison: all replicates of a (dataset, model, backend), from records alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.records import Record


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
    def dataset(self) -> str:
        """Dataset id."""
        return self.records[0].dataset

    @property
    def model(self) -> str:
        """Model name."""
        return self.records[0].model

    @property
    def backend(self) -> str:
        """Backend name."""
        return self.records[0].backend

    @property
    def case(self) -> str:
        """Model and backend."""
        return f"{self.model} on {self.backend}"

    @property
    def posterior(self) -> str:
        """What the model targets; only cells that share it are ranked together."""
        return self.records[0].posterior

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
        """Whether it may be ranked: every replicate gave draws, and all were healthy."""
        return all(record.healthy for record in self.records)

    @property
    def wall_seconds(self) -> float | None:
        """Geometric mean of the wall time."""
        return geometric_mean([record.wall_seconds for record in self.fits])

    @property
    def ess_per_second(self) -> float | None:
        """Geometric mean of the smallest bulk ESS per second of wall time."""
        return geometric_mean([record.ess_per_second for record in self.fits])

    @property
    def divergences(self) -> int:
        """Divergent transitions of all replicates."""
        return sum(record.divergences or 0 for record in self.records)

    @property
    def verdict(self) -> str:
        """Health in a few words, or why there is no fit."""
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


def cells(records: Sequence[Record]) -> list[Cell]:
    """Group records by case, in the order in which the cases first appear."""
    grouped: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        grouped.setdefault(record.key[:3], []).append(record)
    return [Cell(tuple(sorted(group, key=lambda record: record.replicate))) for group in grouped.values()]


def baseline(table: Sequence[Cell]) -> str:
    """Choose the backend that ratios refer to: `cmdstan`, else `stanli`, else the first there is."""
    present = list(dict.fromkeys(cell.backend for cell in table if cell.fits))
    return next((name for name in ("cmdstan", "stanli") if name in present), present[0] if present else "none")


def geometric_mean(values: Sequence[float | None]) -> float | None:
    """Geometric mean of the positive values, or None if there is none."""
    logs = [math.log(value) for value in values if value]
    return math.exp(fmean(logs)) if logs else None


def printable(text: str) -> str:
    """Escape control characters, so that text from a reader's table can do nothing to a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
