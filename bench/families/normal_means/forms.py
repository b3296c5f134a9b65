"""The eight parameterizations, and how one place among the group means is written in each of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.arrays import Floats
from bench.families.base import Model, Values


@dataclass(frozen=True)
class Form:
    """What sets a parameterization apart.

    Attributes
    ----------
    target : str
        `superpopulation` or `finite_population`.
    location : str
        Its location parameter: `mu`, or `m`, the mean of these G groups, from which mu is recovered.
    effects : str, optional
        Its vector of G effects: `mu_g` itself, `z` (standardised), or `e` (centered, summing to zero); None where they
        are integrated out.
    zero_sum : bool
        Whether the effects sum to zero.
    """

    target: Literal["superpopulation", "finite_population"]
    location: Literal["mu", "m"]
    effects: Literal["mu_g", "z", "e"] | None
    zero_sum: bool

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of its parameters."""
        return (self.location, "sigma", "omega", *([self.effects] if self.effects else []))

    @property
    def kind(self) -> Literal["centered", "noncentered", "marginal"]:
        """What theory tells apart: effects whose scale is omega, standardised ones, or none."""
        if self.effects is None:
            return "marginal"
        return "noncentered" if self.effects == "z" else "centered"


FORMS: dict[str, Form] = {
    "marginal": Form("superpopulation", "mu", None, zero_sum=False),
    "centered": Form("superpopulation", "mu", "mu_g", zero_sum=False),
    "noncentered": Form("superpopulation", "mu", "z", zero_sum=False),
    "zerosum_centered": Form("superpopulation", "m", "e", zero_sum=True),
    "zerosum_noncentered": Form("superpopulation", "m", "z", zero_sum=True),
    "finite_marginal": Form("finite_population", "mu", None, zero_sum=True),
    "finite_zerosum_centered": Form("finite_population", "mu", "e", zero_sum=True),
    "finite_zerosum_noncentered": Form("finite_population", "mu", "z", zero_sum=True),
}

MODELS: dict[str, Model] = {name: Model.read("normal_means", name, form.target) for name, form in FORMS.items()}


def standardised(form: Form, mu: float, sigma: float, omega: float, z: Floats) -> Values:
    """Write the place where the group means are ``mu + omega z`` in the parameters of a form.

    Every form given the same values is at the same group means, sigma and omega.

    Parameters
    ----------
    form : Form
        The parameterization whose parameters are wanted.
    mu, sigma, omega : float
        Mean of the population of groups and the two scales.
    z : array of shape (G,)
        Standardised effects; they need not sum to zero.

    Returns
    -------
    mapping of str to array
        Its location, `sigma`, `omega` and its effects, if it has any, by name.

    Examples
    --------
    >>> z = np.array([-1.0, 2.0])
    >>> {name: value.tolist() for name, value in standardised(FORMS["centered"], 1.0, 0.5, 2.0, z).items()}
    {'mu': 1.0, 'sigma': 0.5, 'omega': 2.0, 'mu_g': [-1.0, 5.0]}
    >>> {name: value.tolist() for name, value in standardised(FORMS["zerosum_centered"], 1.0, 0.5, 2.0, z).items()}
    {'m': 2.0, 'sigma': 0.5, 'omega': 2.0, 'e': [-3.0, 3.0]}
    """
    location = mu
    if form.zero_sum:
        location, z = mu + omega * float(np.mean(z)), z - np.mean(z)
        z = z - np.mean(z)  # once more, for the last bit: libraries check the sum
    effects = {"z": z, "e": omega * z, "mu_g": mu + omega * z}
    values = {form.location: location, "sigma": sigma, "omega": omega, **effects}
    return {name: np.asarray(values[name], dtype=np.float64) for name in form.parameters}
