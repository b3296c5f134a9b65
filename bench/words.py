"""Words, and how numbers and texts are written: what sentences, tables and pages share."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOTHING = "\u2013"
"""Where there is no number."""
MOST = 40
"""Names that a command line shows; of more their number is shown, for `run.json` has them."""


def posterior_words(target: str) -> str:
    """Name a target.

    Examples
    --------
    >>> posterior_words("finite_population")
    'finite-population posterior'
    """
    return f"{target.replace('_', '-')} posterior"


def listed(parts: Sequence[str], joined_by: str = "and") -> str:
    """Write a list in words.

    Parameters
    ----------
    parts : sequence of str
        One or more.
    joined_by : str, default "and"
        What stands before the last of several.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    >>> listed(["a", "b"], "or")
    'a or b'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {joined_by} {parts[-1]}"


def ends(values: Sequence[object]) -> str:
    """Write the first of some values and, if it is another one, the last.

    Parameters
    ----------
    values : sequence
        In order; empty for none.

    Examples
    --------
    >>> ends([3, 5, 8]), ends(["2026-11-30"])
    ('3 to 8', '2026-11-30')
    """
    return " to ".join(dict.fromkeys(map(str, (values[0], values[-1])))) if values else ""


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Name the packages whose version changed, with both.

    Parameters
    ----------
    before, after : mapping of str to str
        Versions by package.

    Examples
    --------
    >>> changed({"pymc": "5.28.5", "numpy": "2.5"}, {"pymc": "6.4.0", "numpy": "2.5", "numba": "0.68"})
    ['pymc 5.28.5 to 6.4.0', 'numba - to 0.68']
    """
    names = dict.fromkeys([*before, *after])
    return [
        f"{name} {before.get(name, '-')} to {after.get(name, '-')}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def commands(run: Mapping[str, Any]) -> list[str]:
    """Write the command lines that made a run, each once.

    Parameters
    ----------
    run : mapping of str to object
        Its `run.json`.

    Examples
    --------
    >>> commands({"command": ["pytest", "bench/"], "then": [["pytest", "bench/", "--resume", "latest"]]})
    ['pytest bench/', 'pytest bench/ --resume latest']
    >>> commands({"command": ["pytest", "--case", ",".join(map(str, range(1000)))]})
    ["pytest --case '(1,000 names)'"]
    """
    found = []
    for words in (run.get("command", ()), *run.get("then", ())):
        lists = [str(word).split(",") for word in words]
        short = [",".join(names) if len(names) <= MOST else f"({len(names):,} names)" for names in lists]
        found.append(shlex.join(short))
    return list(dict.fromkeys(found))


def days(times: Iterable[str]) -> str:
    """Say on which days something was done: the first and the last.

    Parameters
    ----------
    times : iterable of str
        In ISO 8601.

    Examples
    --------
    >>> days(["2026-11-30T22:46:47+00:00", "2026-11-29T08:00:00+00:00"])
    '2026-11-29 to 2026-11-30'
    """
    return ends(sorted(time[:10] for time in times))


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with few significant digits, or a dash for none.

    Parameters
    ----------
    value : float, optional
        The number.
    digits : int, default 3
        How many.

    Examples
    --------
    >>> [number(value) for value in (12345.6, 0.012345, 1e-9, None)]
    ['12,300', '0.0123', '1.00e-09', '–']
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if places > digits + 3:
        return f"{value:.{digits - 1}e}"
    return f"{round(value, places):,.{max(0, places)}f}"


def span(interval: tuple[float, float] | None, digits: int = 3) -> str:
    """Write an interval, or a dash for none.

    Parameters
    ----------
    interval : (float, float), optional
        Its ends.
    digits : int, default 3
        As in `number`.
    """
    return NOTHING if interval is None else f"{number(interval[0], digits)} to {number(interval[1], digits)}"


def printable(text: str) -> str:
    r"""Escape control characters, so that text from a reader's table can do nothing to a terminal.

    Examples
    --------
    >>> print(printable("ward \x1b[31m7"))
    ward \x1b[31m7
    """
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
