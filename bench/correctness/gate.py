"""The equality gate: nothing is timed whose log density and gradient are not those of the reference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.families.normal_means.data import Dataset
from bench.families.base import Model
from bench.families.normal_means.points import Gradient, Point, standardised
from bench.families.normal_means.reference import log_density_and_gradient

TOLERANCE = 1e-9
"""Relative, for the log density and for each block of the gradient (location, log sigma, log omega, effects)."""

Evaluate = Callable[[Sequence[Point]], list[tuple[float, Gradient] | str]]


@dataclass(frozen=True)
class Mismatch:
    """Where a backend and the reference part.

    Attributes
    ----------
    quantity : str
        `log density`, or the parameter whose gradient differs most.
    point : Point
        Where.
    expected, found : float
        Values of the reference and of the backend; log densities are differences from the first point.
    error : str
        What the backend raised instead of a value, or empty.
    """

    quantity: str
    point: Point
    expected: float
    found: float
    error: str = ""

    def __str__(self) -> str:
        """Return one line for a person."""
        at = f"location={self.point.location:.6g}, sigma={self.point.sigma:.6g}, omega={self.point.omega:.6g}"
        if self.error:
            return f"not the same model: the log density can't be evaluated at {at}: {self.error}"
        return (
            f"not the same model: {self.quantity} at {at} is {self.found:.12g} and should be {self.expected:.12g}; "
            "compare the program with bench/reference.py"
        )


def gate_points(model: Model, dataset: Dataset) -> list[Point]:
    """Points for the comparison: typical ones first, then prior draws and places near the boundaries.

    The first eight have scales near those of the data and effects near the data or off it; the next four are
    draws of the prior; the last four have sigma and omega small and large.
    """
    rng = np.random.default_rng(20)
    spread = float(np.std(dataset.means)) + 1e-3
    within = float(np.sqrt(dataset.within_ss / len(dataset.y))) + 1e-3
    centre = float(np.mean(dataset.means))
    points = []
    for _ in range(8):
        sigma, omega = within * np.exp(rng.normal(0, 0.3)), spread * np.exp(rng.normal(0, 0.3))
        mu = centre + 0.3 * spread * rng.normal()
        z = (dataset.means - mu) / omega + 0.3 * rng.normal(size=dataset.n_groups)
        points.append(standardised(model, mu, sigma, omega, z))
    for _ in range(4):
        mu, sigma, omega, *effects = rng.normal(size=3 + dataset.n_groups)
        points.append(standardised(model, mu, abs(sigma), 10 * abs(omega), np.array(effects)))
    for sigma, omega in ((0.05, 1.0), (20.0, 1.0), (1.0, 1e-3), (1.0, 100.0)):
        mu, *effects = rng.normal(size=1 + dataset.n_groups)
        points.append(standardised(model, mu, sigma, omega, np.array(effects)))
    return points


def compare(model: Model, dataset: Dataset, evaluate: Evaluate) -> Mismatch | None:
    """Compare a backend with the reference at `gate_points`, up to one constant fixed at the first.

    Parameters
    ----------
    model, dataset
        The pair whose posterior it is.
    evaluate : callable
        Takes points and returns for each the backend's log density and gradient, or the text of an error.

    Returns
    -------
    Mismatch or None
        The largest disagreement beyond `TOLERANCE`, in units of it.
    """
    points = gate_points(model, dataset)
    reference = [log_density_and_gradient(model, dataset, point) for point in points]
    worst: tuple[float, Mismatch] | None = None
    base: tuple[float, float] | None = None
    for point, (expected, gradient), answer in zip(points, reference, evaluate(points), strict=True):
        if isinstance(answer, str):
            return Mismatch("log density", point, expected, float("nan"), answer)
        found, found_gradient = answer
        base = base or (expected, found)
        scale = max(1.0, abs(expected), abs(base[0]))
        quantities = [("log density", expected - base[0], found - base[1], scale)]
        for name in ("location", "log_sigma", "log_omega", "effects"):
            ours, theirs = np.atleast_1d(getattr(gradient, name)), np.atleast_1d(getattr(found_gradient, name))
            if ours.shape != theirs.shape:
                error = f"the gradient of {name} has shape {theirs.shape}, not {ours.shape}"
                return Mismatch("log density", point, expected, float("nan"), error)
            g = int(np.argmax(np.nan_to_num(np.abs(theirs - ours), nan=np.inf)))
            label = f"gradient of effects[{g}]" if name == "effects" else f"gradient of {name.replace('_', ' ')}"
            quantities.append((label, float(ours[g]), float(theirs[g]), max(1.0, float(np.max(np.abs(ours))))))
        for quantity, expected_value, found_value, unit in quantities:
            excess = abs(found_value - expected_value) / unit / TOLERANCE
            if not excess <= 1 and (worst is None or not excess <= worst[0]):
                worst = (excess, Mismatch(quantity, point, expected_value, found_value))
    return worst[1] if worst else None
