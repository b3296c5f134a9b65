"""The gate over every kind of constraint, with other transforms on the two sides, and one bound or prior changed."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from bench.arrays import Floats
from bench.backends.base import Posterior
from bench.backends.pymc import PyMC
from bench.backends.stanli import Stanli
from bench.correctness import places
from bench.correctness.gate import Verdict, jacobians, judge, supports, visit
from bench.correctness.places import Found, Place
from bench.families.base import Model, Program, Values


class Side:
    """A posterior in this process, as the gate asks one in a worker."""

    def __init__(self, posterior: Posterior) -> None:
        self.posterior = posterior

    def lead(self, positions: Floats, directions: Floats) -> list[tuple[Place, Found]]:
        return places.lead(self.posterior, positions, directions)

    def follow(self, where: Sequence[Place]) -> list[Found]:
        return places.follow(self.posterior, where)

    def constrain(self, positions: Floats) -> list[Values]:
        return [self.posterior.constrain(position) for position in positions]

    def unconstrain(self, values: Sequence[Values]) -> list[Floats]:
        return [self.posterior.unconstrain(each) for each in values]

    def inside(self, values: Sequence[Values]) -> list[bool]:
        return places.inside(self.posterior, values)

    def densities(self, values: Sequence[Values]) -> list[float]:
        return places.densities(self.posterior, values)

    def log_jacobians(self, values: Sequence[Values]) -> list[float]:
        return places.log_jacobians(self.posterior, values)


def compare(leader: Side, other: Side) -> Verdict:
    names = ("the first", "the second")
    dimension = leader.posterior.dimension
    visits = visit(leader, dimension, np.random.default_rng(1).normal(size=(20, dimension)))
    found = other.follow(visits.places)
    outside = supports(visits, leader, other, other.posterior.dimension, names)
    outside += jacobians(visits, leader, other, names)
    return judge(visits, visits.found, found, (leader.densities, other.densities), leader, names, outside)


STAN = """
data { real top; }
parameters {
  real<lower=0> positive;
  real<lower=0, upper=1> unit;
  real<lower=-1, upper=top> between;
  real<lower=between, upper=3> above;
  real<upper=2> below;
  simplex[3] shares;
  ordered[3] sorted;
  sum_to_zero_vector[4] effects;
  real<offset=1, multiplier=2> shifted;
}
model {
  positive ~ gamma(3, 2);
  unit ~ beta(2, 3);
  between ~ normal(0, 1);
  above ~ uniform(between, 3);
  below ~ normal(0, 1);
  shares ~ dirichlet([1, 2, 3]');
  sorted ~ normal(0, 2);
  effects ~ normal(0, 1);
  shifted ~ normal(1, 2);
}
"""
PYMC = """
tr = pm.distributions.transforms

def build(data):
    with pm.Model() as model:
        shifted = pm.Normal("shifted", 1, 2)
        effects = pm.ZeroSumNormal("effects", 1, shape=4)
        sorted_ = pm.Normal("sorted", 0, 2, shape=3, transform=tr.ordered, initval=[-1.0, 0.0, 1.0])
        shares = pm.Dirichlet("shares", np.array([1.0, 2.0, 3.0]))
        below = pm.Normal("below", 0, 1, transform=tr.Interval(None, 2), initval=0.0)
        between = pm.Uniform("between", -1, data["top"])
        pm.Potential("of_between", pm.logp(pm.Normal.dist(0, 1), between))
        above = pm.Uniform("above", between, 3)
        unit = pm.Beta("unit", 2, 3)
        positive = pm.Gamma("positive", 3, 2, default_transform=tr.LogExpM1())
    return model
"""
DATA = {"top": 1.5}


def stan(code: str = STAN) -> Side:
    return Side(Stanli().prepare(Model("m", "t", stan=Program(Path("m.stan"), code)), DATA))


def pymc(code: str = PYMC) -> Side:
    return Side(PyMC().prepare(Model("m", "t", pymc=Program(Path("m.py"), code)), DATA))


@pytest.fixture(scope="module")
def in_pymc() -> Side:
    return pymc()


@pytest.mark.slow
def test_both_languages_with_other_transforms(in_pymc: Side) -> None:
    for leader, other in ((stan(), in_pymc), (in_pymc, stan())):
        found = compare(leader, other)
        assert found.kind == "same", found.reasons
        assert found.left_out == 0


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("unit ~ beta(2, 3)", "unit ~ beta(2, 3.01)", "unit"),
        ("dirichlet([1, 2, 3]')", "dirichlet([1, 2, 3.01]')", "shares"),
        ("model {", "model { target += log(positive);", "positive"),  # a Jacobian that is not owed
        ("positive ~ gamma(3, 2)", "positive ~ gamma(3, 2.01)", "positive"),
        ("between ~ normal(0, 1)", "between ~ normal(0, 1.01)", "between"),
        ("above ~ uniform(between, 3)", "above ~ normal(between, 3)", "above"),
        ("below ~ normal(0, 1)", "below ~ normal(0.01, 1)", "below"),
        ("sorted ~ normal(0, 2)", "sorted ~ normal(0, 2.01)", "sorted"),
        ("effects ~ normal(0, 1)", "effects ~ normal(0, 1.01)", "effects"),
        ("shifted ~ normal(1, 2)", "shifted ~ normal(1, 2.01)", "shifted"),
    ],
)
@pytest.mark.slow
def test_one_prior_changed(old: str, new: str, named: str, in_pymc: Side) -> None:
    assert old in STAN
    found = compare(stan(STAN.replace(old, new)), in_pymc)
    assert found.kind == "different"
    assert named in found.depends


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("upper=1> unit", "upper=0.99> unit", "unit"),
        ("upper=top> between", "upper=top + 0.01> between", "between"),
        ("lower=0> positive", "lower=0.001> positive", "positive"),
        ("upper=2> below", "upper=2.01> below", "below"),
    ],
)
@pytest.mark.slow
def test_one_bound_changed(old: str, new: str, named: str, in_pymc: Side) -> None:
    assert old in STAN
    for leader, other in ((stan(STAN.replace(old, new)), in_pymc), (in_pymc, stan(STAN.replace(old, new)))):
        found = compare(leader, other)
        assert found.kind == "different"
        assert any(f"supports differ: {named} = " in reason for reason in found.reasons), found.reasons


MATRICES = """
parameters { %s }
model { %s }
"""


@pytest.mark.parametrize(
    ("first", "second", "change"),
    [
        (
            ("corr_matrix[3] R;", "R ~ lkj_corr(2);"),
            ("corr_matrix[3] R;", "target += log_determinant(R);"),
            ("log_determinant(R)", "1.01 * log_determinant(R)"),
        ),
        (
            ("cholesky_factor_corr[3] L;", "L ~ lkj_corr_cholesky(2);"),
            ("cholesky_factor_corr[3] L;", "target += log(L[2, 2]) * 3 + log(L[3, 3]) * 2;"),
            ("log(L[3, 3]) * 2", "log(L[3, 3]) * 2.01"),
        ),
        (
            ("cov_matrix[2] S;", "S ~ inv_wishart(5, identity_matrix(2));"),
            ("cov_matrix[2] S;", "target += -4 * log_determinant(S) - 0.5 * sum(diagonal(inverse(S)));"),
            ("0.5 * sum", "0.51 * sum"),
        ),
        (
            ("positive_ordered[3] x;", "x ~ exponential(1);"),
            ("positive_ordered[3] x;", "target += -sum(x);"),
            ("-sum(x)", "-1.01 * sum(x)"),
        ),
        (
            ("vector<lower=0>[2] x;", "x ~ lognormal(0, 1);"),
            ("vector<lower=0>[2] x;", "log(x) ~ normal(0, 1); target += -sum(log(x));"),
            ("target += -sum(log(x));", ""),
        ),
    ],
    ids=["correlation", "Cholesky factor", "covariance", "positive ordered", "log-normal"],
)
def test_matrices_written_in_two_ways(first: tuple[str, str], second: tuple[str, str], change: tuple[str, str]) -> None:
    leader, other = stan(MATRICES % first), stan(MATRICES % second)
    assert compare(leader, other).kind in ("same", "numerics")
    assert change[0] in second[1]
    assert compare(leader, stan((MATRICES % second).replace(*change))).kind == "different"


@pytest.mark.skipif(int(version("pymc").split(".")[0]) < 6, reason="PyMC 5 gives a packed vector, no matrix")
@pytest.mark.slow
def test_a_correlation_in_both_languages() -> None:
    """PyMC's is a Cholesky factor, whatever its name: a matrix with the same prior is another posterior."""
    program = "parameters { cholesky_factor_corr[3] L; } model { L ~ lkj_corr_cholesky(2); }"
    in_pymc = pymc('with pm.Model() as model:\n    pm.LKJCorr("L", n=3, eta=2)\n')
    for leader, other in ((stan(program), in_pymc), (in_pymc, stan(program))):
        found = compare(leader, other)
        assert found.kind == "same", found.reasons
    matrix = "parameters { corr_matrix[3] L; } model { L ~ lkj_corr(2); }"
    for changed in (program.replace("(2)", "(2.01)"), matrix):
        assert compare(stan(changed), in_pymc).kind == "different"
