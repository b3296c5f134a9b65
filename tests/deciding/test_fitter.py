"""Fits in another environment as they are asked for; the environment is this one, the process another."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.deciding.environments import Environment
from bench.deciding.fitter import Fitter, LostError, plan_of, serve
from bench.records import read_records, read_run
from bench.running.isolation import Workers

HERE = Environment(Path(sys.executable))
CASE = ("omega1-G5-n20-s41", "centered", "stanli")


def asked(**changes: Any) -> dict[str, Any]:
    small = {"chains": 2, "warmup": 100, "draws": 100}
    return {"families": "normal_means", "grid": "smoke", "models": "centered,marginal", "backends": "stanli",
            "overrides": small, **changes}  # fmt: skip


def run_of(folder: Path) -> Path:
    (path,) = folder.glob("*/run.json")
    return path.parent


@pytest.mark.slow
def test_it_makes_what_it_is_told_to_and_goes_on_with_its_run(tmp_path: Path) -> None:
    fitter = Fitter(HERE, tmp_path, asked())
    assert sorted(fitter.cases) == [CASE, (CASE[0], "marginal", "stanli")]
    for number in (0, 1):
        assert (fitter.begin(CASE, number) or 0) > 0
        fitter.again()
        fitter.again()
        fitter.end()
        assert [record.key for record in read_records(run_of(tmp_path))] == [(*CASE, n) for n in range(number + 1)]
    assert read_run(run_of(tmp_path))["asked"]["replicates"] == 2
    fitter.close()
    assert (run_of(tmp_path) / "index.html").exists()

    fitter = Fitter(HERE, tmp_path, asked())
    fitter.begin(CASE, 2)
    fitter.end()
    fitter.begin(CASE, 3)
    fitter.kill()
    records = read_records(run_of(tmp_path))
    assert [record.replicate for record in records] == [0, 1, 2]
    assert [record.repeats for record in records] == [3, 3, 1]
    assert all(record.status == "ok" and record.gate and record.settings["chains"] == 2 for record in records)


@pytest.mark.slow
def test_a_process_that_ends_says_why(tmp_path: Path) -> None:
    with pytest.raises(LostError, match=rf"its fits ended with 1: .*no model.* 'centred'.*{tmp_path}/log.txt"):
        Fitter(HERE, tmp_path, asked(models="centred"))
    fitter = Fitter(HERE, tmp_path, asked())
    (process,) = [each for each in psutil.Process().children() if "bench.deciding.fitter" in each.cmdline()]
    process.kill()
    with pytest.raises(LostError, match="its fits ended with -9"):
        fitter.begin(CASE, 0)


def test_an_environment_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(LostError, match=r"its fits can't be started: .*/nowhere/python"):
        Fitter(Environment(Path("/nowhere/python")), tmp_path, asked())


@pytest.mark.slow
def test_another_question_about_the_same_run_is_refused(tmp_path: Path) -> None:
    Fitter(HERE, tmp_path, asked()).close()
    with pytest.raises(LostError, match="can't be resumed"):
        Fitter(HERE, tmp_path, asked(overrides={"chains": 3}))


def test_what_can_not_be_fitted_has_a_record_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(asked())
    monkeypatch.setattr(type(plan.backends[0]), "unsupported", lambda *_: "this version has no such thing")
    answers = io.StringIO()
    orders = [["begin", CASE, 0], ["again"], ["end"]]
    serve(tmp_path, asked(), io.StringIO("".join(json.dumps(order) + "\n" for order in orders)), answers)
    assert [json.loads(line) for line in answers.getvalue().splitlines()[1:]] == [None, None, None]
    (record,) = read_records(run_of(tmp_path))
    assert (record.status, record.reason) == ("unsupported", "this version has no such thing")


@pytest.mark.slow
def test_each_number_is_made_in_new_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    real = Workers.close

    def close(workers: Workers) -> None:
        ended.append(len(read_records(run_of(tmp_path))))
        real(workers)

    monkeypatch.setattr(Workers, "close", close)
    cases = [(CASE[0], model, "stanli") for model in ("centered", "marginal")]
    orders = [order for number in (0, 1) for case in cases for order in (["begin", case, number], ["end"])]
    serve(tmp_path, asked(), io.StringIO("".join(json.dumps(order) + "\n" for order in orders)), io.StringIO())
    assert ended[:2] == [0, 2]
