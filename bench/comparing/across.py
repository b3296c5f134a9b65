"""Over many models: which backend is fastest for which kind, by how much, how surely, and what the means hide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from bench.cells import baseline
from bench.comparing.fastest import ALPHA, Fastest, fastest
from bench.comparing.matching import ABSENT
from bench.comparing.ratios import FIT, MEASURES, Key, compared, key, name, over_sources, source, times
from bench.comparing.rows import Row
from bench.comparing.statistics import Contrast, moderate
from bench.words import NOTHING, ends, listed, number, span

MANY = 4
"""Posteriors with a model each from which on a report is one over many models; a mean over fewer says little."""
MAX_UNSURE = 3
"""Kinds for which nothing can be told that the sentence names; the table has all."""
ALL = "all models"
LAST = ("other", "kind not said")


class LeftOut(NamedTuple):
    """What is in no ratio, and why."""

    why: str
    data: str
    model: str
    engines: str
    reason: str


@dataclass(frozen=True)
class Across:
    """Ratios between the backends of many models.

    A ratio is one of geometric means over replicates, with an interval from them (Student's t on the log scale, or
    Welch's; the variances of a table are moderated). A mean over models counts each source of data once
    (`ratios.over_sources`), and its interval is Student's t over sources: it speaks of models and data like these.

    Attributes
    ----------
    rows : tuple of Row
        Every case.
    """

    rows: tuple[Row, ...]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Across | None":
        """Return what is to be said over many models; None of a few, and of families that say more themselves.

        Parameters
        ----------
        rows : sequence of Row
            Every case. Posteriors with a model each are counted; those with several models ask which of them to use.
        """
        models: dict[tuple[str, str], set[str]] = {}
        for row in rows:
            models.setdefault(row.league, set()).add(row.model)
        return cls(tuple(rows)) if sum(len(each) == 1 for each in models.values()) >= MANY else None

    @cached_property
    def engines(self) -> list[str]:
        """Backends, the baseline first."""
        names = dict.fromkeys(row.engine for row in self.rows)
        base = baseline(self.rows)
        first = next((row.engine for row in self.rows if row.backend == base), next(iter(names), ""))
        return list(dict.fromkeys([first, *names]))

    @cached_property
    def backend_of(self) -> dict[str, str]:
        """The backend of each engine, which has a letter for its run where there are several."""
        return {row.engine: row.backend for row in self.rows}

    @cached_property
    def kind_of(self) -> dict[Key, str]:
        """The kind of each model on its data."""
        return {key(row): row.kind for row in self.rows}

    @cached_property
    def kinds(self) -> list[str]:
        """`ALL`, and the kinds if there are several, that with the most models first."""
        models: dict[str, set[tuple[str, str]]] = {}
        for (family, _, model), kind in self.kind_of.items():
            models.setdefault(kind, set()).add((family, model))
        order = sorted(models, key=lambda kind: (kind in LAST, -len(models[kind])))
        return [ALL, *(order if len(order) > 1 else [])]

    @property
    def whole(self) -> str:
        """What all models are together, such as "all hierarchical models" where none is of another kind."""
        kinds = set(self.kind_of.values())
        return f"all {kinds.pop()} models" if len(kinds) == 1 and kinds.isdisjoint(LAST) else ALL

    @cached_property
    def _ratios(self) -> dict[tuple[str, str, str], dict[Key, Contrast]]:
        """Log ratios for each measure and each two backends, by case."""
        healthy: dict[str, dict[Key, Row]] = {engine: {} for engine in self.engines}
        for row in self.rows:
            if row.healthy:
                healthy[row.engine][key(row)] = row
        found: dict[tuple[str, str, str], dict[Key, Contrast]] = {}
        for measure in MEASURES:
            apart = [
                (engine, other, case, log)
                for i, other in enumerate(self.engines)
                for engine in self.engines[i + 1 :]
                for case, row in healthy[engine].items()
                if case in healthy[other] and (log := compared(healthy[other][case], row, measure))
            ]
            for (engine, other, case, _), log in zip(apart, moderate([each[3] for each in apart]), strict=True):
                found.setdefault((measure, engine, other), {})[case] = log
                found.setdefault((measure, other, engine), {})[case] = log.turned
        return found

    def ratios(self, measure: str, engine: str, other: str, kind: str = ALL) -> dict[Key, Contrast]:
        """Return log ratios of rates, a backend over another, of the models of a kind.

        Parameters
        ----------
        measure : str
            One of `MEASURES`.
        engine, other : str
            The backends.
        kind : str
            One of `kinds`.
        """
        every = self._ratios.get((measure, engine, other), {})
        return {case: contrast for case, contrast in every.items() if kind in (ALL, self.kind_of[case])}

    def mean(self, measure: str, engine: str, other: str, kind: str = ALL) -> Contrast | None:
        """Return the mean log ratio over the models of a kind, None without any.

        Parameters
        ----------
        measure, engine, other, kind : str
            As in `ratios`.
        """
        every = self.ratios(measure, engine, other, kind)
        return over_sources({case: contrast.mean for case, contrast in every.items()}) if every else None

    def fastest(self, measure: str) -> dict[str, Fastest]:
        """Return the fastest backend of each kind of which two backends have healthy fits.

        Parameters
        ----------
        measure : str
            One of `MEASURES`.
        """
        return fastest(
            self.engines,
            {
                kind: {
                    (a, b): contrast
                    for a in self.engines
                    for b in self.engines
                    if a != b and (contrast := self.mean(measure, a, b, kind)) is not None
                }
                for kind in self.kinds
            },
        )

    @cached_property
    def answer(self) -> list[str]:
        """Two sentences: which backend is the fastest for which kind of models, without the build and with it."""
        said = (self._which(measure) for measure in MEASURES)
        starts = ("Most effective draws per second", "With the first build counted")
        return [f"{start}: {which}." for start, which in zip(starts, said, strict=True)]

    def _which(self, measure: str) -> str:
        found = self.fastest(measure)
        if ALL not in found:
            return "can't tell, for no two backends have healthy fits of the same model"
        overall = found[ALL]
        kinds = [each for kind, each in found.items() if kind != ALL and any(c.known for c in each.others.values())]
        if overall.sure:
            said = f"{overall.engine} over {self.whole} ({overall.lead})"
        elif overall.who:
            said = f"{overall.who} over {self.whole} (can't tell which)"
        else:
            ahead, behind = self.beyond(measure, overall.engine, next(iter(overall.others)))
            beyond = f"; by 95 % intervals ahead on {ahead} posteriors, behind on {behind}" if ahead or behind else ""
            said = f"can't tell over {self.whole} ({overall.engine} leads with {overall.lead}{beyond})"
        if overall.who and kinds and all(each.who == overall.who for each in kinds):
            return f"{said}, and for every kind of them"
        parts = []
        for who in dict.fromkeys(each.who for each in kinds if each.who):
            won = [f"{each.of} ({each.lead})" if each.sure else each.of for each in kinds if each.who == who]
            parts.append(f"{who} for {listed(won)}")
        unsure = [each.of for each in kinds if not each.who]
        if unsure and not parts and not overall.who:
            return f"{said}, nor for {listed(unsure) if len(unsure) <= MAX_UNSURE else 'any kind of them'}"
        if len(unsure) > MAX_UNSURE:
            unsure = [f"{len(unsure)} of {len(kinds)} kinds"]
        return "; ".join([said, *parts, *([f"can't tell for {listed(unsure)}"] if unsure else [])])

    @cached_property
    def sure(self) -> str:
        """How sure that is, and what it rests on."""
        replicates = sorted({len(row.records) for row in self.rows})
        made = ends(replicates)
        sentence = (
            f"How sure: over models and data like these, such a sentence names a wrong backend in at most "
            f"{100 * ALPHA:g} % of cases. {len(self.models):,} models of {len(self.sources):,} sources of data, "
            f"{made} replicate{'' if replicates == [1] else 's'} of each"
        )
        if cases := {each[1:3] for each in self.left_out}:
            whys = listed([f"{count} {why}" for why, count in _counted(self.left_out)])
            sentence += f"; {len(cases):,} of {len(self.kind_of):,} posteriors are left out on some backend ({whys})"
        return sentence + "."

    @property
    def how(self) -> str:
        """How to read the table."""
        base = self.engines[0]
        return (
            f"Ratios are those of effective draws per second to {base}: geometric means over sources of data, since "
            "models of one source are often near copies of each other. Data are of one source if their names begin "
            "with the same word, as radon_all and radon_mn; each source counts once, and each of its models as much "
            "as the others. The 95 % intervals are Student's over sources and speak of models and data like these. A "
            "backend is called the fastest of a kind if it is ahead of each other one by a t test over the sources "
            f"that both fit, at {100 * ALPHA:g} % over all kinds and backends (Holm), so that an interval alone may "
            "leave out 1 and nothing be told; of one source nothing is said. The first fit is a fit and its build "
            "together."
        )

    @cached_property
    def models(self) -> list[tuple[str, str]]:
        """Family and name of each model."""
        return list(dict.fromkeys((family, model) for family, _, model in self.kind_of))

    @cached_property
    def sources(self) -> list[tuple[str, str]]:
        """Where the data are from."""
        return list(dict.fromkeys(map(source, self.kind_of)))

    @cached_property
    def hidden(self) -> list[str]:
        """What the mean over all models hides: how far apart models are, and on how many each backend is faster."""
        base, *others = self.engines
        sentences = []
        for engine in others:
            every, mean = self.ratios(FIT, engine, base), self.mean(FIT, engine, base)
            if mean is None:
                continue
            low, high = (pick(every, key=lambda case: every[case].mean) for pick in (min, max))
            faster, of = self.faster(FIT, engine)
            ahead, behind = self.beyond(FIT, engine, base)
            sentences.append(
                f"{engine}: {times(mean)} the rate of {base} as the mean over all sources of data, but from "
                f"{number(every[low].ratio)} times ({name(low)}) to {number(every[high].ratio)} times ({name(high)}). "
                f"It is ahead on {faster} of {of}; the interval of a posterior leaves out 1 on {ahead} where it is "
                f"ahead and on {behind} where it is behind."
            )
        if cached := sum(bool(row.build_cache) for row in self.rows):
            sentences.append(
                f"{cached:,} of {len(self.rows):,} first builds were served by a cache, so that the first fit of those "
                "is slower elsewhere than it was here."
            )
        return sentences

    def beyond(self, measure: str, engine: str, other: str) -> tuple[int, int]:
        """Return on how many posteriors a backend is ahead of another, and behind, by an interval that leaves out 1.

        Parameters
        ----------
        measure, engine, other : str
            As in `ratios`.
        """
        every = self.ratios(measure, engine, other).values()
        ahead, behind = (sum(sign * log.mean > log.half_width() for log in every) for sign in (1, -1))
        return ahead, behind

    def faster(self, measure: str, engine: str, kind: str = ALL) -> tuple[int, int]:
        """Return on how many posteriors of a kind a backend is ahead of the baseline, and of how many.

        Parameters
        ----------
        measure, engine, kind : str
            As in `ratios`.
        """
        every = self.ratios(measure, engine, self.engines[0], kind)
        return sum(contrast.mean > 0 for contrast in every.values()), len(every)

    @cached_property
    def left_out(self) -> list[LeftOut]:
        """Cases that are in no ratio for what became of their fits, those that are not the same posterior first."""
        grouped: dict[tuple[str, Key, str], list[str]] = {}
        for row in self.rows:
            if is_left_out(row):
                broken = next((record for record in row.records if record.status != "ok"), None)
                why = "unhealthy" if broken is None else WHY.get(broken.status, broken.status)
                reason = row.verdict if broken is None else broken.reason
                grouped.setdefault((why, key(row), reason), []).append(row.engine)
        order = [*WHY.values(), "unhealthy"]
        return sorted(
            (LeftOut(why, case[1], case[2], ", ".join(on), reason) for (why, case, reason), on in grouped.items()),
            key=lambda each: order.index(each.why) if each.why in order else len(order),
        )

    def table(self) -> Iterator[list[str]]:
        """Yield the lines of the table by kind, as text; see `HEADS`."""
        fastest = [self.fastest(measure) for measure in MEASURES]
        for kind in self.kinds:
            for engine in self.engines[1:]:
                line = [kind, engine]
                for measure, found in zip(MEASURES, fastest, strict=True):
                    mean = self.mean(measure, engine, self.engines[0], kind)
                    every = [c.ratio for c in self.ratios(measure, engine, self.engines[0], kind).values()]
                    faster, of = self.faster(measure, engine, kind)
                    best = found.get(kind)
                    line += [
                        NOTHING if mean is None else times(mean, ""),
                        span((min(every), max(every)) if every else None),
                        f"{faster} of {of}",
                        NOTHING if best is None else best.who or f"can't tell ({best.engine} leads)",
                    ]
                yield line

    def lines(self) -> Iterator[str]:
        """Yield the lines for a terminal: how each backend compares by kind, and how sure the answer is."""
        yield f"ratio of min ESS/s to {self.engines[0]}, geometric mean over sources of data (95 % interval)"
        yield f"  {'kind':<24}{'backend':<13}{'a fit':<25}{'ahead on':<12}with the first build"
        for line in self.table():
            kind, engine, alone, _, ahead, _, first, *_ = line
            yield f"  {kind:<24}{engine:<13}{alone:<25}{ahead:<12}{first}"
        yield ""
        yield self.sure


HEADS = (
    "kind", "backend",
    "ratio (95 % interval)", "smallest to largest", "ahead on", "fastest",
    "ratio, first fit", "smallest to largest", "ahead on", "fastest, first fit",
)  # fmt: skip
"""Heads of `Across.table`; the ratios are to the baseline."""
WHY = {"mismatch": "not the same posterior", "failed": "failed", "timeout": "out of time", "crashed": "crashed"}
"""Statuses in words."""


def is_left_out(row: Row) -> bool:
    """Whether a case is not ranked although its backend was there and can run such models."""
    return not row.healthy and not any(record.status in ABSENT for record in row.records)


def _counted(left_out: Sequence[LeftOut]) -> list[tuple[str, int]]:
    """Count posteriors by why they are left out."""
    whys = dict.fromkeys(each.why for each in left_out)
    return [(why, len({each[1:3] for each in left_out if each.why == why})) for why in whys]
