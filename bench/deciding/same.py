"""`hierbench same`: whether two programs are the same posterior, and where they part if not."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.backends import BACKENDS
from bench.backends.base import Backend
from bench.correctness.gate import TYPICAL, Verdict, jacobians, judge, supports, visit
from bench.families.base import DataError, Dataset, Model, Program
from bench.families.pair import FILES, read_data, read_options
from bench.running.equality import compare_names
from bench.running.isolation import Worker, WorkerError

ENGINES = {".stan": "stanli", ".py": "pymc"}
EXIT = {"same": 0, "numerics": 0, "different": 1, "unknown": 2}
TIMEOUT = 600.0
"""Seconds that a build may take."""


@dataclass(frozen=True)
class Question:
    """Two programs, and the data that both are given.

    Attributes
    ----------
    programs : pair of Program
        The first one leads; a Stan program where there is one.
    dataset : Dataset
        The data.
    options : dict
        What a `pair.toml` says.
    """

    programs: tuple[Program, Program]
    dataset: Dataset
    options: dict[str, Any]

    @classmethod
    def read(cls, paths: Sequence[Path]) -> "Question":
        """Read a folder, or files: two programs, and data and a `pair.toml` if there are some.

        Parameters
        ----------
        paths : sequence of Path
            One folder, or files in any order.

        Raises
        ------
        DataError
            If a file can't be used, or there are not two programs.
        """
        files = [Path(path) for path in paths]
        if len(files) == 1 and files[0].is_dir():
            files = [files[0] / name for name in FILES if (files[0] / name).exists()]
        if missing := [path for path in files if not path.exists()]:
            raise DataError(f"there is no file or folder {missing[0]}")
        unknown = [path for path in files if path.suffix not in (".stan", ".py", ".json", ".toml")]
        if unknown:
            raise DataError(f"{unknown[0]} is neither a program (.stan, .py) nor data (.json) nor options (.toml)")
        programs = [path for path in files if path.suffix in ENGINES]
        if len(programs) != 2:
            found = ", ".join(map(str, programs)) or "none"
            raise DataError(
                f"two programs are compared, and there are {len(programs)} ({found}); give a folder with model.stan, "
                "model.py and data.json, or type: hierbench same model.stan model.py data.json"
            )
        first, second = sorted(programs, key=lambda path: path.suffix != ".stan")
        data = [path for path in files if path.suffix == ".json"]
        options = [path for path in files if path.suffix == ".toml"]
        for kind in (data, options):
            if len(kind) > 1:
                raise DataError(f"{kind[0]} and {kind[1]} are both {kind[0].suffix}; give one")
        values = read_data(data[0]) if data else {}
        return cls(
            (Program.read(first), Program.read(second)),
            Dataset("data", values),
            read_options(options[0]) if options else {},
        )

    @property
    def names(self) -> tuple[str, str]:
        """What to call the programs: their file names, with their folders where these are the same."""
        first, second = (program.path for program in self.programs)
        return (first.name, second.name) if first.name != second.name else (str(first), str(second))

    def side(self, number: int) -> tuple[Backend, Model]:
        """Return the engine for one of the programs, and the program as a model."""
        program = self.programs[number]
        backend = BACKENDS[ENGINES[program.path.suffix]]
        given = {backend.language: program}
        if number == 1 and "unconstrained" in self.options:  # what is on Stan's scale needs Stan's own maps
            given.setdefault("stan", self.programs[0])
        matched = (self.options.get(key, {}) if number == 1 else {} for key in ("names", "axes", "unconstrained"))
        return backend, Model(program.path.stem, "posterior", given.get("stan"), given.get("pymc"), *matched)


@dataclass(frozen=True)
class Answer:
    """The verdict on two programs.

    Attributes
    ----------
    names : pair of str
        The programs.
    verdict : Verdict
        What was found.
    """

    names: tuple[str, str]
    verdict: Verdict

    def code(self, *, strict_numerics: bool = False) -> int:
        """Return the exit code: 0 the same, 1 not the same, 2 can't tell.

        Parameters
        ----------
        strict_numerics : bool
            Whether digits that one side loses count as a difference.
        """
        return 1 if strict_numerics and self.verdict.kind == "numerics" else EXIT[self.verdict.kind]

    def lines(self, width: int = 110) -> Iterator[str]:
        """Yield the lines for a terminal."""
        found, (first, second) = self.verdict, self.names
        heads = {
            "same": f"The same posterior: {first} and {second}.",
            "numerics": f"The same posterior, but numerics part in the tail: {first} and {second}.",
            "different": f"Not the same posterior: {first} and {second}.",
            "unknown": f"Can't tell whether {first} and {second} are the same posterior.",
        }
        yield heads[found.kind]
        facts = list(found.reasons)
        if found.passes:
            facts.insert(0, f"They agree at {found.places} places, to {found.error:.1e} relative.")
            facts.append(
                f"The log density of {second} is larger by {found.constant:.10g} everywhere, a constant that changes "
                "nothing."
                if abs(found.constant) > 1e-6
                else "Neither drops a constant that the other one keeps."
            )
        if found.left_out:
            facts.append(f"Left out: {found.left_out} places at which one of them can't be evaluated or loses digits.")
        for fact in facts:
            yield from textwrap.wrap(fact, width, initial_indent="  ", subsequent_indent="    ")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; a number that is not finite becomes None."""
        found = asdict(self.verdict)
        numbers = {
            key: value if not isinstance(value, float) or np.isfinite(value) else None for key, value in found.items()
        }
        numbers["values"] = [value if np.isfinite(value) else None for value in found["values"]]
        return {"programs": list(self.names), **numbers}


def same(question: Question, *, timeout: float | None = TIMEOUT, memory_limit: int | None = None) -> Answer:
    """Compare two programs by the gate; each lives in a process of its own.

    Parameters
    ----------
    question : Question
        Which programs, on which data.
    timeout : float, optional
        Seconds that a build, or a step of the comparison, may take; None lets them run.
    memory_limit : int, optional
        Bytes that either process may hold; None lets them grow.

    Raises
    ------
    DataError
        If one of them can't be used, or their parameters have different names or shapes.
    """
    names = question.names
    sides = [question.side(number) for number in (0, 1)]
    for backend, _ in sides:
        if reason := backend.unavailable():
            raise DataError(f"{backend.name}: {reason}")
    workers: list[Worker] = []

    def start(number: int) -> Any:
        backend, model = sides[number]
        worker = Worker(backend, timeout=timeout, memory_limit=memory_limit)
        workers.append(worker)
        try:
            description = worker.describe(model, question.dataset, timeout)
            worker.prepare(model, question.dataset, timeout)
        except WorkerError as error:
            why = _explained(error, question.programs[number], question.dataset)
            raise DataError(f"{names[number]} can't be used: {why}") from error
        return worker, description

    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = (future.result() for future in [pool.submit(start, number) for number in (0, 1)])
        compare_names(first[1], second[1], names)
        return Answer(names, _compare(first[0], second[0], names, timeout))
    finally:
        for worker in workers:
            worker.close()


def _compare(leader: Worker, other: Worker, names: tuple[str, str], timeout: float | None) -> Verdict:
    try:
        try:
            typical = leader.explore(TYPICAL, 19, timeout)
        except WorkerError as error:
            if error.status != "failed":
                raise
            typical = np.empty((0, leader.dimension()))
        visits = visit(leader, leader.dimension(), typical)
        found = other.follow(visits.places)
        outside = [
            *supports(visits, leader, other, other.dimension(), names),
            *jacobians(visits, leader, other, names),
        ]
        return judge(visits, visits.found, found, (leader.densities, other.densities), leader, names, outside)
    except WorkerError as error:
        return Verdict("unknown", 0, 0, reasons=[str(error).splitlines()[0]])


def _explained(error: WorkerError, program: Program, dataset: Dataset) -> str:
    """Return what went wrong in one line, with the line of the program and what the data hold where that helps."""
    text = str(error)
    message = [line.strip() for line in text.partition("Traceback (most recent call last)")[0].splitlines()]
    said = [line for line in message if line and not set(line) <= set("-^ ")]
    first = said[0].removeprefix("DataError: ").removeprefix("RuntimeError: ")
    if len(said) > 1 and first.endswith(":"):  # a compiler says at the end what it expected
        first += f" {said[-1]}"
    if lines := re.findall(rf'File "{re.escape(str(program.path))}", line (\d+)', text):
        first += f" (line {lines[-1]})"
    if re.search(r"KeyError|unknown|missing|does not exist|not found", first):
        first += f"; the data hold {', '.join(dataset.data) or 'nothing'}"
    return first
