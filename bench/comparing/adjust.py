"""Verdicts of a whole table: which of its many differences may be claimed."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.comparing.difference import Difference
from bench.comparing.effect import Change
from bench.comparing.statistics import holm

SHARES = {"pooled": 0.2, "cases": 0.4, "rest": 0.1}
"""Of the chance of a false alarm: for pooled verdicts, for those of cases, and for all else in a table.

What is left, three tenths, pays for variances that cases borrow from each other: where their spreads differ by a factor
of four, intervals are a little too narrow (see `bench.comparing.aa_looks`).
"""


SURELY = 5
"""Replicates of each side from which on all of one unhealthy, and none of the other, is a verdict.

Of a case that is unhealthy half of the time, the worst for this, chance gives it in 1 of 500 comparisons.
"""


def adjusted(
    rows: Sequence[Difference],
    means: Sequence[Difference],
    pooled: Sequence[Difference],
    within: float,
    alpha: float,
) -> tuple[list[Difference], list[Difference], list[Difference]]:
    """Adjust all p values of a table together (Holm) and give every row its verdicts.

    Parameters
    ----------
    rows, means, pooled : sequence of Difference
        Without verdicts.
    within : float
        Margin of `same`.
    alpha : float
        Chance of even one false alarm.
    """
    every = [*rows, *means, *pooled]
    raw: dict[tuple[int, str], float] = {}
    for i, row in enumerate(every):
        for effect in row.effects:
            if not math.isnan(effect.contrast.p):
                raw[i, effect.measure] = effect.contrast.p
        if row.divergences and row.rate and sum(row.divergences):
            raw[i, "divergences"] = row.rate.p
        if row.unhealthy and sum(sick for sick, _ in row.unhealthy):
            raw[i, "health"] = _health_p(row)
    p = dict(zip(raw, holm(list(raw.values())), strict=True))

    def decide(i: int, row: Difference) -> Difference:
        return replace(
            row,
            effects=tuple(e.decide(p.get((i, e.measure), math.nan), within, alpha) for e in row.effects),
            divergence_change=_diverging(row) if p.get((i, "divergences"), 1) <= alpha else "",
            health_change=_health(row) if _surely(row) or p.get((i, "health"), 1) <= alpha else "",
        )

    decided = [decide(i, row) for i, row in enumerate(every)]
    first, second = len(rows), len(rows) + len(means)
    return decided[:first], decided[first:second], decided[second:]


def simultaneous(
    rows: Sequence[Difference], pooled: Sequence[Difference], within: float, alpha: float
) -> tuple[list[Difference], list[Difference]]:
    """Give every row the verdicts that its intervals give, at levels at which all of the table hold at once.

    Parameters
    ----------
    rows, pooled : sequence of Difference
        Without verdicts.
    within : float
        Margin of `same`.
    alpha : float
        Chance that even one interval of the table is wrong.

    Notes
    -----
    Bonferroni, within three parts of alpha (`SHARES`): what may decide a row is not weighed down by what only stands
    beside it. Divergences and health are tested by p values at the level of the last part, and not where both sides
    have the same draws. That B is unhealthy in all replicates and A in none is no verdict here before the test says so.
    """
    candidates = [(i, measure) for i, row in enumerate(rows) for measure in row.candidates]
    of_pooled = [(i, measure) for i, row in enumerate(pooled) for measure in row.candidates]
    effects = sum(len(row.effects) for row in [*rows, *pooled]) - len(candidates) - len(of_pooled)
    rest = SHARES["rest"] * alpha / max(1, effects + 2 * sum(not row.same_draws for row in rows))
    of_cases = SHARES["cases"] * alpha / max(1, len(candidates))

    def decide(row: Difference, part: float) -> Difference:
        levels = {effect.measure: 1 - (part if effect.measure in row.candidates else rest) for effect in row.effects}
        diverges = row.rate is not None and not row.same_draws and row.rate.p <= rest
        sicker = row.unhealthy is not None and not row.same_draws and _health_p(row) <= rest
        return replace(
            row,
            effects=tuple(effect.decide_at(levels[effect.measure], within) for effect in row.effects),
            divergence_change=_diverging(row) if diverges else "",
            health_change=_health(row) if sicker else "",
        )

    part = SHARES["pooled"] * alpha / max(1, len(of_pooled))
    return [decide(row, of_cases) for row in rows], [decide(row, part) for row in pooled]


def _diverging(row: Difference) -> Change:
    return "worse" if row.rate is not None and row.rate.ratio > 1 else "better"


def _health(row: Difference) -> Change:
    return "worse" if _sicker(row) > 0 else "better"


def _surely(row: Difference) -> bool:
    """Whether one side alone is unhealthy, in all of enough replicates, or gave no fit at all."""
    if row.unhealthy is None or abs(_sicker(row)) < 1:
        return False
    return row.rate is None or min(n for _, n in row.unhealthy) >= SURELY


def _sicker(row: Difference) -> float:
    """By how much the share of unhealthy replicates is larger in B."""
    (sick_a, n_a), (sick_b, n_b) = row.unhealthy or ((0, 1), (0, 1))
    return sick_b / n_b - sick_a / n_a


def _health_p(row: Difference) -> float:
    """Fisher's exact test of the shares of unhealthy replicates."""
    from scipy.stats import fisher_exact  # which takes a second to import

    table = [[sick, total - sick] for sick, total in row.unhealthy or ()]
    return float(fisher_exact(np.array(table)).pvalue)
