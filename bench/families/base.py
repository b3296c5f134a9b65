"""The registry of models: one parameterization each, in both languages."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.families.normal_means.data import Dataset

if TYPE_CHECKING:
    import pymc as pm

STAN = Path(__file__).parent.parent / "stan"
PYMC_MODELS = Path(__file__).parent.parent / "pymc_models"

Target = Literal["superpopulation", "finite_population"]


@dataclass(frozen=True)
class Model:
    """One parameterization.

    Attributes
    ----------
    name : str
        The file stem in `stan/` and in `pymc_models/`.
    posterior : str
        What it targets; models that share it must agree to Monte Carlo error.
    location : str
        Its location parameter: `mu`, or `m`, the mean of these G groups, from which mu is recovered.
    effects : str
        Its vector of G effects: `mu_g` itself, `z` (standardised), or `e` (centered, summing to zero).
    zero_sum : bool
        Whether the effects sum to zero.
    """

    name: str
    posterior: Target
    location: Literal["mu", "m"]
    effects: Literal["mu_g", "z", "e"]
    zero_sum: bool

    @property
    def centered(self) -> bool:
        """Whether the scale of the effects is omega."""
        return self.effects != "z"

    @property
    def parameters(self) -> tuple[str, str, str, str]:
        """Its parameters in the order in which the Stan program declares them."""
        return (self.location, "sigma", "omega", self.effects)

    @property
    def stan_file(self) -> Path:
        """The Stan program."""
        return STAN / f"{self.name}.stan"

    @property
    def pymc_file(self) -> Path:
        """The PyMC module."""
        return PYMC_MODELS / f"{self.name}.py"

    @cached_property
    def digest(self) -> str:
        """SHA-256 over both programs."""
        return sha256(self.stan_file.read_bytes() + self.pymc_file.read_bytes()).hexdigest()

    def build_pymc(self, dataset: Dataset) -> "pm.Model":
        """Build the PyMC model for a dataset."""
        model: pm.Model = import_module(f"pymc_models.{self.name}").build(dataset.y, dataset.group, dataset.n_groups)
        return model


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("centered", "superpopulation", "mu", "mu_g", zero_sum=False),
        Model("noncentered", "superpopulation", "mu", "z", zero_sum=False),
        Model("zerosum_centered", "superpopulation", "m", "e", zero_sum=True),
        Model("zerosum_noncentered", "superpopulation", "m", "z", zero_sum=True),
        Model("finite_zerosum_centered", "finite_population", "mu", "e", zero_sum=True),
        Model("finite_zerosum_noncentered", "finite_population", "mu", "z", zero_sum=True),
    )
}
