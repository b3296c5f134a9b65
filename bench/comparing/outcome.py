"""Pass, fail, or can't tell: what a comparison means for a condition such as `slower:10%`."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.comparing.comparison import Comparison
from bench.comparing.difference import Difference
from bench.comparing.effect import Effect
from bench.comparing.matching import CompareError
from bench.words import printable

State = Literal["passes", "fails", "can't tell"]
EXIT_CODES: dict[State, int] = {"passes": 0, "fails": 1, "can't tell": 3}


@dataclass(frozen=True)
class Outcome:
    """A state, and the sentence that says why."""

    state: State
    why: str

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.state}: {self.why}"


def outcome(comparisons: Sequence[Comparison], condition: str) -> Outcome:
    """Hold comparisons against a condition.

    Parameters
    ----------
    comparisons : sequence of Comparison
        All that were made; together they pass or fail.
    condition : str
        `slower`, or `slower:10%`.

    Returns
    -------
    Outcome
        `fails` if some case or geometric mean has the verdict `slower` with an estimated slow-down of at least that
        much in the measure that decided, or some case is less healthy or diverges more. `can't tell` if else some
        case may still be that much slower by its interval, or is healthy in A alone, or none could be ranked. `passes`
        if neither.

    Raises
    ------
    CompareError
        If the condition can't be read.
    """
    most = limit(condition)
    by = f" by more than {100 * (most - 1):.3g} %" if most > 1 else ""
    rows = [row for each in comparisons for row in each.rows]
    bad = [_worse(row) for row in rows if row.regression]
    for each in comparisons:
        for row in (*each.rows, *each.pooled, *each.means):
            effect = row.deciding
            if effect is not None and _surely_slower(effect, each) and effect.slowdown >= most:
                low, high = effect.slowdowns
                bad.append(f"{_name(row)} is {effect.slowdown:.2f} times as slow [{low:.2f}, {high:.2f}]")
    if bad:
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        return Outcome("fails", bad[0] + more)
    ranked = [(row, row.deciding) for row in rows if row.deciding is not None]
    if not ranked:
        return Outcome("can't tell", "no case is healthy on both sides; choose others with --model, or more --draws")
    undecided = [(row, effect) for row, effect in ranked if _undecided(effect, most)]
    if undecided:
        row, effect = max(undecided, key=lambda found: found[1].slowdowns[1])
        far = effect.slowdowns[1]
        how = f"by up to a factor of {far:.2f}" if math.isfinite(far) else "by any factor, as far as can be told"
        return Outcome(
            "can't tell",
            f"{len(undecided)} of {len(ranked)} cases may be slower{by}, {_name(row)} {how}; "
            f"it takes some {max(effect.more, 1)} more replicates",
        )
    if lost := [row for row in rows if row.lost]:
        return Outcome(
            "can't tell",
            f"{_name(lost[0])} is healthy enough in A alone ({lost[0].health}), which may be chance; it takes more "
            "replicates",
        )
    return Outcome("passes", f"none of {len(ranked)} cases is slower{by}")


def limit(condition: str) -> float:
    """Return the factor that a condition allows.

    Parameters
    ----------
    condition : str
        `slower`, or `slower:10%`.

    Raises
    ------
    CompareError
        If it can't be read.
    """
    match = re.fullmatch(r"slower(?::\s*(\d+(?:\.\d+)?)\s*%)?", condition.strip())
    if match is None:
        raise CompareError(f"{condition!r} is no condition; type e.g. --fail-on slower:10%")
    return 1 + float(match[1] or 0) / 100


def asks_for_more(condition: str) -> Callable[[Difference], bool]:
    """Return what tells whether a condition asks for more replicates of a case.

    Parameters
    ----------
    condition : str
        `slower`, or `slower:10%`. A case that fails has its answer, as has one that can't be that much slower.
    """
    most = limit(condition)

    def asks(row: Difference) -> bool:
        effect = row.deciding
        if effect is None:
            return row.one_sided
        fails = effect.slowdowns[0] > 1 and effect.slowdown >= most
        return not fails and _undecided(effect, most)

    return asks


def _surely_slower(effect: Effect, comparison: Comparison) -> bool:
    """Whether the verdict is slower; where the intervals hold all at once, they also tell it within the margin."""
    return effect.kind == "slower" or (bool(comparison.looks) and effect.slowdowns[0] > 1)


def _undecided(effect: Effect, most: float) -> bool:
    """Whether a case that does not fail may yet be too slow."""
    return effect.kind == "not enough" if most == 1 else effect.slowdowns[1] > most


def _worse(row: Difference) -> str:
    """Say in what a case got worse beside its speed."""
    words = [word for word, change in _REGRESSIONS.items() if getattr(row, change) == "worse"]
    return f"{_name(row)}: {' and '.join(words)}"


_REGRESSIONS = {"less healthy": "health_change", "more divergences": "divergence_change"}


def _name(row: Difference) -> str:
    """Name a case, or a geometric mean over datasets."""
    where = row.dataset or (f"mean over {row.over} cases" if row.over else "mean over datasets")
    return printable(f"{row.model} on {row.backend}, {where}")
