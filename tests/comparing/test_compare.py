"""Comparisons: verdicts, pairing, refusals, regressions and what is printed."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.cells import cells
from bench.comparing.aa import compare_with_itself, compare_with_slower, simulated_record, simulated_run
from bench.comparing.compare import compare_runs, log_ratio
from bench.comparing.comparison import Comparison
from bench.comparing.difference import Difference
from bench.comparing.effect import MEASURES, Effect
from bench.comparing.matching import CompareError, IncomparableError
from bench.comparing.outcome import outcome
from bench.deciding.aa_real import compare_halves, halves
from bench.records import Record

SICK: dict[str, Any] = {"health": ["R-hat: 1.05"]}
FAILED: dict[str, Any] = {"status": "failed", "reason": "no <b> | memory\nmore"}


def cell(
    run: str = "a", n: int = 20, cv: float = 0.03, seed: int = 0, factor: float = 1.0, **changes: Any
) -> list[Record]:
    """Return the replicates of one cell."""
    rng = np.random.default_rng([seed, run == "b"])
    wall, ess = np.exp(rng.normal(0, cv, (2, n)))
    gradients = rng.integers(11_900, 12_100, n)
    made = {"wall_seconds": 2 * factor * wall, "min_ess_bulk": 1500 * ess, "gradients": gradients}
    return [
        simulated_record(run=run, replicate=i, **{name: values[i].item() for name, values in made.items()} | changes)
        for i in range(n)
    ]


def only(result: Comparison) -> Difference:
    """Return the one row of a comparison."""
    (row,) = result.rows
    return row


def effect(row: Difference, measure: str) -> Effect:
    """Return a row's effect by its measure."""
    return next(e for e in row.effects if e.measure == measure)


def state(result: Comparison, condition: str) -> str:
    """Hold one comparison against a condition."""
    return outcome([result], condition).state


def change(records: list[Record], **changes: Any) -> list[Record]:
    """Replace fields of all records."""
    return [dataclasses.replace(record, **changes) for record in records]


def test_a_slow_down_is_found_with_its_size() -> None:
    row = only(compare_runs(cell(), cell("b", factor=1.5)))
    wall, rate = effect(row, "wall_seconds"), effect(row, "ess_per_second")
    assert row.kind == wall.kind == rate.kind == "slower"
    assert wall.interval[0] < 1.5 < wall.interval[1]
    assert rate.interval[0] < 1 / 1.5 < rate.interval[1]
    assert effect(row, "ess_per_gradient").kind == "same"
    assert row.pairs
    assert row.n == 20


def test_the_same_draws_leave_only_the_speed_to_test() -> None:
    a = [dataclasses.replace(record, cpu_seconds=1.0 + 0.001 * record.replicate) for record in cell()]
    b = [
        dataclasses.replace(record, run="b", cpu_seconds=(1.1 + 1e-6 * record.replicate) * (record.cpu_seconds or 0))
        for record in a
    ]
    row = only(compare_runs(a, b, within=0.05))
    assert row.same_draws
    assert {e.measure for e in row.effects} == {"wall_seconds", "cpu_per_gradient"}
    assert row.deciding is effect(row, "cpu_per_gradient")
    assert row.deciding.ratio == pytest.approx(1.1, rel=1e-4)
    assert row.verdict == "slower; same draws, only speed can differ"
    other = [dataclasses.replace(record, gradients=(record.gradients or 0) + 1) for record in b]
    assert not only(compare_runs(a, other)).same_draws
    digests = [[dataclasses.replace(r, draws_digest=f"draws {r.replicate}") for r in side] for side in (a, other)]
    assert only(compare_runs(*digests)).same_draws


def test_cpu_time_of_a_gradient_is_compared_where_both_sides_have_it() -> None:
    a, b = cell(), cell("b", seed=1)
    assert {e.measure for e in only(compare_runs(a, b)).effects} == set(MEASURES) - {"cpu_per_gradient"}
    b = [dataclasses.replace(record, cpu_seconds=3.0) for record in b]
    assert "cpu_per_gradient" not in {e.measure for e in only(compare_runs(a, b)).effects}
    a = [dataclasses.replace(record, cpu_seconds=1.0) for record in a]
    found = effect(only(compare_runs(a, b)), "cpu_per_gradient")
    assert found.ratio == pytest.approx(3.0, rel=0.01)
    assert found.kind == "slower"


def test_same_draws_whose_wall_time_surely_differs_say_so() -> None:
    a = [dataclasses.replace(record, cpu_seconds=1.0 + 0.001 * record.replicate) for record in cell()]
    b = [
        dataclasses.replace(r, run="b", wall_seconds=(1.5 + 0.01 * (r.replicate % 3)) * (r.wall_seconds or 0))
        for r in a
    ]
    said = only(compare_runs(a, b)).verdict
    assert said == "same within 10 %; same draws, only speed can differ; wall time surely slower"
    less = [
        dataclasses.replace(r, run="b", wall_seconds=(1 + 0.01 * (r.replicate % 3)) * (r.wall_seconds or 0)) for r in a
    ]
    assert only(compare_runs(a, less)).verdict == "same within 10 %; same draws, only speed can differ"


@pytest.mark.parametrize(
    "lost",
    [{"cpu_seconds": None}, {"gradients": 0, "warmup_gradients": 0}, {"gradients": None, "warmup_gradients": None}],
)
def test_a_clock_or_a_count_that_is_missing_is_said_and_gives_no_verdict(lost: dict[str, Any]) -> None:
    a = [dataclasses.replace(record, cpu_seconds=1.0 + 0.001 * record.replicate) for record in cell()]
    b = [dataclasses.replace(record, run="b", cpu_seconds=3 * (record.cpu_seconds or 0)) for record in a]
    odd = [dataclasses.replace(record, **lost) if record.replicate == 3 else record for record in b]
    found = compare_runs(a, odd)
    assert "cpu_per_gradient" not in {each.measure for each in only(found).effects}
    assert any(note.startswith("CPU/gradient is not compared in 1 of 1 cases") for note in found.notes)
    assert only(found).kind == "same"  # by what is left
    assert not any("CPU/gradient" in note for note in compare_runs(a, b).notes)


def test_the_verdict_turns_with_the_sides() -> None:
    a, b = cell(), cell("b", factor=1.5)
    forth, back = compare_runs(a, b), compare_runs(b, a)
    assert only(back).kind == "faster"
    for measure in ("wall_seconds", "ess_per_second"):
        assert effect(only(back), measure).ratio == pytest.approx(1 / effect(only(forth), measure).ratio)


def test_equal_runs_are_the_same_within_the_margin() -> None:
    assert only(compare_runs(cell(), cell("b"))).verdict == "same within 10 %"
    assert only(compare_runs(cell(), cell("b"), within=0.05)).verdict == "same within 5 %"


def test_bit_identical_fits_are_the_same() -> None:
    row = only(compare_runs(cell(), change(cell(), run="b")))
    assert {e.kind for e in row.effects} == {"same"}
    assert {e.interval for e in row.effects} == {(1.0, 1.0)}


def test_a_sure_difference_smaller_than_the_margin_is_the_same_unless_the_margin_is_narrower() -> None:
    a, b = cell(cv=0.01), cell("b", cv=0.01, factor=1.05)
    assert only(compare_runs(a, b)).kind == "same"
    assert only(compare_runs(a, b, within=0.02)).kind == "slower"


def test_few_noisy_replicates_are_not_enough_and_the_number_asked_for_is() -> None:
    row = only(compare_runs(cell(n=4, cv=0.2), cell("b", n=4, cv=0.2)))
    rate = effect(row, "ess_per_second")
    assert row.kind == "not enough"
    assert row.verdict == f"not enough replicates: {rate.more} more needed for 10 %"
    n = 4 + rate.more
    assert dataclasses.replace(rate.contrast, n=n, df=n - 1).half_width() <= np.log(1.1)


@pytest.mark.parametrize(("n", "more"), [(1, 2), (2, 1)])
def test_one_or_two_replicates(n: int, more: int) -> None:
    row = only(compare_runs(cell(n=n, cv=0.2), cell("b", n=n, cv=0.2)))
    assert row.kind == "not enough"
    assert effect(row, "wall_seconds").more >= more
    json.dumps(row.to_dict(), allow_nan=False)


def test_a_narrow_interval_that_decides_nothing_asks_for_half_the_margin() -> None:
    half = next(
        e
        for factor in np.linspace(1.05, 1.1, 20)
        for e in only(compare_runs(cell(n=6, cv=0.03), cell("b", n=6, cv=0.03, factor=factor), alpha=1e-6)).effects
        if e.kind == "not enough"
    )
    assert half.resolution < 0.1
    assert half.more >= 1


def test_wall_time_decides_where_the_ess_is_too_noisy() -> None:
    rng = np.random.default_rng(1)
    a, b = (
        [
            simulated_record(
                run=run,
                replicate=i,
                wall_seconds=w * np.exp(rng.normal(0, 0.02)),
                min_ess_bulk=e,
                gradients=int(12_000 * w) + i,
            )
            for i, e in enumerate(rng.lognormal(7, 0.5, 20))
        ]
        for run, w in (("a", 2.0), ("b", 2.4))
    )
    row = only(compare_runs(a, b))
    assert effect(row, "ess_per_second").kind == "not enough"
    if effect(row, "ess_per_second").slowdown > 1:
        assert row.verdict == "slower (wall time)"
    else:
        assert row.kind == "not enough"


def test_shared_noise_is_paired_away() -> None:
    walls = np.exp(np.random.default_rng(2).normal(0, 0.5, 8))
    a = [simulated_record(run="a", replicate=i, wall_seconds=w) for i, w in enumerate(walls)]
    b = [simulated_record(run="b", replicate=i, wall_seconds=w * 1.3 * (1 + 0.001 * i)) for i, w in enumerate(walls)]
    row = only(compare_runs(a, b[::-1]))
    assert row.pairs
    assert effect(row, "wall_seconds").contrast.half_width() < 0.01


def test_other_seeds_are_refused_and_are_not_paired_when_told_to_go_on() -> None:
    a = cell()
    b = [dataclasses.replace(record, seed=record.seed + 1) for record in cell("b")]
    with pytest.raises(IncomparableError, match=r"seeds: 1000, 1001.* in A, 1001.* in B") as refusal:
        compare_runs(a, b)
    assert "hierbench compare a b --by version --anyway" in str(refusal.value)
    assert not only(compare_runs(a, b, anyway=True)).pairs


def test_more_replicates_on_one_side_are_two_samples() -> None:
    row = only(compare_runs(cell(n=5), cell("b", n=20)))
    assert not row.pairs
    assert effect(row, "wall_seconds").contrast.n == pytest.approx(8)


@pytest.mark.parametrize(
    ("named", "changes"),
    [
        ("data of groups8", {"dataset_digest": "other"}),
        ("program of centered", {"model_digest": "other"}),
        ("protocol: matched in A, stock in B", {"protocol": "stock"}),
        ("setting draws: 1000 in A, 500 in B", {"settings": {"chains": 4, "draws": 500}}),
        ("setting cores: 4 in A, not there in B", {"settings": {"chains": 4, "draws": 500}}),
        ("machine cpu: simulated in A, other in B", {"environment": {"cpu": "other", "cores": 4}}),
        ("Python: 3.12 in A, 3.11 in B", {"environment": {"python": "3.11.9"}}),
    ],
)
def test_what_differs_is_refused_by_name_unless_told_to_go_on(named: str, changes: dict[str, Any]) -> None:
    b = change(cell("b"), **changes)
    with pytest.raises(IncomparableError) as refusal:
        compare_runs(cell(), b)
    assert any(named in difference for difference in refusal.value.differences)
    assert any(named in note for note in compare_runs(cell(), b, anyway=True).notes)


def test_the_patch_release_of_python_and_the_commit_do_not_matter() -> None:
    environment = {**cell()[0].environment, "python": "3.12.9", "commit": "abc+"}
    compare_runs(cell(), change(cell("b"), environment=environment))


def test_nothing_in_common() -> None:
    with pytest.raises(CompareError, match="groups8 centered cmdstan is not in B"):
        compare_runs(cell(), cell("b", model="noncentered"))
    with pytest.raises(CompareError, match="there are no records"):
        compare_runs([], [])


def test_what_one_side_lacks_is_said() -> None:
    result = compare_runs([*cell(), *cell(model="noncentered")], [*cell("b"), *cell("b", dataset="weak8")])
    assert len(result.rows) == 1
    notes = "\n".join(result.notes)
    assert "groups8 noncentered cmdstan is not in B" in notes
    assert "weak8 centered cmdstan is not in A" in notes


def test_a_backend_that_is_unavailable_is_no_regression() -> None:
    gone = cell("b", backend="pymc", status="unavailable", reason="no pymc")
    result = compare_runs([*cell(), *cell(backend="pymc")], [*cell("b"), *gone])
    assert any("pymc is unavailable in B: no pymc" in note for note in result.notes)
    assert state(result, "slower") != "fails"


@pytest.mark.parametrize(("broken", "n"), [(SICK, 5), (SICK, 20), (FAILED, 1), (FAILED, 20)])
def test_newly_unhealthy_is_a_regression_and_never_ranked(broken: dict[str, Any], n: int) -> None:
    result = compare_runs(cell(n=n), cell("b", n=n, factor=0.1, **broken))
    row = only(result)
    assert row.kind == "not ranked"
    assert row.health_change == "worse"
    assert row.effects == ()
    assert row.verdict.startswith("REGRESSION; less healthy; not ranked (B: ")
    assert state(result, "slower:10%") == "fails"
    back = compare_runs(cell("b", n=n, **broken), cell(n=n))
    assert only(back).health_change == "better"
    assert state(back, "slower") != "fails"


@pytest.mark.parametrize("n", [1, 3, 4])
def test_that_all_of_few_replicates_are_newly_unhealthy_may_be_chance_and_is_said_to_be_open(n: int) -> None:
    others = [record for k in range(3) for record in cell(dataset=f"other{k}", seed=k)]
    others_b = [record for k in range(3) for record in cell("b", dataset=f"other{k}", seed=k)]
    result = compare_runs([*others, *cell(n=n)], [*others_b, *cell("b", n=n, **SICK)])
    row = next(row for row in result.rows if row.kind == "not ranked")
    assert (row.health_change, row.lost) == ("", True)
    assert row.verdict.startswith("not ranked (B: ")
    assert state(result, "slower:50%") == "can't tell"
    back = compare_runs([*others, *cell("b", n=n, **SICK)], [*others_b, *cell(n=n)])
    assert state(back, "slower:50%") == "passes"


def test_one_unhealthy_replicate_of_many_is_left_out_with_its_partner_and_is_no_regression() -> None:
    b = cell("b", factor=1.5)
    b[3] = dataclasses.replace(b[3], health=["R-hat: 1.023"], wall_seconds=1e6)
    result = compare_runs(cell(), b)
    row = only(result)
    assert row.kind == "slower"
    assert row.n == 19
    assert row.unhealthy == ((0, 20), (1, 20))
    assert effect(row, "wall_seconds").ratio == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize(("sick", "ranked"), [(0, True), (1, True), (2, True), (4, True), (5, False), (20, False)])
def test_a_case_is_ranked_by_its_healthy_fits_unless_more_than_one_in_five_are_not(sick: int, ranked: bool) -> None:
    b = [dataclasses.replace(r, health=["R-hat: 1.023"]) if r.replicate < sick else r for r in cell("b")]
    (found,) = cells(b)
    assert found.healthy is ranked
    assert len(found.counted) == (20 - sick if ranked else 20)
    row = only(compare_runs(cell(), b))
    assert (row.kind != "not ranked") is ranked
    assert found.verdict.startswith(
        {0: "healthy", 4: "16 of 20 healthy (else R-hat)", 5: "5 of 20 unhealthy"}.get(sick, "")
    )


@pytest.mark.parametrize(("sick", "n", "ranked"), [(1, 1, False), (1, 2, True), (2, 2, False), (2, 5, False)])
def test_of_few_replicates_two_unhealthy_ones_are_too_many(sick: int, n: int, ranked: bool) -> None:
    b = [dataclasses.replace(r, health=["R-hat: 1.023"]) if r.replicate < sick else r for r in cell("b", n=n)]
    assert cells(b)[0].healthy is ranked


def test_more_divergences_are_a_regression() -> None:
    b = [dataclasses.replace(record, divergences=3) for record in cell("b")]
    result = compare_runs(cell(), b)
    row = only(result)
    assert row.divergences == (0, 60)
    assert row.rate is not None
    assert row.rate.low > 1
    assert "REGRESSION; more divergences; same" in row.verdict
    assert state(result, "slower:50%") == "fails"
    assert only(compare_runs(b, cell())).divergence_change == "better"


def test_unhealthy_on_both_sides_is_no_regression() -> None:
    result = compare_runs(cell(**SICK), cell("b", **SICK))
    assert only(result).kind == "not ranked"
    assert state(result, "slower") != "fails"


def test_geometric_means_take_datasets_as_units() -> None:
    factors = {"groups8": 1.2, "groups32": 1.5, "groups128": 1.8}
    a = [record for i, name in enumerate(factors) for record in cell(dataset=name, seed=i)]
    b = [record for i, (name, x) in enumerate(factors.items()) for record in cell("b", dataset=name, seed=i, factor=x)]
    (mean,) = compare_runs(a, b).means
    wall = effect(mean, "wall_seconds")
    assert wall.ratio == pytest.approx((1.2 * 1.5 * 1.8) ** (1 / 3), rel=0.02)
    assert mean.n == 3
    assert wall.contrast.df == 2
    assert wall.interval[0] < 1.2
    assert "datasets" in mean.verdict


def test_unhealthy_cells_are_in_no_mean() -> None:
    names = ("groups8", "groups32", "weak8")
    a = [record for name in names for record in cell(dataset=name)]
    b = [record for name in names for record in cell("b", dataset=name, **(SICK if name == "weak8" else {}))]
    (mean,) = compare_runs(a, b).means
    assert mean.n == 2


def test_by_backend_within_a_run() -> None:
    run = [*cell(backend="pymc", factor=2.0), *cell(seed=1), *cell(backend="stanli", seed=2)]
    result = compare_runs(run, by="backend")
    assert [(row.backend, row.versus, row.kind) for row in result.rows] == [
        ("pymc", "cmdstan", "slower"),
        ("stanli", "cmdstan", "same"),
    ]
    turned = compare_runs(run, run, by="backend", reference="pymc")
    assert {row.kind for row in turned.rows} == {"faster"}
    with pytest.raises(CompareError, match="no backend 'x'"):
        compare_runs(run, by="backend", reference="x")
    with pytest.raises(CompareError, match="within one run"):
        compare_runs(run, cell("b"), by="backend")


def test_stock_settings_may_differ_by_backend_but_matched_ones_may_not() -> None:
    other = change(cell(backend="pymc"), settings={**cell()[0].settings, "target_accept": 0.9})
    with pytest.raises(IncomparableError, match="target_accept"):
        compare_runs([*cell(), *other], by="backend")
    compare_runs(change([*cell(), *other], protocol="stock"), by="backend")


def test_by_model_compares_the_same_target_alone() -> None:
    finite = {"target": "finite_population"}
    run = [
        *cell(),
        *cell(model="noncentered", model_digest="n"),
        *cell(model="finite_zerosum_centered", model_digest="f", **finite),
        *cell(model="finite_zerosum_noncentered", model_digest="g", **finite),
    ]
    pairs = [(row.model, row.versus) for row in compare_runs(run, by="model").rows]
    assert pairs == [("noncentered", "centered"), ("finite_zerosum_noncentered", "finite_zerosum_centered")]


def test_versions_are_named() -> None:
    result = compare_runs(cell(), change(cell("b"), versions={"cmdstan": "2.39.0"}))
    assert result.notes[0] == "cmdstan: cmdstan 2.38.0 to 2.39.0"


@pytest.mark.parametrize("render", [lambda r: "\n".join(r.lines()), Comparison.markdown], ids=["terminal", "markdown"])
def test_what_is_printed(render: Callable[[Comparison], str]) -> None:
    a, b = simulated_run(np.random.default_rng(0), 5), simulated_run(np.random.default_rng(1), 5, "b")
    result = compare_runs([*a, *cell(dataset="x|<b>\x1b[1m")], [*b, *cell("b", dataset="x|<b>\x1b[1m", **FAILED)])
    text = render(result)
    assert "\x1b" not in text
    for words in ("Holm", "geometric mean", "REGRESSION", "not enough replicates", "Of 25 cases: "):
        assert words in text
    if text.startswith("#"):
        assert "<b>" not in text
        assert len({line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}) == 1
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert len(plain["rows"]) == 25
    assert plain["adjustment"] == "holm"


@pytest.mark.parametrize("replicates", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_a_backend_compared_with_itself(replicates: int) -> None:
    count = compare_with_itself(11, replicates, tables=15)
    assert count.alarms / count.verdicts <= 0.01
    assert count.alarmed <= 1


def test_a_planted_slow_down_is_found() -> None:
    power = compare_with_slower(12, 20, 1.2, 1, tables=20)
    assert power.found / power.planted >= 0.8
    assert power.failed / power.tables >= 0.8


@pytest.mark.slow
def test_halves_of_the_same_fits_are_not_told_apart_and_a_slow_half_is() -> None:
    records = simulated_run(np.random.default_rng(4), 40)
    a, b = halves(records, np.random.default_rng(5))
    assert len(a) == len(b) == len(records) / 2
    assert not {id(record.wall_seconds) for record in a} & {id(record.wall_seconds) for record in b}
    count, power = compare_halves(records, 6, tables=30)
    assert (count.replicates, count.alarms) == (20, 0)
    assert power.found >= 18


def on_machines(records: list[Record], *names: str) -> list[Record]:
    """Say of each replicate, in turn, on which machine it was made."""
    return [
        dataclasses.replace(record, environment={**record.environment, "machine": names[i % len(names)]})
        for i, record in enumerate(records)
    ]


def test_versions_on_two_machines_are_not_compared() -> None:
    a, b = on_machines(cell("a"), "one"), on_machines(cell("b"), "two")
    with pytest.raises(IncomparableError, match=r"machines: one \(A\) in A, two \(B\) in B"):
        compare_runs(a, b)
    assert only(compare_runs(a, b, anyway=True)).n == 20
    assert only(compare_runs(a, on_machines(cell("b"), "one"))).n == 20
    assert only(compare_runs(a, cell("b"))).n == 20  # older records don't say


def test_within_a_run_pairs_on_two_machines_are_left_out() -> None:
    a = on_machines(cell(), "one", "two")
    b = on_machines(cell(factor=2.0, backend="pymc"), "one", "two")
    assert only(compare_runs([*a, *b], by="backend")).n == 20
    b[3] = on_machines([b[3]], "one")[0]
    result = compare_runs([*a, *b], by="backend")
    assert only(result).n == 19
    assert "1 pairs of fits were made on different machines and are left out" in result.notes
    with pytest.raises(IncomparableError, match="machines: "):
        compare_runs([*a, *on_machines(b, "two", "one")], by="backend")


@pytest.mark.parametrize(
    ("measure", "ratio"), [("wall_seconds", 1.5), ("ess_per_second", 1 / 1.5), ("cpu_per_gradient", 1.25)]
)
def test_fits_that_were_repeated_in_turn_are_compared_turn_by_turn(measure: str, ratio: float) -> None:
    gradients: dict[str, Any] = {"warmup_gradients": 10, "gradients": 10}
    a = simulated_record(wall_seconds=1.0, cpu_seconds=2.0, wall_repeats=[1.0] * 3, cpu_repeats=[2.0] * 3, **gradients)
    busy: dict[str, Any] = {
        "wall_repeats": [1.5, 9.0, 1.5],
        "cpu_repeats": [2.5, 7.0, 2.5],
        "wall_seconds": 4.0,
        "cpu_seconds": 4.0,
    }
    assert math.exp(log_ratio(measure, a, simulated_record(**busy, **gradients))) == pytest.approx(ratio)
    once = simulated_record(wall_seconds=4.0, cpu_seconds=4.0, **gradients)
    of_means = {"wall_seconds": 4.0, "ess_per_second": 1 / 4, "cpu_per_gradient": 2.0}[measure]
    assert math.exp(log_ratio(measure, a, once)) == pytest.approx(of_means)


def test_a_busy_turn_moves_no_verdict_of_versions_and_none_is_a_turn_of_another_case() -> None:
    runs = {}
    for run, factor in (("a", 1.0), ("b", 1.2)):
        times = [
            [factor * (9.0 if run == "b" and turn == number % 3 else 1.0) for turn in range(3)] for number in range(5)
        ]
        runs[run] = [
            simulated_record(
                run=run, model=model, replicate=number, seed=number, draws_digest=str(number),
                wall_seconds=sum(each) / 3, cpu_seconds=sum(each) / 3, wall_repeats=each, cpu_repeats=each,
            )
            for model in ("m", "n")
            for number, each in enumerate(times)
        ]  # fmt: skip
    for row in compare_runs(runs["a"], runs["b"]).rows:
        assert {effect.measure: effect.ratio for effect in row.effects} == pytest.approx(
            {"wall_seconds": 1.2, "cpu_per_gradient": 1.2}
        )
        assert all(list(effect.pairs.values()) == pytest.approx([math.log(1.2)] * 5) for effect in row.effects)
    mixed = [record for record in runs["a"] if record.model == "m"] + [r for r in runs["b"] if r.model == "n"]
    (row,) = compare_runs(mixed, by="model", reference="m", anyway=True).rows
    assert row.effects[0].ratio == pytest.approx(1.2 * 11 / 3)


def test_backends_are_compared_each_on_its_own_device() -> None:
    at = {"environment": {**simulated_record().environment, "device": "an accelerator"}}
    records = [*cell(backend="stanli"), *cell(backend="numpyro", **at)]
    assert [row.backend for row in compare_runs(records, None, "backend").rows] == ["numpyro"]
    with pytest.raises(IncomparableError, match="device: CPU in A, an accelerator in B"):
        compare_runs(cell(), cell("b", **at))
