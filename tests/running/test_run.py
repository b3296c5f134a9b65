import json

import pytest

from bench.backends import BACKENDS
from bench.families.normal_means.data import grid
from bench.families.normal_means.forms import MODELS
from bench.families.registry import FAMILIES
from bench.running.run import Plan, UsageError, choose, differences
from bench.settings import Asked


def subjects(name):
    return [(FAMILIES["normal_means"], grid(name))]


def plan(**asked):
    return Plan.make(subjects("smoke"), "centered,noncentered", "stanli", Asked(**asked))


def described(**asked):
    return json.loads(json.dumps(plan(**asked).describe([])))


def test_names_are_taken_in_the_order_of_the_registry():
    assert choose("model", "noncentered, centered", MODELS) == [MODELS["centered"], MODELS["noncentered"]]
    assert choose("model", None, MODELS) == list(MODELS.values())


@pytest.mark.parametrize("names", ["centred", "centered,centred", ",", ""])
def test_unknown_names_are_refused_with_the_known_ones(names):
    with pytest.raises(UsageError, match="there are: centered, noncentered"):
        choose("model", names, MODELS)


def test_without_names_the_default_backends_that_can_run_are_taken_and_the_others_named(monkeypatch):
    monkeypatch.setattr(BACKENDS["nutpie"], "unavailable", lambda: "gone; type: x")
    made = Plan.make(subjects("smoke"), None, None, Asked())
    names = [backend.name for backend in made.backends]
    assert "stanli" in names
    assert "nutpie" not in names
    assert "pystan" not in names
    assert made.missing["nutpie"] == "gone; type: x"


def test_a_backend_asked_for_by_name_stays_though_it_cannot_run(monkeypatch):
    monkeypatch.setattr(BACKENDS["nutpie"], "unavailable", lambda: "gone")
    assert [b.name for b in Plan.make(subjects("smoke"), None, "nutpie", Asked()).backends] == ["nutpie"]


def test_settings_no_sampler_could_use_are_refused_with_the_plan():
    with pytest.raises(ValueError, match="chains is 0"):
        plan(overrides={"chains": 0})


def test_the_backends_of_one_dataset_and_model_stand_next_to_each_other():
    cases = Plan.make(subjects("quick"), None, "stanli,pymc,nutpie", Asked()).cases
    assert len(cases) == len({case.id for case in cases}) == 72
    for at in range(0, 72, 3):
        assert len({(case.dataset.id, case.model.name) for case in cases[at : at + 3]}) == 1


def test_stock_takes_each_backends_own_settings():
    stock = Asked(protocol="stock")
    assert stock.settings(BACKENDS["nutpie"]).warmup == 400
    assert Asked().settings(BACKENDS["nutpie"]).warmup == 1000
    assert Asked(protocol="stock", overrides={"warmup": 9}).settings(BACKENDS["nutpie"]).warmup == 9


def test_the_same_plan_has_no_differences_and_may_ask_for_more_replicates():
    assert differences(described(), plan().describe([])) == []
    assert differences(described(replicates=2), plan(replicates=3).describe([])) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, "asked: seed was 1, is 2"),
        ({"overrides": {"draws": 7}}, "asked: overrides was {}, is {'draws': 7}"),
        ({"protocol": "stock"}, "asked: protocol was matched, is stock"),
    ],
)
def test_what_was_asked_differently_is_named(change, named):
    assert named in differences(described(), plan(**change).describe([]))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("datasets", "omega1-G5-n20-s41", "other digest"),
        ("models", "centered", "other digest"),
        ("backends", "stanli", {"stanli": "0.0.1"}),
        ("environment", "cpu", "another"),
    ],
)
def test_other_data_models_versions_and_machines_are_named(part, name, value):
    before = described()
    before[part][name] = value
    (found,) = differences(before, plan().describe([]))
    assert found.startswith(f"{part}: {name} was {value}")


def test_another_commit_is_no_difference():
    before = described()
    before["environment"]["commit"] = "another"
    assert differences(before, plan().describe([])) == []
