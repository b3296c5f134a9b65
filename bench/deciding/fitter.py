"""Fits in another environment, one at a time and as they are asked for: both ends of the pipe to it.

The process over there is a whole harness with a run of its own: gate, journal, page. So its records say what they would
say if somebody had typed the benchmark in that environment, and all environments can take turns fit by fit.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from bench.deciding.decide import Key
from bench.deciding.environments import Environment, start, why
from bench.families.registry import FAMILIES
from bench.records import read_run
from bench.report.page import write_report
from bench.running.measure import Replicates, keep
from bench.running.run import Plan, Run, choose
from bench.settings import Asked


class LostError(Exception):
    """The process in the other environment ended; the message says why."""


class Fitter:
    """The near end: a process in another environment that fits what it is told to.

    Parameters
    ----------
    environment : Environment
        Where it runs.
    folder : Path
        Of its run and of its log; a run that is there is gone on with.
    asked : mapping
        What `plan_of` reads.

    Attributes
    ----------
    cases : list of (str, str, str)
        All that it can be asked for.

    Raises
    ------
    LostError
        If it does not start.
    """

    def __init__(self, environment: Environment, folder: Path, asked: dict[str, Any]) -> None:
        """Start it, and wait for its cases."""
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log.txt"
        command = [str(environment.python), "-P", "-m", "bench.deciding.fitter", str(folder.resolve())]
        try:
            with self._log.open("wb") as log:
                self._process = start([*command, json.dumps(asked)], environment.variables, log)
        except OSError as error:
            raise LostError(f"its fits can't be started: {error}") from error
        self.cases: list[Key] = [(dataset, model, backend) for dataset, model, backend in self._answer()]

    def begin(self, case: Key, number: int) -> float | None:
        """Have a replicate of a case fitted, and return its seconds; None if there can be none.

        Parameters
        ----------
        case : tuple of str
            One of `cases`.
        number : int
            Of the replicate, from 0. Each number is begun in new workers: two processes of one version differ too.

        Raises
        ------
        LostError
            If the process ended instead; the same of `again` and `end`.
        """
        seconds = self._ask("begin", case, number)
        return None if seconds is None else float(seconds)

    def again(self) -> None:
        """Have the same fit made once more, so that its record has the mean of all times."""
        self._ask("again")

    def end(self) -> None:
        """Have its record made; it is on the disk afterwards."""
        self._ask("end")

    def close(self) -> None:
        """Let it write its page and end."""
        self._process.communicate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, *order: object) -> Any:
        assert self._process.stdin is not None
        with suppress(OSError):  # it is gone, and the answer says so
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            self._process.communicate()
            said = why(self._log.read_text(encoding="utf-8", errors="replace"))
            raise LostError(f"its fits ended with {self._process.returncode}: {said} (all of it: {self._log})")
        return json.loads(line)


def plan_of(asked: dict[str, Any]) -> Plan:
    """Return the plan that the far end was asked for.

    Parameters
    ----------
    asked : mapping
        `families`, `grid`, `models` and `backends` by name, and `overrides` of the settings.
    """
    families = choose("family", asked["families"], FAMILIES)
    data = [(each, each.datasets(asked["grid"] if len(each.grids) > 1 else each.grids[0])) for each in families]
    return Plan.make(data, asked["models"], asked["backends"], Asked(overrides=asked["overrides"]))


def serve(folder: Path, asked: dict[str, Any], orders: TextIO, answers: TextIO) -> None:
    """Be the far end: say which cases there are, then do what is ordered, until nothing more is.

    Parameters
    ----------
    folder : Path
        Of the runs.
    asked : mapping
        As in `plan_of`.
    orders : TextIO
        In each line a list: `begin`, a case and a number; `again`; or `end`.
    answers : TextIO
        A line for each order, once it is done.

    Raises
    ------
    RunError
        If a record can't be written, or the run that is there asked for something else.
    """

    def answer(value: object) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    plan = plan_of(asked)
    begun = [int(read_run(path.parent)["asked"]["replicates"]) for path in folder.glob("*/run.json")]
    if begun:
        plan = replace(plan, asked=replace(plan.asked, replicates=max(begun)))
    command = ["hierbench", "versions", "--resume", folder.parent.name]
    run = Run(plan, command, "latest" if begun else None, runs=folder)
    try:
        bench = _Bench(run, command)
        does: dict[str, Callable[..., object]] = {"begin": bench.begin, "again": bench.again, "end": bench.end}
        answer(list(bench.cases))
        for line in orders:
            order, *given = json.loads(line)
            answer(does[order](*given))
        if run.journal.records:
            write_report(run.journal.folder, run.journal.records, run.journal.asked)
    finally:
        run.close()


class _Bench:
    """What is ordered from the near end.

    Parameters
    ----------
    run : Run
        The open run.
    command : sequence of str
        That goes on with it.
    """

    def __init__(self, run: Run, command: Sequence[str]) -> None:
        self._run, self._command = run, command
        self.cases = {case.key: case for case in run.plan.cases}
        self._made: dict[Key, Replicates] = {}
        self._now: Replicates | None = None
        self._last: int | None = None

    def begin(self, key: Sequence[str], number: int) -> float | None:
        """Make a replicate, or record why there can be none; the gate is passed once a case."""
        run, case = self._run, self.cases[key[0], key[1], key[2]]
        if number != self._last:
            run.workers.close()
            self._last = number
        if number >= run.journal.asked["asked"]["replicates"]:
            run.journal.go_on(self._command, number + 1)
        self._now = None
        if refused := run.impossible(case):
            run.refuse(case, number, *refused)
            return None
        if case.key not in self._made:
            self._made[case.key] = Replicates(case, run.plan.asked, run.workers, run.equality)
        self._now = self._made[case.key]
        return self._now.begin(number)

    def again(self) -> None:
        """Make the same fit once more."""
        if self._now is not None:
            self._now.again()

    def end(self) -> None:
        """Keep the record."""
        if self._now is not None:
            keep(self._run.journal, self._now.end())


def main(arguments: Sequence[str]) -> None:
    """Serve over the standard streams; what libraries print goes to the log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Path(arguments[0]), json.loads(arguments[1]), sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
