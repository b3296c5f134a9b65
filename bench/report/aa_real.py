"""How often verdicts are wrong on real records: halves of the replicates of one run, and two runs of the same thing.

Run it with ``python -m bench.report.aa_real RUN AGAIN``, two runs with the same seeds; it writes
`reports/reference/aa-real.md`.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from bench.cells import cells, key_of
from bench.records import Record, find_run, read_records
from bench.report.aa import OUTPUT as SIMULATED
from bench.report.aa import SEED, TABLES, Count, Power, claims
from bench.report.aa_looks import in_turn
from bench.report.compare import compare_runs
from bench.report.outcome import outcome

OUTPUT = SIMULATED.with_name("aa-real.md")


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
    verdicts = alarms = alarmed = same = cases = found = failed = wrong = 0
    for _ in range(tables):
        a, b = halves(records, rng)
        result = compare_runs(a, b)
        claimed = list(claims([*result.rows, *result.means]))
        verdicts += len(claimed)
        alarms += sum(claimed)
        alarmed += any(claimed)
        same += sum(row.kind == "same" for row in result.rows)
        cases += len(result.rows)
        slow = every[rng.integers(len(every))]
        planted = compare_runs(a, [slowed(record, factor) if key_of(record) == slow else record for record in b])
        hit = [row for row in planted.rows if (row.family, row.dataset, row.model, row.backend) == slow]
        found += sum(row.kind == "slower" for row in hit)
        failed += outcome([planted], "slower:10%").state == "fails"
        wrong += sum(claims([row for row in planted.rows if row not in hit]))
    return (
        Count(size, tables, verdicts, alarms, alarmed, same, cases),
        Power(size, tables, factor, 1, found, tables, failed, wrong),
    )


@dataclass(frozen=True)
class Decided:
    """What was said of two runs of the same thing that were looked at as `hierbench versions --decide 5%` does.

    Attributes
    ----------
    tables, wrong : int
        How many; those with any false claim.
    cases, decided : int
        In all of them; those that got a verdict.
    replicates : float
        Of a case, on average.
    """

    tables: int
    wrong: int
    cases: int
    decided: int
    replicates: float


def decide_again(a: Sequence[Record], b: Sequence[Record], seed: int, tables: int) -> Decided:
    """Look at two runs of the same thing again and again, until each case is decided or no replicate is left.

    Parameters
    ----------
    a, b : sequence of Record
        Of two runs with the same seeds, and so with the same draws. The two fits of a pair change sides by chance.
    seed : int
        Of that chance.
    tables : int
        How many such tables.
    """
    rng = np.random.default_rng(seed)
    twins = {record.key: record for record in b}
    pairs = [(record, twins[record.key]) for record in a if record.key in twins]
    wrong = cases = decided = 0
    replicates = []
    for _ in range(tables):
        first = rng.integers(0, 2, len(pairs))
        x, y = ([pair[side] for pair, side in zip(pairs, chosen, strict=True)] for chosen in (first, 1 - first))
        found, made = in_turn(x, y)
        wrong += any(claims([*found.rows, *found.pooled]))
        cases += len(found.rows)
        decided += sum(row.kind != "not enough" for row in found.rows)
        replicates.append(made)
    return Decided(tables, wrong, cases, decided, fmean(replicates))


def report(records: Sequence[Record], again: Sequence[Record], seed: int = SEED, tables: int = TABLES) -> Iterator[str]:
    """Yield the lines of `reports/reference/aa-real.md`.

    Parameters
    ----------
    records, again : sequence of Record
        Of two runs of the same thing, with the same seeds.
    seed, tables : int
        As in `compare_halves` and `decide_again`.
    """
    first, table = records[0], cells(records)
    count, power = compare_halves(records, seed, tables=tables)
    versions = dict.fromkeys(f"{name} {number}" for cell in table for name, number in cell.records[0].versions.items())
    cores, cpu = (first.environment.get(name, "unknown") for name in ("cores", "cpu"))
    yield "# How often `hierbench compare` is wrong, with real records"
    yield ""
    yield f"Made with `python -m bench.report.aa_real RUN AGAIN` (seed {seed}) from a run of {len(table)} cases with"
    yield f"{2 * count.replicates} replicates each on {', '.join(dict.fromkeys(cell.dataset for cell in table))}."
    yield f"{tables} times the replicates of each case were divided by chance into halves of {count.replicates},"
    yield f"and these compared. {', '.join(versions)}; {cpu}, {cores} cores."
    yield ""
    yield "| what | result |"
    yield "|---|---|"
    yield f"| cases that were healthy in all replicates | {sum(cell.healthy for cell in table)} of {len(table)} |"
    yield f"| verdicts on halves of the same fits | {count.verdicts} |"
    yield f"| of these false | {count.alarms} ({count.alarms / count.verdicts:.3%}) |"
    yield f"| tables with a false one | {count.alarmed} of {count.tables} |"
    yield f"| cases called `same` | {count.same / count.cases:.1%} |"
    yield f"| a healthy case of B slowed down {power.factor} times: found | {power.found / power.planted:.1%} |"
    yield f"| tables that then fail on `slower:10%` | {power.failed / power.tables:.1%} |"
    yield f"| false claims on other cases then | {power.wrong} |"
    looks = decide_again(records, again, seed, tables)
    yield ""
    yield "The same run was made again, with the same draws. The two fits of each pair change sides by chance, and the"
    yield "table is looked at as `hierbench versions --decide 5%` does, with at most 20 replicates."
    yield ""
    yield "| what | result |"
    yield "|---|---|"
    yield f"| tables with a false claim | {looks.wrong} of {looks.tables} |"
    yield f"| cases that are decided | {looks.decided / looks.cases:.1%} |"
    yield f"| replicates of a case, on average | {looks.replicates:.1f} |"


if __name__ == "__main__":
    runs = [read_records(find_run(run)) for run in sys.argv[1:3]]
    text = "\n".join(report(runs[0], runs[1])) + "\n"
    OUTPUT.write_text(text)
    sys.stdout.write(text)
