"""Where a difference between two engines comes from: the gradients, or the sampler.

From engine to engine lead steps that change one of the two alone. A step that changes the gradients is measured by the
CPU seconds of one: the sampler is the same, and so are, but for chance, the effective draws that a gradient buys. A
step that changes the sampler is measured by the CPU seconds of an effective draw. The whole is the product of all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean

from bench.cells import Cell, baseline, machines
from bench.comparing.ratios import Key, over_sources, times
from bench.comparing.statistics import Contrast, mean_over_rounds, moderate
from bench.records import Record
from bench.words import NOTHING, listed, number

PARTS = ("whole", "gradients", "sampler", "ess")
"""CPU seconds of an effective draw, the part of them that the gradients and that the sampler make, and the effective
draws that a gradient buys the sampler."""


@dataclass(frozen=True)
class Crossing:
    """How B differs from A, in parts.

    Attributes
    ----------
    family, dataset, model : str
        Of the case; empty where it is a mean over several.
    path : tuple of str
        Backends from A to B.
    changes : tuple of str
        What each step changes, `gradient` or `sampler`.
    cases : int
        How many cases it is the geometric mean of, or sources of data.
    rounds : mapping of str to sequence of mapping of int to float
        Of each of `PARTS`, for each case, the log ratios B/A by replicate.
    contrasts : mapping of str to Contrast
        Of each of `PARTS`.
    of : str
        What `cases` counts.
    """

    family: str
    dataset: str
    model: str
    path: tuple[str, ...]
    changes: tuple[str, ...]
    cases: int
    rounds: Mapping[str, Sequence[Mapping[int, float]]]
    contrasts: Mapping[str, Contrast]
    of: str = "cases"

    @property
    def a(self) -> str:
        """What it is compared with."""
        return self.path[0]

    @property
    def b(self) -> str:
        """What is compared."""
        return self.path[-1]

    def changed(self, part: str) -> bool:
        """Whether any step changes a part; where none does, both sides share it."""
        needed = {"gradients": "gradient", "sampler": "sampler", "ess": "sampler"}.get(part)
        return needed is None or needed in self.changes

    def shown(self, part: str) -> str:
        """Write a ratio with its interval, and a dash for a part that both sides share."""
        if not self.changed(part):
            return NOTHING
        return times(self.contrasts[part], "")

    @property
    def sentence(self) -> str:
        """The parts in one sentence, told from the costlier side."""
        if self.contrasts["whole"].mean < 0:
            return self._turned.sentence
        over = f"{self.dataset} {self.model}" if self.dataset else f"over {self.cases} {self.of}"
        whole = f"{over}: {self.b} takes {self._times('whole')} times the CPU time of {self.a} for an effective draw"
        if not self.changed("sampler"):
            return f"{whole}, all of it for its gradients, since both have the same sampler"
        if not self.changed("gradients"):
            return f"{whole}, all of it for its sampler, since both have the same gradients"
        return (
            f"{whole}; of the {number(self.contrasts['whole'].ratio, 2)} times, {self._times('gradients')} are the "
            f"gradients and {self._times('sampler')} the sampler"
        )

    def _times(self, part: str) -> str:
        return times(self.contrasts[part], "", 2)

    @property
    def _turned(self) -> "Crossing":
        """A against B."""
        contrasts = {part: contrast.turned for part, contrast in self.contrasts.items()}
        return replace(self, path=self.path[::-1], changes=self.changes[::-1], contrasts=contrasts)


def crossings(cells: Sequence[Cell], reference: str | None = None) -> list[Crossing]:
    """Take apart how the engines of each case differ from a reference, as far as steps lead there.

    Parameters
    ----------
    cells : sequence of Cell
        Of one run or of several; those that may not be ranked are passed over.
    reference : str, optional
        Backend that the others are compared with; by default that of `bench.cells.baseline`.
    """
    a = reference or baseline(cells)
    cases: dict[tuple[str, ...], dict[str, Cell]] = {}
    for cell in cells:
        if cell.healthy and cell.first.gradient and cell.first.sampler:
            cases.setdefault((cell.first.run, *cell.key[:3]), {})[cell.backend] = cell
    found = []
    for (_, family, dataset, model), there in cases.items():
        for b in there:
            path = _path(there, a, b)
            if len(path) > 1 and (rounds := _rounds([there[name] for name in path])):
                parts = {part: [{number: each[part] for number, each in rounds.items()}] for part in PARTS}
                changes = tuple(_change(there[x], there[y]) for x, y in pairwise(path))
                found.append(Crossing(family, dataset, model, path, changes, 1, parts, _contrasts(parts)))
    return _moderated(found)


def pooled(of: Sequence[Crossing], *, by_model: bool = False) -> list[Crossing]:
    """Return geometric means over all cases that have the same steps, with rounds of replicates as units.

    Parameters
    ----------
    of : sequence of Crossing
        One for each case.
    by_model : bool
        Whether each model has a mean of its own, over its datasets.
    """
    groups: dict[tuple[str, ...], list[Crossing]] = {}
    for each in of:
        own = (each.family, each.model) if by_model else ("", "")
        groups.setdefault((*own, *each.path), []).append(each)
    found = []
    for (family, model, *_), group in groups.items():
        parts = {part: [rounds for each in group for rounds in each.rounds[part]] for part in PARTS}
        dataset, model = (group[0].dataset, group[0].model) if len(group) == 1 else ("", model)
        first = group[0]
        found.append(Crossing(family, dataset, model, first.path, first.changes, len(group), parts, _contrasts(parts)))
    return found


def pooled_over_sources(of: Sequence[Crossing]) -> list[Crossing]:
    """Return geometric means over sources of data (`ratios.over_sources`) of all cases that have the same steps.

    Parameters
    ----------
    of : sequence of Crossing
        One for each case.
    """
    groups: dict[tuple[str, ...], list[Crossing]] = {}
    for each in of:
        groups.setdefault(each.path, []).append(each)
    found = []
    for group in groups.values():
        means = {part: over_sources(_by_case(group, part)) for part in PARTS}
        first = replace(group[0], rounds={}, contrasts=means)
        if len(group) > 1:
            count = int(means["whole"].n)
            of_data = "source of data" if count == 1 else "sources of data"
            first = replace(first, cases=count, dataset="", model="", of=of_data)
        found.append(first)
    return found


def _by_case(group: Sequence[Crossing], part: str) -> dict[Key, float]:
    """Mean log ratio of each case, over its runs."""
    logs: dict[Key, list[float]] = {}
    for each in group:
        logs.setdefault((each.family, each.dataset, each.model), []).append(each.contrasts[part].mean)
    return {case: fmean(found) for case, found in logs.items()}


def sentences(of: Sequence[Crossing], cells: Sequence[Cell], *, by_source: bool = False) -> list[str]:
    """Say where the differences come from, over all cases, and where that or how sure it is can't be told.

    Parameters
    ----------
    of : sequence of Crossing
        One for each case.
    cells : sequence of Cell
        What they were found in.
    by_source : bool
        Whether each source of data counts once, and the sentences speak of others like them.
    """
    if not of:
        return []
    means = pooled_over_sources(of) if by_source else pooled(of)
    unsure = any(each.contrasts["whole"].interval is None for each in means)
    why = "sources of data" if by_source else "replicates; for intervals: --replicates 5"
    said = [each.sentence for each in means]
    said += [f"how sure that is can't be told from so few {why}"] if unsure else []
    if apart := unlinked(cells):
        shares = "shares" if len(apart) == 1 else "share"
        said.append(
            f"{listed(apart)} {shares} neither gradients nor sampler with another engine here, so that what differs "
            "can't be taken apart"
        )
    return said


def unlinked(cells: Sequence[Cell]) -> list[str]:
    """Return the engines that share neither gradients nor sampler with any other: no step leads to them.

    Parameters
    ----------
    cells : sequence of Cell
        Of one run or of several.
    """
    of = {cell.backend: cell for cell in cells if cell.healthy and cell.first.gradient and cell.first.sampler}
    return [name for name, cell in of.items() if not any(_change(cell, other) for other in of.values())]


def _change(a: Cell, b: Cell) -> str:
    """Say what alone two engines do not share; empty if they share both or nothing."""
    return {(True, False): "sampler", (False, True): "gradient"}.get(
        (a.first.gradient == b.first.gradient, a.first.sampler == b.first.sampler), ""
    )


def _path(there: Mapping[str, Cell], a: str, b: str) -> tuple[str, ...]:
    """Return the fewest backends that lead from one to another, each step changing one thing; empty if none do."""
    ways: list[tuple[str, ...]] = [(a,)] if a in there and b in there else []
    seen = {a}
    for way in ways:  # it grows while it is read
        if way[-1] == b:
            return way
        following = [name for name in there if name not in seen and _change(there[way[-1]], there[name])]
        seen.update(following)
        ways += [(*way, name) for name in following]
    return ()


def _rounds(path: Sequence[Cell]) -> dict[int, dict[str, float]]:
    """Return the log ratios of all parts for each replicate that counts, with all numbers, in every cell of a path.

    A replicate that was not made on one machine in all of them is left out.
    """
    measured = [
        {record.replicate: costs for record in cell.counted if all((costs := _costs(record)).values())} for cell in path
    ]
    every = [record for cell in path for record in cell.counted]
    found = {}
    for replicate in sorted(set.intersection(*map(set, measured))):
        if len(machines([record for record in every if record.replicate == replicate])) > 1:
            continue
        parts = {"gradients": 0.0, "sampler": 0.0, "ess": 0.0}
        for (a, b), (x, y) in zip(pairwise(path), pairwise(each[replicate] for each in measured), strict=True):
            if _change(a, b) == "gradient":
                parts["gradients"] += math.log(y["gradient"] / x["gradient"])
            else:
                parts["sampler"] += math.log(y["draw"] / x["draw"])
                parts["ess"] += math.log(y["ess"] / x["ess"])
        found[replicate] = {"whole": parts["gradients"] + parts["sampler"], **parts}
    return found


def _costs(record: Record) -> dict[str, float]:
    """CPU seconds of a gradient and of an effective draw, and effective draws of a gradient; 0 where not measured."""
    seconds, draws = record.cpu_seconds, record.min_ess_bulk  # what is drawn after sampling is no engine's
    return {
        "gradient": record.cpu_per_gradient or 0.0,
        "draw": seconds / draws if seconds and draws else 0.0,
        "ess": record.ess_per_gradient or 0.0,
    }


def _contrasts(parts: Mapping[str, Sequence[Mapping[int, float]]]) -> dict[str, Contrast]:
    return {part: mean_over_rounds(rounds) for part, rounds in parts.items()}


def _moderated(found: Sequence[Crossing]) -> list[Crossing]:
    """Let the contrasts of each part borrow strength from each other."""
    better = {part: moderate([each.contrasts[part] for each in found]) for part in PARTS}
    return [replace(each, contrasts={part: better[part][i] for part in PARTS}) for i, each in enumerate(found)]
