"""Text that no terminal or file takes as it is, and places in which somebody planted links: nothing is lost."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.files import write
from bench.records import Record, read_records
from bench.report.history_page import History, write_history
from bench.report.page import write_report
from tests.running.hostile import ROOT, measure
from tests.running.journals import written
from tests.running.processes import small_disk
from tests.simulated import asked, simulate

__all__ = ["small_disk"]

COMMAND = "import sys; from bench.cli import main; sys.exit(main(sys.argv[1:]))"
LOCALE = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
"""A system that knows ASCII alone."""
TERMINAL = {**LOCALE, "PYTHONUTF8": "1", "PYTHONIOENCODING": "ascii"}
"""A terminal that takes ASCII alone, on a system whose files have names in UTF-8 or none at all."""
ODD = "caf\xe9 \udcff\ud800 \x1b[31m東京"
"""Latin, a byte that is no UTF-8, half a pair, an escape sequence, Japanese."""


def records(text: str = ODD) -> list[Record]:
    """Return records with odd text wherever a backend, a file or a person may put some."""
    some = [r for r in simulate(omegas=(1.0,), groups=(5,), replicates=2) if r.model in ("centered", "noncentered")]
    return [
        replace(
            record,
            dataset=text,
            reason=text if record.status != "ok" else "",
            health=[f"audit: {text}"] if record.backend == "nutpie" else record.health,
            versions={"stanli": text},
            environment={**record.environment, "cpu": text},
            quantities={**record.quantities, text: replace(record.quantities["mu"], element=text)}
            if record.quantities
            else {},
        )
        for record in some
    ]


def test_pages_and_tables_hold_any_text(tmp_path: Path) -> None:
    told = {**asked(), "command": ["pytest", ODD], "missing": {"pystan": ODD}}
    page = write_report(tmp_path, records(), told)
    write_history(tmp_path, History.of(ODD, [records()], ["wall_seconds"], "date"))
    for path in (page, tmp_path / "report.md", tmp_path / "history.md", tmp_path / "history.html"):
        assert "東京" in path.read_text(encoding="utf-8")
    assert "\x1b" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    table = pd.read_csv(tmp_path / "results.csv")
    assert len(table) == len(records())
    assert table["dataset"].unique().tolist() == [ODD.encode("utf-8", "backslashreplace").decode()]
    assert pd.read_parquet(tmp_path / "results.parquet")["dataset"].tolist() == table["dataset"].tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("report", "one"), id="report"),
        pytest.param(("compare", "one", "--by", "backend"), id="compare", marks=pytest.mark.slow),
        pytest.param(
            ("compare", "one", "--by", "backend", "--reference", "caf\xe9"), id="reference", marks=pytest.mark.slow
        ),
        pytest.param(("history", "one", "--output", "history"), id="history", marks=pytest.mark.slow),
        pytest.param(("export", "one", "--to", "pytest-benchmark"), id="export", marks=pytest.mark.slow),
        pytest.param(("report", os.fsdecode(b"no\xff\xc3\xa9run")), id="no run"),
        pytest.param(("doctor",), id="doctor", marks=pytest.mark.slow),
    ],
)
def test_a_terminal_of_ascii_alone_is_enough_for_any_text(arguments: tuple[str, ...], tmp_path: Path) -> None:
    written(tmp_path / "runs" / "one", records())
    where = () if arguments == ("doctor",) else ("--runs", str(tmp_path / "runs"))
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(os.fsencode, (*arguments, *where))],
        cwd=tmp_path,
        env={**os.environ, **LOCALE},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode in (0, 2), done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert (done.stdout + done.stderr).isascii()
    assert b"\x1b" not in done.stdout + done.stderr


def table(folder: Path, name: bytes) -> Path:
    """Write a table with labels of any kind in a file of any name."""
    path = folder / os.fsdecode(name)
    rows = "".join(f"{label},{g + 0.1 * i + i % 3}\n" for g, label in enumerate(("é", "東京", "b")) for i in range(8))
    path.write_text(f"größe,y\n{rows}", encoding="utf-8")
    return path


COLUMNS = ("--group-column", "größe", "--value-column", "y")
BRIEF = ("--model", "centered", "--backend", "stanli", "--chains", "2", "--warmup", "500", "--draws", "500")


def recommend(path: Path, runs: Path) -> "subprocess.CompletedProcess[bytes]":
    """Ask for a recommendation in a terminal of ASCII alone."""
    return subprocess.run(
        [
            *(sys.executable, "-c", COMMAND, "recommend"),
            *map(os.fsencode, (path, *COLUMNS, *BRIEF, "--target-accept", "0.95", "--budget", "8", "--runs", runs)),
        ],
        cwd=path.parent,
        env={**os.environ, **TERMINAL},
        capture_output=True,
        timeout=120,
    )


@pytest.mark.slow
def test_recommend_answers_for_a_file_whose_name_is_not_utf_8_in_a_terminal_of_ascii(tmp_path: Path) -> None:
    done = recommend(table(tmp_path, b"caf\xe9 \xff.csv"), tmp_path / "runs")
    assert done.returncode in (0, 1), done.stderr.decode()
    assert done.stderr == b""
    assert done.stdout.isascii()
    (run,) = (tmp_path / "runs").iterdir()
    answer = json.loads((run / "recommendation.json").read_text(encoding="ascii"))
    assert answer["run"] == run.name
    assert f"page:    {run / 'recommendation.html'}".encode() in done.stdout
    program = run / "fit_stan.py"
    assert program.exists() == (answer["answer"] is not None)
    if program.exists():  # it finds the table by its odd name
        fit = subprocess.run([sys.executable, str(program)], capture_output=True, timeout=120)
        assert fit.returncode == 0, fit.stderr.decode()
        assert "東京".encode() in fit.stdout


@pytest.mark.slow
def test_recommend_answers_where_a_page_cannot_be_written(tmp_path: Path) -> None:
    """A folder stands where the page should be, from the first moment of the run on."""
    path, runs = table(tmp_path, b"t.csv"), tmp_path / "runs"
    block = (
        "import bench.running.run as run\nmade = run.Run.__init__\n"
        "def init(self, *arguments, **options):\n    made(self, *arguments, **options)\n"
        "    (self.journal.folder / 'results.parquet').mkdir()\nrun.Run.__init__ = init\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", block + COMMAND, "recommend", str(path), *COLUMNS, *BRIEF),
            *("--target-accept", "0.95", "--budget", "6", "--runs", str(runs)),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "not all pages were written, for OSError" in done.stderr
    assert "results.parquet is no file" in done.stderr
    assert "n omega²/sigma² is" in done.stdout  # the answer
    (run,) = runs.iterdir()
    assert read_records(run)


@pytest.mark.slow
def test_the_benchmark_measures_a_file_whose_name_is_not_utf_8_in_a_terminal_of_ascii(tmp_path: Path) -> None:
    path = table(tmp_path, b"\xe9\xff.csv")
    done = measure(tmp_path / "runs", "--backend", "stanli", "--data", str(path), *COLUMNS, **TERMINAL)
    assert done.returncode == 0, done.stdout
    assert done.stdout.isascii()
    (run,) = (tmp_path / "runs").iterdir()
    assert [record.status for record in read_records(run)] == ["ok"]
    assert (run / "index.html").is_file()


def test_a_planted_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    mine, page = tmp_path / "mine", tmp_path / "page"
    mine.mkdir()
    page.mkdir()
    names = ("index.html", "report.md", "results.csv", "results.parquet", "columns.md", "history.md", "history.html")
    for name in names:
        (mine / name).write_text("mine")
        (page / name).symlink_to(mine / name)
    (page / "pictures").symlink_to(mine)
    write_report(page, records("x"), asked())
    write_history(page, History.of("x", [records("x")], ["wall_seconds"], "date"))
    for name in names:
        assert not (page / name).is_symlink()
        assert (mine / name).read_text() == "mine"
        assert (page / name).stat().st_size > 100
    assert sorted(path.name for path in mine.iterdir()) == sorted(names)
    assert list((page / "pictures").glob("*.svg"))


def test_a_link_to_nowhere_is_replaced_too(tmp_path: Path) -> None:
    (tmp_path / "page").symlink_to(tmp_path / "nowhere")
    write(tmp_path / "page", "text")
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "page").read_text() == "text"


def test_a_disk_that_fills_up_leaves_every_page_as_it_was_and_no_part_of_one(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    write_report(small_disk, records("x")[:2], asked())
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()}
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            pass
    with pytest.raises(OSError, match="No space left on device"):
        write_report(small_disk, records("x") * 20, asked())
    filler.unlink()
    assert {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()} == before


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/null")
    for name in ("pipe", "folder", "device"):
        with pytest.raises(OSError, match="is no file; name another one"):
            write(tmp_path / name, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "folder", "pipe"]
    assert (tmp_path / "device").is_symlink()
