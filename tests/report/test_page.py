"""The page of a run, and the files beside it."""

import gzip
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.report.page import MAX_BYTES, write_report
from bench.report.terminal import sentence
from tests.simulated import asked, simulate

FIGURES = ("groups", "omega", "error", "divergences", "rates", "times", "ess", "intervals")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    assert write_report(folder, list(simulate(hostile=True)), asked(hostile=True)) == folder / "index.html"
    return folder


def test_the_folder_is_whole_and_small(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert len(text.encode()) < MAX_BYTES
    loaded = r"""(?:src=|<link[^>]* href=|url\()["']?(?:https?:)?//"""
    assert not re.search(loaded, text)  # links may lead elsewhere
    assert "<script>document" not in text
    for name in ("report.md", "results.csv", "results.parquet", "columns.md"):
        assert (folder / name).stat().st_size > 0
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert not any("<script" in line for line in markdown.splitlines() if not line.startswith("    "))  # code is text
    for name in FIGURES:
        assert f"(pictures/{name}.svg)" in markdown
        picture = (folder / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
        assert picture.startswith("<svg")
        assert "<script" not in picture
        assert len(picture) < 150_000


def test_how_to_run_it_again(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "pytest bench/ --benchmark-only --replicates 3" in text
    assert "d" * 64 in text


def test_each_command_is_shown_once_and_a_long_list_is_counted(tmp_path: Path) -> None:
    again = ["pytest", "bench/", "--resume", "--case", ",".join(f"data-model{i}-stanli" for i in range(1500))]
    run = {**asked(), "then": [again, again]}
    text = write_report(tmp_path, list(simulate(groups=(5,), replicates=1)), run).read_text(encoding="utf-8")
    assert text.count("--resume --case") == 1
    assert "(1,500 names)" in text
    assert "data-model7-" not in text


def test_an_empty_run_has_a_report(tmp_path: Path) -> None:
    assert "Nothing was measured" in write_report(tmp_path, [], asked()).read_text(encoding="utf-8")


def test_several_runs_share_a_page(tmp_path: Path) -> None:
    names = ("20260101-000000-aaaa", "20260102-000000-bbbb")
    records = [record for name in names for record in simulate(name, groups=(5,), replicates=1)]
    text = write_report(tmp_path, records, *map(asked, names)).read_text(encoding="utf-8")
    assert "2 runs" in text
    assert "stanli B" in text


@pytest.mark.slow
def test_a_large_run_has_a_small_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.report.contents.MAX_ROWS", 2000)
    records = [
        record for i in range(50) for record in simulate(omegas=(0.1 + i / 10,), groups=(5 + i, 500 + i), replicates=1)
    ]
    page = write_report(tmp_path, records, asked())
    assert page.stat().st_size < MAX_BYTES
    assert "more datasets are not shown here" in page.read_text(encoding="utf-8")


def test_the_report_reads_records_alone() -> None:
    pages = ("page", "history_page", "recommendation_page", "map_page", "terminal", "export")
    code = f"import sys, {', '.join('bench.report.' + name for name in pages)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pymc", "nutpie", "stanli", "cmdstanpy", "stan", "arviz"} & set(loaded)
    others = ("bench.families", "bench.backends", "bench.correctness", "bench.running", "bench.deciding")
    assert not [name for name in loaded if name.startswith(others)]


def test_several_families_share_a_page(tmp_path: Path) -> None:
    records = list(simulate(replicates=2))
    schools = [
        replace(
            record,
            family="eight_schools",
            dataset="schools",
            target="schools",
            sizes={"schools": 8},
            generated_with={},
            gate={"with": "", "places": 0, "error": None, "constant": None, "note": "there is no PyMC program"},
        )
        for record in records
        if record.dataset.startswith("omega10-G5-")
    ]
    run = asked() | {"cases": len([*records, *schools]) // 2 + 1, "asked": {"replicates": 2}}
    text = write_report(tmp_path, [*records, *schools], run).read_text(encoding="utf-8")
    assert ">2 fits" in text
    assert "eight schools: schools" in text
    assert "normal means: omega10-G5-n20-s41" in text
    assert "Eight schools: most effective draws per second: " in text
    assert "8 schools; fits are held against the exact posterior" in text
    assert 'id="figure-normal-means-groups"' in text
    assert "Equality across languages was not tested for centered (schools), noncentered (schools)" in text
    assert "there is no PyMC program" in text
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    begins = ("**Normal means: most", "**Eight schools: most")
    assert [sum(line.startswith(begin) for line in markdown.splitlines()) for begin in begins] == [1, 1]
    assert markdown.count("Eight schools: most effective draws per second: ") == 1
    lines = sentence([*records, *schools])
    assert {"Normal means", "Eight schools"} <= {line.partition(":")[0] for line in lines}


def test_a_run_without_sizes_headline_or_truth_has_a_report(tmp_path: Path) -> None:
    bare = [
        replace(record, sizes={}, generated_with={}, headline=[], grade=None, gate=None)
        for record in simulate(omegas=(1.0,), groups=(5,), replicates=1)
    ]
    text = write_report(tmp_path, bare, asked()).read_text(encoding="utf-8")
    assert "data of unknown size; no truth is known, so engines are held against each other" in text
    assert 'id="figure-intervals"' in text
    assert 'id="figure-error"' not in text


def test_a_run_that_was_packed_to_be_kept_has_its_table_packed_and_linked(tmp_path: Path) -> None:
    records = list(simulate(replicates=1))
    write_report(tmp_path / "open", records, asked())
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "records.jsonl.gz").touch()
    page = write_report(tmp_path / "kept", records, asked()).read_text(encoding="utf-8")
    table = (tmp_path / "open" / "results.csv").read_bytes()
    assert gzip.decompress((tmp_path / "kept" / "results.csv.gz").read_bytes()) == table
    assert not (tmp_path / "kept" / "results.csv").exists()
    assert '<a href="results.csv.gz">' in page
    assert '<a href="results.csv">' not in page
    assert "[results.csv.gz](results.csv.gz)" in (tmp_path / "kept" / "report.md").read_text(encoding="utf-8")
