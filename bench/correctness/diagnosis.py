"""What the draws of a fit say: every field of a record that follows from them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.backends.base import Fit
from bench.bias import BIASED, bound
from bench.correctness import diagnostics
from bench.correctness.grading import grade, seconds_to_error
from bench.correctness.health import MAX_RHAT, health
from bench.correctness.truth import PROBABILITIES, Truth, elements
from bench.records import Quantity

STATED_ERROR = 0.01
"""Monte Carlo error of a posterior mean, in posterior standard deviations, for `seconds_to_error`."""
MOST_SUMMARISED = 1000
"""Elements of a fit whose summary a record keeps where there is no truth."""


@dataclass(frozen=True)
class Estimates:
    """ESS and R-hat of every element that varies of every quantity, one after the other.

    Attributes
    ----------
    names : list of str
        Elements, such as `mu_g[3]`.
    quantity : list of str
        The quantity that each is an element of.
    draws : array of shape (chain, draw, element)
        Their draws.
    bulk, tail, rhat : array of shape (element,)
        Bulk and tail ESS, and R-hat.
    constant : dict of str to Quantity
        Quantities of which no element varies, by their first element.
    """

    names: list[str]
    quantity: list[str]
    draws: Floats
    bulk: Floats
    tail: Floats
    rhat: Floats
    constant: dict[str, Quantity]

    @classmethod
    def of(cls, draws: Mapping[str, Floats]) -> "Estimates":
        """Estimate all; elements that never vary are left out, see `diagnostics.constant`.

        Parameters
        ----------
        draws : mapping of str to array
            Quantities of shape (chain, draw, *their own).
        """
        names, quantity = list[str](), list[str]()
        columns, constant = [np.empty((*np.shape(next(iter(draws.values())))[:2], 0))], dict[str, Quantity]()
        for name, values in draws.items():
            flat = values.reshape(*values.shape[:2], -1)
            every, keep = elements(name, values.shape[2:]), ~diagnostics.constant(flat)
            if every and not keep.any():
                constant[name] = _constant(every[0], float(flat[0, 0, 0]))
            names += [element for element, kept in zip(every, keep, strict=True) if kept]
            quantity += [name] * int(keep.sum())
            columns.append(flat[..., keep])
        everything = np.concatenate(columns, axis=-1)
        estimated = (diagnostics.ess(everything), diagnostics.ess(everything, "tail"), diagnostics.rhat(everything))
        return cls(names, quantity, everything, *estimated, constant)

    @property
    def worst(self) -> int | None:
        """The element with the smallest bulk ESS, one that has none first; None where nothing varies."""
        return self.worst_of(range(len(self.names))) if self.names else None

    def worst_of(self, indices: Sequence[int]) -> int:
        """Return the index, of these, with the smallest bulk ESS."""
        bulk = np.where(np.isfinite(self.bulk), self.bulk, -1)
        return min(indices, key=lambda i: bulk[i])

    def suspect_rhat(self) -> float:
        """Return the largest R-hat of those beyond 1.01 that do not come by chance; 1 if there are none.

        One that is not finite counts.
        """
        beyond = [
            self.rhat[i]
            for i in np.flatnonzero(~(self.rhat <= MAX_RHAT))
            if not diagnostics.rhat_excess(self.draws[..., i], len(self.names)) <= 0
        ]
        return float(np.max(beyond, initial=1.0))

    def quantities(self) -> dict[str, Quantity]:
        """Summarise each quantity by its worst element, or as constant."""
        of: dict[str, list[int]] = {}
        for i, name in enumerate(self.quantity):
            of.setdefault(name, []).append(i)
        if not of:
            return dict(self.constant)
        at = {name: self.worst_of(indices) for name, indices in of.items()}
        shown = self.draws[..., list(at.values())]
        mcse = diagnostics.mcse(shown)
        q3, q50, q97 = np.quantile(shown, PROBABILITIES, axis=(0, 1))
        return {
            name: Quantity(
                mean=float(np.mean(shown[..., i])),
                sd=float(np.std(shown[..., i])),
                q3=float(q3[i]),
                q50=float(q50[i]),
                q97=float(q97[i]),
                mcse=float(mcse[i]),
                ess_bulk=float(self.bulk[element]),
                ess_tail=float(self.tail[element]),
                rhat=float(self.rhat[element]),
                element=self.names[element],
            )
            for i, (name, element) in enumerate(at.items())
        } | self.constant

    def summary(self) -> dict[str, Any]:
        """Return mean, sd and Monte Carlo error of the first `MOST_SUMMARISED` elements, as a record keeps them."""
        shown = self.draws[..., :MOST_SUMMARISED]
        return {
            "names": self.names[:MOST_SUMMARISED],
            "mean": shown.mean(axis=(0, 1)).tolist(),
            "sd": shown.std(axis=(0, 1)).tolist(),
            "mcse": np.atleast_1d(diagnostics.mcse(shown)).tolist(),
        }


def diagnose(
    fit: Fit,
    draws: Mapping[str, Floats],
    truth: Truth | None,
    headline: Sequence[str],
    seconds: float,
    flags: list[str],
) -> dict[str, Any]:
    """Compute every field of a record that follows from the draws.

    Parameters
    ----------
    fit : Fit
        The fit.
    draws : mapping of str to array
        The quantities that are reported: those of the fit, and what the family derives from them.
    truth : Truth, optional
        What they are graded against, where it is known.
    headline : sequence of str
        Scalars that pages show first; those that are missing are passed over.
    seconds : float
        Wall time of the fit.
    flags : list of str
        What the audits found.

    Returns
    -------
    dict of str to value
        Fields of `bench.records.Record`.
    """
    estimates = Estimates.of(draws)
    quantities = estimates.quantities()
    worst, ebfmi = estimates.worst, diagnostics.ebfmi(fit.energy)
    min_ess = None if worst is None else float(estimates.bulk[worst])
    if min_ess is None:
        flags = [*flags, "nothing that is reported varies"]
    least = [float(np.min(sizes, initial=np.inf)) for sizes in (estimates.bulk, estimates.tail)]
    flags = flags + health(fit, least[0], least[1], estimates.suspect_rhat(), ebfmi)
    shown = [name for name in headline if name in quantities]
    graded = None
    if truth is not None:
        graded = held_against_truth(truth, draws, shown, seconds, ranked=not flags)
        if graded.get("biased"):
            flags.append(
                f"{BIASED}: {graded['worst']} is {graded['largest']:.1f} errors off, bound {graded['bound']:.1f}"
            )
    gradients = int(np.sum(fit.gradients) + np.sum(fit.warmup_gradients))
    chain_seconds = _total(fit.warmup_seconds, fit.sampling_seconds)
    return {
        "health": flags,
        "headline": shown,
        "warmup_seconds": None if fit.warmup_seconds is None else fit.warmup_seconds.tolist(),
        "sampling_seconds": None if fit.sampling_seconds is None else fit.sampling_seconds.tolist(),
        "extraction_seconds": fit.extraction_seconds,
        "warmup_gradients": int(np.sum(fit.warmup_gradients)),
        "gradients": int(np.sum(fit.gradients)),
        "divergences": int(np.sum(fit.divergent)),
        "saturated": int(np.sum(fit.saturated)),
        "quantities": quantities,
        "min_ess_bulk": min_ess,
        "min_ess_of": None if worst is None else estimates.names[worst],
        "max_rhat": None if worst is None else float(np.max(estimates.rhat)),
        "ess_per_second": _ratio(min_ess, seconds),
        "ess_per_chain_second": _ratio(min_ess, chain_seconds),
        "ess_per_gradient": _ratio(min_ess, gradients),
        "ebfmi": ebfmi.tolist(),
        "step_size": fit.step_size.tolist(),
        "grade": graded,
        "summary": estimates.summary() if truth is None else None,
    }


def biased_further(further: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the flags of a healthy fit for what its family adds: what is off its truth by more than chance explains.

    Parameters
    ----------
    further : mapping of str to mapping
        As in `bench.records.Record`; what has a `z` rests on `ess` effective draws.
    """
    return [
        f"{BIASED}: {name} is {abs(found['z']):.1f} errors off, bound {limit:.1f}"
        for name, found in further.items()
        if "z" in found and abs(found["z"]) > (limit := bound(1, found["ess"]))
    ]


def _constant(element: str, value: float) -> Quantity:
    """Summarise a quantity that never varies: there is no ESS and no R-hat."""
    return Quantity(value, 0.0, value, value, value, 0.0, math.nan, math.nan, math.nan, element)


def _ratio(size: float | None, cost: float | None) -> float | None:
    return size / cost if size is not None and cost else None


def _total(warmup: Floats | None, sampling: Floats | None) -> float | None:
    """Add up the chains' seconds."""
    return None if warmup is None or sampling is None else float(np.sum(warmup) + np.sum(sampling))


def held_against_truth(
    truth: Truth, draws: Mapping[str, Floats], headline: Sequence[str], seconds: float, *, ranked: bool
) -> dict[str, Any]:
    """Return what is known of the headline quantities and, for a fit that may be ranked, its grade.

    Parameters
    ----------
    truth : Truth
        What the draws are held against.
    draws : mapping of str to array
        Quantities of shape (chain, draw, *their own).
    headline : sequence of str
        Scalars whose truth is kept.
    seconds : float
        Wall time of the fit.
    ranked : bool
        Whether it may be ranked; another one is not graded.

    Returns
    -------
    dict of str to value
        `truth`, its kind; `known`, by name; and of a graded fit the largest |z| over all graded quantities, which one
        that is, the bound it must keep to, the z-scores of the headline quantities, so that several fits can be graded
        together (`bench.bias`), and the seconds in which the fit would reach a Monte Carlo error of
        `STATED_ERROR` in each headline quantity if all of its time grew with its draws, which `bench.comparing.cost`
        mends.
    """
    known = {name: found for name in headline if (found := truth.known(name))}
    kept: dict[str, Any] = {"truth": truth.kind, "source": truth.source, "known": known}
    if not ranked:
        return kept
    result = grade(draws, truth, headline)
    return kept | {
        "largest": result.largest,
        "worst": result.worst,
        "bound": result.bound,
        "biased": result.biased,
        "graded": len(result.z),
        "fewest": result.fewest,
        "z": {name: z for name, z in result.z.items() if name.rsplit(" ", 1)[0] in known},
        "shared": {name: share for name, share in result.shared.items() if name.rsplit(" ", 1)[0] in known},
        "stated_error": STATED_ERROR,
        "seconds_to_error": dict(seconds_to_error(seconds, result.ess, STATED_ERROR)),
    }
