"""`hierbench map`: what is measured next, what is refused, and a small map with real fits."""

import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.deciding import map as module
from bench.deciding.lattice import Lattice, Point
from bench.deciding.map import MOST, Survey, Turn, go_on
from bench.records import Record, read_records
from bench.running.measure import Case
from bench.running.run import Run, UsageError
from tests.simulated_map import rate, record

SMALL = Lattice(informations=(0.01, 0.1, 1.0, 10.0, 100.0), groups=(5, 10), layers={(1, 0.75): 10}, steps=(4, 2))
MODELS = "marginal,centered,noncentered"


def survey(lattice: Lattice = SMALL, **more: str) -> Survey:
    return Survey(**{"minutes": 1.0, "models": MODELS, "backends": "stanli", "lattice": lattice, **more})  # type: ignore[arg-type]


def measured(turn: Turn, noise: float = 0.0) -> Iterator[Record]:
    """Stand in for the fits of a turn."""
    for model, backend in turn.who:
        information, groups = turn.point.information, turn.point.groups
        mood = 1e-6 * turn.number * ord(model.name[0])  # no two turns are quite alike
        found = rate(model.name, information) * (1 + mood + noise * (-1) ** turn.number * (model.name == "centered"))
        yield record(
            model.name, information, 0, found, groups=groups, backend=backend.name, dataset=turn.point.id(turn.seed)
        )


def finish(asked: Survey, noise: float = 0.0) -> list[Record]:
    records: list[Record] = []
    while turns := asked.turns(records):
        records += measured(turns[0], noise)
        assert len(records) < 2000
    assert len({each.key for each in records}) == len(records)
    return records


def test_it_begins_with_all_models_at_the_coarse_points() -> None:
    turns = survey().turns([])
    assert [turn.point for turn in turns] == list(SMALL.coarse())
    assert {turn.number for turn in turns} == {0}
    assert [model.name for model, _ in turns[0].who] == MODELS.split(",")


def test_small_data_come_first_but_large_ones_are_not_forgotten() -> None:
    records = list(measured(Turn(Point(1, 0.75, 3, 0.001), 0, 1000, survey().turns([])[0].who)))
    turns = survey(Lattice()).turns(records)
    order = [turn.point.groups for turn in turns if turn.number == 0]
    assert order == sorted(order)
    assert order[-1] == 2000
    replicates = [(turn.number, turn.point.groups) for turn in turns]
    assert replicates.index((1, 3)) < replicates.index((0, 200))


def test_more_points_are_measured_where_the_winner_changes_and_nowhere_else() -> None:
    lattice = Lattice((0.02, 0.2, 2.0, 20.0, 200.0), groups=(5, 10), layers={(1, 0.75): 10}, steps=(4, 2))
    points = {Point(1, 0.75, r.sizes["groups"], r.generated_with["information"]) for r in finish(survey(lattice))}
    assert points == {Point(1, 0.75, 5, each) for each in (0.02, 0.2, 2.0, 200.0)}
    far = {
        r.generated_with["information"]
        for r in finish(survey(Lattice((10.0, 30.0, 100.0), (5,), {(1, 0.75): 5}, (2, 1))))
    }
    assert far == {10.0, 100.0}


def test_fits_are_made_until_the_winner_is_sure_and_there_are_not_more_than_most() -> None:
    sure = finish(survey())
    at = [each for each in sure if each.generated_with["information"] == 100.0]
    assert len(at) == 2 * 3  # two of each: ten thousand to one
    wild = finish(survey(), noise=0.9)
    assert sum(r.model == "centered" and r.generated_with["information"] == 1.0 for r in wild) == MOST


def test_only_models_whose_fits_would_tell_more_are_fit_again() -> None:
    records: list[Record] = []
    asked = survey(Lattice((1.0,), (5,), {(1, 0.75): 5}, (1, 1)))
    while (turns := asked.turns(records)) and turns[0].number < 6:
        records += measured(turns[0], 0.5)
    assert {model.name for model, _ in turns[0].who} == {"centered", "noncentered"}  # marginal is surely first


def test_a_replicate_that_was_stopped_is_completed_on_its_own_data() -> None:
    first, stopped = survey().turns([])
    records = [*measured(first), *measured(stopped)]
    again = next(turn for turn in survey().turns(records[:-1]) if turn.point == stopped.point)
    assert (again.number, again.seed) == (0, stopped.seed)
    assert [model.name for model, _ in again.who] == [records[-1].model]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"minutes": 0.0}, "--budget is 0; give minutes, e.g. --budget 60"),
        ({"minutes": float("nan")}, "--budget is nan"),
        ({"models": "centred"}, "no model of the superpopulation posterior 'centred'; there are: marginal, centered"),
        ({"models": "finite_marginal"}, "no model of the superpopulation posterior 'finite_marginal'"),
        ({"models": "centered"}, "--model centered: a map compares two models or more"),
        ({"backends": "stan"}, "no backend 'stan'; there are: "),
    ],
)
def test_what_cannot_be_measured_is_refused(more: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        survey(**more)


def test_a_backend_that_cannot_run_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.backends.stanli.Stanli.unavailable", lambda self: "not installed; type: pip install")
    with pytest.raises(UsageError, match="stanli: not installed; type: pip install"):
        survey()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "0"], "--budget is 0; give minutes"),
        (["--model", "nothing"], "no model of the superpopulation posterior 'nothing'"),
        (["--resume", "nothing"], "no run 'nothing'"),
        (["--resume", "nothing", "--model", "centered", "--draws", "50"], "--model --draws: a map goes on with what"),
        (["--dask", "nowhere"], "--dask is 'nowhere'"),
    ],
)
def test_bad_input_is_one_line_and_ends_with_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "nothing" in words[-1:] and "--resume" in words:
        (tmp_path / "runs").mkdir()
    assert main(["map", "--runs", str(tmp_path / "runs"), *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"hierbench: {said}")
    assert told.count("\n") == 1
    assert not list(tmp_path.glob("runs/*"))


def stand_in(monkeypatch: pytest.MonkeyPatch, stop_after: int = 10**6) -> None:
    """Let fits take no time, and Ctrl-C be pressed after some of them."""

    def measure(self: Run, case: Case, number: int) -> Record:
        if len(self.journal.records) == stop_after:
            raise KeyboardInterrupt
        made = case.dataset.generated_with["information"]
        mood = 1 + 1e-6 * int(case.dataset.id.rpartition("s")[2]) * ord(case.model.name[0])  # as in `measured`
        found = record(
            case.model.name, made, 0, rate(case.model.name, made) * mood, groups=case.dataset.sizes["groups"]
        )
        found = replace(found, dataset=case.dataset.id, run=self.journal.id, draws_digest=None)
        self.journal.append(found)
        return found

    monkeypatch.setattr(Run, "measure", measure)
    monkeypatch.setattr(module, "LATTICE", SMALL)


def test_ctrl_c_leaves_a_page_and_it_goes_on_where_it_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch, stop_after=5)
    assert main(["map", "--runs", str(tmp_path), "--model", MODELS, "--backend", "stanli"]) == 0
    said = capsys.readouterr().out
    (folder,) = tmp_path.iterdir()
    assert "stopped; the map is from what there is" in said
    assert f"to go on, type: hierbench map --resume {folder.name}" in said
    assert len(read_records(folder)) == 5
    assert (folder / "index.html").exists()

    stand_in(monkeypatch)
    assert main(["map", "--runs", str(tmp_path), "--resume", "--budget", "5"]) == 0
    records = read_records(folder)
    assert len({each.key for each in records}) == len(records) == len(finish(survey()))
    assert "every winner is told" in capsys.readouterr().out
    made = {name: (folder / name).read_bytes() for name in ("index.html", "map.csv")}
    for name in made:
        (folder / name).unlink()
    assert main(["report", str(folder)]) == 0
    assert {name: (folder / name).read_bytes() for name in made} == made


FEW = ("--draws", "200", "--warmup", "200", "--chains", "2")


def a_map(runs: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command on a lattice of two points."""
    tiny = Lattice((1.0, 100.0), (5,), {(1, 0.75): 5}, (1, 1))
    monkeypatch.setattr(module, "LATTICE", tiny)
    monkeypatch.setattr(module, "MOST", 2)
    return main(["map", "--runs", str(runs), *words])


@pytest.mark.slow
def test_a_small_map_from_the_command_to_the_page_and_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert a_map(tmp_path, monkeypatch, "--model", "centered,noncentered", "--backend", "stanli", *FEW) == 0
    said = capsys.readouterr().out
    (folder,) = tmp_path.iterdir()
    records = read_records(folder)
    assert len(records) == 2 * 2 * 2
    assert {(r.status, r.replicate) for r in records} == {("ok", 0)}
    assert all(r.gate and r.gate["places"] > 0 for r in records)
    assert len({r.dataset for r in records}) == 4
    assert "every winner is told, or has as many fits as there may be" in said
    assert said.rstrip().endswith(f"page: {folder / 'index.html'}")
    with (folder / "map.csv").open() as file:
        assert [int(line["fits"]) for line in csv.DictReader(file)] == [2] * 4

    before = (folder / "index.html").read_text()
    os.unlink(folder / "index.html")
    assert main(["report", str(folder)]) == 0  # the page is made anew from records alone
    assert (folder / "index.html").read_text() == before

    lines = (folder / "records.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "records.jsonl").write_bytes(b"".join(lines[:-1]))
    asked = go_on(folder, 1.0, 7).asked
    assert (asked.overrides, asked.fit_timeout) == ({"draws": 200, "warmup": 200, "chains": 2}, 7)
    assert a_map(tmp_path, monkeypatch, "--resume", folder.name) == 0
    assert {r.key for r in read_records(folder)} == {r.key for r in records}


def test_another_run_is_no_map(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text('{"command": ["pytest"], "models": {"normal_means centered": "d"}}')
    with pytest.raises(UsageError, match="run is no map; make one: hierbench map"):
        go_on(folder, 1.0, 60)


@pytest.mark.slow
def test_a_map_on_a_cluster_has_the_same_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--model", "centered,noncentered", "--backend", "stanli", "--cores", "1", *FEW)
    assert a_map(tmp_path / "here", monkeypatch, *words) == 0
    assert a_map(tmp_path / "there", monkeypatch, *words, "--dask", "local:2") == 0
    found = [
        {r.key: r.draws_digest for folder in (tmp_path / where).iterdir() for r in read_records(folder)}
        for where in ("here", "there")
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 8


def test_the_budget_ends_it_and_what_to_type_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", "centered,noncentered", "--backend", "stanli", *FEW)
    assert a_map(tmp_path, monkeypatch, *words, "--budget", "1e-9") == 2
    (folder,) = tmp_path.iterdir()
    assert f"nothing was measured; go on: hierbench map --resume {folder.name}" in capsys.readouterr().err
