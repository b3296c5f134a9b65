"""Tables of the report: cases, intervals, phases, the tidy results and their dictionary."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from scipy import stats

from bench.comparing.cost import growing, phases
from bench.comparing.rows import Row, seconds_to_error, summarise
from bench.comparing.verdict import limits, uncompared, verdict
from bench.records import Quantity, Record
from bench.report.columns import best_rate, quantity_lines
from bench.report.results import MAX_NAMES, Records, fields, write_results
from bench.report.terminal import summary
from bench.words import NOTHING, number
from tests.simulated import asked, simulate


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(simulate())


@pytest.fixture(scope="module")
def rows(records: list[Record]) -> list[Row]:
    return summarise(records)


def find(rows: list[Row], model: str, backend: str) -> Row:
    return next(row for row in rows if (row.model, row.backend) == (model, backend))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (None, NOTHING),
        (math.nan, NOTHING),
        (12345.6, "12,300"),
        (0.99996, "1.00"),
        (0.0123456, "0.0123"),
        (3e-7, "3.00e-07"),
        (-45.67, "-45.7"),
    ],
)
def test_numbers_have_three_digits(value: float | None, written: str) -> None:
    assert number(value) == written


def test_the_interval_is_students_t_on_the_log_scale(rows: list[Row]) -> None:
    row = find(rows, "noncentered", "stanli")
    logs = [math.log(record.ess_per_second or 0) for record in row.records]
    low, high = stats.t.interval(0.95, 2, sum(logs) / 3, stats.sem(logs))
    assert row.interval == pytest.approx((math.exp(low), math.exp(high)))
    assert row.rate is not None
    assert row.interval is not None
    assert row.interval[0] < row.rate < row.interval[1]


def test_one_replicate_has_no_interval(records: list[Record]) -> None:
    assert all(row.interval is None for row in summarise([r for r in records if r.replicate == 0]))


def test_phases_add_up_to_the_wall_time(rows: list[Row]) -> None:
    for row in rows:
        if row.fits:
            assert sum(row.phases.values()) == pytest.approx(row.wall_seconds)
    assert "warm-up and sampling" in find(rows, "noncentered", "nutpie").phases
    assert "warm-up" in find(rows, "noncentered", "cmdstan").phases


def test_clocks_that_disagree_do_not_make_negative_phases(records: list[Record]) -> None:
    record = replace(records[3], wall_seconds=1.0, warmup_seconds=[2.0] * 4, sampling_seconds=[2.0] * 4)
    assert min(phases(record).values()) >= 0
    assert sum(phases(record).values()) == pytest.approx(1.0)


def test_unhealthy_cases_are_not_ranked(rows: list[Row]) -> None:
    here = [row for row in rows if row.dataset == "omega0.1-G5-n20-s41"]
    best = best_rate(here, ("normal_means", "superpopulation"))
    assert not find(here, "centered", "stanli").healthy
    assert best == max(row.rate for row in here if row.healthy and row.rate and row.target == "superpopulation")


def test_runs_stay_apart(records: list[Record]) -> None:
    both = [*records, *(replace(record, run="20260202-000000-ffff") for record in records)]
    rows = summarise(both)
    assert len(rows) == 2 * len(summarise(records))
    assert {row.engine for row in rows if row.backend == "stanli"} == {"stanli A", "stanli B"}


def test_the_verdict_names_backend_model_and_trust(rows: list[Row]) -> None:
    backend, model, trust = verdict(rows)
    assert backend.startswith("Most effective draws per second: stanli at any number of groups (")
    assert model.startswith("Healthy in most fits: ")
    assert "Of 288 fits 272 gave draws" in trust
    assert any("pystan" in limit for limit in limits(rows, [asked()]))


def test_nothing_healthy_is_said(records: list[Record]) -> None:
    sick = [replace(record, health=["R-hat: 1.2"]) for record in records]
    assert verdict(summarise(sick))[0] == "No fit was healthy, so nothing is ranked."


def test_results_have_a_row_each_replicate_and_a_dictionary(records: list[Record], tmp_path: Path) -> None:
    odd = replace(records[0], grade={"largest": "no number"})
    write_results(tmp_path, [odd, *records[1:]])
    table = pyarrow.parquet.read_table(tmp_path / "results.parquet")
    with (tmp_path / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == table.num_rows == len(records)
    columns = list(fields(Records(records)))
    assert table.column_names == list(lines[0]) == [field.name for field in columns]
    assert {
        "family",
        "target",
        "size_groups",
        "generated_omega",
        "gate_with",
        "gate_error",
        "gate_note",
        "truth",
    } < set(table.column_names)
    assert lines[0]["size_groups"] == "5"
    assert lines[0]["known_omega_mean"] == ""
    assert lines[5]["known_omega_mean"] == "1"
    assert lines[5]["truth"] == "exact posterior"
    assert float(lines[5]["wall_seconds"]) == table["wall_seconds"][5].as_py() == records[5].wall_seconds
    assert lines[0]["grade_largest"] == ""
    dictionary = (tmp_path / "columns.md").read_text()
    assert all(f"| `{field.name}` |" in dictionary and field.meaning for field in columns)


def test_columns_are_those_of_the_quantities_at_hand(records: list[Record], tmp_path: Path) -> None:
    q = next(record for record in records if record.quantities).quantities["mu"]
    many = {f"beta{i}": replace(q, element=f"beta{i}") for i in range(100)}
    further = {"population_mean": {"mean": 1.5, "ess": 90.0}}
    record = replace(records[5], quantities={**many, "alpha": q}, headline=["alpha"], grade=None, further=further)
    write_results(tmp_path, [record])
    with (tmp_path / "results.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    means = [name for name in line if name.endswith("_mean") and name.startswith(("alpha", "beta"))]
    assert means == ["alpha_mean", *(f"beta{i}_mean" for i in range(MAX_NAMES - 1))]
    assert line["population_mean_mean"] == "1.5"
    assert not any(name.startswith(("mu", "known")) for name in line)


def test_quantities_stand_beside_the_true_ones(rows: list[Row]) -> None:
    lines = quantity_lines([find(rows, "noncentered", "stanli")])
    assert [line[2].split("[")[0] for line in lines] == ["mu", "sigma", "omega", "mu_g"]
    assert lines[0][:3] == ("noncentered", "stanli", "mu")
    assert lines[0][-5:] == ("exact posterior", "2.00", "0.400", "1.20", "2.80")
    assert lines[3][-5:] == (NOTHING,) * 5


def test_many_quantities_are_cut_and_counted_and_the_slowest_stay(records: list[Record]) -> None:
    q = next(record for record in records if record.quantities).quantities["mu"]
    many = {f"beta{i}": replace(q, ess_bulk=1000.0 - i, element=f"beta{i}") for i in range(100)}
    (row,) = summarise(
        [replace(records[5], quantities={**many, "alpha": replace(q, element="alpha")}, headline=["alpha"])]
    )
    lines = quantity_lines([row])
    assert [line[2] for line in lines[:3]] == ["alpha", "beta99", "beta98"]
    assert len(lines) == 41
    assert lines[-1][2] == "and 61 more, all faster"
    assert {len(line) for line in lines} == {len(lines[0])}


def test_a_constant_is_shown_as_such_and_stands_last(records: list[Record]) -> None:
    constant = Quantity(1.5, 0.0, 1.5, 1.5, 1.5, 0.0, math.nan, math.nan, math.nan, "c")
    fits = [replace(r, headline=[], quantities={"c": constant, **r.quantities}) for r in records if r.status == "ok"]
    row = summarise(fits)[0]
    lines = quantity_lines([row])
    assert lines[-1][2:10] == ("c", "1.50", "0", "1.50", "1.50", "1.50", "0", "constant")
    assert row.quantities[-1] == "c"


def test_an_array_is_told_by_its_slowest_element(records: list[Record]) -> None:
    fits = [record for record in records if record.key[:3] == records[5].key[:3]]
    q = fits[0].quantities["mu"]
    made = [("mu_g[0]", 1.0, 500.0), ("mu_g[4]", 9.0, 90.0), ("mu_g[4]", 11.0, 100.0)]
    (row,) = summarise(
        [
            replace(fit, quantities={"mu_g": replace(q, element=element, mean=mean, ess_bulk=ess)})
            for fit, (element, mean, ess) in zip(fits, made, strict=True)
        ]
    )
    found = row.quantity("mu_g")
    assert found is not None
    assert (found.element, found.mean, found.ess_bulk) == ("mu_g[4]", 10.0, 90.0)


def test_the_error_is_over_the_headline_quantities_that_are_known(records: list[Record]) -> None:
    record = next(record for record in records if record.grade)
    q = record.quantities["mu"]
    quantities = {"a": replace(q, mean=3.0), "b": replace(q, mean=9.0), "c": replace(q, mean=9.0)}
    known = {"a": {"mean": 1.0, "sd": 2.0}, "c": {"mean": 0.0, "sd": 1.0}}
    grade = {"truth": "reference draws", "known": known}
    (row,) = summarise([replace(record, quantities=quantities, headline=["a", "b"], grade=grade)])
    assert row.error == pytest.approx(1.0)
    assert row.truth == "reference draws"


def test_models_that_no_other_language_confirms_are_named(records: list[Record]) -> None:
    assert uncompared(records) == ""
    gate = {"with": "", "note": "there is no PyMC program"}
    alone = [replace(record, gate=gate) if record.model == "centered" else record for record in records]
    said = uncompared(alone)
    assert said.count("centered") == 3
    assert "and 1 more (there is no PyMC program)" in said
    assert said in limits(summarise(alone), [asked()])
    assert said in list(summary(alone))


def test_true_ess_is_that_of_the_squared_errors(records: list[Record]) -> None:
    of_case = [r for r in records if r.key[:3] == records[0].key[:3]]
    known = {"mean": 1.0, "sd": 2.0, "q3": 0.0, "q97": 2.0}
    made = []
    for replicate, off in enumerate((0.02, -0.02, 0.02, -0.02, 0.02)):  # sds: squared errors of an ESS of 2500
        q = replace(of_case[0].quantities["omega"], mean=1.0 + off * 2.0)
        grade = {"truth": "exact", "known": {"omega": known}}
        made.append(replace(of_case[0], replicate=replicate, quantities={"omega": q}, grade=grade, status="ok"))
    (enough,), (few,) = summarise(made), summarise(made[:4])
    found = enough.true_ess("omega")
    assert found is not None
    assert found.ess == pytest.approx(2500)
    assert found.lower < 2500 < found.upper
    assert few.true_ess("omega") is None
    sampled = [replace(r, grade={"truth": "reference draws", "known": {"omega": known}}) for r in made]
    assert summarise(sampled)[0].true_ess("omega") is None


def test_seconds_to_error_are_for_one_error_whatever_a_grade_states(records: list[Record]) -> None:
    record = next(record for record in records if record.grade)
    finer = replace(record, grade={**(record.grade or {}), "stated_error": 0.005})
    once = (record.wall_seconds or 0.0) - growing(record)  # only the rest grows with the draws
    assert (seconds_to_error(finer) or 0) - once == pytest.approx(((seconds_to_error(record) or 0) - once) / 4)


def test_the_build_of_a_case_is_the_first_that_no_cache_served() -> None:
    fits = list(simulate(replicates=3))
    seconds, caches = (0.2, 50.0, 0.1), ("disk", "built", "memory")
    case = [
        replace(fits[0], replicate=i, prepare_seconds=s, prepare_cache=c)
        for i, (s, c) in enumerate(zip(seconds, caches, strict=True))
    ]
    (row,) = summarise(case)
    assert (row.build_seconds, row.build_cache) == (50.0, "")
    (row,) = summarise([case[0], case[2]])
    assert (row.build_seconds, row.build_cache) == (0.2, "disk")
