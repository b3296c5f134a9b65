"""The reference against mathematics written another way, and the three facts that decide correctness."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import integrate, linalg, stats

from bench.arrays import Floats
from bench.families.normal_means.data import Groups, normal_means
from bench.families.normal_means.exact import exact_posterior
from bench.families.normal_means.forms import FORMS, Form, standardised
from bench.families.normal_means.reference import log_density_and_gradient

DATASETS = {
    "balanced": normal_means(1.0, [20] * 5),
    "unbalanced": normal_means(3.0, [1, 7, 2, 30, 4, 1]),
    "two groups": normal_means(0.1, [2, 3]),
    "one observation a group": normal_means(1.0, [1] * 8),
    "sigma 0.01": normal_means(1.0, [3, 8, 2], sigma=0.01),
}
datasets = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
models = pytest.mark.parametrize("name", FORMS)
zero_sum_models = pytest.mark.parametrize(
    "name", [name for name, form in FORMS.items() if form.zero_sum and form.effects]
)


class Point(NamedTuple):
    """A place by the roles of its values."""

    location: float
    sigma: float
    omega: float
    effects: Floats


def place(form: Form, mu: float, sigma: float, omega: float, z: Floats) -> Point:
    values = standardised(form, mu, sigma, omega, z)
    return Point(float(values[form.location]), sigma, omega, values[form.effects] if form.effects else np.zeros(0))


def reference(form: Form, dataset: Groups, point: Point) -> tuple[float, Point]:
    """Return the log density in location, log sigma, log omega and effects, Jacobian included, and its gradient."""
    values = {name: np.asarray(value) for name, value in zip(form.parameters, point, strict=False)}
    number, partial = log_density_and_gradient(form, dataset, values)
    along = partial[form.effects] if form.effects else np.zeros(0)
    if form.effects and form.zero_sum:
        along = along - np.mean(along)
    log_sigma, log_omega = (float(values[name] * partial[name]) + 1 for name in ("sigma", "omega"))
    gradient = Point(float(partial[form.location]), log_sigma, log_omega, along)
    return number + np.log(point.sigma) + np.log(point.omega), gradient


def random_values(dataset: Groups, count: int) -> list[tuple[float, float, float, Floats]]:
    """Values of mu, sigma, omega and standardised effects, the scales over four orders of magnitude."""
    rng = np.random.default_rng(8)
    return [
        (2 * rng.normal(), np.exp(rng.uniform(-4, 4)), np.exp(rng.uniform(-4, 4)), rng.normal(size=dataset.n_groups))
        for _ in range(count)
    ]


def value(form: Form, dataset: Groups, point: Point) -> float:
    return reference(form, dataset, point)[0]


def hyperplane(n_groups: int) -> Floats:
    """Return an orthonormal basis, in columns, of the vectors that sum to zero."""
    basis: Floats = linalg.null_space(np.ones((1, n_groups)))
    return basis


def independent(name: str, dataset: Groups, point: Point) -> float:
    """Log density by SciPy's distributions, with all their constants."""
    model, n_groups = FORMS[name], dataset.n_groups
    location, sigma, omega, effects = point
    mu_g, prior = np.full(n_groups, location), 0.0
    likelihood = None
    if model.kind == "marginal":
        of_groups = omega**2 * (np.eye(n_groups) - model.zero_sum / n_groups)
        covariance = of_groups[np.ix_(dataset.group, dataset.group)] + sigma**2 * np.eye(len(dataset.y))
        likelihood = stats.multivariate_normal.logpdf(dataset.y, np.full(len(dataset.y), location), covariance)
    elif name == "centered":
        mu_g, prior = effects, stats.norm.logpdf(effects, location, omega).sum()
    elif name == "noncentered":
        mu_g, prior = location + omega * effects, stats.norm.logpdf(effects).sum()
    else:
        scale = omega if model.effects == "e" else 1.0
        mu_g = location + (effects if model.effects == "e" else omega * effects)
        along = hyperplane(n_groups).T @ effects
        prior = stats.multivariate_normal.logpdf(along, np.zeros(n_groups - 1), scale**2 * np.eye(n_groups - 1))
    # m is mu and the mean of G independent normal(0, omega) deviations
    spread = np.sqrt(1 + omega**2 / n_groups) if model.location == "m" else 1.0
    return float(
        stats.norm.logpdf(location, 0, spread)
        + stats.halfnorm.logpdf(sigma)
        + stats.halfnorm.logpdf(omega, scale=10)
        + prior
        + (stats.norm.logpdf(dataset.y, mu_g[dataset.group], sigma).sum() if likelihood is None else likelihood)
        + np.log(sigma)
        + np.log(omega)
    )


@datasets
@models
def test_log_density_is_that_of_scipy_up_to_one_constant(name: str, dataset: Groups) -> None:
    points = [place(FORMS[name], *values) for values in random_values(dataset, 30)]
    ours = np.array([value(FORMS[name], dataset, point) for point in points])
    theirs = np.array([independent(name, dataset, point) for point in points])
    constant = (ours - theirs)[np.argmin(np.abs(ours))]
    digits = 1e-11 if FORMS[name].effects else 1e-9  # SciPy's dense covariance loses some
    assert ours - constant == pytest.approx(theirs, rel=digits, abs=100 * digits)


def derivative(model: Form, dataset: Groups, point: Point, direction: Floats) -> float:
    """Central differences in location, log sigma, log omega and effects, extrapolated twice (Richardson)."""

    def at(h: float) -> float:
        location, sigma, omega, effects = direction[0], direction[1], direction[2], direction[3:]
        moved = Point(
            point.location + h * location,
            point.sigma * np.exp(h * sigma),
            point.omega * np.exp(h * omega),
            point.effects + h * effects,
        )
        return value(model, dataset, moved)

    d = [(at(h) - at(-h)) / (2 * h) for h in (1e-2, 5e-3, 2.5e-3)]
    once = [(4 * d[1] - d[0]) / 3, (4 * d[2] - d[1]) / 3]
    return (16 * once[1] - once[0]) / 15


@datasets
@models
def test_gradient_is_the_derivative(name: str, dataset: Groups) -> None:
    model = FORMS[name]
    for values in random_values(dataset, 10):
        point = place(model, *values)
        number, gradient = reference(model, dataset, point)
        unit = point.omega if model.kind == "centered" else 1.0  # the effects are this large
        directions = np.diag([unit, 1, 1, *np.full(len(point.effects), unit)])
        if model.zero_sum and model.effects:
            directions[3:, 3:] -= unit / dataset.n_groups
        found = [derivative(model, dataset, point, direction) for direction in directions]
        expected = [unit * gradient.location, gradient.sigma, gradient.omega, *(unit * gradient.effects)]
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6 + 1e-10 * abs(number))


def test_outside_of_the_support_there_is_no_density() -> None:
    dataset = DATASETS["balanced"]
    inside = standardised(FORMS["zerosum_centered"], 0.0, 1.0, 1.0, np.arange(5.0))
    for name, value in (("sigma", -1.0), ("omega", 0.0), ("e", inside["e"] + 0.1)):
        number, _ = log_density_and_gradient(FORMS["zerosum_centered"], dataset, {**inside, name: np.asarray(value)})
        assert number == -np.inf


# The three facts


def prior_of_effects(name: str, omega: float, effects: Floats) -> float:
    """Log density of the effects given omega, up to a constant: the reference less all that is not it."""
    model, dataset = FORMS[name], normal_means(1.0, [2] * len(effects))
    spread = np.sqrt(1 + omega**2 / len(effects)) if model.location == "m" else 1.0
    mu_g = effects if model.effects == "e" else omega * effects
    rest = stats.norm.logpdf(0, 0, spread) + stats.halfnorm.logpdf(omega, scale=10) + np.log(omega)
    rest += stats.norm.logpdf(dataset.y, mu_g[dataset.group]).sum()
    return value(model, dataset, Point(0.0, 1.0, omega, effects)) - float(rest)


@pytest.mark.parametrize("name", ["zerosum_centered", "finite_zerosum_centered"])
@pytest.mark.parametrize("n_groups", [2, 3, 7])
def test_no_log_omega_is_lost(name: str, n_groups: int) -> None:
    """At e = 0 the density falls as omega to the power of the hyperplane's dimension, G - 1, and not of G."""
    at_zero = [prior_of_effects(name, omega, np.zeros(n_groups)) for omega in (0.1, 10.0)]
    assert at_zero[0] - at_zero[1] == pytest.approx((n_groups - 1) * np.log(100), abs=1e-9)


@pytest.mark.parametrize("name", ["zerosum_centered", "finite_zerosum_centered"])
def test_effects_integrate_to_the_same_whatever_omega_is(name: str) -> None:
    """So omega's marginal is its prior where there is no data, and the posterior is proper."""
    totals = []
    for omega in (1e-3, 0.1, 1.0, 30.0):
        x = omega * np.linspace(-9, 9, 181)
        density = [np.exp(prior_of_effects(name, omega, np.array([e, -e]) / np.sqrt(2))) for e in x]
        totals.append(integrate.trapezoid(density, x))
    assert totals == pytest.approx([totals[0]] * 4, rel=1e-6)


@zero_sum_models
@pytest.mark.parametrize("n_groups", [2, 5, 40])
def test_marginal_sd_is_not_inflated(name: str, n_groups: int) -> None:
    """One sd along the first effect's direction moves that effect by omega (or 1) times sqrt(1 - 1/G)."""
    omega = 0.7
    scale = omega if FORMS[name].effects == "e" else 1.0
    direction = np.eye(n_groups)[0] - 1 / n_groups
    direction /= linalg.norm(direction)
    for sds in (1.0, 2.0):
        moved = sds * scale * direction
        assert moved[0] == pytest.approx(sds * scale * np.sqrt(1 - 1 / n_groups))
        fall = prior_of_effects(name, omega, 0 * moved) - prior_of_effects(name, omega, moved)
        assert fall == pytest.approx(sds**2 / 2, abs=1e-9)


def log_density_of_means(name: str, dataset: Groups, sigma: float, omega: float, mu_g: Floats) -> float:
    """Log density of (mu_g, log sigma, log omega), up to a constant: mu integrated out, effects exchanged for mu_g."""
    model = FORMS[name]
    centre = float(np.mean(mu_g))
    if model.zero_sum:  # (location, effects) is a rotation of mu_g, then scaled by omega on G - 1 dimensions
        scale = 1.0 if model.kind == "centered" else omega
        jacobian = -(dataset.n_groups - 1) * np.log(scale)
        return value(model, dataset, Point(centre, sigma, omega, (mu_g - centre) / scale)) + jacobian

    def given(mu: float) -> float:
        if model.kind == "centered":
            return value(model, dataset, Point(mu, sigma, omega, mu_g))
        return value(model, dataset, Point(mu, sigma, omega, (mu_g - mu) / omega)) - dataset.n_groups * np.log(omega)

    # over mu the integrand is a normal density: its precision is 1 + G / omega^2
    precision = 1 + dataset.n_groups / omega**2
    mean = dataset.n_groups * centre / omega**2 / precision
    nodes = mean + np.linspace(-9, 9, 401) / np.sqrt(precision)
    logs = np.array([given(mu) for mu in nodes])
    return float(logs.max() + np.log(integrate.trapezoid(np.exp(logs - logs.max()), nodes)))


@datasets
@pytest.mark.parametrize("posterior", ["superpopulation", "finite_population"])
def test_models_that_share_a_posterior_agree(posterior: str, dataset: Groups) -> None:
    names = [name for name, form in FORMS.items() if form.target == posterior and form.effects]
    logs = np.array(
        [
            [log_density_of_means(name, dataset, sigma, omega, mu + omega * z) for name in names]
            for mu, sigma, omega, z in random_values(dataset, 12)
        ]
    )
    differences = logs - logs[:, :1]
    assert differences - differences[0] == pytest.approx(0, abs=1e-8 + 1e-13 * np.abs(logs).max())


def test_the_two_posteriors_are_not_the_same() -> None:
    dataset = DATASETS["balanced"]
    logs = np.array(
        [
            [
                log_density_of_means(name, dataset, sigma, omega, mu + omega * z)
                for name in ("centered", "finite_zerosum_centered")
            ]
            for mu, sigma, omega, z in random_values(dataset, 12)
        ]
    )
    assert np.ptp(logs[:, 0] - logs[:, 1]) > 1


@pytest.mark.parametrize(
    "dataset",
    [
        pytest.param(each, id=name, marks=[pytest.mark.slow] if i else [])
        for i, (name, each) in enumerate(DATASETS.items())
    ],
)
@pytest.mark.parametrize("name", ["marginal", pytest.param("finite_marginal", marks=pytest.mark.slow)])
def test_marginal_models_are_the_density_that_the_exact_posterior_integrates(name: str, dataset: Groups) -> None:
    """That integrates mu too, by a formula of its own; here a trapezoid rule does."""
    exact = exact_posterior(dataset, FORMS[name].target)
    sigma, omega = (np.quantile(each, [0.1, 0.5, 0.9]) for each in exact.draw_scales(400, np.random.default_rng(1)))

    def ours(sigma: float, omega: float) -> float:
        mu = exact.marginals["mu"].mean + exact.marginals["mu"].sd * np.linspace(-14, 14, 2001)
        logs = np.array([value(FORMS[name], dataset, Point(float(m), sigma, omega, np.zeros(0))) for m in mu])
        return float(logs.max() + np.log(integrate.trapezoid(np.exp(logs - logs.max()), mu))) - np.log(sigma * omega)

    def theirs(sigma: float, omega: float) -> float:
        given = exact._groups.given(np.array([sigma]), np.array([omega])).log_likelihood[0]
        return float(given - sigma**2 / 2 - omega**2 / 200)

    differences = [ours(s, o) - theirs(s, o) for s in sigma for o in omega]
    assert differences == pytest.approx([differences[0]] * 9, abs=1e-6)
