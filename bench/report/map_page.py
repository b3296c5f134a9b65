"""The page of a map: centered or not, by which engine, how sure that is, and what it says of a reader's own data."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.agreement import judged
from bench.comparing.crossover import ALIKE, LEVEL, Field, by_engine, crossings, fields, pair_of
from bench.comparing.map_table import NAME, Entry, entries, written
from bench.files import write
from bench.records import Record
from bench.report import layout
from bench.report.figure import Finding
from bench.report.layout import Table
from bench.report.map_figure import pictures, verdict
from bench.words import NOTHING, commands, days, ends, listed, number, span

SCRIPT = Path(__file__).with_name("map.js")


def write_map(folder: Path, records: Sequence[Record], asked: Mapping[str, Any]) -> Path:
    """Write `index.html`, and `map.csv` and `map.parquet` with its table, and return the page.

    Parameters
    ----------
    folder : Path
        Where to; it is made if it is missing.
    records : sequence of Record
        Of a map.
    asked : mapping
        `run.json`, as `bench.records.read_run` reads it.
    """
    found = fields(judged(records))
    lines = entries(found)
    write(folder / NAME, written(lines))
    write(folder / f"{Path(NAME).stem}.parquet", pd.DataFrame(lines).to_parquet(index=False))
    page = folder / "index.html"
    beside = [NAME, *(name for name in ("records.jsonl", "records.jsonl.gz") if (folder / name).exists())]
    write(page, render(found, lines, records, asked, beside))
    return page


def render(
    found: Sequence[Field],
    lines: Sequence[Entry],
    records: Sequence[Record],
    asked: Mapping[str, Any],
    beside: Sequence[str],
) -> str:
    """Return the page.

    Parameters
    ----------
    found : sequence of Field
        The map.
    lines : sequence of Entry
        Its table.
    records : sequence of Record
        What it was made of.
    asked : mapping
        `run.json`.
    beside : sequence of str
        Files that the page links to.
    """
    two, every = pictures(found)
    pair = pair_of([side.model for side in found[0].sides])
    first = Finding("Centered or not?", centered_or_not(found), two, sure(found, of_pair=True)) if two else None
    heading = "Centered or not?" if first else "Which form wins where?"
    return layout.render(
        "map.html",
        title=f"{heading} {days(record.time for record in records)}",
        heading=heading,
        first=first,
        every=Finding("And of all forms?", of_all(found), every, sure(found, of_pair=False)),
        table=table(found),
        data={"lines": [_short(line) for line in lines], "pair": pair} if pair else None,
        lookup=SCRIPT.read_text(encoding="utf-8"),
        how=how(records, asked),
        beside=beside,
    )


def _short(line: Entry) -> list[Any]:
    """Return what the page's look-up needs of a line."""
    rate = float(f"{line.rate:.3g}") if line.ranked else 0
    where = (line.engine, line.imbalance, line.sigma, line.groups, float(f"{line.information:.4g}"))
    return [*where, line.model, line.fits, rate]


def turns(own: Sequence[Field]) -> list[float]:
    """Return the information at which the winner turns from noncentered to centered, one for each turn.

    Parameters
    ----------
    own : sequence of Field
        Of one engine.
    """
    columns: dict[tuple[float, ...], list[Field]] = {}
    for each in own:
        columns.setdefault((*each.spot.layer, each.spot.groups), []).append(each)
    return sorted(at for column in columns.values() for at in crossings(column))


def centered_or_not(found: Sequence[Field]) -> str:
    """Say in one sentence which of the two forms wins where.

    Parameters
    ----------
    found : sequence of Field
        Of a map.
    """
    said = []
    for engine, own in by_engine(found):
        at = turns(own)
        where = "the winner changes nowhere on this map"
        if at:
            middle = number(at[len(at) // 2], 2)
            between = (
                f" ({ends([number(at[0], 2), number(at[-1], 2)])}, by number of groups)"
                if len(at) > 1 and at[0] < at[-1]
                else ""
            )
            where = f"write centered where n omega²/sigma² is above about {middle}{between}, noncentered below"
        costs = [each.pair.contrast.ratio for each in own if each.pair.contrast and each.pair.state == "sure"]
        alone = sum(each.pair.state == "only" for each in own)
        sick = f"is unhealthy at {alone} of {len(own)} points" if alone else ""
        cost = f"costs up to {number(max(costs), 2)} times the CPU time" if costs else ""
        wrong = f"; the other one {' and '.join(filter(None, (cost, sick)))}" if costs or alone else ""
        said.append(f"With {engine}, {where}{wrong}")
    return f"{'. '.join(said)}. Theory's line is 1."


def sure(found: Sequence[Field], *, of_pair: bool) -> str:
    """Say how sure that is, and on how many fits.

    Parameters
    ----------
    found : sequence of Field
        Of a map.
    of_pair : bool
        Whether of the two forms, or of all.
    """
    states = [(each.pair if of_pair else each.every).state for each in found]
    fits = sum(each.fits for each in found)
    words = {
        "sure": f"the faster form is told at {{}} (a {100 * LEVEL:g} % interval after each fit)",
        "only": "only one was healthy at {}",
        "alike": f"the best two are as good within {100 * ALIKE:g} % at {{}}",
        "none": "none was healthy at {}",
        "open": "it is open at {}",
    }
    parts = [said.format(f"{states.count(state):,}") for state, said in words.items() if state in states]
    return f"How sure: {fits:,} fits. Of {len(found):,} points, each by one engine, {listed(parts)}."


def of_all(found: Sequence[Field]) -> str:
    """Say in one sentence which of all forms wins.

    Parameters
    ----------
    found : sequence of Field
        Of a map.
    """
    said = []
    for engine, own in by_engine(found):
        wins: dict[str, int] = {}
        for each in own:
            if each.every.first:
                wins[each.every.first] = wins.get(each.every.first, 0) + 1
        order = sorted(wins.items(), key=lambda item: -item[1])
        there = listed([f"{model} at {count:,}" for model, count in order]) if order else "none anywhere"
        none = sum(each.every.state == "none" for each in own)
        said.append(
            f"by {engine}, of {len(own):,} points, {there}" + (f"; none is healthy at {none:,}" if none else "")
        )
    return f"{'. '.join(one[:1].upper() + one[1:] for one in said)}."


def table(found: Sequence[Field]) -> Table:
    """Return the table of all points.

    Parameters
    ----------
    found : sequence of Field
        Of a map.
    """
    models = [side.model for side in found[0].sides]
    heads = ("backend", "sizes", "sigma", "groups", "information", "fits", "centered or not", "of all forms")
    texts = []
    for each in found:
        spot = each.spot
        sizes = "one" if spot.imbalance == 1 else f"1 to {spot.imbalance:g}"
        where = (spot.backend, sizes, number(spot.sigma), f"{spot.groups:,}", number(spot.information))
        texts.append((*where, f"{each.fits:,}", verdict(each.pair), verdict(each.every), *_rates(each)))
    note = (
        "A rate is effective draws, by the smallest bulk ESS, for a CPU second of the whole fit: the geometric mean "
        "over healthy fits with its 95 % interval, and how many of the fits were healthy."
    )
    return Table.of("points", "Every point", [*heads, *models], texts, note)


def _rates(each: Field) -> Iterator[str]:
    for side in each.sides:
        healthy = f"{len(side.logs)} of {len(side.records)} healthy"
        rate = f"{number(side.contrast.ratio)} ({span(side.contrast.interval)})" if side.logs else NOTHING
        yield f"{rate}, {healthy}" if side.records else NOTHING


def how(records: Sequence[Record], asked: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how the map was made.

    Parameters
    ----------
    records : sequence of Record
        What it was made of.
    asked : mapping
        `run.json`.
    """
    versions = {f"{name} {version}" for record in records for name, version in record.versions.items()}
    first = records[0]
    settings = ", ".join(f"{name} {value}" for name, value in first.settings.items())
    cpus = dict.fromkeys(str(record.environment.get("cpu")) for record in records)
    times = sorted(record.time[:10] for record in records)
    made = [record.generated_with for record in records]
    sigmas = listed(sorted({number(each["sigma"]) for each in made}))
    kinds = sorted({(each["imbalance"], each["size"]) for each in made})
    sizes = listed([f"{size:g}" if most == 1 else f"1 to {most:g} (median {size:g})" for most, size in kinds])
    return [
        ("commands", "; ".join(commands(asked))),
        ("data", f"every replicate has data of its own: sigma {sigmas}, groups of {sizes}"),
        ("settings", settings),
        ("versions", ", ".join(sorted(versions))),
        ("machine", f"{', '.join(cpus)}; {ends(times)}"),
    ]
