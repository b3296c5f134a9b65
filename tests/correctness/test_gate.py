"""The equality gate: every planted defect is refused, every true model passes, and what it says is right."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.correctness.gate import REACH, TOLERANCE, Verdict, beyond, judge, positions, supports, visit
from bench.correctness.places import Found, Place, follow_reference
from bench.families.base import DataError, Dataset, Model, Program, Values
from bench.families.normal_means import NormalMeans
from bench.families.normal_means.data import Groups, normal_means
from bench.families.normal_means.exact import exact_posterior
from bench.families.normal_means.forms import MODELS
from bench.running.equality import Equality
from bench.running.isolation import Worker, Workers
from bench.running.worker import Session
from tests.conftest import WorkerOf
from tests.correctness.defects import DEFECTS, NO_JACOBIAN, Defect, plant, potential

DATASETS = {
    "balanced": normal_means(1.0, [20] * 5),
    "unbalanced": normal_means(10.0, [1, 3, 9, 27, 60]),
    "omega far below sigma": normal_means(0.001, [12, 60, 6, 21, 1]),
    "sigma 0.01": normal_means(1.0, [9, 24, 2, 15, 50], sigma=0.01),
    "far from the prior": normal_means(1.0, [50, 25, 15, 8, 2], mean=1000.0),
    "two groups": normal_means(1.0, [3, 5]),
    "one observation a group": normal_means(1.0, [1] * 8 + [2, 6]),
    "fifty groups": normal_means(0.1, [20] * 50),
}
OFTEN = {name: dataset for name, dataset in DATASETS.items() if dataset.n_groups == 5}
BALANCED, UNBALANCED = DATASETS["balanced"], DATASETS["unbalanced"]

FAMILY = NormalMeans()
LANGUAGES = {"stan": "stanli", "pymc": "pymc"}

Check = Callable[..., Verdict]


class Alone(NormalMeans):
    """The same family where no density is written by hand: the programs are held against each other."""

    def reference(self, model: Model, dataset: Dataset, values: Values) -> None:
        return None


class Against(NormalMeans):
    """The same family, whose reference knows other observations than the programs are given."""

    def __init__(self, observed: Groups) -> None:
        self._observed = observed

    def reference(self, model: Model, dataset: Dataset, values: Values) -> tuple[float, Values] | None:
        return super().reference(model, self._observed, values)


@pytest.fixture(scope="module")
def check(workers: Workers, worker_of: WorkerOf) -> Check:
    """Return the gate as a run has it."""
    equality = Equality(workers)

    def ask(model: Model, dataset: Dataset, backend: str, family: NormalMeans = FAMILY) -> Verdict:
        worker = worker_of(backend)  # skips a backend that is not here, which can't say what it supports either
        if reason := BACKENDS[backend].unsupported(model):
            pytest.skip(reason)
        return equality.check(family, model, dataset, BACKENDS[backend], worker)

    return ask


def planted(language: str) -> list[object]:
    """Every defect in every model that it can be planted in, all but one slow; of PyMC, which compiles, in one."""
    return [
        pytest.param(
            *(defect, MODELS[name]),
            id=f"{defect.name} in {name}",
            marks=[pytest.mark.slow] if i else [],
        )
        for defect in DEFECTS
        if defect.language == language
        for i, name in enumerate(defect.models[: 1 if language == "pymc" else None])
    ]


LEADING = tuple(LANGUAGES.values())
TRUE = [
    pytest.param(backend, model, name, marks=[pytest.mark.slow] if backend == "pymc" and name not in OFTEN else [])
    for backend in BACKENDS
    for model in MODELS
    for name in DATASETS
    if backend in LEADING or name == "unbalanced" or (model == "zerosum_centered" and name in OFTEN)
]
"""Every model on every dataset by one backend of each language; others run the same programs, and build for long."""


@pytest.mark.parametrize(("backend", "model", "name"), TRUE)
def test_true_model_passes(backend: str, model: str, name: str, check: Check) -> None:
    verdict = check(MODELS[model], DATASETS[name], backend)
    assert verdict.kind == "same"
    assert verdict.left_out == 0
    assert verdict.error < TOLERANCE
    assert verdict.typical >= 12


@pytest.mark.parametrize(("defect", "model"), planted("stan"))
def test_planted_defect_is_refused(defect: Defect, model: Model, check: Check) -> None:
    broken = plant(defect, model)
    for name in ("balanced", "unbalanced"):
        assert_refused(check(broken, DATASETS[name], "stanli"), defect)


@pytest.mark.parametrize(("defect", "model"), planted("pymc"))
@pytest.mark.slow
def test_planted_defect_is_refused_by_pymc(defect: Defect, model: Model, check: Check) -> None:
    """With the reference, and where there is none."""
    broken = plant(defect, model)
    for family in (FAMILY, Alone()):
        assert_refused(check(broken, UNBALANCED, "pymc", family), defect)


@pytest.mark.slow
def test_planted_defect_is_refused_by_nutpie(check: Check) -> None:
    """One is enough: it builds the very models that PyMC builds."""
    defect = next(defect for defect in DEFECTS if (defect.language, defect.name) == ("pymc", "lost log(omega)"))
    assert_refused(check(plant(defect, MODELS[defect.models[0]]), UNBALANCED, "nutpie"), defect)


@pytest.mark.slow
def test_defect_in_the_leading_program_is_refused_without_a_reference(check: Check) -> None:
    defect = next(defect for defect in DEFECTS if (defect.language, defect.name) == ("stan", "lost log(omega)"))
    broken = plant(defect, MODELS["zerosum_centered"])
    assert check(broken, UNBALANCED, "stanli", Alone()).places == 0  # it leads: nothing was compared
    assert_refused(check(broken, UNBALANCED, "pymc", Alone()), defect)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_programs_with_nothing_planted_pass(language: str, model: Model, check: Check) -> None:
    """What refuses the others is the defect, and not how it was planted."""
    comment = {"stan": ("model {", "model {  // nothing"), "pymc": ("return model", "return model  # nothing")}
    copy = plant(Defect("nothing", language, (model.name,), (), (comment[language],)), model)
    assert check(copy, UNBALANCED, LANGUAGES[language]).kind == "same"


def assert_refused(verdict: Verdict, defect: Defect) -> None:
    assert not verdict.passes
    if defect.depends:
        assert set(verdict.depends) == set(defect.depends), str(verdict)
    if "constraint" in defect.name:
        assert "the supports differ" in str(verdict)
    if verdict.depends:
        assert verdict.values[0] != verdict.values[1]
        assert f"omega={verdict.at['omega']:.6g}" in str(verdict)


# Defects of other kinds


@pytest.mark.parametrize("window", range(10))
@pytest.mark.parametrize("name", ["centered", "noncentered", "finite_zerosum_noncentered"])
def test_a_dent_in_a_tenth_of_the_posterior_is_found(name: str, window: int, check: Check) -> None:
    low, high = tenth(MODELS[name], window)
    likelihood = "y ~ normal(mu_g[group], sigma);"
    dent = (likelihood, f"{likelihood} if ({low} < omega && omega < {high}) target += -2;")
    verdict = check(plant(Defect("dent", "stan", (name,), (), (dent,)), MODELS[name]), BALANCED, "stanli")
    assert verdict.kind == "different"
    assert list(verdict.depends) == ["omega"]
    assert verdict.depends["omega"] == pytest.approx(2)
    assert verdict.values[1] - verdict.values[0] == pytest.approx(-2)
    assert low < verdict.at["omega"] < high


@pytest.mark.parametrize("window", [0, 7])
@pytest.mark.slow
def test_a_dent_in_a_tenth_of_the_posterior_is_found_by_pymc(window: int, check: Check) -> None:
    model = MODELS["centered"]
    low, high = tenth(model, window)
    dent = potential(f"pm.math.switch(pm.math.and_(pm.math.gt(omega, {low}), pm.math.lt(omega, {high})), -2.0, 0.0)")
    verdict = check(plant(Defect("dent", "pymc", (model.name,), (), (dent,)), model), BALANCED, "pymc", Alone())
    assert verdict.kind == "different"
    assert list(verdict.depends) == ["omega"]
    assert low < verdict.at["omega"] < high


def tenth(model: Model, number: int) -> tuple[float, float]:
    """Ends of a tenth of the posterior of omega."""
    exact = exact_posterior(BALANCED, model.target)
    ends = [0.0, *(exact.marginals["omega"].quantile(k / 10) for k in range(1, 10)), 1e6]
    return ends[number], ends[number + 1]


@pytest.mark.parametrize("dataset", OFTEN.values(), ids=OFTEN)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_observations_rounded_to_float32_are_refused(model: Model, dataset: Groups, check: Check) -> None:
    assert not check(model, rounded(dataset), "stanli", Against(dataset)).passes
    assert check(model, rounded(dataset), "stanli").kind == "same"


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "stanli"])
def test_observations_rounded_to_float32_are_refused_by_every_backend(backend: str, check: Check) -> None:
    model = MODELS["zerosum_centered"]
    assert not check(model, rounded(UNBALANCED), backend, Against(UNBALANCED)).passes
    assert check(model, rounded(UNBALANCED), backend).kind == "same"


def rounded(dataset: Groups) -> Groups:
    y = dataset.y.astype(np.float32).astype(np.float64)
    return Groups(id="rounded", y=y, group=dataset.group.copy(), labels=dataset.labels)


@pytest.fixture(scope="module")
def float32_worker() -> Iterator[Worker]:
    with Worker(BACKENDS["pymc"], environment={"PYTENSOR_FLAGS": "floatX=float32,mode=FAST_COMPILE,cxx="}) as worker:
        yield worker


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.slow
def test_pymc_in_float32_is_refused(model: Model, float32_worker: Worker, workers: Workers) -> None:
    verdict = Equality(workers).check(FAMILY, model, UNBALANCED, BACKENDS["pymc"], float32_worker)
    assert not verdict.passes


@pytest.mark.parametrize(
    ("old", "new"),
    [("sigma;  ", "log_sigma;  "), ("<lower=0> omega", "<lower=0, upper=1.2> omega")],
    ids=["name", "bound"],
)
def test_a_program_that_takes_no_draws_of_its_posterior_is_refused(old: str, new: str, check: Check) -> None:
    broken = plant(Defect("", "stan", (), (), ((old, new),)), MODELS["centered"])
    if new.startswith("log"):
        assert broken.stan is not None
        code = broken.stan.code.replace("model {", "transformed parameters { real sigma = exp(log_sigma); } model {")
        broken = replace(broken, stan=Program(broken.stan.path, code))
    with pytest.raises(DataError, match=r"centered can't take a draw from its own posterior, mu=.*program declares mu"):
        check(broken, BALANCED, "stanli")


def test_a_transform_whose_jacobian_is_wrong_is_refused(check: Check) -> None:
    edit = ('pm.HalfNormal("sigma", 1)', f'pm.HalfNormal("sigma", 1, {NO_JACOBIAN})')
    broken = plant(Defect("", "pymc", (), (), (edit,)), MODELS["centered"])
    assert not check(broken, UNBALANCED, "pymc").passes


# What is the same posterior, written otherwise


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_large_constant_does_not_matter(model: Model, check: Check) -> None:
    copy = plant(Defect("", "stan", (), (), (("model {", "model {\n  target += 1e10;"),)), model)
    verdict = check(copy, UNBALANCED, "stanli")
    assert verdict.kind == "same"
    assert verdict.constant == pytest.approx(1e10)


@pytest.mark.slow
def test_a_large_constant_does_not_matter_to_pymc(check: Check) -> None:
    copy = plant(Defect("", "pymc", (), (), (potential("1e10 + 0 * sigma"),)), MODELS["centered"])
    assert check(copy, UNBALANCED, "pymc").kind == "same"


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_order_of_parameters_does_not_matter(model: Model, check: Check) -> None:
    assert model.stan is not None
    code = model.stan.code
    start = code.index("parameters {\n") + len("parameters {\n")
    end = code.index("}\n", start)
    declared = code[start:end].splitlines(keepends=True)
    other = replace(model, stan=Program(model.stan.path, code[:start] + "".join(declared[::-1]) + code[end:]))
    assert check(other, UNBALANCED, "stanli").kind == "same"


@pytest.mark.slow
def test_the_order_of_parameters_does_not_matter_to_pymc(check: Check) -> None:
    model = MODELS["centered"]
    sigma = '        sigma = pm.HalfNormal("sigma", 1)\n'
    with_mu_g = '        mu_g = pm.Normal("mu_g", mu, omega, dims="group")\n'
    edits = ((sigma, ""), (with_mu_g, with_mu_g + sigma))
    assert check(plant(Defect("", "pymc", (), (), edits), model), UNBALANCED, "pymc", Alone()).kind == "same"


@pytest.mark.parametrize("name", ["sigma", "omega"])
def test_a_bound_that_the_density_sets_itself_does_not_matter(name: str, check: Check) -> None:
    """A scale that is free to be negative, where `normal` refuses a negative one: the posterior is the same."""
    edit = (f"real<lower=0> {name};", f"real {name};")
    verdict = check(plant(Defect("", "stan", (), (), (edit,)), MODELS["centered"]), UNBALANCED, "stanli")
    assert verdict.kind == "same"
    assert verdict.left_out > 0


@pytest.mark.parametrize("name", [name for name in MODELS if "zerosum" in name])
@pytest.mark.parametrize("backend", ["stanli", "pymc"])
def test_data_far_away_lose_digits_and_are_not_called_different(backend: str, name: str, check: Check) -> None:
    assert check(MODELS[name], normal_means(1.0, [20] * 5, mean=1e7), backend).kind in ("same", "numerics")


# What is said of sides that are made up: the reference, and the same with a change


MODEL = MODELS["zerosum_centered"]
NAMES = ("the reference", "made up")


class Sides:
    """The reference as both sides, led by stanli in this process."""

    def __init__(self) -> None:
        self.leader = Session(BACKENDS["stanli"])
        self.leader.prepare(MODEL, UNBALANCED.data)
        typical = FAMILY.typical(MODEL, UNBALANCED, np.random.default_rng(1))
        self.visits = visit(self.leader, self.leader.dimension(), np.array(self.leader.unconstrain(typical)))
        self.found = follow_reference(self.evaluate, self.visits.places)

    def evaluate(self, values: Values) -> tuple[float, Values]:
        found = FAMILY.reference(MODEL, UNBALANCED, values)
        assert found is not None
        return found

    def judge(
        self,
        found: Mapping[int, Found],
        density: Callable[[Values], float] | None = None,
        standard: Found | None = None,
    ) -> Verdict:
        """Judge the reference against itself with some places changed, or against another density everywhere."""
        second = density or (lambda values: self.evaluate(values)[0])
        mine = [replace(f, log_density=second(p.values)) for f, p in zip(self.found, self.visits.places, strict=True)]
        changed = [found.get(i, each) for i, each in enumerate(mine if density else self.found)]
        first = [standard] * len(self.found) if standard else self.found
        ask = tuple(lambda values, f=f: [f(v) for v in values] for f in (lambda v: self.evaluate(v)[0], second))
        return judge(self.visits, first, changed, ask, self.leader, NAMES)


@pytest.fixture(scope="module")
def sides() -> Sides:
    return Sides()


def off(found: Found, tolerances: float) -> Found:
    value = found.log_density
    return replace(found, log_density=value + tolerances * TOLERANCE * max(1, abs(value)))


def test_nothing_changed_is_the_same(sides: Sides) -> None:
    verdict = sides.judge({})
    assert (verdict.kind, verdict.error, verdict.constant, verdict.left_out) == ("same", 0, 0, 0)
    assert verdict.passes
    assert str(verdict) == f"the same posterior at {len(sides.found)} places, to 0.0e+00 relative"


def test_places_are_of_the_posterior_and_of_three_scales(sides: Sides) -> None:
    where, directions, typical = positions(8, np.full((60, 8), 0.5), np.random.default_rng(1))
    assert len(where) == len(directions) == len(typical) == 48 + 16 + 8 + 12
    assert np.all(where[typical] == 0.5)
    sizes = np.abs(where[~typical]).max(axis=1)
    assert [sizes[part].max() > limit for part, limit in ((slice(16), 1.5), (slice(16, 24), 0.4), (slice(24, 36), 7))]
    assert [sizes[part].max() <= limit for part, limit in ((slice(16), 2), (slice(16, 24), 0.5), (slice(24, 36), 8))]
    with_line = np.any(directions != 0, axis=1)
    assert with_line[:12].all()
    assert with_line.sum() == 12 + 12 + 8
    assert not with_line[-12:].any()


def test_far_values_are_reached_one_coordinate_at_a_time(sides: Sides) -> None:
    base = sides.visits.positions[0]
    far = np.array(sides.leader.unconstrain(sides.visits.reached))
    moved = ~np.isclose(far, base, atol=1e-6)
    assert np.all(moved.sum(axis=1) == 1)
    assert np.all(moved.sum(axis=0) == 2)
    assert np.abs(far[moved]) == pytest.approx(REACH)


def test_the_tolerance_of_the_log_density(sides: Sides) -> None:
    assert sides.judge({7: off(sides.found[7], 0.9)}).kind == "same"
    verdict = sides.judge({7: off(sides.found[7], 1.2)})
    assert verdict.kind == "different"
    assert verdict.error == pytest.approx(1.2 * TOLERANCE, rel=0.05)
    assert "the log density at" in verdict.reasons[0]
    assert verdict.at["omega"] == float(sides.visits.places[7].values["omega"])
    assert verdict.values[0] == sides.found[7].log_density


def test_the_tolerance_of_the_gradient(sides: Sides) -> None:
    def moved(tolerances: float) -> Found:
        f = sides.found[7]
        return replace(f, slope=f.slope + tolerances * (TOLERANCE * f.size + 2 * f.rounding))

    assert sides.judge({7: moved(0.9)}).kind == "same"
    verdict = sides.judge({7: moved(1.2)})
    assert verdict.kind == "different"
    assert "the gradient at" in verdict.reasons[0]
    assert "(along one line)" in verdict.reasons[0]


def test_names_the_largest_of_all_differences(sides: Sides) -> None:
    verdict = sides.judge({i: off(sides.found[i], by) for i, by in ((2, 1e3), (3, 1e6), (4, 1e4))})
    assert verdict.at["sigma"] == float(sides.visits.places[3].values["sigma"])
    assert verdict.error == pytest.approx(1e6 * TOLERANCE, rel=0.01)


def test_names_a_place_of_the_posterior_rather_than_a_far_one(sides: Sides) -> None:
    far = int(np.flatnonzero(~sides.visits.typical)[0])
    verdict = sides.judge({2: off(sides.found[2], 1e2), far: off(sides.found[far], 1e6)})
    assert verdict.at["sigma"] == float(sides.visits.places[2].values["sigma"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_place_that_is_not_finite_is_left_out_and_counted(sides: Sides, bad: float) -> None:
    verdict = sides.judge({3: replace(sides.found[3], log_density=bad)})
    assert (verdict.kind, verdict.left_out) == ("same", 1)


def test_no_density_where_the_posterior_lies_is_another_posterior(sides: Sides) -> None:
    typical = np.flatnonzero(sides.visits.typical)
    lost = {int(i): replace(sides.found[i], log_density=-np.inf) for i in typical[: len(typical) // 5]}
    verdict = sides.judge(lost)
    assert verdict.kind == "different"
    assert f"made up has no density at {len(lost)} of {len(typical)} typical places" in str(verdict)


def test_too_few_places_tell_nothing(sides: Sides) -> None:
    typical = np.flatnonzero(sides.visits.typical)
    verdict = sides.judge({int(i): Found(error="ValueError: no") for i in typical[: len(typical) * 3 // 5]})
    assert verdict.kind == "unknown"
    assert not verdict.passes
    assert "too few of the typical places" in str(verdict)


def test_a_side_that_only_raises_is_unknown_and_its_error_passed_on(sides: Sides) -> None:
    verdict = sides.judge({i: Found(error="KeyError: 'mu'\nmore") for i in range(len(sides.found))})
    assert (verdict.kind, verdict.left_out) == ("unknown", len(sides.found))
    assert f"made up can't be evaluated at {len(sides.found)} of {len(sides.found)} places, e.g. KeyError: 'mu'" in str(
        verdict
    )


def test_a_density_that_is_finite_nowhere_is_unknown(sides: Sides) -> None:
    verdict = sides.judge({i: Found(float("-inf")) for i in range(len(sides.found))})
    assert "the log density of made up is finite nowhere" in str(verdict)
    assert "finite nowhere" in str(sides.judge({}, standard=Found(float("nan"))))


def noisy(sides: Sides, size: float, above: float) -> Callable[[Values], float]:
    """Return the reference with rounding of a size where omega is large."""

    def density(values: Values) -> float:
        noise = size * np.sin(1e9 * float(np.sum(values["e"]) + values["m"] + values["omega"]))
        return sides.evaluate(values)[0] + float(noise * (values["omega"] > above))

    return density


def test_digits_that_one_side_loses_in_a_tail_are_numerics(sides: Sides) -> None:
    verdict = sides.judge({}, noisy(sides, 1e-3, above=50.0))
    assert verdict.kind == "numerics"
    assert verdict.passes
    assert 0 < verdict.left_out < 12
    assert f"made up loses digits at {verdict.left_out} of {verdict.places} places" in verdict.reasons[0]


def test_digits_lost_everywhere_tell_nothing(sides: Sides) -> None:
    verdict = sides.judge({}, noisy(sides, 1e-3, above=0.0))
    assert verdict.kind == "unknown"
    assert "made up lose digits at most places" in str(verdict)


def test_digits_lost_in_a_tail_hide_no_difference(sides: Sides) -> None:
    density = noisy(sides, 1e-3, above=50.0)
    verdict = sides.judge({}, lambda values: density(values) - 1e-3 * float(values["sigma"]))
    assert verdict.kind == "different"
    assert list(verdict.depends) == ["sigma"]


@pytest.mark.parametrize(("size", "slight"), [(1e-5, True), (0.5, False)])
def test_a_difference_as_small_as_a_solvers_tolerance_is_refused_and_its_size_is_told(
    sides: Sides, size: float, *, slight: bool
) -> None:
    verdict = sides.judge({}, lambda values: sides.evaluate(values)[0] + size * np.sin(float(values["m"])))
    assert verdict.kind == "different"
    assert ("where the posterior has its mass the two differ by at most" in str(verdict)) is slight
    assert ("if they solve an equation to a tolerance" in str(verdict)) is slight


@pytest.mark.parametrize("name", ["m", "sigma", "omega", "e"])
def test_names_the_parameter_that_the_difference_depends_on(sides: Sides, name: str) -> None:
    verdict = sides.judge({}, lambda values: sides.evaluate(values)[0] + 1e-4 * float(np.sum(values[name] ** 2)))
    assert verdict.kind == "different"
    assert list(verdict.depends) == [name]
    assert f"the difference depends on {name} (up to {verdict.depends[name]:.3g})" in str(verdict)


# Supports


def led_by(code: str) -> tuple[Session, Dataset]:
    """Return a Stan program without data, prepared in this process."""
    session, dataset = Session(BACKENDS["stanli"]), Dataset("none", {})
    session.prepare(Model("made_up", "made_up", Program(MODEL.stan.path, code)), dataset.data)  # type: ignore[union-attr]
    return session, dataset


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("real<lower=0> a;", "real<lower=0> a;", []),
        ("real<lower=0> a;", "real a;", ["by second and not by first"]),
        ("real a;", "real<lower=0> a;", ["by first and not by second"]),
        ("real<lower=0, upper=100> a;", "real<lower=0, upper=99> a;", ["by first and not by second"]),
        ("real<lower=0, upper=1> a;", "real<lower=-1, upper=0.5> a;", ["by first and not", "by second and not"]),
        ("real<lower=0> a; simplex[3] b;", "real<lower=0> a; simplex[3] b;", []),
        ("simplex[3] a;", "vector<lower=0>[3] a;", ["by second and not by first"]),
        ("real<lower=0> a; real<lower=a> b;", "real<lower=0> a; real<lower=0> b;", ["b = ", "a = "]),
    ],
)
def test_supports_are_compared_through_the_maps(first: str, second: str, said: Sequence[str]) -> None:
    (one, _), (other, _) = (led_by(f"parameters {{ {declared} }} model {{ }}") for declared in (first, second))
    visits = visit(one, one.dimension(), np.zeros((3, one.dimension())))
    found = supports(visits, one, other, other.dimension(), ("first", "second"))
    assert len(found) == len(said)
    for reason, part in zip(found, said, strict=True):
        assert reason.startswith("the supports differ: ")
        assert part in reason


def test_a_support_that_the_density_narrows_is_no_difference() -> None:
    (one, _), (other, _) = (
        led_by(f"parameters {{ {declared} }} model {{ if (a < 0) target += negative_infinity(); }}")
        for declared in ("real<lower=0> a;", "real a;")
    )
    visits = visit(one, 1, np.zeros((3, 1)))
    assert supports(visits, one, other, 1, ("first", "second")) == []


def test_a_reference_says_where_its_support_ends(sides: Sides) -> None:
    standard = [replace(sides.found[0], log_density=-np.inf), *sides.found[1:]]
    (said,) = beyond(sides.visits, standard, sides.found, NAMES)
    assert said.endswith("can be had by made up and not by the reference")
    assert beyond(sides.visits, standard, standard, NAMES) == []
    assert beyond(sides.visits, sides.found, standard, NAMES) == []


def test_a_made_up_place_has_no_line() -> None:
    """What is asked at values alone has no gradient along a line, and none is compared."""
    assert np.isnan(follow_reference(lambda values: (1.0, values), [Place({"a": np.array(1.0)})])[0].slope)
