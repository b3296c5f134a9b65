"""The workers that tests share, and a word on backends that were never tried."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.backends import BACKENDS
from bench.families.normal_means.forms import MODELS
from bench.running.isolation import Worker, Workers
from tests.running.jobs import Outside

REQUIRED = set(filter(None, os.environ.get("HIERBENCH_REQUIRE", "").split(",")))
"""Backends that must be available here: their tests fail instead of being skipped."""

OFTEN = frozenset({"noncentered", "zerosum_centered", "finite_marginal"})
ONE, NONE = frozenset({"zerosum_centered"}), frozenset[str]()
COMPILE = ("pymc", "nutpie", "pystan", "cmdstan", "numpyro", "blackjax")
ALWAYS = {
    "test_contract": {**dict.fromkeys(COMPILE, ONE), "blackjax": NONE},
    "test_gate": {**dict.fromkeys(COMPILE, NONE), "pymc": ONE},
}
"""Engines that compile for seconds, and the models of normal_means that they are always tried on; others on `OFTEN`.

Under the marker `slow` the contract has `OFTEN` for these, and the gate all models. For the gate they all compile what
they compile for the contract, and BlackJAX shares all with NumPyro but its sampler.
"""

FIRST = (
    *("test_harness", "test_long_fits", "pystan", "test_recommend", "test_versions", "test_versions_decided"),
    *("numpyro", "blackjax", "pymc", "nutpie"),
)
"""What takes longest. An engine's tests of contract and gate are a group: what it compiled serves all of them."""

WorkerOf = Callable[[str], Worker]


def pytest_configure(config: pytest.Config) -> None:
    if not __debug__:
        raise pytest.UsageError("tests need their asserts; run them without -O, -OO and PYTHONOPTIMIZE")
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        del os.environ[name]  # the runs that tests start are none of xdist's
    config.option.loadscopereorder = False  # groups begin in the order of `FIRST`, not with the most tests
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children would ignore Ctrl-C
    if unknown := REQUIRED - BACKENDS.keys():
        raise pytest.UsageError(f"HIERBENCH_REQUIRE names {', '.join(unknown)}; the backends are {', '.join(BACKENDS)}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow most models of the contract and the gate, and say what runs in one process, the longest first."""
    items[:] = [item for item in items if not _left_out(item.path.stem, set(_ids(item.nodeid)))]
    first = {group: place for place, group in enumerate(FIRST)}
    items.sort(key=lambda item: first.get(_group(item.nodeid), len(FIRST)))  # at the end they would run alone
    for item in items:
        if _seldom(item.path.stem, item.name, set(_ids(item.nodeid))):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run what shares something costly in one process; pytest-xdist's own groups are none with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            alone = config.option.markexpr != "not slow" and _suite(nodeid) not in ALWAYS  # slow ones wait for no group
            return nodeid if alone else _group(nodeid)

    return ByGroup(config, log)


def _group(nodeid: str) -> str:
    """Name what runs in one process: an engine's tests of the contract and of the gate, or a file."""
    suite = _suite(nodeid)
    engines = [name for name in _ids(nodeid) if name in BACKENDS] if suite in ALWAYS else []
    return engines[0] if engines else suite


def _suite(nodeid: str) -> str:
    return Path(nodeid.partition("::")[0]).stem


def _left_out(suite: str, named: set[str]) -> bool:
    """Whether an engine that compiles for long would be tried on a model that tells of its contract what others do.

    Whether it evaluates each model rightly is asked by the gate, of all; but BlackJAX evaluates as NumPyro does.
    """
    if suite == "test_gate" and "blackjax" in named:
        return bool(named & MODELS.keys() - ONE)
    if suite != "test_contract" or not named.intersection(COMPILE):
        return False
    return "unbalanced" in named or bool(named & MODELS.keys() - OFTEN)  # of other shapes, which the gate asks of too


def _seldom(suite: str, test: str, named: set[str]) -> bool:
    """Whether a test compiles for long what others that are always run compile too."""
    if suite == "test_contract" and "test_data_of_other_sizes" in test:
        return bool(named.intersection(COMPILE))
    if suite in ALWAYS:
        often = OFTEN.intersection(*(ALWAYS[suite].get(engine, OFTEN) for engine in named & BACKENDS.keys()))
        return not often or bool(named & MODELS.keys() - often)
    if suite == "test_families" and "pymc" in named:
        return not (named & ONE and "normal_means" in named)
    return False


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """One worker a backend; what it compiled serves all tests."""
    workers = Workers()
    yield workers
    workers.close()


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    """A scheduler of Dask and its workers, in processes of their own."""
    started = Outside(tmp_path)
    yield started
    started.close()


@pytest.fixture(scope="session")
def worker_of(workers: Workers) -> WorkerOf:
    """Return the worker of a backend, or skip the test where that is unavailable."""

    def get(name: str) -> Worker:
        reason = BACKENDS[name].unavailable()
        if reason and name in REQUIRED:
            pytest.fail(f"{name} is required by HIERBENCH_REQUIRE and unavailable: {reason}")
        if reason:
            pytest.skip(f"{name}: {reason}")
        return workers[BACKENDS[name]]

    return get


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for group in terminalreporter.stats.values() for report in group]
    contract = [r for r in reports if isinstance(r, pytest.TestReport) and "backends/test_contract.py" in r.nodeid]
    tried = {word for r in contract if r.when == "call" and not r.skipped for word in _ids(r.nodeid)}
    never = [name for name in BACKENDS if name not in tried and any(name in _ids(r.nodeid) for r in contract)]
    if never:
        reasons = [f"{name} ({BACKENDS[name].unavailable() or 'all its tests were skipped'})" for name in never]
        terminalreporter.write_line(f"backends without a single contract test: {'; '.join(reasons)}")


def _ids(nodeid: str) -> list[str]:
    return nodeid.partition("[")[2].rpartition("]")[0].split("-")
