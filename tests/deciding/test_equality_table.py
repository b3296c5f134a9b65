"""`hierbench same --posteriordb` on a checkout with all that can happen to a pair."""

import csv
import fcntl
import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.cli import main
from bench.deciding.equality_table import JOURNAL, Row, code, compare_all, summary
from bench.families.posteriordb import Checkout
from bench.records import RunError
from bench.settings import Limits
from tests.families.checkout import LINE, LINE_PYMC, LINE_STAN, PYMC, STAN, add, checkout, coin_draws

HANG = "def make_model(data):\n    import time\n    time.sleep(1000)\n"
HOG = "def make_model(data):\n    import time\n    hog = np.ones(2**27)\n    time.sleep(1000)\n"
OLD = STAN.replace("real odds = rate / (1 - rate);", "real odds; odds <- rate / (1 - rate);")
SCALAR_STAN = STAN.replace("real<lower=0, upper=1> rate;", "vector<lower=0, upper=1>[1] rate;").replace(
    "real odds = rate / (1 - rate);", ""
).replace("binomial(n, rate)", "binomial(n, rate[1])")  # fmt: skip
TRACE = "import os, sys, pathlib\npathlib.Path({path!r}).open('a').write(f'{{os.getpid()}} {{sys.orig_argv}}\\n')\n"


def names_of(folder: Path, *arguments: str) -> list[str]:
    return [*("same", "--posteriordb", str(folder), "--output", str(folder / "out"), "--cores", "2"), *arguments]


@pytest.mark.slow
def test_every_verdict_in_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = checkout(tmp_path) / "posterior_database"
    add(root, "coin-renamed", STAN, PYMC.replace('"rate"', '"share"'), draws=coin_draws())
    add(root, "coin-scalar", SCALAR_STAN, PYMC)
    add(root, "coin-old", OLD)
    add(root, "coin-raises", pymc=f"{TRACE.format(path=str(tmp_path / 'ran'))}{PYMC}\nno_such_name\n")
    add(root, "coin-stanonly", pymc=None)
    add(root, "list-fair", data="[1]")
    assert main(names_of(tmp_path)) == 1
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert "without coin-stanonly: no PyMC program" in lines
    assert "7 of 8 posteriors have no reference draws" not in said  # two have some
    assert "6 of 8 posteriors have no reference draws" in said
    assert lines[-1].startswith(
        "8 posteriors: 2 same, 1 different, 2 names that differ, 3 can't be evaluated; table.md, table.csv and"
    )
    (old,) = (line for line in lines if "coin-old" in line)
    assert "can't be evaluated (old.stan can't be used: " in old

    found = json.loads((tmp_path / "out" / "table.json").read_text())
    rows = {row["posterior"]: row for row in found["posteriors"]}
    assert list(rows) == list(Checkout.read(tmp_path).entries)
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "coin-fair": "same",
        "coin-lies": "different",
        "coin-old": "unknown",
        "coin-raises": "unknown",
        "coin-renamed": "names",
        "coin-scalar": "names",
        "list-fair": "unknown",
        "points-line": "same",
    }
    assert list(rows["coin-lies"]["depends"]) == ["rate"]
    assert "the difference depends on rate" in rows["coin-lies"]["why"]
    assert rows["coin-renamed"]["mend"] == '[renamed.names]\nrate = "share"'
    assert rows["coin-scalar"]["mend"] == "[scalar.axes]\nrate = []"
    assert "no_such_name" in rows["coin-raises"]["why"]
    assert "holds a list" in rows["list-fair"]["why"]
    assert rows["coin-fair"]["reference_draws"]
    assert not rows["points-line"]["reference_draws"]
    assert found["left_out"] == {"coin-stanonly": "no PyMC program"}
    assert all("\n" not in line for line in lines)

    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        assert {row["posterior"]: row["verdict"] for row in csv.DictReader(file)} == {
            name: row["verdict"] for name, row in rows.items()
        }
    page = (tmp_path / "out" / "table.md").read_text()
    assert page.index("coin-fair") < page.index("coin-lies") < page.index("coin-renamed")
    assert "| different |" in page

    ran = (tmp_path / "ran").read_text().splitlines()
    assert ran
    assert all("bench.running.guard" in line for line in ran)  # programs of others run in workers alone
    assert not any(psutil.pid_exists(int(line.split()[0])) for line in ran)


@pytest.mark.slow
def test_scalars_of_names_toml_are_matched(tmp_path: Path) -> None:
    add(tmp_path, "line-nes_logit_model", LINE_STAN.replace("vector[2] beta", "real alpha; vector[1] beta").replace(
        "beta[1] + beta[2] * x", "alpha + beta[1] * x").replace("beta ~ normal", "alpha ~ normal(0, 5); beta ~ normal"),
        LINE_PYMC.replace('beta = pm.Normal("beta", 0, 5, shape=2)',
        'alpha, beta = pm.Normal("alpha", 0, 5), pm.Normal("beta", 0, 5)').replace(
        "beta[0] + beta[1] * np", "alpha + beta * np"), LINE)  # fmt: skip
    assert main(names_of(tmp_path)) == 0
    (row,) = json.loads((tmp_path / "out" / "table.json").read_text())["posteriors"]
    assert row["verdict"] == "same"


@pytest.mark.parametrize(
    ("program", "limits", "said"),
    [
        (HANG, ("--fit-timeout", "10"), "took longer than 10 s and was stopped; for more: --fit-timeout 40"),
        (HOG, ("--memory-limit", "0.7"), "GiB, more than the limit of 0.70 GiB, and was stopped"),
    ],
    ids=["hangs", "eats memory"],
)
@pytest.mark.slow
def test_a_pair_that_takes_too_much_costs_itself_alone_and_is_tried_again_with_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], program: str, limits: tuple[str, str], said: str
) -> None:
    root = tmp_path / "posterior_database"
    ran = tmp_path / "ran"
    add(root, "coin-bad", pymc=TRACE.format(path=str(ran)) + program)
    assert main(names_of(tmp_path, *limits)) == 2
    assert said in capsys.readouterr().out
    for pid in (int(line.split()[0]) for line in ran.read_text().splitlines()):
        with_it = [psutil.Process(pid)] if psutil.pid_exists(pid) else []
        assert not psutil.wait_procs(with_it, timeout=10)[1]
    before = (tmp_path / "out" / JOURNAL).read_text()
    assert main(names_of(tmp_path, *limits)) == 2  # known already
    assert (tmp_path / "out" / JOURNAL).read_text() == before
    (root / "models" / "pymc" / "bad.py").write_text(PYMC)
    assert main(names_of(tmp_path)) == 0


@pytest.mark.slow
def test_what_is_known_is_not_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkout(tmp_path)
    assert main(names_of(tmp_path, "--posterior", "coin-fair", "--json")) == 0
    first = capsys.readouterr()
    assert json.loads(first.out)["summary"] == "1 posteriors: 1 same"
    assert "[1/1] coin-fair: same (at " in first.err
    journal = tmp_path / "out" / JOURNAL
    line = journal.read_text()
    journal.write_text(f"{line}not JSON\n{line[: len(line) // 2]}")  # a line that was cut short
    told: list[tuple[str, int]] = []
    found = Checkout.read(tmp_path, "coin-fair,points-line")
    limits = Limits(120.0, 6 * 2**30)
    rows = compare_all(
        found, tmp_path, tmp_path / "out", limits, 2, lambda row, done: told.append((row.posterior, done))
    )
    assert told == [("coin-fair", 1), ("points-line", 2)]
    assert [row.verdict for row in rows] == ["same", "same"]
    assert rows[0] == Row(**json.loads(line))
    assert journal.read_text().endswith("\n")
    again: list[Any] = []
    assert compare_all(found, tmp_path, tmp_path / "out", limits, 2, lambda *row: again.append(row)) == rows
    assert len(again) == 2


@pytest.mark.slow
def test_a_verdict_is_on_the_disk_before_it_is_told_and_the_rest_can_go_on(tmp_path: Path) -> None:
    checkout(tmp_path)
    found = Checkout.read(tmp_path, "coin-fair,coin-lies")
    limits = Limits(120.0, 6 * 2**30)

    def stop(row: Row, done: int) -> None:
        assert row.posterior in (tmp_path / "out" / JOURNAL).read_text()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_all(found, tmp_path, tmp_path / "out", limits, 1, stop)
    assert len((tmp_path / "out" / JOURNAL).read_text().splitlines()) == 1
    assert not (tmp_path / "out" / "table.json").exists()
    rows = compare_all(found, tmp_path, tmp_path / "out", limits, 1, lambda row, done: None)
    assert [row.verdict for row in rows] == ["same", "different"]
    assert len((tmp_path / "out" / JOURNAL).read_text().splitlines()) == 2


def test_a_folder_that_another_process_writes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / JOURNAL).open("a") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        with pytest.raises(
            RunError, match=r"another process writes .*out; wait for it, or name another place with --output"
        ):
            compare_all(
                Checkout.read(checkout(tmp_path)), tmp_path, tmp_path / "out", Limits(1, None), 1, lambda *row: None
            )


@pytest.mark.parametrize(
    ("verdicts", "plain", "strict"),
    [
        (["same", "same"], 0, 0),
        (["same", "numerics"], 0, 1),
        (["same", "names"], 2, 2),
        (["unknown", "numerics"], 2, 1),
        (["unknown", "different"], 1, 1),
    ],
)
def test_exit_codes(verdicts: list[str], plain: int, strict: int) -> None:
    rows = [Row("a-b", verdict) for verdict in verdicts]
    assert (code(rows), code(rows, strict_numerics=True)) == (plain, strict)


def test_a_summary_counts_every_verdict() -> None:
    rows = [Row("a-b", verdict) for verdict in ("unknown", "numerics", "names", "different", "same")]
    assert summary(rows) == (
        "5 posteriors: 1 same, 1 same, but numerics part in the tail, 1 different, 1 names that differ, "
        "1 can't be evaluated"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to compare; name a folder or programs, or a checkout: --posteriordb PATH"),
        (("a.stan", "--posteriordb", "PATH"), "a.stan and --posteriordb; give one of them"),
        (("a.stan", "--posterior", "x"), "--posterior: only for a checkout of posteriordb; add --posteriordb PATH"),
        (("a.stan", "--fit-timeout", "0"), "--fit-timeout: only for a checkout"),
        (("--posteriordb", "nowhere"), "nowhere is no posteriordb; give the folder that holds"),
        (("--posteriordb", "PATH", "--posterior", "coin-fare"), "no posterior coin-fare; there are 3, among them"),
        (("--posteriordb", "PATH", "--fit-timeout", "-1"), "--fit-timeout is -1; give seconds"),
        (("--posteriordb", "PATH", "--memory-limit", "nan"), "--memory-limit is nan; give GiB"),
        (("--posteriordb", "PATH", "--cores", "0"), "--cores is 0; give 1 or more"),
    ],
)
def test_what_can_not_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    arguments = [str(checkout(tmp_path)) if word == "PATH" else word for word in words]
    assert main(["same", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"hierbench: {said}")
    assert len(error.splitlines()) == 1
