"""The verdict in three sentences, and what it does not cover."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from bench.cells import ratio, ratios
from bench.records import Record
from bench.report.statistics import Contrast, mean_of
from bench.report.tables import Row, number

MAX_LEAGUES = 4
"""Posteriors that the first sentence names."""


def verdict(rows: Sequence[Row]) -> list[str]:
    """Return three sentences: what gave most, how the backends compare, and how far the fits can be trusted."""
    if not any(row.healthy for row in rows):
        return ["No fit was healthy, so nothing is ranked.", trust(rows)]
    return [_best(rows), _backends(rows), trust(rows)]


def contrast_of(pairs: Sequence[tuple[Row, Row]]) -> Contrast:
    """Log ratio of rates, first over second: over datasets, or over the replicates if there is one dataset."""
    logs: dict[tuple[str, str], list[float]] = {}
    for a, b in pairs:
        logs.setdefault((a.family, a.dataset), []).append(math.log(ratio(a, b) or 1))
    if len(logs) > 1:
        return mean_of([fmean(values) for values in logs.values()])
    shared: dict[int, list[float]] = {}
    for a, b in pairs:
        for replicate, found in ratios(a, b).items():
            shared.setdefault(replicate, []).append(math.log(found))
    return mean_of([fmean(values) for values in shared.values()] or [0.0])


def _times(contrast: Contrast) -> str:
    said = f"{number(math.exp(contrast.mean))} times"
    if contrast.df <= 0:
        return f"{said} (no interval)"
    low, high = (math.exp(contrast.mean + sign * contrast.half_width()) for sign in (-1, 1))
    return f"{said} (95 % interval {number(low)} to {number(high)})"


def league_words(league: tuple[str, str], families: int) -> str:
    """Name a target, with its family if there are several.

    Parameters
    ----------
    league : (str, str)
        Family and target.
    families : int
        How many families there are beside each other.

    Examples
    --------
    >>> league_words(("normal_means", "finite_population"), families=1)
    'finite-population posterior'
    >>> league_words(("normal_means", "finite_population"), families=2)
    'normal means, finite-population posterior'
    """
    family, target = league[0].replace("_", " "), league[1].replace("_", "-")
    return f"{family}, {target} posterior" if families > 1 else f"{target} posterior"


def _best(rows: Sequence[Row]) -> str:
    families = len({row.family for row in rows})
    parts, sizes = [], []
    leagues = list(dict.fromkeys(row.league for row in rows))
    for league in leagues[:MAX_LEAGUES]:
        here = [row for row in rows if row.league == league]
        datasets = list(dict.fromkeys(row.dataset for row in here))
        sizes.append(len(datasets))
        parts.append(f"for the {league_words(league, families)} {_first(here, datasets)}")
    if len(set(sizes)) > 1:
        over = "by geometric mean over the datasets of each"
    else:
        over = "on the one dataset" if sizes[0] == 1 else f"by geometric mean over the {sizes[0]} datasets"
    if len(leagues) > MAX_LEAGUES:
        parts.append(f"for {len(leagues) - MAX_LEAGUES:,} other posteriors see the tables")
    return f"Most effective draws per second, {over}: {'; '.join(parts)}."


def _first(rows: Sequence[Row], datasets: Sequence[str]) -> str:
    """Name what was first on all datasets, or, if nothing was healthy on all, what was first on how many."""
    ways: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row.healthy and row.rate:
            ways.setdefault(row.name, {})[row.dataset] = row
    whole = sorted(
        (name for name, way in ways.items() if len(way) == len(datasets)),
        key=lambda name: -_mean_rate(list(ways[name].values())),
    )
    if whole:
        first = ways[whole[0]]
        said = f"{whole[0]} gave {number(_mean_rate(list(first.values())))}/s"
        if len(whole) > 1:
            contrast = contrast_of([(first[dataset], ways[whole[1]][dataset]) for dataset in datasets])
            said += f", {_times(contrast)} the next, {whole[1]}"
        return said
    if not ways:
        return "no fit was healthy"
    winners: dict[str, list[Row]] = {}
    for dataset in datasets:
        here = [way[dataset] for way in ways.values() if dataset in way]
        if here:
            best = max(here, key=lambda row: row.rate or 0)
            winners.setdefault(best.name, []).append(best)
    order = sorted(winners.items(), key=lambda item: -len(item[1]))
    firsts = [f"{name} on {len(won)} ({number(_mean_rate(won))}/s)" for name, won in order[:3]]
    rest = len(order) - 3
    more = f" and {rest} other{'s' if rest > 1 else ''} on fewer" if rest > 0 else ""
    return f"nothing was healthy on all of them; first were {listed(firsts)}{more}"


def _backends(rows: Sequence[Row]) -> str:
    by: dict[str, dict[tuple[str, str, str], Row]] = {}
    for row in rows:
        if row.healthy and row.rate:
            by.setdefault(row.engine, {})[row.family, row.dataset, row.model] = row
    if not by:
        return "No healthy fit has a rate, so no backend can be called faster."
    if len(by) < 2:
        rates = [row.rate for row in rows if row.healthy and row.rate]
        return (
            f"{next(iter(by))} alone has healthy fits, so no backend can be called faster; between its models and "
            f"datasets the rate goes from {number(min(rates))}/s to {number(max(rates))}/s."
        )
    found = {
        (a, b): (contrast_of(pairs), len(pairs))
        for a in by
        for b in by
        if a != b and (pairs := [(by[a][key], by[b][key]) for key in by[a] if key in by[b]])
    }
    if not found:
        return "No two backends have a healthy fit of the same model and data, so none can be called faster."
    first = max(
        by,
        key=lambda a: (
            sum(c.mean > 0 for (x, _), (c, _) in found.items() if x == a),
            _mean_rate(list(by[a].values())),
        ),
    )
    others = sorted((b for b in by if (first, b) in found), key=lambda b: found[first, b][0].mean)
    compared = [f"{_times(found[first, b][0])} that of {b} ({found[first, b][1]} pairs)" for b in others]
    return f"With model and data the same, the rate of {first} was {listed(compared)}."


def trust(rows: Sequence[Row]) -> str:
    """Say how many fits gave draws, how many were healthy, and how far the healthy ones are from what is true."""
    records = [record for row in rows for record in row.records]
    fits = [record for record in records if record.status == "ok"]
    healthy = sum(record.healthy for record in fits)
    sentence = f"Of {len(records):,} fits {len(fits):,} gave draws and {healthy:,} were healthy"
    flags: dict[str, int] = {}
    for record in fits:
        for kind in {flag.split(":")[0] for flag in record.health}:
            flags[kind] = flags.get(kind, 0) + 1
    if flags:
        most = sorted(flags.items(), key=lambda item: -item[1])[:3]
        sentence += f" (most often flagged: {', '.join(f'{kind} {count:,}' for kind, count in most)})"
    graded = [(row, row.worst_grade) for row in rows if row.healthy and row.worst_grade.get("bound")]
    if graded:
        row, grade = max(graded, key=lambda item: item[1]["largest"] / item[1]["bound"])
        sentence += (
            f"; among the healthy the one farthest from its {row.truth or 'truth'} is {row.name} on {row.dataset}, "
            f"{grade['largest']:.1f} Monte Carlo errors where {grade['bound']:.1f} may come by chance"
        )
    return sentence + "."


def uncompared(records: Sequence[Record]) -> str:
    """Say in one sentence which models were not compared with a program in another language; empty if all were."""
    notes: dict[str, dict[str, None]] = {}
    for record in records:
        if note := (record.gate or {}).get("note"):
            notes.setdefault(str(note), {})[f"{record.model} ({record.dataset})"] = None
    if not notes:
        return ""
    parts = [f"{_some(list(where))} ({note})" for note, where in notes.items()]
    return f"Equality across languages was not tested for {_some(parts)}."


def limits(rows: Sequence[Row], asked: Sequence[Mapping[str, Any]], builds: bool = False) -> Iterator[str]:
    """Yield what the verdict does not cover.

    Parameters
    ----------
    rows : sequence of Row
        What it was given for.
    asked : sequence of mapping
        `run.json` of each run.
    builds : bool
        Whether it covers builds.
    """
    firsts = [row.first for row in rows]
    if not firsts:
        return
    if said := uncompared([record for row in rows for record in row.records]):
        yield said
    facts = [_range([r.sizes[name] for r in firsts if name in r.sizes], name) for name in _varying(firsts, "sizes")]
    made = _varying(firsts, "generated_with")
    facts += [f"{name} {_range([r.generated_with[name] for r in firsts if name in r.generated_with])}" for name in made]
    datasets = len({(r.family, r.dataset) for r in firsts})
    yield (
        f"Other data: seen {'were' if datasets > 1 else 'was'} {datasets} dataset{'s' if datasets > 1 else ''}"
        + (f" with {listed(facts)}" if facts else "")
        + ". Intervals over datasets say how these differ, not what yours will do."
    )
    machines = sorted(
        {f"{r.environment.get('cpu', 'unknown')}, {r.environment.get('cores', '?')} cores" for r in firsts}
    )
    yield f"Other machines: measured on {'; '.join(machines)}."
    protocols = sorted({r.protocol for r in firsts})
    if protocols == ["stock"]:
        yield "Equal settings: each backend ran with its own defaults (protocol stock)."
    elif protocols == ["matched"]:
        yield "Each backend at its best: all had the same settings and starts (protocol matched)."
    replicates = [len(row.records) for row in rows]
    if min(replicates) < 2:
        yield "Noise: cases with one replicate have no interval; ask for some with --replicates 5."
    else:
        yield f"Luck: the first was picked after {_range(replicates)} replicates of each, which flatters its lead."
    if not builds:
        yield "Builds: they are not part of the rate; see the column of build seconds."
    unranked = sum(not row.healthy for row in rows)
    if unranked:
        yield f"Cases that failed or were unhealthy in a replicate: {unranked:,} of {len(rows):,} are not ranked."
    missing = sorted({name for run in asked for name in run.get("missing", {})})
    if missing:
        yield f"Backends that could not run here: {', '.join(missing)}."
    runs = len({r.run for r in firsts})
    if runs > 1 and len(machines) == len(protocols) == 1:
        yield f"Differences between the {runs} runs: for those, hierbench compare."
    elif runs > 1:
        yield f"The {runs} runs differ in machine or protocol, so that numbers of one do not compare with another's."


def _mean_rate(rows: Sequence[Row]) -> float:
    return math.exp(fmean(math.log(row.rate or 1) for row in rows))


def _range(values: Sequence[float], of: str = "") -> str:
    low, high = min(values), max(values)
    return (f"{low:,g}" if low == high else f"{low:,g} to {high:,g}") + (f" {of}" if of else "")


def _varying(records: Sequence[Record], part: str, most: int = 4) -> list[str]:
    """Names in `sizes` or `generated_with` whose range is told; of generating values only those that differ."""
    found: dict[str, set[float]] = {}
    for record in records:
        for name, value in getattr(record, part).items():
            found.setdefault(name, set()).add(value)
    return [name for name, values in found.items() if part == "sizes" or len(values) > 1][:most]


def _some(parts: Sequence[str], most: int = 3) -> str:
    return listed([*parts[:most], *([f"{len(parts) - most:,} more"] if len(parts) > most else [])])


def listed(parts: Sequence[str]) -> str:
    """Write a list in words.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
