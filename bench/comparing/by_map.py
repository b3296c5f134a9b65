"""What the committed map says of a table before any fit, and whether the fits then agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.cells import ranked
from bench.comparing.crossover import ALIKE
from bench.comparing.map_table import COMMITTED, NAME, Place, Reading, look_up, read
from bench.comparing.rows import Row
from bench.words import number


@dataclass(frozen=True)
class ByMap:
    """What the map says of some data.

    Attributes
    ----------
    reading : Reading
        By one engine.
    stale : str
        With which other versions it was made; empty where they are the same.
    """

    reading: Reading
    stale: str

    @property
    def line(self) -> str:
        """The answer before any fit."""
        stale = f"; {self.stale}" if self.stale else ""
        return f"by the map, {self.reading.engine}: {self.reading.sentence}{stale}"

    def checked(self, rows: Sequence[Row]) -> str:
        """Say whether the fits of the two forms agree with it; empty where they don't tell.

        Parameters
        ----------
        rows : sequence of Row
            All cases that were measured.
        """
        of = {row.model: row for row in rows if row.backend == self.reading.engine and row.model in self.reading.pair}
        there = ranked(of.values())
        if len(of) < 2 or not there:
            return ""
        a, b = self.reading.pair
        first = there[0]
        second = b if first.model == a else a
        if len(there) < 2:
            said, winner = f"{second} was not healthy", first.model
        else:
            ratio = (first.rate or 0.0) / (there[1].rate or 1.0)
            said = f"{first.model} gave {number(ratio, 2)} times the rate of {second}"
            winner = first.model if ratio >= 1 + ALIKE else ""
        fits = sum(len(row.records) for row in of.values())
        how = "confirm it" if winner == self.reading.winner else "correct it"
        return f"by {self.reading.engine}, {self.reading.answer}. {fits} fits here {how}: {said}"


def against(maps: Sequence[ByMap], rows: Sequence[Row]) -> str:
    """Say whether the fits agree with what the map said; empty where it said nothing.

    Parameters
    ----------
    maps : sequence of ByMap
        What it said, by each engine.
    rows : sequence of Row
        All cases that were measured.
    """
    told = [said for each in maps if (said := each.checked(rows))]
    untold = (
        f"{maps[0].line}. The fits here don't tell: its two forms were not both fit, or not healthy" if maps else ""
    )
    return "; ".join(told) or untold


def by_map(asked: Place, models: Sequence[str], versions: Mapping[str, Mapping[str, str]]) -> list[ByMap]:
    """Ask the committed map; empty where there is none, or none of these models and engines.

    Parameters
    ----------
    asked : Place
        The data.
    models : sequence of str
        Those that are wanted.
    versions : mapping of str to mapping of str to str
        Of each engine that is wanted, those that are here.

    Raises
    ------
    RunError
        If the map can't be read.
    """
    path = COMMITTED / NAME
    if not path.exists():
        return []
    return [
        ByMap(reading, reading.stale(versions[reading.engine]))
        for reading in look_up(read(path), asked)
        if reading.engine in versions and set(reading.pair) <= set(models)
    ]
