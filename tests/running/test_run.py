import json
from pathlib import Path
from typing import Any

import pytest

from bench.backends import BACKENDS, nutpie
from bench.families.base import Dataset, Family
from bench.families.normal_means import NormalMeans
from bench.families.normal_means.forms import MODELS
from bench.families.pair import Pair
from bench.families.registry import FAMILIES
from bench.records import Record, RunError, Status, read_records
from bench.running.run import Plan, Run, UsageError, choose, differences
from bench.settings import Asked
from tests.running.tiny import STAN, tiny

FAMILY = NormalMeans()


def chosen(grid: str) -> list[tuple[Family, list[Dataset]]]:
    return [(FAMILY, list(FAMILY.datasets(grid)))]


def plan(**asked: Any) -> Plan:
    return Plan.make(chosen("smoke"), "centered,noncentered", "stanli", Asked(**asked))


def described(**asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(plan(**asked).describe([])))
    return found


def test_names_are_taken_in_the_order_of_the_registry() -> None:
    assert choose("model", "noncentered, centered", MODELS) == [MODELS["centered"], MODELS["noncentered"]]
    assert choose("model", None, MODELS) == list(MODELS.values())


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("centred", "no model 'centred'"),
        ("centered,centred", "no model 'centred'"),
        (",", "no model ','"),
        ("", "no model ''"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(names: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"{said}; there are: marginal, centered, noncentered"):
        choose("model", names, MODELS)


def test_without_names_the_default_backends_that_can_run_are_taken_and_the_others_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BACKENDS["nutpie"], "unavailable", lambda: "gone; type: x")
    made = Plan.make(chosen("smoke"), None, None, Asked())
    names = [backend.name for backend in made.backends]
    assert "stanli" in names
    assert "nutpie" not in names
    assert made.missing["nutpie"] == "gone; type: x"


@pytest.mark.parametrize("reason", [None, "gone; type: x"])
def test_pystan_is_measured_where_it_is_installed_and_jax_never_unasked(
    reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pystan", "numpyro", "blackjax"):
        monkeypatch.setattr(BACKENDS[name], "unavailable", lambda: reason)
    made = Plan.make(chosen("smoke"), None, None, Asked())
    names = {backend.name for backend in made.backends} & {"pystan", "numpyro", "blackjax"}
    assert names == (set() if reason else {"pystan"})
    assert not made.missing.keys() & {"pystan", "numpyro", "blackjax"}


def test_a_backend_asked_for_by_name_stays_though_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BACKENDS["nutpie"], "unavailable", lambda: "gone")
    assert [b.name for b in Plan.make(chosen("smoke"), None, "nutpie", Asked()).backends] == ["nutpie"]


def test_settings_no_sampler_could_use_are_refused_with_the_plan() -> None:
    with pytest.raises(ValueError, match="chains is 0"):
        plan(overrides={"chains": 0})


def test_the_backends_of_one_dataset_and_model_stand_next_to_each_other() -> None:
    cases = Plan.make(chosen("quick"), None, "stanli,pymc,nutpie", Asked()).cases
    assert len(cases) == len({case.id for case in cases}) == 72
    for at in range(0, 72, 3):
        assert len({(case.dataset.id, case.model.name) for case in cases[at : at + 3]}) == 1


def test_every_dataset_goes_with_the_models_of_its_own_family() -> None:
    families = [(family, family.datasets(family.grids[0])) for family in FAMILIES.values()]
    cases = Plan.make(families, None, "stanli,pymc", Asked()).cases
    assert {(case.family.name, case.model.name) for case in cases} == {
        (family.name, name) for family in FAMILIES.values() for name in family.models
    }
    datasets = sum(len(data) * len(family.models) for family, data in families)
    assert len(cases) == 2 * datasets


def test_models_may_have_a_name_in_one_family_alone() -> None:
    families = [(family, family.datasets(family.grids[0])) for family in FAMILIES.values()]
    cases = Plan.make(families, "finite_marginal", "stanli", Asked()).cases
    assert {case.family.name for case in cases} == {"normal_means"}
    with pytest.raises(UsageError, match="no model 'nothing'; there are: "):
        Plan.make(families, "nothing", "stanli", Asked())


@pytest.mark.parametrize(("pair", "backends"), [(tiny(pymc=None), ["stanli"]), (tiny(stan=None), ["pymc", "nutpie"])])
def test_a_backend_whose_language_is_missing_has_no_case(pair: Pair, backends: list[str]) -> None:
    cases = Plan.make([(pair, pair.datasets("tiny"))], None, "stanli,pymc,nutpie", Asked()).cases
    assert [case.backend.name for case in cases] == backends


def test_two_pairs_of_one_name_are_refused() -> None:
    pairs = [tiny(), tiny(stan=STAN + "\n")]
    with pytest.raises(UsageError, match=r"tiny pair is asked for twice, .*; rename a folder"):
        Plan.make([(pair, pair.datasets("tiny")) for pair in pairs], None, "stanli", Asked())


def test_stock_takes_each_backends_own_settings() -> None:
    stock = Asked(protocol="stock")
    assert stock.settings(BACKENDS["nutpie"]).warmup == 400
    assert Asked().settings(BACKENDS["nutpie"]).warmup == 1000
    assert Asked(protocol="stock", overrides={"warmup": 9}).settings(BACKENDS["nutpie"]).warmup == 9


def test_the_same_plan_has_no_differences_and_may_ask_for_other_replicates() -> None:
    assert differences(described(), plan().describe([])) == []
    assert differences(described(replicates=3), plan(replicates=2).describe([])) == []
    assert differences(described(replicates=2), plan(replicates=3).describe([])) == []


def test_a_part_of_a_run_may_be_asked_for_and_nothing_beyond_it() -> None:
    pair = tiny()
    whole = [(family, family.datasets(family.grids[0])) for family in FAMILIES.values()]
    parts = [(family, datasets[:1]) for family, datasets in whole]

    def asked(families: Any, backends: str) -> dict[str, Any]:
        return json.loads(json.dumps(Plan.make(families, None, backends, Asked()).describe([])))

    run = asked(whole, "stanli,pymc")
    assert differences(run, asked(parts, "stanli,pymc")) == []
    assert differences(run, asked(parts, "stanli")) == []
    beyond = differences(run, asked([(pair, pair.datasets("tiny"))], "stanli,nutpie"))
    assert {line.partition(" ")[0] for line in beyond} == {"datasets:", "models:", "backends:", "settings:"}
    assert all("was not there" in line for line in beyond)


def test_many_differences_are_counted(tmp_path: Path) -> None:
    before = Plan.make([(f, f.datasets(f.grids[0])) for f in FAMILIES.values()], None, "stanli", Asked())
    Run(before, runs=tmp_path).journal.close()
    (folder,) = tmp_path.iterdir()
    said = json.loads((folder / "run.json").read_text())
    said["datasets"] = dict.fromkeys(said["datasets"], "other digest")
    said["models"] = dict.fromkeys(said["models"], "other digest")
    (folder / "run.json").write_text(json.dumps(said))
    with pytest.raises(RunError, match=r"(?s)can't be resumed.*was other digest.*and \d+ more\nStart") as refused:
        Run(before, resume=folder.name, runs=tmp_path)
    assert len(str(refused.value).split("\n")) == 15


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, "asked: seed was 1, is 2"),
        ({"overrides": {"draws": 7}}, "asked: overrides was {}, is {'draws': 7}"),
        ({"protocol": "stock"}, "asked: protocol was matched, is stock"),
    ],
)
def test_what_was_asked_differently_is_named(change: dict[str, Any], named: str) -> None:
    assert named in differences(described(), plan(**change).describe([]))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("datasets", "omega1-G5-n20-s41", "other digest"),
        ("models", "normal_means centered", "other digest"),
        ("backends", "stanli", {"stanli": "0.0.1"}),
        ("environment", "cpu", "another"),
    ],
)
def test_other_data_models_versions_and_machines_are_named(part: str, name: str, value: object) -> None:
    before = described()
    before[part][name] = value
    (found,) = differences(before, plan().describe([]))
    assert found.startswith(f"{part}: {name} was {value}")


def test_another_program_of_a_pair_is_named() -> None:
    pair, other = tiny(), tiny(stan=STAN + "\n")
    before, now = (Plan.make([(p, p.datasets("tiny"))], None, "stanli", Asked()) for p in (pair, other))
    (found,) = differences(json.loads(json.dumps(before.describe([]))), now.describe([]))
    assert found.startswith("models: pair pair was ")


def test_another_commit_is_no_difference() -> None:
    before = described()
    before["environment"]["commit"] = "another"
    assert differences(before, plan().describe([])) == []


def test_engine_options_are_backends_more_whose_names_tell_of_them() -> None:
    texts = ["nutpie:adaptation=low_rank", "stanli:fast_math=true", "stanli:fast_math=true"]
    made = Plan.make(chosen("smoke"), "centered", "stanli", Asked(), texts)
    assert [case.backend.name for case in made.cases] == [
        "stanli",
        "nutpie[adaptation=low_rank]",
        "stanli[fast_math=true]",
    ]
    plain, metric, fast = made.backends
    assert plain.name in BACKENDS  # and is what it was
    assert (metric.gradient, metric.sampler) == ("Numba", "nutpie adaptation=low_rank")
    assert (fast.gradient, fast.sampler) == ("stanli fast_math=true", "Stan")
    assert set(made.describe([])["settings"]) == {backend.name for backend in made.backends}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nutpy:adaptation=low_rank", "no backend 'nutpy'; there are: cmdstan, stanli"),
        ("nutpie:metric=dense", "nutpie has no option 'metric=dense'; there are: adaptation=low_rank"),
        ("nutpie:adaptation=high", "nutpie has no option 'adaptation=high'; there are: adaptation=low_rank"),
        ("nutpie", "nutpie has no option ''; there are: adaptation=low_rank"),
        ("pymc:mode=FAST", "pymc has no option 'mode=FAST'; there are: mode="),
        ("pystan:mode=FAST", "pystan has no option 'mode=FAST'; it has none"),
    ],
)
def test_unknown_engine_options_are_refused_with_those_there_are(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Plan.make(chosen("smoke"), None, None, Asked(), [text])


@pytest.mark.parametrize("status", ["unavailable", "unsupported"])
def test_what_cannot_run_has_a_record_for_each_replicate(status: Status, tmp_path: Path) -> None:
    told: list[Record] = []
    run = Run(plan(replicates=2), runs=tmp_path, tell=told.append)
    case, numbers = run.plan.cases[0], run.missing(run.plan.cases[0])
    for number in numbers:
        run.refuse(case, number, status, "no compiler; type: x")
    run.close()
    kept = read_records(run.journal.folder)
    assert told == kept
    assert [(r.status, r.reason, r.replicate) for r in kept] == [(status, "no compiler; type: x", n) for n in (0, 1)]
    assert all(r.wall_seconds is None for r in kept)


def test_backends_take_turns_so_that_a_replicate_of_each_is_made_before_the_next_one(tmp_path: Path) -> None:
    told: list[Record] = []
    short = {"chains": 1, "warmup": 20, "draws": 20}
    asked = Asked(replicates=2, overrides=short, protocol="stock")
    made = Plan.make(chosen("smoke"), "marginal,finite_marginal", "stanli,nutpie_stan", asked)
    run = Run(made, runs=tmp_path, tell=told.append)
    run.send([(case, number) for case in made.cases for number in (0, 1)])
    for case in made.cases:
        for number in (0, 1):
            record = run.measure(case, number)
            assert (record.key, record.status) == ((*case.key, number), "ok")
    run.close()
    rounds = [("stanli", 0), ("nutpie_stan", 0), ("stanli", 1), ("nutpie_stan", 1)]
    assert [(r.model, r.backend, r.replicate) for r in told] == [
        (model, *fit) for model in ("marginal", "finite_marginal") for fit in rounds
    ]
    assert [r.key for r in read_records(run.journal.folder)] == [r.key for r in told]


def test_an_engine_option_whose_package_is_missing_is_refused_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nutpie, "JAX", "no-such-jax>=1")
    said = "--engine-option nutpie:gradient=jax: no-such-jax is not installed; type: pip install no-such-jax"
    with pytest.raises(UsageError, match=said):
        Plan.make(chosen("smoke"), None, "nutpie", Asked(), ["nutpie:gradient=jax"])
