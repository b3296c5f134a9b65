"""What each command of `hierbench` does: options in, lines printed, an exit code out."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from bench.comparing.comparison import Comparison
from bench.files import write
from bench.records import RUNS, Record, find_run, named, read_records, read_run
from bench.settings import Limits, overrides
from bench.words import printable

POSTERIORS = (("superpopulation", "finite_population"), ("independent", "correlated", "between"))
"""What `recommend --posterior` knows, without and with `--slope-column`; the first is the default."""


def failed(why: str, code: int) -> int:
    """Say on standard error why a command failed, and return its exit code.

    Parameters
    ----------
    why : str
        The cause, the value received and what to type; a line or more.
    code : int
        To end with.
    """
    with suppress(OSError):
        print(*map(printable, f"hierbench: {why}".split("\n")), sep="\n", file=sys.stderr, flush=True)
    return code


def _given(options: argparse.Namespace, names: Sequence[str]) -> str:
    """Return those of some options that were typed, as they are typed."""
    typed = [name for name in names if getattr(options, name) is not None and getattr(options, name) is not False]
    return " ".join("--try" if name == "tried" else f"--{name.replace('_', '-')}" for name in typed)


def _doctor(options: argparse.Namespace) -> int:
    from bench.backends import BACKENDS
    from bench.running.environment import environment

    machine = environment()
    print(f"Python {machine['python']} on {machine['system']}, {machine['cpu']}, {machine['cores']} cores")
    for name, backend in BACKENDS.items():
        reason = backend.unavailable()
        if reason is None:
            versions = ", ".join(f"{package} {version}" for package, version in backend.versions().items())
            named = f"  (asked for by name: --backend {name})" if backend.default == "never" else ""
            print(f"{name:<12} ready    {versions}{named}")
        else:
            print(f"{name:<12} missing  {reason}")
    return 0


def _same(options: argparse.Namespace) -> int:
    from bench.deciding.same import Question, same

    if options.posteriordb is not None:
        return _same_all(options)
    of_many = ("posterior", "fit_timeout", "memory_limit", "cores", "output")
    if said := _given(options, of_many):
        raise ValueError(f"{said}: only for a checkout of posteriordb; add --posteriordb PATH")
    if not options.path:
        raise ValueError("nothing to compare; name a folder or programs, or a checkout: --posteriordb PATH")
    answer = same(Question.read(options.path))
    print(json.dumps(answer.to_dict(), indent=1) if options.json else "\n".join(answer.lines()))
    return answer.code(strict_numerics=options.strict_numerics)


def _same_all(options: argparse.Namespace) -> int:
    from bench.deciding.equality_table import Row, code, compare_all, summary, to_dict
    from bench.families.posteriordb import LIMIT_GIB, LIMIT_SECONDS, Checkout

    if options.path:
        raise ValueError(f"{options.path[0]} and --posteriordb; give one of them")
    seconds = LIMIT_SECONDS if options.fit_timeout is None else options.fit_timeout
    memory = LIMIT_GIB if options.memory_limit is None else options.memory_limit
    limits = Limits.typed(seconds, memory)
    cores = (os.cpu_count() or 1) if options.cores is None else options.cores
    if cores < 1:
        raise ValueError(f"--cores is {cores}; give 1 or more")
    folder = options.output or RUNS.parent / "same"
    checkout = Checkout.read(options.posteriordb, options.posterior)
    say = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    for note in checkout.notes():
        say(printable(note))
    total = len(checkout.entries)

    def tell(row: Row, done: int) -> None:
        say(printable(f"[{done:>{len(str(total))}}/{total}] {row.line()}"))

    rows = compare_all(checkout, options.posteriordb, folder, limits, cores, tell)
    say(f"{summary(rows)}; table.md, table.csv and table.json are in {printable(str(folder))}")
    if options.json:
        print(json.dumps(to_dict(rows, checkout), indent=1))
    return code(rows, strict_numerics=options.strict_numerics)


def _export(options: argparse.Namespace) -> int:
    from bench.report.export import export

    _write(json.dumps(export(find_run(options.run, options.runs)), indent=1) + "\n", options.output)
    return 0


def _report(options: argparse.Namespace) -> int:
    from bench.comparing.crossover import is_map
    from bench.report.map_page import write_map
    from bench.report.page import write_report
    from bench.report.unhealthy import write_unhealthy

    folders = [find_run(name, options.runs) for name in options.run]
    if options.output is None and len(folders) > 1:
        raise ValueError("several runs have no folder of their own; name one: --output FOLDER")
    records = [record for folder in folders for record in read_records(folder)]
    if not records:
        raise ValueError(f"{folders[0].name} has no records; measure some first: --resume {named(folders[0])}")
    output = options.output or folders[0]
    if is_map(records):
        print(write_map(output, records, read_run(folders[0])))
        return 0
    if len(folders) == 1:
        write_unhealthy(folders[0], records, output, partial(_tell, sys.stdout))
    print(write_report(output, records, *map(read_run, folders)))
    return 0


def _compare(options: argparse.Namespace) -> int:
    from bench.comparing.compare import compare_runs
    from bench.comparing.sequential import decide_runs
    from bench.deciding.decide import Decide

    if len(options.run) > 2:
        raise ValueError(f"{len(options.run)} runs; give A and B, or one run with --by backend, model or case")
    if len(options.run) == 1 and options.by == "version":
        raise ValueError("one run has nothing to compare with; name a second one, or add --by backend, model or case")
    decide = None if options.decide is None else Decide(options.decide, condition=options.fail_on)
    if decide is not None and len(options.run) == 2:
        raise ValueError(
            "two runs can't be gone on with in turn, only versions can: hierbench versions --try PINS "
            f"--decide {options.decide}"
        )
    folders = [find_run(name, options.runs) for name in options.run]
    a, *b = map(read_records, folders)
    rest = {"reference": options.reference, "anyway": options.anyway}
    if decide is None:
        result = compare_runs(a, b[0] if b else None, options.by, **rest)
    else:
        result = decide_runs(a, None, options.by, within=decide.within, is_open=decide.is_open, **rest)
    said, code = _held(options, [result])
    if options.json:
        print(json.dumps(result.to_dict(), indent=1))
    elif options.markdown:
        print(result.markdown(said), end="")
    else:
        print("\n".join(result.lines()))
    if decide is not None:
        print(decide.next_line(result, folders[0]), file=_beside(options))
    if said:
        print(said, file=_beside(options))
    return code


def _only_with_decide(options: argparse.Namespace) -> None:
    for name in ("budget", "max_replicates"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} only goes with --decide; add e.g. --decide 5%")


def _beside(options: argparse.Namespace) -> TextIO:
    """Return where progress and the like are printed: not where JSON or Markdown is."""
    return sys.stderr if options.json or options.markdown else sys.stdout


def _held(options: argparse.Namespace, comparisons: Sequence[Comparison]) -> tuple[str, int]:
    """Say whether the condition of `--fail-on` holds, with the exit code: 0 passes, 1 fails, 3 can't tell."""
    from bench.comparing.outcome import EXIT_CODES, outcome

    if options.fail_on is None:
        return "", 0
    found = outcome(comparisons, options.fail_on)
    passed = found.state == "can't tell" and options.undecided == "pass"
    return f"--fail-on {options.fail_on}: {found}", 0 if passed else EXIT_CODES[found.state]


def _exact(options: argparse.Namespace) -> int:
    import pandas as pd

    from bench.deciding.thread_page import exact_table

    _write(pd.DataFrame(exact_table()).to_csv(index=False), options.output)
    return 0


def _thread(options: argparse.Namespace) -> int:
    from bench.deciding.thread_page import thread_page

    _write(thread_page(read_records(find_run(options.run, options.runs))), options.output)
    return 0


def _slopes(options: argparse.Namespace) -> int:
    from bench.deciding.slopes_page import PICTURE, picture, slopes_page

    _write(slopes_page(read_records(find_run(options.run, options.runs))), options.output)
    if options.output is not None:
        _write(picture(), options.output.with_name(PICTURE))
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from bench.backends import BACKENDS
    from bench.deciding.calibrate import calibrate_all, limits, outcome, write_page
    from bench.families.registry import FAMILIES
    from bench.running.run import choose

    if options.simulations < 1:
        raise ValueError(f"--simulations is {options.simulations}; give 1 or more, e.g. 100")
    if options.seed < 0:
        raise ValueError(f"--seed is {options.seed}; give 0 or more")
    families = choose("family", options.family, FAMILIES)
    known = {name: model for family in families for name, model in family.models.items()}
    names = {model.name for model in choose("model", options.model, known)}
    backends = choose("backend", options.backend, BACKENDS)
    for backend in backends:
        if reason := backend.unavailable():
            raise ValueError(f"{backend.name}: {reason}")
    subjects = [
        (family, model, backend)
        for backend in backends
        for family in families
        for model in family.models.values()
        if model.name in names
    ]
    done = []
    say = partial(_tell, sys.stderr)
    allowed = Limits.typed(options.fit_timeout, options.memory_limit)
    calibrated = calibrate_all(
        subjects,
        options.simulations,
        options.seed,
        options.output,
        say,
        dask=options.dask,
        allowed=allowed,
    )
    for result in calibrated:
        done.append(result)
        values = "  ".join(f"{name} {p:.3f}" for name, p in result.p_values.items())
        print(f"{result.name:<40}{result.backend:<13}p-values of uniform ranks: {values}", flush=True)
    said, wrong = outcome(done)
    page = write_page(options.output, done, backends, options.seed)
    print("\n".join([*limits(done), f"page: {page}", "", f"{said}."]))
    return int(wrong)


def _history(options: argparse.Namespace) -> int:
    from bench.report.export import read_stored
    from bench.report.history_page import History, write_history

    def read(name: str) -> list[Record]:
        path = Path(name)
        return read_stored(path) if path.suffix == ".json" else read_records(find_run(name, options.runs))

    every = sorted(path.parent for path in options.runs.glob("*/run.json"))
    there = [folder for folder in every if not _made_by("map", folder)]  # its data are made for one fit each
    names = options.run or [
        str(folder) for folder in there if options.with_recommend or not _made_by("recommend", folder)
    ]
    runs = [records for name in names if (records := read(name))]
    left_out = 0 if options.run else len(there) - len(names)
    without = f"without {left_out:,} of hierbench recommend; to have them too: --with-recommend"
    if not runs and left_out:
        raise ValueError(f"no runs with records in {options.runs}, {without}")
    if not runs:
        raise ValueError(f"no runs with records in {options.runs}; make one: pytest bench/ --benchmark-only")
    measures = [options.measure] if options.measure else ["wall_seconds", "ess_per_second"]
    found = History.of(f"History of {len(runs):,} runs", runs, measures, options.by)
    page = write_history(options.output, found)
    if options.json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        print("\n".join(found.lines()), f"\n\npage: {page}")
        if left_out:
            print(without)
    return 0


def _made_by(name: str, folder: Path) -> bool:
    """Tell whether a run was made by a command of `hierbench`; `recommend` stops fits for its budget."""
    command: list[str] = read_run(folder).get("command", [])
    return command[:2] == ["hierbench", name]


def _versions(options: argparse.Namespace) -> int:
    from bench.comparing.outcome import limit
    from bench.deciding.decide import Decide
    from bench.deciding.gradients import Gradients, try_gradients
    from bench.deciding.matrix import read_matrix
    from bench.deciding.versions import VERSIONS, find_folder, read_folder, try_versions
    from bench.report.history_page import History

    if options.fail_on is not None:
        limit(options.fail_on)  # one that can't be read is refused before anything is measured
    if options.gradient and (options.decide is not None or options.resume is not None):
        raise ValueError(
            "--gradient takes seconds, is not resumed and makes --replicates; leave out --decide, --resume"
        )
    if options.gradient and options.dask is not None:
        raise ValueError("--dask is for fits; gradients are timed here: leave it out")
    if options.decide is not None and options.replicates is not None:
        raise ValueError("--decide makes as many as it takes; give --max-replicates N, not --replicates")
    decided = {"decide": options.decide, "max_replicates": options.max_replicates}
    folder = find_folder(options.resume, options.output or VERSIONS)
    given = overrides(lambda name: getattr(options, name))
    if options.resume is not None:
        if said := _given(options, ("tried", "family", "grid", "model", *given)):
            raise ValueError(f"{said}: a comparison goes on with what it asked; leave out what it is about")
        matrix = read_folder(folder)
        matrix = replace(matrix, replicates=max(matrix.replicates, options.replicates or 0))
        matrix = replace(matrix, **{name: value for name, value in decided.items() if value is not None})
    elif options.tried is None:
        raise ValueError("name what to try: --try pymc==5.28.5,pymc==6.4.0, or a TOML file")
    else:
        rest = {"families": options.family, "grid": options.grid, "replicates": options.replicates}
        matrix = read_matrix(options.tried, **rest, models=options.model, **given, **decided)
    decide = None
    if matrix.decide is not None:
        decide = Decide(matrix.decide, matrix.max_replicates, options.budget, options.fail_on)
    else:
        _only_with_decide(options)
    say = partial(_tell, _beside(options))
    found: Gradients | History
    try:
        if options.gradient:
            found = try_gradients(matrix, folder, say)
        else:
            found = try_versions(matrix, folder, say, decide, options.dask)
    except KeyboardInterrupt:
        where = "" if options.output is None else f" --output {shlex.quote(str(options.output))}"
        go_on = "" if options.gradient else f". Go on: --resume {folder.name}{where}"
        return failed(f"stopped; what was measured stays{go_on}", 130)
    said, code = _held(options, [each for _, each in found.comparisons])
    if options.json:
        print(json.dumps(found.to_dict(), indent=1))
    elif options.markdown:
        print(found.markdown(said), end="")
    else:
        page = folder / ("gradients.md" if options.gradient else "versions.html")
        print("\n".join(["", *found.lines(), "", f"page: {page}"]))
    if said:
        print(said, file=_beside(options))
    return code or int(len(found.notes) > 0)


def _map(options: argparse.Namespace) -> int:
    from bench.deciding.map import Survey, go_on, measure_map
    from bench.settings import Asked

    given = overrides(lambda name: getattr(options, name))
    seconds = Limits.typed(options.fit_timeout, None).seconds
    if options.resume is not None:
        names = ("posterior", "model", "backend", "seed", *given)
        if said := _given(options, names):
            raise ValueError(
                f"{said}: a map goes on with what it asked; leave out all but --budget, --fit-timeout and --dask"
            )
        survey = go_on(find_run(options.resume, options.runs), options.budget, seconds)
    else:
        survey = Survey(
            minutes=options.budget,
            models=options.model,
            backends=options.backend,
            posterior=options.posterior or POSTERIORS[0][0],
            asked=Asked(overrides=given, seed=1 if options.seed is None else options.seed, fit_timeout=seconds),
        )
    say = partial(_tell, sys.stdout)
    page = measure_map(survey, options.typed, say, resume=options.resume, runs=options.runs, dask=options.dask)
    print(f"page: {page}")
    return 0


def _recommend(options: argparse.Namespace) -> int:
    from bench.deciding.own_table import MeansQuestion, SlopesQuestion
    from bench.deciding.questions import PairQuestion, Question
    from bench.deciding.recommend import recommend
    from bench.report.recommendation_page import PAGE
    from bench.settings import Asked

    common: dict[str, Any] = {
        "target_ess": options.target_ess,
        "budget": options.budget,
        "models": options.model,
        "backends": options.backend,
        "asked": Asked(overrides=overrides(lambda name: getattr(options, name)), seed=options.seed),
    }
    question: Question
    if options.pair is not None:
        if options.table is not None:
            raise ValueError("a table and a pair; give one of them")
        of_table = ("group_column", "value_column", "slope_column", "posterior", "as_is")
        if said := _given(options, of_table):
            raise ValueError(f"{said}: only for a table; leave out what is not for --pair")
        question = PairQuestion(folder=options.pair, **common)
    elif options.table is None or options.group_column is None or options.value_column is None:
        raise ValueError(
            "name a table and its columns: hierbench recommend FILE --group-column NAME --value-column NAME, "
            "or your own programs: hierbench recommend --pair FOLDER"
        )
    else:
        known = POSTERIORS[options.slope_column is not None]
        posterior = options.posterior or known[0]
        if posterior not in known:
            what = "with" if options.slope_column else "without"
            raise ValueError(f"no posterior {posterior!r} {what} --slope-column; there are: {', '.join(known)}")
        table: dict[str, Any] = {
            "path": options.table,
            "group_column": options.group_column,
            "value_column": options.value_column,
            "posterior": posterior,
            "as_is": options.as_is,
        }
        if options.slope_column is None:
            question = MeansQuestion(**table, **common)
        else:
            question = SlopesQuestion(slope_column=options.slope_column, **table, **common)
    say = partial(_tell, sys.stderr if options.json else sys.stdout)
    answer = recommend(question, options.typed, say, resume=options.resume, runs=options.runs)
    for note in answer.notes:
        _tell(sys.stderr, f"hierbench: {printable(note)}")
    code = int(answer.first is None or len(answer.notes) > 0)
    if options.json:
        print(json.dumps(answer.to_dict(), indent=1))
        return code
    print()
    if answer.about is not None:
        print("\n".join(answer.about.lines), end="\n\n")
    print("\n".join(answer.measured_lines()))
    for name, text in answer.programs.items():
        path = answer.folder / name
        print(f"program: {path}" if path.exists() else f"{'-' * 20} {name}\n{text}")
    if (answer.folder / PAGE).exists():
        print(f"page:    {answer.folder / PAGE}")
    print("\n".join(["", *answer.lines()]))
    return code


def _tell(stream: TextIO, line: str) -> None:
    """Print a line of progress; where it can't be printed, what is measured is still worth measuring."""
    with suppress(OSError):
        print(line, file=stream, flush=True)


def _write(text: str, path: Path | None) -> None:
    if path is None:
        print(text, end="")
    elif path.exists() and not path.is_file():  # /dev/stdout
        with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    else:
        write(path, text)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "doctor": _doctor,
    "same": _same,
    "export": _export,
    "report": _report,
    "compare": _compare,
    "exact": _exact,
    "thread": _thread,
    "slopes": _slopes,
    "calibrate": _calibrate,
    "history": _history,
    "versions": _versions,
    "map": _map,
    "recommend": _recommend,
}
"""What each command does."""
