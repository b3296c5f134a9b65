"""The harness as pytest sees it: options, parametrization, and the life of a run."""

import re
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.backends import BACKENDS
from bench.families.base import Dataset, Family
from bench.families.normal_means.data import GRIDS, read_table
from bench.families.pair import Pair
from bench.families.posteriordb import LIMIT_GIB, LIMIT_SECONDS, Checkout
from bench.families.registry import FAMILIES
from bench.files import open_terminal
from bench.records import RUNS, RunError, named
from bench.report.page import write_report
from bench.report.terminal import Progress, biased, sentence, summary
from bench.report.unhealthy import worst_fits
from bench.running.measure import Case
from bench.running.run import Plan, Run, UsageError, choose
from bench.settings import DASK, PROTOCOLS, Asked, Limits, add_options, overrides
from bench.words import printable

PLAN = pytest.StashKey[Plan]()
CASES = pytest.StashKey[list[Case]]()
RUN = pytest.StashKey[Run]()
INTERRUPTED = 130
CTRL_C = pytest.StashKey["CtrlC"]()
DEFAULT = "normal_means"
OTHERS = ("test_prepare", "test_gradient")
"""Benchmarks that run only where they are named."""
OWN = re.compile("--benchmark-(?!only$)")
"""Options of pytest-benchmark, which want its tables."""
NOTES = pytest.StashKey[list[str]]()
TIMES = f"default: 900; with --posteriordb {LIMIT_SECONDS:g}"
MEMORY = f"default: no limit; with --posteriordb {LIMIT_GIB:g}"


class CtrlC:
    """Remembers that Ctrl-C was pressed; what is refused, or what pytest itself interrupts, ends with 2."""

    pressed = False

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell Ctrl-C from its subclasses, which pytest raises too."""
        self.pressed = self.pressed or excinfo.type is KeyboardInterrupt


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the harness."""
    group = parser.getgroup("hierbench")
    add = group.addoption
    add("--family", metavar="NAMES", help=f"of {','.join(FAMILIES)} (default: {DEFAULT})")
    add("--grid", metavar="NAME", help=f"datasets of a family: for normal_means {', '.join(GRIDS)} (default: quick)")
    add("--pair", action="append", type=Path, default=[], metavar="FOLDER", help="your own Stan and PyMC program")
    add("--posteriordb", type=Path, metavar="PATH", help="a checkout of posteriordb: all that has both programs")
    add("--posterior", metavar="NAMES", help="of its posteriors, separated by commas (default: all)")
    add("--data", type=Path, metavar="FILE", help="your own table instead of a grid, CSV or Parquet")
    add("--group-column", metavar="NAME", help="its column of group labels")
    add("--value-column", metavar="NAME", help="its column of observations")
    add("--model", metavar="NAMES", help="names of models, separated by commas (default: all; five of normal_means)")
    add("--backend", metavar="NAMES", help=f"of {','.join(BACKENDS)} (default: all that run here, but JAX's)")
    option = "also run an engine with an option, e.g. nutpie:adaptation=low_rank; may be repeated"
    add("--engine-option", action="append", default=[], metavar="E:O=V", help=option)
    add("--case", metavar="IDS", help="single cases, dataset-model-backend, separated by commas (default: all)")
    add("--protocol", choices=PROTOCOLS, default="matched", help="same settings for all, or each backend's own")
    add("--replicates", type=int, default=1, metavar="N", help="fits of each, with a seed each (default: 1)")
    add("--seed", type=int, default=1, metavar="N", help="seed of the run (default: 1)")
    add_options(add)
    add("--fit-timeout", type=float, metavar="S", help=f"seconds a build or a fit may take; 0 is no limit ({TIMES})")
    add("--memory-limit", type=float, metavar="GIB", help=f"memory a worker may hold ({MEMORY})")
    add("--fail-on", choices=("biased",), help="end with 1 if a fit that looks healthy is off the truth")
    add("--save-draws", action="store_true", help="keep draws and sampler statistics as NetCDF")
    add("--resume", nargs="?", const="latest", metavar="RUN", help="measure what a run lacks (default: the latest)")
    add("--resume-anyway", action="store_true", help="resume although versions, data or settings differ")
    add("--runs", type=Path, default=RUNS, metavar="DIR", help="folder of all runs (default: reports/runs)")
    add("--dask", metavar="ADDRESS", help=DASK)
    add("--cold", action="store_true", help="also time builds with an empty cache, half a minute each")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what can't be measured, before anything is."""
    config.addinivalue_line("filterwarnings", "always:.*the last line was cut short")
    config.addinivalue_line("filterwarnings", "always:.*is there twice")
    config.addinivalue_line("markers", "cold: a build with an empty cache; runs with --cold only")
    open_terminal()
    config.stash[CTRL_C] = CtrlC()
    config.pluginmanager.register(config.stash[CTRL_C])
    option = config.getoption
    timeout, memory = option("fit_timeout"), option("memory_limit")
    public = option("posteriordb") is not None
    if timeout is None:
        timeout = LIMIT_SECONDS if public else 900
    if memory is None and public:
        memory = LIMIT_GIB
    try:
        allowed = Limits.typed(timeout, memory)
        asked = Asked(
            protocol=option("protocol"),
            overrides=overrides(option),
            seed=option("seed"),
            replicates=option("replicates"),
            fit_timeout=allowed.seconds,
            memory_limit=allowed.bytes,
            save_draws=option("save_draws"),
        )
        if asked.replicates < 1:
            raise UsageError(f"--replicates is {asked.replicates}; give 1 or more")
        families, config.stash[NOTES] = _families(option)
        config.stash[PLAN] = Plan.make(families, option("model"), option("backend"), asked, option("engine_option"))
        cases = {case.id: case for case in config.stash[PLAN].cases}
        config.stash[CASES] = choose("case", option("case"), cases)
    except ValueError as error:
        pytest.exit(printable(str(error)), returncode=2)
    others = option("cold") or any(_named(config, stem) for stem in OTHERS)
    if others and option("dask") is not None:
        pytest.exit("--dask is for fits; builds and gradients are timed here: leave it out", returncode=2)
    if not others and not any(OWN.match(argument) for argument in config.invocation_params.args):
        config.option.benchmark_quiet = True  # the table of fits is ours; with -v both are shown


def _named(config: pytest.Config, stem: str) -> bool:
    """Tell whether a benchmark beside that of fits was asked for by name."""
    return any(stem in argument for argument in config.invocation_params.args)


def _families(option: Callable[[str], Any]) -> tuple[list[tuple[Family, Sequence[Dataset]]], list[str]]:
    """Return the families that were asked for, each with its data, and what is to be said of those left out."""
    given: list[Family] = [Pair.read(folder) for folder in option("pair")]
    notes: list[str] = []
    if option("posteriordb") is not None:
        checkout = Checkout.read(option("posteriordb"), option("posterior"))
        given += checkout.entries.values()
        notes = checkout.notes()
    elif option("posterior") is not None:
        raise UsageError("--posterior names posteriors of a checkout; say where that is: --posteriordb PATH")
    found: list[tuple[Family, Sequence[Dataset]]] = [(family, family.datasets(family.grids[0])) for family in given]
    names = option("family")
    if option("data") is not None:
        if names is not None or option("grid") is not None:
            raise UsageError("--data is your own table, for normal_means; leave out --family and --grid")
        if option("group_column") is None or option("value_column") is None:
            raise UsageError("--data needs the names of two columns: --group-column NAME --value-column NAME")
        table = read_table(option("data"), option("group_column"), option("value_column"))
        return [(FAMILIES[DEFAULT], (table,)), *found], notes
    if names is None and option("grid") is None and found:
        return found, notes
    for family in choose("family", names or DEFAULT, FAMILIES):
        grid = option("grid") if option("grid") is not None and len(family.grids) > 1 else family.grids[0]
        if grid not in family.grids:
            raise UsageError(f"{family.name} has no grid {grid!r}; its grids are: {', '.join(family.grids)}")
        if family.default_models and grid == family.grids[0] and option("model") is None:
            called = [name for name in family.models if f"-{name}-" in (option("case") or "")]
            every, family = family.models, family.only([*family.default_models, *called])
            if others := [name for name in every if name not in family.models]:
                notes.append(f"without {', '.join(others)}: left out unless --model names them")
        found.append((family, family.datasets(grid)))
    return found, notes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every benchmark the cases of the plan."""
    if "case" in metafunc.fixturenames:
        cases = metafunc.config.stash[CASES]
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Fit first, so that a fit's record says what its build cost; time builds and gradients only where asked for."""
    cold = bool(config.getoption("cold"))

    def wanted(item: pytest.Item) -> bool:
        if item.get_closest_marker("cold"):
            return cold
        stem = item.path.stem
        return stem not in OTHERS or _named(config, stem) or (cold and stem == "test_prepare")

    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = sorted(filter(wanted, items), key=lambda item: item.path.name != "test_sample.py")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which backends and posteriors are not in this run, and why."""
    missing = [f"without {name}: {reason}" for name, reason in config.stash[PLAN].missing.items()]
    return [printable(f"hierbench: {line}") for line in [*missing, *config.stash[NOTES]]]


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest, progress: Progress) -> Iterator[Run]:
    """Open the run; its workers end with the session, however that ends, and its folder is released after the page."""
    config, plan = request.config, request.config.stash[PLAN]
    cluster = None
    try:
        if config.getoption("dask") is not None:
            cluster = plan.cluster(config.getoption("dask"), progress.say)
        opened = Run(
            plan,
            ["pytest", *config.invocation_params.args],
            config.getoption("resume"),
            anyway=config.getoption("resume_anyway"),
            runs=config.getoption("runs"),
            tell=progress.tell,
            cluster=cluster,
        )
    except RunError as error:
        if cluster is not None:
            cluster.close()
        pytest.exit("\n".join(map(printable, str(error).split("\n"))), returncode=2)
    config.stash[RUN] = opened
    cases = [item.callspec.params["case"] for item in _fits(request.session)]
    missing = [(case, number) for case in cases for number in opened.missing(case)]
    progress.skip(len(cases) * plan.asked.replicates - len(missing))
    opened.send(missing)
    yield opened
    opened.workers.close()
    if cluster is not None:
        cluster.close()


def _fits(session: pytest.Session) -> list[Any]:
    """Return the items that fit."""
    return [item for item in session.items if item.path.stem == "test_sample"]


@pytest.fixture
def runnable(case: Case) -> Case:
    """Skip what a backend can't run here, with its reason."""
    if refused := Run.impossible(case):
        pytest.skip(f"{case.backend.name}: {refused[1]}")
    return case


@pytest.fixture(scope="session")
def progress(request: pytest.FixtureRequest) -> Progress:
    """Print a line for each fit."""
    plugin = request.config.pluginmanager.get_plugin
    reporter: Any = plugin("terminalreporter")
    capture: Any = plugin("capturemanager")
    if request.config.get_verbosity() == 0:
        reporter.showfspath = False  # every fit has a line that says what it was
    total = len(_fits(request.session))

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line)

    return Progress(total * request.config.stash[PLAN].asked.replicates, write)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table a person can decide from, where the rest is, and last the sentence that the page begins with."""
    run = config.stash.get(RUN, None)
    if run is not None and run.journal.records:
        terminalreporter.section(f"hierbench: run {run.journal.id}")
        for line in summary(run.journal.records):
            terminalreporter.write_line(line)
        if run.journal.lost:
            terminalreporter.write_line(printable(run.journal.lost), red=True)
        terminalreporter.write_line(f"records: {run.journal.folder / 'records.jsonl'}")
        try:
            page = write_report(run.journal.folder, run.journal.records, run.journal.asked)
        except Exception as error:  # a full disk or whatever else: the records are safe, and pages can be made again
            why = printable(f"{type(error).__name__}: {error}")
            terminalreporter.write_line(f"no page, for {why}; then: hierbench report {named(run.journal.folder)}")
        else:
            terminalreporter.write_line(f"page:    {page}")
            if any(worst_fits(run.journal.records)):
                again = f"hierbench report {named(run.journal.folder)}"
                terminalreporter.write_line(f"why fits are unhealthy, in pictures: {again}")
        for line in _short(biased(run.journal.records)):
            terminalreporter.write_line(line, red=True)
        terminalreporter.write_line("")
        for line in sentence(run.journal.records):
            terminalreporter.write_line(line, bold=True)


def _short(lines: Sequence[str], most: int = 5) -> Sequence[str]:
    """Leave out what would fill the screen."""
    return lines if len(lines) <= most else [*lines[: most - 1], f"and {len(lines) - most + 1} cases more"]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """End with 130 after Ctrl-C, as programs do; with 1 for missing backends, rewritten records, or by `--fail-on`.

    Ctrl-C while pages are written is one too, and the last look at the folder comes after them. Then Ctrl-C ends the
    process at once: pytest would show a traceback, and nothing is left to be stopped.
    """
    run = session.config.stash.get(RUN, None)
    stopped = session.config.stash[CTRL_C].pressed
    incomplete, said = False, []
    try:
        yield
    except KeyboardInterrupt:
        stopped = True
        said.append(
            "stopped" if run is None else f"stopped; for its pages: hierbench report {named(run.journal.folder)}"
        )
    if run is not None:
        journal = run.journal
        incomplete = bool(journal.lost) or any(record.status == "unavailable" for record in journal.records)
        incomplete |= session.config.getoption("fail_on") == "biased" and bool(biased(journal.records))
        journal.lost = ""
        try:
            journal.close()
        except RunError as error:
            said.append(str(error))
        if journal.lost:
            said.append(f"{journal.lost}; for its pages: hierbench report {named(journal.folder)}")
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    for line in said:
        session.config.get_terminal_writer().line(printable(line), red=True)
    if stopped:
        session.exitstatus = INTERRUPTED
    elif incomplete or said:
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    """Leave out the dots: every fit has a line."""
    if report.when == "call" and report.passed:
        return report.outcome, "", "PASSED"
    return None


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, object]) -> None:
    """Leave the machine's name out of what is stored."""
    machine_info.pop("node", None)
