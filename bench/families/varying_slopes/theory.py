"""What can be said of lines before anything is sampled: their scales, and the parameterization theory would take.

As with the normal means, what decides for an effect is how much the data of its group say of it beside what the other
groups say: the precision of the data, by that of the population (`bench.families.normal_means.theory`). There are two
effects, and each is told with the other one unknown. In the notation of `exact`, given the locations,

- the mean of y tells the intercept's effect with the variance sigma^2 / n + s tau_beta^2 xbar^2, so that the
  information is tau_alpha^2 by that,
- the slope's data tell the slope's effect with the precision x_ss / sigma^2, and the mean of y with the precision
  xbar^2 / (tau_alpha^2 + sigma^2 / n); the information is tau_beta^2 times their sum.

Centered is for both large, non-centered for both small. Between, or where the two part, theory leaves it open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.arrays import Floats
from bench.families.normal_means.theory import CLEAR, Estimate, Theory
from bench.families.varying_slopes.data import Lines
from bench.families.varying_slopes.exact import KNOWN, SCALES, exact_lines

DRAWS = 1000
Of = Literal["intercepts", "slopes"]


@dataclass(frozen=True)
class Seen:
    """What lines are like, in the unit of the models.

    Attributes
    ----------
    scales : dict of str to Estimate
        sigma, tau_alpha and tau_beta.
    information : dict of str to Estimate
        Of the median group, on its intercept and on its slope.
    assumed_independent : bool
        Whether the effects are correlated in the posterior that is asked for: its scales are not known exactly, and
        those are meant here that independent effects would have.
    """

    scales: dict[str, Estimate]
    information: dict[Of, Estimate]
    assumed_independent: bool

    @property
    def theory(self) -> Theory:
        """The parameterization that theory takes, by the median group."""
        each = {_by(found.median) for found in self.information.values()}
        return each.pop() if len(each) == 1 else "undecided"

    @property
    def theory_says(self) -> str:
        """Why, as the beginning of a sentence."""
        found = " and ".join(f"{value} on its {of.removesuffix('s')}" for of, value in self.information.items())
        said = {
            "centered": "both well above 1, where theory is for centered",
            "noncentered": "both well below 1, where theory is for noncentered",
            "undecided": "where theory leaves the parameterization open",
        }[self.theory]
        wanted = {of: _by(value.median) for of, value in self.information.items()}
        if set(wanted.values()) == {"centered", "noncentered"}:
            said = " and ".join(f"{form} {of}" for of, form in wanted.items())
            said = f"where theory is for {said}, which no model here has"
        return f"the information of the median group is {found} (94 % intervals): {said}"

    def lines(self) -> Iterator[str]:
        """Yield in words what the lines are like."""
        scales = ", ".join(f"{name} {value}" for name, value in self.scales.items())
        how = ", as if effects were independent" if self.assumed_independent else ""
        yield f"exact posterior{how}: {scales}, medians with 94 % intervals, in the unit of the models"
        for of, value in self.information.items():
            yield f"information of the median group on its {of.removesuffix('s')}: {value}"


def look(dataset: Lines, target: str) -> Seen:
    """Summarise a dataset by its exact posterior.

    Parameters
    ----------
    dataset : Lines
        What the models are given.
    target : str
        `independent`, `correlated` or `between`; `correlated` is looked at as if effects were independent.

    Examples
    --------
    >>> from bench.families.varying_slopes.data import simpson
    >>> look(simpson([40] * 6), "independent").theory
    'centered'
    """
    exact = exact_lines(dataset, target if target in KNOWN else "independent")
    draws = exact.draws(DRAWS, np.random.default_rng(1))
    sigma2, alpha2, beta2 = (draws[name][:, None] ** 2 for name in SCALES)
    noise, of_x, mean2 = sigma2 / dataset.group_sizes, dataset.x_ss, dataset.x_means**2
    unknown_slope = beta2 * sigma2 / (sigma2 + beta2 * of_x)
    information: dict[Of, Floats] = {
        "intercepts": alpha2 / (noise + unknown_slope * mean2),
        "slopes": beta2 * (of_x / sigma2 + mean2 / (alpha2 + noise)),
    }
    return Seen(
        scales={name: _estimate(draws[name]) for name in SCALES},
        information={of: _estimate(np.median(each, axis=1)) for of, each in information.items()},
        assumed_independent=target not in KNOWN,
    )


def _by(information: float) -> Theory:
    if information >= CLEAR:
        return "centered"
    return "noncentered" if information <= 1 / CLEAR else "undecided"


def _estimate(draws: Floats) -> Estimate:
    low, median, high = np.quantile(draws, (0.03, 0.5, 0.97))
    return Estimate(float(median), float(low), float(high))
