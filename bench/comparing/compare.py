"""Comparison with confidence: ratios of two sets of records with intervals, and one verdict for each line."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean, median

from bench.comparing.across import Across
from bench.comparing.adjust import adjusted, simultaneous
from bench.comparing.comparison import Comparison
from bench.comparing.crossing import crossings, sentences
from bench.comparing.difference import Difference
from bench.comparing.effect import COSTS, HEADS, LEVEL, MEASURES, WITHIN, Effect
from bench.comparing.matching import By, CompareError, IncomparableError, Match, differences, match_cells
from bench.comparing.rows import summarise
from bench.comparing.statistics import MIN_POOL, mean_of, mean_over_rounds, moderate, rate_ratio, welch
from bench.records import Record
from bench.words import changed, printable

ALPHA = 0.01
"""Chance of even one false alarm in a whole table."""
CLOCKS = {"wall_seconds": "wall", "ess_per_second": "wall", "cpu_per_gradient": "cpu"}
"""What the time in a measure was taken with."""
MIN_POOL_AT_LOOKS = 4
"""As `MIN_POOL`, where verdicts are looked for again and again; `adjust.SHARES` leaves room for it."""


def compare_runs(
    a: Sequence[Record],
    b: Sequence[Record] | None = None,
    by: By = "version",
    *,
    reference: str | None = None,
    within: float = WITHIN,
    alpha: float = ALPHA,
    anyway: bool = False,
    look: float | None = None,
) -> Comparison:
    """Compare two runs, or the backends or models of one.

    Parameters
    ----------
    a, b : sequence of Record
        Records of each run; by backend or model those of one run are enough.
    by : str
        `version`: every (family, dataset, model, backend) of B with the same one of A. `backend`, `model`: every
        backend (model) with a reference on the same dataset; models with those of the same family and target alone.
        `case`: every model on every backend with one of them.
    reference : str, optional
        Name of the backend, the model or the case (`centered on stanli`) that the others are compared with; by default
        cmdstan, else stanli, else the first backend, and the first model or case of each target.
    within : float
        Margin of `same`, e.g. 0.1 for ratios between 1/1.1 and 1.1.
    alpha : float
        Chance of even one false alarm in the whole table.
    anyway : bool
        Compare although data, programs, settings, protocol, machine, Python or seeds differ.
    look : float, optional
        What part of `alpha` this look at a growing table may use: then verdicts are read from intervals that hold all
        at once (`adjust.simultaneous`). None: this is the only look (`adjust.adjusted`).

    Raises
    ------
    IncomparableError
        If they differ, and not `anyway`.
    CompareError
        If nothing is there to compare.

    Notes
    -----
    Replicates are paired by their index if both sides have the same ones from the same seeds (Student's t on log
    ratios), else taken as two samples (Welch). The variances of a measure are moderated over the table
    (`statistics.moderate`). A geometric mean takes the log ratio of each dataset as a unit (Student's t over
    datasets), so that its interval holds the differences between datasets, and speaks of datasets like these.
    A pooled ratio is over all cases of a backend, with the rounds of replicates as units
    (`statistics.mean_over_rounds`), and speaks of these cases alone.
    Divergences: `statistics.rate_ratio`. Health: Fisher's exact test on unhealthy replicates; all of B unhealthy, and
    none of A, is a regression whatever the test says, with `adjust.SURELY` replicates of each, or where B gave no fit.
    All p values of the table are adjusted together (Holm); `same` is read from each interval alone.

    Two runs follow each other, as models of one run do: what the machine did during all of B, and not during A, is no
    noise to them. Backends of a run take turns.
    """
    runs_a, runs_b = ([*dict.fromkeys(record.run for record in side)] for side in (a, b or a))
    if by != "version" and b is not None and runs_a != runs_b:
        raise CompareError(
            f"--by {by} compares within one run; type: hierbench compare {printable(runs_a[0])} --by {by}"
        )
    matches, missing = match_cells(a, a if b is None else b, by, reference)
    if not matches:
        raise CompareError("A and B have no case in common:\n  " + "\n  ".join(missing or ["there are no records"]))
    different = differences(matches, by, a[0].protocol)
    if different and not anyway:
        runs = [*runs_a, *runs_b] if by == "version" else runs_a
        raise IncomparableError(different, f"hierbench compare {printable(' '.join(runs))} --by {by} --anyway")
    rows = moderated([_row(match, by) for match in matches], MIN_POOL if look is None else MIN_POOL_AT_LOOKS)
    pooled = pooled_over_cases(rows, by)
    if look is None:
        rows, means, pooled = adjusted(rows, _means(rows, by), pooled, within, alpha)
    else:
        rows, pooled = simultaneous(rows, pooled, within, look * alpha)
        means = []
    notes = [
        *_versions(matches, by),
        *_unclocked(matches),
        *_apart(matches, by),
        *_sources(a, by, reference),
        *(f"passed over: {text}" for text in different if anyway),
    ]
    return Comparison(
        a=printable(", ".join(runs_a)),
        b=printable(", ".join(runs_b)),
        by=by,
        rows=tuple(rows),
        means=tuple(means),
        notes=(*notes, *(f"not compared: {text}" for text in missing)),
        within=within,
        alpha=alpha,
        pooled=tuple(pooled),
    )


def log_of_means(measure: str, a: Record, b: Record) -> float:
    """Log of the ratio B/A of what two records have in a measure.

    Parameters
    ----------
    measure, a, b : str, Record, Record
        As in `log_ratio`; the fits may be of different cases.
    """
    return math.log(getattr(b, measure) / getattr(a, measure))


def log_ratio(measure: str, a: Record, b: Record) -> float:
    """Log of the ratio B/A of a pair of fits of two versions, in a measure.

    Where both were made equally often, it was in turn. Then the ratio of their times is the median over the turns: a
    busy moment of the machine is one or two turns of many, where it would be most of what the means differ by.

    Parameters
    ----------
    measure : str
        Key of `MEASURES`; positive in both.
    a, b : Record
        Of the same replicate.

    Examples
    --------
    A turn that took twice as long as the others changes nothing.

    >>> from bench.comparing.aa import simulated_record
    >>> a = simulated_record(wall_seconds=1.0, wall_repeats=[1.0, 1.0, 1.0])
    >>> b = simulated_record(wall_seconds=2.0, wall_repeats=[1.5, 3.0, 1.5])
    >>> round(math.exp(log_ratio("wall_seconds", a, b)), 6)
    1.5
    """
    found = log_of_means(measure, a, b)
    clock = CLOCKS.get(measure)
    if clock is None:
        return found
    x, y = (getattr(record, f"{clock}_repeats") or [] for record in (a, b))
    if not x or len(x) != len(y) or min(x + y) <= 0:
        return found
    means = math.log(getattr(b, f"{clock}_seconds") / getattr(a, f"{clock}_seconds"))
    times = median(math.log(v / u) for u, v in zip(x, y, strict=True))
    return found + (times - means if measure in COSTS else means - times)


def _apart(matches: Sequence[Match], by: By) -> list[str]:
    """Say how many pairs are left out for their two machines."""
    count = sum(len(match.apart) for match in matches if match.paired and not match.across(by))
    return [f"{count} pairs of fits were made on different machines and are left out"] if count else []


def _row(match: Match, by: By) -> Difference:
    """Measure the contrasts of two cells; nothing is decided yet."""
    a, b = match.a, match.b
    pairs = match.paired
    left, right = ({record.replicate: record for record in cell.counted} for cell in (a, b))
    both = left.keys() & right.keys() if pairs else left.keys() | right.keys()  # the partner of a sick fit is left out
    if not match.across(by):
        both -= match.apart
    sides = [[record for number, record in side.items() if number in both] for side in (left, right)]
    same = by == "version" and pairs and bool(both) and all(x.same_trajectories(y) for x, y in zip(*sides, strict=True))
    effects = []
    if a.healthy and b.healthy:
        for measure in MEASURES:
            if same and measure not in COSTS:
                continue  # what can't differ is not tested
            x, y = ([getattr(record, measure) or 0.0 for record in side] for side in sides)
            if min(x, default=0) > 0 and min(y, default=0) > 0:
                if pairs:
                    ratio = log_ratio if by == "version" else log_of_means
                    rounds = {p.replicate: ratio(measure, p, q) for p, q in zip(*sides, strict=True)}
                    effects.append(Effect(measure, mean_of(list(rounds.values())), pairs=rounds))
                else:
                    effects.append(Effect(measure, welch(x, y)))
    sick = [(sum(not record.healthy for record in cell.records), len(cell.records)) for cell in (a, b)]
    health = "; ".join(f"{side}: {cell.verdict}" for side, cell in (("A", a), ("B", b)) if not cell.healthy)
    rate = None
    if a.fits and b.fits:
        size = [fmean(r.settings.get("chains", 1) * r.settings.get("draws", 1) for r in cell.fits) for cell in (a, b)]
        counts = [[record.divergences or 0 for record in cell.fits] for cell in (a, b)]
        rate = rate_ratio(counts[0], counts[1], size[1] / size[0], LEVEL)
    return Difference(
        family=b.family,
        dataset=b.dataset,
        model=b.model,
        backend=b.backend,
        versus=match.versus,
        n=len(sides[1]),
        pairs=pairs,
        effects=tuple(effects),
        divergences=(a.divergences, b.divergences),
        rate=rate,
        unhealthy=(sick[0], sick[1]),
        health=health or "a measure is missing",
        same_draws=same,
    )


def moderated(rows: Sequence[Difference], least: int) -> list[Difference]:
    """Let the contrasts of each measure borrow strength from each other, where there are enough.

    Parameters
    ----------
    rows : sequence of Difference
        Without verdicts.
    least : int
        Contrasts that must be there.
    """
    better: dict[tuple[int, str], Effect] = {}
    for measure in HEADS:
        found = [(i, effect) for i, row in enumerate(rows) for effect in row.effects if effect.measure == measure]
        for (i, effect), contrast in zip(found, moderate([effect.contrast for _, effect in found], least), strict=True):
            better[i, measure] = replace(effect, contrast=contrast)
    return [
        replace(row, effects=tuple(better[i, effect.measure] for effect in row.effects)) for i, row in enumerate(rows)
    ]


def _means(rows: Sequence[Difference], by: By) -> list[Difference]:
    """Geometric means over the datasets of a family: of each case, and of all that B's backend (model) ran."""
    groups: dict[tuple[str, str, str, str], list[Difference]] = {}
    for row in rows:
        groups.setdefault((row.family, row.model, row.backend, row.versus), []).append(row)
    for row in rows:
        overall = (row.model, "all") if by == "model" else ("all", row.backend)
        groups.setdefault((row.family, *overall, row.versus), []).append(row)
    means = []
    for (family, model, backend, versus), group in groups.items():
        if "all" in (model, backend) and len({(row.model, row.backend) for row in group}) == 1:
            continue
        effects, n = [], 0
        for measure in MEASURES:
            logs: dict[str, list[float]] = {}
            for row in group:
                for effect in row.effects:
                    if effect.measure == measure:
                        logs.setdefault(row.dataset, []).append(effect.contrast.mean)
            if len(logs) > 1:
                effects.append(Effect(measure, mean_of([fmean(values) for values in logs.values()])))
                n = max(n, len(logs))
        if effects:
            means.append(Difference(family, "", model, backend, versus, n, effects=tuple(effects)))
    return means


def pooled_over_cases(rows: Sequence[Difference], by: By) -> list[Difference]:
    """Geometric means over all cases that B's backend (model) has and that may be ranked, where they are several.

    Parameters
    ----------
    rows : sequence of Difference
        Without verdicts.
    by : str
        What differs between A and B.
    """
    groups: dict[tuple[str, str, str], list[Difference]] = {}
    for row in rows:
        if row.pairs and row.effects:
            overall = {"model": (row.model, "all"), "case": (row.model, row.backend)}.get(by, ("all", row.backend))
            groups.setdefault((*overall, row.versus), []).append(row)
    found = []
    for (model, backend, versus), group in groups.items():
        measured = [{effect.measure: effect.pairs for effect in row.effects} for row in group]
        effects = [
            Effect(measure, mean_over_rounds([each[measure] for each in measured]))
            for measure in HEADS
            if all(measure in each for each in measured)
        ]
        if effects and len(group) > 1:
            rounds = len({replicate for each in measured for pairs in each.values() for replicate in pairs})
            same = all(row.same_draws for row in group)
            found.append(
                Difference(
                    "", "", model, backend, versus, rounds, over=len(group), effects=tuple(effects), same_draws=same
                )
            )
    return found


def _sources(a: Sequence[Record], by: By, reference: str | None) -> list[str]:
    """Say where the differences between backends come from, over all cases."""
    rows = summarise(a) if by == "backend" else []
    return sentences(crossings(rows, reference), rows, by_source=Across.of(rows) is not None)


def _versions(matches: Sequence[Match], by: By) -> Iterator[str]:
    """Yield what B runs in other versions than A."""
    if by != "version":
        return
    seen = set()
    for match in matches:
        a, b = match.a.records[0].versions, match.b.records[0].versions
        text = f"{match.b.backend}: {', '.join(changed(a, b)) or 'the same versions'}"
        if text not in seen:
            seen.add(text)
            yield text


def _unclocked(matches: Sequence[Match]) -> Iterator[str]:
    """Say in how many cases the cost of a gradient is not compared, for a clock or a count is missing."""
    lacking = [
        match
        for match in matches
        if match.a.healthy
        and match.b.healthy
        and not all(record.cpu_per_gradient for record in (*match.a.counted, *match.b.counted))
    ]
    if lacking:
        yield (
            f"CPU/gradient is not compared in {len(lacking)} of {len(matches)} cases: some of their fits have no CPU "
            "seconds, or no gradients"
        )
