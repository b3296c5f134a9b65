"""The answer from records: what is recommended, how sure it is, and what is said of the rest."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.comparing.aa import simulated_record
from bench.comparing.recommendation import About, Recommendation
from bench.records import Record
from bench.report.recommendation_page import write_page
from tests.simulated import HOSTILE

TARGETS = {
    "centered": "superpopulation",
    "noncentered": "superpopulation",
    "marginal": "superpopulation",
    "finite_zerosum_centered": "finite_population",
}
FORMS = {"noncentered": "noncentered", "marginal": "marginal"} | dict.fromkeys(
    ("centered", "finite_zerosum_centered"), "centered"
)


def about(information: float = 40.0) -> About:
    theory = "centered" if information >= 5 else "noncentered" if information <= 0.2 else "undecided"
    return About(
        lines=("160 observations in 8 groups of 20",),
        between=("centered", "noncentered"),
        theory=theory,
        theory_says=f"n omega²/sigma² is {information:g}, where theory is {theory}",
        measure="n omega²/sigma²",
        information={"these data": (information / 4, information, 4 * information)},
        limits=(0.2, 5.0),
        values={"groups": 8},
    )


def fits(model: str, backend: str, rate: float, count: int = 10, cv: float = 0.05, **changes: Any) -> list[Record]:
    rng = np.random.default_rng([*model.encode(), *backend.encode()])
    return [
        simulated_record(
            dataset=changes.get("dataset", "trees"),
            model=model,
            target=TARGETS[model],
            backend=backend,
            replicate=i,
            wall_seconds=float(np.exp(cv * rng.standard_normal())),
            min_ess_bulk=rate,
            prepare_seconds=0.5,
            **{name: value for name, value in changes.items() if name != "dataset"},
        )
        for i in range(count)
    ]


def answer(*records: list[Record], information: float = 40.0, cases: tuple[str, ...] = ()) -> Recommendation:
    every = [one for each in records for one in each]
    return Recommendation.of(every, "superpopulation", 1000.0, cases, forms=FORMS, about=about(information))


@pytest.mark.parametrize("information", [0.01, 1.0, 40.0])
def test_a_marginal_model_that_is_first_is_surely_so_whatever_theory_says_of_the_others(information: float) -> None:
    found = answer(fits("marginal", "stanli", 2000.0), fits("centered", "stanli", 500.0), information=information)
    assert (found.parameterization, found.sure) == ("marginal", True)
    assert found.why.startswith("marginal, surely: its rate is ")
    assert found.theory.endswith("marginal models have no such choice to make")
    behind = answer(fits("marginal", "stanli", 200.0), fits("centered", "stanli", 500.0), information=information)
    assert behind.sure == (information != 1.0)


def test_the_first_is_recommended_with_its_runner_up() -> None:
    found = answer(
        fits("centered", "stanli", 2000.0), fits("centered", "pymc", 500.0), fits("noncentered", "stanli", 300.0)
    )
    assert found.first is not None
    assert found.first.case == "centered on stanli"
    assert found.runner_up is not None
    assert found.runner_up.case == "centered on pymc"
    assert found.order(found.runner_up) == "surely slower"
    assert (found.parameterization, found.sure) == ("centered", True)
    assert "surely" in found.why
    assert "the measurement agrees" in found.theory
    seconds, interval = found.seconds(found.first)
    assert seconds == pytest.approx(16 / 28 + 12 / 28 / 2, rel=0.05)  # warm-up is made once; half of the draws
    assert interval is not None
    assert interval[0] < seconds < interval[1]
    assert found.draws(found.first) == 500


def test_models_of_another_target_are_not_ranked_with_it() -> None:
    found = answer(fits("centered", "stanli", 10.0), fits("finite_zerosum_centered", "stanli", 9000.0))
    assert [row.model for row in found.ranked] == ["centered"]


def test_alike_is_as_good_and_the_order_is_open() -> None:
    found = answer(
        fits("centered", "stanli", 1000.0, 15, 0.01), fits("noncentered", "stanli", 1010.0, 15, 0.01), information=8.0
    )
    assert not found.sure
    assert "the order is open" in found.why
    assert found.runner_up is not None
    assert "as good" in found.order(found.runner_up)


def test_near_one_the_order_is_open_for_others_whatever_was_measured() -> None:
    found = answer(fits("centered", "stanli", 2000.0), fits("noncentered", "stanli", 300.0), information=1.5)
    assert found.measured
    assert not found.sure
    assert found.why.startswith("centered on these very data")
    assert found.theory.endswith("undecided")
    assert found.to_dict()["theory"] == "undecided"


def test_a_disagreement_with_theory_is_said() -> None:
    found = answer(fits("centered", "stanli", 300.0), fits("noncentered", "stanli", 2000.0))
    assert found.parameterization == "noncentered"
    assert "they disagree" in found.theory


def test_what_is_unhealthy_is_not_ranked_and_rules_out_its_parameterization() -> None:
    sick = {"health": ["divergences: 80"]}
    found = answer(
        fits("noncentered", "stanli", 300.0), fits("centered", "stanli", 9000.0, 4, **sick), information=0.01
    )
    assert found.parameterization == "noncentered"
    assert found.sure
    assert "none of 4 centered fits was healthy" in found.why
    assert [row.case for row in found.unhealthy] == ["centered on stanli"]
    few = answer(fits("noncentered", "stanli", 300.0), fits("centered", "stanli", 9000.0, 1, **sick), information=0.01)
    assert not few.sure


def test_a_rival_that_is_unhealthy_now_and_then_is_compared_by_its_healthy_fits() -> None:
    rival = (
        fits("noncentered", "stanli", 300.0, 9) + fits("noncentered", "stanli", 300.0, 10, health=["R-hat: 1.02"])[9:]
    )
    found = answer(fits("centered", "stanli", 2000.0), rival)
    assert found.sure
    assert "unhealthy in 1 of 10 fits" in found.why


def test_without_a_healthy_case_nothing_is_recommended() -> None:
    found = answer(fits("centered", "stanli", 300.0, health=["R-hat: 1.2"]))
    assert found.first is None
    assert found.parameterization == "none"
    assert any("none" in text for _, text in found.answer())
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["answer"] is None


def test_one_fit_of_each_leaves_the_order_open() -> None:
    found = answer(fits("centered", "stanli", 2000.0, 1), fits("noncentered", "stanli", 300.0, 1))
    assert not found.sure
    assert found.first is None  # one fit could have been luck
    assert dict(found.answer())["answer"].startswith("none yet: no case has two healthy fits")
    assert found.why == "open: no case has two healthy fits"
    assert [row.case for row in found.ranked] == ["centered on stanli", "noncentered on stanli"]
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_single_fit_is_never_first_however_fast() -> None:
    found = answer(fits("centered", "stanli", 9000.0, 1), fits("centered", "pymc", 500.0, 3))
    assert found.first is not None
    assert found.first.case == "centered on pymc"
    assert found.runner_up is not None
    assert found.runner_up.case == "centered on stanli"
    assert found.order(found.runner_up) == "their order is open, with so few fits"


def test_a_model_that_is_fit_once_may_want_another_backend_for_its_build_counts() -> None:
    slow_to_build = [replace(record, prepare_seconds=20.0) for record in fits("centered", "nutpie", 5000.0)]
    found = answer(slow_to_build, fits("centered", "stanli", 2000.0))
    assert found.first is not None
    assert found.once is not None
    assert (found.first.case, found.once.case) == ("centered on nutpie", "centered on stanli")
    assert dict(found.answer())["fit once"].startswith("centered on stanli: 1.")
    assert found.to_dict()["once"]["backend"] == "stanli"


def test_what_the_budget_did_not_reach_is_named() -> None:
    late = fits("noncentered", "pymc", 1.0, 1, status="timeout", reason="sample took longer than 3 s")
    found = answer(
        fits("centered", "stanli", 2000.0),
        late,
        cases=("centered on stanli", "noncentered on pymc", "centered on nutpie"),
    )
    assert found.unmeasured == ("noncentered on pymc", "centered on nutpie")
    assert found.unhealthy == []
    assert any(f"--resume {found.run}" in line for line in found.measured_lines())


def test_a_fit_that_the_budget_stopped_does_not_unseat_the_first() -> None:
    stopped = fits("centered", "stanli", 1.0, 11, status="timeout", reason="sample took longer than 3 s")[10:]
    found = answer(fits("centered", "stanli", 2000.0), stopped, fits("noncentered", "stanli", 300.0))
    assert found.first is not None
    assert found.first.case == "centered on stanli"
    assert found.unhealthy == []


def test_without_parameterizations_the_answer_is_about_the_backend() -> None:
    records = fits("centered", "stanli", 2000.0) + fits("centered", "pymc", 500.0)
    found = Recommendation.of(records, "superpopulation", 1000.0, ())
    assert found.first is not None
    assert found.first.backend == "stanli"
    assert found.other is None
    assert found.sure
    heads = [head for head, _ in found.answer()]
    assert "runner-up" in heads
    assert not {"parameterization", "theory"} & set(heads)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["answer"]["backend"] == "stanli"
    assert plain["parameterization"] is plain["theory"] is plain["why"] is plain["about"] is None


def test_the_page_without_parameterizations_has_no_word_of_them(tmp_path: Path) -> None:
    records = fits("centered", "stanli", 2000.0) + fits("centered", "pymc", 500.0)
    text = write_page(tmp_path, Recommendation.of(records, "superpopulation", 1000.0, ())).read_text(encoding="utf-8")
    assert "parameterization" not in text
    assert "theory" not in text
    assert "Your data" not in text


def test_the_page_shows_all_of_it_and_hostile_text_as_text(tmp_path: Path) -> None:
    found = answer(
        fits("centered", "stanli", 2000.0, dataset=HOSTILE), fits("noncentered", "stanli", 300.0, dataset=HOSTILE)
    )
    text = write_page(tmp_path, found).read_text(encoding="utf-8")
    assert "<script>document" not in text
    assert "surely slower" in text
    assert "Information of a group" in text
    assert text.count("<svg") >= 2
