"""Many models: who is called the fastest for which kind, what a mean counts, what is left out, and its page."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.comparing.across import ALL, MANY, Across
from bench.comparing.ratios import FIRST, FIT
from bench.comparing.rows import summarise
from bench.records import Record
from bench.report.across_figure import figure
from bench.report.page import write_report
from bench.report.terminal import sentence as sentence_of
from bench.report.terminal import summary
from tests.simulated import KINDS, asked, broken, simulate, simulate_many

MEGABYTES_3 = 3_000_000


def across(records: Sequence[Record]) -> Across:
    found = Across.of(summarise(records))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(simulate_many(60))


@pytest.fixture(scope="module")
def many(records: list[Record]) -> Across:
    return across(records)


def test_a_few_posteriors_have_the_page_of_a_family() -> None:
    assert Across.of(summarise(list(simulate()))) is None  # two posteriors, six models
    assert Across.of(summarise(list(simulate_many(3)))) is None
    assert Across.of([]) is None


def test_families_that_ask_which_model_to_use_are_not_many_models() -> None:
    several = [replace(record, target=f"{record.target}{i}") for i in range(3) for record in simulate(replicates=1)]
    assert len({record.target for record in several}) > MANY
    assert Across.of(summarise(several)) is None


def test_means_are_what_the_records_were_made_with(many: Across) -> None:
    for kind, ratio in KINDS.items():
        mean = many.mean(FIT, "nutpie_stan", "stanli", kind)
        assert mean is not None
        assert abs(mean.mean - math.log(ratio)) < mean.half_width(0.999)
        assert mean.half_width() < 0.2


def test_the_fastest_of_each_kind_is_named_where_that_is_sure(many: Across) -> None:
    found = many.fastest(FIT)
    assert (found["hierarchical"].engine, found["hierarchical"].sure) == ("nutpie_stan", True)
    assert (found["regression"].engine, found["regression"].sure) == ("nutpie", True)
    first = many.fastest(FIRST)
    assert (first["regression"].engine, first["regression"].sure) == ("stanli", True)
    assert not first["time series"].sure  # the two are as fast, and nutpie builds for 20 s
    assert many.answer[0].startswith("Most effective draws per second: ")
    assert "nutpie_stan for hierarchical (1." in many.answer[0]
    assert many.answer[1].startswith("With the first build counted: ")
    assert "; nutpie_stan for hierarchical (2." in many.answer[1]
    assert many.answer[1].endswith("; nutpie_stan or stanli for time series.")


def test_one_that_is_ahead_everywhere_is_said_so() -> None:
    said = across(list(simulate_many(30, ("stanli", "pymc")))).answer
    assert said[0].endswith("stanli over all models (2.1 times pymc), and for every kind of them.")


def test_where_models_part_a_sentence_on_all_of_them_says_so() -> None:
    records = simulate_many(60, ("stanli", "nutpie_stan"))
    said = across([record for record in records if record.kind != "time series"]).answer[0]
    found = re.search(
        r"can't tell over all models \(.* leads .*; by 95 % intervals ahead on (\d+) posteriors, behind on (\d+)",
        said,
    )
    assert found is not None, said
    assert min(int(found[1]), int(found[2])) > 15  # of 20 each


def test_many_kinds_of_which_none_can_be_told_are_not_counted_one_by_one() -> None:
    records = simulate_many(30, ("stanli", "nutpie_stan"))
    mixed = [replace(record, kind=f"kind {int(record.model[5:]) // 3 % 4}") for record in records]
    assert across(mixed).answer[0].endswith("), nor for any kind of them.")


def test_without_kinds_the_sentence_is_of_all_models() -> None:
    found = across([replace(record, kind="") for record in simulate_many(30, ("stanli", "pymc"))])
    assert found.kinds == [ALL]
    assert found.answer[0] == "Most effective draws per second: stanli over all models (2.1 times pymc)."


def test_models_of_one_kind_are_called_by_it() -> None:
    found = across([replace(record, kind="hierarchical") for record in simulate_many(30, ("stanli", "pymc"))])
    assert found.kinds == [ALL]
    assert found.answer[0] == "Most effective draws per second: stanli over all hierarchical models (2.1 times pymc)."


@pytest.mark.slow
def test_equal_backends_are_seldom_called_different() -> None:
    rng = np.random.default_rng(7)
    like = list(simulate_many(24, replicates=1))
    like = [record for record in like if record.status == "ok"]
    named = 0
    for _ in range(300):
        found = across(
            [replace(r, health=[], ess_per_second=float(rng.lognormal(0, 1)), kind=r.kind) for r in like]
        ).fastest(FIT)
        named += any(each.who for each in found.values())
    assert named <= 24  # 15 of 300 at 5 %; more than 24 has a chance of 1 in 100


def test_a_source_of_data_counts_once_however_many_models_and_data_it_has(records: list[Record]) -> None:
    once = [record for record in records if record.model in ("model0", "model1", "model2", "model3")]
    again = [
        replace(record, dataset=f"aa_again{i}", target=f"aa_again{i}-{name}", model=name)
        for record in once
        if record.model == "model0"
        for i in range(9)
        for name in ("model0", "copy")
    ]
    few, more = (across(each).mean(FIT, "nutpie", "stanli") for each in (once, once + again))
    assert few is not None
    assert more is not None
    assert (more.mean, more.n) == (pytest.approx(few.mean), few.n)


def test_what_is_left_out_is_listed_with_its_reason(many: Across) -> None:
    listed = [(each.why, each.model, each.engines) for each in many.left_out]
    assert listed == [
        ("not the same posterior", "model59", "nutpie"),
        ("out of time", "model57", "nutpie"),
        ("crashed", "model56", "stanli"),
        ("unhealthy", "model58", "stanli, nutpie_stan, nutpie"),
    ]
    assert "depends on tau" in many.left_out[0].reason
    for model, other in (("model59", "nutpie"), ("model57", "nutpie"), ("model58", "nutpie"), ("model56", "nutpie")):
        assert not [case for case in many.ratios(FIT, other, "stanli") if case[2] == model]
    assert [case for case in many.ratios(FIT, "nutpie_stan", "stanli") if case[2] == "model59"]
    assert "4 of 60 posteriors are left out on some backend (1 not the same posterior, 1 out of time" in many.sure


def test_a_backend_that_is_not_there_leaves_no_model_out(records: list[Record]) -> None:
    absent = [broken(record, "unavailable", "not installed") for record in records if record.backend == "nutpie"]
    found = across([record for record in records if record.backend != "nutpie"] + absent)
    assert {each.engines for each in found.left_out} == {"stanli", "stanli, nutpie_stan"}


def test_what_the_mean_hides_is_told(many: Across) -> None:
    (sentence,) = (each for each in many.hidden if each.startswith("nutpie_stan: "))
    every = many.ratios(FIT, "nutpie_stan", "stanli")
    assert f"It is ahead on {sum(c.mean > 0 for c in every.values())} of {len(every)}" in sentence
    assert min(every, key=lambda case: every[case].mean)[2] + ")" in sentence
    assert len(many.hidden) == 2  # no build came from a cache


def test_builds_from_a_cache_are_told(records: list[Record]) -> None:
    found = across([replace(record, prepare_cache="disk") for record in records])
    assert found.hidden[-1].startswith("180 of 180 first builds were served by a cache")


def test_one_replicate_claims_no_interval_of_a_model() -> None:
    found = across(list(simulate_many(12, replicates=1)))
    assert all(math.isinf(c.half_width()) for c in found.ratios(FIT, "nutpie", "stanli").values())
    drawn = figure(found)
    assert drawn is not None
    assert not any('class="hair"' in panel.body for _, panels in drawn.parts for panel in panels)
    assert any('class="bold"' in panel.body for _, panels in drawn.parts for panel in panels)
    assert "12 models of 12 sources of data, 1 replicate of each" in found.sure


def test_one_backend_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    records = list(simulate_many(12, ("stanli",)))
    assert across(records).answer[0].endswith("can't tell, for no two backends have healthy fits of the same model.")
    assert (
        "figure-models" not in write_report(tmp_path, records, asked()).read_text(encoding="utf-8").split("</style>")[1]
    )


def test_nothing_healthy_is_said(records: list[Record]) -> None:
    found = across([replace(record, health=["R-hat: 2"]) for record in records])
    assert found.answer[0] == (
        "Most effective draws per second: can't tell, for no two backends have healthy fits of the same model."
    )
    assert figure(found) is None


def test_two_runs_are_told_apart(records: list[Record], tmp_path: Path) -> None:
    again = [replace(record, run="20260202-000000-abcd") for record in records[:90]]
    found = across(records[:90] + again)
    assert found.engines[0] == "stanli A"
    assert write_report(tmp_path, records[:90] + again, asked(), asked("20260202-000000-abcd")).exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> Path:
    folder = tmp_path_factory.mktemp("many")
    write_report(folder, records, asked())
    return folder


def test_page_markdown_and_terminal_say_the_same(folder: Path, records: list[Record], many: Across) -> None:
    page, report = ((folder / name).read_text(encoding="utf-8") for name in ("index.html", "report.md"))
    last = " ".join(sentence_of(records))
    for sentence in many.answer:
        assert sentence.replace("'", "&#39;") in page
        assert sentence.replace("_", "\\_") in report
        assert sentence in last
    assert many.sure in list(summary(records))
    assert "<summary>Left out, and why: " in report
    assert "(pictures/models.svg)" in report
    assert (folder / "pictures" / "models.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.slow
def test_a_large_run_has_a_small_page(tmp_path: Path) -> None:
    records = list(simulate_many(133, ("stanli", "nutpie_stan", "nutpie", "pymc", "pystan"), replicates=5))
    assert write_report(tmp_path, records, asked()).stat().st_size < MEGABYTES_3
