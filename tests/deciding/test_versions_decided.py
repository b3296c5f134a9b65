"""`versions --decide`: who is fitted again and who is not, with a stand-in for fits, and once for real."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.comparing.aa_looks import two_versions
from bench.deciding import turns
from bench.deciding.decide import Key
from bench.deciding.fitter import LostError
from bench.records import Journal, Record, read_records
from tests.deciding.test_versions import fake_environments

CASES = 6


class StandIn:
    """Gives a fit of two simulated versions where a real one is asked for, and notes what was asked.

    Parameters
    ----------
    slower : dict of int to float
        Factors on the cost of B, by the number of the case.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, slower: dict[int, float] | None = None, seed: int = 1) -> None:
        self.sides = two_versions(np.random.default_rng(seed), CASES, slower=slower)
        self.asked: list[tuple[str, int, str]] = []
        self.stop_at: tuple[str, int] | None = None
        self.break_at: tuple[str, int] | None = None
        self.ended: list[str] = []
        self.seconds: float | None = 100.0
        self.turns: list[str] = []
        fake_environments(monkeypatch)
        monkeypatch.setattr(turns, "Fitter", lambda environment, folder, asked: OneSide(self, folder))

    def in_round(self, number: int) -> list[tuple[str, str]]:
        """Return what was asked of a round: sides and models, in order."""
        return [(side, model) for side, n, model in self.asked if n == number]

    @property
    def rounds(self) -> int:
        return max(number for _, number, _ in self.asked)


class OneSide:
    """The fitter of a side."""

    def __init__(self, stand_in: StandIn, folder: Path) -> None:
        self._stand_in, self._folder, self._side = stand_in, folder, folder.name[-1]
        of_side = stand_in.sides["12".index(self._side)]
        self._records = [replace(each, backend="stanli", versions={"stanli": f"0.0.{self._side}"}) for each in of_side]
        self.cases = list(dict.fromkeys(record.key[:3] for record in self._records))

    def begin(self, case: Key, number: int) -> float | None:
        now = (self._side, number + 1)
        if self._stand_in.stop_at == now:
            self._stand_in.stop_at = None
            raise KeyboardInterrupt
        if self._stand_in.break_at == now:
            raise LostError("no space")
        self._stand_in.asked.append((*now, case[1]))
        self._stand_in.turns.append(self._side)
        self._now = next(record for record in self._records if record.key == (*case, number))
        return self._stand_in.seconds

    def again(self) -> None:
        self._stand_in.turns.append(self._side)

    def end(self) -> None:
        run = self._folder / "run"
        journal = Journal(run, None if run.exists() else {})
        journal.append(self._now)
        journal.close()

    def close(self) -> None:
        self._stand_in.ended.append("closed")

    def kill(self) -> None:
        self._stand_in.ended.append("killed")


def records(folder: Path, side: str) -> list[Record]:
    return read_records(folder / f"stanli-0.0.{side}" / "run")


def typed(output: Path, *more: str) -> list[str]:
    return ["versions", "--try", "stanli==0.0.1,stanli==0.0.2", "--output", str(output), *more]


def test_only_undecided_cases_are_fitted_again_and_the_sides_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = StandIn(monkeypatch, {0: 1.5, 1: 1.053})
    assert main(typed(tmp_path, "--decide", "5%")) == 0
    said = capsys.readouterr().out
    in_turn = [(side, f"model {i}") for i in range(CASES) for side in "12"]  # a case on one side, then on the other
    assert [stand_in.in_round(number) for number in (1, 2, 3)] == [in_turn] * 3
    assert stand_in.in_round(4) == stand_in.in_round(5)
    assert set(stand_in.in_round(4)) < set(in_turn)
    assert "model 0" not in {model for _, number, model in stand_in.asked if number > 3}  # plain after three
    assert stand_in.ended == ["closed", "closed"]
    (folder,) = tmp_path.iterdir()
    made = [Counter(record.model for record in records(folder, side)) for side in "12"]
    assert made[0] == made[1]
    assert made[0]["model 0"] == 3 < max(made[0].values())
    assert "2 slower" in said
    assert "4 the same" in said
    assert "everything is decided" in said
    assert "until a case is decided within 5%" in said
    table = (folder / "versions.html").read_text(encoding="utf-8").partition('id="table-verdicts-0"')[2]
    assert table.index("geometric mean over all 6 cases") < table.index("model 0")
    assert "geometric mean over all 6 cases" in (folder / "versions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("seconds", "times"), [(0.4, 5), (1.5, 3), (0.001, turns.REPEATS), (60.0, 1), (None, 1)])
def test_short_fits_are_repeated_on_both_sides_in_turn(
    seconds: float | None, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = StandIn(monkeypatch)
    stand_in.seconds = seconds
    assert main(typed(tmp_path, "--replicates", "1")) == 0
    assert stand_in.turns == ["1", "2"] * times * CASES


def test_it_ends_with_the_most_replicates_and_says_what_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = StandIn(monkeypatch)
    assert main(typed(tmp_path, "--decide", "0.1%", "--max-replicates", "6")) == 0
    assert stand_in.rounds == 5
    said = capsys.readouterr().out
    assert "6 undecided" in said
    assert "all 5 rounds are made; more with --max-replicates" in said


def test_more_may_be_asked_for_later_and_settled_cases_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = StandIn(monkeypatch, {0: 1.5})
    main(typed(tmp_path, "--decide", "1%", "--max-replicates", "5"))
    (folder,) = tmp_path.iterdir()
    before = [len(records(folder, side)) for side in "12"]
    stand_in.asked.clear()
    assert main(["versions", "--resume", folder.name, "--output", str(tmp_path), "--max-replicates", "8"]) == 0
    assert {number for _, number, _ in stand_in.asked} == {6, 7, 8}
    assert "model 0" not in {model for _, _, model in stand_in.asked}
    assert [len(records(folder, side)) - old for side, old in zip("12", before, strict=True)] == [15, 15]
    stand_in.asked.clear()
    capsys.readouterr()
    assert main(["versions", "--resume", folder.name, "--output", str(tmp_path), "--json"]) == 0
    assert not stand_in.asked
    (comparison,) = json.loads(capsys.readouterr().out)["comparisons"].values()
    assert comparison["looks"] == [3, 5, 8]
    assert {row["model"]: row["n"] for row in comparison["rows"]}["model 0"] == 3


@pytest.mark.parametrize("at", [("2", 5), *(pytest.param(at, marks=pytest.mark.slow) for at in (("2", 1), ("1", 4)))])
def test_what_was_stopped_goes_on_to_the_same_verdicts(
    at: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    straight = StandIn(monkeypatch, {0: 1.05})
    main(typed(tmp_path / "straight", "--decide", "5%"))
    stand_in = StandIn(monkeypatch, {0: 1.05})
    stand_in.stop_at = at
    assert main(typed(tmp_path / "stopped", "--decide", "5%")) == 130
    assert stand_in.ended == ["killed", "killed"]
    said = capsys.readouterr().err
    (folder,) = (tmp_path / "stopped").iterdir()
    assert f"--resume {folder.name}" in said
    assert main(["versions", "--resume", folder.name, "--output", str(tmp_path / "stopped")]) == 0
    assert set(straight.asked) == set(stand_in.asked)
    (other,) = (tmp_path / "straight").iterdir()
    for side in "12":
        assert {r.key for r in records(folder, side)} == {r.key for r in records(other, side)}
    assert (folder / "versions.md").read_text() == (other / "versions.md").read_text()


@pytest.mark.parametrize(
    ("slower", "options", "code", "word"),
    [
        ({}, [], 0, "passes"),
        ({0: 1.3}, [], 1, "fails"),
        ({0: 1.045}, ["--max-replicates", "3"], 3, "can't tell"),
        ({0: 1.045}, ["--max-replicates", "3", "--undecided", "pass"], 0, "can't tell"),
    ],
)
def test_a_condition_ends_it_as_soon_as_it_is_told(
    slower: dict[int, float],
    options: list[str],
    code: int,
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stand_in = StandIn(monkeypatch, slower)
    assert main(typed(tmp_path, "--decide", "5%", "--fail-on", "slower:5%", *options)) == code
    assert f"--fail-on slower:5%: {word}: " in capsys.readouterr().out
    if word == "fails":  # the other cases are not measured to their ends
        assert stand_in.rounds == 3


def test_an_environment_that_breaks_ends_its_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = StandIn(monkeypatch)
    stand_in.break_at = ("2", 4)
    assert main(typed(tmp_path, "--decide", "0.1%")) == 1
    assert stand_in.rounds == 4
    assert {side for side, _ in stand_in.in_round(4)} == {"1"}
    assert "stanli==0.0.2: no space" in capsys.readouterr().out


@pytest.mark.slow
def test_real_fits_are_decided_case_by_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_environments(monkeypatch)
    options = ["--model", "centered,zerosum_centered", "--target-accept", "0.95", "--decide", "50%"]
    assert main(typed(tmp_path, *options, "--max-replicates", "5")) == 0
    said = capsys.readouterr().out
    assert "same draws, only speed can differ" in said
    assert "geometric mean over all 2 cases" in said
    (folder,) = tmp_path.iterdir()
    sides = [[json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob("*/*/records.jsonl")]
    made = [Counter(record["model"] for record in side) for side in sides]
    assert len(made) == 2
    assert made[0] == made[1]
    assert set(made[0].values()) <= {3, 5}
    run = json.loads(next(folder.glob("*/*/run.json")).read_text())
    if max(made[0].values()) == 5:
        assert run["asked"]["replicates"] == 5
