"""How often a cost to a target holds: five fits tell what a sixth, of another length, will take; then it is made.

Run it by hand: `python -m tests.costs --backend stanli,nutpie --trials 50`. In each trial the range that `recommend`
prints is made from five fits, and one fit more is made with as many draws as the target takes by them.
"""

import argparse
from dataclasses import replace
from statistics import fmean

from bench.backends import BACKENDS
from bench.comparing.cost import seconds_for, seconds_to_ess
from bench.families.normal_means import NormalMeans
from bench.records import Record
from bench.running.equality import Equality
from bench.running.isolation import Workers
from bench.running.measure import Case, Replicates
from bench.settings import Asked

FAMILY = NormalMeans()
FITS = 5
TIMES = (0.5, 2.0, 4.0)
"""The target, as a multiple of the ESS of the five; in turn."""


def trial(first: Replicates, second: Replicates, number: int, times: float) -> tuple[bool, float]:
    """Predict and measure once: whether the range held, and measured over predicted seconds."""
    records = [first.make(FITS * number + i).record for i in range(FITS)]
    size = times * fmean(_ess(record) for record in records)
    predicted, interval = seconds_to_ess(records, size)
    made = second.make(number).record
    seconds = seconds_for(made, size / _ess(made))
    assert interval is not None
    return interval[0] <= seconds <= interval[1], seconds / predicted


def _ess(record: Record) -> float:
    if not record.min_ess_bulk:
        raise SystemExit(f"{record.model} on {record.backend}: {record.status}: {record.reason}; choose another case")
    return record.min_ess_bulk


def main() -> None:
    """Make the trials, and print a row for each backend."""
    datasets = {dataset.id: dataset for dataset in FAMILY.datasets("thread")}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="stanli,nutpie_stan,nutpie")
    parser.add_argument("--model", default="centered", choices=FAMILY.models)
    parser.add_argument("--dataset", default="omega1-G50-n20-s41", choices=datasets)
    parser.add_argument("--trials", type=int, default=50)
    options = parser.parse_args()
    print(
        "| backend | trials | within the range | measured / predicted, median | from | to |\n|---|---|---|---|---|---|"
    )
    for name in options.backend.split(","):
        case = Case(FAMILY, datasets[options.dataset], FAMILY.models[options.model], BACKENDS[name])
        with Workers() as workers:
            equality, asked = Equality(workers), Asked()
            first = Replicates(case, asked, workers, equality)
            longer = [
                replace(asked, seed=2, overrides={"draws": round(times * first.settings.draws)}) for times in TIMES
            ]
            seconds = [Replicates(case, each, workers, equality) for each in longer]
            turns = [(number, number % len(TIMES)) for number in range(options.trials)]
            found = [trial(first, seconds[which], number, TIMES[which]) for number, which in turns]
        held, ratios = sum(ok for ok, _ in found), sorted(ratio for _, ratio in found)
        print(
            f"| {name} | {len(found)} | {held} | {ratios[len(ratios) // 2]:.3f} | {ratios[0]:.3f} | {ratios[-1]:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
