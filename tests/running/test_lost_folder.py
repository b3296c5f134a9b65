"""A run whose folder is deleted or replaced while it is written: no record is lost, and the run says so."""

import shutil
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from bench.records import Journal, Record, read_records, read_run
from tests.running.hostile import FOLDER, measure
from tests.simulated import simulate

RECORDS = list(islice(simulate(), 3))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An open journal with two records."""
    journal = Journal(tmp_path / "runs" / "run", {"command": ["pytest"]})
    for record in RECORDS[:2]:
        journal.append(record)
    return journal


def goes_on(journal: Journal, folder: Path) -> None:
    """Append the third record and check that the folder holds all of them, once, and locked."""
    journal.append(RECORDS[2])
    assert journal.folder == folder
    assert read_records(folder) == RECORDS
    assert read_run(folder)["command"] == ["pytest"]
    journal.append(replace(RECORDS[2], replicate=9))
    journal.close()
    assert [record.replicate for record in read_records(folder)] == [0, 1, 2, 9]


def test_a_folder_that_stays_is_not_reported(journal: Journal) -> None:
    goes_on(journal, journal.folder)
    assert journal.lost == ""


def test_a_deleted_folder_is_written_anew_in_its_place(journal: Journal) -> None:
    shutil.rmtree(journal.folder.parent)
    goes_on(journal, journal.folder)
    assert "was deleted or replaced during the run" in journal.lost
    assert str(journal.folder) in journal.lost


def test_a_deleted_file_is_written_anew_in_its_place(journal: Journal) -> None:
    (journal.folder / "records.jsonl").unlink()
    goes_on(journal, journal.folder)
    assert journal.lost


def test_a_deleted_description_is_written_anew(journal: Journal) -> None:
    (journal.folder / "run.json").unlink()
    goes_on(journal, journal.folder)
    assert "run.json was deleted" in journal.lost


def test_a_folder_that_was_moved_is_written_anew_and_the_moved_one_keeps_what_it_had(journal: Journal) -> None:
    moved = journal.folder.with_name("moved")
    journal.folder.rename(moved)
    goes_on(journal, journal.folder)
    assert read_records(moved) == RECORDS[:2]


def test_somebody_elses_file_in_its_place_is_left_alone_and_all_is_written_beside_it(journal: Journal) -> None:
    place = journal.folder
    (place / "records.jsonl").unlink()
    (place / "records.jsonl").write_bytes(b"somebody else's\n")
    journal.restore()
    beside = journal.folder
    assert beside.parent == place.parent
    assert beside.name.startswith("run-again-")
    goes_on(journal, beside)
    assert (place / "records.jsonl").read_bytes() == b"somebody else's\n"


def test_where_no_folder_can_be_made_the_records_go_to_the_temporary_folder(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    runs = journal.folder.parent
    shutil.rmtree(runs)
    runs.touch()
    journal.restore()
    assert journal.folder.parent == tmp_path
    goes_on(journal, journal.folder)


def test_a_folder_deleted_after_the_last_record_is_noticed_when_the_run_is_closed(journal: Journal) -> None:
    shutil.rmtree(journal.folder)
    journal.close()
    assert journal.lost
    assert read_records(journal.folder) == RECORDS[:2]


def test_records_of_any_text_are_written_anew_as_they_were(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", {"command": []})
    hostile: Record = replace(RECORDS[0], reason="\udcff\x00\u2028", dataset="\ud800")
    journal.append(hostile)
    before = (journal.folder / "records.jsonl").read_bytes()
    shutil.rmtree(journal.folder)
    journal.close()
    assert (journal.folder / "records.jsonl").read_bytes() == before


@pytest.mark.slow
def test_a_run_whose_folder_is_deleted_while_it_fits_keeps_every_record_says_so_and_ends_with_1(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    done = measure(runs, "--backend", "stanli,deletes,last", "--save-draws", **{FOLDER: str(runs)})
    assert done.returncode == 1, done.stdout
    assert "was deleted or replaced during the run" in done.stdout
    assert "3 passed" in done.stdout
    (run,) = runs.iterdir()
    assert [record.backend for record in read_records(run)] == ["stanli", "deletes", "last"]
    assert read_run(run)["run"] == run.name
    assert (run / "index.html").is_file()
    again = measure(runs, "--backend", "stanli,deletes,last", "--save-draws", "--resume", **{FOLDER: str(runs)})
    assert again.returncode == 0, again.stdout  # nothing is left to measure
