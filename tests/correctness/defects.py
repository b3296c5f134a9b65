"""Planted defects: the real programs with one thing wrong, by edits of their text."""

from dataclasses import dataclass, replace
from typing import Literal

from bench.families.base import Model, Program
from bench.families.normal_means.forms import MODELS

Edit = tuple[str, str]


@dataclass(frozen=True)
class Defect:
    """One thing wrong in a program.

    Attributes
    ----------
    name : str
        What is wrong.
    language : str
        Of which program.
    models : tuple of str
        The models in which it is planted.
    depends : tuple of str
        The parameters that the verdict must name, these and no other; empty where they may be any.
    edits : pairs of str
        What is replaced, each exactly once, and by what.
    """

    name: str
    language: Literal["stan", "pymc"]
    models: tuple[str, ...]
    depends: tuple[str, ...]
    edits: tuple[Edit, ...]


def plant(defect: Defect, model: Model) -> Model:
    """Return a model one of whose programs has the defect."""
    program: Program | None = getattr(model, defect.language)
    assert program is not None
    code = program.code
    for old, new in defect.edits:
        assert code.count(old) == 1, f"{old!r} is {code.count(old)} times in {program.path}"
        code = code.replace(old, new)
    assert code != program.code, "nothing was planted"
    return replace(model, **{defect.language: Program(program.path, code)})


ALL = tuple(MODELS)
CENTERED = ("zerosum_centered", "finite_zerosum_centered")
NONCENTERED = ("zerosum_noncentered", "finite_zerosum_noncentered")
WITH_M = ("zerosum_centered", "zerosum_noncentered")
WITH_MU = tuple(name for name in ALL if name not in WITH_M)
MARGINAL, FINITE_MARGINAL = ("marginal", "finite_marginal"), ("finite_marginal",)
WITH_MU_G = tuple(name for name in ALL if name not in MARGINAL)
WITH_Z = ("noncentered", *NONCENTERED)
ONE, OTHER = ("centered",), ("finite_zerosum_noncentered",)  # for PyMC, which takes some seconds to build a model


def _stan(name: str, models: tuple[str, ...], depends: tuple[str, ...], *edits: Edit) -> Defect:
    return Defect(name, "stan", models, depends, edits)


def _pymc(name: str, models: tuple[str, ...], depends: tuple[str, ...], *edits: Edit) -> Defect:
    return Defect(name, "pymc", models, depends, edits)


MU, SIGMA, OMEGA, E, Z = (("mu",), ("sigma",), ("omega",), ("omega", "e"), ("z",))
OF_M = ("m", "omega")
OF_MU_G = ("mu", "omega", "mu_g")
ANY = ()

_LIKELIHOOD = "y ~ normal(mu_g[group], sigma)"
_M_PRIOR = "m ~ normal(0, sqrt(1 + square(omega) / G))"

_STAN_DEFECTS = (
    _stan("lost log(omega)", CENTERED, OMEGA, ("  target += log(omega); ", "  ")),
    _stan("log(omega) not owed", NONCENTERED, OMEGA, ("z ~ std_normal();", "z ~ normal(0, 1); target += log(omega);")),
    _stan("scale of mu's prior", WITH_MU, MU, ("mu ~ std_normal()", "mu ~ normal(0, 1.001)")),
    _stan("scale of sigma's prior", ALL, SIGMA, ("sigma ~ std_normal()", "sigma ~ normal(0, 1.001)")),
    _stan("scale of omega's prior", ALL, OMEGA, ("omega ~ normal(0, 10)", "omega ~ normal(0, 10.01)")),
    _stan("m's prior without omega", WITH_M, OF_M, (_M_PRIOR, "m ~ std_normal()")),
    _stan("m's prior without G", WITH_M, OF_M, ("square(omega) / G", "square(omega)")),
    _stan("omega without constraint", WITH_Z, ANY, ("real<lower=0> omega;", "real omega;")),
    _stan("effects without constraint", CENTERED, ANY, ("sum_to_zero_vector[G] e;", "vector[G] e;")),
    _stan("indices off by one", WITH_MU_G, ANY, ("mu_g[group]", "append_row(mu_g[2:G], mu_g[1:1])[group]")),
    _stan("variance for sd of y", WITH_MU_G, ANY, (_LIKELIHOOD, "y ~ normal(mu_g[group], square(sigma))")),
    _stan("variance for sd of effects", CENTERED, E, ("e ~ normal(0, omega)", "e ~ normal(0, square(omega))")),
    _stan(
        "variance for sd of effects",
        ("centered",),
        OF_MU_G,
        ("mu_g ~ normal(mu, omega)", "mu_g ~ normal(mu, square(omega))"),
    ),
    _stan("variance for sd of m", WITH_M, OF_M, (_M_PRIOR, "m ~ normal(0, 1 + square(omega) / G)")),
    _stan(
        "sqrt(G/(G-1)) inflation",
        CENTERED,
        E,
        ("e ~ normal(0, omega)", "e ~ normal(0, omega * sqrt(G / (G - 1.0)))"),
    ),
    _stan("sqrt(G/(G-1)) inflation", NONCENTERED, Z, ("z ~ std_normal()", "z ~ normal(0, sqrt(G / (G - 1.0)))")),
    _stan(
        "missing Jacobian of sigma",
        ALL,
        SIGMA,
        ("sigma ~ std_normal();", "sigma ~ normal(0, 1); target += -log(sigma);"),
    ),
    _stan("missing Jacobian of mu_g", ("noncentered",), OMEGA, ("z ~ std_normal()", "mu_g ~ normal(mu, omega)")),
    _stan(
        "missing Jacobian of e",
        NONCENTERED,
        OMEGA,
        ("z ~ std_normal();", "omega * z ~ normal(0, omega); target += log(omega);"),
    ),
    _stan("dropped observation", WITH_MU_G, ANY, (_LIKELIHOOD, "y[2:N] ~ normal(mu_g[group[2:N]], sigma)")),
    _stan("lost degrees of freedom", MARGINAL, SIGMA, ("-(N - G) * log(sigma)", "-N * log(sigma)")),
    _stan("lost sum of squares", MARGINAL, SIGMA, (" - within_ss / (2 * square(sigma))", "")),
    _stan("indices off by one", MARGINAL, ANY, ("ybar[group[i]] += y[i]", "ybar[group[i] % G + 1] += y[i]")),
    _stan("sd for variance of the means", ("marginal",), ANY, ("square(sigma) ./ n", "sigma ./ n")),
    _stan("lost determinant", FINITE_MARGINAL, ("sigma", "omega"), ("log(r) + ", "")),
    _stan("lost update", FINITE_MARGINAL, ANY, (" * w / r);", " * w);")),
)

_MU, _SIGMA, _OMEGA = 'pm.Normal("mu", 0, 1)', 'pm.HalfNormal("sigma", 1)', 'pm.HalfNormal("omega", 10)'
_M = 'pm.Normal("m", 0, pm.math.sqrt(1 + omega**2 / n_groups))'
_E, _Z = 'pm.ZeroSumNormal("e", sigma=omega, dims="group")', 'pm.ZeroSumNormal("z", sigma=1, dims="group")'
_Y = 'pm.Normal("y", mu_g[group_of], sigma, observed=observed)'
_DATA = 'pm.Data("observed", data["y"])'
NO_JACOBIAN = (
    'default_transform=type("NoJacobian", (pm.distributions.transforms.LogTransform,), '
    '{"log_jac_det": lambda self, value, *inputs: pm.math.zeros_like(value)})()'
)


def potential(text: str) -> Edit:
    """Add a term to the log density of a PyMC program."""
    return "    return model", f'    with model:\n        pm.Potential("planted", {text})\n    return model'


_PYMC_DEFECTS = (
    _pymc("lost log(omega)", CENTERED, OMEGA, potential("-pm.math.log(omega)")),
    _pymc("log(omega) not owed", NONCENTERED, OMEGA, potential("pm.math.log(omega)")),
    _pymc("scale of mu's prior", ONE, MU, (_MU, 'pm.Normal("mu", 0, 1.001)')),
    _pymc("scale of sigma's prior", OTHER, SIGMA, (_SIGMA, 'pm.HalfNormal("sigma", 1.001)')),
    _pymc("scale of omega's prior", ONE, OMEGA, (_OMEGA, 'pm.HalfNormal("omega", 10.01)')),
    _pymc("m's prior without omega", WITH_M, OF_M, (_M, 'pm.Normal("m", 0, 1)')),
    _pymc("m's prior without G", WITH_M, OF_M, ("omega**2 / n_groups", "omega**2")),
    _pymc("omega without constraint", OTHER, ANY, (_OMEGA, 'pm.Normal("omega", 0, 10)')),
    _pymc("effects without constraint", CENTERED, ANY, (_E, 'pm.Normal("e", 0, omega, dims="group")')),
    _pymc("indices off by one", OTHER, ANY, ("mu_g[group_of]", "mu_g[group_of - 1]")),
    _pymc("variance for sd of y", ONE, ANY, ("mu_g[group_of], sigma,", "mu_g[group_of], sigma**2,")),
    _pymc("variance for sd of effects", CENTERED, E, ("sigma=omega,", "sigma=omega**2,")),
    _pymc("variance for sd of effects", ("centered",), OF_MU_G, ("mu, omega, dims", "mu, omega**2, dims")),
    _pymc("variance for sd of m", WITH_M, OF_M, ("pm.math.sqrt(1 + omega**2 / n_groups)", "1 + omega**2 / n_groups")),
    _pymc(
        "sqrt(G/(G-1)) inflation", CENTERED, E, ("sigma=omega,", "sigma=omega * np.sqrt(n_groups / (n_groups - 1)),")
    ),
    _pymc("sqrt(G/(G-1)) inflation", NONCENTERED, Z, ("sigma=1,", "sigma=np.sqrt(n_groups / (n_groups - 1)),")),
    _pymc("missing Jacobian of sigma", OTHER, SIGMA, potential("-pm.math.log(sigma)")),
    _pymc(
        "missing Jacobian of mu_g",
        ("noncentered",),
        OMEGA,
        ('pm.Normal("z", 0, 1, dims="group")', 'pm.Flat("z", dims="group")'),
        potential("pm.logp(pm.Normal.dist(mu, omega), mu_g)"),
    ),
    _pymc("missing Jacobian of e", NONCENTERED, OMEGA, potential("-(n_groups - 1) * pm.math.log(omega)")),
    _pymc(
        "dropped observation",
        ONE,
        ANY,
        (_Y, _Y.replace("group_of", "group_of[1:]").replace("observed=observed", "observed=observed[1:]")),
    ),
    _pymc("lost degrees of freedom", MARGINAL, SIGMA, ('spare = data["N"] - data["G"]', 'spare = data["N"]')),
    _pymc("lost determinant", FINITE_MARGINAL, ("sigma", "omega"), ("pm.math.log(r) + ", "")),
    _pymc("observations doubled", OTHER, ANY, (_DATA, 'pm.Data("observed", 2 * data["y"])')),
    _pymc("float32 means", ONE, ANY, ("mu_g[group_of]", 'mu_g[group_of].astype("float32")')),
    _pymc("float32 observations", OTHER, ANY, ("observed=observed)", 'observed=observed.astype("float32"))')),
)

DEFECTS = (*_STAN_DEFECTS, *_PYMC_DEFECTS)
