"""How often verdicts of tables that grow are wrong, and what they find: simulated versions, measured until decided.

Run it with ``python -m bench.comparing.aa_looks``; it takes some minutes and writes `reports/reference/aa-looks.md`.
"""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np

from bench.cells import key_of
from bench.comparing.aa import OUTPUT as SIMULATED
from bench.comparing.aa import SEED, claims, simulated_record, simulated_run
from bench.comparing.comparison import Comparison
from bench.comparing.difference import Difference
from bench.comparing.outcome import asks_for_more, outcome
from bench.comparing.sequential import LOOKS, decide_runs, undecided
from bench.records import Record

Spread = Literal["alike", "mixed", "outliers", "shared"]

OUTPUT = SIMULATED.with_name("aa-looks.md")
CV = 0.01
"""Spread of the CPU time of equal fits on a quiet machine, and of the ratio of fits that were made in turn."""
WITHIN = 0.05
MOST = 20
CONDITION = "slower:5%"


def two_versions(
    rng: np.random.Generator, cases: int, spread: Spread = "alike", slower: dict[int, float] | None = None
) -> tuple[list[Record], list[Record]]:
    """Return the records of two versions that give the same draws, with all replicates that may be asked for.

    Parameters
    ----------
    rng : Generator
        Source of all noise.
    cases : int
        Models of one backend on one dataset.
    spread : str
        Of the CPU seconds of a gradient. `alike`: 1 %. `mixed`: from 0.5 % to 2 %, each case its own. `outliers`: 5 %
        of the fits cost 4 % more on average. `shared`: half of the variance is common to all cases of a round.
    slower : dict of int to float, optional
        Factors on the cost of B, by the number of the case.
    """
    shape = (cases, MOST)
    sd = CV * np.exp(rng.uniform(np.log(0.5), np.log(2), (cases, 1))) if spread == "mixed" else CV
    gradients, ess = 28_000 * np.exp(rng.normal(0, 0.1, shape)), 1500 * np.exp(rng.normal(0, 0.15, shape))
    runs = []
    for run in ("a", "b"):
        noise = sd * rng.standard_normal(shape)
        if spread == "outliers":
            noise += (rng.random(shape) < 0.05) * rng.exponential(4 * CV, shape)
        if spread == "shared":
            noise = math.sqrt(0.5) * (noise + CV * rng.standard_normal(MOST))
        factor = np.array([(slower or {}).get(i, 1.0) if run == "b" else 1.0 for i in range(cases)])[:, None]
        cpu = 1e-5 * factor * gradients * np.exp(noise)
        wall = cpu * np.exp(np.abs(rng.normal(0, 0.1, shape)))
        runs.append(
            [
                simulated_record(
                    run=run,
                    model=f"model {i}",
                    replicate=j,
                    cpu_seconds=cpu[i, j],
                    wall_seconds=wall[i, j],
                    min_ess_bulk=ess[i, j],
                    gradients=int(gradients[i, j]),
                    warmup_gradients=int(gradients[i, j]),
                )
                for i in range(cases)
                for j in range(MOST)
            ]
        )
    return runs[0], runs[1]


def in_turn(
    a: list[Record], b: list[Record], is_open: Callable[[Difference], bool] = undecided
) -> tuple[Comparison, float]:
    """Take replicates as `hierbench versions --decide` makes them; return the last table and the replicates of a case.

    Parameters
    ----------
    a, b : list of Record
        All replicates that may be asked for.
    is_open : callable
        Whether a case needs more.
    """
    made = dict.fromkeys(map(key_of, a), LOOKS[0])
    for look in LOOKS:
        sides = [[record for record in side if record.replicate < made[key_of(record)]] for side in (a, b)]
        found = decide_runs(sides[0], sides[1], within=WITHIN, is_open=is_open)
        rows = [row for row in found.rows if is_open(row)]
        beyond = LOOKS[LOOKS.index(look) + 1]
        if not rows or beyond > MOST:
            break
        for row in rows:
            made[row.family, row.dataset, row.model, row.backend] = beyond
    return found, fmean(made.values())


def untrue(row: Difference, factor: float) -> bool:
    """Whether a verdict is not true.

    Parameters
    ----------
    row : Difference
        With its verdict.
    factor : float
        The true slow-down of B.
    """
    true = {"slower": factor > 1, "faster": factor < 1, "same": abs(math.log(factor)) <= math.log1p(WITHIN) + 1e-9}
    return not true.get(row.kind, True)


@dataclass(frozen=True)
class Looks:
    """What a number of tables said, each measured until it was decided.

    Attributes
    ----------
    cases, tables : int
        Of each table; how many.
    wrong : int
        Tables with a verdict that is not true, of a case or the pooled one, or with any other claim of a difference
        where none was planted.
    found : int
        Slower cases that were called so after at most 5 replicates.
    planted : int
        Slower cases.
    pooled : int
        Tables whose pooled verdict was `slower` after at most 5 replicates.
    decided : int
        Cases that were decided.
    gate : dict of str to int
        Tables by their outcome on `--fail-on`.
    replicates : float
        Of a case, on average.
    """

    cases: int
    tables: int
    wrong: int
    found: int
    planted: int
    pooled: int
    decided: int
    gate: dict[str, int]
    replicates: float


def look_again(
    seed: int,
    cases: int,
    spread: Spread = "alike",
    factor: float = 1.0,
    slowed: int = 1,
    tables: int = 500,
    condition: str | None = None,
) -> Looks:
    """Measure simulated versions until all cases are decided, again and again, and count what was said.

    Parameters
    ----------
    seed : int
        Of all noise.
    cases : int
        Of a table.
    spread : str
        See `two_versions`.
    factor : float
        On the cost of a gradient of B in the first `slowed` cases.
    slowed, tables : int
        How many.
    condition : str, optional
        That of `--fail-on`, by default `slower:5%` once all cases are decided.
    """
    is_open = undecided if condition is None else asks_for_more(condition)
    rng = np.random.default_rng([seed, cases, round(1000 * factor), slowed])
    slower = dict.fromkeys(range(slowed), factor) if factor != 1 else {}
    mean = math.exp(math.log(factor) * len(slower) / cases)
    bad = found = pooled = decided = 0
    gate: dict[str, int] = {}
    replicates = []
    for _ in range(tables):
        table, made = in_turn(*two_versions(rng, cases, spread, slower), is_open)
        true = {f"model {i}": slower.get(i, 1.0) for i in range(cases)}
        false = any(untrue(row, true[row.model]) for row in table.rows) or any(
            untrue(row, mean) for row in table.pooled
        )
        bad += false or any(claims([row for row in table.rows if true[row.model] == 1]))
        found += sum(row.kind == "slower" and row.n <= 5 for row in table.rows if true[row.model] > 1)
        pooled += any(row.kind == "slower" and row.n <= 5 for row in table.pooled)
        decided += sum(row.kind != "not enough" for row in table.rows)
        state = outcome([table], condition or CONDITION).state
        gate[state] = gate.get(state, 0) + 1
        replicates.append(made)
    return Looks(cases, tables, bad, found, tables * len(slower), pooled, decided, gate, fmean(replicates))


def other_draws(seed: int, tables: int = 100) -> tuple[int, int]:
    """Count the tables with a false claim where draws, health and divergences differ too, and those tried.

    Parameters
    ----------
    seed : int
        Of all noise.
    tables : int
        How many, of 24 cases each.
    """
    rng = np.random.default_rng([seed, MOST])
    false = 0
    for _ in range(tables):
        table = decide_runs(simulated_run(rng, MOST), simulated_run(rng, MOST, "b"))
        false += any(claims([*table.rows, *table.pooled]))
    return false, tables


def report(seed: int = SEED, tables: int = 200) -> Iterator[str]:
    """Yield the lines of `reports/reference/aa-looks.md`.

    Parameters
    ----------
    seed : int
        Of all noise.
    tables : int
        Of each kind.
    """
    yield "# How often `hierbench versions --decide 5%` is wrong, and what it finds"
    yield ""
    yield f"Made with `python -m bench.comparing.aa_looks` (seed {seed}); simulated records, the code of the command."
    yield f"Two versions with the same draws; the CPU time of equal fits varies by {CV:.0%} (mixed: from 0.5 % to 2 %,"
    yield "each case its own; outliers: 5 % of the fits cost 4 % more on average; shared: half of the variance is"
    yield "common to all cases of a round). A case is measured until its look decides it, at most 20 replicates."
    yield ""
    yield "## A version against itself"
    yield ""
    yield "False: any claim of a difference, in cases, pooled verdicts or other measures; it should be 1 % at most."
    yield ""
    yield "| cases | spread | tables | with a false claim | decided | replicates |"
    yield "|---|---|---|---|---|---|"
    spreads: tuple[Spread, ...] = ("alike", "mixed", "outliers", "shared")
    for cases in (4, 6):
        for spread in spreads:
            c = look_again(seed, cases, spread, tables=tables)
            yield (
                f"| {cases} | {spread} | {c.tables} | {c.wrong} ({c.wrong / c.tables:.2%}) "
                f"| {c.decided / c.tables / cases:.1%} | {c.replicates:.1f} |"
            )
    false, tried = other_draws(seed, max(1, tables // 10))
    yield f"| 24 | other draws, health, divergences | {tried} | {false} ({false / tried:.2%}) | | 20 |"
    yield ""
    yield "## A planted slow-down of 1.05 in the cost of a gradient"
    yield ""
    yield "Found: the slowed case itself is `slower` after at most 5 replicates. False: any verdict that is not true."
    yield ""
    yield "| cases | slowed | spread | tables | found | pooled `slower` | with a false verdict | replicates |"
    yield "|---|---|---|---|---|---|---|---|"
    for cases, slowed in ((4, 1), (6, 1), (6, 6), (24, 1)):
        for spread in spreads[:2] if cases < 24 else spreads[:1]:
            c = look_again(seed, cases, spread, 1.05, slowed, tables)
            yield (
                f"| {cases} | {slowed} | {spread} | {c.tables} | {c.found / c.planted:.1%} | {c.pooled / c.tables:.1%} "
                f"| {c.wrong} ({c.wrong / c.tables:.2%}) | {c.replicates:.1f} |"
            )

    yield ""
    yield f"## With `--fail-on {CONDITION}`"
    yield ""
    yield "Six cases, the first of which is slower by a factor; measured until the condition can be told."
    yield ""
    yield "| factor | tables | passes | fails | can't tell | replicates |"
    yield "|---|---|---|---|---|---|"
    for factor in (1.0, 1.02, 1.1, 1.2):
        c = look_again(seed, 6, "alike", factor, 1, tables // 4, CONDITION)
        shares = " | ".join(f"{c.gate.get(state, 0) / c.tables:.1%}" for state in ("passes", "fails", "can't tell"))
        yield f"| {factor} | {c.tables} | {shares} | {c.replicates:.1f} |"


if __name__ == "__main__":
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(report()) + "\n"
    OUTPUT.write_text(text)
    sys.stdout.write(text)
