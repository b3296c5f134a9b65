"""What the pages of versions and of histories say first."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.comparing.aa import simulated_record
from bench.comparing.aa_looks import two_versions
from bench.comparing.compare import compare_runs
from bench.records import Record
from bench.report.changes import of_comparisons, sentence
from bench.report.history_page import History
from tests.report.test_history_page import RUNS, STEP, run


def version(name: str, slow: float) -> list[Record]:
    return [
        simulated_record(
            run=name,
            dataset=f"data{i}",
            replicate=replicate,
            wall_seconds=slow * (2 + 0.01 * ((replicate * 7 + i * (3 + (name == "b"))) % 5)),
        )
        for i in range(3)
        for replicate in range(6)
    ]


def compared(slow: float) -> str:
    return sentence(compare_runs(version("a", 1.0), version("b", slow)))


def test_a_slower_version_is_said_with_its_ratio() -> None:
    assert compared(1.3).startswith("cmdstan ")
    assert "takes 1.30 times (1." in compared(1.3)
    assert "the wall time" in compared(1.3)


def test_a_version_that_changes_nothing_is_said_to_change_nothing() -> None:
    assert compared(1.001) == "cmdstan did not change, within 10 %"


def test_what_is_the_same_is_said_beside_what_can_not_be_told() -> None:
    rng = np.random.default_rng(1)
    sides = [
        [replace(r, wall_seconds=(r.wall_seconds or 1) * rng.lognormal(0, 0.5)) for r in side if r.replicate < 5]
        for side in two_versions(rng, 6)
    ]
    said = sentence(compare_runs(*sides))
    assert said.startswith("cmdstan takes "), said
    assert " the CPU time of a gradient, the same within 10 %, can't tell for wall time, " in said


def test_of_several_versions_those_that_changed_something_stand_first() -> None:
    same, slower = (compare_runs(version("a", 1.0), version("b", slow)) for slow in (1.001, 1.3))
    both = of_comparisons([("x==1 (A) to x==2 (B)", same), ("y==1 (A) to y==2 (B)", slower)])
    assert both.sentence.startswith("y==1 to y==2: cmdstan takes 1.30 times")
    assert both.rest == "x==1 to x==2: cmdstan did not change, within 10 %."
    none = of_comparisons([("x==1 (A) to x==2 (B)", same), ("y==1 (A) to y==2 (B)", same)])
    assert none.sentence == "No sure change in any of 2 comparisons."
    assert none.rest.startswith("x==1 to x==2: cmdstan did not change, within 10 %. y==1 to y==2: ")


def test_the_picture_has_a_strip_for_each_measure() -> None:
    found = of_comparisons([("x==1 (A) to x==2 (B)", compare_runs(version("a", 1.0), version("b", 1.3)))])
    assert found.sentence.startswith("x==1 to x==2: cmdstan takes 1.30 times")
    assert found.figure is not None
    assert "wall time" in found.figure.parts[0][1][0].body


def history(runs: Sequence[int], **changes: str) -> History:
    return History.of("History", [[replace(r, **changes) for r in run(i)] for i in runs], ["wall_seconds"], "date")  # type: ignore[arg-type]


def test_a_step_is_said_with_its_day_its_size_and_its_version() -> None:
    first = history(range(RUNS)).first()
    assert first.sentence.startswith(f"centered on cmdstan got slower on 2026-01-19 (run r{STEP:03d}): wall time 1.1")
    assert "with cmdstan 2.38 to 2.39" in first.sentence
    assert "Nothing else changed (1 other case)" in first.sentence
    assert first.figure is not None
    assert 'class="step"' in first.figure.parts[0][1][0].body


def test_few_runs_show_no_change_and_it_is_said_how_many_it_takes() -> None:
    assert history(range(3)).first().sentence == (
        "No change can be told in any of 2 cases over 3 runs; it takes 6 runs to tell."
    )
