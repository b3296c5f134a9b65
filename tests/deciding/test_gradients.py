"""`versions --gradient`: evaluations compared alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.comparing.gradients import Case, Seconds, compare_gradients
from bench.comparing.outcome import outcome
from bench.deciding.gradients import try_gradients
from bench.deciding.matrix import read_matrix
from bench.records import RunError
from tests.deciding.test_versions import fake_environments


def case(number: int) -> Case:
    return ("family", "data", f"model {number}", "stanli")


def simulated(seed: int, factor: float = 1.0, noise: float = 0.003) -> Seconds:
    rng = np.random.default_rng(seed)
    return {
        case(i): {
            r: (1e-5 + i * 1e-6) * (factor if i == 2 else 1) * float(np.exp(noise * rng.normal())) for r in range(5)
        }
        for i in range(8)
    }


def test_a_case_that_is_slower_is_found_and_the_others_are_the_same() -> None:
    found = compare_gradients({"1": simulated(1), "2": simulated(2, 1.05)}, ("1", "2"), 0.01)
    assert found is not None
    assert [row.kind for row in found.rows] == ["same"] * 2 + ["slower"] + ["same"] * 5
    assert outcome([found], "slower:3%").state == "fails"
    assert outcome([found], "slower:10%").state == "passes"
    assert found.heads() == ["dataset", "case", "n", "time/gradient", "divergences A, B", "verdict"]
    assert "model 2 stanli" in "\n".join(found.lines())
    assert [row.over for row in found.pooled] == [8]


def test_equal_versions_raise_no_alarm() -> None:
    alarms = 0
    for seed in range(100):
        found = compare_gradients({"1": simulated(seed), "2": simulated(1000 + seed)}, ("1", "2"), 0.01)
        assert found is not None
        alarms += any(row.kind in ("faster", "slower") for row in (*found.rows, *found.pooled))
    assert alarms <= 5  # 1 is expected; 6 or more have a chance of 0.0005


def test_one_replicate_and_a_clock_that_stood_still_give_no_verdict() -> None:
    one: Seconds = {case(0): {0: 1e-5}, case(1): {0: 0.0}}
    other: Seconds = {case(0): {0: 2e-5}, case(1): {0: 1e-5}}
    found = compare_gradients({"1": one, "2": other}, ("1", "2"), 0.01)
    assert found is not None
    (row,) = found.rows
    assert (row.model, row.kind) == ("model 0", "not enough")
    assert compare_gradients({"1": one, "2": {}}, ("1", "2"), 0.01) is None


def test_a_backend_whose_evaluation_is_a_process_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_environments(monkeypatch, broken="stanli==0.0.1")
    with pytest.raises(RunError) as found:
        try_gradients(read_matrix("cmdstan==2.38.0,stanli==0.0.1"), tmp_path, print)
    assert "cmdstan: an evaluation is a call of a program, whose time says nothing" in str(found.value)
    assert "stanli==0.0.1: no environment: Python 3.11: no such version" in str(found.value)


@pytest.mark.parametrize("more", [["--decide", "5%"], ["--resume"]])
def test_what_does_not_go_together_is_refused(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versions", "--try", "stanli==0.0.1", "--gradient", *more]) == 2
    assert "leave out --decide, --resume" in capsys.readouterr().err


@pytest.mark.slow
def test_two_environments_are_timed_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_environments(monkeypatch)
    typed = ["versions", "--gradient", "--try", "stanli==0.0.1,stanli==0.0.2", "--model", "centered"]
    assert main([*typed, "--replicates", "2", "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "gradients 2 of 2: stanli" in said
    assert "stanli==0.0.1 (A) to stanli==0.0.2 (B)" in said
    (folder,) = tmp_path.iterdir()
    kept = json.loads((folder / "gradients.json").read_text())
    assert {name: [one["by_replicate"].keys() for one in found] for name, found in kept["seconds"].items()} == {
        name: [{"0", "1"}] for name in ("stanli==0.0.1", "stanli==0.0.2")
    }
    assert all("stanli" in versions for versions in kept["versions"].values())
    assert "time/gradient" in (folder / "gradients.md").read_text()
