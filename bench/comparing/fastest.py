"""Which backend is the fastest of its group of cases, and whether that is sure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from bench.comparing.statistics import Contrast, holm
from bench.words import listed, number

ALPHA = 0.05
"""Chance that a backend is called the fastest of even one group in which it is not."""


class Fastest(NamedTuple):
    """The backend with the most effective draws per second in a group of cases.

    Attributes
    ----------
    of : str
        What the group is of: a kind of models, or a size of the data.
    engine : str
        The backend.
    others : dict of str to Contrast
        Log ratio of its rate to that of each other backend, over the cases that both fit; the next one stands first.
    rivals : tuple of str
        Those of the others that may be as fast.
    """

    of: str
    engine: str
    others: dict[str, Contrast]
    rivals: tuple[str, ...]

    @property
    def sure(self) -> bool:
        """Whether it is ahead of each of the others."""
        return not self.rivals

    @property
    def who(self) -> str:
        """The backends one of which is the fastest; empty if it may be any."""
        return "" if len(self.rivals) == len(self.others) else listed(sorted([self.engine, *self.rivals]), "or")

    @property
    def lead(self) -> str:
        """By how much it leads."""
        other, contrast = next(iter(self.others.items()))
        return f"{number(contrast.ratio, 2)} times {other}"


def fastest(engines: Sequence[str], means: Mapping[str, Mapping[tuple[str, str], Contrast]]) -> dict[str, Fastest]:
    """Return the fastest backend of each group in which two backends can be compared.

    It is the one that is ahead of the most others. Whether it surely is ahead of one is told by a t test; all of them,
    over all groups, are adjusted together (Holm). One that was seen once says nothing of its spread: it is taken to
    vary as the one that varies most, with as few degrees of freedom as any.

    Parameters
    ----------
    engines : sequence of str
        Backends.
    means : mapping of str to mapping
        For each group the mean log ratio of rates, the first backend over the second.
    """
    found: dict[str, Fastest] = {}
    for group, of_group in means.items():
        if of_group:
            ahead = {a: sum(c.mean > 0 for (x, _), c in of_group.items() if x == a) for a in engines}
            first = max(ahead, key=lambda engine: ahead[engine])
            others = sorted((c.mean, b) for (a, b), c in of_group.items() if a == first)
            found[group] = Fastest(group, first, {b: of_group[first, b] for _, b in others}, ())
    known = [c for each in found.values() for c in each.others.values() if c.known]

    def p(contrast: Contrast) -> float:
        if not contrast.known and known:
            spread, df = max(c.variance for c in known), min(c.df for c in known)
            contrast = replace(contrast, variance=spread, df=df)
        return contrast.p if contrast.known else 1.0

    tests = [(group, b, p(c)) for group, each in found.items() for b, c in each.others.items()]
    open_ = {test[:2] for test, p in zip(tests, holm([test[2] for test in tests]), strict=True) if p > ALPHA}
    return {
        group: each._replace(rivals=tuple(other for other in each.others if (group, other) in open_))
        for group, each in found.items()
    }
