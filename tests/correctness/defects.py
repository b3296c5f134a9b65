"""Planted defects: the real programs with one thing wrong, by edits of their text."""

import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.families.normal_means.data import Dataset
from bench.families.base import MODELS, Model

if TYPE_CHECKING:
    import pymc as pm

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
    names : str
        Regular expression of the quantities that the gate may name.
    edits : pairs of str
        What is replaced, each exactly once, and by what.
    """

    name: str
    language: Literal["stan", "pymc"]
    models: tuple[str, ...]
    names: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class BrokenModel(Model):
    """A model whose programs lie in a folder of their own."""

    folder: Path

    @property
    def stan_file(self) -> Path:
        return self.folder / f"{self.name}.stan"

    @property
    def pymc_file(self) -> Path:
        return self.folder / f"{self.name}.py"

    def build_pymc(self, dataset: Dataset) -> "pm.Model":
        model: pm.Model = runpy.run_path(str(self.pymc_file))["build"](dataset.y, dataset.group, dataset.n_groups)
        return model


def plant(defect: Defect, model: Model, folder: Path) -> BrokenModel:
    """Write both programs of a model to a folder, one of them with the defect."""
    name = f"{model.name}_{folder.name}"  # backends keep what they compiled under the model's name
    broken = BrokenModel(name, model.posterior, model.location, model.effects, model.zero_sum, folder)
    for language, source, target in (
        ("stan", model.stan_file, broken.stan_file),
        ("pymc", model.pymc_file, broken.pymc_file),
    ):
        text = source.read_text()
        for old, new in defect.edits if language == defect.language else ():
            assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {source}"
            text = text.replace(old, new)
        target.write_text(text)
    edited, original = (m.stan_file if defect.language == "stan" else m.pymc_file for m in (broken, model))
    assert edited.read_text() != original.read_text(), "nothing was planted"
    return broken


ALL = tuple(MODELS)
CENTERED = ("zerosum_centered", "finite_zerosum_centered")
NONCENTERED = ("zerosum_noncentered", "finite_zerosum_noncentered")
WITH_M = ("zerosum_centered", "zerosum_noncentered")
WITH_MU = tuple(name for name in ALL if name not in WITH_M)

EACH_KIND = ("centered", "finite_zerosum_noncentered")  # for PyMC, which takes a second to build a model
ANY = "log density|gradient of"
REFUSED_AT_ONCE = "can't be evaluated"


def _stan(name: str, models: tuple[str, ...], names: str, *edits: Edit) -> Defect:
    return Defect(name, "stan", models, names, edits)


def _pymc(name: str, models: tuple[str, ...], names: str, *edits: Edit) -> Defect:
    return Defect(name, "pymc", models, names, edits)


_LIKELIHOOD = "y ~ normal(mu_g[group], sigma)"
_M_PRIOR = "m ~ normal(0, sqrt(1 + square(omega) / G))"
_LOG_SIGMA = ("real<lower=0> sigma;", "real log_sigma;")
_EXP_LOG_SIGMA = "  real<lower=0> sigma = exp(log_sigma);\n"

_STAN_DEFECTS = (
    _stan("lost log(omega)", CENTERED, "log omega", ("  target += log(omega); ", "  ")),
    _stan(
        "log(omega) not owed",
        NONCENTERED,
        "log omega",
        ("z ~ std_normal();", "z ~ normal(0, 1); target += log(omega);"),
    ),
    _stan("scale of mu's prior", WITH_MU, "location", ("mu ~ std_normal()", "mu ~ normal(0, 1.001)")),
    _stan("scale of sigma's prior", ALL, "log sigma", ("sigma ~ std_normal()", "sigma ~ normal(0, 1.001)")),
    _stan("scale of omega's prior", ALL, "log omega", ("omega ~ normal(0, 10)", "omega ~ normal(0, 10.01)")),
    _stan("m's prior without omega", WITH_M, "location|log omega", (_M_PRIOR, "m ~ std_normal()")),
    _stan("m's prior without G", WITH_M, "location|log omega", ("square(omega) / G", "square(omega)")),
    _stan("sigma without constraint", ALL, REFUSED_AT_ONCE, ("real<lower=0> sigma;", "real sigma;")),
    _stan("omega without constraint", ALL, f"{REFUSED_AT_ONCE}|gradient of", ("real<lower=0> omega;", "real omega;")),
    _stan("effects without constraint", CENTERED, REFUSED_AT_ONCE, ("sum_to_zero_vector[G] e;", "vector[G] e;")),
    _stan("indices off by one", ALL, ANY, ("mu_g[group]", "append_row(mu_g[2:G], mu_g[1:1])[group]")),
    _stan("variance for sd of y", ALL, "log sigma", (_LIKELIHOOD, "y ~ normal(mu_g[group], square(sigma))")),
    _stan("variance for sd of effects", CENTERED, "effects", ("e ~ normal(0, omega)", "e ~ normal(0, square(omega))")),
    _stan(
        "variance for sd of effects",
        ("centered",),
        "location|effects",
        ("mu_g ~ normal(mu, omega)", "mu_g ~ normal(mu, square(omega))"),
    ),
    _stan("variance for sd of m", WITH_M, "location|log omega", (_M_PRIOR, "m ~ normal(0, 1 + square(omega) / G)")),
    _stan(
        "sqrt(G/(G-1)) inflation",
        CENTERED,
        "log omega|effects",
        ("e ~ normal(0, omega)", "e ~ normal(0, omega * sqrt(G / (G - 1.0)))"),
    ),
    _stan(
        "sqrt(G/(G-1)) inflation", NONCENTERED, "effects", ("z ~ std_normal()", "z ~ normal(0, sqrt(G / (G - 1.0)))")
    ),
    _stan(
        "missing Jacobian of sigma",
        ("centered",),
        "log sigma",
        _LOG_SIGMA,
        ("model {", f"transformed parameters {{\n{_EXP_LOG_SIGMA}}}\nmodel {{"),
    ),
    _stan(
        "missing Jacobian of sigma",
        ALL[1:],
        "log sigma",
        _LOG_SIGMA,
        ("transformed parameters {\n", f"transformed parameters {{\n{_EXP_LOG_SIGMA}"),
    ),
    _stan("missing Jacobian of mu_g", ("noncentered",), "log omega", ("z ~ std_normal()", "mu_g ~ normal(mu, omega)")),
    _stan(
        "missing Jacobian of e",
        NONCENTERED,
        "log omega",
        ("z ~ std_normal();", "omega * z ~ normal(0, omega); target += log(omega);"),
    ),
    _stan("dropped observation", ALL, ANY, (_LIKELIHOOD, "y[2:N] ~ normal(mu_g[group[2:N]], sigma)")),
)

_MU, _SIGMA, _OMEGA = 'pm.Normal("mu", 0, 1)', 'pm.HalfNormal("sigma", 1)', 'pm.HalfNormal("omega", 10)'
_M = 'pm.Normal("m", 0, pm.math.sqrt(1 + omega**2 / n_groups))'
_E, _Z = 'pm.ZeroSumNormal("e", sigma=omega, dims="group")', 'pm.ZeroSumNormal("z", sigma=1, dims="group")'
_Y = 'pm.Normal("y", mu_g[group_of], sigma, observed=observed)'
_NO_JACOBIAN = (
    'default_transform=type("NoJacobian", (pm.distributions.transforms.LogTransform,), '
    '{"log_jac_det": lambda self, value, *inputs: pm.math.zeros_like(value)})()'
)
_RETURN = "    return model"


def _potential(text: str) -> Edit:
    return _RETURN, f'    with model:\n        pm.Potential("planted", {text})\n    return model'


_PYMC_DEFECTS = (
    _pymc("lost log(omega)", CENTERED, "log omega", _potential("-pm.math.log(omega)")),
    _pymc("log(omega) not owed", NONCENTERED, "log omega", _potential("pm.math.log(omega)")),
    _pymc("scale of mu's prior", WITH_MU, "location", (_MU, 'pm.Normal("mu", 0, 1.001)')),
    _pymc("scale of sigma's prior", EACH_KIND, "log sigma", (_SIGMA, 'pm.HalfNormal("sigma", 1.001)')),
    _pymc("scale of omega's prior", EACH_KIND, "log omega", (_OMEGA, 'pm.HalfNormal("omega", 10.01)')),
    _pymc("m's prior without omega", WITH_M, "location|log omega", (_M, 'pm.Normal("m", 0, 1)')),
    _pymc("m's prior without G", WITH_M, "location|log omega", ("omega**2 / n_groups", "omega**2")),
    _pymc("sigma without constraint", EACH_KIND, ANY, (_SIGMA, 'pm.Normal("sigma", 0, 1)')),
    _pymc("omega without constraint", EACH_KIND, ANY, (_OMEGA, 'pm.Normal("omega", 0, 10)')),
    _pymc("effects without constraint", CENTERED, ANY, (_E, 'pm.Normal("e", 0, omega, dims="group")')),
    _pymc("indices off by one", EACH_KIND, ANY, ("mu_g[group_of]", "mu_g[group_of - 1]")),
    _pymc("variance for sd of y", EACH_KIND, "log sigma", ("mu_g[group_of], sigma,", "mu_g[group_of], sigma**2,")),
    _pymc("variance for sd of effects", CENTERED, "effects", ("sigma=omega,", "sigma=omega**2,")),
    _pymc("variance for sd of effects", ("centered",), "location|effects", ("mu, omega, dims", "mu, omega**2, dims")),
    _pymc(
        "variance for sd of m",
        WITH_M,
        "location|log omega",
        ("pm.math.sqrt(1 + omega**2 / n_groups)", "1 + omega**2 / n_groups"),
    ),
    _pymc(
        "sqrt(G/(G-1)) inflation",
        CENTERED,
        "log omega|effects",
        ("sigma=omega,", "sigma=omega * np.sqrt(n_groups / (n_groups - 1)),"),
    ),
    _pymc("sqrt(G/(G-1)) inflation", NONCENTERED, "effects", ("sigma=1,", "sigma=np.sqrt(n_groups / (n_groups - 1)),")),
    _pymc("missing Jacobian of sigma", EACH_KIND, "log sigma", (_SIGMA, f'pm.HalfNormal("sigma", 1, {_NO_JACOBIAN})')),
    _pymc("missing Jacobian of omega", EACH_KIND, "log omega", (_OMEGA, f'pm.HalfNormal("omega", 10, {_NO_JACOBIAN})')),
    _pymc(
        "missing Jacobian of mu_g",
        ("noncentered",),
        "log omega",
        ('pm.Normal("z", 0, 1, dims="group")', 'pm.Flat("z", dims="group")'),
        _potential("pm.logp(pm.Normal.dist(mu, omega), mu_g)"),
    ),
    _pymc("missing Jacobian of e", NONCENTERED, "log omega", _potential("-(n_groups - 1) * pm.math.log(omega)")),
    _pymc(
        "dropped observation",
        EACH_KIND,
        ANY,
        (_Y, _Y.replace("group_of", "group_of[1:]").replace("observed=observed", "observed=observed[1:]")),
    ),
    _pymc("float32 means", EACH_KIND, ANY, ("mu_g[group_of]", 'mu_g[group_of].astype("float32")')),
    _pymc("float32 observations", EACH_KIND, ANY, ("observed=observed)", 'observed=observed.astype("float32"))')),
)

DEFECTS = (*_STAN_DEFECTS, *_PYMC_DEFECTS)
