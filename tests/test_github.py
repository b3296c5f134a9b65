"""Markdown that GitHub shows as it is meant, and takes as a comment."""

import pytest

from bench.github import LIMIT, details, fitted, plain, table
from tests.simulated import HOSTILE


def test_text_is_text() -> None:
    assert "<" not in plain(HOSTILE)
    assert "\n" not in plain("a\n| b")
    assert plain("a|b") == r"a\|b"
    assert "<script" not in "".join(details(HOSTILE, [plain(HOSTILE)]))


def test_a_table_says_how_many_lines_it_leaves_out() -> None:
    lines = [[str(i)] for i in range(5)]
    assert list(table(["x"], lines)) == ["| x |", "|---|", *(f"| {i} |" for i in range(5))]
    assert list(table(["x"], lines, 3))[-3:] == ["| 2 |", "", "2 more are left out here."]
    assert list(table(["x"], lines, 5))[-1] == "| 4 |"


def test_tables_are_read_as_such_within_a_part_to_unfold() -> None:
    *_, summary, blank, head, _, _, last, end = details("All", table(["x"], [["1"]]))
    assert (summary, blank, head) == ("<summary>All</summary>", "", "| x |")
    assert (last, end) == ("", "</details>")


@pytest.mark.parametrize("lines", [10, 10_000])
def test_a_text_fits_into_a_comment_and_says_so_where_lines_are_left_out(lines: int) -> None:
    every = [["word " * 20] for _ in range(lines)]
    text = fitted(lambda most: ["title", *table(["x"], every, most)])
    assert len(text) <= LIMIT
    assert ("left out here" in text) == (lines > 10)
    assert len(text) > min(lines * 100, LIMIT / 3)  # no more than needed
