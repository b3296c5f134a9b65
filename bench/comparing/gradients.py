"""One evaluation of log density and gradient, compared between versions."""

import math
from collections.abc import Mapping

from bench.comparing.adjust import adjusted
from bench.comparing.compare import moderated, pooled_over_cases
from bench.comparing.comparison import Comparison
from bench.comparing.difference import Difference
from bench.comparing.effect import GRADIENT, Effect
from bench.comparing.statistics import MIN_POOL, paired
from bench.words import printable

Case = tuple[str, str, str, str]
"""Family, dataset, model and backend."""
Seconds = Mapping[Case, Mapping[int, float]]
"""Seconds of one evaluation, by case and replicate."""
WITHIN = 0.02
"""Ratios inside 1/1.02 to 1.02 count as the same: what the fastest of many rounds can tell apart."""


def compare_gradients(seconds: Mapping[str, Seconds], names: tuple[str, str], alpha: float) -> Comparison | None:
    """Compare what an evaluation takes in B with what it takes in A, or return None where no case is in both.

    Parameters
    ----------
    seconds : mapping of str to Seconds
        Of each version. Replicates of one number were made in turn, and are pairs.
    names : pair of str
        What A and B are.
    alpha : float
        Chance of even one false alarm in the whole table.
    """
    a, b = (seconds[name] for name in names)
    rows = []
    for case in (case for case in b if case in a):
        both = sorted(a[case].keys() & b[case].keys())
        x, y = ([side[case][number] for number in both] for side in (a, b))
        if both and min(*x, *y) > 0:  # a clock that stood still has measured nothing
            logs = {number: math.log(b[case][number] / a[case][number]) for number in both}
            effect = Effect(GRADIENT, paired(x, y), pairs=logs)
            rows.append(Difference(*case, versus="", n=len(both), pairs=True, effects=(effect,)))
    if not rows:
        return None
    rows = moderated(rows, MIN_POOL)
    rows, _, pooled = adjusted(rows, [], pooled_over_cases(rows, "version"), WITHIN, alpha)
    a_name, b_name = map(printable, names)
    return Comparison(a_name, b_name, "version", tuple(rows), (), (), WITHIN, alpha, tuple(pooled))
