"""`hierbench recommend`: spend a budget on a reader's table or model, and say what to put into production."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

from bench.comparing.by_map import ByMap
from bench.comparing.recommendation import Recommendation
from bench.deciding.bakeoff import bake_off
from bench.deciding.questions import Question
from bench.files import write
from bench.records import RUNS, Record, RunError, find_run, named, read_run
from bench.report.page import write_report
from bench.report.recommendation_page import write_page
from bench.report.terminal import fit_outcome
from bench.running.run import Plan, Run
from bench.settings import Settings
from bench.words import printable

LADDER = (0.95, 0.99)
"""Target acceptances tried in turn where no model is healthy at the default one."""
WORTH_IT = 0.5
"""Share of the budget that must be left to try the next one."""


def recommend(
    question: Question,
    command: Sequence[str],
    say: Callable[[str], None],
    *,
    resume: str | None = None,
    runs: Path = RUNS,
) -> Recommendation:
    """Measure within the budget and answer.

    The run's folder gets the pages of every run, and beside them `recommendation.html`, `recommendation.json` and the
    programs. Ctrl-C ends the measuring; the answer is then given from what there is. Where no model is healthy at the
    default target acceptance, all is measured again, as a run of its own, at the higher ones of `LADDER`.

    Parameters
    ----------
    question : Question
        What is asked.
    command : sequence of str
        The command line, to run it again.
    say : callable
        Prints a line of progress.
    resume : str, optional
        Run to go on with.
    runs : Path
        Folder of all runs.

    Raises
    ------
    UsageError, DataError, RunError
        If something can't be asked or written, or nothing could be measured.
    """
    started = time.monotonic()
    ladder = _ladder(question, resume, runs)
    plan = question.plan(ladder[0])
    maps = question.by_map(plan.backends)
    for line in _introduction(question, plan, maps):
        say(line)
    for target, following in zip_longest(ladder, ladder[1:]):
        plan = question.plan(target)
        run = Run(plan, command, resume, runs=runs)
        try:
            left = question.budget - (time.monotonic() - started)
            again = following is not None and left > question.budget * WORTH_IT
            if not bake_off(run, question.target, question.forms, left, partial(_tell, say), stop=again):
                break
            said = target or Settings().target_accept
            say(f"no model is healthy at target accept {said:g}; all again at {following:g}")
        except KeyboardInterrupt:
            say(f"stopped; the answer is from what there is, and --resume {named(run.journal.folder)} goes on")
            break
        except RunError as error:  # a disk that is full; what was measured before is worth an answer
            return _written(question, plan, run, maps, [str(error)])
        finally:
            run.close()
    return _written(question, plan, run, maps, [])


def _written(question: Question, plan: Plan, run: Run, maps: tuple[ByMap, ...], notes: list[str]) -> Recommendation:
    """Answer from the records of a run, and put the answer into its folder; an error there does not cost the answer."""
    folder = run.journal.folder
    records = run.journal.records
    if not any(record.status == "ok" for record in records):
        if records and all(record.status != "timeout" for record in records):
            why = "; ".join(
                f"{record.model} on {record.backend}: {record.status}: {printable(record.reason.splitlines()[0])}"
                for record in records
            )
            raise RunError(f"nothing could be fit: {why}")
        raise RunError(
            f"no fit ended within the budget of {question.budget:g} s; type: --budget "
            f"{max(60.0, 4 * question.budget):g} --resume {named(run.journal.folder)}"
        )
    answer = replace(_answered(question, plan, records), by_map=maps, folder=folder)
    notes += [run.journal.lost] if run.journal.lost else []
    try:
        write_report(folder, records, run.journal.asked)
        write_page(folder, answer)
        write(folder / "recommendation.json", json.dumps(answer.to_dict(), indent=1) + "\n")
        for name, text in answer.programs.items():
            write(folder / name, text)
    except Exception as error:  # whatever the pages stumble over, the fits were paid for
        notes.append(f"not all pages were written, for {type(error).__name__}: {error}")
    return replace(answer, notes=tuple(notes))


def _ladder(question: Question, resume: str | None, runs: Path) -> list[float | None]:
    """Target acceptances to try: the one that was typed, that of the run to go on with, or all, the default first."""
    if "target_accept" in question.asked.overrides:
        return [None]
    if resume is None:
        return [None, *LADDER]
    return [read_run(find_run(resume, runs)).get("asked", {}).get("overrides", {}).get("target_accept")]


def _answered(question: Question, plan: Plan, records: list[Record]) -> Recommendation:
    cases = [f"{case.model.name} on {case.backend.name}" for case in plan.cases]
    answer = Recommendation.of(
        records, question.target, question.target_ess, cases, forms=question.forms, about=question.about
    )
    return replace(answer, programs=dict(question.programs(plan, answer)))


def _introduction(question: Question, plan: Plan, maps: tuple[ByMap, ...]) -> Iterator[str]:
    yield question.summary
    yield from (each.line for each in maps)
    yield from (f"without {name}: {printable(reason)}" for name, reason in plan.missing.items())
    names = ", ".join(dict.fromkeys(case.backend.name for case in plan.cases))
    yield f"measuring for up to {question.budget:g} s on {names}; Ctrl-C ends it, with the answer so far"


def _tell(say: Callable[[str], None], record: Record) -> None:
    result = "stopped, for the budget is used" if record.status == "timeout" else fit_outcome(record)
    say(f"  {record.model + ' on ' + record.backend:<40}{result}")
