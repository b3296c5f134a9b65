"""The verdict in a few sentences, and what it does not cover."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.comparing.answer import Answer
from bench.comparing.rows import Row
from bench.records import Record
from bench.words import listed


def verdict(rows: Sequence[Row]) -> list[str]:
    """Return which backend for which size and which model, for each family, and how far the fits can be trusted."""
    if not any(row.healthy for row in rows):
        return ["No fit was healthy, so nothing is ranked.", trust(rows)]
    said = [" ".join(sentences) for each in Answer.each(rows) for sentences in (each.backends, each.models)]
    return [*filter(None, said), trust(rows)]


def which_backend(rows: Sequence[Row]) -> list[str]:
    """Return which backend for which size, a paragraph for each family; with one backend, which model."""
    if not any(row.healthy for row in rows):
        return verdict(rows)[:1]
    return [" ".join(each.backends or each.models) for each in Answer.each(rows)]


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
            f"; the healthy one farthest from its {row.truth or 'truth'} is {row.name} on {row.dataset}, off by "
            f"{grade['largest']:.1f} Monte Carlo errors, where up to {grade['bound']:.1f} may be chance"
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


def limits(rows: Sequence[Row], asked: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the verdict does not cover.

    Parameters
    ----------
    rows : sequence of Row
        What it was given for.
    asked : sequence of mapping
        `run.json` of each run.
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
        yield "Backends with the same settings: each had its own defaults (protocol stock)."
    elif protocols == ["matched"]:
        yield "Backends tuned each for itself: all had the same settings and starts (protocol matched)."
    replicates = [len(row.records) for row in rows]
    if min(replicates) < 2:
        yield "Noise: cases with one replicate have no interval; ask for some with --replicates 5."
    else:
        yield f"Luck: the first was picked after {_range(replicates)} replicates of each, which flatters its lead."
    unranked = sum(not row.healthy for row in rows)
    if unranked:
        yield f"Cases of which too many fits failed or were unhealthy: {unranked:,} of {len(rows):,} are not ranked."
    missing = sorted({name for run in asked for name in run.get("missing", {})})
    if missing:
        yield f"Backends that could not run here: {', '.join(missing)}."
    runs = len({r.run for r in firsts})
    if runs > 1 and len(machines) == len(protocols) == 1:
        yield f"Differences between the {runs} runs: for those, hierbench compare."
    elif runs > 1:
        yield f"The {runs} runs differ in machine or protocol, so that numbers of one do not compare with another's."


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
