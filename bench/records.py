"""Records: what is kept of every replicate, on disk before the next one starts."""

import fcntl
import gc
import gzip
import json
import math
import os
import secrets
import shlex
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

from bench.checked import misfits
from bench.files import CHECKOUT, ROOT, write

SCHEMA = 2
RUNS = (ROOT if CHECKOUT else Path()) / "reports" / "runs"
"""Where runs are kept: in the checkout, or, where hierbench was installed from a wheel, in the current folder."""

Status = Literal["ok", "failed", "timeout", "crashed", "mismatch", "unsupported", "unavailable"]

_ROOM = 2**16
"""Bytes that must be free in a run's folder before anything is sampled."""


class RunError(Exception):
    """A run folder that cannot be written or read; the message says why and what to type."""


@dataclass(frozen=True)
class Quantity:
    """Posterior summary of one quantity, and how well it is known.

    Attributes
    ----------
    mean, sd, q3, q50, q97 : float
        Posterior mean, standard deviation and quantiles at 3, 50 and 97 %.
    mcse : float
        Monte Carlo standard error of the mean.
    ess_bulk, ess_tail, rhat : float
        As in `bench.correctness.diagnostics`.
    element : str
        Which scalar this is of: the quantity itself, or the element with the smallest bulk ESS, such as `mu_g[3]`,
        counted from 0.

    Notes
    -----
    Of a quantity that never varies `sd` and `mcse` are 0, and there is no ESS and no R-hat.
    """

    mean: float
    sd: float
    q3: float
    q50: float
    q97: float
    mcse: float
    ess_bulk: float
    ess_tail: float
    rhat: float
    element: str

    @property
    def constant(self) -> bool:
        """Whether it never varies."""
        return self.sd == 0


@dataclass(frozen=True, kw_only=True)
class Record:
    """One replicate: what was asked, what happened, what it cost and how good it is.

    Attributes
    ----------
    schema : int
        Version of this layout.
    run, time : str
        Run id, and when the record was made (UTC, ISO 8601).
    family, target : str
        Family of the model, and the posterior that it targets; only what shares both is ranked together.
    kind : str
        What kind of model it is, such as `hierarchical`; empty where its family does not say.
    dataset, model, backend, replicate
        What was fit; `dataset_digest` and `model_digest` are SHA-256 over its bytes and both programs.
    sizes : dict of str to int
        How large the data are, in the family's words: `observations`, `groups`; or how many `values` they hold.
    dimension : int, optional
        Unconstrained parameters of the model on these data; None where it was not built, and in older records.
    generated_with : dict of str to float
        The generating values, where known.
    gradient, sampler : str
        What evaluated its gradients, and whose NUTS it was; empty in older records and where there was none.
    protocol, settings, seed
        How: `settings` as asked for this backend.
    status, reason : str
        What became of it, and why if not `ok`.
    health : list of str
        Flags from the draws; an `ok` fit with flags enters no ranking.
    wall_seconds : float
        From the call to all draws of all chains in memory as arrays, those that are drawn after sampling too.
    cpu_seconds : float, optional
        User and system seconds of the worker and all that it starts, over the same time; None where no clock ran.
    wall_repeats, cpu_repeats : list of float, optional
        The seconds of each of the fits, all with the same seed, that these two are the mean of: `hierbench versions`
        repeats short fits, in turn with those of the other versions. None where there was one fit.
    prepare_seconds, prepare_cpu_seconds, prepare_cache : float, float, str
        What the build of this posterior cost, with all that its engine compiles for the settings of the fit, and what
        served it (see `Posterior.cache`).
    warmup_seconds, sampling_seconds : list of float, optional
        By chain, by the sampler's own clock.
    extraction_seconds : float
        Part of the wall time between the sampler's end and all arrays in memory.
    derive_seconds : float
        Part of the wall time in which what the model integrates out was drawn (`Family.derive`); not in `cpu_seconds`.
    warmup_gradients, gradients : int
        Gradient evaluations of all chains in warm-up and after it.
    divergences, saturated : int
        Transitions after warm-up that diverged, that stopped at the maximum tree depth.
    headline : list of str
        The quantities that its pages show first.
    quantities : dict of str to Quantity
        Every quantity; of an array the element with the smallest bulk ESS.
    min_ess_bulk, max_rhat : float
        Worst over every element of every quantity; `min_ess_of` names it.
    ess_per_second, ess_per_chain_second, ess_per_gradient : float
        `min_ess_bulk` by wall seconds, by the chains' seconds added up, by gradient evaluations with warm-up.
    ebfmi, step_size : list of float
        By chain.
    peak_memory : int
        Bytes of the process tree (see `Worker.peak_memory`).
    gate : dict, optional
        What the equality gate compared and found: places, largest error, constant, what was left out, and notes; see
        `bench.correctness.gate.Verdict`.
    grade : dict, optional
        What is known of the headline quantities, and for a healthy fit how far it is from the truth: see
        `bench.correctness.diagnosis.held_against_truth`.
    summary : dict, optional
        Where nothing is known: `names`, `mean`, `sd` and `mcse` of every element, so that engines can be held against
        each other.
    further : dict of str to dict
        What the family adds, as the mean of the population that the groups of a finite-population fit came from.
    draws_digest, draws_file, draws_bytes
        SHA-256 over the draws; the file that holds them and its size, where they were kept.
    versions, environment : dict
        Of the backend, with the commit that a package was built from, if known (`bench.origin`); of the machine, the
        interpreter and the repository, with the device that evaluated densities.
    """

    run: str
    time: str
    family: str
    dataset: str
    dataset_digest: str
    sizes: dict[str, int]
    generated_with: dict[str, float]
    model: str
    model_digest: str
    target: str
    backend: str
    language: str
    protocol: str
    settings: dict[str, Any]
    replicate: int
    seed: int
    status: Status
    versions: dict[str, str]
    environment: dict[str, Any]
    gradient: str = ""
    sampler: str = ""
    schema: int = SCHEMA
    kind: str = ""
    dimension: int | None = None
    reason: str = ""
    health: list[str] = field(default_factory=list)
    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    wall_repeats: list[float] | None = None
    cpu_repeats: list[float] | None = None
    prepare_seconds: float | None = None
    prepare_cpu_seconds: float | None = None
    prepare_cache: str | None = None
    warmup_seconds: list[float] | None = None
    sampling_seconds: list[float] | None = None
    extraction_seconds: float | None = None
    derive_seconds: float | None = None
    warmup_gradients: int | None = None
    gradients: int | None = None
    divergences: int | None = None
    saturated: int | None = None
    headline: list[str] = field(default_factory=list)
    quantities: dict[str, Quantity] = field(default_factory=dict)
    min_ess_bulk: float | None = None
    min_ess_of: str | None = None
    max_rhat: float | None = None
    ess_per_second: float | None = None
    ess_per_chain_second: float | None = None
    ess_per_gradient: float | None = None
    ebfmi: list[float] | None = None
    step_size: list[float] | None = None
    peak_memory: int | None = None
    gate: dict[str, Any] | None = None
    grade: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None
    further: dict[str, dict[str, Any]] = field(default_factory=dict)
    draws_digest: str | None = None
    draws_file: str | None = None
    draws_bytes: int | None = None

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What makes a replicate one of its run: dataset, model, backend, replicate."""
        return (self.dataset, self.model, self.backend, self.replicate)

    @property
    def healthy(self) -> bool:
        """Whether it may be ranked."""
        return self.status == "ok" and not self.health

    def same_trajectories(self, other: "Record") -> bool:
        """Whether another fit took the same steps: the same draws, or as many gradients in warm-up and after it."""
        if self.draws_digest is not None and self.draws_digest == other.draws_digest:
            return True
        taken = (self.warmup_gradients, self.gradients)
        return None not in taken and taken == (other.warmup_gradients, other.gradients)

    @property
    def repeats(self) -> int:
        """How many fits with the same seed its times are the mean of."""
        return len(self.wall_repeats or [0.0])

    @property
    def fit_cpu_seconds(self) -> float | None:
        """CPU seconds of the whole fit, with what was drawn after sampling; None where no clock ran."""
        return self.cpu_seconds + (self.derive_seconds or 0.0) if self.cpu_seconds else None

    @property
    def cpu_per_gradient(self) -> float | None:
        """CPU seconds of a gradient evaluation, all else that the fit does included; warm-up counts."""
        evaluations = (self.gradients or 0) + (self.warmup_gradients or 0)
        return self.cpu_seconds / evaluations if self.cpu_seconds and evaluations else None

    @property
    def ess_per_cpu_second(self) -> float | None:
        """`min_ess_bulk` by `fit_cpu_seconds`."""
        return self.min_ess_bulk / self.fit_cpu_seconds if self.min_ess_bulk and self.fit_cpu_seconds else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; a number that is not finite becomes None."""
        plain: dict[str, Any] = _finite(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Record":
        """Read a record back, one of schema 1 too; one of a later schema is refused.

        Raises
        ------
        RunError
            If it was written by a newer hierbench.
        TypeError
            If a value is missing or of another type than it should be.
        """
        schema = values.get("schema", SCHEMA)
        if schema > SCHEMA:
            raise RunError(f"a record has schema {schema}, this hierbench reads up to {SCHEMA}; upgrade hierbench")
        if schema == 1:
            values = _from_schema_1(values)
        plain = {name: value for name, value in values.items() if name in _FIELDS}
        plain["quantities"] = {
            name: Quantity(**({k: math.nan if v is None else v for k, v in q.items()} if None in q.values() else q))
            for name, q in values.get("quantities", {}).items()
        }
        record = cls(**plain)
        if wrong := _wrong(record):
            raise TypeError(wrong)
        return record


_FIELDS = frozenset(f.name for f in fields(Record))
_KINDS = {name: kind for name, kind in get_type_hints(Record).items() if name != "quantities"}
_OF_QUANTITY = {**dict.fromkeys(get_type_hints(Quantity), float), "element": str}
_Number = float | None
_INSIDE: dict[str, dict[str, Any]] = {
    "settings": {
        "chains": int, "warmup": int, "draws": int, "target_accept": float, "max_treedepth": int, "cores": int,
    },
    "gate": {
        "with": str, "places": int, "error": _Number, "constant": _Number, "left_out": int, "note": str,
        "numerics": str,
    },
    "grade": {
        "truth": str, "source": str, "known": dict[str, dict[str, _Number]] | None, "largest": _Number, "worst": str,
        "bound": _Number, "biased": bool, "graded": int, "z": dict[str, _Number], "fewest": float,
        "shared": dict[str, float], "stated_error": float,
        "seconds_to_error": dict[str, _Number],
    },
    "summary": {"names": list[str], "mean": list[_Number], "sd": list[_Number], "mcse": list[_Number]},
}  # fmt: skip
"""Types of what is known inside of fields whose other contents are anybody's."""
_NOT_NEGATIVE = [
    name for name, kind in _KINDS.items() if kind in (int, float | None, int | None) and name not in ("seed", "schema")
]


def _wrong(record: Record) -> str:
    """Say what in a record is of another type than it should be, or return nothing."""
    if wrong := misfits(vars(record), _KINDS):
        return wrong
    for part, kinds in _INSIDE.items():
        if wrong := misfits(getattr(record, part) or {}, kinds, f"{part}: "):
            return wrong
    for name, quantity in record.quantities.items():
        numbers = {key: value for key, value in vars(quantity).items() if value == value}  # NaN: it was not finite
        if wrong := misfits(numbers, _OF_QUANTITY, f"{name}: "):
            return wrong
    for name in _NOT_NEGATIVE:
        if (value := getattr(record, name)) is not None and value < 0:
            return f"{name} is {value}, which is negative"
    if any(record.settings.get(name, 1) < 1 for name in ("chains", "draws")):
        return "settings: no chains or no draws"
    if record.status == "ok" and record.wall_seconds is None:
        return "the fit is ok and took no time"
    if any(
        known.get(of) is None for known in ((record.grade or {}).get("known") or {}).values() for of in ("mean", "sd")
    ):
        return "grade: what is known of a quantity lacks its mean or sd"
    if record.summary is not None:
        lengths = {len(record.summary.get(column, ())) for column in _INSIDE["summary"]}
        if len(lengths) > 1 or record.summary.keys() != _INSIDE["summary"].keys():
            return "summary: columns that are missing, or of different lengths"
    return ""


def _from_schema_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write a record of schema 1, which knew the normal means alone, in the words of schema 2."""
    grade = values.get("grade")
    further = {name: found for name in ("population_mean",) if (found := values.get(name))}
    worst = values.get("min_ess_of") or ""
    return {
        **values,
        "schema": SCHEMA,
        "family": "normal_means",
        "target": values["posterior"],
        "sizes": {"observations": values["n_obs"], "groups": values["n_groups"]},
        "generated_with": values["truth"],
        "headline": ["mu", "sigma", "omega"],
        "quantities": {
            name: {"element": worst if name == "mu_g" and worst.startswith("mu_g[") else name, **quantity}
            for name, quantity in values.get("quantities", {}).items()
        },
        "grade": grade and {"truth": "exact", "known": grade.get("exact"), **grade},
        "further": further,
    }


class Journal:
    """The folder of one run: `run.json`, what was asked, and `records.jsonl`, a line each replicate.

    One process writes it at a time. Every line is on the disk before `append` returns.

    Parameters
    ----------
    folder : Path
        The run's folder.
    asked : mapping, optional
        What was asked, for a new run; None opens one that is there.

    Attributes
    ----------
    records : list of Record
        All of them.
    lost : str
        What happened, if the files were deleted during the run and written anew; else empty.

    Raises
    ------
    RunError
        If the folder cannot be written, is written by somebody else, or comes from a newer hierbench.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any] | None = None) -> None:
        """Create or open the folder, and lock it."""
        self.folder = folder
        self.id = folder.name
        self.lost = ""
        path = folder / "records.jsonl"
        try:
            if asked is not None:
                folder.mkdir(parents=True)
                write(folder / "run.json", _written({"schema": SCHEMA, "run": self.id, **asked}))
            self.asked: dict[str, Any] = read_run(folder)
            if (packed := records_file(folder)) != path:
                raise RunError(f"the records in {folder} are packed; to go on with them, type: gunzip {packed}")
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except FileExistsError:
            raise RunError(f"{folder} is there already; start the command once more") from None
        except OSError as error:
            raise _not_written(folder, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.records: list[Record] = read_records(folder)
            self._by_draws: dict[str, list[Record]] = {}
            for record in self.records:
                self._note_draws(record)
            self._size = path.read_bytes().rfind(b"\n") + 1  # without a last line that was cut short
            os.ftruncate(self._file, self._size)
            with tempfile.TemporaryFile(dir=folder) as room:
                room.write(bytes(_ROOM))
                room.flush()
            _flush(folder)
        except BlockingIOError:
            os.close(self._file)
            raise RunError(f"another process writes {folder}; wait for it, or start without --resume") from None
        except OSError as error:
            os.close(self._file)
            raise _not_written(folder, error) from error
        except BaseException:
            os.close(self._file)
            raise

    def go_on(self, command: Sequence[str], replicates: int) -> None:
        """Note in `run.json` the command line that goes on with the run, and the replicates it asks for if more.

        Parameters
        ----------
        command : sequence of str
            The words of the command line.
        replicates : int
            Fits of each case that it asks for.

        Raises
        ------
        RunError
            If it can't be written.
        """
        asked = self.asked.get("asked", {})
        more = {**asked, "replicates": max(replicates, asked.get("replicates", 0))}
        self.asked = {**self.asked, "asked": more, "then": [*self.asked.get("then", ()), list(command)]}
        try:
            write(self.folder / "run.json", _written(self.asked))
        except OSError as error:
            os.close(self._file)
            raise _not_written(self.folder, error) from error

    def append(self, record: Record) -> None:
        """Write a record and flush it to the disk.

        Raises
        ------
        RunError
            If it can't be written; what was written before stays whole.
        """
        self.restore()
        line = _line(record)
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise RunError(
                f"{self.folder / 'records.jsonl'} can't be written ({error.strerror}); free space, then go on: "
                f"--resume {named(self.folder)}"
            ) from error
        self._size += len(line)
        self.records.append(record)
        self._note_draws(record)
        self.restore()

    def with_draws(self, digest: str | None) -> Sequence[Record]:
        """Return the records of fits with the same draws.

        Parameters
        ----------
        digest : str, optional
            Of the draws; None is that of no fit.
        """
        return self._by_draws.get(digest or "", ())

    def _note_draws(self, record: Record) -> None:
        if record.draws_digest:
            self._by_draws.setdefault(record.draws_digest, []).append(record)

    def restore(self) -> None:
        """Write the journal anew where it was, or beside it, if it is no longer there; `lost` says so.

        Raises
        ------
        RunError
            If it can't be written anywhere.
        """
        where, mine = self.folder / "records.jsonl", os.fstat(self._file)
        asked = self.folder / "run.json"
        failed: OSError | None = None
        try:
            there = where.stat()
            if (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino):
                if not asked.exists():
                    write(asked, _written(self.asked))
                    self.lost = f"{asked} was deleted during the run and written anew"
                return
        except OSError as error:
            there, failed = None, error
        beside = self.folder.with_name(f"{self.folder.name}-again-{secrets.token_hex(2)}")
        safe = Path(tempfile.gettempdir()) / beside.name
        for folder in (self.folder, beside, safe) if there is None else (beside, safe):
            try:
                again = self._written_anew(folder)
            except OSError as error:
                failed = error
                continue
            os.close(self._file)
            self._file, self.folder = again, folder
            self.lost = (
                f"{where} was deleted or replaced during the run; its {len(self.records):,} records were kept in "
                f"memory and written anew to {folder}"
            )
            return
        raise RunError(f"{where} was deleted or replaced during the run and can't be written anew ({failed})")

    def _written_anew(self, folder: Path) -> int:
        """Write the whole journal into a folder, and return the open and locked file of its records."""
        lines = b"".join(map(_line, self.records))
        write(folder / "records.jsonl", lines)
        write(folder / "run.json", _written(self.asked))
        _flush(folder)
        descriptor = os.open(folder / "records.jsonl", os.O_RDWR | os.O_APPEND)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        self._size = len(lines)
        return descriptor

    def close(self) -> None:
        """Release the folder, after a last look at whether all is there."""
        try:
            self.restore()
        finally:
            os.close(self._file)


def new_run_id() -> str:
    """Return a run id that sorts by time and that two runs at once do not share."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)


def named(folder: Path) -> str:
    """Return what to type to name a run: its id, and `--runs` where it is not in the default folder.

    Parameters
    ----------
    folder : Path
        Of the run.
    """
    runs = folder.parent
    same = runs == RUNS or (runs.exists() and RUNS.exists() and runs.samefile(RUNS))
    return folder.name if same else f"{folder.name} --runs {shlex.quote(str(runs))}"


def find_run(name: str | Path, runs: Path = RUNS) -> Path:
    """Find a run's folder by its id, its path, or `latest`.

    Parameters
    ----------
    name : str or Path
        What was typed.
    runs : Path, default `RUNS`
        Folder of all runs.

    Raises
    ------
    RunError
        If there is none; the message names the newest ones.
    """
    known = sorted(folder.parent for folder in runs.glob("*/run.json"))
    if name == "latest" and known:
        return known[-1]
    for folder in (runs / name, Path(name)):
        if (folder / "run.json").exists():
            return folder
    newest = ", ".join(folder.name for folder in known[-5:]) or "none yet"
    raise RunError(f"no run {str(name)!r}; the newest are: {newest}")


_OF_RUN: dict[str, Any] = {
    "run": str, "command": list[str], "then": list[list[str]], "datasets": dict[str, Any], "models": dict[str, Any],
    "cases": int, "backends": dict[str, dict[str, Any]], "missing": dict[str, str], "asked": dict[str, Any],
    "settings": dict[str, dict[str, Any]], "environment": dict[str, Any],
}  # fmt: skip
_ASKED: dict[str, Any] = {"replicates": int, "overrides": dict[str, float], "protocol": str, "seed": int}
"""Types of what `run.json` holds."""


def read_run(folder: Path) -> dict[str, Any]:
    """Read what a run was asked.

    Raises
    ------
    RunError
        If it can't be read or comes from a newer hierbench.
    """
    try:
        asked: dict[str, Any] = {**json.loads((folder / "run.json").read_text(encoding="utf-8"))}
        newer = asked.get("schema", SCHEMA) > SCHEMA
        if not newer and (wrong := misfits(asked, _OF_RUN) or misfits(asked.get("asked", {}), _ASKED, "asked: ")):
            raise TypeError(wrong)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{folder / 'run.json'} can't be read: {error}") from error
    if newer:
        raise RunError(f"{folder} has schema {asked['schema']}, this hierbench reads up to {SCHEMA}; upgrade hierbench")
    return asked


def records_file(folder: Path) -> Path:
    """Return the file that holds a run's records: `records.jsonl`, or where that is not there, what gzip made of it.

    Parameters
    ----------
    folder : Path
        Of the run.
    """
    plain, packed = folder / "records.jsonl", folder / "records.jsonl.gz"
    return packed if packed.exists() and not plain.exists() else plain


def read_records(folder: Path) -> list[Record]:
    """Read a run's records, packed or not; a last line that was cut short is dropped with a warning.

    Raises
    ------
    RunError
        If there are none, or a line that is not the last can't be read.
    """
    path = records_file(folder)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise RunError(f"{path} can't be read ({getattr(error, 'strerror', None) or error})") from error
    *lines, rest = content.split(b"\n")
    if rest:
        warnings.warn(f"{path}: the last line was cut short and is dropped", stacklevel=2)
    found: dict[tuple[str, ...], tuple[int, Record]] = {}
    with _no_collection():
        for number, line in enumerate(lines, 1):
            record = _record(path, number, line)
            key = (record.family, *map(str, record.key))
            if key in found:
                warnings.warn(
                    f"{path}, line {number}: the fit of line {found[key][0]} is there twice; this line is left out",
                    stacklevel=2,
                )
            else:
                found[key] = (number, record)
    return [record for _, record in found.values()]


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        return Record.from_dict(json.loads(line, parse_constant=_no_constant))
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise RunError(f"{path}, line {number} is no record ({error}); restore the file or delete that line") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hold the garbage collector, which would go through all records again and again while there come more."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _written(asked: Mapping[str, Any]) -> str:
    """Return the content of `run.json`."""
    return json.dumps(asked, indent=1) + "\n"


def _line(record: Record) -> bytes:
    """Return a record's line of `records.jsonl`."""
    return json.dumps(record.to_dict(), separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _flush(path: Path) -> None:
    """Put a file or the names in a folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_written(folder: Path, error: OSError) -> RunError:
    return RunError(
        f"{folder} can't be written ({error.strerror}); free space there, mend its permissions, or --runs DIR"
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
