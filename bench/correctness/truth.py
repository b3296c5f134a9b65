"""What a fit is graded against: one type, whether it is exact or known from reference draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bench.arrays import Floats

PROBABILITIES = (0.03, 0.5, 0.97)


@dataclass(frozen=True, eq=False)
class Truth:
    """Expectations under a posterior, each with what is left unknown of it.

    What is graded is an expectation E f: f = x for a mean, (x - mean)^2 for an sd, 1[x <= quantile] for a quantile.
    Reference draws know E f to sd f / sqrt(ESS of f); their ESS stands in `ess_mean`, `ess_sd` and `ess_quantile`,
    infinite where the truth is exact.

    Attributes
    ----------
    kind : str
        `exact`, or `reference draws`.
    names : sequence of str
        Scalars and elements of arrays, such as `mu_g[3]`, counted from 0.
    mean, sd, fourth : array of shape (names,)
        Posterior mean, standard deviation and fourth central moment.
    quantiles : array of shape (3, names)
        Quantiles at `PROBABILITIES`; NaN where they are not graded.
    ess_mean, ess_sd : array of shape (names,)
        Effective sample sizes that mean and sd rest on.
    ess_quantile : array of shape (3, names)
        The same for the quantiles.
    source : str
        Where it comes from, for a page.
    """

    kind: Literal["exact", "reference draws"]
    names: Sequence[str]
    mean: Floats
    sd: Floats
    fourth: Floats
    quantiles: Floats
    ess_mean: Floats = field(default_factory=lambda: np.array(np.inf))
    ess_sd: Floats = field(default_factory=lambda: np.array(np.inf))
    ess_quantile: Floats = field(default_factory=lambda: np.array(np.inf))
    source: str = ""

    def known(self, name: str) -> dict[str, float]:
        """Return mean, sd, q3, q50 and q97 of a scalar, as a record keeps them; empty if it is not known.

        Examples
        --------
        >>> row = lambda *values: np.array(values)
        >>> normal = Truth("exact", ["mu"], row(0.0), row(1.0), row(3.0), np.array([[-1.88], [0.0], [1.88]]))
        >>> normal.known("mu")
        {'mean': 0.0, 'sd': 1.0, 'q3': -1.88, 'q50': 0.0, 'q97': 1.88}
        >>> normal.known("tau")
        {}
        """
        if name not in self.names:
            return {}
        at = list(self.names).index(name)
        quantiles = {f"q{100 * p:.0f}": float(q) for p, q in zip(PROBABILITIES, self.quantiles[:, at], strict=True)}
        return {"mean": float(self.mean[at]), "sd": float(self.sd[at]), **quantiles}


def elements(name: str, shape: Sequence[int]) -> list[str]:
    """Name the elements of an array in C order, such as `theta[0,1]`; a scalar is its own one element.

    Parameters
    ----------
    name : str
        Name of the quantity.
    shape : sequence of int
        Its shape; empty for a scalar.

    Examples
    --------
    >>> elements("theta", (2,))
    ['theta[0]', 'theta[1]']
    >>> elements("mu", ())
    ['mu']
    """
    if not shape:
        return [name]
    return [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape)]
