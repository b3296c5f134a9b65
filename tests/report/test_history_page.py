"""A history as lines, Markdown and a page, from runs and from files of pytest-benchmark."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli import main
from bench.comparing.aa import simulated_record
from bench.github import plain
from bench.records import Journal, Record, RunError
from bench.report.export import export, read_stored
from bench.report.history_page import History, write_history
from tests.simulated import HOSTILE

RUNS, STEP = 30, 18


def run(number: int, **changes: Any) -> list[Record]:
    """Return a run with two cases, one of which gets 15 % slower with another version at `STEP`."""
    rng = np.random.default_rng(number)
    slow = 1.15 if number >= STEP else 1.0
    made: dict[str, Any] = {
        "run": f"r{number:03d}",
        "time": f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T00:00:00Z",
    }
    return [
        simulated_record(
            model=model,
            replicate=i,
            wall_seconds=2.0 * (slow if model == "centered" else 1.0) * float(np.exp(0.03 * rng.standard_normal())),
            versions={"cmdstan": "2.39" if number >= STEP else "2.38"},
            **made | changes,
        )
        for model in ("centered", "noncentered")
        for i in range(3)
    ]


def kept(folder: Path, number: int) -> Path:
    """Write a run to the disk."""
    journal = Journal(folder / f"r{number:03d}", {"environment": {}})
    for record in run(number):
        journal.append(record)
    journal.close()
    return journal.folder


@pytest.fixture(scope="module")
def found() -> History:
    return History.of("History", [run(i) for i in range(RUNS)], ["wall_seconds", "ess_per_second"], "date")


def test_a_step_is_told_with_its_run_its_size_and_the_new_version(found: History) -> None:
    (line,) = [line for line in found.lines() if "step at" in line and "1.1" in line]
    assert f"r{STEP:03d}: 1.1" in line
    assert "with cmdstan 2.38 to 2.39" in line
    marked = [series for series in found.series if series.steps]
    assert {series.model for series in marked} == {"centered"}


def test_the_page_has_a_line_for_each_case_and_marks_the_step(found: History, tmp_path: Path) -> None:
    page = write_history(tmp_path, found).read_text(encoding="utf-8")
    assert page.count('class="chart"') == 5
    assert page.count('class="step"') == 3  # the first, of the wall time, and of the rate that follows from it
    assert "2026-01-01" in page
    markdown = (tmp_path / "history.md").read_text(encoding="utf-8")
    assert "cmdstan 2.38 to 2.39" in markdown
    assert markdown.splitlines()[2].startswith(plain(found.first().sentence))


def test_by_version_runs_are_named_by_the_version_of_the_backend() -> None:
    history = History.of("History", [run(i) for i in (0, STEP)], ["wall_seconds"], "version")
    assert history.labels(history.series[0]) == ["2.38", "2.39"]


def test_hostile_text_is_text(tmp_path: Path) -> None:
    history = History.of(HOSTILE, [run(i, dataset=HOSTILE, run=HOSTILE) for i in range(3)], ["wall_seconds"], "date")
    assert "<script>document" not in write_history(tmp_path, history).read_text(encoding="utf-8")
    assert "<script" not in (tmp_path / "history.md").read_text(encoding="utf-8")
    assert json.loads(json.dumps(history.to_dict(), allow_nan=False))["series"]


def test_what_was_never_healthy_has_a_line_too() -> None:
    history = History.of("History", [run(i, health=["R-hat: 2"]) for i in range(2)], ["wall_seconds"], "date")
    assert len(list(history.lines())) > 3
    assert history.row(history.series[0])[5] == "\u2013"


def test_one_healthy_run_is_not_compared_with_itself() -> None:
    history = History.of("History", [run(0), run(1, health=["R-hat: 2"])], ["wall_seconds"], "date")
    assert history.row(history.series[0])[6:8] == ("\u2013", "\u2013")


def test_the_command_reads_runs_and_files_of_pytest_benchmark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [kept(tmp_path / "runs", number) for number in range(3)]
    stored = tmp_path / "0001_stored.json"
    stored.write_text(json.dumps(export(folders[1])))
    assert [record.key for record in read_stored(stored)] == [record.key for record in run(1)]
    output = ["--output", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    assert main(["history", *output]) == 0
    assert "3 runs" in capsys.readouterr().out
    assert main(["history", "r000", str(stored), "--measure", "wall_seconds", "--json", *output]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [point["run"] for point in said["series"][0]["points"]] == ["r000", "r001"]
    assert (tmp_path / "out" / "history.html").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"benchmarks": 3}', '{"benchmarks": [{"extra_info": {}}]}'])
def test_what_is_no_stored_file_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(RunError):
        read_stored(path)
    assert main(["history", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_no_runs_are_refused_with_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--runs", str(tmp_path)]) == 2
    assert "pytest bench/ --benchmark-only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "after", "labels"),
    [
        ({"cmdstan": "2.39.0 (3f2a1c9d0b12)"}, {"cmdstan": "2.39.0 (90ab12cd34ef)"}, ["3f2a1c9d0b12", "90ab12cd34ef"]),
        ({"cmdstan": "2.39.0", "numpy": "2.1"}, {"cmdstan": "2.39.0", "numpy": "2.3"}, ["2.1", "2.3"]),
        ({"cmdstan": "2.38.0"}, {"cmdstan": "2.39.0 (90ab12cd34ef)"}, ["2.38.0", "2.39.0"]),
        (
            {"cmdstan": "2.39.0", "numpy": "2.1"},
            {"cmdstan": "2.39.0", "numpy": "2.1"},
            ["2.39.0, 2026-01-01", "2.39.0, 2026-01-02"],
        ),
    ],
)
def test_by_version_runs_are_named_by_what_differs_and_its_commit(
    before: dict[str, str], after: dict[str, str], labels: list[str]
) -> None:
    runs = [[replace(record, versions=v) for record in run(i)] for i, v in ((0, before), (1, after))]
    history = History.of("History", runs, ["wall_seconds"], "version")
    assert history.labels(history.series[0]) == labels


@pytest.mark.parametrize(
    ("times", "labels"),
    [
        (["2026-01-05T09:30:00Z", "2026-01-06T09:30:00Z"], ["2026-01-05", "2026-01-06"]),
        (["2026-01-05T09:30:00Z", "2026-01-05T14:00:00Z"], ["09:30", "14:00"]),
        (
            ["2026-01-05T09:30:00Z", "2026-01-05T14:00:00Z", "2026-01-06T14:00:00Z"],
            ["01-05 09:30", "01-05 14:00", "01-06 14:00"],
        ),
    ],
)
def test_by_date_runs_are_named_by_the_day_or_the_time_that_differs(times: list[str], labels: list[str]) -> None:
    runs = [run(i, time=time) for i, time in enumerate(times)]
    history = History.of("History", runs, ["wall_seconds"], "date")
    assert history.labels(history.series[0]) == labels


def test_runs_of_recommend_are_left_out_unless_they_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [kept(tmp_path / "runs", number) for number in range(3)]
    asked = {"environment": {}, "command": ["hierbench", "recommend", "trees.csv"]}
    (folders[1] / "run.json").write_text(json.dumps(asked))
    options = ["--output", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    assert main(["history", *options]) == 0
    said = capsys.readouterr().out
    assert "2 runs" in said
    assert said.endswith("without 1 of hierbench recommend; to have them too: --with-recommend\n")
    (folders[2] / "run.json").write_text(json.dumps({**asked, "command": ["hierbench", "map"]}))
    assert main(["history", "--with-recommend", *options]) == 0
    assert "2 runs" in capsys.readouterr().out  # each fit of a map has data of its own
    (folders[2] / "run.json").write_text(json.dumps({**asked, "command": ["pytest"]}))
    for more in (["--with-recommend"], ["r000", "r001", "r002"]):
        assert main(["history", *more, *options]) == 0
        assert "3 runs" in capsys.readouterr().out
    for folder in (folders[0], folders[2]):
        (folder / "run.json").write_text(json.dumps(asked))
    assert main(["history", *options]) == 2
    assert "without 3 of hierbench recommend" in capsys.readouterr().err
