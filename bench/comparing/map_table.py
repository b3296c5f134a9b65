"""The map as a small table, and what it says of data that it was not measured on."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bench.cells import rankable
from bench.comparing.crossover import ALIKE, Field, Spot, pair_of
from bench.records import RunError
from bench.words import listed, number

NAME = "map.csv"
HERE = Path(__file__).parents[1]
COMMITTED = next(
    (path for path in (HERE / "map", HERE.parent / "reports" / "reference" / "map") if path.is_dir()), HERE
)
"""The folder of the committed map: in the package where it was installed from a wheel, else in the checkout."""


class Entry(NamedTuple):
    """A line of the table: a model at a point, by an engine.

    `size` is that of the median group, `imbalance` the largest group over the smallest, `sigma` the spread within
    groups, in the unit of the priors, `day` that of the last of the fits. `rate` is the geometric mean
    of effective draws for a CPU second over healthy fits, `low` and `high` its 95 % interval; 0 where it is not known.
    """

    engine: str
    imbalance: float
    sigma: float
    groups: int
    information: float
    size: float
    model: str
    fits: int
    healthy: int
    rate: float
    low: float
    high: float
    versions: str
    day: str

    @property
    def spot(self) -> Spot:
        """Where it is."""
        return Spot(self.engine, self.imbalance, self.sigma, self.groups, self.information)

    @property
    def ranked(self) -> bool:
        """Whether it may win."""
        return self.rate > 0 and rankable(self.fits - self.healthy, self.fits)


def entries(found: Sequence[Field]) -> list[Entry]:
    """Return the lines of the table of a map.

    Parameters
    ----------
    found : sequence of Field
        What was measured.
    """
    lines = []
    for field in found:
        for side in field.sides:
            if not side.records:
                continue
            rate, interval = 0.0, None
            if side.logs:
                rate, interval = side.contrast.ratio, side.contrast.interval
            low, high = interval or (0.0, 0.0)
            first = side.records[0]
            spot = field.spot
            versions = "; ".join(f"{name} {version}" for name, version in first.versions.items() if name != "numpy")
            size = first.generated_with["size"]
            day = max(record.time for record in side.records)[:10]
            where = (spot.backend, spot.imbalance, spot.sigma, spot.groups, spot.information, size, side.model)
            lines.append(Entry(*where, len(side.records), len(side.logs), rate, low, high, versions, day))
    return lines


def written(lines: Sequence[Entry]) -> str:
    """Write the table as CSV, numbers with four digits.

    Parameters
    ----------
    lines : sequence of Entry
        Of the table.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Entry._fields)
    writer.writerows([f"{value:.4g}" if isinstance(value, float) else value for value in line] for line in lines)
    return text.getvalue()


def read(path: Path) -> list[Entry]:
    """Read a table.

    Parameters
    ----------
    path : Path
        Of the file.

    Raises
    ------
    RunError
        If it can't be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            kinds = list(Entry.__annotations__.values())
            heads, *lines = csv.reader(file)
            if tuple(heads) != Entry._fields:
                raise ValueError(f"its columns are {', '.join(heads)}")
            return [Entry(*(kind(value) for kind, value in zip(kinds, line, strict=True))) for line in lines]
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is no map ({error}); make one: hierbench map") from error


class Place(NamedTuple):
    """Data that the map is asked about.

    `information` is that of the median group, `imbalance` the largest group over the smallest, `sigma` the spread
    within groups, in the unit of the priors.
    """

    information: float
    groups: float
    imbalance: float = 1.0
    sigma: float = 0.75


@dataclass(frozen=True)
class Reading:
    """What an engine's part of the map says of some data.

    Rates are interpolated on the log scale between the two nearest values of the information, at the nearest number of
    groups, at the nearest imbalance and the nearest sigma. `map.js` does the same.

    Attributes
    ----------
    asked : Place
        The data.
    engine, versions, day : str
        Whose part of the map, its versions, and the day of its last fit.
    at : tuple of Spot
        The points that it is read from, one or two.
    rates : mapping of str to float
        Rate of each model that may win there.
    pair : (str, str)
        The centered and the noncentered form.
    fits : int
        Made at these points.
    outside : str
        In what the data lie beyond the map; empty where they don't.
    """

    asked: Place
    engine: str
    versions: str
    day: str
    at: tuple[Spot, ...]
    rates: Mapping[str, float]
    pair: tuple[str, str]
    fits: int
    outside: str

    @cached_property
    def winner(self) -> str:
        """The better one of the pair; empty where neither was healthy, or they are as good."""
        there = [name for name in self.pair if name in self.rates]
        if len(there) < 2:
            return there[0] if there else ""
        return "" if self.ratio < 1 + ALIKE else max(there, key=lambda name: self.rates[name])

    @property
    def ratio(self) -> float:
        """Rate of the better one of the pair over that of the other; infinite where that was not healthy."""
        rates = sorted(self.rates.get(name, 0.0) for name in self.pair)
        return rates[1] / rates[0] if rates[0] else math.inf

    @property
    def best(self) -> str:
        """The best of all forms; empty where none was healthy."""
        return max(self.rates, key=lambda name: self.rates[name], default="")

    @property
    def answer(self) -> str:
        """Who wins, and by how much."""
        a, b = self.pair
        other = b if self.winner == a else a
        of_pair = max(self.rates.get(name, 0.0) for name in self.pair)
        if self.winner:
            by = "" if math.isinf(self.ratio) else f", about {number(self.ratio, 2)} times the rate of {other}"
            said = f"{self.winner} wins{by}" + (f"; {other} was not healthy" if math.isinf(self.ratio) else "")
        else:
            said = f"{a} and {b} are as good" if of_pair else f"neither {a} nor {b} was healthy"
        if self.best and self.best not in self.pair:
            times = self.rates[self.best] / of_pair if of_pair else math.inf
            by = f", about {number(times, 2)} times as fast" if of_pair else ""
            said += f"; of all forms {self.best} is first{by}" if times >= 1 + ALIKE else f"; {self.best} is as good"
        return said

    @property
    def sentence(self) -> str:
        """The answer, and what it is made of."""
        near = listed(list(dict.fromkeys(f"{spot.information:.3g}" for spot in self.at)))
        where = f"measured on {self.fits:,} fits at n omega²/sigma² = {near} and {self.at[0].groups:,} groups"
        beyond = f"; {self.outside}" if self.outside else ""
        return f"{self.answer}; {where} ({self.versions.replace(';', ',')}; {self.day}){beyond}"

    def stale(self, versions: Mapping[str, str]) -> str:
        """Say with which other versions the map was made; empty where they are the same.

        Parameters
        ----------
        versions : mapping of str to str
            Of the packages that are here.
        """
        made = [each for each in self.versions.split("; ") if each]
        here = [f"{name} {version}" for name, version in versions.items()]
        differ = [each for each in made if each not in here]
        return f"made with another version: {listed(differ)}" if differ else ""


def look_up(lines: Sequence[Entry], asked: Place) -> list[Reading]:
    """Read the map, once for each engine.

    Parameters
    ----------
    lines : sequence of Entry
        The table.
    asked : Place
        The data.
    """
    found = []
    for engine in dict.fromkeys(line.engine for line in lines):
        own = [line for line in lines if line.engine == engine]
        pair = pair_of(list(dict.fromkeys(line.model for line in own)))
        if pair is None:
            continue
        column, outside = _column(own, asked)
        low = max((each for each in column if each <= asked.information), default=min(column))
        high = min((each for each in column if each >= asked.information), default=max(column))
        there = (column[low], column[high])
        share = math.log(asked.information / low) / math.log(high / low) if low < high else 0.0
        at = tuple(dict.fromkeys(side[0].spot for side in there))
        fits = sum(line.fits for each in dict.fromkeys((low, high)) for line in column[each])
        rates = _between(*there, min(1.0, max(0.0, share)))
        day = max(line.day for line in own)
        found.append(Reading(asked, engine, own[0].versions, day, at, rates, pair, fits, outside))
    return found


def _column(own: Sequence[Entry], asked: Place) -> tuple[dict[float, list[Entry]], str]:
    """Return the nearest column of an engine's map, by information, and in what the data lie beyond the map."""

    def nearest(values: set[float], wanted: float) -> float:
        return min(sorted(values), key=lambda value: abs(math.log(value / wanted)))

    imbalance = nearest({line.imbalance for line in own}, asked.imbalance)
    own = [line for line in own if line.imbalance == imbalance]
    sigma = nearest({line.sigma for line in own}, asked.sigma)
    own = [line for line in own if line.sigma == sigma]
    groups = {float(line.groups) for line in own}
    at = nearest(groups, asked.groups)
    column: dict[float, list[Entry]] = {}
    for line in own:
        if line.groups == at:
            column.setdefault(line.information, []).append(line)
    beyond = [
        f"{what} of {number(value)}"
        for what, value, known in (
            ("a number of groups", asked.groups, groups),
            ("an information", asked.information, set(column)),
        )
        if not min(known) * 0.999 <= value <= max(known) * 1.001
    ]
    return column, f"the map ends before {listed(beyond)}: this is its nearest edge" if beyond else ""


def _between(a: Sequence[Entry], b: Sequence[Entry], share: float) -> dict[str, float]:
    """Interpolate the rates; a model that is ranked on one side alone counts as on the nearer one."""
    sides = [{line.model: line.rate for line in lines if line.ranked} for lines in (a, b)]
    nearer = sides[share > 0.5]
    return {
        name: sides[0][name] ** (1 - share) * sides[1][name] ** share if all(name in side for side in sides) else rate
        for name, rate in nearer.items()
    }
