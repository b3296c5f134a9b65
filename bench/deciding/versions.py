"""`hierbench versions`: the same fits in environments with other versions, side by side."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.comparing.compare import ALPHA, compare_runs
from bench.comparing.comparison import Comparison
from bench.comparing.matching import CompareError
from bench.comparing.sequential import LOOKS, decide_runs
from bench.deciding.decide import Decide, Key, in_rounds
from bench.deciding.matrix import Combination, Matrix
from bench.deciding.turns import Turns, TurnsElsewhere, TurnsHere, records_of
from bench.records import RUNS, Record, RunError, new_run_id
from bench.report.history_page import History, write_history

VERSIONS = RUNS.parent / "versions"
MEASURED = ("wall_seconds", "ess_per_second")


def try_versions(
    matrix: Matrix, folder: Path, say: Callable[[str], None], decide: Decide | None = None, dask: str | None = None
) -> History:
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
    dask : str, optional
        Address of a cluster that makes the fits, as in `bench.running.cluster.Cluster`; a case has all its replicates
        on one machine. None makes them here.

    Raises
    ------
    RunError
        If no environment could be made or none gave records, or there is no such cluster.
    """
    turns = TurnsHere(matrix, folder, say) if dask is None else TurnsElsewhere(matrix, folder, say, dask)
    trial = _Trial(matrix, turns, decide)
    try:
        if decide is None:
            for number in range(1, matrix.replicates + 1):
                trial.fit(number)
        else:
            say(in_rounds(decide, trial.ask, trial.fit))
    except BaseException:
        turns.kill()
        raise
    turns.close()
    return report(matrix, folder, turns.notes, decide)


class _Trial:
    """Which replicates are made, of which cases and in which environments.

    Parameters
    ----------
    matrix, decide
        As in `try_versions`.
    turns : Turns
        What makes them.
    """

    def __init__(self, matrix: Matrix, turns: Turns, decide: Decide | None) -> None:
        self._matrix, self._turns, self._decide = matrix, turns, decide
        self._most = matrix.replicates if decide is None else decide.rounds
        self._open: dict[Combination, set[Key]] | None = None

    def ask(self, number: int) -> bool:
        """Find the cases that need more replicates, by environment; before the first look all do."""
        assert self._decide is not None
        ready = self._turns.ready
        if number <= LOOKS[0]:
            return bool(list(Matrix.pairs(ready)))
        self._open = {combination: set() for combination in ready}
        tables = list(_decided(self._matrix, self._decide, _all_records(self._matrix, self._turns.folder)))
        if not self._decide.fails([table for _, _, table in tables]):
            for a, b, table in tables:
                if a in ready and b in ready:  # one side alone would decide nothing
                    cases = self._decide.open_cases(table)
                    self._open[a] |= cases
                    self._open[b] |= cases
        return any(self._open.values())

    def fit(self, number: int) -> None:
        """Make a replicate of each case, in all environments in turn: of the open cases, where it is known which."""
        turns: dict[Key, list[Combination]] = {}
        for combination in self._turns.ready:
            for case in self._lacking(combination, number):
                turns.setdefault(case, []).append(combination)
        if not turns:
            return
        fits = sum(map(len, turns.values()))
        which = f"round {number} of {self._most}" if self._open is None else f"round {number}, undecided"
        self._turns.say(f"{which}: {len(turns)} cases, {fits} fits")
        self._turns.take(turns, number - 1)

    def _lacking(self, combination: Combination, number: int) -> list[Key]:
        """Return the cases of an environment that lack a replicate."""
        made = {record.key for record in records_of(self._turns.folder / combination.folder)}
        if self._open is not None and all((*case, number - 1) in made for case in self._open[combination]):
            return []
        cases = self._turns.cases(combination)
        wanted = cases if self._open is None else [case for case in cases if case in self._open[combination]]
        return [case for case in wanted if (*case, number - 1) not in made]


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
                found = compare_runs(records[a], records[b], alpha=ALPHA / tables, anyway=True)
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
    return {each: found for each in matrix.combinations if (found := records_of(folder / each.folder))}


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
