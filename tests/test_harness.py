"""The harness as its users call it: pytest in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.backends import BACKENDS
from bench.families.normal_means.forms import MODELS
from bench.records import Record, read_records, read_run
from bench.report.terminal import sentence
from tests.families.checkout import PYMC as COIN_PYMC
from tests.families.checkout import STAN as COIN_STAN
from tests.families.checkout import add, checkout
from tests.running.tiny import PYMC, STAN, write

ROOT = Path(__file__).parents[1]
FAST = ("--chains", "2", "--warmup", "200", "--draws", "200", "--backend", "stanli")

Done = subprocess.CompletedProcess[str]


def bench(runs: Path, *arguments: str, files: Sequence[str] = ("bench/test_sample.py",), **environment: str) -> Done:
    options = ("--benchmark-only", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *files, *options, "--runs", str(runs), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def only_run(runs: Path) -> Path:
    (folder,) = runs.iterdir()
    return folder


EVERY = ",".join(MODELS)


@pytest.mark.parametrize("models", ["centered", pytest.param(EVERY, marks=pytest.mark.slow, id="every one")])
def test_a_smoke_run_measures_models_prints_and_records(models: str, tmp_path: Path) -> None:
    runs, stored = tmp_path / "runs", tmp_path / "stored.json"
    asked = ("--grid", "smoke", *FAST, *(() if models == EVERY else ("--model", models)))
    done = bench(runs, *asked, "--benchmark-json", str(stored), files=("bench/",))
    assert done.returncode == 0, done.stdout + done.stderr
    folder = only_run(runs)
    records = read_records(folder)
    assert [record.model for record in records] == models.split(",")
    assert {record.status for record in records} == {"ok"}
    assert read_run(folder)["datasets"] == {"omega1-G5-n20-s41": records[0].dataset_digest}
    for at, record in enumerate(records, 1):
        assert f"[{at}/{len(records)}] {record.dataset} {record.model} stanli" in done.stdout
    assert "fastest healthy, superpopulation" in done.stdout
    assert "Name (time in" in done.stdout  # the table of pytest-benchmark, for its option was given
    assert f"page:    {folder / 'index.html'}" in done.stdout
    assert (folder / "index.html").exists()
    benchmarks = json.loads(stored.read_text())["benchmarks"]
    assert [b["extra_info"]["records"] for b in benchmarks] == [[record.to_dict()] for record in records]
    assert [b["stats"]["mean"] for b in benchmarks] == [record.wall_seconds for record in records]


@pytest.mark.slow
def test_gradients_are_timed_when_they_are_named(tmp_path: Path) -> None:
    stored = tmp_path / "stored.json"
    arguments = ("--grid", "smoke", "--backend", "stanli", "--model", "centered", "--benchmark-json", str(stored))
    done = bench(tmp_path / "runs", *arguments, files=("bench/test_gradient.py",))
    assert done.returncode == 0, done.stdout + done.stderr
    (benchmark,) = json.loads(stored.read_text())["benchmarks"]
    assert benchmark["name"].startswith("test_gradient[")
    assert benchmark["stats"]["rounds"] == 20
    assert benchmark["stats"]["iterations"] % 8 == 0  # passes over eight places


@pytest.mark.slow
def test_another_family_and_replicates_as_rounds(tmp_path: Path) -> None:
    stored = tmp_path / "stored.json"
    arguments = ("--family", "eight_schools", *FAST, "--replicates", "2", "--benchmark-json", str(stored))
    done = bench(tmp_path / "runs", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    records = read_records(only_run(tmp_path / "runs"))
    assert {(record.family, record.model) for record in records} == {
        ("eight_schools", name) for name in ("centered", "noncentered")
    }
    benchmarks = json.loads(stored.read_text())["benchmarks"]
    assert [benchmark["stats"]["rounds"] for benchmark in benchmarks] == [2, 2]
    assert [record.replicate for record in records] == [0, 1, 0, 1]
    times = [seconds for benchmark in benchmarks for seconds in benchmark["stats"]["data"]]
    for seconds, record in zip(times, records, strict=True):
        assert record.wall_seconds is not None
        assert seconds == record.wall_seconds


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, dict[str, Record]]:
    """One run of a reader's pairs: what it printed, and its records by folder and backend."""
    folder = tmp_path_factory.mktemp("pairs")
    renamed = STAN.replace("real<lower=0> s;", "real<lower=0> scale;").replace("s ~", "scale ~")
    renamed = renamed.replace("normal(m, s)", "normal(m, scale)").replace("m + s", "m + scale")
    written = [
        write(folder / "same"),
        write(folder / "differ", stan=STAN.replace("gamma(2, 2)", "gamma(2, 2.1)")),
        write(folder / "names", stan=renamed),
        write(folder / "typo", stan=STAN.replace("real m;", "real m")),
        write(folder / "stan alone", pymc=None),
        write(folder / "raises", pymc=PYMC.replace('"m", 0, 5', '"m", 0, no_such_name')),
    ]
    options = [word for path in written for word in ("--pair", str(path))]
    done = bench(folder / "runs", *options, *FAST, "--backend", "stanli,pymc")
    records = read_records(only_run(folder / "runs"))
    return done, {f"{record.dataset} {record.backend}": record for record in records}


@pytest.mark.slow
def test_every_pair_has_records_whatever_the_others_are(pairs: tuple[Done, dict[str, Record]]) -> None:
    done, records = pairs
    assert done.returncode == 1
    assert {name: record.status for name, record in records.items()} == {
        "same stanli": "ok",
        "same pymc": "ok",
        "differ stanli": "ok",
        "differ pymc": "mismatch",
        "names stanli": "ok",
        "names pymc": "mismatch",
        "typo stanli": "failed",
        "typo pymc": "ok",
        "stan_alone stanli": "ok",
        "raises stanli": "ok",
        "raises pymc": "failed",
    }
    assert "4 failed, 7 passed" in done.stdout
    assert {record.family for record in records.values()} == {"pair"}


@pytest.mark.slow
def test_a_pair_is_compared_across_languages_and_a_record_says_where_it_was_not(
    pairs: tuple[Done, dict[str, Record]],
) -> None:
    done, records = pairs
    gates = {name: record.gate or {} for name, record in records.items()}
    assert (gates["same pymc"]["with"], gates["same pymc"]["note"]) == ("stanli", "")
    assert gates["same pymc"]["places"] > 30
    assert gates["stan_alone stanli"]["note"].startswith("there is only a Stan program")
    assert gates["typo pymc"]["note"].startswith("the Stan program can't be used")
    assert gates["raises stanli"]["note"].startswith("the PyMC program can't be used (NameError")
    assert "Equality across languages was not tested for " in done.stdout
    assert set(records["same pymc"].quantities) == set(records["same stanli"].quantities) == {"m", "s", "z", "shifted"}


@pytest.mark.slow
def test_a_pair_that_cannot_be_timed_says_why(pairs: tuple[Done, dict[str, Record]]) -> None:
    done, records = pairs
    reasons = {name: record.reason for name, record in records.items()}
    assert reasons["differ pymc"].startswith("not the same posterior: the log density at ")
    assert "the difference depends on s (up to " in reasons["differ pymc"]
    assert '[names]\n  scale = "s"' in reasons["names pymc"]
    assert "Syntax error" in reasons["typo stanli"]
    assert "no_such_name" in reasons["raises pymc"]
    for name, record in records.items():
        assert (record.wall_seconds is None) == (record.status != "ok"), name
        if record.status != "ok":
            assert f"{record.status}: " in done.stdout


@pytest.mark.slow
def test_a_checkout_of_posteriordb_is_measured_and_what_is_broken_in_it_costs_itself_alone(tmp_path: Path) -> None:
    root = checkout(tmp_path) / "posterior_database"
    ran = tmp_path / "ran"
    trace = f"import sys, pathlib\npathlib.Path({str(ran)!r}).open('a').write(f'{{sys.orig_argv}}\\n')\n"
    add(root, "coin-traced", pymc=trace + COIN_PYMC)
    add(root, "coin-old", COIN_STAN.replace("real odds = rate / (1 - rate);", "real odds; odds <- rate / (1 - rate);"))
    add(root, "coin-stanonly", pymc=None)
    add(root, "list-fair", data="[1]")
    (root / "data" / "data" / "points.json.zip").write_text("no zip")
    fast = ("--chains", "4", "--warmup", "300", "--draws", "500", "--backend", "stanli,pymc")
    done = bench(tmp_path / "runs", "--posteriordb", str(tmp_path), *fast)
    assert done.returncode == 1
    header = done.stdout.partition("collected")[0]
    assert "hierbench: without coin-stanonly: no PyMC program" in header
    assert "hierbench: without points-line: " in header
    assert "is a broken zip" in header
    assert "4 of 5 posteriors have no reference draws" in header
    folder = only_run(tmp_path / "runs")
    records = {f"{record.dataset}-{record.model} {record.backend}": record for record in read_records(folder)}
    assert {name: record.status for name, record in records.items()} == {
        "coin-fair stanli": "ok",
        "coin-fair pymc": "ok",
        "coin-lies stanli": "ok",
        "coin-lies pymc": "mismatch",
        "coin-old stanli": "failed",
        "coin-old pymc": "ok",
        "coin-traced stanli": "ok",
        "coin-traced pymc": "ok",
        "list-fair stanli": "failed",
        "list-fair pymc": "failed",
    }
    for record in records.values():
        assert record.family == "posteriordb"
        assert record.target == f"{record.dataset}-{record.model}"
        assert record.kind == "other"
    coin, broken = records["coin-fair pymc"], records["list-fair pymc"]
    assert (coin.dimension, coin.sizes) == (1, {"values": 2})
    assert (broken.dimension, broken.sizes) == (None, {})
    assert "\nMost effective draws per second: " in done.stdout  # the page is one over many models
    for name in ("coin-fair stanli", "coin-fair pymc"):
        record = records[name]
        assert set(record.quantities) == {"rate", "odds"}
        assert record.grade is not None
        assert (record.grade["truth"], record.grade["source"]) == ("reference draws", "coin-fair.json.zip")
        assert record.grade["known"]["rate"]["mean"] == pytest.approx(9 / 24, abs=0.01)
        assert record.health or record.grade["graded"] >= 4
    assert records["coin-traced stanli"].grade is None
    assert "depends on rate" in records["coin-lies pymc"].reason
    assert "holds a list" in records["list-fair stanli"].reason
    asked = read_run(folder)["asked"]
    assert (asked["fit_timeout"], asked["memory_limit"]) == (120, 6 * 2**30)
    lines = ran.read_text().splitlines()
    assert lines
    assert all("bench.running.guard" in line for line in lines)  # programs of others run in workers alone
    again = bench(tmp_path / "runs", "--posteriordb", str(tmp_path), *fast, "--resume")
    assert "10 skipped" in again.stdout, again.stdout + again.stderr
    assert len(read_records(folder)) == 10


COLUMNS = ("--group-column", "g", "--value-column", "y")
KNOWN = ", ".join(BACKENDS)
REFUSED: dict[tuple[str, ...], str] = {
    ("--grid", "smoke", "--case", "centered"): "no case 'centered'; there are: omega1-G5-n20-s41-marginal-",
    ("--backend", "stan"): f"no backend 'stan'; there are: {KNOWN}",
    ("--family", "radio"): "no family 'radio'; there are: normal_means, eight_schools, radon",
    ("--model", "centred"): "no model 'centred'; there are: marginal, centered",
    ("--family", "eight_schools", "--model", "zerosum_centered"): "no model 'zerosum_centered'; there are: centered",
    ("--grid", "big"): "normal_means has no grid 'big'; its grids are: quick, smoke, thread, full",
    ("--memory-limit=inf",): "--memory-limit is inf; give",
    ("--chains", "0"): "chains is 0; give 1 or more (--chains 1)",
    ("--replicates", "0"): "--replicates is 0; give 1 or more",
    ("--data", "x.csv"): "--data needs the names of two columns: --group-column NAME --value-column NAME",
    ("--data", "x.csv", *COLUMNS): "x.csv: no such file",
    ("--data", "x.csv", *COLUMNS, "--grid", "full"): "--data is your own table, for normal_means; leave out --family",
    ("--pair", "nowhere"): "nowhere is no folder; give one that holds model.stan, model.py, data.json",
    ("--pair", "EMPTY"): "no program among no files; give model.stan and model.py",
    ("--pair", "BAD"): "data.json is not readable as JSON",
    ("--pair", "TOML"): "pair.toml: name is not known; it may hold names, axes",
    ("--pair", "GOOD", "--pair", "AGAIN"): "pair is asked for twice",
    ("--posteriordb", "nowhere"): "nowhere is no posteriordb; give the folder that holds posterior_database/posteriors",
    ("--posteriordb", "EMPTY"): "empty is no posteriordb; give the folder that holds posterior_database/posteriors",
    (
        "--posteriordb",
        "PUBLIC",
        "--posterior",
        "coin-fare",
    ): "no posterior coin-fare; there are 3, among them coin-fair",
    ("--posterior", "coin-fair"): "say where that is: --posteriordb PATH",
    ("--resume", "nothing", "--backend", "stanli"): "no run 'nothing'; the newest are: none yet",
}
"""What is asked, and what is said; words in capitals are folders."""

ALL = """
import json, os, sys, tempfile, pytest
from importlib.metadata import entry_points
import bench.families.registry, bench.report.page, bench.report.terminal, bench.running.run  # once, for all
for plugin in entry_points(group="pytest11"):
    __import__(plugin.module.partition(".")[0])
for arguments in json.load(sys.stdin):
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = pytest.main(arguments)
            sys.stdout.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        print(json.dumps([code, said.read()]), flush=True)
"""
"""Calls pytest with each of several lists of arguments, in a process of its own."""


def test_what_cannot_be_measured_is_refused_in_one_line_before_anything_is_sampled(tmp_path: Path) -> None:
    folders = {name: tmp_path / name.lower() for name in ("EMPTY", "BAD", "TOML", "GOOD", "AGAIN")}
    folders["EMPTY"].mkdir()
    write(folders["BAD"])
    (folders["BAD"] / "data.json").write_text("{")
    write(folders["TOML"])
    (folders["TOML"] / "pair.toml").write_text("[name]\n")
    write(folders["GOOD"])
    (tmp_path / "other").mkdir()
    folders["PUBLIC"] = checkout(tmp_path / "public")
    folders["AGAIN"] = write(tmp_path / "other" / "good")
    runs = tmp_path / "runs"
    options = ("--benchmark-only", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    command = ["bench/test_sample.py", *options, "--assert=plain", "--runs", str(runs)]
    asked = [[*command, *(str(folders.get(word, word)) for word in words)] for words in REFUSED]
    done = subprocess.run(
        [sys.executable, "-c", ALL], cwd=ROOT, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    for (words, said), line in zip(REFUSED.items(), done.stdout.splitlines(), strict=True):
        code, output = json.loads(line)
        assert code == 2, (words, output)
        assert said in output, words
        if "--resume" not in words:  # a run is looked for when the session has begun
            assert len(output.strip().splitlines()) == 1, output
    assert not runs.exists()


@pytest.mark.slow
def test_a_readers_table_with_text_labels_is_fit(tmp_path: Path) -> None:
    table = tmp_path / "my table.csv"
    rows = [f"school {'abc'[i % 3]}, {i % 3 + 0.1 * (i % 7)}" for i in range(60)]
    table.write_text("where,score\n" + "\n".join(rows))
    columns = ("--group-column", "where", "--value-column", "score")
    done = bench(tmp_path / "runs", "--data", str(table), *columns, *FAST, "--model", "centered")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = read_records(only_run(tmp_path / "runs"))
    assert "Name (time in" not in done.stdout
    *rest, end = done.stdout.strip().splitlines()
    assert "1 passed" in end
    said = sentence([record])
    assert rest[-len(said) :] == said
    assert record.dataset.startswith("my_table-")
    assert (record.sizes, record.generated_with) == ({"observations": 60, "groups": 3}, {})


@pytest.mark.slow
def test_single_cases_of_a_run_get_more_replicates_and_the_others_stay_as_they_are(tmp_path: Path) -> None:
    arguments = (*FAST, "--grid", "smoke", "--model", "centered,noncentered")
    assert bench(tmp_path, *arguments).returncode == 0
    first = read_records(only_run(tmp_path))
    case = "-".join(first[1].key[:3])
    done = bench(tmp_path, *arguments, "--resume", "--replicates", "2", "--case", case)
    assert done.returncode == 0, done.stdout + done.stderr
    more = read_records(only_run(tmp_path))
    assert [record.key for record in more] == [*(record.key for record in first), (*first[1].key[:3], 1)]
    assert read_run(only_run(tmp_path))["cases"] == 2
    done = bench(tmp_path, *arguments, "--resume", "--replicates", "2")
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("[4/4] ")]
    assert told.endswith("(the last)")  # what was there before is counted first


@pytest.mark.slow
def test_a_backend_that_cannot_run_is_skipped_with_its_reason_and_recorded(tmp_path: Path) -> None:
    nowhere = {"CMDSTAN": str(tmp_path / "nowhere"), "HOME": str(tmp_path)}
    arguments = ("--grid", "smoke", "--backend", "cmdstan", "--model", "centered")
    done = bench(tmp_path / "runs", *arguments, **nowhere)
    assert done.returncode == 1
    assert "1 skipped" in done.stdout
    assert "install_cmdstan" in done.stdout
    (record,) = read_records(only_run(tmp_path / "runs"))
    assert record.status == "unavailable"
    assert "install_cmdstan" in record.reason


@pytest.mark.slow
def test_the_default_run_is_60_fits_and_names_what_is_missing(tmp_path: Path) -> None:
    done = bench(tmp_path, "--collect-only", CMDSTAN=str(tmp_path), HOME=str(tmp_path))
    assert "without cmdstan: " in done.stdout
    assert "without zerosum_noncentered, finite_zerosum_centered, finite_zerosum_noncentered: " in done.stdout
    ids = [line for line in done.stdout.splitlines() if "<Function test_sample[" in line]
    assert len(ids) == len(set(ids))
    assert len([each for each in ids if "-pystan]" not in each]) == 60  # it is there where it is installed
    case = "omega1-G50-n20-s41-finite_zerosum_centered-stanli"  # of a model that is left out, but named
    assert f"<Function test_sample[{case}]" in bench(tmp_path, "--collect-only", "--case", case).stdout


@pytest.mark.slow
def test_builds_are_timed_when_they_are_named_and_cold_ones_when_asked_for(tmp_path: Path) -> None:
    arguments = ("--grid", "smoke", "--backend", "stanli", "--model", "centered")
    stored = tmp_path / "stored.json"
    warm = bench(tmp_path / "runs", *arguments, "--benchmark-json", str(stored), files=("bench/test_prepare.py",))
    assert warm.returncode == 0, warm.stdout + warm.stderr
    assert [b["name"].split("[")[0] for b in json.loads(stored.read_text())["benchmarks"]] == ["test_prepare_warm"]
    cold = bench(tmp_path / "runs", *arguments, "--cold", "--collect-only", "-q", files=("bench/",))
    assert "test_prepare_cold" in cold.stdout
    none = bench(tmp_path / "runs", *arguments, "--collect-only", "-q", files=("bench/",))
    assert "test_prepare" not in none.stdout


@pytest.mark.slow
def test_stock_runs_each_backend_with_its_own_defaults(tmp_path: Path) -> None:
    done = bench(
        tmp_path / "runs", "--grid", "smoke", "--backend", "stanli", "--model", "centered", "--protocol", "stock"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = read_records(only_run(tmp_path / "runs"))
    assert record.protocol == "stock"
    assert record.settings["chains"] == 4


EARLY = {
    "Ctrl-C": ("def pytest_collection_finish(): os.kill(os.getpid(), signal.SIGINT)", 130),
    "pytest's own": ("def pytest_collection_finish(session): raise session.Interrupted('enough')", 2),
}
"""What interrupts before a run was opened, and the exit code."""


@pytest.mark.parametrize("early", ["Ctrl-C", pytest.param("pytest's own", marks=pytest.mark.slow)])
def test_what_interrupts_before_there_is_a_run_leaves_none_and_says_which_it_was(tmp_path: Path, early: str) -> None:
    (tmp_path / "early.py").write_text(f"import os, signal\n{EARLY[early][0]}\n")
    plugins = os.pathsep.join((str(tmp_path), str(ROOT)))
    done = bench(tmp_path / "runs", "--grid", "smoke", *FAST, "-p", "early", PYTHONPATH=plugins)
    assert done.returncode == EARLY[early][1], done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()


LATE = {
    "KeyboardInterrupt": ("page.write_results = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)", 130),
    "deleted": ("page.write_results = lambda folder, records: shutil.rmtree(folder)", 1),
    "Ctrl-C after all": ("def pytest_unconfigure(): os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
}
"""What happens when every fit is made, and the exit code."""


@pytest.mark.slow
@pytest.mark.parametrize("late", LATE)
def test_what_happens_while_pages_are_written_costs_no_record_and_is_no_traceback(tmp_path: Path, late: str) -> None:
    (tmp_path / "late.py").write_text(f"import os, shutil, signal\nimport bench.report.page as page\n{LATE[late][0]}\n")
    runs, plugins = tmp_path / "runs", os.pathsep.join((str(tmp_path), str(ROOT)))
    done = bench(runs, "--grid", "smoke", "--model", "centered", *FAST, "-p", "late", PYTHONPATH=plugins)
    assert done.returncode == LATE[late][1], done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert [record.status for record in read_records(only_run(runs))] == ["ok"]
    assert (late == "deleted") == ("was deleted or replaced during the run" in done.stdout)
    assert (late != "Ctrl-C after all") == (f"hierbench report {only_run(runs).name}" in done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("more", "code"), [pytest.param((), 0, marks=pytest.mark.slow), (("--fail-on", "biased"), 1)])
def test_a_fit_that_is_off_the_truth_is_said_last_and_fails_where_that_is_asked(
    more: Sequence[str], code: int, tmp_path: Path
) -> None:
    settings = ("--draws", "500", "--target-accept", "0.95", "--backend", "stanli", "--model", "marginal")
    done = bench(tmp_path / "runs", "-p", "tests.wrong_truth", "--grid", "smoke", *settings, *more)
    assert done.returncode == code, done.stdout + done.stderr
    *_, page, said, blank, sentence, end = done.stdout.strip().splitlines()
    assert page.startswith("page: ")
    assert said.startswith("off the truth: marginal on stanli, omega1-G5-n20-s41: 1 of 1 fits; biased: ")
    assert not blank
    assert sentence == "No fit was healthy, so nothing is ranked."
    assert "1 passed" in end
