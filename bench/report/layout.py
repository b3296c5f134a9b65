"""What all pages share: one self-contained file with its style sheets and script, and one kind of table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report.figure import CSS
from bench.report.svg import marker
from bench.words import NOTHING

NUMBER = re.compile(r"-?\d.{0,23}$")
"""A number, perhaps with an interval or a word; what is longer is a sentence."""
SEEN = 200
"""Lines of a table by which it is told whether a column holds words."""


class Head(NamedTuple):
    """The head of a column: its name, what it means, and whether the column is shown before the reader chooses.

    The page filters by the columns `model`, `backend`, `kind`, `parameters` and `size`.
    """

    name: str
    meaning: str = ""
    shown: bool = True


class Line(NamedTuple):
    """A line of a table.

    Attributes
    ----------
    texts : sequence of str
        Its cells.
    class_ : str
        `best` or `sick`, or empty.
    """

    texts: Sequence[str]
    class_: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page; it is closed until the reader opens it.

    Attributes
    ----------
    id, title, note : str
        Its name in the page, its heading, and how to read it.
    heads : sequence of Head
        Those of its columns.
    lines : sequence of Line
        What is in it.
    """

    id: str
    title: str
    heads: Sequence[Head]
    lines: Sequence[Line]
    note: str = ""

    @classmethod
    def of(cls, id_: str, title: str, heads: Sequence[str], texts: Sequence[Sequence[str]], note: str = "") -> "Table":
        """Make a table of words alone.

        Parameters
        ----------
        id_, title, note : str
            As the attributes.
        heads : sequence of str
            Names of the columns.
        texts : sequence of sequences of str
            Cells, line by line.
        """
        return cls(id_, title, [Head(name) for name in heads], [Line(each) for each in texts], note)

    @cached_property
    def words(self) -> list[bool]:
        """Whether each column holds words, which stand at its left, and not numbers."""
        columns = [[line.texts[i] for line in self.lines[:SEEN]] for i in range(len(self.heads))]
        told = [[text for text in texts if text not in ("", NOTHING)] for texts in columns]
        return [2 * sum(NUMBER.match(text) is None for text in texts) > len(texts) for texts in told]


def render(template: str, **values: object) -> str:
    """Fill in a template of this folder.

    Parameters
    ----------
    template : str
        Name of the file.
    **values : object
        What it shows; `title` among them.
    """
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["marker"] = marker
    return environment.get_template(template).render(
        css=(here / "page.css").read_text(encoding="utf-8") + CSS.read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        **values,
    )
