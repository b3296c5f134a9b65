"""What a run of one family says first: which backend for which size of the data, and which model."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from bench.cells import baseline, best_of
from bench.comparing.factors import Factor, factors
from bench.comparing.fastest import ALPHA, Fastest, fastest
from bench.comparing.matching import Match
from bench.comparing.ratios import FIT, MEASURES, Key, key, rate
from bench.comparing.rows import Row
from bench.comparing.statistics import Contrast, mean_of, mean_over_rounds, moderate
from bench.words import ends, listed, number, posterior_words

MOST = 3
"""Sizes, or values, in a row that a sentence names; of more it names the first and the last."""


class Level(NamedTuple):
    """Cases that are compared together: of one size or value of the data, of one dataset, or all."""

    name: str
    at: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Answer:
    """Which backend, and which model, for the data of one family.

    A ratio of a level is the geometric mean over the cases that both backends have healthy fits of, with the rounds of
    replicates as units (`statistics.mean_over_rounds`): it speaks of these cases alone. With one replicate of each the
    cases are the units.

    Attributes
    ----------
    family : str
        Its name where there are several; else empty.
    rows : tuple of Row
        Every case of it.
    """

    family: str
    rows: tuple[Row, ...]

    @classmethod
    def each(cls, rows: Sequence[Row]) -> list["Answer"]:
        """Return one for each family of some rows."""
        families = list(dict.fromkeys(row.family for row in rows))
        return [
            cls(name.replace("_", " ") if len(families) > 1 else "", tuple(row for row in rows if row.family == name))
            for name in families
        ]

    @cached_property
    def engines(self) -> dict[str, str]:
        """Backend of each engine that gave a fit, the baseline first."""
        found = {row.engine: row.backend for row in self.rows if row.fits}
        base = baseline(self.rows)
        return dict(sorted(found.items(), key=lambda item: item[1] != base))

    @cached_property
    def size(self) -> Factor | None:
        """The size in which the data of a posterior differ, if they do."""
        datasets: dict[tuple[str, str], set[str]] = {}
        for row in self.rows:
            datasets.setdefault(row.league, set()).add(row.dataset)
        several = any(len(each) > 1 for each in datasets.values())
        return next((factor for factor in factors(self.rows) if factor.size), None) if several else None

    @cached_property
    def value(self) -> Factor | None:
        """The number in which the data differ and by which models are told apart: a generating value, else a size."""
        found = factors(self.rows)
        return next((factor for factor in found if not factor.size), self.size)

    @cached_property
    def levels(self) -> list[Level]:
        """Cases by size, or by dataset where these are of different posteriors."""
        if self.size is not None:
            return _levels(self.rows, self.size)
        datasets = list(dict.fromkeys(row.dataset for row in self.rows))
        return [Level(name, name, [row for row in self.rows if row.dataset == name]) for name in datasets]

    @cached_property
    def build_seconds(self) -> dict[tuple[str, str, str], float]:
        """Seconds of the build of each model, on each engine, at each level.

        It is the longest there that no cache served; where one served all, as that of a program which another size has
        used, it is the longest at any.
        """
        of: dict[tuple[str, str], list[tuple[str, Row]]] = {}
        for level in self.levels:
            for row in level.rows:
                if row.build_seconds is not None:
                    of.setdefault((row.model, row.engine), []).append((level.name, row))
        found: dict[tuple[str, str, str], float] = {}
        for (model, engine), builds in of.items():
            made = [each for each in builds if not each[1].build_cache] or builds
            longest: dict[str, float] = {}
            for at, row in made:
                longest[at] = max(longest.get(at, 0.0), row.build_seconds or 0.0)
            for at, _ in builds:
                found[at, model, engine] = longest.get(at, max(longest.values()))
        return found

    def cases(self, measure: str, level: Level, a: str, b: str) -> dict[Key, dict[int, float]]:
        """Return the log ratios of rates a/b by replicate, of each case that both have healthy fits of.

        Replicates that two machines made are left out.

        Parameters
        ----------
        measure : str
            One of `ratios.MEASURES`.
        level : Level
            One of `levels`.
        a, b : str
            The engines.
        """
        sides = [{key(row): row for row in level.rows if row.healthy and row.engine == name} for name in (a, b)]
        found = {}
        for case in sides[0]:
            if case in sides[1]:
                x, y = (self._rates(side[case], measure, level) for side in sides)
                apart = Match(sides[0][case], sides[1][case], "").apart
                if both := sorted((x.keys() & y.keys()) - apart):
                    found[case] = {replicate: math.log(x[replicate] / y[replicate]) for replicate in both}
        return found

    def _rates(self, row: Row, measure: str, level: Level) -> dict[int, float]:
        build = self.build_seconds.get((level.name, row.model, row.engine))
        return {r.replicate: value for r in row.counted if (value := rate(r, measure, build)) > 0}

    @cached_property
    def means(self) -> dict[str, dict[str, dict[tuple[str, str], Contrast]]]:
        """Mean log ratio of each two engines, by measure and level."""
        found: dict[str, dict[str, dict[tuple[str, str], Contrast]]] = {}
        for measure in MEASURES:
            apart = [
                (level.name, a, b, _mean(list(cases.values())))
                for level in self.levels
                for a in self.engines
                for b in self.engines
                if a < b and (cases := self.cases(measure, level, a, b))
            ]
            found[measure] = {level.name: {} for level in self.levels}
            for (name, a, b, _), mean in zip(apart, moderate([each[3] for each in apart]), strict=True):
                found[measure][name] |= {(a, b): mean, (b, a): mean.turned}
        return found

    def fastest(self, measure: str) -> dict[str, Fastest]:
        """Return the fastest backend of each level that has two to compare.

        Parameters
        ----------
        measure : str
            One of `ratios.MEASURES`.
        """
        return fastest(list(self.engines), self.means[measure])

    @cached_property
    def backends(self) -> list[str]:
        """Which backend is the fastest for which size: over all models, with the fastest ones, and with the build."""
        start = f"{self.family[:1].upper()}{self.family[1:]}: most" if self.family else "Most"
        if len(self.engines) == 1:
            return [f"{start} effective draws per second: can't tell, for {next(iter(self.engines))} alone gave fits."]
        if not any(self.means[FIT].values()):
            return [
                f"{start} effective draws per second: can't tell, for no two backends have healthy fits of the same "
                "model."
            ]
        fit, first = (self._which(measure) for measure in MEASURES)
        alone = self._alone
        return [
            f"{start} effective draws per second: {fit}.",
            *([] if alone in ("", fit) else [f"With {listed(self.fastest_models)} alone, the fastest: {alone}."]),
            f"With the build of a first fit counted: {first}.",
        ]

    @cached_property
    def fastest_models(self) -> list[str]:
        """The model of each posterior that is the fastest on the most datasets."""
        return list(dict.fromkeys(_most(best)[0].model for best in self._best.values()))

    @cached_property
    def _best(self) -> dict[tuple[str, str], list[Row]]:
        """The fastest healthy case of each dataset, for each posterior that has one."""
        return {league: list(best.values()) for league, rows in self._leagues.items() if (best := best_cases(rows))}

    @cached_property
    def _leagues(self) -> dict[tuple[str, str], list[Row]]:
        """The cases of each posterior."""
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.league, []).append(row)
        return found

    @property
    def _alone(self) -> str:
        """Which backend is the fastest with the fastest models alone; empty where nothing is compared with these."""
        found = Answer(self.family, tuple(row for row in self.rows if row.model in self.fastest_models))
        return found._which(FIT) if any(found.means[FIT].values()) else ""

    def _which(self, measure: str) -> str:
        found = self.fastest(measure)
        parts = []
        same = groupby(self.levels, lambda level: _verdict(found.get(level.name)))
        for (who, leader), group in same:
            levels = list(group)
            there = self._at(levels)
            each = [found[level.name] for level in levels if level.name in found]
            if not each:
                parts.append(f"can't tell{there}, where no two backends have healthy fits of the same model")
            elif who == leader:
                parts.append(f"{who}{there} ({_lead(each)})")
            elif who:
                parts.append(f"{who}{there} (can't tell which)")
            else:
                parts.append(f"can't tell{there} ({leader} leads with {_lead(each)})")
        return ", ".join(parts)

    def _at(self, levels: Sequence[Level]) -> str:
        if len(self.levels) == 1:
            return ""
        names = _some([level.at for level in levels])
        if self.size is None:
            return f" on {names}"
        return f" at {names if len(levels) < len(self.levels) else 'any number of'} {self.size.name}"

    @property
    def sure(self) -> str:
        """How sure that is; empty where nothing is compared."""
        if not any(self.means[FIT].values()):
            return ""
        every = sorted({len(row.records) for row in self.rows})
        replicates = ends(every)
        healthy = sum(row.healthy for row in self.rows)
        rest = f"{healthy:,} of {len(self.rows):,} cases are healthy and ranked. Of each build one counts"
        if every[-1] == 1:
            return (
                "How sure: one fit of each case, so that only the spread over cases tells; for intervals of each: "
                f"--replicates 5. {rest}."
            )
        return (
            f"How sure: each of these sentences names a wrong backend in at most {100 * ALPHA:g} % of such runs, for "
            f"these data on this machine. {replicates} replicates; {rest}."
        )

    @cached_property
    def shares(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Healthy fits, and all, of each model, over all backends, by level of `value`."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for level in _levels(self.rows, self.value):
            for row in level.rows:
                healthy, fits = found.setdefault(level.name, {}).get(row.model, (0, 0))
                found[level.name][row.model] = healthy + len(row.healthy_fits), fits + len(row.records)
        return found

    @property
    def models(self) -> list[str]:
        """Which models are healthy for which data, and which are the fastest; empty for one model."""
        if len({row.model for row in self.rows}) < 2:
            return []
        usable = {
            level: [model for model, (healthy, fits) in of_level.items() if 2 * healthy > fits]
            for level, of_level in self.shares.items()
        }
        if not any(usable.values()):
            return ["No model was healthy in most of its fits."]
        everywhere = [model for model in next(iter(usable.values())) if all(model in each for each in usable.values())]
        parts = [f"{listed(everywhere)} {'for all data' if len(usable) > 1 else ''}".rstrip()] if everywhere else []
        rest = {level: [model for model in each if model not in everywhere] for level, each in usable.items()}
        for models, group in groupby(rest, lambda level: rest[level]):
            if models:
                parts.append(f"at {self._values(list(group))} {'also ' if everywhere else ''}{listed(models)}")
        return [f"Healthy in most fits: {'; '.join(parts)}.", *([self._firsts] if self._firsts else [])]

    def _values(self, levels: Sequence[str]) -> str:
        assert self.value is not None
        values = [level.at for level in _levels(self.rows, self.value) if level.name in levels]
        return f"{_some(values)} {self.value.name}" if self.value.size else f"{self.value.name} {_some(values)}"

    @property
    def _firsts(self) -> str:
        """Say which model is first on how many datasets, for each posterior."""
        said = []
        for league, best in self._best.items():
            here = self._leagues[league]
            if len({row.model for row in here}) > 1:
                first, datasets = _most(best), {row.dataset for row in here}
                on = f" on {len(first)} of {len(datasets)} datasets" if len(datasets) > 1 else ""
                of = f" for the {posterior_words(league[1])}" if len(self._leagues) > 1 else ""
                engines = Counter(row.engine for row in first).most_common()
                by = listed([engine if len(engines) == 1 else f"{engine} {count}" for engine, count in engines])
                said.append(f"{first[0].model}{on}{of} (by {by})")
        return f"Fastest: {'; '.join(said)}." if said else ""


def best_cases(rows: Sequence[Row]) -> dict[str, Row]:
    """Return the healthy case with the largest rate, by dataset.

    Parameters
    ----------
    rows : sequence of Row
        Cases of one posterior.
    """
    of: dict[str, list[Row]] = {}
    for row in rows:
        of.setdefault(row.dataset, []).append(row)
    return {dataset: best for dataset, here in of.items() if (best := best_of(here)) is not None}


def _most(best: Sequence[Row]) -> list[Row]:
    """Return the cases of the model that the most of some have."""
    models = [row.model for row in best]
    first = max(dict.fromkeys(models), key=models.count)
    return [row for row in best if row.model == first]


def _levels(rows: Sequence[Row], factor: Factor | None) -> list[Level]:
    """Group cases by a number in which their data differ; those without it are left out."""
    if factor is None:
        return [Level("", "", rows)]
    grouped: dict[float, list[Row]] = {}
    for row in rows:
        if (value := factor.of(row)) is not None:
            grouped.setdefault(value, []).append(row)
    return [Level(factor.level(here[0]), f"{at:,g}", here) for at, here in sorted(grouped.items())]


def _mean(cases: Sequence[Mapping[int, float]]) -> Contrast:
    """Mean over cases, with the rounds of replicates as units, or, where there is one round, the cases."""
    return (
        mean_over_rounds(cases)
        if len({n for case in cases for n in case}) > 1
        else mean_of([v for case in cases for v in case.values()])
    )


def _verdict(found: Fastest | None) -> tuple[str, str]:
    """Return who may be the fastest, and the leader, where the sentence names it."""
    if found is None:
        return "", ""
    return found.who, found.engine if found.sure or not found.who else ""


def _lead(each: Sequence[Fastest]) -> str:
    """Say by how much one backend leads at some levels."""
    ratios = [next(iter(one.others.values())).ratio for one in each]
    nexts = {next(iter(one.others)) for one in each}
    low, high = number(min(ratios), 2), number(max(ratios), 2)
    return f"{low if low == high else f'{low} to {high}'} times {nexts.pop() if len(nexts) == 1 else 'the next'}"


def _some(values: Sequence[str]) -> str:
    return listed(values) if len(values) <= MOST else f"{values[0]} to {values[-1]}"
