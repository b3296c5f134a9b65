"""The records as one tidy table: a row each replicate, as CSV and Parquet, with a dictionary of its columns."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bench.records import Quantity, Record
from bench.report.tables import SCALARS, SHOWN_ERROR, exact_of, phases, seconds_to_error


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
    def exact(self) -> list[Mapping[str, Mapping[str, float]]]:
        """Exact posterior of each, empty where it is not known."""
        return list(map(exact_of, self.records))

    @cached_property
    def phases(self) -> list[Mapping[str, float]]:
        """Wall time of each by phase, empty where there is none."""
        return [phases(record) if record.wall_seconds else {} for record in self.records]

    @cached_property
    def quantities(self) -> dict[str, list[Quantity | None]]:
        """Summaries of each quantity."""
        return {name: [record.quantities.get(name) for record in self.records] for name in (*SCALARS, "mu_g")}


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


def _inner(part: str, name: str, kind: pa.DataType, unit: str, meaning: str) -> Field:
    parts = attrgetter(part)
    return Field(
        f"{part}_{name}",
        kind,
        unit,
        meaning,
        lambda every: [inner.get(name) if inner else None for inner in map(parts, every.records)],
    )


def _quantity(name: str, field: str, meaning: str) -> Field:
    of, unit = attrgetter(field), "" if field in ("ess_bulk", "ess_tail", "rhat") else "of y"
    return Field(
        f"{name}_{field}",
        REAL,
        unit,
        meaning,
        lambda every: [None if quantity is None else of(quantity) for quantity in every.quantities[name]],
    )


def _exact(name: str, field: str, meaning: str) -> Field:
    return Field(
        f"exact_{name}_{field}",
        REAL,
        "of y",
        meaning,
        lambda every: [exact.get(name, {}).get(field) for exact in every.exact],
    )


def _total(values: list[float] | None) -> float | None:
    return None if values is None else sum(values)


def _fields() -> Iterator[Field]:
    yield _own("run", TEXT, "", "id of the run")
    yield _own("time", TEXT, "UTC", "when the record was made, ISO 8601")
    yield _own("dataset", TEXT, "", "name of the data")
    yield _own("dataset_digest", TEXT, "SHA-256", "of the data")
    yield _own("n_obs", WHOLE, "", "observations")
    yield _own("n_groups", WHOLE, "", "groups")
    for name in SCALARS:
        yield _inner("truth", name, REAL, "of y", f"generating {name}, where it is known")
    yield _own("model", TEXT, "", "model")
    yield _own("model_digest", TEXT, "SHA-256", "of both of its programs")
    yield _own("posterior", TEXT, "", "what the model targets; models that share it agree")
    yield _own("backend", TEXT, "", "what sampled it")
    yield _own("language", TEXT, "", "stan or pymc")
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
    yield _own("prepare_seconds", REAL, "s", "the build of this posterior, not part of the wall time")
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
    yield _own("warmup_gradients", WHOLE, "", "gradient evaluations in warm-up, all chains")
    yield _own("gradients", WHOLE, "", "gradient evaluations after warm-up, all chains")
    yield _own("divergences", WHOLE, "", "divergent transitions after warm-up")
    yield _own("saturated", WHOLE, "", "transitions after warm-up that stopped at the maximum tree depth")
    yield _own("min_ess_bulk", REAL, "", "smallest bulk ESS of mu, sigma, omega and all mu_g")
    yield _own("min_ess_of", TEXT, "", "the quantity that has it")
    yield _own("max_rhat", REAL, "", "largest R-hat of the same quantities")
    yield _own("ess_per_second", REAL, "1/s", "min_ess_bulk by wall_seconds")
    yield _own("ess_per_chain_second", REAL, "1/s", "min_ess_bulk by the chains' seconds added up")
    yield _own("ess_per_gradient", REAL, "", "min_ess_bulk by gradient evaluations, warm-up included")
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
    }
    assert set(meanings) == set(Quantity.__dataclass_fields__)
    for name in ("mu", "sigma", "omega", "mu_g"):
        which = "the group mean with the smallest bulk ESS" if name == "mu_g" else name
        for field, meaning in meanings.items():
            yield _quantity(name, field, f"{meaning} of {which}")
    yield _inner("grade", "largest", REAL, "MC errors", "largest error against the exact posterior")
    yield _inner("grade", "worst", TEXT, "", "what it is the error of")
    yield _inner("grade", "bound", REAL, "MC errors", "what it may be by chance")
    yield _inner("grade", "biased", TRUTH, "", "whether it is beyond")
    for name in SCALARS:
        for field in ("mean", "sd", "q3", "q97"):
            yield _exact(name, field, f"{meanings[field]} of {name} by the exact posterior")
    yield _each(
        "seconds_to_error",
        REAL,
        "s",
        f"until mu, sigma, omega are known to {100 * SHOWN_ERROR:g} % of their sds, the slowest",
        seconds_to_error,
    )
    for name in ("mean", "sd", "ess"):
        yield _inner(
            "population_mean",
            name,
            REAL,
            "",
            f"{name} of the population's mean, recovered from a finite-population fit",
        )
    yield _own("draws_digest", TEXT, "SHA-256", "of the draws")
    yield _own("draws_file", TEXT, "", "file that holds the draws, where they were kept")
    yield _own("draws_bytes", WHOLE, "bytes", "its size")
    for name in ("python", "system", "cpu", "commit"):
        yield _inner("environment", name, TEXT, "", f"{name} of the environment")
    yield _inner("environment", "cores", WHOLE, "", "cores of the machine")
    yield _inner("environment", "memory_gib", REAL, "GiB", "memory of the machine")
    yield _each("versions", TEXT, "JSON", "versions of the backend", lambda r: _json(tuple(r.versions.items())))


@cache
def _json(items: tuple[tuple[str, str], ...]) -> str:
    """Write a mapping as JSON; few of them differ."""
    return json.dumps(dict(items), sort_keys=True)


FIELDS = tuple(_fields())


def table(records: Sequence[Record]) -> pa.Table:
    """Return all records as a table with the columns `FIELDS`; a value not of its column's type is left out."""
    every = Records(records)
    return pa.table({field.name: _array(field.values(every), field.kind) for field in FIELDS})


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # say, a grade of another version
        types: dict[pa.DataType, tuple[type, ...]] = {TEXT: (str,), WHOLE: (int,), REAL: (int, float), TRUTH: (bool,)}
        return pa.array([value if isinstance(value, types[kind]) else None for value in values], kind)


def write_results(folder: Path, records: Sequence[Record]) -> None:
    """Write `results.csv`, `results.parquet` and `columns.md` into a folder."""
    everything = table(records)
    pyarrow.parquet.write_table(everything, folder / "results.parquet")
    pyarrow.csv.write_csv(everything, folder / "results.csv")
    (folder / "columns.md").write_text(dictionary(), encoding="utf-8")


def dictionary() -> str:
    """Describe each column of the results, in Markdown."""
    lines = [
        "# Columns of results.csv and results.parquet",
        "",
        "One row for each replicate. An empty value was not measured.",
        "",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
        *(f"| `{f.name}` | {f.kind} | {f.unit} | {f.meaning} |" for f in FIELDS),
    ]
    return "\n".join(lines) + "\n"
