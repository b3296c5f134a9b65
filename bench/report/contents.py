"""What the report of one run, or of several, says: its verdict, its sections, its troubles, how it was made."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from bench.comparing.across import Across, is_left_out
from bench.comparing.answer import Answer
from bench.comparing.crossing import PARTS, Crossing, crossings, pooled, sentences
from bench.comparing.ratios import FIRST, FIT, key, times
from bench.comparing.rows import Row, run_letter, summarise
from bench.comparing.verdict import limits, trust, verdict
from bench.records import Record
from bench.report import across_figure, answer_figure
from bench.report.columns import TABLE, Column, best_rate, quantity_lines
from bench.report.figure import Figure, Finding
from bench.report.figures import Pictures
from bench.words import NOTHING, commands, days, listed

MAX_ROWS = 10_000
MAX_PICTURED = 200
CROSSING = ("dataset", "model", "backend", "steps", "CPU/ESS", "by gradients", "by sampler", "its ESS/gradient")


@dataclass(frozen=True)
class Section:
    """A dataset: its facts, its table, its pictures and the numbers in them.

    Attributes
    ----------
    name, facts : str
        Of the data; the name begins with the family if there are several.
    rows : list of (Row, list of str)
        The lines of its table.
    figures : list of Figure
        Its pictures; empty where the page would grow too large.
    quantities : list of tuple of str
        The lines of its table of quantities; likewise.
    """

    name: str
    facts: str
    rows: list[tuple[Row, list[str]]]
    figures: list[Figure]
    quantities: list[tuple[str, ...]]


@dataclass(frozen=True)
class Trouble:
    """Fits with the same fate and the same reason."""

    status: str
    reason: str
    what: str
    fits: int


@dataclass(frozen=True)
class Report:
    """What the page and the Markdown say.

    Attributes
    ----------
    asked : sequence of mapping
        `run.json` of each run.
    rows : list of Row
        Every case.
    sections : list of Section
        Datasets that are shown.
    left_out : int
        Datasets that are not, for want of room.
    figures : list of Figure
        Pictures over all datasets.
    crossings : list of Crossing
        How the engines of each case differ, in parts; empty where no two can be taken apart.
    columns : sequence of Column
        Those of the tables in the sections.
    across : Across, optional
        What is to be said over many models. Then there is one section, with all of them in one table.
    """

    asked: Sequence[Mapping[str, Any]]
    rows: list[Row]
    sections: list[Section]
    left_out: int
    figures: list[Figure]
    crossings: list[Crossing]
    columns: Sequence[Column] = TABLE
    across: Across | None = None

    @classmethod
    def of(
        cls, records: Sequence[Record], asked: Sequence[Mapping[str, Any]], pictured: int = MAX_PICTURED
    ) -> "Report":
        """Summarise records; up to `MAX_ROWS` cases are shown, and those of the first datasets in pictures.

        Parameters
        ----------
        records : sequence of Record
            Whatever became of them.
        asked : sequence of mapping
            `run.json` of each run.
        pictured : int
            Cases that are shown in pictures.
        """
        rows = summarise(records)
        pictures = Pictures(rows)
        across = Across.of(rows)
        columns = TABLE if across is None else columns_across(across)
        by_dataset: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            by_dataset.setdefault((row.family, row.dataset), []).append(row)
        families = len({row.family for row in rows})
        sections: list[Section] = []
        shown = 0
        for (family, dataset), here in by_dataset.items():
            if shown + len(here) > MAX_ROWS and sections:
                break
            shown += len(here)
            rich = shown <= pictured and across is None
            sections.append(
                Section(
                    f"{family.replace('_', ' ')}: {dataset}" if families > 1 else dataset,
                    _facts(here),
                    [(row, table_line(row, here, columns)) for row in here[:MAX_ROWS]],
                    pictures.of_dataset(here) if rich else [],
                    quantity_lines(here) if rich else [],
                )
            )
        left_out = len(by_dataset) - len(sections)
        if across is not None:
            lines = [line for section in sections for line in section.rows]
            facts = f"{len(lines):,} cases; ratios are to {across.engines[0]}; a dash: left out"
            sections = [Section("All models", facts, lines, [], [])]
        parts = crossings(rows)
        figures = [*pictures.crossing(pooled(parts, by_model=True)), *pictures.overall()]
        return cls(asked, rows, sections, left_out, figures, parts, columns, across)

    @property
    def title(self) -> str:
        """What was measured, and when."""
        if not self.rows:
            return f"Run {', '.join(str(run.get('run', '')) for run in self.asked)}"
        families = list(dict.fromkeys(row.family for row in self.rows))
        datasets = list(dict.fromkeys(row.dataset for row in self.rows))
        what = [name.replace("_", " ") for name in families] if families != ["pair"] else datasets
        when = days(row.first.time for row in self.rows)
        return f"{_named(what, 'families')} on {_named(self.backends, 'backends')}, {when}"

    @property
    def made(self) -> str:
        """Which runs it is of, and how many models, backends, datasets and fits."""
        runs = list(dict.fromkeys(row.first.run for row in self.rows))
        datasets = {(row.family, row.dataset) for row in self.rows}
        fits = sum(len(row.records) for row in self.rows)
        counts = {"model": len(self.models), "backend": len(self.backends), "dataset": len(datasets), "fit": fits}
        said = [f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts.items()]
        return f"{f'Run {runs[0]}' if len(runs) == 1 else f'{len(runs)} runs'}: {', '.join(said)}"

    @property
    def models(self) -> list[str]:
        """Models, in order."""
        return list(dict.fromkeys(row.model for row in self.rows))

    @property
    def backends(self) -> list[str]:
        """Backends, in order."""
        return list(dict.fromkeys(row.backend for row in self.rows))

    @cached_property
    def verdict(self) -> list[str]:
        """A few sentences; over many models those that stand first and those on what the means hide."""
        if self.across is not None:
            return [*self.across.answer, self.across.sure, *self.across.hidden, trust(self.rows)]
        return verdict(self.rows) if self.rows else ["Nothing was measured."]

    @cached_property
    def findings(self) -> list[Finding]:
        """What stands first: which backend, and which model."""
        if self.across is not None:
            picture = across_figure.figure(self.across)
            return [Finding.of("Which backend?", self.across.answer, picture, self.across.sure)]
        if not any(row.healthy for row in self.rows):
            return [Finding("Which backend?", self.verdict[0], None, "")]
        found: list[Finding] = []
        for each in Answer.each(self.rows):
            both = [Finding.of("Which backend?", each.backends, answer_figure.backends(each), each.sure)]
            if each.models:
                both.append(Finding.of("Which model?", each.models, answer_figure.models(each), HEALTHY))
            found += both if both[0].figure else reversed(both)  # with one backend it is the model that is asked for
        return found

    @property
    def trust(self) -> str:
        """How far the fits can be trusted; empty where there are none."""
        return trust(self.rows) if self.rows else ""

    @cached_property
    def limits(self) -> list[str]:
        """What the verdict does not cover."""
        return list(limits(self.rows, self.asked))

    @property
    def sources(self) -> list[str]:
        """Where the differences between engines come from, over all cases, a sentence for each engine."""
        return sentences(self.crossings, self.rows, by_source=self.across is not None)

    @property
    def crossing_lines(self) -> list[list[str]]:
        """The lines of the table of `crossings`, under `CROSSING`."""
        return [
            [each.dataset, each.model, each.b, " → ".join(each.path), *map(each.shown, PARTS)]
            for each in self.crossings[:MAX_ROWS]
        ]

    @cached_property
    def troubles(self) -> list[Trouble]:
        """What failed, was refused, was missing or unhealthy, the same reasons together; not what `across` lists."""
        found: dict[tuple[str, str], list[str]] = {}
        for run in self.asked:
            for name, reason in run.get("missing", {}).items():
                found.setdefault(("missing", str(reason)), []).append(str(name))
        rows = [row for row in self.rows if self.across is None or not is_left_out(row)]
        for row in rows:
            for record in row.records:
                if record.status != "ok":
                    found.setdefault((record.status, record.reason), []).append(f"{row.dataset}: {row.name}")
        for row in rows:
            for record in row.records:
                if record.status == "ok" and record.health:
                    flags = ", ".join(flag.split(":")[0] for flag in record.health)
                    found.setdefault(("unhealthy", flags), []).append(f"{row.dataset}: {row.name}")
        for run in self.asked:
            if lacking := _lacking(run, self.rows):
                reason = f"no record yet; go on with --resume {run.get('run', '')}{_runs(run)}"
                found[("not measured", reason)] = [f"{lacking} fits"]
        return [Trouble(status, reason, _some(where), len(where)) for (status, reason), where in found.items()]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """How each run was made: its command line, its settings and digests as pairs of a name and a value."""
        letters = len(self.asked) > 1
        return [
            {
                "name": f"{run_letter(i)}: {run.get('run', '')}" if letters else str(run.get("run", "")),
                "command": "\n".join(commands(run)),
                "facts": {
                    "Asked": _pairs(run.get("asked")),
                    "Settings": _pairs(run.get("settings")),
                    "Environment": _pairs(run.get("environment")),
                    "Versions": _pairs(run.get("backends")),
                    "Data, SHA-256": _pairs(run.get("datasets")),
                    "Models, SHA-256 of both programs": _pairs(run.get("models")),
                },
            }
            for i, run in enumerate(self.asked)
        ]


HEALTHY = (
    "Healthy: no sign that the sampler missed part of the posterior; the glossary at the end of the page has the rules."
)
"""What stands below the picture of models."""


def _named(names: Sequence[str], what: str, most: int = 3) -> str:
    return listed(names) if len(names) <= most else f"{len(names)} {what}"


def columns_across(across: Across) -> Sequence[Column]:
    """Return the columns of a table of many models: what each is, and its ratios to the baseline, stand first.

    Parameters
    ----------
    across : Across
        What was found.
    """
    base = across.engines[0]

    def ratio(row: Row, measure: str) -> str:
        if row.engine == base:
            return "1" if row.healthy else NOTHING
        found = across.ratios(measure, row.engine, base).get(key(row)) if row.healthy else None
        return times(found, "") if found else NOTHING

    return (
        Column("data", "", lambda row, best: row.dataset),
        *TABLE[:2],
        Column("kind", "what kind of model it is", lambda row, best: row.first.kind or NOTHING),
        Column("parameters", "unconstrained parameters", lambda row, best: _count(row.first.dimension)),
        Column("size", "of the data: observations, or how many numbers they are", lambda row, best: _count(row.size)),
        Column("ratio", f"of min ESS/s to {base}, with its 95 % interval", lambda row, best: ratio(row, FIT)),
        Column("first fit", "the same, with the build counted", lambda row, best: ratio(row, FIRST)),
        *TABLE[2:],
    )


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def table_line(row: Row, of_dataset: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    """Return the line of a row in the table of its dataset.

    Parameters
    ----------
    row : Row
        The case.
    of_dataset : sequence of Row
        All cases of its dataset, of which one is the best.
    columns : sequence of Column
        Those of the table.
    """
    best = best_rate(of_dataset, row.league)
    return [column.text(row, best) for column in columns]


def _facts(rows: Sequence[Row], most: int = 8) -> str:
    """Say how large the data are, what they were generated with, and what fits are held against."""
    first = rows[0].first
    facts = [" and ".join(f"{count:,} {name}" for name, count in first.sizes.items()) or "data of unknown size"]
    if made := [f"{name} = {value:g}" for name, value in first.generated_with.items()]:
        rest = f" and {len(made) - most:,} more" if len(made) > most else ""
        facts.append(f"generated with {', '.join(made[:most])}{rest}")
    if truths := dict.fromkeys(truth for row in rows if (truth := _truth(row))):
        facts.append(f"fits are held against the {' and the '.join(truths)}")
    elif any(row.fits for row in rows):
        facts.append("no truth is known, so engines are held against each other")
    return "; ".join(facts)


def _truth(row: Row) -> str:
    source = next((str(s) for record in row.records if (s := (record.grade or {}).get("source"))), "")
    return source if row.truth in source else f"{row.truth} ({source})" if source else row.truth


def _some(places: Sequence[str], most: int = 12) -> str:
    counts = [f"{place} ({n} times)" if (n := len(list(same))) > 1 else place for place, same in groupby(places)]
    return "; ".join(counts[:most]) + (f"; and {len(counts) - most:,} more" if len(counts) > most else "")


def _lacking(run: Mapping[str, Any], rows: Sequence[Row]) -> int:
    """Fits that a run asked for and that have no record; before schema 2 it did not say how many cases it had."""
    cases = math.prod(len(run.get(part, ())) for part in ("datasets", "models", "backends"))
    wanted = int(run.get("cases", cases)) * int(run.get("asked", {}).get("replicates", 0))
    return max(0, wanted - sum(len(row.records) for row in rows if row.first.run == run.get("run")))


def _runs(run: Mapping[str, Any]) -> str:
    """Repeat `--runs` where a run's command line had it."""
    words = [str(word) for word in run.get("command", ())]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--runs" or word.startswith("--runs="):
            return f" --runs {shlex.quote(word.partition('=')[2] or following)}"
    return ""


def _pairs(values: object) -> list[tuple[str, str]]:
    """Flatten a mapping; what is the same for every name of a mapping of mappings is said once."""
    if not isinstance(values, Mapping) or not values:
        return []
    inner = list(values.values())
    if len(inner) > 1 and all(value == inner[0] for value in inner) and isinstance(inner[0], Mapping):
        return [(f"all: {', '.join(map(str, values))}", _plain(inner[0]))]
    return [(str(name), _plain(value)) for name, value in values.items()]


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items()) or "\u2013"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "\u2013"
    return "\u2013" if value is None else str(value)
