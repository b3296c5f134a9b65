"""Fits of which nothing but the time is known: every page and table is made all the same."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.cells import cells
from bench.comparing.compare import compare_runs
from bench.comparing.recommendation import Recommendation
from bench.deciding.thread_page import mixing, thread_page
from bench.records import Record
from bench.report.export import export
from bench.report.history_page import History, write_history
from bench.report.page import write_report
from bench.report.recommendation_page import write_page
from bench.report.terminal import summary
from tests.running.journals import written
from tests.simulated import asked, simulate

KNOWN = ("wall_seconds", "peak_memory", "draws_digest", "prepare_seconds", "prepare_cache", "gate")
"""What a record has of a fit that was not diagnosed."""
NAMES = [name for name, field in Record.__dataclass_fields__.items() if field.default is None]
ALL = [
    record
    for record in simulate(omegas=(0.1, 1.0), groups=(5,), replicates=2)
    if record.model in ("centered", "noncentered", "finite_zerosum_noncentered")
    and record.backend in ("stanli", "pymc")
]


def undiagnosed(record: Record) -> Record:
    """Return a record whose draws gave nothing."""
    if record.status != "ok":
        return record
    lost = {name: None for name in NAMES if name not in KNOWN}
    return replace(record, **lost, health=["not diagnosed: ValueError: x"], headline=[], quantities={}, further={})  # type: ignore[arg-type]


SETS: dict[str, list[Record]] = {
    "all": [undiagnosed(record) for record in ALL],
    "all that gave draws": [undiagnosed(record) for record in ALL if record.status == "ok"],
    "one": [undiagnosed(ALL[0])],
    "one backend": [undiagnosed(record) for record in ALL if record.backend == "stanli"],
    "one model": [undiagnosed(record) for record in ALL if record.model == "centered"],
    "every other": [undiagnosed(record) if i % 2 else record for i, record in enumerate(ALL)],
    "one replicate of each": [undiagnosed(record) if record.replicate else record for record in ALL],
    "one dataset": [undiagnosed(record) if record.dataset == ALL[0].dataset else record for record in ALL],
    "none gave draws": [replace(undiagnosed(record), status="failed", reason="") for record in ALL],
}


def recommended(folder: Path, records: Sequence[Record]) -> object:
    answer = Recommendation.of(records, "superpopulation", 1000, [])
    return [*answer.lines(), answer.to_dict(), write_page(folder, answer)]


MADE: dict[str, Callable[[Path, Sequence[Record]], Any]] = {
    "page": lambda folder, records: write_report(folder, records, asked()),
    "page of no known run": lambda folder, records: write_report(folder, records),
    "summary": lambda folder, records: list(summary(records)),
    "history": lambda folder, records: write_history(
        folder, History.of("t", [records, records], ["wall_seconds", "ess_per_second"], "date")
    ),
    "export": lambda folder, records: export(written(folder / "run", records)),
    "recommendation": recommended,
}


@pytest.mark.parametrize("what", MADE)
@pytest.mark.parametrize("name", SETS)
def test_whatever_was_not_diagnosed_there_is_a_page(name: str, what: str, tmp_path: Path) -> None:
    assert MADE[what](tmp_path, SETS[name])


@pytest.mark.parametrize("by", ["backend", "model"])
def test_what_was_not_diagnosed_is_compared_by_its_time(by: str) -> None:
    lines = list(compare_runs(SETS["every other"], None, by).lines())  # type: ignore[arg-type]
    assert lines


def test_the_page_for_the_thread_says_which_fits_were_not_diagnosed() -> None:
    assert "| not diagnosed |" in "\n".join(mixing(cells(SETS["all that gave draws"])))


@pytest.mark.slow
def test_the_page_for_the_thread_is_made_by_the_command_of_its_run() -> None:
    some = [record for record in ALL if record.model != "noncentered"]
    models = "centered,finite_zerosum_noncentered"
    assert f"--grid thread --model {models} --backend stanli,pymc --replicates 2\n" in thread_page(some)


def test_the_page_says_that_nothing_was_diagnosed(tmp_path: Path) -> None:
    page = write_report(tmp_path, SETS["all"], asked()).read_text(encoding="utf-8")
    assert "not diagnosed" in page
    assert "not diagnosed" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert len(pd.read_csv(tmp_path / "results.csv")) == len(ALL)


def test_records_that_lack_anything_at_random_have_a_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for trial in range(8):
        some = [ALL[i] for i in rng.choice(len(ALL), int(rng.choice([1, 2, 5, 20])), replace=False)]
        lacking: list[dict[str, None]] = [dict.fromkeys(np.array(NAMES)[rng.random(len(NAMES)) < 0.3]) for _ in some]
        records = [replace(record, **gone) for record, gone in zip(some, lacking, strict=True)]  # type: ignore[arg-type]
        assert write_report(tmp_path / str(trial), records, asked()).is_file()
        assert list(summary(records))
