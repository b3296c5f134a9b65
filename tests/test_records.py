"""The journal: whole to the last record through cut lines, full disks, two writers and strange folders."""

import gzip
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.records import SCHEMA, Journal, Quantity, Record, RunError, find_run, new_run_id, read_records, read_run
from tests.running.processes import ROOT, small_disk

__all__ = ["small_disk"]

RECORD = Record(
    run="20260101-000000-abcd",
    time="2026-01-01T00:00:00Z",
    dataset="omega1-G5-n20-s41",
    dataset_digest="d" * 64,
    family="normal_means",
    sizes={"observations": 100, "groups": 5},
    generated_with={"mu": 2.0},
    model="centered",
    model_digest="m" * 64,
    target="superpopulation",
    backend="stanli",
    language="stan",
    protocol="matched",
    settings={"chains": 4},
    replicate=0,
    seed=7,
    status="ok",
    versions={"stanli": "0.24.0"},
    environment={"cores": 2},
    wall_seconds=1.25,
    warmup_seconds=[0.1, 0.2],
    quantities={"mu": Quantity(2.0, 0.1, 1.8, 2.0, 2.2, 0.01, 900.0, 800.0, 1.0, "mu")},
)
HOSTILE = "\x1b[31m\x1b]0;owned\x07\x00\r\n\u202e\u2028</script><script>alert('1')</script>\ud800"


def replicate(number: int) -> Record:
    return replace(RECORD, replicate=number)


def test_what_is_drawn_after_sampling_counts_for_effective_draws_and_not_for_gradients() -> None:
    record = replace(RECORD, min_ess_bulk=1000.0, cpu_seconds=1.0, gradients=500, derive_seconds=1.0)
    assert (record.fit_cpu_seconds, record.ess_per_cpu_second, record.cpu_per_gradient) == (2.0, 500.0, 0.002)
    assert replace(record, derive_seconds=None).ess_per_cpu_second == 1000.0
    assert replace(record, cpu_seconds=None).ess_per_cpu_second is None


@pytest.fixture
def folder() -> Iterator[Path]:
    """Folder of a run with three records; in memory, where flushing takes no time."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as runs:
        journal = Journal(Path(runs) / "run", {"command": []})
        for number in range(3):
            journal.append(replicate(number))
        journal.close()
        yield journal.folder


def test_a_record_is_read_back_as_it_was_written(folder: Path) -> None:
    assert read_records(folder) == [replicate(number) for number in range(3)]
    assert read_run(folder) == {"schema": SCHEMA, "run": "run", "command": []}


def test_packed_records_are_read_and_not_gone_on_with(folder: Path) -> None:
    plain, packed = folder / "records.jsonl", folder / "records.jsonl.gz"
    content = plain.read_bytes()
    packed.write_bytes(gzip.compress(b"{}"))
    assert len(read_records(folder)) == 3  # what is not packed is newer
    plain.unlink()
    packed.write_bytes(gzip.compress(content))
    assert read_records(folder) == [replicate(number) for number in range(3)]
    with pytest.raises(RunError, match=r"are packed; to go on with them, type: gunzip .*records\.jsonl\.gz"):
        Journal(folder)
    assert not plain.exists()
    for damaged in (packed.read_bytes()[:-9], b"no gzip", packed.read_bytes()[:30] + b"?" + packed.read_bytes()[31:]):
        packed.write_bytes(damaged)
        with pytest.raises(RunError, match=r"records\.jsonl\.gz can't be read \("):
            read_records(folder)


def test_numbers_that_are_not_finite_become_null_and_nan_again(tmp_path: Path) -> None:
    broken = replace(RECORD.quantities["mu"], mean=math.nan, rhat=math.inf)
    journal = Journal(tmp_path / "run", {})
    journal.append(replace(RECORD, quantities={"mu": broken}, max_rhat=math.inf))
    journal.close()
    line = json.loads((tmp_path / "run" / "records.jsonl").read_text(), parse_constant=pytest.fail)
    assert line["quantities"]["mu"]["mean"] is line["quantities"]["mu"]["rhat"] is line["max_rhat"] is None
    (record,) = read_records(tmp_path / "run")
    assert math.isnan(record.quantities["mu"].mean)
    assert record.max_rhat is None


def test_hostile_text_is_escaped_in_the_journal_and_read_back_whole(tmp_path: Path) -> None:
    hostile = replace(RECORD, reason=HOSTILE, dataset=HOSTILE, health=[HOSTILE])
    journal = Journal(tmp_path / "run", {"command": [HOSTILE]})
    journal.append(hostile)
    journal.close()
    content = (tmp_path / "run" / "records.jsonl").read_bytes() + (tmp_path / "run" / "run.json").read_bytes()
    assert set(content) <= {ord("\n"), *range(32, 127)}
    assert read_records(tmp_path / "run") == [hostile]


def test_a_journal_cut_at_any_byte_of_its_last_record_keeps_the_others_and_goes_on(folder: Path) -> None:
    path = folder / "records.jsonl"
    whole = path.read_bytes()
    keep = whole.rstrip(b"\n").rfind(b"\n") + 1
    assert keep < len(whole) - 1
    for size in range(keep, len(whole)):
        path.write_bytes(whole[:size])
        if size == keep:
            journal = Journal(folder)
        else:
            with pytest.warns(UserWarning, match="last line was cut short") as warned:
                journal = Journal(folder)
            assert len(warned) == 1
        assert [record.replicate for record in journal.records] == [0, 1]
        journal.append(replicate(2))
        journal.close()
        assert path.read_bytes() == whole


def test_zeros_that_a_power_cut_left_are_a_line_cut_short(folder: Path) -> None:
    with (folder / "records.jsonl").open("ab") as file:
        file.write(bytes(4096))
    with pytest.warns(UserWarning, match="cut short"):
        assert len(read_records(folder)) == 3


def test_a_bad_line_in_the_middle_is_named(folder: Path) -> None:
    path = folder / "records.jsonl"
    first, _, third = path.read_bytes().splitlines(keepends=True)
    for bad in (b"\n", b"{}\n", b"[]\n", b"7\n", b'{"schema":"x"}\n', b"\xff\n"):
        path.write_bytes(first + bad + third)
        with pytest.raises(RunError, match=r"records\.jsonl, line 2 is no record"):
            read_records(folder)
        with pytest.raises(RunError, match="line 2"):
            Journal(folder)
    path.write_bytes(first + third)
    Journal(folder).close()  # no failed attempt kept the lock


def test_a_newer_schema_is_refused_and_left_alone(folder: Path) -> None:
    newer = SCHEMA + 1
    line = json.dumps(RECORD.to_dict() | {"schema": newer, "novelty": 1}) + "\n"
    (folder / "records.jsonl").write_text(line)
    with pytest.raises(RunError, match=f"schema {newer}, this hierbench reads up to {SCHEMA}; upgrade"):
        read_records(folder)
    with pytest.raises(RunError, match=f"schema {newer}"):
        Journal(folder)
    (folder / "run.json").write_text(json.dumps({"schema": newer}))
    with pytest.raises(RunError, match=f"schema {newer}, this hierbench reads up to {SCHEMA}; upgrade"):
        Journal(folder)
    assert (folder / "records.jsonl").read_text() == line


@pytest.mark.parametrize("content", ["", "{", "[]", "7", "null", '{"schema": "x"}', "\ud800"])
def test_a_run_that_cannot_be_read_says_so(folder: Path, content: str) -> None:
    (folder / "run.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(RunError, match=r"run\.json can't be read"):
        Journal(folder)


def test_a_second_writer_is_refused_until_the_first_is_gone(folder: Path) -> None:
    first = Journal(folder)
    with pytest.raises(RunError, match="another process writes"):
        Journal(folder)
    first.append(replicate(3))
    first.close()
    second = Journal(folder)
    assert [record.replicate for record in second.records] == [0, 1, 2, 3]
    second.close()


def test_a_writer_in_another_process_is_refused(folder: Path) -> None:
    journal = Journal(folder)
    script = f"from pathlib import Path; from bench.records import Journal; Journal(Path({str(folder)!r}))"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "another process writes" in ended.stderr
    journal.close()


def test_new_runs_never_share_a_folder(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", {})
    with pytest.raises(RunError, match="is there already"):
        Journal(tmp_path / "run", {})
    journal.append(RECORD)
    journal.close()
    assert read_records(tmp_path / "run") == [RECORD]
    assert len({new_run_id() for _ in range(3)}) == 3


def test_a_full_disk_keeps_what_was_written(tmp_path: Path) -> None:
    """A file-size limit stands in for the disk; the process that meets it is a real one."""
    script = f"""
import resource, sys
from pathlib import Path
from tempfile import TemporaryDirectory
from bench.records import Journal, RunError
from tests.test_records import replicate
journal = Journal(Path({str(tmp_path / "run")!r}), {{}})
journal.append(replicate(0))
size = (journal.folder / "records.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (3 * size + 10, resource.RLIM_INFINITY))
written = 1
try:
    while True:
        journal.append(replicate(written))
        written += 1
except RunError as error:
    print(written, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(replicate(written))
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.match(r"3 \S+records.jsonl can't be written \(File too large\); free space.*--resume run", ended.stdout)
    assert read_records(tmp_path / "run") == [replicate(number) for number in range(4)]


def fill(disk: Path, leave: int = 0) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize > leave:
            file.write(bytes(4096))
    return filler


def test_a_disk_that_is_full_is_seen_before_anything_is_sampled(small_disk: Path) -> None:
    journal = Journal(small_disk / "old", {})
    journal.append(RECORD)
    journal.close()
    filler = fill(small_disk, leave=8192)
    for attempt in (lambda: Journal(small_disk / "old"), lambda: Journal(small_disk / "new", {})):
        with pytest.raises(RunError, match=r"can't be written \(No space left on device\); free space"):
            attempt()
    filler.unlink()
    Journal(small_disk / "old").close()
    assert read_records(small_disk / "old") == [RECORD]


def test_a_disk_that_fills_up_keeps_what_was_written(small_disk: Path) -> None:
    journal = Journal(small_disk / "run", {})
    filler = fill(small_disk, leave=8192)
    for number in range(20):
        try:
            journal.append(replicate(number))
        except RunError as error:
            assert "No space left on device" in str(error)  # noqa: PT017
            break
    written = read_records(small_disk / "run")
    assert written == [replicate(number) for number in range(len(written))]
    assert 1 < len(written) < 20
    filler.unlink()
    journal.append(replicate(len(written)))
    journal.close()
    assert read_records(small_disk / "run") == [*written, replicate(len(written))]


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    Journal(small_disk / "old", {}).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for attempt in (lambda: Journal(small_disk / "old"), lambda: Journal(small_disk / "new", {})):
        with pytest.raises(RunError, match=r"can't be written \(Read-only file system\)"):
            attempt()


def test_a_folder_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"can't be written \(Not a directory\)"):
        Journal(tmp_path / "file" / "run", {})


def test_runs_are_found_by_id_by_path_and_latest(tmp_path: Path) -> None:
    for name in ("20260101-000000-aaaa", "20260102-000000-bbbb"):
        Journal(tmp_path / name, {}).close()
    (tmp_path / "20260103-000000-cccc").mkdir()  # whose run.json was never written
    assert find_run("latest", tmp_path).name == "20260102-000000-bbbb"
    assert find_run("20260101-000000-aaaa", tmp_path) == tmp_path / "20260101-000000-aaaa"
    assert find_run(str(tmp_path / "20260101-000000-aaaa"), Path("/nowhere")) == tmp_path / "20260101-000000-aaaa"
    with pytest.raises(RunError, match="no run 'x'; the newest are: 20260101-000000-aaaa, 20260102-000000-bbbb"):
        find_run("x", tmp_path)
    with pytest.raises(RunError, match="no run 'latest'; the newest are: none yet"):
        find_run("latest", tmp_path / "empty")


def test_a_run_that_is_gone_on_with_says_so(tmp_path: Path) -> None:
    asked = {"command": ["pytest"], "asked": {"replicates": 1, "seed": 1}}
    Journal(tmp_path / "run", asked).close()
    journal = Journal(tmp_path / "run")
    journal.go_on(["pytest", "--resume"], 3)
    journal.go_on(["pytest", "--resume", "run"], 3)
    journal.close()
    found = read_run(tmp_path / "run")
    assert found == journal.asked
    assert found["command"] == ["pytest"]
    assert found["then"] == [["pytest", "--resume"], ["pytest", "--resume", "run"]]
    assert found["asked"] == {"replicates": 3, "seed": 1}


def test_records_of_schema_1_are_read_in_the_words_of_schema_2() -> None:
    folder = Path(__file__).parent / "data" / "schema_1"  # two fits of an early run
    old = json.loads((folder / "records.jsonl").read_text().splitlines()[0])
    assert old["schema"] == 1
    records = read_records(folder)
    assert len(records) == 2
    first = records[0]
    assert (first.schema, first.family, first.target) == (SCHEMA, "normal_means", old["posterior"])
    assert first.sizes == {"observations": old["n_obs"], "groups": old["n_groups"]}
    assert first.generated_with == old["truth"]
    assert first.grade is not None
    assert first.grade["truth"] == "exact"
    assert first.grade["known"] == old["grade"]["exact"]
    assert first.quantities["mu"].element == "mu"
    assert any(record.further.get("population_mean") for record in records)
    assert Record.from_dict(first.to_dict()) == first


SCHEMA_1 = {
    "schema": 1,
    "run": "20260101-000000-abcd",
    "time": "2026-01-01T00:00:00Z",
    "dataset": "omega1-G5-n20-s41",
    "dataset_digest": "d" * 64,
    "n_obs": 100,
    "n_groups": 5,
    "truth": {"mu": 2.0},
    "model": "centered",
    "model_digest": "m" * 64,
    "posterior": "superpopulation",
    "backend": "stanli",
    "language": "stan",
    "protocol": "matched",
    "settings": {"chains": 4},
    "replicate": 3,
    "seed": 7,
    "status": "timeout",
    "reason": "sample took longer than 900 s",
    "versions": {"stanli": "0.24.0"},
    "environment": {"cores": 2},
}
"""All that a replicate that was not finished had."""


@pytest.mark.slow
def test_every_record_that_is_kept_as_a_reference_is_read() -> None:
    """And says the same once it was written again."""
    folders = [path.parent for path in (ROOT / "reports" / "reference").rglob("records.jsonl*")]
    assert folders
    for folder in folders:
        records = read_records(folder)
        assert records
        assert [Record.from_dict(json.loads(json.dumps(record.to_dict()))) for record in records] == records


def test_a_replicate_of_schema_1_that_was_not_finished_is_read() -> None:
    record = Record.from_dict(SCHEMA_1)
    assert (record.status, record.reason, record.replicate) == ("timeout", SCHEMA_1["reason"], 3)
    assert (record.family, record.target, record.sizes["groups"]) == ("normal_means", "superpopulation", 5)
    assert (record.quantities, record.grade, record.further, record.wall_seconds) == ({}, None, {}, None)
    assert record.to_dict()["schema"] == SCHEMA


def test_the_worst_element_of_schema_1_is_that_of_its_group_means() -> None:
    quantity = dict.fromkeys(("mean", "sd", "q3", "q50", "q97", "mcse", "ess_bulk", "ess_tail", "rhat"), 1.0)
    both = {"quantities": {"mu": quantity, "mu_g": quantity}}
    found = [Record.from_dict({**SCHEMA_1, **both, "min_ess_of": of}).quantities for of in ("mu_g[3]", "omega", None)]
    assert [each["mu_g"].element for each in found] == ["mu_g[3]", "mu_g", "mu_g"]
    assert [each["mu"].element for each in found] == ["mu"] * 3


@pytest.mark.parametrize("missing", [name for name in SCHEMA_1 if name not in ("schema", "reason")])
def test_a_damaged_record_of_schema_1_is_named(folder: Path, missing: str) -> None:
    damaged = {name: value for name, value in SCHEMA_1.items() if name != missing}
    (folder / "records.jsonl").write_text(json.dumps(SCHEMA_1) + "\n" + json.dumps(damaged) + "\n")
    with pytest.raises(RunError, match=rf"records\.jsonl, line 2 is no record \(.*{missing}.*\); restore the file"):
        read_records(folder)


@pytest.mark.parametrize("change", [{"grade": 3}, {"quantities": [1]}, {"quantities": {"mu": 1}}, {"min_ess_of": 3}])
def test_a_record_of_schema_1_with_other_kinds_of_values_is_named(folder: Path, change: dict[str, object]) -> None:
    quantities = {"quantities": {"mu_g": {}}}
    (folder / "records.jsonl").write_text(json.dumps({**SCHEMA_1, **quantities, **change}) + "\n")
    with pytest.raises(RunError, match="line 1 is no record"):
        read_records(folder)


def test_what_a_later_hierbench_of_the_same_schema_adds_is_passed_over() -> None:
    assert Record.from_dict({**RECORD.to_dict(), "novelty": 1}) == RECORD
