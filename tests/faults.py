"""A campaign of faults at random moments, and what must hold after each: `python -m tests.faults --seed 1`.

One fault in five strikes a real run: signals at pytest, its worker or its guard, a disk that takes no more, a folder
that is deleted. The others damage a finished run's files, and the command and a journal are asked what is left. The
seed and a fault's number decide what it does, so that `--seed S --only N` repeats it; no two runs are as fast, so a
moment is when so many records are on the disk, and some milliseconds more. Damage that leaves a valid record, as a
digit that became another one, is nobody's to see. It needs Linux, which limits the files of a process that runs.
"""

import argparse
import io
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import psutil

from bench.cli import main as hierbench
from bench.records import Journal, RunError, find_run, read_records
from tests.running.processes import Bench, until
from tests.running.test_faults import timeless
from tests.test_cli_faults import WRONG, changed, leaves, one_line

ASKED = ("--backend=stanli", "--model=centered,noncentered", "--replicates=4", "--warmup=20", "--draws=20")
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_benchmark.plugin", "PYTHONUNBUFFERED": "1"}
"""Other plugins of pytest take longer to import than the run takes."""
RECORDS, JOBS, REAL, GO_ON = 8, 2, 5, 0.3
"""Of such a run; faults at a time; one in so many strikes a real run; the share that is gone on with, if not all."""
PAGES = ("index.html", "report.md", "results.csv", "results.parquet", "columns.md")
ENDINGS = {".html": b"</html>", ".svg": b"</svg>\n", ".csv": b"\n", ".md": b"\n", ".parquet": b"PAR1"}
"""How files end that are there whole."""
CODES = {"SIGKILL": (-9, 0), "SIGTERM": (-15, 0), "SIGINT": (130, -2, 0), "worker": (0, 1), "guard": (0, 1)}
CODES |= {"deleted folder": (0, 1, 2), "full disk": (0, 1, 2)}  # 2: refused before anything was measured
DAMAGE = ("cut", "flipped byte", "doubled line", "other type", "garbage")
"""Faults of real runs, with the exit codes that these may end with, and of the files of a finished one."""


@dataclass(frozen=True)
class Campaign:
    """What is asked: the seed, the faults' numbers, until when, and an undisturbed run to hold the others against."""

    seed: int
    numbers: Sequence[int]
    deadline: float
    resume_check: bool
    undisturbed: Path

    def work(self, job: int) -> Counter[str]:
        """Make the faults that fall to a job, print what they violate, and count both."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children would ignore Ctrl-C
        tally: Counter[str] = Counter()
        for number in self.numbers[job::JOBS]:
            if time.monotonic() > self.deadline:
                break
            rng = random.Random(f"{self.seed} {number}")
            kinds, make = (DAMAGE, self.damage) if number % REAL else ((*CODES,), self.strike)
            kind, violations = rng.choice(kinds), list[str]()
            with tempfile.TemporaryDirectory(prefix="faults-") as folder, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    violations.extend(make(kind, rng, Path(folder)))
                except Exception as error:  # whatever it is, it should not be
                    violations.append(f"{type(error).__name__}: {error}")
            for violation in violations:
                print(f"fault {number}, {kind}: {violation}\n  again: --seed {self.seed} --only {number}", flush=True)
            tally.update({kind: 1, "violations": len(violations)})
        return tally

    def strike(self, kind: str, rng: random.Random, folder: Path) -> Iterator[str]:
        """Strike a real run: at any moment, shortly after a record, or while pages are written; then go on with it."""
        bench = Bench(folder)
        lines, seconds = rng.choice(((0, 4.0), (rng.randint(1, RECORDS), 0.1), (RECORDS, 2.0)))
        with bench.running(*ASKED, **QUICK) as process:
            until(lambda: len(journal(bench.runs)) >= lines or process.poll() is not None)
            time.sleep(rng.uniform(0, seconds))
            before = journal(bench.runs)
            strike(kind, bench, process, rng)
            late = " passed in " in bench.log.read_text()  # then comes its last look at the folder
            code = bench.finish(process, 60)
        started = "test session starts" in bench.output  # before it, Python and pytest print what they like
        if started and code not in CODES[kind]:
            yield f"exit code {code}"
        if code == 2 and before:
            yield f"exit code 2, with {len(before)} records measured"
        if code in (1, 2) and kind == "full disk" and "can't be written" not in bench.output:
            yield "not a word on the disk"
        if not late and journal(bench.runs)[: len(before)] != before:
            yield "records that were on the disk are not there"
        yield from left(bench, started)
        if not list(bench.runs.glob("*/run.json")) or not (self.resume_check or rng.random() < GO_ON):
            return
        if kind == "SIGKILL" and rng.random() < 0.5:  # and the power was cut
            with (find_run("latest", bench.runs) / "records.jsonl").open("ab") as file:
                file.write(rng.randbytes(rng.randrange(100)).replace(b"\n", b""))
        if code := bench(*ASKED, "--resume", **QUICK):
            yield f"exit code {code} of --resume: {bench.output[-300:]}"
        yield from (f"after --resume: {each}" for each in left(bench, True))
        yield from self.complete(find_run("latest", bench.runs), killed=kind in ("worker", "guard"))

    def complete(self, run: Path, *, killed: bool) -> Iterator[str]:
        """Hold a run's records against those of the undisturbed one; of a killed worker's, those that it made."""
        found, asked = read_records(run), read_records(self.undisturbed)
        if [record.key for record in found] != [record.key for record in asked]:
            yield f"{len(found)} records, not those that were asked for"
        for record, other in zip(found, asked, strict=False):
            said = killed and record.status == "crashed" and "killed by SIG" in record.reason
            if not said and timeless(record) != timeless(other):
                yield f"a record is not that of an undisturbed run: {record.key} {record.status} {record.reason}"
        yield from (f"no {page}" for page in PAGES if not (run / page).exists())

    def damage(self, kind: str, rng: random.Random, folder: Path) -> Iterator[str]:
        """Damage a finished run's files, and ask the command and a journal what is left."""
        run, pages = folder / "runs" / "one", folder / "pages"
        run.mkdir(parents=True)
        for name in ("run.json", "records.jsonl"):
            shutil.copy(self.undisturbed / name, run)
        records = dict(zip(journal(run.parent), read_records(run), strict=True))
        damaged = run / ("records.jsonl" if kind == "doubled line" or rng.random() < 0.8 else "run.json")
        damaged.write_bytes(spoilt(kind, damaged.read_bytes(), rng))
        content = (run / "records.jsonl").read_bytes().split(b"\n")
        whole = set(content[:-1]) & records.keys()
        said = io.StringIO()
        with warnings.catch_warnings(record=True) as warned, redirect_stdout(io.StringIO()), redirect_stderr(said):
            warnings.simplefilter("always")
            code = hierbench(["report", "one", "--runs", str(run.parent), "--output", str(pages)])
        if code not in (0, 2) or "Traceback" in said.getvalue() or (code == 2 and not one_line(said.getvalue())):
            yield f"report ended with {code} and said {said.getvalue()!r}"
        yield from torn(pages)
        try:
            opened = Journal(run)
        except RunError as error:
            if code != 2 or damaged.name not in str(error):
                yield f"report ended with {code}, and a resumed run says {error}"
            return
        if code == 2 and opened.records:
            yield f"a run is resumed and not reported: {said.getvalue()}"
        if not all(opened.records.count(records[line]) == 1 for line in whole):
            yield "an undamaged record is not there once"
        if len(opened.records) < len(content) - (content[-1] == b"") and not warned:
            yield "a line is left out without a word"
        opened.append(replace(next(iter(records.values())), replicate=99))
        opened.close()
        if [r.to_dict() for r in read_records(run)] != [r.to_dict() for r in opened.records]:
            yield "what was appended to a damaged journal is not read back"


def strike(kind: str, bench: Bench, process: "subprocess.Popen[str]", rng: random.Random) -> None:
    """Do harm to a run."""

    def victims() -> list[psutil.Process]:
        guards = [child for child in psutil.Process(process.pid).children() if "bench.running.guard" in child.cmdline()]
        return guards if kind == "guard" else [worker for guard in guards for worker in guard.children()]

    with suppress(psutil.Error, ProcessLookupError):  # it ended meanwhile
        if kind.startswith("SIG"):
            process.send_signal(signal.Signals[kind])
        elif kind == "full disk":
            limit = rng.randint(8_000, 45_000)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        elif kind == "deleted folder":
            until(lambda: list(bench.runs.glob("*/run.json")) or process.poll() is not None)
            for run in bench.runs.glob("*"):
                shutil.rmtree(run, ignore_errors=True)
        else:
            until(lambda: process.poll() is not None or victims())
            for victim in victims():
                victim.send_signal(rng.choice((signal.SIGKILL, signal.SIGTERM)))


def spoilt(kind: str, content: bytes, rng: random.Random) -> bytes:
    """Return a file's content with a damage."""
    at = rng.randrange(len(content))
    if kind == "cut":
        return content[:at]
    if kind == "flipped byte":
        return content[:at] + bytes([content[at] ^ rng.randint(1, 255)]) + content[at + 1 :]
    if kind == "garbage":
        return content + rng.choice((rng.randbytes(rng.randint(1, 300)), content[:at], b"{}\n", b"\n", b"null\n[]\n"))
    lines = content.splitlines(keepends=True) if content.count(b"\n") == RECORDS else [content]
    number = rng.randrange(len(lines))
    if kind == "doubled line":
        lines.insert(rng.randint(0, len(lines)), lines[number])
    else:
        value = json.loads(lines[number])
        lines[number] = json.dumps(changed(value, rng.choice([*leaves(value)]), rng.choice(WRONG))).encode() + b"\n"
    return b"".join(lines)


def journal(runs: Path) -> list[bytes]:
    """Whole lines of the newest run's journal, none where there is none."""
    with suppress(RunError, OSError):
        return (find_run("latest", runs) / "records.jsonl").read_bytes().split(b"\n")[:-1]
    return []


def torn(folder: Path) -> Iterator[str]:
    """Name pages that are there in part."""
    pages = ((path, ENDINGS[path.suffix]) for path in folder.rglob("*.*") if path.suffix in ENDINGS)
    yield from (f"{path.name} is there in part" for path, ending in pages if not path.read_bytes().endswith(ending))


def left(bench: Bench, started: bool) -> Iterator[str]:
    """Name what a run should not have left: processes, temporary files, half pages, tracebacks, records twice."""
    yield from (f"left behind: {each}" for each in [*bench.left_behind(), *bench.temporary.iterdir()])
    yield from torn(bench.runs)
    if started and "Traceback (most recent call last)" in bench.output:
        yield bench.output[bench.output.index("Traceback") :]
    if (lines := journal(bench.runs)) and len(lines) > len(read_records(find_run("latest", bench.runs))):
        yield "a record is there twice"


def main() -> int:
    """Run a campaign and return its exit code: 0 where nothing is violated, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1, help="(default: 1)")
    parser.add_argument("--faults", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--minutes", type=float, help="go on for so long instead")
    parser.add_argument("--only", type=int, metavar="N", help="make this fault alone, and go on with its run")
    parser.add_argument("--resume-check", action="store_true", help="go on with every run, not with some")
    options = parser.parse_args()
    started, alone = time.monotonic(), options.only is not None
    numbers = [options.only] if alone else range(10**9 if options.minutes else options.faults)
    deadline = started + 60 * (options.minutes or 10**6)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        bench = Bench(Path(folder))
        if code := bench(*ASKED, **QUICK):
            sys.exit(f"a run without any fault ends with {code}:\n{bench.output}")
        campaign = Campaign(options.seed, numbers, deadline, alone or options.resume_check, bench.run)
        with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
            tally = sum(pool.map(campaign.work, range(JOBS)), Counter[str]())
    violations, seconds = tally.pop("violations", 0), time.monotonic() - started
    kinds = ", ".join(f"{tally[kind]} {kind}" for kind in (*CODES, *DAMAGE))
    print(f"{tally.total()} faults in {seconds:.0f} s ({kinds}): {violations} violations")
    return int(violations > 0)


if __name__ == "__main__":
    sys.exit(main())
