"""Verdicts of a table that grows: at which numbers of replicates it is looked at, and what each look may claim.

Who looks at the data after every replicate and stops when they please finds a difference where there is none, sooner or
later. So the looks are fixed before (`LOOKS`), and the 1 % chance of a false alarm in a table is divided among them:
5 % of it is spent at 3 replicates, where only large differences can show, 55 % at 5, and half of what is left at each
later one. Within a look it is divided among the lines of the table (`bench.comparing.adjust.simultaneous`). Each
interval is printed at the level that it gets so, and every verdict is read from its interval: so with a chance of 99 %
all intervals of all looks hold the true ratios, and then no verdict is wrong, whenever and for whatever reason one
stops. This is Bonferroni's inequality with the alpha spending of Lan, K. K. G., and DeMets, D. L. (1983), Biometrika
70, 659-663; `bench.comparing.aa_looks` shows by simulation what it costs and what it finds.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from bench.comparing.compare import ALPHA, compare_runs
from bench.comparing.comparison import Comparison
from bench.comparing.difference import Difference
from bench.comparing.effect import WITHIN
from bench.comparing.matching import By
from bench.records import Record

LOOKS = (3, 5, 8, 12, 20, 32, 50, 80, 125, 200)
"""Replicates of a case at which its verdict is looked for."""
FIRST, SECOND = 0.05, 0.55
"""Parts of the chance of a false alarm that are spent at the first two looks."""


def spent(look: int) -> float:
    """Part of the chance of a false alarm that a look may spend.

    Parameters
    ----------
    look : int
        Its number, from 0.

    Examples
    --------
    >>> [round(spent(look), 4) for look in range(5)]
    [0.05, 0.55, 0.2, 0.1, 0.05]
    """
    return (FIRST, SECOND)[look] if look < 2 else (1 - FIRST - SECOND) / 2 ** (look - 1)


def undecided(row: Difference) -> bool:
    """Whether more replicates of a case may bring its verdict: it is open, or one side alone may be ranked.

    Parameters
    ----------
    row : Difference
        With the verdict of a look.
    """
    return row.one_sided if row.deciding is None else row.kind == "not enough"


def decide_runs(
    a: Sequence[Record],
    b: Sequence[Record] | None = None,
    by: By = "version",
    *,
    within: float = WITHIN,
    alpha: float = ALPHA,
    is_open: Callable[[Difference], bool] = undecided,
    **rest: Any,
) -> Comparison:
    """Compare two runs that grow, or the backends or models of one: each case as at the look that settled it.

    All looks are taken again from the records, so that the same records give the same verdicts, whoever looked at them
    in between. Replicates beyond the last look, and beyond the one that settled a case, change nothing.

    Parameters
    ----------
    a, b : sequence of Record
        As in `compare_runs`.
    by : str
        What differs between the sides.
    within : float
        Margin of `same`.
    alpha : float
        Chance of even one false alarm, in the whole table and at all looks.
    is_open : callable
        Whether a case is looked at again at the next look.
    **rest
        Other parameters of `compare_runs`.

    Returns
    -------
    Comparison
        Without any verdict if there are fewer than three replicates.
    """

    def table(n: int, look: float) -> Comparison:
        sides = [None if side is None else [r for r in side if r.replicate < n] for side in (a, b)]
        return compare_runs(sides[0] or [], sides[1], by, within=within, alpha=alpha, look=look, **rest)

    made = 1 + max((record.replicate for record in a), default=0)
    rows: dict[tuple[str, ...], Difference] = {}
    pooled: dict[tuple[str, ...], Difference] = {}
    looks = [n for n in LOOKS if n <= made]
    found = table(made, 0.0) if not looks else None
    for number, n in enumerate(looks):
        found = table(n, spent(number))
        for row in found.rows:
            if _key(row) not in rows or (is_open(rows[_key(row)]) and _complete(row, n)):
                rows[_key(row)] = row
        for row in found.pooled:
            if _key(row) not in pooled or undecided(pooled[_key(row)]):
                pooled[_key(row)] = row
    assert found is not None
    settled = tuple(rows.get(_key(row), row) for row in found.rows)
    return replace(
        found,
        rows=settled,
        pooled=tuple(implied(pooled.get(_key(row), row), settled, within) for row in found.pooled),
        looks=LOOKS[: max(1, len(looks))],
    )


def implied(pooled: Difference, rows: Sequence[Difference], within: float) -> Difference:
    """Narrow a mean over cases to what the intervals of the cases imply.

    Where these all hold at once, the mean of the log ratios lies between the means of their ends. Rounds are the units
    of the mean's own interval, so with few of them it can be far wider than that.

    Parameters
    ----------
    pooled : Difference
        The mean.
    rows : sequence of Difference
        Each case, as at the look that settled it.
    within : float
        Margin of `same`.
    """
    own = [
        row
        for row in rows
        if row.versus == pooled.versus and all(a in ("all", b) for a, b in zip(_case(pooled), _case(row), strict=True))
    ]
    effects = []
    for effect in pooled.effects:
        each = [one for row in own for one in row.effects if one.measure == effect.measure]
        if len(each) == pooled.over and (half := fmean(one.half_width for one in each)) < effect.half_width:
            mean = fmean(one.contrast.mean for one in each)
            narrower = replace(effect, contrast=replace(effect.contrast, mean=mean), implied=half)
            effect = narrower.decide_at(effect.level, within)
        effects.append(effect)
    return replace(pooled, effects=tuple(effects))


def _case(row: Difference) -> tuple[str, str]:
    return row.model, row.backend


def _key(row: Difference) -> tuple[str, ...]:
    return (row.family, row.dataset, row.model, row.backend, row.versus)


def _complete(row: Difference, n: int) -> bool:
    """Whether both sides have all replicates up to a look; a case that was settled before has fewer."""
    return all(replicates == n for _, replicates in row.unhealthy or ())
