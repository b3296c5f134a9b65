"""Pass, fail or can't tell, each with its exit code and its reason."""

import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.comparing.compare import compare_runs
from bench.comparing.matching import CompareError
from bench.comparing.outcome import outcome
from bench.records import Journal, Record
from tests.comparing.test_compare import cell


def says(a: list[Record], b: list[Record], condition: str) -> str:
    return str(outcome([compare_runs(a, b)], condition))


@pytest.mark.parametrize(
    ("factor", "condition", "state"),
    [
        (1.5, "slower", "fails"),
        (1.5, "slower:10%", "fails"),
        (1.5, "slower: 40 %", "fails"),
        (1.5, "slower:80%", "passes"),
        (1.5, "slower:55%", "can't tell"),  # its interval reaches beyond
        (1.0, "slower", "passes"),
        (1.0, "slower:10%", "passes"),
        (1.0, "slower:0.5%", "can't tell"),  # the same within 10 % is not the same within 0.5 %
        (1 / 1.5, "slower:10%", "passes"),
    ],
)
def test_the_state_follows_from_the_interval(factor: float, condition: str, state: str) -> None:
    assert says(cell(), cell("b", factor=factor, seed=4), condition).startswith(state)


def test_three_noisy_replicates_that_look_twice_as_slow_can_not_be_passed() -> None:
    said = says(cell(n=3, cv=0.3), cell("b", n=3, cv=0.3, factor=2.0), "slower:10%")
    assert said.startswith(
        "can't tell: 1 of 1 cases may be slower by more than 10 %, centered on cmdstan, groups8 by up"
    )
    assert "more replicates" in said


def test_one_replicate_can_not_be_passed() -> None:
    said = says(cell(n=1), cell("b", n=1), "slower:10%")
    assert said.startswith("can't tell")
    assert "by any factor, as far as can be told" in said


def test_a_failure_names_the_case_and_its_interval() -> None:
    said = says(cell(), cell("b", factor=1.5), "slower:10%")
    assert said.startswith("fails: centered on cmdstan, groups8 is 1.")
    assert "times as slow [1." in said


def test_health_that_got_worse_fails_and_what_is_sick_on_both_sides_can_not_be_told() -> None:
    sick = {"health": ["R-hat: 1.2"]}
    assert says(cell(), cell("b", **sick), "slower:10%") == "fails: centered on cmdstan, groups8: less healthy"
    assert says(cell(**sick), cell("b", **sick), "slower:10%").startswith("can't tell: no case is healthy on both")


@pytest.mark.parametrize("condition", ["", "faster:10%", "slower:", "slower:x%", "slower:10"])
def test_a_condition_that_cannot_be_read(condition: str) -> None:
    with pytest.raises(CompareError, match="--fail-on slower:10%"):
        says(cell(), cell("b"), condition)


@pytest.mark.parametrize(
    ("factor", "n", "more", "code"), [(1.5, 20, [], 1), (1.0, 20, [], 0), (2.0, 1, [], 3), (2.0, 1, ["pass"], 0)]
)
@pytest.mark.parametrize("json_too", [False, True])
def test_exit_codes(
    factor: float,
    n: int,
    more: list[str],
    code: int,
    json_too: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, records in (("a", cell(n=n)), ("b", cell("b", n=n, factor=factor))):
        journal = Journal(tmp_path / name, {})
        for record in records:
            journal.append(record)
        journal.close()
    options = [*(["--json"] if json_too else []), *(f"--undecided={word}" for word in more)]
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--fail-on", "slower:10%", *options]) == code
    said = capsys.readouterr()
    if json_too:
        assert json.loads(said.out)
    word = {0: "passes", 1: "fails", 3: "can't tell"}[3 if more else code]
    assert f"--fail-on slower:10%: {word}: " in (said.err if json_too else said.out)
