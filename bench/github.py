"""Markdown as GitHub shows it: text that is text, tables, parts to unfold, no more than a comment may hold."""

import html
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from bench.words import printable

LIMIT = 65_536
"""Characters that GitHub takes in a comment."""
MOST = 1_000
"""Lines of each table, where they fit."""
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {c: f"\\{c}" for c in "\\`*_[]|#!"})


def plain(text: str) -> str:
    r"""Escape what Markdown or HTML would read as anything but text.

    Examples
    --------
    >>> print(plain("a|b <i>*"))
    a\|b &lt;i&gt;\*
    """
    flat = printable(" ".join(text.split()))
    return flat.translate(ESCAPES)


def table(heads: Iterable[str], lines: Iterable[Iterable[str]], most: int | None = None) -> Iterator[str]:
    """Yield the lines of a table.

    Parameters
    ----------
    heads : iterable of str
        Heads of its columns.
    lines : iterable of iterable of str
        Its cells, line by line.
    most : int, optional
        Lines to show; how many more there are is said. By default all.
    """
    heads = list(heads)
    rest = iter(lines)
    yield "| " + " | ".join(map(plain, heads)) + " |"
    yield "|" + "---|" * len(heads)
    for line in islice(rest, most):
        yield "| " + " | ".join(map(plain, line)) + " |"
    if left := sum(1 for _ in rest):
        yield from ("", f"{left:,} more are left out here.")


def details(summary: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a part that is shown when it is asked for.

    Parameters
    ----------
    summary : str
        What is always shown of it.
    lines : iterable of str
        Its Markdown.
    """
    yield from ("", "<details>", f"<summary>{html.escape(printable(summary))}</summary>", "")
    yield from lines
    yield from ("", "</details>")


def fitted(write: Callable[[int], Iterable[str]], limit: int = LIMIT) -> str:
    """Return a text that is no longer than a comment may be, by leaving out lines of its tables.

    Parameters
    ----------
    write : callable
        Returns the lines of the text with up to so many lines in each table.
    limit : int, default `LIMIT`
        Characters of the text.
    """
    most = MOST
    while len(text := "\n".join(write(most)) + "\n") > limit and most:
        most //= 2
    return text
