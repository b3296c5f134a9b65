"""`hierbench versions`: the same fits in environments with other versions, side by side."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bench.deciding.decide import Case, Decide, in_rounds
from bench.deciding.environments import CHECKOUT, ROOT, Environment, NotMadeError, make_environment
from bench.deciding.fitter import Fitter, LostError
from bench.deciding.matrix import Combination, Matrix
from bench.files import write
from bench.records import Record, RunError, new_run_id, read_records
from bench.report.compare import ALPHA, compare_runs
from bench.report.comparison import Comparison
from bench.report.history_page import History, write_history
from bench.report.matching import CompareError
from bench.report.sequential import LOOKS, decide_runs

VERSIONS = (ROOT if CHECKOUT else Path()) / "reports" / "versions"
MEASURED = ("wall_seconds", "ess_per_second")
TOGETHER, REPEATS = 1.5, 10
"""A short fit is repeated in all environments in turn, until it took so many seconds in each or was made so often.

On a machine that others use, a fit of a tenth of a second tells how busy they were just then; turns that are as short
as that hit all versions alike.
"""
T = TypeVar("T")


def try_versions(matrix: Matrix, folder: Path, say: Callable[[str], None], decide: Decide | None = None) -> History:
    """Make an environment for each combination, fit in all of them in turn, and compare.

    Every replicate of a case is made in all environments, one after the other, before anything else is, and each of
    them in new processes: so what the machine does, and what is one process's own, hits all alike.
    What is there already, environments and fits, is not made again.

    Parameters
    ----------
    matrix : Matrix
        What to try.
    folder : Path
        Where the records and pages go; made if it is missing.
    say : callable
        Prints a line of progress.
    decide : Decide, optional
        Make as many replicates as it takes: after each look the undecided cases alone are fitted again. None makes
        those of the matrix.

    Raises
    ------
    RunError
        If no environment could be made or none gave records.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "versions.json", json.dumps(matrix.to_dict(), indent=1) + "\n")
    with _Trial(matrix, folder, say, decide) as trial:
        if decide is None:
            for number in range(1, matrix.replicates + 1):
                trial.fit(number)
        else:
            say(in_rounds(decide, trial.ask, trial.fit))
    return report(matrix, folder, trial.notes, decide)


def make_environments(matrix: Matrix, say: Callable[[str], None]) -> tuple[dict[Combination, Environment], list[str]]:
    """Make an environment for each combination; return those that could be made, and notes on the others.

    Parameters
    ----------
    matrix : Matrix
        What to try.
    say : callable
        Prints a line of progress.
    """
    ready, notes = {}, []
    for number, combination in enumerate(matrix.combinations, 1):
        say(f"[{number}/{len(matrix.combinations)}] environment {combination.name}")
        try:
            ready[combination] = make_environment(combination, say)
        except NotMadeError as error:
            notes.append(f"{combination.name}: no environment: {error}")
            say(f"    {error}")
    return ready, notes


class _Trial:
    """Environments that are fitted in, in turn, and what went wrong in them.

    Parameters
    ----------
    matrix, folder, say, decide
        As in `try_versions`.
    """

    def __init__(self, matrix: Matrix, folder: Path, say: Callable[[str], None], decide: Decide | None) -> None:
        self._matrix, self._folder, self._say, self._decide = matrix, folder, say, decide
        self._most = matrix.replicates if decide is None else decide.rounds
        self._environments, self.notes = make_environments(matrix, say)
        self._fitters: dict[Combination, Fitter] = {}
        self._open: dict[Combination, set[Case]] | None = None

    def __enter__(self) -> "_Trial":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for fitter in self._fitters.values():
            fitter.close() if kind is None else fitter.kill()

    def ask(self, number: int) -> bool:
        """Find the cases that need more replicates, by environment; before the first look all do."""
        assert self._decide is not None
        if number <= LOOKS[0]:
            return bool(list(Matrix.pairs(list(self._environments))))
        self._open = {combination: set() for combination in self._environments}
        tables = list(_decided(self._matrix, self._decide, _all_records(self._matrix, self._folder)))
        if not self._decide.fails([table for _, _, table in tables]):
            for a, b, table in tables:
                if a in self._environments and b in self._environments:  # one side alone would decide nothing
                    cases = self._decide.open_cases(table)
                    self._open[a] |= cases
                    self._open[b] |= cases
        return any(self._open.values())

    def fit(self, number: int) -> None:
        """Make a replicate of each case, in all environments in turn: of the open cases, where it is known which."""
        lacking = {each: self._lacking(each, number) for each in list(self._environments)}
        turns = dict.fromkeys(case for cases in lacking.values() for case in cases)
        if not turns:
            return
        fits = sum(map(len, lacking.values()))
        which = f"round {number} of {self._most}" if self._open is None else f"round {number}, undecided"
        self._say(f"{which}: {len(turns)} cases, {fits} fits")
        for case in turns:
            there = [combination for combination, cases in lacking.items() if case in cases]
            seconds = self._each(there, lambda fitter, case=case: fitter.begin(case, number - 1))  # type: ignore[misc]
            longest = max((each for each in seconds.values() if each is not None), default=math.inf)
            for _ in range(min(REPEATS, math.ceil(TOGETHER / longest)) - 1):
                self._each(there, lambda fitter: fitter.again())
            self._each(there, lambda fitter: fitter.end())

    def _each(self, there: Sequence[Combination], order: Callable[[Fitter], T]) -> dict[Combination, T]:
        """Give an order in some environments, one after the other; one that is lost meanwhile is told."""
        answers = {}
        for combination in there:
            if combination in self._fitters:
                try:
                    answers[combination] = order(self._fitters[combination])
                except LostError as error:
                    self._lose(combination, error)
        return answers

    def _lacking(self, combination: Combination, number: int) -> list[Case]:
        """Return the cases of an environment that lack a replicate; the first time it is asked, start its process."""
        folder = self._folder / combination.folder
        made = {record.key for record in _records(folder)}
        if self._open is not None and all((*case, number - 1) in made for case in self._open[combination]):
            return []
        if combination not in self._fitters:
            try:
                self._fitters[combination] = Fitter(
                    self._environments[combination], folder, self._matrix.asked(combination.backends)
                )
            except LostError as error:
                self._lose(combination, error)
                return []
        cases = self._fitters[combination].cases
        wanted = cases if self._open is None else [case for case in cases if case in self._open[combination]]
        return [case for case in wanted if (*case, number - 1) not in made]

    def _lose(self, combination: Combination, error: LostError) -> None:
        self.notes.append(f"{combination.name}: {error}")
        self._say(f"    {self.notes[-1]}")
        del self._environments[combination]
        self._fitters.pop(combination, None)


def report(matrix: Matrix, folder: Path, notes: Sequence[str] = (), decide: Decide | None = None) -> History:
    """Compare what the environments measured, and write the page and Markdown into the folder.

    Parameters
    ----------
    matrix : Matrix
        What was tried.
    folder : Path
        Where the records are and the pages go.
    notes : sequence of str
        What went wrong.
    decide : Decide, optional
        As in `try_versions`.

    Raises
    ------
    RunError
        If there are no records.
    """
    records = _all_records(matrix, folder)
    if not records:
        raise RunError("no environment gave a fit:\n  " + "\n  ".join(notes or ["none was tried"]))
    said = list(notes)
    comparisons = [
        (f"{a.name} (A) to {b.name} (B)", comparison) for a, b, comparison in _decided(matrix, decide, records, said)
    ]
    result = History.of(
        f"Versions: {', '.join(combination.name for combination in records)}",
        list(records.values()),
        MEASURED,
        "version",
        comparisons=tuple(comparisons),
        notes=tuple(said),
        how=_how(matrix, [record for found in records.values() for record in found]),
    )
    write_history(folder, result, "versions")
    return result


def _decided(
    matrix: Matrix,
    decide: Decide | None,
    records: Mapping[Combination, Sequence[Record]],
    said: list[str] | None = None,
) -> Iterator[tuple[Combination, Combination, Comparison]]:
    """Compare each combination with the first of its kind; tables of one command share its chance of a false alarm."""
    tables = len(list(Matrix.pairs(matrix.combinations)))
    for a, b in Matrix.pairs(list(records)):
        try:
            if decide is None:
                found = compare_runs(records[a], records[b], anyway=True)
            else:
                found = decide_runs(
                    records[a],
                    records[b],
                    within=decide.within,
                    alpha=ALPHA / tables,
                    is_open=decide.is_open,
                    anyway=True,
                )
        except CompareError as error:
            if said is not None:
                said.append(f"{a.name} and {b.name}: {error}")
            continue
        yield a, b, found


def _how(matrix: Matrix, records: Sequence[Record]) -> str:
    """Say what was measured, and on what."""
    target = {f"{record.settings.get('target_accept')}" for record in records}
    places = {name: {str(r.environment.get(name, "unknown")) for r in records} for name in ("python", "cpu", "cores")}
    said = {name: " and ".join(sorted(found)) for name, found in places.items()}
    if matrix.decide is None:
        many = f"{matrix.replicates} replicates"
    else:
        many = f"replicates until a case is decided within {matrix.decide}, at most {matrix.max_replicates}"
    return (
        f"{matrix.families}, grid {matrix.grid}, {many}, each made in all environments before "
        f"the next; target accept {' and '.join(sorted(target))}. Python {said['python']} on "
        f"{said['cpu']}, {said['cores']} cores."
    )


def _all_records(matrix: Matrix, folder: Path) -> dict[Combination, list[Record]]:
    """Read what each combination gave; those that gave nothing are left out."""
    return {each: found for each in matrix.combinations if (found := _records(folder / each.folder))}


def _records(folder: Path) -> list[Record]:
    return [record for path in sorted(folder.glob("*/records.jsonl")) for record in read_records(path.parent)]


def find_folder(name: str | None, root: Path) -> Path:
    """Return the folder of an earlier comparison by its id or path, or, without a name, that of a new one.

    Parameters
    ----------
    name : str, optional
        Id, path, or `latest`.
    root : Path
        Folder of all comparisons.

    Raises
    ------
    RunError
        If there is none.
    """
    if name is None:
        return root / new_run_id()
    known = sorted(path.parent for path in root.glob("*/versions.json"))
    for folder in (*known[-1:], root / name, Path(name)) if name == "latest" else (root / name, Path(name)):
        if (folder / "versions.json").exists():
            return folder
    newest = ", ".join(folder.name for folder in known[-5:]) or "none yet"
    raise RunError(f"no comparison of versions {name!r}; the newest are: {newest}")


def read_folder(folder: Path) -> Matrix:
    """Read what an earlier comparison tried."""
    try:
        values = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'versions.json'} can't be read: {error}") from error
    return Matrix.from_dict(values)
