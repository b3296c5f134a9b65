"""`hierbench versions`: the same fits in environments with other versions, side by side."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.deciding.decide import Case, Decide, in_rounds
from bench.deciding.environments import CHECKOUT, ROOT, Environment, NotMadeError, make_environment, run, why
from bench.deciding.matrix import Combination, Matrix
from bench.files import write
from bench.records import Record, RunError, new_run_id, read_records, read_run
from bench.report.compare import ALPHA, compare_runs
from bench.report.comparison import Comparison
from bench.report.history_page import History, write_history
from bench.report.matching import CompareError
from bench.report.sequential import LOOKS, decide_runs
from bench.settings import OPTIONS

VERSIONS = (ROOT if CHECKOUT else Path()) / "reports" / "versions"
MEASURED = ("wall_seconds", "ess_per_second")


def try_versions(matrix: Matrix, folder: Path, say: Callable[[str], None], decide: Decide | None = None) -> History:
    """Make an environment for each combination, fit in all of them in turn, and compare.

    Every replicate is made in all environments before the next one is, so that what the machine does hits all alike.
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
    trial = _Trial(matrix, folder, say, decide)
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
        self._ready, self.notes = make_environments(matrix, say)
        self._open: dict[Combination, set[Case]] | None = None

    def ask(self, number: int) -> bool:
        """Find the cases that need more replicates, by environment; before the first look all do."""
        assert self._decide is not None
        if number <= LOOKS[0]:
            return bool(list(Matrix.pairs(list(self._ready))))
        self._open = {combination: set() for combination in self._ready}
        tables = list(_decided(self._matrix, self._decide, _all_records(self._matrix, self._folder)))
        if not self._decide.fails([table for _, _, table in tables]):
            for a, b, table in tables:
                if a in self._ready and b in self._ready:  # one side alone would decide nothing
                    cases = self._decide.open_cases(table)
                    self._open[a] |= cases
                    self._open[b] |= cases
        return any(self._open.values())

    def fit(self, number: int) -> None:
        """Make a replicate in every environment: of the open cases alone, where it was asked which they are."""
        for combination, environment in list(self._ready.items()):
            folder = self._folder / combination.folder
            cases = None
            if self._open is not None:
                made = {record.key for record in _records(folder)}
                cases = [case for case in sorted(self._open[combination]) if (*case, number - 1) not in made]
                if not cases:
                    continue
            which = f"round {number}, {len(cases)} undecided cases" if cases else f"fits {number} of {self._most}"
            self._say(f"{which}: {combination.name}")
            if problem := _fit(self._matrix, combination, environment, folder, number, cases):
                self.notes.append(f"{combination.name}: {problem}")
                self._say(f"    {problem}")
                del self._ready[combination]


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


def _fit(
    matrix: Matrix,
    combination: Combination,
    environment: Environment,
    folder: Path,
    replicates: int,
    cases: Sequence[Case] | None = None,
) -> str | None:
    """Run the benchmark up to a number of replicates, of some cases or of all; return what went wrong."""
    begun = max((int(read_run(path.parent)["asked"]["replicates"]) for path in folder.glob("*/run.json")), default=0)
    if cases is None and replicates < begun:
        return None
    command = [
        *(str(environment.python), "-P", "-m", "bench", "-k", "test_sample", "-q"),
        *("--family", matrix.families, "--grid", matrix.grid, "--backend", ",".join(combination.backends)),
        *("--replicates", str(max(replicates, begun))),
        *("--runs", str(folder.resolve())),
    ]
    if matrix.models is not None:
        command += ["--model", matrix.models]
    for option in OPTIONS:
        if option.name in matrix.overrides:
            command += [option.flag, str(matrix.overrides[option.name])]
    if cases is not None:
        command += ["--case", ",".join(map("-".join, cases))]
    if begun:
        command += ["--resume"]
    done = run(command, environment.variables)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "log.txt", done.stdout)
    if done.returncode in (0, 1) and any(folder.glob("*/records.jsonl")):  # 1: some fit failed, and its record says why
        return None
    return f"pytest ended with {done.returncode}: {why(done.stdout)} (all of it: {folder / 'log.txt'})"


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
