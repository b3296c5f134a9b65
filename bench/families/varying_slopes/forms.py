"""The parameterizations, and how one place among the groups' lines is written in each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.arrays import Floats
from bench.families.base import Model, Values

Kind = Literal["centered", "noncentered", "marginal"]

EFFECTS = ("alpha", "beta")
"""What varies by group: the intercept and the slope."""


@dataclass(frozen=True)
class Form:
    """What sets a parameterization apart.

    Attributes
    ----------
    target : str
        `independent`, `correlated`, or `between`, which has the group means of x as a predictor of the intercepts.
    kind : str
        Whether the effects have their scales, are standardised, or are integrated out.
    zero_sum : bool
        Whether the effects sum to zero about the means of these groups, `m_alpha` and `m_beta`.
    """

    target: Literal["independent", "correlated", "between"]
    kind: Kind
    zero_sum: bool = False

    @property
    def locations(self) -> tuple[str, ...]:
        """Names of its location parameters."""
        here = tuple(f"m_{name}" if self.zero_sum else name for name in EFFECTS)
        return (*here, "gamma") if self.target == "between" else here

    @property
    def scales(self) -> tuple[str, ...]:
        """Names of its scales."""
        return ("sigma", "tau_alpha", "tau_beta")

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of all its parameters that are no effects."""
        return (*self.locations, *self.scales, *(["rho"] if self.target == "correlated" else []))

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of its vectors of G effects."""
        if self.kind == "marginal":
            return ()
        if self.kind == "noncentered":
            return tuple(f"z_{name}" for name in EFFECTS)
        return tuple(f"e_{name}" if self.zero_sum else f"{name}_g" for name in EFFECTS)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of its parameters."""
        return (*self.scalars, *self.effects)


FORMS: dict[str, Form] = {
    "marginal": Form("independent", "marginal"),
    "centered": Form("independent", "centered"),
    "noncentered": Form("independent", "noncentered"),
    "zerosum_centered": Form("independent", "centered", zero_sum=True),
    "zerosum_noncentered": Form("independent", "noncentered", zero_sum=True),
    "correlated_marginal": Form("correlated", "marginal"),
    "correlated_centered": Form("correlated", "centered"),
    "correlated_noncentered": Form("correlated", "noncentered"),
    "between_marginal": Form("between", "marginal"),
}

MODELS: dict[str, Model] = {name: Model.read("varying_slopes", name, form.target) for name, form in FORMS.items()}


def lines(values: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Return intercepts and slopes of the groups where the standardised effects are z.

    alpha_g = alpha + tau_alpha (rho z_beta + root(1 - rho^2) z_alpha), beta_g = beta + tau_beta z_beta.

    Parameters
    ----------
    values : mapping of str to array
        `alpha` of shape () or (G,), `beta`, `tau_alpha`, `tau_beta`, `rho` where there is one, and `z_alpha` and
        `z_beta` of shape (G,).
    """
    rho = values.get("rho", np.zeros(()))
    of_alpha = rho * values["z_beta"] + np.sqrt(1 - rho**2) * values["z_alpha"]
    alpha_g = values["alpha"] + values["tau_alpha"] * of_alpha
    return alpha_g, values["beta"] + values["tau_beta"] * values["z_beta"]


def standardised(form: Form, values: Mapping[str, Floats]) -> Values:
    """Write the place where the groups have the lines of `lines` in the parameters of a form.

    Every form of a target given the same values is at the same lines and scales.

    Parameters
    ----------
    form : Form
        The parameterization whose parameters are wanted.
    values : mapping of str to array
        As in `lines`; the locations and scales may be of any target, and effects need not sum to zero.

    Examples
    --------
    >>> at = {"alpha": 1.0, "beta": -1.0, "sigma": 0.5, "tau_alpha": 2.0, "tau_beta": 1.0}
    >>> at |= {"z_alpha": np.array([-1.0, 2.0]), "z_beta": np.array([0.0, 1.0])}
    >>> {name: value.tolist() for name, value in standardised(FORMS["zerosum_centered"], at).items()}
    {'m_alpha': 2.0, 'm_beta': -0.5, 'sigma': 0.5, 'tau_alpha': 2.0, 'tau_beta': 1.0, 'e_alpha': [-3.0, 3.0], \
'e_beta': [-0.5, 0.5]}
    """
    alpha_g, beta_g = lines(values)
    every: dict[str, Floats] = {**values, "alpha_g": alpha_g, "beta_g": beta_g}
    if form.zero_sum:
        for name in EFFECTS:
            z = values[f"z_{name}"] - np.mean(values[f"z_{name}"])
            z = z - np.mean(z)  # once more, for the last bit: libraries check the sum
            mean = values[name] + values[f"tau_{name}"] * np.mean(values[f"z_{name}"])
            every |= {f"m_{name}": mean, f"z_{name}": z, f"e_{name}": values[f"tau_{name}"] * z}
    return {name: np.asarray(every[name], dtype=np.float64) for name in form.parameters}
