"""How often verdicts are wrong on real records: halves of the replicates of one run, and a version tried twice.

Run it with ``python -m bench.deciding.aa_real RUN FOLDER...``: a run, and folders of `hierbench versions` in which one
version was tried under two names (``--try stanli==0.24.0,FILE.whl --replicates 20``, without `--decide`). It writes
`reports/reference/aa-real.md`.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev

import numpy as np

from bench.cells import Cell, cells, key_of
from bench.comparing.aa import OUTPUT as SIMULATED
from bench.comparing.aa import SEED, TABLES, Count, Power, claims
from bench.comparing.aa_looks import WITHIN, in_turn
from bench.comparing.compare import compare_runs, log_ratio
from bench.comparing.outcome import outcome
from bench.comparing.sequential import decide_runs
from bench.deciding.matrix import Matrix
from bench.deciding.turns import records_of
from bench.deciding.versions import read_folder
from bench.records import Record, find_run, read_records

OUTPUT = SIMULATED.with_name("aa-real.md")
EARLY = 5
"""Replicates after which a slow-down should be found."""


def halves(records: Sequence[Record], rng: np.random.Generator) -> tuple[list[Record], list[Record]]:
    """Divide the replicates of each cell by chance into two runs of the same thing.

    Parameters
    ----------
    records : sequence of Record
        Of one run.
    rng : Generator
        Source of the chance.
    """
    a: list[Record] = []
    b: list[Record] = []
    for cell in cells(records):
        order = rng.permutation(len(cell.records))
        for side, half in ((a, order[::2]), (b, order[1::2])):
            side += [replace(cell.records[at], replicate=number, seed=number) for number, at in enumerate(half)]
    return a, b


def slowed(record: Record, factor: float) -> Record:
    """Return a record whose fit took longer by a factor, as if it had slept in proportion.

    Parameters
    ----------
    record : Record
        What was measured.
    factor : float
        On its wall and CPU time.
    """
    if record.wall_seconds is None or record.ess_per_second is None:
        return record
    return replace(
        record,
        wall_seconds=factor * record.wall_seconds,
        cpu_seconds=record.cpu_seconds and factor * record.cpu_seconds,
        wall_repeats=record.wall_repeats and [factor * seconds for seconds in record.wall_repeats],
        cpu_repeats=record.cpu_repeats and [factor * seconds for seconds in record.cpu_repeats],
        ess_per_second=record.ess_per_second / factor,
    )


def compare_halves(
    records: Sequence[Record], seed: int, factor: float = 1.2, tables: int = TABLES
) -> tuple[Count, Power]:
    """Compare random halves of a run's own records: nothing differs, or one cell of B is slowed down.

    Parameters
    ----------
    records : sequence of Record
        Of one run.
    seed : int
        Of the halves and of the choice of the cell.
    factor : float
        On the wall time of that cell.
    tables : int
        Comparisons of each kind.
    """
    rng = np.random.default_rng(seed)
    every = [cell.key for cell in cells(records) if cell.healthy]
    size = min(len(cell.records) for cell in cells(records)) // 2
    alike = []
    found = failed = wrong = 0
    for _ in range(tables):
        a, b = halves(records, rng)
        alike.append(compare_runs(a, b))
        slow = every[rng.integers(len(every))]
        planted = compare_runs(a, [slowed(record, factor) if key_of(record) == slow else record for record in b])
        hit = [row for row in planted.rows if (row.family, row.dataset, row.model, row.backend) == slow]
        found += sum(row.kind == "slower" for row in hit)
        failed += outcome([planted], "slower:10%").state == "fails"
        wrong += sum(claims([row for row in planted.rows if row not in hit]))
    return Count.of(size, alike), Power(size, tables, factor, 1, found, tables, failed, wrong)


@dataclass(frozen=True)
class Decided:
    """What was said of a version that was tried twice, looked at as `hierbench versions --decide 5%` does.

    Attributes
    ----------
    backend : str
        Whose version it is.
    cases, made : int
        Of each table; the replicates of a case that there are.
    spread : float
        Standard deviation of the log ratio of a pair, in the CPU time of a gradient: the median over cases.
    measured : int
        False claims of the table as it was measured.
    tables, wrong : int
        How many tables of the same fits, the two of each pair having changed sides by chance; those with a false claim.
    decided : float
        Share of the cases that got a verdict.
    replicates : float
        Of a case, on average.
    found : int
        Tables in which a case that was made slower was called so after at most 5 replicates.
    """

    backend: str
    cases: int
    made: int
    spread: float
    measured: int
    tables: int
    wrong: int
    decided: float
    replicates: float
    found: int


def decide_twins(
    a: Sequence[Record], b: Sequence[Record], seed: int, tables: int, factor: float = 1 + WITHIN
) -> Decided:
    """Look at a version that was tried twice again and again, until each case is decided or no replicate is left.

    Parameters
    ----------
    a, b : sequence of Record
        Of both, with the same seeds, and so with the same draws. What is not healthy is left out.
    seed : int
        Of that chance, and of the choice of the case that is slowed down.
    tables : int
        How many such tables.
    factor : float
        On the time of that case.
    """
    rng = np.random.default_rng(seed)
    twins = {record.key: record for record in b}
    every = [cell.key for cell in cells(a) if cell.healthy]
    pairs = [
        (record, twin)
        for record in a
        if key_of(record) in every and (twin := twins.get(record.key)) is not None and _ranked(record) and _ranked(twin)
    ]
    measured, _ = in_turn([one for one, _ in pairs], [other for _, other in pairs])
    wrong = decided = cases = hits = 0
    replicates = []
    for _ in range(tables):
        first = rng.integers(0, 2, len(pairs))
        x, y = ([pair[side] for pair, side in zip(pairs, chosen, strict=True)] for chosen in (first, 1 - first))
        found, made = in_turn(x, y)
        wrong += any(claims([*found.rows, *found.pooled]))
        cases += len(found.rows)
        decided += sum(row.kind != "not enough" for row in found.rows)
        replicates.append(made)
        slow = every[rng.integers(len(every))]
        few, others = ([record for record in side if record.replicate < EARLY] for side in (x, y))
        planted = decide_runs(
            few, [slowed(record, factor) if key_of(record) == slow else record for record in others], within=WITHIN
        )
        hits += any(
            row.kind == "slower" and (row.family, row.dataset, row.model, row.backend) == slow for row in planted.rows
        )
    logs: dict[tuple[str, ...], list[float]] = {}
    for one, other in pairs:
        logs.setdefault(key_of(one), []).append(log_ratio("cpu_per_gradient", one, other))
    return Decided(
        backend=", ".join(dict.fromkeys(record.backend for record, _ in pairs)),
        cases=cases // tables,
        made=round(len(pairs) / len({key_of(record) for record, _ in pairs})),
        spread=_spread(list(logs.values())),
        measured=sum(claims([*measured.rows, *measured.pooled])),
        tables=tables,
        wrong=wrong,
        decided=decided / cases,
        replicates=fmean(replicates),
        found=hits,
    )


def _ranked(record: Record) -> bool:
    """Whether it is healthy and both clock and gradients were counted."""
    return record.healthy and record.cpu_per_gradient is not None


def _costs(cell: Cell) -> list[float]:
    """Return the logs of the CPU seconds of a gradient."""
    return [math.log(cost) for record in cell.counted if (cost := record.cpu_per_gradient)]


def _spread(logs: Sequence[Sequence[float]]) -> float:
    """Return the median over cases of the standard deviation."""
    return median(stdev(each) for each in logs if len(each) > 1)


def report(
    records: Sequence[Record],
    twins: Sequence[tuple[Sequence[Record], Sequence[Record]]],
    seed: int = SEED,
    tables: int = TABLES,
) -> Iterator[str]:
    """Yield the lines of `reports/reference/aa-real.md`.

    Parameters
    ----------
    records : sequence of Record
        Of a run.
    twins : sequence of (sequence of Record, sequence of Record)
        Of versions that were tried twice.
    seed, tables : int
        As in `compare_halves` and `decide_twins`.
    """
    first, table = records[0], cells(records)
    count, power = compare_halves(records, seed, tables=tables)
    versions = dict.fromkeys(f"{name} {number}" for cell in table for name, number in cell.records[0].versions.items())
    cores, cpu = (first.environment.get(name, "unknown") for name in ("cores", "cpu"))
    yield "# How often verdicts are wrong, with real records"
    yield ""
    yield f"Made with `python -m bench.deciding.aa_real RUN FOLDER...` (seed {seed}); {cpu}, {cores} cores;"
    yield f"{', '.join(versions)}."
    yield ""
    yield "## A run compared with itself: `hierbench compare`"
    yield ""
    took = sorted(fmean(record.wall_seconds or 0.0 for record in cell.counted) for cell in table if cell.counted)
    yield f"Here each fit is made once, and takes {took[0]:.2g} to {took[-1]:.2g} seconds: too short for a machine that"
    yield "others use. To compare versions, take `hierbench versions`, below, which repeats such fits in turn."
    yield ""
    yield f"A run of {len(table)} cases with {2 * count.replicates} replicates each on"
    yield f"{', '.join(dict.fromkeys(cell.dataset for cell in table))}. {tables} times the replicates of each case were"
    yield f"divided by chance into halves of {count.replicates}, and these compared. The CPU time of a gradient varied"
    yield f"by {_spread(list(map(_costs, table))):.0%} between the fits of a case. Each table has a verdict on every"
    yield "measure of every case, and on means over cases; `same` is within 10 %."
    yield ""
    yield "| what | result |"
    yield "|---|---|"
    yield f"| healthy cases | {sum(cell.healthy for cell in table)} of {len(table)} |"
    yield f"| verdicts on halves of the same fits | {count.verdicts} |"
    yield f"| of these false | {count.alarms} ({count.alarms / count.verdicts:.3%}) |"
    yield f"| tables with a false one | {count.alarmed} of {count.tables} |"
    yield f"| cases called `same` | {count.same / count.cases:.1%} |"
    yield f"| a healthy case of B slowed down {power.factor} times: found | {power.found / power.planted:.1%} |"
    yield f"| tables that then fail on `slower:10%` | {power.failed / power.tables:.1%} |"
    yield f"| false claims on other cases then | {power.wrong} |"
    yield ""
    yield "## A version against itself: `hierbench versions --decide 5%`"
    yield ""
    yield "The same version was tried under two names, from the index and from a file, in turn as the command does it."
    yield "Both give the same draws. The table is looked at until its cases are decided: as it was measured, and again"
    yield f"{tables} times, with the two fits of each pair on sides that chance decides. These tables share one set of"
    yield "fits, so that they agree with a chance of 1 % but can't prove it. In each of them one case of B is then made"
    yield f"slower by {WITHIN:.0%}; the last column says how often it was called so in the look at {EARLY} replicates."
    yield "Spread: of the ratio of a pair, in the CPU time of a gradient. All spreads are standard deviations."
    yield ""
    made = dict.fromkeys(f"{name} {number}" for a, _ in twins for r in a[:1] for name, number in r.versions.items())
    yield f"Versions: {', '.join(made)}."
    yield ""
    yield (
        "| backend | cases | replicates there are | spread | false claims, as measured | tables | with a false claim "
        "| cases decided "
        f"| replicates of a case | slower by {WITHIN:.0%}: found |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for a, b in twins:
        each = decide_twins(a, b, seed, tables)
        found = f"{each.found / each.tables:.1%}"
        yield (
            f"| {each.backend} | {each.cases} | {each.made} | {each.spread:.1%} | {each.measured} | {each.tables} "
            f"| {each.wrong} | {each.decided:.1%} | {each.replicates:.1f} | {found} |"
        )


def read_twins(folder: Path) -> Iterator[tuple[list[Record], list[Record]]]:
    """Yield the records of each pair of environments of a comparison of versions.

    Parameters
    ----------
    folder : Path
        That of `hierbench versions`.
    """
    for a, b in Matrix.pairs(read_folder(folder).combinations):
        yield records_of(folder / a.folder), records_of(folder / b.folder)


if __name__ == "__main__":
    text = "\n".join(
        report(
            read_records(find_run(sys.argv[1])),
            [pair for folder in sys.argv[2:] for pair in read_twins(Path(folder))],
        )
    )
    OUTPUT.write_text(text + "\n")
    print(text)
