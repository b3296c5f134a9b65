"""Factors: the numbers in which the data of some cases differ, sizes and values that they were generated with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.comparing.rows import Row


@dataclass(frozen=True)
class Factor:
    """A number in which the data differ: a size, or a value that they were generated with.

    Attributes
    ----------
    name : str
        `groups`, `omega`.
    size : bool
        Whether it is a size.
    values : tuple of float
        Those that there are, in order.
    """

    name: str
    size: bool
    values: tuple[float, ...]

    def of(self, row: Row) -> float | None:
        """Value of a case, None where it is not known."""
        return (row.first.sizes if self.size else row.first.generated_with).get(self.name)

    @property
    def label(self) -> str:
        """What it is, in words."""
        return f"number of {self.name}" if self.size else self.name

    def level(self, row: Row) -> str:
        """Say the value of a case."""
        value = self.of(row)
        return "" if value is None else f"{value:,g} {self.name}" if self.size else f"{self.name} {value:g}"


def factors(rows: Sequence[Row]) -> list[Factor]:
    """Return in which numbers the data of some cases differ, sizes first.

    Of numbers that change together, such as observations and groups of 20 each, the last is taken.
    """
    found: list[Factor] = []
    seen: set[tuple[float | None, ...]] = set()
    for size in (True, False):
        names = dict.fromkeys(n for row in rows for n in (row.first.sizes if size else row.first.generated_with))
        new = []
        for name in reversed(names):
            factor = Factor(name, size, ())
            given = [factor.of(row) for row in rows]
            values = sorted({value for value in given if value is not None and math.isfinite(value)})
            order = tuple(None if value is None else values.index(value) for value in given)
            if len(values) > 1 and order not in seen:
                seen.add(order)
                new.append(Factor(name, size, tuple(values)))
        found += reversed(new)
    return found
