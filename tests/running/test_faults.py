"""Whole runs, by real pytest processes, with backends that go wrong: nothing is lost and nothing is left."""

import re
import signal
from itertools import product
from pathlib import Path

import pytest

from bench.records import Record, read_records
from tests.running.faults import CRASHES, DENSITIES, FAULTS, FOLDER, LIES
from tests.running.processes import Bench, marked, small_disk, until

__all__ = ["small_disk"]

EXPECTED = {
    **{
        f"{name}-{stage}": ("crashed", reason)
        for stage in ("prepare", "sample")
        for name, (_, reason) in CRASHES.items()
    },
    **{f"{name}-answer": (status, reason) for name, (_, status, reason) in LIES.items()},
    **{f"{name}-density": (status, reason) for name, (_, status, reason) in DENSITIES.items()},
    "hang-prepare": ("timeout", "prepare took longer than 8 s"),
    "hang-sample": ("timeout", "sample took longer than 8 s"),
    "error-prepare": ("failed", "RuntimeError: no luck"),
    "error-sample": ("failed", "RuntimeError: no luck"),
    "children-sample": ("ok", ""),
    "print-sample": ("ok", ""),
}
"""Status and reason of the record of each faulty backend."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


FAULT_OF = {backend.name: backend for backend in FAULTS}
OFTEN = (
    "orphans-prepare",
    "allocate-sample",
    "bomb-answer",
    "none-answer",
    "nan-answer",
    "shape-answer",
    "segfault-density",
    "twice-density",
    "other-density",
    "nan-density",
    "short-density",
    "error-prepare",
    "error-sample",
    "children-sample",
    "print-sample",
)
"""Faults of every kind, which are always tried; the others are slow."""


@pytest.mark.parametrize("faults", [OFTEN, (*EXPECTED,)], ids=["some", "all"])
@pytest.mark.slow
def test_every_fault_has_a_record_that_says_what_happened_and_costs_nothing_else(
    faults: tuple[str, ...], bench: Bench
) -> None:
    """A fit without a fault comes first and last."""
    code = bench("--backend", ",".join(("stanli", *faults, "last")), "--fit-timeout", "8", "--memory-limit", "0.4")
    assert bench.left_behind() == []
    assert controls(bench.output) == set()
    records = {record.backend: record for record in bench.records}
    assert len(bench.records) == len(records) == len(faults) + 2
    for name in faults:
        record, (status, reason) = records[name], EXPECTED[name]
        assert record.status == status, record
        assert reason in record.reason + "".join(record.health)
        assert (record.wall_seconds is None) == (status != "ok")
        assert record.healthy == (status == "ok" and not reason)
    assert records["stanli"].status == records["last"].status == "ok"
    alike = ("stanli", "last", "children-sample", "print-sample")
    assert len({records[name].draws_digest for name in alike}) == 1
    bad = sum(EXPECTED[name][0] != "ok" for name in faults)
    assert f"{bad} failed, {len(faults) + 2 - bad} passed" in bench.output
    assert code == 1


def controls(text: str) -> set[str]:
    """Characters with which text could command a terminal."""
    return set(re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text))


LONG = {
    "hooked-pymc": ("--warmup", "500", "--draws", "3000"),
    "hooked-cmdstan": ("--warmup", "500", "--draws", "30000"),
    "hooked-nutpie_stan": ("--warmup", "500", "--draws", "300000"),
    "hooked-numpyro": ("--warmup", "500", "--draws", "100000"),
    "hooked-blackjax": ("--warmup", "500", "--draws", "100000"),
    "hang-sample": (),
}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLED = [
    ("hang-sample", "sample", signal.SIGINT),
    ("hang-sample", "sample", signal.SIGTERM),
    ("hooked-pymc", "prepare", signal.SIGKILL),
    ("hooked-pymc", "sample", signal.SIGTERM),
    *product(("hooked-cmdstan",), ("prepare", "sample"), SIGNALS),
    ("hooked-nutpie_stan", "sample", signal.SIGKILL),
    ("hooked-numpyro", "sample", signal.SIGTERM),
    ("hooked-blackjax", "sample", signal.SIGINT),
]


@pytest.mark.parametrize(
    ("backend", "stage", "number"),
    KILLED,
    ids=lambda value: getattr(value, "name", value),
)
@pytest.mark.slow
def test_a_run_that_is_killed_keeps_its_records_and_leaves_nothing(
    bench: Bench, backend: str, stage: str, number: signal.Signals
) -> None:
    reason = FAULT_OF[backend].unavailable()
    if reason:
        pytest.skip(f"{backend}: {reason}")
    cold = bench.temporary / "cold"
    environment = {"XDG_CACHE_HOME": str(cold)} if (backend, stage) == ("hooked-cmdstan", "prepare") else {}
    arguments = ("--backend", f"stanli,{backend},last", *LONG[backend])
    with bench.running(*arguments, **environment) as process:
        until(lambda: bench.stage == f"{backend} {stage}", 240)  # what JAX compiles takes long on a busy machine
        # two workers with a guard each; and two chains, or make and a compiler
        if backend in ("hooked-pymc", "hooked-cmdstan") and (stage == "sample" or environment):
            until(lambda: len(marked(bench.mark)) >= 7)
        process.send_signal(number)
        code = bench.finish(process)
    assert bench.left_behind() == []
    assert bench.statuses == {"stanli": "ok"}
    before = bench.journal
    if number == signal.SIGINT:
        assert code == 130
        assert f"hierbench: run {bench.run.name}" in bench.output
        assert re.search(r"centered +stanli +\d", bench.output)
    else:
        assert code == -number
    if (backend, stage, number) == ("hooked-pymc", "sample", signal.SIGKILL):
        assert bench(*arguments, "--resume") == 0
        assert "2 passed, 1 skipped" in bench.output
        assert bench.statuses == {"stanli": "ok", "hooked-pymc": "ok", "last": "ok"}
        assert bench.journal.startswith(before)
        assert bench.left_behind() == []


@pytest.mark.slow
def test_a_resumed_run_equals_an_unbroken_one_in_all_but_times(bench: Bench, tmp_path: Path) -> None:
    arguments = ("--backend", "slow", "--model", "centered,zerosum_centered", "--replicates", "2", "--save-draws")
    unbroken = Bench(tmp_path / "unbroken")
    assert unbroken(*arguments) == 0
    with bench.running(*arguments) as process:
        until(lambda: list(bench.runs.glob("*/records.jsonl")) and len(bench.records) == 1 and "sample" in bench.stage)
        process.kill()
        bench.finish(process)
    first = bench.journal
    assert first.count(b"\n") == 1
    with (bench.run / "records.jsonl").open("ab") as file:
        file.write(first[: len(first) // 2])  # a line that a power cut left
    assert bench(*arguments, "--resume", bench.run.name) == 0
    assert "the last line was cut short and is dropped" in bench.output
    assert bench.journal.startswith(first)
    assert [timeless(record) for record in bench.records] == [timeless(record) for record in unbroken.records]
    assert len({record.draws_digest for record in bench.records}) == 4
    for record in bench.records:
        assert record.draws_file
        assert (bench.run / record.draws_file).stat().st_size == record.draws_bytes
    assert bench.left_behind() == unbroken.left_behind() == []


def timeless(record: Record) -> dict[str, object]:
    """Return what two records of the same fit must share."""
    other = {"run", "time", "peak_memory", "draws_bytes"}
    shared = {name: value for name, value in record.to_dict().items() if name not in other and "second" not in name}
    grade = {name: value for name, value in (record.grade or {}).items() if "second" not in name}
    return shared | {
        "grade": grade,
        "environment": record.environment | {"commit": ""},
    }  # somebody may commit meanwhile


@pytest.mark.slow
def test_resume_is_refused_where_anything_differs_and_says_how_to_override(bench: Bench) -> None:
    assert bench("--backend", "stanli") == 0
    run = bench.run / "run.json"
    text = run.read_text()
    for part in ("datasets", "models"):
        text = re.sub(rf'("{part}": {{\s*"[^"]+": ")\w+', r"\g<1>changed", text)
    run.write_text(re.sub(r'("backends": {\s*"stanli": {\s*"stanli": ")[^"]+', r"\g<1>0.0.1", text))
    changed = ("--backend", "stanli,last", "--draws", "500", "--seed", "2", "--replicates", "2", "--resume")
    assert bench(*changed) == 2
    for difference in (
        "datasets: omega1-G5-n20-s41 was changed",
        "models: normal_means centered was changed",
        "backends: stanli was {'stanli': '0.0.1'}",
        "backends: last was not there",
        "asked: overrides was {'chains': 2}, is {'chains': 2, 'draws': 500}",
        "asked: seed was 1, is 2",
        "settings: stanli was",
        "--resume-anyway",
    ):
        assert difference in bench.output
    assert len(bench.records) == 1
    assert bench(*changed, "--resume-anyway") == 0
    assert len(bench.records) == 4


@pytest.mark.slow
def test_two_runs_at_once_never_mix_and_a_second_resume_is_refused(bench: Bench) -> None:
    arguments = ("--backend", "stanli,hang-sample", "--fit-timeout", "0")
    with bench.running(*arguments) as first, bench.running(*arguments) as second:
        until(lambda: [path.read_bytes().count(b"\n") for path in bench.runs.glob("*/records.jsonl")] == [1, 1])
        one, two = (path.parent for path in bench.runs.glob("*/records.jsonl"))
        assert bench(*arguments, "--resume", one.name) == 2
        assert f"another process writes {one}" in bench.output
        first.kill()
        second.kill()
    assert read_records(one)[0].run == one.name
    assert read_records(two)[0].run == two.name
    assert one.name != two.name
    assert bench.left_behind() == []


@pytest.mark.slow
def test_a_disk_that_fills_up_stops_the_run_and_keeps_what_was_written(bench: Bench, small_disk: Path) -> None:
    arguments = ("--backend", "stanli,disk-sample,last", "--runs", small_disk)
    assert bench(*arguments, **{FOLDER: str(small_disk)}) == 1
    assert bench.stage == "disk-sample sample"  # the last was not begun
    (run,) = (path.parent for path in small_disk.glob("*/run.json"))
    assert "No space left on device" in bench.output
    assert f"--resume {run.name}" in bench.output
    assert [record.backend for record in read_records(run)] == ["stanli"]
    assert bench(*arguments, "--resume") == 2  # still full
    (small_disk / "filler").unlink()
    assert bench(*arguments, "--resume") == 0
    assert [record.backend for record in read_records(run)] == ["stanli", "disk-sample", "last"]
    assert bench.left_behind() == []


def test_a_folder_that_cannot_be_written_is_an_error_before_anything_starts(bench: Bench) -> None:
    bench.runs.touch()
    assert bench("--backend", "last") == 2
    assert f"{bench.runs}" in bench.output
    assert "can't be written (Not a directory)" in bench.output
    assert bench.stage == ""  # nothing was prepared


@pytest.mark.slow
def test_a_readers_table_reaches_terminal_and_journal_escaped(bench: Bench) -> None:
    evil = "\x1b[31m\x1b]0;owned\x07\u202e<script>alert(1)<"
    table = bench.folder / f"{evil}.csv"
    rows = "".join(f'"{evil}{g}",{g + 0.1 * i + i % 3}\n' for g in range(3) for i in range(8))
    table.write_text(f'"{evil}",value\n{rows}')
    columns = ("--group-column", evil, "--value-column", "value")
    assert bench("--data", table, *columns, "--backend", "last,error-sample") == 1
    assert controls(bench.output) == set()
    written = bench.journal + (bench.run / "run.json").read_bytes()
    assert set(written) <= {ord("\n"), *range(32, 127)}
    assert bench("--data", table, "--group-column", f"no{evil}", "--value-column", "value") == 2
    assert controls(bench.output) == set()
