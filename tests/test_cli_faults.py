"""The command where something is wrong: one clear line and an exit code, never a traceback, and nothing half done."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.records import RunError, read_records
from tests.running.hostile import ROOT, measure
from tests.running.journals import written
from tests.running.processes import small_disk
from tests.simulated import asked, simulate

__all__ = ["small_disk"]

RECORDS = [
    record
    for record in simulate(omegas=(1.0,), groups=(5,), replicates=2)
    if record.model == "centered" and record.backend in ("stanli", "pymc")
]
COMMAND = "import sys; from bench.cli import main; sys.exit(main(sys.argv[1:]))"
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of runs with one run in it."""
    told = {name: value for name, value in asked().items() if name not in ("run", "command")}
    written(tmp_path / "runs" / "one", RECORDS, **told)
    return tmp_path / "runs"


def command(*arguments: str | os.PathLike[str], cwd: Path = ROOT, **how: Any) -> "subprocess.CompletedProcess[bytes]":
    """Run the command in a process of its own."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    how["env"] = {**os.environ, "PYTHONPATH": str(ROOT), **how.get("env", {})}
    return subprocess.run([sys.executable, "-c", COMMAND, *arguments], cwd=cwd, timeout=120, **how)


def one_line(text: str) -> bool:
    """Whether an error is a single line of the command."""
    return text.startswith("hierbench: ") and text.count("\n") == 1 and "Traceback" not in text


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the place of everything in a JSON value."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, inner in inside:
        yield from leaves(inner, (*path, name))


def changed(value: dict[str, Any], path: tuple[str | int, ...], new: object) -> dict[str, Any]:
    """Return a copy with something else in one place."""
    value = deepcopy(value)
    inner: Any = value
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = new
    return value


LINES = [record.to_dict() for record in RECORDS]
PLACES = [*leaves(LINES[0])]
WRONG: tuple[object, ...] = ("text", [], {}, None, True, -1, {"a": [1]}, 10**400)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:12])
@pytest.mark.slow
def test_a_value_of_another_type_in_a_journal_is_named_or_harmless(
    runs: Path, tmp_path: Path, capsys: Captured, wrong: object
) -> None:
    rest = [json.dumps(line) for line in LINES[1:]]
    path = runs / "one" / "records.jsonl"
    where = ("--runs", str(runs))
    refused, passed = 0, WRONG.index(wrong)
    for place in PLACES:
        path.write_text("\n".join([json.dumps(changed(LINES[0], place, wrong)), *rest]) + "\n")
        try:
            read_records(runs / "one")
        except RunError as error:
            said = str(error)
            assert "records.jsonl, line 1 is no record" in said or "upgrade hierbench" in said
            refused += 1
            continue
        passed += 1
        if passed % 3:  # a page takes a third of a second
            continue
        for arguments in (
            ["report", "one", "--output", str(tmp_path / "page")],
            ["compare", "one", "--by", "backend"],
            ["export", "one", "--to", "pytest-benchmark"],
            ["history", "--output", str(tmp_path / "history")],
        ):
            assert main([*arguments, *where]) in (0, 2), (place, arguments)
            said = capsys.readouterr().err
            assert said == "" or one_line(said) or said.startswith("hierbench: A and B "), (place, arguments, said)
    assert refused > len(PLACES) / 5


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("what", ["report", "export"])
def test_a_number_that_is_none_in_a_journal_is_refused(what: str, number: str, runs: Path, capsys: Captured) -> None:
    path = runs / "one" / "records.jsonl"
    path.write_text(json.dumps(changed(LINES[0], ("wall_seconds",), 0.125)).replace("0.125", number) + "\n")
    options = ["--to", "pytest-benchmark"] if what == "export" else []
    assert main([what, "one", *options, "--runs", str(runs)]) == 2
    said = capsys.readouterr().err
    assert one_line(said)
    assert "records.jsonl, line 1 is no record" in said


def test_json_that_is_nested_without_end_is_refused(runs: Path, capsys: Captured) -> None:
    deep = "[" * 200_000 + "]" * 200_000
    stored = runs / "stored.json"
    stored.write_text(deep)
    (runs / "one" / "records.jsonl").write_text(deep + "\n")
    assert main(["report", "one", "--runs", str(runs)]) == 2
    assert one_line(capsys.readouterr().err)
    (runs / "one" / "run.json").write_text(deep)
    assert main(["export", "one", "--to", "pytest-benchmark", "--runs", str(runs)]) == 2
    assert one_line(capsys.readouterr().err)
    assert main(["history", str(stored), "--runs", str(runs)]) == 2
    assert one_line(capsys.readouterr().err)


@pytest.mark.parametrize("wrong", ["text", 3, [1], {"a": 1}, None], ids=str)
def test_a_value_of_another_type_in_run_json_is_named_or_harmless(
    runs: Path, tmp_path: Path, capsys: Captured, wrong: object
) -> None:
    path = runs / "one" / "run.json"
    whole = json.loads(path.read_text())
    refused = 0
    for name in whole:
        path.write_text(json.dumps({**whole, name: wrong}))
        code = main(["report", "one", "--output", str(tmp_path / "page"), "--runs", str(runs)])
        assert code in (0, 2)
        said = capsys.readouterr().err
        assert said == "" or one_line(said), (name, said)
        refused += code == 2
    assert refused > 3


def test_the_same_line_twice_counts_once_and_is_noticed(runs: Path, tmp_path: Path) -> None:
    path = runs / "one" / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[1]]))
    with pytest.warns(UserWarning, match=rf"line {len(lines) + 1}: the fit of line 2 is there twice"):
        assert read_records(runs / "one") == RECORDS
    page = tmp_path / "page"
    with pytest.warns(UserWarning, match="is there twice"):
        assert main(["report", "one", "--output", str(page), "--runs", str(runs)]) == 0
    assert (page / "results.csv").read_bytes().count(b"2026-01-01T00:00:00Z") == len(RECORDS)


TABLE = ["recommend", "t.csv", "--group-column", "g", "--value-column", "y"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*TABLE, "--target-ess", "inf"], "--target-ess is inf; give"),
        ([*TABLE, "--target-ess", "nan"], "--target-ess is nan; give"),
        ([*TABLE, "--budget", "nan"], "--budget is nan; give"),
        ([*TABLE, "--budget", "-5"], "--budget is -5; give"),
        ([*TABLE, "--budget", "inf"], "--budget is inf; give"),
        (["calibrate", "--simulations", "0"], "--simulations is 0; give 1 or more"),
        (["calibrate", "--simulations", "-1"], "--simulations is -1; give 1 or more"),
        (["calibrate", "--simulations", "1", "--seed", "-1"], "--seed is -1; give 0 or more"),
        (["history", "--runs", "/nowhere"], "no runs with records in /nowhere"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_numbers_that_make_no_sense_are_refused_with_what_to_type(
    arguments: list[str], said: str, capsys: Captured
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert one_line(error)
    assert said in error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value"),
    [("--memory-limit", "inf"), ("--memory-limit", "nan"), ("--memory-limit", "-1"), ("--fit-timeout", "nan")],
)
def test_limits_that_make_no_sense_are_refused_before_anything_runs(option: str, value: str, tmp_path: Path) -> None:
    done = measure(tmp_path, "--backend", "stanli", f"{option}={value}")
    assert done.returncode == 2
    assert f"{option} is {value}; give" in done.stdout
    assert "Traceback" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_time_limit_beyond_what_a_socket_takes_is_no_error(tmp_path: Path) -> None:
    done = measure(tmp_path, "--backend", "stanli", "--fit-timeout", "1e12")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("what", ["report", "export", "history", pytest.param("exact", marks=pytest.mark.slow)])
@pytest.mark.parametrize("place", ["below a file", "full", "read-only"])
def test_a_place_that_cannot_be_written_is_named_and_ends_with_1(
    what: str, place: str, runs: Path, tmp_path: Path, capsys: Captured, request: pytest.FixtureRequest
) -> None:
    if place == "below a file":
        (tmp_path / "file").touch()
        output = tmp_path / "file" / "out"
    else:
        disk: Path = request.getfixturevalue("small_disk")
        output = disk / "out"
        if place == "full":
            fill(disk / "filler")
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    arguments = {
        "report": ["report", "one", "--runs", str(runs)],
        "export": ["export", "one", "--to", "pytest-benchmark", "--runs", str(runs)],
        "history": ["history", "--runs", str(runs)],
        "exact": ["exact"],
    }[what]
    assert main([*arguments, "--output", str(output)]) == 1
    said = capsys.readouterr().err
    assert one_line(said)
    assert "free space, mend permissions, or name another place" in said
    if place == "full":
        assert [path for path in output.rglob("*") if path.is_file()] == []


def fill(path: Path) -> None:
    """Write until a disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            return


def test_a_closed_pipe_ends_quietly(runs: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = command("export", "one", "--to", "pytest-benchmark", "--runs", str(runs), stdout=writing)
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141


@pytest.mark.slow
def test_a_full_device_as_standard_output_is_said_in_one_line(runs: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = command("export", "one", "--to", "pytest-benchmark", "--runs", str(runs), stdout=full)
    assert done.returncode == 1
    assert one_line(done.stderr.decode())
    assert b"No space left on device" in done.stderr


@pytest.mark.slow
def test_a_closed_standard_output_is_no_traceback(runs: Path) -> None:
    script = f'exec "{sys.executable}" -c "{COMMAND}" export one --to pytest-benchmark --runs "{runs}" >&-'
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, stderr=subprocess.PIPE, timeout=120)
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
def test_output_goes_to_a_device_where_that_is_named(runs: Path) -> None:
    done = command("export", "one", "--to", "pytest-benchmark", "--runs", str(runs), "--output", "/dev/stdout")
    assert done.returncode == 0
    assert json.loads(done.stdout)["benchmarks"]
    assert Path("/dev/stdout").is_symlink()  # and was not replaced by a file


def test_a_working_directory_that_was_deleted_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "{sys.executable}" -c "{COMMAND}" doctor'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, timeout=120)
    assert done.returncode == 2
    assert one_line(done.stderr.decode())
    assert b"the working directory was deleted" in done.stderr


def test_hints_repeat_the_folder_of_runs(runs: Path, tmp_path: Path, capsys: Captured) -> None:
    written(runs / "empty", [])
    assert main(["report", "empty", "--runs", str(runs)]) == 2
    assert f"--resume empty --runs {runs}" in capsys.readouterr().err
    told = {**asked("one"), "command": ["pytest", "bench/", "--runs", "my runs"], "cases": 1000}
    written(runs / "part", RECORDS, **{name: value for name, value in told.items() if name not in ("run", "command")})
    path = runs / "part" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "command": told["command"]}))
    assert main(["report", "part", "--runs", str(runs), "--output", str(tmp_path / "page")]) == 0
    assert "--resume part --runs 'my runs'" in (tmp_path / "page" / "report.md").read_text()


@pytest.mark.slow
def test_without_asserts_and_docstrings_all_works(runs: Path, tmp_path: Path) -> None:
    optimised = {"PYTHONOPTIMIZE": "2"}
    for arguments in (["doctor"], ["report", "one"], ["compare", "one", "--by", "backend"]):
        where = [] if arguments == ["doctor"] else ["--runs", str(runs)]
        done = command(*arguments, *where, env=optimised)
        assert done.returncode == 0, done.stderr.decode()
    assert (runs / "one" / "index.html").is_file()
    fit = measure(tmp_path / "more", "--backend", "stanli", **optimised)
    assert fit.returncode == 0, fit.stdout
    (run,) = (tmp_path / "more").iterdir()
    assert [record.status for record in read_records(run)] == ["ok"]


@pytest.mark.slow
def test_a_home_that_cannot_be_written_is_no_fault_of_a_fit(small_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    backends = ["--backend", "stanli,pymc,nutpie"]
    fit = measure(tmp_path / "runs", *backends, HOME=str(small_disk), XDG_CACHE_HOME=str(small_disk))
    assert fit.returncode == 0, fit.stdout
    assert "page:" in fit.stdout
