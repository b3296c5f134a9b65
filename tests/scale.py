"""How far a run on a cluster goes: the client's time and memory for each fit, the size of its journal, and the page.

Run it by hand: `python -m tests.scale --fits 10000 --workers 8`. A fit here is empty: its record, that of a real fit,
is there before, so that what is measured is the harness.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from distributed import LocalCluster

from bench.backends import BACKENDS
from bench.families.normal_means import NormalMeans
from bench.records import Journal, Record
from bench.report.page import write_report
from bench.running.cluster import Cluster, Job
from bench.running.dask_worker import Bench
from bench.running.equality import Equality
from bench.running.isolation import Workers
from bench.running.measure import Case, Measured, Replicates, keep
from bench.settings import Asked

FAMILY = NormalMeans()
PER_DATASET = 32


def empty(bench: Bench | None, case: Case, record: Record, number: int) -> Measured:
    """Return a record of its own for each number, of a dataset with a name of its own for every `PER_DATASET`."""
    dataset = f"{record.dataset}-{number // PER_DATASET}"
    return Measured(replace(record, dataset=dataset, replicate=number % PER_DATASET, draws_digest=f"{number:064x}"))


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fits", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=8, help="0: no cluster, for the journal and the page alone")
    options = parser.parse_args()
    (dataset,) = FAMILY.datasets("smoke")
    case = Case(FAMILY, dataset, FAMILY.models["centered"], BACKENDS["stanli"])
    with Workers() as workers:
        record = Replicates(case, Asked(overrides={"cores": 1}), workers, Equality(workers)).make(0).record
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "run", {})
        with _empty_fits(case, record, options.fits, options.workers) as fits:
            began, cpu = time.perf_counter(), time.process_time()
            for fit in fits:
                keep(journal, fit)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        size = (journal.folder / "records.jsonl").stat().st_size
        print(f"{options.fits:,} fits, {options.workers} workers: {1000 * seconds / options.fits:.1f} ms a fit,")
        print(
            f"of these {1000 * cpu / options.fits:.1f} ms of CPU in this process, that of a cluster's scheduler with it"
        )
        print(f"journal: {size / options.fits:,.0f} bytes a fit")
        print(f"largest memory of the client: {_largest():.2f} GiB", flush=True)
        began, cpu = time.perf_counter(), time.process_time()
        write_report(journal.folder, journal.records, journal.asked)
        print(f"page: {time.perf_counter() - began:.1f} s, {time.process_time() - cpu:.1f} s of CPU")
        print(f"largest memory with the page: {_largest():.2f} GiB")
        journal.close()


@contextmanager
def _empty_fits(case: Case, record: Record, fits: int, workers: int) -> Iterator[Iterator[Measured]]:
    """Give empty fits: of a cluster that has all jobs, or of this process."""
    if workers == 0:
        yield (empty(None, case, record, number) for number in range(fits))
        return
    with LocalCluster(workers, threads_per_worker=1, memory_limit=0, dashboard_address=None) as local:
        on = Cluster(local.scheduler_address, [], say=print)
        try:
            for first in range(0, fits, PER_DATASET):
                numbers = range(first, min(first + PER_DATASET, fits))
                on.add([Job(number, empty, (case, record, number)) for number in numbers])
            yield (answer.value for answer in on)
        finally:
            on.close()


def _largest() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
