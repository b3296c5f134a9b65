"""The gate in a run: which side leads, what the sides have in common, and what a person is told."""

from dataclasses import replace

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.backends.base import Description
from bench.correctness.gate import TYPICAL, Verdict
from bench.families.base import DataError, Dataset, Family, Model, Values
from bench.families.eight_schools import EightSchools
from bench.families.normal_means import NormalMeans
from bench.families.normal_means.data import normal_means
from bench.families.normal_means.forms import MODELS
from bench.families.pair import Pair
from bench.running.equality import REMEMBERED, Equality, compare_names
from bench.running.isolation import Worker, WorkerError, Workers
from tests.running.faults import Faulty, hang, segfault
from tests.running.tiny import PYMC, STAN, tiny

STANLI, ENGINE = BACKENDS["stanli"], BACKENDS["pymc"]
BROKEN = STAN.replace("real m;", "real m")
FAMILY = NormalMeans()
DATASET = normal_means(1.0, [20] * 5)
SAME = tiny()


def parts(pair: Family) -> tuple[Model, Dataset]:
    return next(iter(pair.models.values())), pair.datasets(pair.grids[0])[0]


@pytest.fixture
def equality(workers: Workers) -> Equality:
    return Equality(workers)


def checked(equality: Equality, workers: Workers, pair: Family, backend: str) -> Verdict:
    model, dataset = parts(pair)
    worker = workers[BACKENDS[backend]]
    worker.prepare(model, dataset)
    return equality.check(pair, model, dataset, BACKENDS[backend], worker)


# Who leads


@pytest.mark.parametrize(
    ("pair", "leads", "note"),
    [
        (SAME, "stanli", ""),
        (tiny(pymc=None), "stanli", "there is only a Stan program: nothing was compared across languages"),
        (tiny(stan=None), "pymc", "there is only a PyMC program: nothing was compared across languages"),
    ],
    ids=["both", "Stan", "PyMC"],
)
def test_the_stan_program_leads_where_there_is_one(pair: Pair, leads: str, note: str, equality: Equality) -> None:
    assert equality.leader(*parts(pair)) is BACKENDS[leads]
    assert equality.note(*parts(pair)) == note


def test_the_other_language_leads_where_a_program_does_not_parse_and_the_note_says_why(equality: Equality) -> None:
    pair = tiny(stan=BROKEN)
    assert equality.leader(*parts(pair)) is ENGINE
    assert equality.common(*parts(pair)) == {
        "m": (), "s": (), "z": (2,), "shifted": (2,), "in_pymc_alone": ()
    }  # fmt: skip
    note = equality.note(*parts(pair))
    assert note.startswith("the Stan program can't be used (")
    assert note.endswith("): nothing was compared across languages")
    assert "\n" not in note


def test_without_a_program_that_can_be_used_the_first_failure_is_told(equality: Equality) -> None:
    with pytest.raises(WorkerError) as caught:
        equality.leader(*parts(tiny(stan=BROKEN, pymc="x = 1")))
    assert "has no function build" not in str(caught.value)
    with pytest.raises(WorkerError, match="pair has no program"):
        equality.leader(*parts(tiny(stan=None, pymc=None)))


@pytest.mark.slow
def test_the_maps_of_a_language_are_compared_once(
    equality: Equality, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("bench.running.equality.supports", lambda *arguments: asked.append(arguments) or ["planted"])
    for backend in ("nutpie", "pymc"):
        assert checked(equality, workers, SAME, backend).reasons == ["planted"]
    assert checked(equality, workers, SAME, "nutpie_stan").passes
    assert len(asked) == 1


def test_a_program_is_described_once_for_all_backends_of_its_language(
    equality: Equality, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, dataset = parts(SAME)
    first = equality.description(model, dataset, ENGINE)
    asked: list[object] = []
    monkeypatch.setattr(Worker, "describe", lambda *arguments: asked.append(arguments))
    assert equality.description(model, dataset, BACKENDS["nutpie"]) is first
    assert asked == []


def test_a_failure_is_remembered(equality: Equality, monkeypatch: pytest.MonkeyPatch) -> None:
    model, dataset = parts(tiny(stan=BROKEN))
    with pytest.raises(WorkerError) as first:
        equality.description(model, dataset, STANLI)
    monkeypatch.delattr(Worker, "describe")
    with pytest.raises(WorkerError) as again:
        equality.description(model, dataset, STANLI)
    assert again.value is first.value


def test_what_is_no_longer_needed_is_forgotten(equality: Equality) -> None:
    for number in range(REMEMBERED + 3):
        equality.description(*parts(tiny(data={"N": 1, "y": [float(number)]})), STANLI)
    assert len(equality._described) == REMEMBERED


# What they have in common


def test_common_are_the_quantities_of_both_with_one_shape(equality: Equality) -> None:
    assert equality.common(*parts(SAME)) == {"m": (), "s": (), "z": (2,), "shifted": (2,)}
    assert "in_stan_alone" in equality.common(*parts(tiny(pymc=None)))
    assert "in_pymc_alone" in equality.common(*parts(tiny(stan=None)))
    other = STAN.replace("vector[2] shifted = m + z", "real shifted = m")
    assert "shifted" not in equality.common(*parts(tiny(stan=other)))


@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [
        (
            {"mu": (), "tau": ()},
            {"mu": (), "tau_": ()},
            "the parameters have different names: tau in Stan alone and tau_ in PyMC alone. If they are the same, say "
            'so in pair.toml (Stan name first):\n  [names]\n  tau = "tau_"',
        ),
        (
            {"theta": (3,), "mu": (), "phi": (3,)},
            {"phi_raw": (3,), "loc": (), "theta_raw": (3,)},
            '[names]\n  phi = "phi_raw"\n  mu = "loc"\n  theta = "theta_raw"',
        ),
        ({"a": (2,)}, {"b": ()}, 'Stan name first):\n  [names]\n  Stan_name = "PyMC_name"'),
        ({"a": (), "b": ()}, {"a": ()}, "different names: b in Stan alone. If"),
        ({"a": (2, 3)}, {"a": (3,)}, r"a has shape (2, 3) in Stan and (3,) in PyMC"),
        (
            {"a": (2, 3)},
            {"a": (3, 2)},
            "a has shape (2, 3) in Stan and (3, 2) in PyMC; if their dimensions stand in another order, say so in "
            "pair.toml:\n  [axes]\n  a = [1, 0]",
        ),
    ],
)
def test_sides_with_other_names_or_shapes_are_told_the_line_to_write(
    mine: dict[str, tuple[int, ...]], theirs: dict[str, tuple[int, ...]], told: str
) -> None:
    with pytest.raises(DataError) as caught:
        compare_names(Description(mine, {}), Description(theirs, {}), ("Stan", "PyMC"))
    assert told in str(caught.value)


def test_the_order_of_parameters_does_not_matter() -> None:
    sides = Description({"a": (), "b": (2,)}, {"c": ()}), Description({"b": (2,), "a": ()}, {})
    compare_names(*sides, ("Stan", "PyMC"))


def test_the_line_that_is_proposed_makes_the_pair_whole(equality: Equality, workers: Workers) -> None:
    """Names and axes, on a model whose PyMC side has the matrix the other way round."""
    stan = (
        "parameters { matrix[2, 3] beta; real mu; } "
        "model { beta[1, 2] ~ normal(mu, 1); to_vector(beta) ~ std_normal(); mu ~ std_normal(); }"
    )
    pymc = PYMC.partition("        m = ")[0] + (
        '        mu = pm.Normal("loc")\n'
        '        beta = pm.Normal("beta", shape=(3, 2))\n'
        '        pm.Potential("of", pm.logp(pm.Normal.dist(mu, 1), beta[1, 0]))\n'
        "    return model\n"
    )
    with pytest.raises(DataError, match=r'\[names\]\n  mu = "loc"'):
        checked(equality, workers, tiny(stan, pymc, {}), "pymc")
    with pytest.raises(DataError, match=r"\[axes\]\n  beta = \[1, 0\]"):
        checked(equality, workers, tiny(stan, pymc, {}, names={"mu": "loc"}), "pymc")
    whole = tiny(stan, pymc, {}, names={"mu": "loc"}, axes={"beta": [1, 0]})
    verdict = checked(equality, workers, whole, "pymc")
    assert verdict.kind == "same", verdict.reasons
    assert equality.common(*parts(whole)) == {"beta": (2, 3), "mu": ()}


# Verdicts


def test_a_side_that_leads_is_compared_with_nothing_unless_there_is_a_reference(
    equality: Equality, workers: Workers
) -> None:
    verdict = checked(equality, workers, SAME, "stanli")
    assert (verdict.kind, verdict.places) == ("same", 0)
    assert verdict.passes
    verdict = equality.check(FAMILY, MODELS["centered"], DATASET, STANLI, prepared(workers))
    assert (verdict.kind, verdict.against) == ("same", "the reference")
    assert verdict.places > 50


def prepared(workers: Workers) -> Worker:
    worker = workers[STANLI]
    worker.prepare(MODELS["centered"], DATASET)
    return worker


def test_a_pair_that_is_the_same_is_held_against_the_stan_program(equality: Equality, workers: Workers) -> None:
    verdict = checked(equality, workers, SAME, "pymc")
    assert verdict.kind == "same", verdict.reasons
    assert verdict.against == "stanli"
    assert verdict.typical >= 12
    assert equality.note(*parts(SAME)) == ""


def test_a_pair_with_another_prior_is_refused_and_told_which(equality: Equality, workers: Workers) -> None:
    verdict = checked(equality, workers, tiny(stan=STAN.replace("gamma(2, 2)", "gamma(2, 2.1)")), "pymc")
    assert verdict.kind == "different"
    assert list(verdict.depends) == ["s"]
    assert str(verdict).startswith("not the same posterior: the log density at ")


def test_only_some_places_are_compared_where_a_place_takes_long(
    equality: Equality, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = prepared(workers)
    everywhere = equality.check(FAMILY, MODELS["centered"], DATASET, STANLI, worker)
    monkeypatch.setattr(STANLI, "compared_at", 10)
    some = equality.check(FAMILY, MODELS["centered"], DATASET, STANLI, worker)
    assert (some.kind, some.places) == ("same", 10)
    assert 0 < some.typical < everywhere.typical


@pytest.mark.parametrize("fault", [segfault, hang])
@pytest.mark.slow
def test_where_no_side_can_look_for_the_posterior_nothing_is_called_the_same(
    fault: object, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places elsewhere are left, and they agree."""
    monkeypatch.setitem(BACKENDS, "stanli", Faulty(fault.__name__, sample=fault))  # type: ignore[attr-defined, arg-type]
    equality, (model, dataset) = Equality(workers, timeout=3), parts(tiny(pymc=None))
    verdict = equality.check(SAME, model, dataset, STANLI, workers[STANLI])
    assert (verdict.kind, verdict.typical) == ("unknown", 0)
    assert verdict.places > 30
    assert "no place was found where the posterior has its mass" in str(verdict)
    assert len(equality.typical(SAME, model, dataset, 8)) == 8


def test_where_the_leader_cannot_sample_the_other_side_looks_for_the_posterior(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "stanli", Faulty("segfault", sample=segfault))
    equality, (model, dataset) = Equality(workers), parts(SAME)
    verdict = equality.check(SAME, model, dataset, ENGINE, workers[ENGINE])
    assert (verdict.kind, verdict.typical) == ("same", TYPICAL)


def test_posterior_draws_that_a_program_cannot_take_are_refused(equality: Equality, workers: Workers) -> None:
    class Negative(NormalMeans):
        def typical(self, model: Model, dataset: Dataset, rng: np.random.Generator) -> list[Values]:
            return [{**values, "sigma": -values["sigma"]} for values in super().typical(model, dataset, rng)]

    with pytest.raises(DataError, match=r"centered can't take a draw from its own posterior, .*sigma=-"):
        equality.check(Negative(), MODELS["centered"], DATASET, STANLI, prepared(workers))


# Starts and typical values


def test_starts_are_the_same_for_all_and_follow_the_seed(equality: Equality, workers: Workers) -> None:
    model, dataset = parts(SAME)
    first, again, other = (equality.starts(SAME, model, dataset, seed, 3) for seed in ([7, 1], [7, 1], [8, 1]))
    assert len(first) == 3
    assert [flat(start) for start in first] == [flat(start) for start in again]
    assert not {tuple(flat(start)) for start in first} & {tuple(flat(start)) for start in other}
    for start in first:
        assert {name: np.shape(value) for name, value in start.items()} == {"m": (), "s": (), "z": (2,)}
        assert -2 <= start["m"] <= 2
        assert np.exp(-2) <= start["s"] <= np.exp(2)
    assert np.isfinite(workers[STANLI].densities(first)).all()


def flat(start: Values) -> list[float]:
    return [float(x) for name in sorted(start) for x in np.ravel(start[name])]


def test_a_family_may_have_starts_of_its_own(equality: Equality) -> None:
    starts = equality.starts(FAMILY, MODELS["noncentered"], DATASET, [3, 1], 2)
    rng = np.random.default_rng([3, 1])
    own = [FAMILY.points(MODELS["noncentered"], DATASET, rng) for _ in range(2)]
    assert [flat(start) for start in starts] == [flat(start) for start in own]


def test_a_family_without_starts_for_every_chain_leaves_all_to_the_leader(equality: Equality) -> None:
    class Once(EightSchools):
        def points(self, model: Model, dataset: Dataset, rng: np.random.Generator) -> Values | None:
            return {"mu": np.array(1e9)} if rng.random() < 0.5 else None

    model, dataset = parts(Once())
    starts = equality.starts(Once(), model, dataset, [3, 1], 6)
    assert len(starts) == 6
    assert all(set(start) == set(equality.description(model, dataset, STANLI).parameters) for start in starts)


def test_no_start_with_a_finite_density_is_told(equality: Equality) -> None:
    nowhere = tiny("parameters { real m; } model { target += log(m - 1e6); }", None, {})
    with pytest.raises(WorkerError, match=r"no start among 100 draws from \(-2, 2\) .* has a finite density"):
        equality.starts(nowhere, *parts(nowhere), [1, 1], 2)


@pytest.mark.parametrize("family", [SAME, FAMILY], ids=["explored", "known"])
def test_typical_values_lie_where_the_posterior_has_its_mass(family: Family, equality: Equality) -> None:
    model, dataset = parts(family) if family is SAME else (MODELS["centered"], DATASET)
    few, many = (equality.typical(family, model, dataset, count) for count in (5, 1000))
    assert len(few) == 5
    assert 12 <= len(many) <= TYPICAL
    spread = "m" if family is SAME else "mu"
    values = np.array([each[spread] for each in many])
    assert np.ptp(values) > 0
    assert np.abs(values - np.median(values)).max() < 4


def test_places_are_kept_for_a_model_on_its_data(equality: Equality, workers: Workers) -> None:
    model, dataset = parts(SAME)
    before = equality.typical(SAME, model, dataset, 3)
    workers[STANLI].close()  # a worker that was lost is started again
    assert equality.typical(SAME, model, dataset, 3)[0] is before[0]
    elsewhere = replace(dataset, data={"N": 1, "y": [50.0]})
    assert flat(equality.typical(SAME, model, elsewhere, 3)[0]) != flat(before[0])
