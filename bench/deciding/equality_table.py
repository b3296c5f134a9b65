"""`hierbench same --posteriordb`: the gate over all pairs of a checkout, and the table of its verdicts."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np

from bench.backends import BACKENDS
from bench.deciding.same import ENGINES, Question, same
from bench.families.base import DataError
from bench.families.posteriordb import Checkout, Entry
from bench.files import write
from bench.github import plain, table
from bench.lines import Lines
from bench.running.equality import NamesError
from bench.settings import Limits

VERDICTS = {
    "same": "same",
    "numerics": "same, but numerics part in the tail",
    "different": "different",
    "names": "names that differ",
    "unknown": "can't be evaluated",
}
JOURNAL = "verdicts.jsonl"


@dataclass(frozen=True)
class Row:
    """The verdict on one pair.

    Attributes
    ----------
    posterior : str
        Its name.
    verdict : str
        A key of `VERDICTS`.
    why : str
        Where they part, how names differ, or why nothing could be evaluated.
    mend : str
        Lines for `names.toml` that would match the names.
    places : int
        Places that were compared.
    error : float, optional
        Largest difference, relative.
    left_out : int
        Places at which a side could not be evaluated or loses digits.
    depends : dict of str to float
        Parameters that the difference depends on, and how large it gets.
    reference_draws : bool
        Whether there are some to grade fits against.
    seconds : float
        Spent on it.
    digest : str
        Of programs, data and versions: a row serves as long as they are the same.
    limits : list
        Seconds and bytes it was given; a pair that could not be evaluated is tried again with others.
    """

    posterior: str
    verdict: str
    why: str = ""
    mend: str = ""
    places: int = 0
    error: float | None = None
    left_out: int = 0
    depends: dict[str, float] = field(default_factory=dict)
    reference_draws: bool = False
    seconds: float = 0.0
    digest: str = ""
    limits: list[float | None] = field(default_factory=list)

    def line(self) -> str:
        """Return it as a line for a terminal."""
        found = f"at {self.places} places, to {self.error:.1e}" if self.error is not None and self.places else ""
        said = self.why or found
        mend = f"; if they are the same, into names.toml: {' / '.join(self.mend.splitlines())}" if self.mend else ""
        return f"{self.posterior}: {VERDICTS[self.verdict]}{f' ({said}{mend})' if said else ''}"


def code(rows: Sequence[Row], *, strict_numerics: bool = False) -> int:
    """Return the exit code: 0 all the same, 1 some are different, 2 can't tell of some.

    Parameters
    ----------
    rows : sequence of Row
        All verdicts.
    strict_numerics : bool
        Whether digits that one side loses count as a difference.
    """
    found = {row.verdict for row in rows}
    if "different" in found or (strict_numerics and "numerics" in found):
        return 1
    return 2 if found & {"names", "unknown"} else 0


def summary(rows: Sequence[Row]) -> str:
    """Count the verdicts in one line.

    Parameters
    ----------
    rows : sequence of Row
        All verdicts.

    Examples
    --------
    >>> summary([Row("a-a", "same"), Row("b-b", "different"), Row("c-c", "same")])
    '3 posteriors: 2 same, 1 different'
    """
    counts = Counter(row.verdict for row in rows)
    said = ", ".join(f"{counts[kind]} {words}" for kind, words in VERDICTS.items() if counts[kind])
    return f"{len(rows)} posteriors: {said}"


def compare_all(
    checkout: Checkout, path: Path, folder: Path, limits: Limits, cores: int, tell: Callable[[Row, int], None]
) -> list[Row]:
    """Compare every pair, each in a process of its own, and write the table.

    A verdict is on the disk before it is told; those that the folder holds already are not found again.

    Parameters
    ----------
    checkout : Checkout
        The pairs.
    path : Path
        Where it was read.
    folder : Path
        What is written: `verdicts.jsonl` as they come, in the end `table.json`, `table.csv` and `table.md`.
    limits : Limits
        What each may take.
    cores : int
        Pairs that are compared at the same time.
    tell : callable
        Called with each row, and the number of those that are done.

    Returns
    -------
    list of Row
        In the order of the checkout.

    Raises
    ------
    RunError
        If another process writes the folder, or it can't be written.
    """
    digests = {name: _digest(entry) for name, entry in checkout.entries.items()}
    with Lines(folder / JOURNAL) as journal:
        found = {
            row.posterior: row
            for row in _rows(journal.found)
            if row.digest == digests.get(row.posterior)
            and (row.verdict != "unknown" or row.limits == list(asdict(limits).values()))
        }
        for number, row in enumerate(found.values(), 1):
            tell(row, number)
        left = [name for name in checkout.entries if name not in found]
        for row in _found(left, checkout, digests, path, limits, cores):
            journal.append(asdict(row))
            found[row.posterior] = row
            tell(row, len(found))
    rows = [found[name] for name in checkout.entries]
    _write(rows, checkout, folder)
    return rows


def _digest(entry: Entry) -> str:
    versions = [sorted(BACKENDS[name].versions().items()) for name in ENGINES.values()]
    return sha256(repr((entry.model.digest, entry.dataset.digest, versions)).encode()).hexdigest()


def _rows(lines: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """Read a journal; lines that another version wrote are passed over."""
    for line in lines:
        with suppress(TypeError):
            yield Row(**line)


def _found(
    names: Sequence[str], checkout: Checkout, digests: dict[str, str], path: Path, limits: Limits, cores: int
) -> Iterator[Row]:
    """Yield a row for each pair as it comes; some are compared at the same time."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    waiting = list(names)
    at_work: dict[Any, tuple[str, Any, float]] = {}
    try:
        while waiting or at_work:
            while waiting and len(at_work) < cores:
                name = waiting.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_compare, args=(theirs, path, name, limits), daemon=True)
                process.start()
                theirs.close()
                at_work[ours] = (name, process, time.monotonic())
            oldest = min(started for _, _, started in at_work.values())
            left = None if limits.seconds is None else max(0.0, oldest + limits.seconds - time.monotonic())
            ready = wait(list(at_work), left)
            for ours, (name, process, started) in list(at_work.items()):
                spent = time.monotonic() - started
                if ours in ready:
                    try:
                        said = ours.recv()
                    except EOFError:
                        said = {"verdict": "unknown", "why": "the process that compared them was killed"}
                elif limits.seconds is not None and spent >= limits.seconds:
                    why = f"took longer than {limits.seconds:g} s and was stopped; for more: --fit-timeout"
                    said = {"verdict": "unknown", "why": f"{why} {4 * limits.seconds:g}"}
                else:
                    continue
                del at_work[ours]
                _end(ours, process)
                yield Row(
                    name,
                    **said,
                    reference_draws=checkout.entries[name].draws is not None,
                    seconds=round(spent, 2),
                    digest=digests[name],
                    limits=list(asdict(limits).values()),
                )
    finally:
        for ours, (_, process, _) in at_work.items():
            _end(ours, process)


def _end(connection: Any, process: Any) -> None:
    """Kill a process; the engines that it started end with it."""
    process.kill()
    process.join()
    connection.close()


def _compare(connection: Connection, path: Path, name: str, limits: Limits) -> None:
    """Compare one pair, in a process of its own, and send what a row says of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    entry = Checkout.read(path, name).entries[name]
    try:
        said = judged(entry, limits)
    except NamesError as error:
        mend = "\n".join(
            line.replace("[", f"[{entry.model.name}.", 1) if line[0] == "[" else line for line in error.lines
        )
        said = {"verdict": "names", "why": error.said, "mend": mend}
    except DataError as error:
        said = {"verdict": "unknown", "why": str(error).splitlines()[0]}
    connection.send(said)


def judged(entry: Entry, limits: Limits) -> dict[str, Any]:
    """Return what a row says of a pair that can be compared.

    Parameters
    ----------
    entry : Entry
        The pair.
    limits : Limits
        What its comparison may take.

    Raises
    ------
    DataError
        If it can't be compared.
    """
    model = entry.model
    programs: Any = (model.stan, model.pymc)
    options = {"names": model.renamed, "axes": model.axes, "unconstrained": model.unconstrained}
    answer = same(Question(programs, entry.dataset, options), timeout=limits.seconds, memory_limit=limits.bytes)
    verdict = answer.verdict
    return {
        "verdict": verdict.kind,
        "why": "; ".join(verdict.reasons),
        "places": verdict.places,
        "error": verdict.error if np.isfinite(verdict.error) else None,
        "left_out": verdict.left_out,
        "depends": verdict.depends,
    }


def to_dict(rows: Sequence[Row], checkout: Checkout) -> dict[str, Any]:
    """Return the table as plain JSON values.

    Parameters
    ----------
    rows : sequence of Row
        All verdicts.
    checkout : Checkout
        What they were found of.
    """
    return {
        "summary": summary(rows),
        "versions": {name: dict(BACKENDS[name].versions()) for name in ENGINES.values()},
        "posteriors": [asdict(row) for row in rows],
        "left_out": checkout.left_out,
    }


def _write(rows: Sequence[Row], checkout: Checkout, folder: Path) -> None:
    import pandas as pd

    write(folder / "table.json", json.dumps(to_dict(rows, checkout), indent=1) + "\n")
    shown = [f.name for f in fields(Row) if f.name not in ("digest", "limits")]
    frame = pd.DataFrame([{**asdict(row), "depends": json.dumps(row.depends)} for row in rows], columns=shown)
    write(folder / "table.csv", frame.to_csv(index=False))
    write(folder / "table.md", "\n".join(_markdown(rows, checkout)) + "\n")


def _markdown(rows: Sequence[Row], checkout: Checkout) -> Iterator[str]:
    yield "# Which pairs of posteriordb are the same posterior"
    yield ""
    yield f"{summary(rows)}."
    yield ""
    order = list(VERDICTS)
    yield from table(
        ("posterior", "verdict", "places", "error", "reference draws", "why"),
        (
            (
                row.posterior,
                VERDICTS[row.verdict],
                str(row.places or ""),
                "" if row.error is None else f"{row.error:.1e}",
                "yes" if row.reference_draws else "",
                f"{row.why}{'; into names.toml: ' if row.mend else ''}{row.mend}",
            )
            for row in sorted(rows, key=lambda row: (order.index(row.verdict), row.posterior))
        ),
    )
    for note in checkout.notes():
        yield ""
        yield plain(note)
