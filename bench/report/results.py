"""The records as one tidy table: a row each replicate, as CSV and Parquet, with a dictionary of its columns."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bench.agreement import judged
from bench.comparing.cost import phases
from bench.comparing.rows import SHOWN_ERROR, headline, known_of, seconds_to_error, truth_of
from bench.files import encodable, write
from bench.records import Quantity, Record, records_file

MAX_NAMES = 60
"""Quantities that have columns."""
KNOWN = ("mean", "sd", "q3", "q50", "q97")
"""What a truth says of a quantity."""


class Records:
    """Records, and what several columns take from each of them, taken once.

    Parameters
    ----------
    records : sequence of Record
        Whatever became of them.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        """Take nothing yet."""
        self.records = records

    @cached_property
    def known(self) -> list[Mapping[str, Mapping[str, float]]]:
        """What is known of the quantities of each, empty where it is nothing."""
        return list(map(known_of, self.records))

    @cached_property
    def phases(self) -> list[Mapping[str, float]]:
        """Wall time of each by phase, empty where there is none."""
        return [phases(record) if record.wall_seconds else {} for record in self.records]

    @cached_property
    def names(self) -> list[str]:
        """Names of up to `MAX_NAMES` quantities, headline first."""
        every = dict.fromkeys([*headline(self.records), *(name for r in self.records for name in r.quantities)])
        return list(every)[:MAX_NAMES]

    @cached_property
    def quantities(self) -> dict[str, list[Quantity | None]]:
        """Summaries of each quantity."""
        return {name: [record.quantities.get(name) for record in self.records] for name in self.names}

    def keys(self, part: Callable[[Record], Mapping[str, Any] | None]) -> list[str]:
        """Up to `MAX_NAMES` names in a mapping that each record has, in the order in which they first appear."""
        return list(dict.fromkeys(name for record in self.records for name in part(record) or ()))[:MAX_NAMES]


class Field(NamedTuple):
    """A column: its name, its type, its unit, what it means, and its values for records."""

    name: str
    kind: pa.DataType
    unit: str
    meaning: str
    values: Callable[[Records], list[Any]]


TEXT, WHOLE, REAL, TRUTH = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def _each(name: str, kind: pa.DataType, unit: str, meaning: str, value: Callable[[Record], Any]) -> Field:
    return Field(name, kind, unit, meaning, lambda every: list(map(value, every.records)))


def _own(name: str, kind: pa.DataType, unit: str, meaning: str) -> Field:
    return _each(name, kind, unit, meaning, attrgetter(name))


def _inner(part: str, name: str, kind: pa.DataType, unit: str, meaning: str, column: str = "") -> Field:
    """Make a column of what a mapping of a record holds under a name."""
    parts = attrgetter(part)
    return Field(
        column or f"{part}_{name}",
        kind,
        unit,
        meaning,
        lambda every: [inner.get(name) if inner else None for inner in map(parts, every.records)],
    )


def _quantity(name: str, field: str, meaning: str) -> Field:
    of = attrgetter(field)
    return Field(
        f"{name}_{field}",
        TEXT if field == "element" else REAL,
        "" if field in ("ess_bulk", "ess_tail", "rhat", "element") else f"of {name}",
        f"{meaning} of {name}",
        lambda every: [None if quantity is None else of(quantity) for quantity in every.quantities[name]],
    )


def _known(name: str, field: str, meaning: str) -> Field:
    return Field(
        f"known_{name}_{field}",
        REAL,
        f"of {name}",
        f"{meaning} of {name} by the truth",
        lambda every: [known.get(name, {}).get(field) for known in every.known],
    )


def _total(values: list[float] | None) -> float | None:
    return None if values is None else sum(values)


def fields(every: Records) -> Iterator[Field]:
    """Yield the columns that some records fill; which there are depends on their families."""
    yield _own("run", TEXT, "", "id of the run")
    yield _own("time", TEXT, "UTC", "when the record was made, ISO 8601")
    yield _own("family", TEXT, "", "family of the model")
    yield _own("kind", TEXT, "", "what kind of model it is, where that is said")
    yield _own("dataset", TEXT, "", "name of the data")
    yield _own("dataset_digest", TEXT, "SHA-256", "of the data")
    for name in every.keys(attrgetter("sizes")):
        yield _inner("sizes", name, WHOLE, "", f"number of {name}", f"size_{name}")
    for name in every.keys(attrgetter("generated_with")):
        meaning = f"generating {name}, where it is known"
        yield _inner("generated_with", name, REAL, f"of {name}", meaning, f"generated_{name}")
    yield _own("model", TEXT, "", "model")
    yield _own("dimension", WHOLE, "", "unconstrained parameters of the model on these data")
    yield _own("model_digest", TEXT, "SHA-256", "of both of its programs")
    yield _own("target", TEXT, "", "the posterior that the model targets; models that share family and target agree")
    yield _own("backend", TEXT, "", "what sampled it")
    yield _own("language", TEXT, "", "stan or pymc")
    yield _own("gradient", TEXT, "", "what evaluated its gradients")
    yield _own("sampler", TEXT, "", "whose NUTS it was")
    yield _own("protocol", TEXT, "", "matched: the same settings and starts for all; stock: each backend's own")
    yield _own("replicate", WHOLE, "", "number of the replicate, from 0")
    yield _own("seed", WHOLE, "", "seed of the fit")
    for name in ("chains", "warmup", "draws", "max_treedepth", "cores"):
        yield _inner("settings", name, WHOLE, "", f"setting {name}, as asked")
    yield _inner("settings", "target_accept", REAL, "", "setting target_accept, as asked")
    yield _own("status", TEXT, "", "ok, failed, timeout, crashed, mismatch, unsupported or unavailable")
    yield _own("reason", TEXT, "", "why, if the status is not ok")
    yield _each("healthy", TRUTH, "", "ok and without a flag: it may be ranked", lambda record: record.healthy)
    yield _each(
        "health", TEXT, "", "flags from the draws, joined by '; '", lambda r: "; ".join(r.health) if r.health else ""
    )
    yield _own("wall_seconds", REAL, "s", "from the call to all draws of all chains in memory")
    yield _own("cpu_seconds", REAL, "s", "user and system seconds of the worker and all that it starts, over that time")
    yield _each("repeats", WHOLE, "", "fits with the same seed that both times are the mean of", lambda r: r.repeats)
    yield _own("prepare_seconds", REAL, "s", "the build of this posterior, not part of the wall time")
    yield _own("prepare_cpu_seconds", REAL, "s", "CPU seconds of the build")
    yield _own("prepare_cache", TEXT, "", "what served the build")
    for name, field in (("warm-up", "warmup"), ("sampling", "sampling"), ("other", "other")):
        yield Field(
            f"{field}_wall_seconds",
            REAL,
            "s",
            f"part of the wall time: {name}; chains' seconds by chains at the same time",
            lambda every, name=name: [parts.get(name) for parts in every.phases],  # type: ignore[misc]
        )
    yield _each("warmup_chain_seconds", REAL, "s", "warm-up, chains added up", lambda r: _total(r.warmup_seconds))
    yield _each("sampling_chain_seconds", REAL, "s", "sampling, chains added up", lambda r: _total(r.sampling_seconds))
    yield _own("extraction_seconds", REAL, "s", "part of the wall time: from the sampler's end to arrays in memory")
    yield _own("derive_seconds", REAL, "s", "part of the wall time: drawing what the model integrates out")
    yield _own("warmup_gradients", WHOLE, "", "gradient evaluations in warm-up, all chains")
    yield _own("gradients", WHOLE, "", "gradient evaluations after warm-up, all chains")
    yield _own("divergences", WHOLE, "", "divergent transitions after warm-up")
    yield _own("saturated", WHOLE, "", "transitions after warm-up that stopped at the maximum tree depth")
    yield _own("min_ess_bulk", REAL, "", "smallest bulk ESS of every quantity")
    yield _own("min_ess_of", TEXT, "", "the quantity, or its element, that has it")
    yield _own("max_rhat", REAL, "", "largest R-hat of the same quantities")
    yield _own("ess_per_second", REAL, "1/s", "min_ess_bulk by wall_seconds")
    yield _own("ess_per_chain_second", REAL, "1/s", "min_ess_bulk by the chains' seconds added up")
    yield _own("ess_per_gradient", REAL, "", "min_ess_bulk by gradient evaluations, warm-up included")
    yield _each(
        "ess_per_cpu_second",
        REAL,
        "1/s",
        "min_ess_bulk by cpu_seconds and derive_seconds together",
        lambda r: r.ess_per_cpu_second,
    )
    yield _each(
        "cpu_per_gradient",
        REAL,
        "s",
        "cpu_seconds by gradient evaluations, warm-up included",
        lambda r: r.cpu_per_gradient,
    )
    yield _each("ebfmi_min", REAL, "", "smallest E-BFMI of the chains", lambda r: min(r.ebfmi) if r.ebfmi else None)
    yield _each(
        "step_size_mean",
        REAL,
        "",
        "mean of the chains",
        lambda r: sum(r.step_size) / len(r.step_size) if r.step_size else None,
    )
    yield _own("peak_memory", WHOLE, "bytes", "of the process tree")
    meanings = {
        "mean": "posterior mean",
        "sd": "posterior standard deviation",
        "q3": "3 % quantile",
        "q50": "median",
        "q97": "97 % quantile",
        "mcse": "Monte Carlo error of the mean",
        "ess_bulk": "bulk ESS",
        "ess_tail": "tail ESS",
        "rhat": "R-hat",
        "element": "the element with the smallest bulk ESS, which all this is of,",
    }
    assert set(meanings) == set(Quantity.__dataclass_fields__)
    for name in every.names:
        for field, meaning in meanings.items():
            yield _quantity(name, field, meaning)
    yield _inner("gate", "with", TEXT, "", "what the equality gate compared the model with")
    yield _inner("gate", "error", REAL, "", "largest relative difference that it found")
    yield _inner("gate", "note", TEXT, "", "why it compared nothing across languages, if so")
    yield _each("truth", TEXT, "", "what the fit is held against: exact posterior or reference draws", truth_of)
    yield _inner("grade", "largest", REAL, "MC errors", "largest error against the truth")
    yield _inner("grade", "worst", TEXT, "", "what it is the error of")
    yield _inner("grade", "bound", REAL, "MC errors", "what it may be by chance")
    yield _inner("grade", "biased", TRUTH, "", "whether it is beyond")
    known = {name for each in every.known for name in each}
    for name in every.names:
        if name in known:
            for field in KNOWN:
                yield _known(name, field, meanings[field])
    yield _each(
        "seconds_to_error",
        REAL,
        "s",
        f"until every headline quantity is known to {100 * SHOWN_ERROR:g} % of its sd",
        seconds_to_error,
    )
    for name in every.keys(attrgetter("further")):
        inside = [record.further.get(name, {}) for record in every.records]
        for field in dict.fromkeys(field for one in inside for field in one):
            values = [one.get(field) for one in inside]
            if any(isinstance(value, int | float) for value in values):
                meaning = f"{field} of {name.replace('_', ' ')}, which the family adds"
                yield Field(f"{name}_{field}", REAL, "", meaning, lambda every, values=values: values)  # type: ignore[misc]
    yield _own("draws_digest", TEXT, "SHA-256", "of the draws")
    yield _own("draws_file", TEXT, "", "file that holds the draws, where they were kept")
    yield _own("draws_bytes", WHOLE, "bytes", "its size")
    for name in ("python", "system", "cpu", "commit"):
        yield _inner("environment", name, TEXT, "", f"{name} of the environment")
    yield _inner("environment", "device", TEXT, "", "what evaluated densities: CPU, or the name of a GPU")
    yield _inner("environment", "cores", WHOLE, "", "cores of the machine")
    yield _inner("environment", "memory_gib", REAL, "GiB", "memory of the machine")
    yield _each("versions", TEXT, "JSON", "versions of the backend", lambda r: _json(tuple(r.versions.items())))


@cache
def _json(items: tuple[tuple[str, str], ...]) -> str:
    """Write a mapping as JSON; few of them differ."""
    return json.dumps(dict(items), sort_keys=True)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if kind == TEXT:
        values = [encodable(value) if isinstance(value, str) else value for value in values]
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # say, a grade of another version
        types: dict[pa.DataType, tuple[type, ...]] = {TEXT: (str,), WHOLE: (int,), REAL: (int, float), TRUTH: (bool,)}
        return pa.array([value if type(value) in types[kind] and _small(value) else None for value in values], kind)


def _small(value: Any) -> bool:
    """Whether a number has room in a column; text and the rest have."""
    return not isinstance(value, int) or abs(value) < 2**63


def write_results(folder: Path, records: Sequence[Record]) -> str:
    """Write `results.csv`, `results.parquet` and `columns.md`, and return the name of the first.

    Beside records that gzip packed, to keep the run for long, it is packed too: `results.csv.gz`.

    Parameters
    ----------
    folder : Path
        Where to.
    records : sequence of Record
        Whatever became of them.
    """
    every = Records(judged(records))
    columns = list(fields(every))
    # A value that is not of its column's type is left out.
    everything = pa.table({encodable(field.name): _array(field.values(every), field.kind) for field in columns})
    parquet, csv = BytesIO(), BytesIO()
    pyarrow.parquet.write_table(everything, parquet)
    pyarrow.csv.write_csv(everything, csv)
    write(folder / "results.parquet", parquet.getvalue())
    packed = records_file(folder).suffix == ".gz"
    name = "results.csv.gz" if packed else "results.csv"
    write(folder / name, gzip.compress(csv.getvalue(), mtime=0) if packed else csv.getvalue())
    write(folder / "columns.md", dictionary(columns))
    return name


def dictionary(columns: Sequence[Field]) -> str:
    """Describe columns of the results, in Markdown."""
    rows = ((f"`{field.name}`", str(field.kind), field.unit, field.meaning) for field in columns)
    lines = [
        "# Columns of results.csv and results.parquet",
        "",
        f"One row for each replicate. An empty value was not measured. Up to {MAX_NAMES} quantities have columns.",
        "",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
        *("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"
