"""The log density of each model over its values, and its gradient, in plain NumPy: a third side for the gate.

Independent of any sampler, written from the mathematics of the models and not from their programs.
"""

import numpy as np

from bench.arrays import Floats
from bench.families.base import Values
from bench.families.normal_means.data import Groups
from bench.families.normal_means.forms import Form


def log_density_and_gradient(form: Form, dataset: Groups, values: Values) -> tuple[float, Values]:
    """Log posterior density over the values, up to a constant, and its gradient with respect to each of them.

    Parameters
    ----------
    form : Form
        Which parameterization.
    dataset : Groups
        Observations.
    values : mapping of str to array
        The parameters of the form. No Jacobian of any transform is included.

    Returns
    -------
    float
        The log density; minus infinity outside of the support.
    mapping of str to array
        Its partial derivatives, by parameter; those of zero-sum effects are meant along their hyperplane.
    """
    loc, sigma, omega = (float(values[name]) for name in (form.location, "sigma", "omega"))
    effects, n_groups = values[form.effects] if form.effects else np.zeros(0), dataset.n_groups
    if not _supported(form, sigma, omega, effects):
        return -np.inf, {name: np.zeros_like(value) for name, value in values.items()}
    if form.effects is None:
        return _marginal(form, dataset, loc, sigma, omega)
    mu_g = {"mu_g": effects, "e": loc + effects, "z": loc + omega * effects}[form.effects]

    # y ~ normal(mu_g, sigma), sigma ~ half-normal(1), omega ~ half-normal(10)
    residual = dataset.y - mu_g[dataset.group]
    chi2 = float(residual @ residual) / sigma**2
    to_groups = np.bincount(dataset.group, weights=residual, minlength=n_groups) / sigma**2
    value = -len(dataset.y) * np.log(sigma) - chi2 / 2 - sigma**2 / 2 - omega**2 / 200
    d_sigma = (chi2 - len(dataset.y)) / sigma - sigma
    d_omega = -omega / 100

    # the location: mu ~ normal(0, 1), or m ~ normal(0, sqrt(1 + omega^2 / G))
    variance = 1 + omega**2 / n_groups if form.location == "m" else 1.0
    value -= np.log(variance) / 2 + loc**2 / (2 * variance)
    d_location = -loc / variance
    if form.location == "m":
        d_omega += omega / n_groups / variance * (loc**2 / variance - 1)

    # the effects: normal with sd omega, or standard normal, on G or G - 1 dimensions
    if form.effects == "z":
        value -= float(effects @ effects) / 2
        d_effects = omega * to_groups - effects
        d_location += np.sum(to_groups)
        d_omega += float(to_groups @ effects)
    else:
        deviation = effects - loc if form.effects == "mu_g" else effects
        dimension = n_groups - form.zero_sum
        scaled = float(deviation @ deviation) / omega**2
        value -= dimension * np.log(omega) + scaled / 2
        d_omega += (scaled - dimension) / omega
        d_effects = to_groups - deviation / omega**2
        d_location += np.sum(deviation) / omega**2 if form.effects == "mu_g" else np.sum(to_groups)
    gradient = {form.location: d_location, "sigma": d_sigma, "omega": d_omega, form.effects: d_effects}
    return float(value), {name: np.asarray(part, dtype=np.float64) for name, part in gradient.items()}


def _marginal(form: Form, dataset: Groups, mu: float, sigma: float, omega: float) -> tuple[float, Values]:
    """Do the same with the effects integrated out.

    The means of the groups are normal with the covariance V = diag(d), d = omega^2 + sigma^2 / n, less omega^2 / G
    everywhere where the effects sum to zero. By the matrix determinant lemma and the Sherman-Morrison formula det V is
    r det diag(d), and the quadratic form sum((ybar - c)^2 / d) + (c - mu)^2 w / r, with w = sum(1 / d), c the mean of
    ybar with the weights 1 / d, and r = 1 - w omega^2 / G = mean(sigma^2 / (n d)), or 1 where nothing sums to zero.
    """
    n = dataset.group_sizes
    d = omega**2 + sigma**2 / n
    a = sigma**2 / (n * d)
    w, r = float(np.sum(1 / d)), float(np.mean(a)) if form.zero_sum else 1.0
    c = float(np.sum(dataset.means / d)) / w
    x = dataset.means - c
    value = -(np.sum(np.log(d) + x**2 / d) + np.log(r) + (c - mu) ** 2 * w / r) / 2

    def slope(of_d: Floats, of_a: Floats) -> float:
        """Return the derivative of that where d and a have these derivatives."""
        of_w, of_r = -np.sum(of_d / d**2), np.mean(of_a) if form.zero_sum else 0.0
        of_c = -np.sum(x * of_d / d**2) / w
        change = np.sum(of_d / d - x**2 * of_d / d**2) + of_r / r  # c is where the sum of squares is smallest
        change += 2 * (c - mu) * of_c * w / r + (c - mu) ** 2 * (of_w * r - w * of_r) / r**2
        return float(-change / 2)

    # y - ybar has N - G degrees of freedom; mu ~ normal(0, 1), sigma ~ half-normal(1), omega ~ half-normal(10)
    spare = len(dataset.y) - dataset.n_groups
    value -= spare * np.log(sigma) + dataset.within_ss / (2 * sigma**2) + (mu**2 + sigma**2 + omega**2 / 100) / 2
    of_d = 2 * sigma / n
    gradient = {
        "mu": (c - mu) * w / r - mu,
        "sigma": slope(of_d, of_d / d - a * of_d / d) + (dataset.within_ss / sigma**2 - spare) / sigma - sigma,
        "omega": slope(np.full(len(d), 2 * omega), -2 * omega * a / d) - omega / 100,
    }
    return float(value), {name: np.asarray(part, dtype=np.float64) for name, part in gradient.items()}


def _supported(form: Form, sigma: float, omega: float, effects: Floats) -> bool:
    """Tell whether scales are positive and effects sum to zero where they have to, but for rounding."""
    off_plane = (
        form.zero_sum and len(effects) and abs(np.sum(effects)) > 1e-8 * max(1.0, float(np.max(np.abs(effects))))
    )
    return sigma > 0 and omega > 0 and not off_plane
