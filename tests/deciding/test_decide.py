"""As many replicates as it takes: what may be asked, and when the rounds end."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.comparing.sequential import LOOKS
from bench.deciding.decide import Decide, in_rounds
from bench.records import Journal
from tests.comparing.test_compare import cell


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--decide", "0%"], "--decide is '0%'; give a margin above 0 and below 100 %, e.g. --decide 5%"),
        (["--decide", "nan"], "--decide is 'nan'; give a margin"),
        (["--decide", "200%"], "--decide is '200%'; give a margin"),
        (["--decide", "100%"], "--decide is '100%'; give a margin"),
        (["--decide", "-5%"], "--decide is '-5%'; give a margin"),
        (["--decide", "5"], "--decide is '5'; give a margin"),
        (["--decide", "5%", "--budget", "-1"], "--budget is -1; give minutes, e.g. --budget 10"),
        (["--decide", "5%", "--budget", "nan"], "--budget is nan; give minutes"),
        (["--decide", "5%", "--max-replicates", "1"], "--max-replicates is 1; give 3 to 200, e.g. 20"),
        (["--decide", "5%", "--max-replicates", "201"], "--max-replicates is 201; give 3 to 200, e.g. 20"),
        (["--decide", "5%", "--replicates", "5"], "give --max-replicates N, not --replicates"),
        (["--decide", "5%", "--fail-on", "slower:x"], "'slower:x' is no condition; type e.g. --fail-on slower:10%"),
        (["--fail-on", "slower:x"], "'slower:x' is no condition; type e.g. --fail-on slower:10%"),
        (["--budget", "3"], "--budget only goes with --decide; add e.g. --decide 5%"),
        (["--max-replicates", "8"], "--max-replicates only goes with --decide; add e.g. --decide 5%"),
    ],
)
def test_what_cannot_be_decided_is_refused_before_anything_is_made(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--decide={options[1]}", *options[2:]] if options[0] == "--decide" else options
    typed = ["versions", "--try", "stanli==0.0.1,stanli==0.0.2", "--output", str(tmp_path), *options]
    assert main(typed) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_one_version_has_nothing_to_be_decided_against(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versions", "--try", "stanli==0.0.1,nutpie==0.0.2", "--decide", "--output", str(tmp_path)]) == 2
    assert "name two of the same package" in capsys.readouterr().err


def test_plain_decide_is_ten_percent_and_margins_are_read() -> None:
    assert Decide().within == pytest.approx(0.1)
    assert Decide(" 2.5 % ").within == pytest.approx(0.025)
    assert [Decide(most=n).rounds for n in (3, 4, 5, 7, 20, 31, 200)] == [3, 3, 5, 5, 20, 20, 200]
    assert Decide().rounds in LOOKS


class Clock:
    """Every round takes as long as it is told."""

    def __init__(self, *minutes: float) -> None:
        self.minutes, self.now, self.rounds = minutes, 0.0, list[int]()

    def __call__(self) -> float:
        return self.now

    def fit(self, number: int) -> None:
        self.rounds.append(number)
        self.now += 60 * self.minutes[min(number, len(self.minutes)) - 1]


@pytest.mark.parametrize(
    ("minutes", "budget", "rounds"),
    [
        ((1.0,), None, 20),
        ((1.0,), 4.0, 4),
        ((1.0, 1.0, 3.0), 5.5, 3),  # after 5 minutes there is no time for another 3
        ((1.0,), 0.5, 1),  # what a round takes is not known before
    ],
)
def test_rounds_end_with_the_budget(minutes: tuple[float, ...], budget: float | None, rounds: int) -> None:
    clock = Clock(*minutes)
    why = in_rounds(Decide(minutes=budget), lambda number: True, clock.fit, clock)
    assert clock.rounds == list(range(1, rounds + 1))
    assert (f"the budget of {budget:g} minutes is spent" if budget else "all 20 rounds are made") in why


def test_rounds_end_when_nothing_is_open() -> None:
    clock = Clock(1.0)
    assert in_rounds(Decide(), lambda number: number <= 8, clock.fit, clock) == "everything is decided"
    assert clock.rounds == list(range(1, 9))


def run_of(folder: Path, n: int, factor: float) -> None:
    journal = Journal(folder, {"command": ["pytest", "bench/", "--benchmark-only", "--grid", "smoke"]})
    for backend in ("stanli", "nutpie"):
        for record in cell(n=n, factor=factor if backend == "nutpie" else 1.0, seed=int(backend == "nutpie")):
            journal.append(replace(record, backend=backend))
    journal.close()


def test_backends_of_a_run_are_looked_at_and_what_to_type_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of(tmp_path / "few", 4, 1.02)
    typed = ["compare", "few", "--by", "backend", "--decide", "5%", "--runs", str(tmp_path)]
    assert main(typed) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    ids = "groups8-centered-nutpie,groups8-centered-stanli"
    assert last == (
        f"to go on, type: pytest bench/ --benchmark-only --grid smoke --resume few --runs {tmp_path} "
        f"--replicates 5 --case {ids}"
    )
    run_of(tmp_path / "many", 20, 3.0)
    assert main(["compare", "many", *typed[2:]]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "decided"
    assert "1 slower" in said[-2]
    assert main(["compare", "many", *typed[2:], "--fail-on", "slower:5%", "--json"]) == 1


def test_two_runs_cannot_be_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "a", "b", "--decide", "5%", "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "only versions can: hierbench versions --try PINS --decide 5%" in said
    assert said.count("\n") == 1
