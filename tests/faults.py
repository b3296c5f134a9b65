"""A campaign of faults at random moments, and what must hold after each: `python -m tests.faults --seed 1`.

One fault in five strikes a real run: signals at pytest, its worker or its guard, a disk that takes no more, a folder
that is deleted. The others damage a finished run's files, and the command and a resumed run are asked what they make of
them. What a fault does follows from the seed and its number alone, so that `--seed S --only N` repeats it; real runs
are never as fast twice, so a moment is when so many records are on the disk, and some milliseconds more.
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

ASKED = (
    *("--backend", "stanli", "--model", "centered,noncentered", "--replicates", "4", "--warmup", "20", "--draws", "20"),
    *("-p", "pytest_benchmark.plugin"),
)
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Other plugins of pytest take longer to import than the run takes."""
RECORDS = 8
"""Records of such a run."""
JOBS = 2
"""Faults at a time."""
REAL_EVERY = 5
"""Every so manyth fault strikes a real run."""
ENDINGS = {".html": b"</html>", ".svg": b"</svg>", ".csv": b"\n", ".md": b"\n", ".parquet": b"PAR1"}
"""How files end that are there whole."""
CODES: dict[str, tuple[int, ...]] = {
    "kill": (-signal.SIGKILL, 0),
    "terminate": (-signal.SIGTERM, 0),
    "interrupt": (130, -signal.SIGINT, 0),
    "worker": (0, 1),
    "guard": (0, 1),
    "full disk": (0, 1, 2),
    "deleted folder": (0, 1),
}
"""Faults of real runs, and the exit codes that a run may end with."""
SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}
DAMAGE = ("cut", "flipped byte", "doubled line", "other type", "garbage")
"""Faults of the files of a finished run."""


@dataclass(frozen=True)
class Campaign:
    """What is asked: the seed, the numbers of the faults, until when, and an undisturbed run to hold others against."""

    seed: int
    numbers: Sequence[int]
    deadline: float
    resume_check: bool
    undisturbed: Path
    seconds: float

    def work(self, job: int) -> Counter[str]:
        """Make every fault that falls to a job, print what is violated, and count the kinds."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children would ignore Ctrl-C
        tally: Counter[str] = Counter()
        for number in self.numbers[job::JOBS]:
            if time.monotonic() > self.deadline:
                break
            kind, violations = self.make(number)
            tally[kind] += 1
            tally["violations"] += len(violations)
            for violation in violations:
                again = f"python -m tests.faults --seed {self.seed} --only {number}"
                print(f"fault {number}, {kind}: {violation}\n  again: {again}", flush=True)
        return tally

    def make(self, number: int) -> tuple[str, list[str]]:
        """Make one fault; return its kind and what it violates."""
        rng = random.Random(f"{self.seed} {number}")
        real = number % REAL_EVERY == 0
        kind = rng.choice(list(CODES) if real else DAMAGE)
        with tempfile.TemporaryDirectory(prefix="faults-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return kind, list((self.strike if real else self.damage)(kind, rng, Path(folder)))
            except Exception as error:  # whatever it is, it should not be
                return kind, [f"{type(error).__name__}: {error}"]

    def strike(self, kind: str, rng: random.Random, folder: Path) -> Iterator[str]:
        """Let a fault strike a real run at a random moment, look at what is left, and go on with the run."""
        bench = Bench(folder)
        process = bench.start(*ASKED, **QUICK)
        try:
            self.wait(bench.runs, process, rng)
            before = journal(bench.runs)
            strike(kind, bench, process, rng)
        finally:
            code = bench.finish(process, 60)
        started = "test session starts" in bench.output  # before it, Python and pytest print what they like
        if started and code not in CODES[kind]:
            yield f"exit code {code}"
        if kind == "full disk" and code and "can't be written" not in bench.output:
            yield "not a word on the disk"
        if not journal(bench.runs).startswith(before):
            yield "records that were on the disk are not there"
        yield from left(bench, started)
        if list(bench.runs.glob("*/run.json")) and (self.resume_check or rng.random() < 0.3):
            if kind == "kill" and rng.random() < 0.5:  # and the power was cut
                with (find_run("latest", bench.runs) / "records.jsonl").open("ab") as file:
                    file.write(rng.randbytes(rng.randrange(100)).replace(b"\n", b""))
            if code := bench(*ASKED, "--resume", **QUICK):
                yield f"exit code {code} of --resume: {bench.output[-300:]}"
            yield from (f"after --resume: {each}" for each in left(bench, True))
            yield from self.complete(find_run("latest", bench.runs), killed=kind in ("worker", "guard"))

    def wait(self, runs: Path, process: "subprocess.Popen[str]", rng: random.Random) -> None:
        """Wait for a random moment: any, or shortly after a record, or while the pages are written."""
        when = rng.randrange(3)
        lines = (0, rng.randint(1, RECORDS), RECORDS)[when]
        until(lambda: journal(runs).count(b"\n") >= lines or process.poll() is not None)
        time.sleep(rng.uniform(0, (self.seconds, 0.1, self.seconds / 3)[when]))

    def complete(self, run: Path, *, killed: bool) -> Iterator[str]:
        """Hold a run's records against those of the undisturbed one; of a killed worker's, those that it made."""
        found, asked = read_records(run), read_records(self.undisturbed)
        if [record.key for record in found] != [record.key for record in asked]:
            yield f"{len(found)} records, not those that were asked for"
        for record, other in zip(found, asked, strict=False):
            if killed and record.status == "crashed":
                if "SIGKILL" not in record.reason:
                    yield f"a record does not say what killed its worker: {record.reason}"
            elif timeless(record) != timeless(other):
                yield f"a record is not that of an undisturbed run: {record.key} {record.status} {record.reason}"
        for page in ("index.html", "report.md", "results.csv", "results.parquet", "columns.md"):
            if not (run / page).exists():
                yield f"no {page}"

    def damage(self, kind: str, rng: random.Random, folder: Path) -> Iterator[str]:
        """Damage a finished run's files, and ask the command and a journal for what is left."""
        run = folder / "runs" / "one"
        run.mkdir(parents=True)
        for name in ("run.json", "records.jsonl"):
            shutil.copy(self.undisturbed / name, run)
        records = dict(zip(lines(run), read_records(run), strict=True))
        damaged = run / ("records.jsonl" if kind == "doubled line" or rng.random() < 0.8 else "run.json")
        damaged.write_bytes(content := spoilt(kind, damaged.read_bytes(), rng))
        there = list(dict.fromkeys(line for line in lines(run) if line in records))  # once, whole and undamaged

        told, said = io.StringIO(), io.StringIO()
        with warnings.catch_warnings(record=True) as warned, redirect_stdout(told), redirect_stderr(said):
            warnings.simplefilter("always")
            code = hierbench(["report", "one", "--runs", str(run.parent), "--output", str(folder / "pages")])
        yield from torn(folder / "pages")
        if code not in (0, 2) or "Traceback" in said.getvalue() or (code == 2 and not one_line(said.getvalue())):
            yield f"report ended with {code} and said {said.getvalue()!r}"
        try:
            opened = Journal(run)
        except RunError as error:
            if code == 0:
                yield f"a run is reported and not resumed: {error}"
            if damaged.name not in str(error):
                yield f"the damaged file is not named: {error}"
            return
        if code == 2 and opened.records:
            yield f"a run is resumed and not reported: {said.getvalue()}"
        if not all(opened.records.count(records[line]) == 1 for line in there):
            yield "an undamaged record is not there once"
        if damaged.name == "records.jsonl" and len(opened.records) < len(content.splitlines()) and not warned and there:
            yield "a line is left out without a word"
        opened.append(replace(next(iter(records.values())), replicate=99))
        opened.close()
        if [r.to_dict() for r in read_records(run)] != [r.to_dict() for r in opened.records]:
            yield "what was appended to a damaged journal is not read back"


def strike(kind: str, bench: Bench, process: "subprocess.Popen[str]", rng: random.Random) -> None:
    """Do harm to a run."""
    if kind in SIGNALS:
        process.send_signal(SIGNALS[kind])
    elif kind == "deleted folder":
        until(lambda: list(bench.runs.glob("*/run.json")) or process.poll() is not None)
        if " passed in " not in bench.log.read_text():  # after its last look at the folder nothing can be asked of it
            shutil.rmtree(bench.run, ignore_errors=True)
    elif kind == "full disk":
        with suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (rng.randint(8_000, 45_000), resource.RLIM_INFINITY))
    else:
        until(lambda: victims(kind, process.pid) or process.poll() is not None)
        with suppress(psutil.Error):
            for victim in victims(kind, process.pid):
                victim.kill()


def victims(kind: str, pid: int) -> list[psutil.Process]:
    """Guards that a pytest has, or their workers."""
    with suppress(psutil.Error):
        guards = [child for child in psutil.Process(pid).children() if "bench.running.guard" in child.cmdline()]
        return guards if kind == "guard" else [worker for guard in guards for worker in guard.children()]
    return []


def spoilt(kind: str, content: bytes, rng: random.Random) -> bytes:
    """Return a file's content with a damage."""
    at = rng.randrange(len(content))
    if kind == "cut":
        return content[:at]
    if kind == "flipped byte":
        return content[:at] + bytes([content[at] ^ rng.randint(1, 255)]) + content[at + 1 :]
    if kind == "garbage":
        return content + rng.choice((rng.randbytes(rng.randint(1, 300)), content[:at], b"{}\n", b"\n", b"null\n[]\n"))
    whole = content.splitlines(keepends=True) if content.count(b"\n") == RECORDS else [content]
    number = rng.randrange(len(whole))
    if kind == "doubled line":
        whole.insert(rng.randint(0, len(whole)), whole[number])
    else:
        value = json.loads(whole[number])
        whole[number] = json.dumps(changed(value, rng.choice([*leaves(value)]), rng.choice(WRONG))).encode() + b"\n"
    return b"".join(whole)


def lines(run: Path) -> list[bytes]:
    """Lines of a journal that have an end."""
    return (run / "records.jsonl").read_bytes().split(b"\n")[:-1]


def journal(runs: Path) -> bytes:
    """Whole lines of the newest journal, nothing where there is none."""
    with suppress(RunError, OSError):
        content = (find_run("latest", runs) / "records.jsonl").read_bytes()
        return content[: content.rfind(b"\n") + 1]
    return b""


def torn(folder: Path) -> Iterator[str]:
    """Name pages that are there in part."""
    for path in folder.rglob("*"):
        if path.suffix in ENDINGS and not path.read_bytes().endswith(
            (ENDINGS[path.suffix], ENDINGS[path.suffix] + b"\n")
        ):
            yield f"{path.name} is there in part"


def left(bench: Bench, started: bool) -> Iterator[str]:
    """Name what a run that has ended should not have left: processes, temporary files, half pages, tracebacks."""
    yield from (f"left behind: {each}" for each in bench.left_behind())
    yield from (f"left behind: {path}" for path in bench.temporary.iterdir())
    yield from torn(bench.runs)
    if started and "Traceback (most recent call last)" in bench.output:
        yield f"a traceback: {bench.output[bench.output.index('Traceback') :]}"
    if list(bench.runs.glob("*/records.jsonl")):
        keys = [record.key for record in read_records(find_run("latest", bench.runs))]
        if len(keys) > len(set(keys)):
            yield "a record is there twice"


def main() -> int:
    """Run a campaign and return its exit code: 0 where nothing is violated, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1, help="(default: 1)")
    parser.add_argument("--faults", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--minutes", type=float, help="go on for so long instead")
    parser.add_argument("--only", type=int, metavar="N", help="make this fault alone, and go on with its run")
    parser.add_argument("--resume-check", action="store_true", help="go on with every run, not with three in ten")
    options = parser.parse_args()
    started = time.monotonic()
    numbers = range(sys.maxsize) if options.minutes else range(options.faults)
    deadline = started + 60 * options.minutes if options.minutes else float("inf")
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        bench = Bench(Path(folder))
        if code := bench(*ASKED, **QUICK):
            print(bench.output)
            return code
        seconds = time.monotonic() - started
        campaign = Campaign(options.seed, numbers, deadline, options.resume_check, bench.run, seconds)
        if options.only is not None:
            tally = replace(campaign, numbers=[options.only], resume_check=True).work(0)
        else:
            with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
                tally = sum(pool.map(campaign.work, range(JOBS)), Counter())
    violations = tally.pop("violations", 0)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.items()))
    print(f"{tally.total()} faults in {time.monotonic() - started:.0f} s ({kinds}): {violations} violations")
    return int(violations > 0)


if __name__ == "__main__":
    sys.exit(main())
