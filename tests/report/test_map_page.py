"""The page of a map: its sentences, its pictures, and its look-up in a browser."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from bench.comparing.crossover import crossings, fields
from bench.comparing.map_table import Place, look_up, read
from bench.report.map_figure import pictures
from bench.report.map_page import centered_or_not, of_all, sure, turns, write_map
from tests.simulated import HOSTILE, asked
from tests.simulated_map import record, simulated

Opened = Callable[[Path], AbstractContextManager[Any]]
RECORDS = [
    *simulated(),
    *simulated(groups=5, imbalance=100),
    *simulated(groups=5, sigma=0.075),
    *simulated(backend="nutpie_stan"),
]


def test_the_crossing_lies_where_the_two_are_as_good() -> None:
    (at,) = turns(fields(list(simulated(informations=(0.1, 4.0), noise=0.001))))
    assert at == pytest.approx(1.0, rel=0.02)


def test_the_sentence_answers_for_each_engine() -> None:
    said = centered_or_not(fields(RECORDS))
    assert "With stanli, write centered where n omega²/sigma² is above about" in said
    assert "With nutpie_stan, write centered" in said
    assert re.search(r"the other one costs up to \d+ times the CPU time", said)
    assert said.endswith("Theory's line is 1.")
    assert "marginal at 15" in of_all(fields(RECORDS))


def test_how_sure_counts_every_state() -> None:
    fits = [record("centered", 1.0, n, None) for n in range(2)] + [
        record("noncentered", 1.0, n, None) for n in range(2)
    ]
    said = sure(fields([*RECORDS, *fits]), of_pair=True)
    assert said.startswith(f"How sure: {len(RECORDS) + 4} fits. Of 20 points")
    assert "the faster form is told at " in said
    assert ", none was healthy at 1 and it is open at 3." in said


def test_contours_of_the_cost_lie_where_the_rates_part_by_it() -> None:
    column = fields(list(simulated(noise=0.001)))
    for ratio in (0.1, 0.5, 1.0, 2.0, 10.0):  # the rates part as the information does
        assert crossings(column, ratio) == [pytest.approx(ratio, rel=0.02)]
    two, every = pictures(column)
    assert two is not None
    ((_, (panel,)),) = two.parts
    assert re.findall(r'class="contour" stroke-width="([\d.]+)"', str(panel.body)) == ["0.9", "0.9", "2.4", "2.4"]
    assert "contour" not in str(every.parts)


def test_next_to_a_point_where_one_form_alone_is_healthy_the_contour_is_in_the_middle() -> None:
    sick = simulated((1.0, 100.0), rates=lambda model, at: 0.0 if (model, at) == ("noncentered", 100.0) else 500.0)
    column = fields(list(sick))
    assert crossings(column, 2.0) == [pytest.approx(10.0)]
    assert crossings(column, 0.5) == []


def test_where_the_winner_never_changes_that_is_said() -> None:
    said = centered_or_not(fields(list(simulated(informations=(10.0, 100.0)))))
    assert "the winner changes nowhere on this map" in said


def test_the_page_shows_every_point_and_escapes(tmp_path: Path) -> None:
    hostile = [record(model, 1.0, n, backend=HOSTILE) for model in ("centered", "noncentered") for n in range(2)]
    (tmp_path / "records.jsonl.gz").touch()
    page = write_map(tmp_path, [*RECORDS, *hostile], asked())
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert '<a href="map.csv">map.csv</a>, <a href="records.jsonl.gz">records.jsonl.gz</a>.' in text
    assert text.count('class="patch"') == 2 * 21  # both pictures
    assert text.count('class="unity"') == 2 * 5
    assert len(read(tmp_path / "map.csv")) == 20 * 3 + 2


def test_without_both_forms_there_is_no_such_question(tmp_path: Path) -> None:
    page = write_map(tmp_path, [each for each in RECORDS if each.model != "centered"], asked())
    text = page.read_text(encoding="utf-8")
    assert "Which form wins where" in text
    assert "map-data" not in text


ASKED = [(50, 10, 1, 1.0, 1.0), (6, 20, 80, 1.0, 0.3), (5000, 10, 1, 2.0, 0.001), (50, 3, 1, 0.05, 0.9)]


def test_the_look_up_says_what_the_table_says(opened: Opened, tmp_path: Path) -> None:
    page = write_map(tmp_path, RECORDS, asked())
    lines = read(tmp_path / "map.csv")
    with opened(page) as shown:
        for groups, size, imbalance, sigma, omega in ASKED:
            names = ("groups", "size", "imbalance", "sigma", "omega")
            for name, value in zip(names, (groups, size, imbalance, sigma, omega), strict=True):
                shown.fill(f"#lookup [name={name}]", str(value))
            said = shown.inner_text("#lookup output")
            for reading in look_up(lines, Place(size * omega**2 / sigma**2, groups, imbalance, sigma)):
                assert f"By {reading.engine}: {reading.sentence.split(';')[0]}" in said
                assert f"measured on {reading.fits} fits" in said
                assert ("its nearest edge" in said) == bool(reading.outside)
        shown.fill("#lookup [name=omega]", "0")
        assert "Type numbers above 0" in shown.inner_text("#lookup output")
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_point_stands_for_its_neighbourhood_alone() -> None:
    two, _ = pictures(fields(list(simulated(informations=(0.001, 1000.0)))))
    assert two is not None
    ((_, (panel,)),) = two.parts
    found = re.findall(r'<rect x="([\d.]+)"[^>]* width="([\d.]+)"[^>]*class="patch"', str(panel.body))
    (left, wide), (right, also) = sorted((float(x), float(width)) for x, width in found)
    assert right - (left + wide) > wide  # nothing is drawn where nothing was measured
    assert also < 100
