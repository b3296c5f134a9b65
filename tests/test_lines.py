"""A file of JSON lines: what was written is there again, whatever a power cut or another process does."""

import json
from pathlib import Path

import pytest

from bench.lines import Lines
from bench.records import RunError


def test_lines_are_found_again_and_more_can_follow(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lines.jsonl"
    with Lines(path) as lines:
        assert lines.found == []
        lines.append({"a": 1})
        assert path.read_text() == '{"a": 1}\n'  # before the file is closed
    with Lines(path) as lines:
        lines.append({"b": "Ω"})
    with Lines(path) as lines:
        assert lines.found == [{"a": 1}, {"b": "Ω"}]


@pytest.mark.parametrize("tail", ['{"b": ', "\0\0\0", "[1, 2]\n", "null\n", '"text"', "\n\n"])
def test_what_is_no_whole_object_is_passed_over_and_spoils_nothing_that_follows(tail: str, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\n' + tail)
    with Lines(path) as lines:
        assert lines.found == [{"a": 1}]
        lines.append({"c": 3})
    with Lines(path) as lines:
        assert lines.found == [{"a": 1}, {"c": 3}]
    assert json.loads(path.read_text().splitlines()[-1]) == {"c": 3}


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    with Lines(path), pytest.raises(RunError, match=r"another process writes .*; wait for it, or name another place"):
        Lines(path)
    with Lines(path):
        pass


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"can't be written \(.*\); name another place with --output"):
        Lines(tmp_path / "file" / "lines.jsonl")
