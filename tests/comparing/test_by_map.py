"""What the committed map says before any fit, and whether the fits agree."""

from pathlib import Path

import pytest

from bench.comparing import by_map as module
from bench.comparing.by_map import ByMap, against, by_map
from bench.comparing.crossover import fields
from bench.comparing.map_table import Place, entries, look_up, written
from bench.comparing.rows import Row, summarise
from bench.records import RunError
from tests.simulated_map import record, simulated

LINES = entries(fields(list(simulated(noise=0.0))))
MODELS = ("marginal", "centered", "noncentered")


def rows(centered: float | None, noncentered: float | None) -> list[Row]:
    fits = [
        record(model, 10.0, 0, rate, replicate=n, seed=n, ess_per_second=rate or 1.0, draws_digest=f"{model}{n}")
        for model, rate in (("centered", centered), ("noncentered", noncentered))
        for n in range(2)
    ]
    return summarise(fits)


def said(found: list[Row], information: float = 10.0) -> str:
    (reading,) = look_up(LINES, Place(information, 50))
    return against([ByMap(reading, "")], found).partition(". ")[2]


def test_the_fits_confirm_or_correct_it() -> None:
    assert said(rows(500.0, 100.0)) == "4 fits here confirm it: centered gave 5.0 times the rate of noncentered"
    assert said(rows(100.0, 500.0)) == "4 fits here correct it: noncentered gave 5.0 times the rate of centered"
    assert said(rows(500.0, None)) == "4 fits here confirm it: noncentered was not healthy"
    assert said(rows(102.0, 100.0)).startswith("4 fits here correct it: ")
    assert said(rows(102.0, 100.0), information=1.0).startswith("4 fits here confirm it: ")


def test_what_was_not_measured_confirms_nothing() -> None:
    assert said(rows(None, None)).startswith("The fits here don't tell")
    assert said([row for row in rows(500.0, 100.0) if row.model == "centered"]).startswith("The fits here don't tell")
    assert against([], rows(500.0, 100.0)) == ""


def test_the_committed_map_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMITTED", tmp_path)
    place = Place(10.0, 50)
    assert by_map(place, MODELS, {"stanli": {"stanli": "1.0"}}) == []  # there is none
    (tmp_path / "map.csv").write_text(written(LINES))
    (found,) = by_map(place, MODELS, {"stanli": {"stanli": "1.0"}})
    assert found.line.startswith("by the map, stanli: centered wins, about 10 times the rate of noncentered")
    (found,) = by_map(place, MODELS, {"stanli": {"stanli": "2.0"}})
    assert found.line.endswith("; made with another version: stanli 1.0")
    assert by_map(place, MODELS, {"nutpie": {}}) == []
    assert by_map(place, ("finite_marginal",), {"stanli": {}}) == []
    (tmp_path / "map.csv").write_text("nothing")
    with pytest.raises(RunError, match="is no map"):
        by_map(place, MODELS, {"stanli": {}})
