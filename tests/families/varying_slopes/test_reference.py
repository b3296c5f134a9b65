"""The reference against SciPy's distributions and differences, in every form."""

import numpy as np
import pytest
from scipy import linalg, stats

from bench.arrays import Floats
from bench.families.base import Model, Values
from bench.families.varying_slopes import VaryingSlopes
from bench.families.varying_slopes.data import Lines
from bench.families.varying_slopes.forms import FORMS, MODELS, Form
from bench.families.varying_slopes.reference import log_density_and_gradient
from tests.families.densities import plain, stan_model
from tests.families.varying_slopes.dense import SMALL, design, effects

FAMILY = VaryingSlopes()
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
datasets = pytest.mark.parametrize("dataset", SMALL.values(), ids=SMALL)


def places(model: Model, dataset: Lines, count: int) -> list[Values]:
    rng = np.random.default_rng(3)
    return [FAMILY.points(model, dataset, rng) for _ in range(count)]


def independent(form: Form, dataset: Lines, values: Values) -> float:
    """Log density by SciPy's distributions, with all their constants."""
    at = {name: float(value) for name, value in values.items() if np.ndim(value) == 0}
    rho, tau = at.get("rho", 0.0), np.array([at["tau_alpha"], at["tau_beta"]])
    spread = [np.sqrt(4 + t**2 / dataset.n_groups) if form.zero_sum else 2.0 for t in tau]
    total = sum(stats.norm.logpdf(at[name], 0, s) for name, s in zip(form.locations, (*spread, 2.0), strict=False))
    total += sum(stats.halfnorm.logpdf(at[name], scale=2) for name in form.scales)
    total += stats.beta.logpdf((rho + 1) / 2, 2, 2) if "rho" in at else 0.0
    x, z = design(dataset, gamma="gamma" in at)
    where = np.array([at[name] for name in form.locations])
    if form.kind == "marginal":
        scales = {name: np.array([value]) for name, value in at.items()}
        covariance = z @ effects(dataset, scales)[0] @ z.T + at["sigma"] ** 2 * np.eye(len(dataset.y))
        return float(total + stats.multivariate_normal.logpdf(dataset.y, x @ where, covariance))
    both = np.stack([values[name] for name in form.effects], axis=1)  # (G, 2)
    factor = np.array([[np.sqrt(1 - rho**2), rho], [0, 1]])
    covariance = factor @ factor.T
    if form.kind == "noncentered":
        lines = where + tau * (both @ factor.T)
        prior = np.eye(2)
    else:
        lines = both + (where if form.zero_sum else 0)
        prior = covariance * np.outer(tau, tau)
    deviations = both - (where if form.kind == "centered" and not form.zero_sum else 0)
    if form.zero_sum:
        deviations = linalg.null_space(np.ones((1, dataset.n_groups))).T @ deviations
    total += stats.multivariate_normal.logpdf(deviations, np.zeros(2), prior).sum()
    return float(total + stats.norm.logpdf(dataset.y, z @ lines.T.ravel(), at["sigma"]).sum())


@datasets
@models
def test_log_density_is_that_of_scipy_up_to_one_constant(model: Model, dataset: Lines) -> None:
    every, form = places(model, dataset, 12), FORMS[model.name]
    ours = np.array([log_density_and_gradient(form, dataset, values)[0] for values in every])
    theirs = np.array([independent(form, dataset, values) for values in every])
    constant = (ours - theirs)[np.argmin(np.abs(ours))]
    assert ours - constant == pytest.approx(theirs, rel=1e-10, abs=1e-8)


@datasets
@models
def test_gradient_is_the_derivative(model: Model, dataset: Lines) -> None:
    form = FORMS[model.name]
    for values in places(model, dataset, 2):
        number, gradient = log_density_and_gradient(form, dataset, values)
        for name, value in values.items():
            for index in np.ndindex(value.shape):
                step: Floats = np.zeros(value.shape)
                step[index] = 1e-4
                if form.zero_sum and name in form.effects:
                    step -= step.mean()

                def at(times: float, name: str = name, step: Floats = step, values: Values = values) -> float:
                    return log_density_and_gradient(form, dataset, {**values, name: values[name] + times * step})[0]

                found = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / 12
                assert found == pytest.approx(float(np.sum(step * gradient[name])), rel=1e-6, abs=1e-11 * abs(number))


def test_outside_of_the_support_there_is_no_density() -> None:
    dataset = SMALL["unbalanced"]
    for name, wrong in (("zerosum_centered", "e_beta"), ("marginal", "tau_beta"), ("correlated_marginal", "rho")):
        (inside,) = places(MODELS[name], dataset, 1)
        outside = {**inside, wrong: inside[wrong] + 1.5 if wrong != "tau_beta" else np.zeros(())}
        assert log_density_and_gradient(FORMS[name], dataset, outside)[0] == -np.inf


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.kind == "marginal"])
def test_groups_in_which_x_does_not_vary_are_the_same_for_stan(name: str) -> None:
    """One whose mean of x is not x itself, for rounding, one of a single observation, and one that tells a slope."""
    group, rng = np.array([0, 0, 0, 1, 2, 2]), np.random.default_rng(4)
    x, y = np.array([0.1, 0.1, 0.1, 2.0, 1.0, 4.0]), 5 + rng.normal(size=6)
    dataset = Lines(id="flat", x=x, y=y, group=group, labels=("a", "b", "c"))
    assert 0 < dataset.x_ss[0] < 1e-30
    compiled, found = stan_model(MODELS[name], dataset), []
    for values in places(MODELS[name], dataset, 6):
        with_jacobian, _ = compiled.log_prob_grad(compiled.unconstrain(plain(values)))
        jacobian = sum(np.log(values[scale]) for scale in FORMS[name].scales)
        jacobian += np.log(1 - values["rho"] ** 2) if "rho" in values else 0.0
        found.append(with_jacobian - jacobian - log_density_and_gradient(FORMS[name], dataset, values)[0])
    assert np.ptp(found) < 1e-10
