"""Which cells a comparison sets side by side, and what must be equal on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.cells import Cell, baseline, cells, machines
from bench.records import Record
from bench.words import printable

By = Literal["version", "backend", "model", "case"]
ABSENT = ("unavailable", "unsupported")
"""Statuses that say nothing about the fit."""


class CompareError(ValueError):
    """Two sets of records that can't be compared; the message says why and what to type."""


class IncomparableError(CompareError):
    """Records that differ in more than what is compared.

    Parameters
    ----------
    differences : sequence of str
        Each with both values.
    command : str
        The command line that compares them all the same.
    """

    def __init__(self, differences: Sequence[str], command: str) -> None:
        """Name the differences and the way on."""
        self.differences = list(differences)
        super().__init__(
            "A and B differ in more than what is compared:\n  "
            + "\n  ".join(self.differences)
            + f"\nTo compare them all the same, type: {command}"
        )


@dataclass(frozen=True)
class Match:
    """Two cells to compare."""

    a: Cell
    b: Cell
    versus: str

    @property
    def paired(self) -> bool:
        """Whether both have the same replicates from the same seeds."""
        seeds = [[(record.replicate, record.seed) for record in cell.records] for cell in (self.a, self.b)]
        return seeds[0] == seeds[1]

    @property
    def apart(self) -> set[int]:
        """Replicates that the two sides made on different machines."""
        others = {record.replicate: record for record in self.b.records}
        return {
            record.replicate
            for record in self.a.records
            if record.replicate in others and len(machines([record, others[record.replicate]])) > 1
        }

    def across(self, by: By) -> bool:
        """Whether it would compare machines: with no pair on one of them, or, by version, with any pair on two.

        Parameters
        ----------
        by : str
            What differs between the sides.
        """
        if not self.paired:
            return len(machines([*self.a.records, *self.b.records])) > 1
        return bool(self.apart) if by == "version" else len(self.apart) == len(self.a.records)


def match_cells(
    a: Sequence[Record], b: Sequence[Record], by: By, reference: str | None
) -> tuple[list[Match], list[str]]:
    """Find the cells that belong together, and what has no other side.

    Parameters
    ----------
    a, b : sequence of Record
        Records of each side; `b` counts by version alone.
    by : str
        What differs between the sides.
    reference : str, optional
        Name of what the others are compared with, by backend, model or case.

    Raises
    ------
    CompareError
        If there is no such reference.
    """
    left, missing = cells(a), []
    matches = []

    def add(one: Cell | None, other: Cell | None, versus: str) -> None:
        present = one or other
        assert present is not None
        name = " ".join(present.key)
        for side, cell in (("A", one), ("B", other)):
            if cell is None:
                missing.append(f"{name} is not in {side}")
                return
            absent = next((record for record in cell.records if record.status in ABSENT), None)
            if absent is not None:
                missing.append(f"{name} is {absent.status} in {side}: {absent.reason.split(chr(10))[0]}")
                return
        if one is not None and other is not None:
            matches.append(Match(one, other, versus))

    if by == "version":
        right = {cell.key: cell for cell in cells(b)}
        for cell in left:
            add(cell, right.pop(cell.key, None), "")
        for cell in right.values():
            add(None, cell, "")
        return matches, missing
    known = list(dict.fromkeys(getattr(cell, by) for cell in left))
    if reference is not None and reference not in known:
        raise CompareError(f"no {by} {reference!r} in the run; there are: {', '.join(known)}")
    grouped: dict[tuple[str, ...], list[Cell]] = {}
    for cell in left:
        same = {"backend": (cell.model,), "model": (cell.backend, cell.target), "case": (cell.target,)}
        grouped.setdefault((cell.family, cell.dataset, *same[by]), []).append(cell)
    base = reference or (baseline(left) if by == "backend" else None)
    for group in grouped.values():
        names = [getattr(cell, by) for cell in group]
        first = names.index(base) if base in names else 0
        if by == "backend" and base not in names:
            missing.append(f"{group[0].family} {group[0].dataset} {group[0].model}: {base} has no fit")
            continue
        for i, cell in enumerate(group):
            if i != first:
                add(group[first], cell, names[first])
    return matches, missing


def differences(matches: Sequence[Match], by: By, protocol: str) -> list[str]:
    """Name everything but the compared thing in which the two sides differ, with both values and in how many cases.

    Parameters
    ----------
    matches : sequence of Match
        What is compared.
    by : str
        The compared thing.
    protocol : str
        Of the run; under `stock` each backend has settings of its own.
    """
    found: dict[tuple[str, str, str], int] = {}
    for match in matches:
        seeds = [{record.replicate: record.seed for record in cell.records} for cell in (match.a, match.b)]
        common = seeds[0].keys() & seeds[1].keys()
        sides = [conditions(cell, by, protocol) for cell in (match.a, match.b)]
        for side, own in zip(sides, seeds, strict=True):
            side["seeds"] = ", ".join(str(own[number]) for number in sorted(common)) or "none in common"
        if match.across(by):
            for side, cell, name in zip(sides, (match.a, match.b), "AB", strict=True):
                side["machines"] = f"{', '.join(sorted(machines(cell.records)))} ({name})"
        for name in dict.fromkeys([*sides[0], *sides[1]]):
            before, now = (side.get(name, "not there") for side in sides)
            if before != now:
                found[name, before, now] = found.get((name, before, now), 0) + 1
    by_name: dict[str, list[tuple[str, str, int]]] = {}
    for (name, before, now), count in found.items():
        by_name.setdefault(name, []).append((before, now, count))
    return [
        printable(
            f"{name}: {_short(values[0][0])} in A, {_short(values[0][1])} in B ({sum(v[2] for v in values)} of "
            f"{len(matches)} cases{', the first shown' if len(values) > 1 else ''})"
        )
        for name, values in by_name.items()
    ]


def conditions(cell: Cell, by: By, protocol: str) -> dict[str, str]:
    """Everything that must be equal on both sides, as text.

    Parameters
    ----------
    cell : Cell
        One side.
    by, protocol : str
        As in `differences`.
    """
    found: dict[str, dict[str, None]] = {}

    def note(name: str, value: object) -> None:
        found.setdefault(name, {})[str(value)] = None

    for record in cell.records:
        note(f"data of {record.dataset} (digest)", record.dataset_digest)
        if by not in ("model", "case"):
            note(f"program of {record.model} (digest)", record.model_digest)
        note("protocol", record.protocol)
        if by not in ("backend", "case") or protocol == "matched":  # stock settings are each backend's own
            for name, value in record.settings.items():
                note(f"setting {name}", value)
        for name in ("cpu", "cores", "system", "threads"):
            note(f"machine {name}", record.environment.get(name, "unknown"))
        note("cores that a fit may use", record.environment.get("usable_cores", record.environment.get("cores")))
        if by not in ("backend", "case"):  # which device it runs on is a backend's own
            note("device", record.environment.get("device", "CPU"))
        note("Python", ".".join(str(record.environment.get("python", "unknown")).split(".")[:2]))
    return {name: " and ".join(sorted(values)) for name, values in found.items()}


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
