"""The log density of each model over its values, and its gradient, in plain NumPy: a third side for the gate.

Independent of any sampler, written from the mathematics of the models and not from their programs: with matrices, one
of 2 x 2 for each group, where these condition one number on the other.
"""

import numpy as np

from bench.arrays import Floats
from bench.families.base import Values
from bench.families.varying_slopes.data import Lines
from bench.families.varying_slopes.forms import EFFECTS, Form

VARIANCE = 4.0
"""Of the normal priors; the scales have the positive half of them."""


def log_density_and_gradient(form: Form, dataset: Lines, values: Values) -> tuple[float, Values]:
    """Log posterior density over the values, up to a constant, and its gradient with respect to each of them.

    Parameters
    ----------
    form : Form
        Which parameterization.
    dataset : Lines
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
    if not _supported(form, values):
        return -np.inf, {name: np.zeros_like(value) for name, value in values.items()}
    scalars = {name: float(value) for name, value in values.items() if name not in form.effects}
    value, gradient = _prior(form, dataset, scalars)
    parts = [_marginal(dataset, scalars)] if form.kind == "marginal" else _conditional(form, dataset, scalars, values)
    for part, slopes in parts:
        value += part
        for name, slope in slopes.items():
            if name in values:
                gradient[name] = gradient.get(name, 0.0) + slope
    return float(value), {name: np.asarray(gradient[name], dtype=np.float64) for name in form.parameters}


Part = tuple[float, dict[str, Floats | float]]


def _prior(form: Form, dataset: Lines, at: dict[str, float]) -> Part:
    """Return the density of locations, scales and rho."""
    value, gradient = 0.0, dict[str, Floats | float]()
    for name in (*form.locations, *form.scales):
        tau = f"tau_{name.removeprefix('m_')}"
        spread = at[tau] ** 2 / dataset.n_groups if name.startswith("m_") else 0.0
        variance = VARIANCE + spread
        value -= at[name] ** 2 / (2 * variance) + np.log(variance) / 2
        gradient[name] = gradient.get(name, 0.0) - at[name] / variance
        if spread:
            of_variance = (at[name] ** 2 / variance - 1) / (2 * variance)
            gradient[tau] = of_variance * 2 * at[tau] / dataset.n_groups
    if "rho" in at:
        value += np.log1p(-(at["rho"] ** 2))
        gradient["rho"] = -2 * at["rho"] / (1 - at["rho"] ** 2)
    return value, gradient


def _conditional(form: Form, dataset: Lines, at: dict[str, float], values: Values) -> list[Part]:
    """Return the densities of the effects and of y given them."""
    rho, scale = at.get("rho", 0.0), {name: at[f"tau_{name}"] for name in EFFECTS}
    location = {name: at[where] for name, where in zip(EFFECTS, form.locations, strict=False)}
    effect = dict(zip(EFFECTS, (values[name] for name in form.effects), strict=True))
    within = np.sqrt(1 - rho**2)
    if form.kind == "noncentered":
        mixed = {"alpha": rho * effect["beta"] + within * effect["alpha"], "beta": effect["beta"]}
        coefficient = {name: location[name] + scale[name] * mixed[name] for name in EFFECTS}
    else:
        coefficient = {name: effect[name] + (location[name] if form.zero_sum else 0.0) for name in EFFECTS}

    # y ~ normal(alpha_g + beta_g x, sigma)
    residual = dataset.y - coefficient["alpha"][dataset.group] - coefficient["beta"][dataset.group] * dataset.x
    chi2 = float(residual @ residual) / at["sigma"] ** 2
    pull = {
        name: np.bincount(dataset.group, weights=residual * by, minlength=dataset.n_groups) / at["sigma"] ** 2
        for name, by in (("alpha", np.ones_like(dataset.x)), ("beta", dataset.x))
    }
    of_y: dict[str, Floats | float] = {"sigma": (chi2 - len(dataset.y)) / at["sigma"]}
    value = -len(dataset.y) * np.log(at["sigma"]) - chi2 / 2
    if form.kind == "noncentered":
        of_y |= {f"tau_{name}": float(pull[name] @ mixed[name]) for name in EFFECTS}
        of_y |= {where: float(pull[name].sum()) for name, where in zip(EFFECTS, form.locations, strict=False)}
        of_y["rho"] = scale["alpha"] * float(pull["alpha"] @ (effect["beta"] - rho / within * effect["alpha"]))
        of_y["z_alpha"] = scale["alpha"] * within * pull["alpha"]
        of_y["z_beta"] = scale["beta"] * pull["beta"] + scale["alpha"] * rho * pull["alpha"]
        standard = -sum(float(z @ z) for z in effect.values()) / 2
        return [(value, of_y), (standard, {f"z_{name}": -effect[name] for name in EFFECTS})]
    of_y |= {vector: pull[name] for name, vector in zip(EFFECTS, form.effects, strict=True)}
    if form.zero_sum:
        of_y |= {where: float(pull[name].sum()) for name, where in zip(EFFECTS, form.locations, strict=False)}

    # pairs of effects, standardised: normal with the correlation rho, on G or G - 1 dimensions
    about = {name: coefficient[name] - location[name] for name in EFFECTS}
    z = {name: about[name] / scale[name] for name in EFFECTS}
    dimension, precision = dataset.n_groups - form.zero_sum, 1 / (1 - rho**2)
    aa, ab, bb = (float(z[one] @ z[two]) for one, two in (("alpha", "alpha"), ("alpha", "beta"), ("beta", "beta")))
    square = precision * (aa - 2 * rho * ab + bb)
    logs = sum(np.log(scale[name]) for name in EFFECTS) - np.log(precision) / 2
    steep = {"alpha": precision * (z["alpha"] - rho * z["beta"]), "beta": precision * (z["beta"] - rho * z["alpha"])}
    of_effects: dict[str, Floats | float] = {"rho": precision * (dimension * rho + ab - rho * square)}
    for name, vector in zip(EFFECTS, form.effects, strict=True):
        of_effects[vector] = -steep[name] / scale[name]
        of_effects[f"tau_{name}"] = (float(steep[name] @ z[name]) - dimension) / scale[name]
        if not form.zero_sum:
            of_effects[name] = float(steep[name].sum()) / scale[name]
    return [(value, of_y), (-dimension * logs - square / 2, of_effects)]


def _marginal(dataset: Lines, at: dict[str, float]) -> Part:
    """Return the density of y with the lines integrated out.

    The QR decomposition of the design of a group, (1, x), leaves w = (root(n) ybar, u) ~ normal(R m, V), with
    V = sigma^2 I + R T R', R = ((root(n), root(n) xbar), (0, root(x_ss))), m the mean line of the group and T the
    covariance of its effects; and residuals with sigma alone. The derivative of the log density along dV is
    (s' dV s - tr(V^-1 dV)) / 2, s = V^-1 (w - R m).
    """
    sigma, rho = at["sigma"], at.get("rho", 0.0)
    a, b = at["tau_alpha"], at["tau_beta"]
    root_n = np.sqrt(dataset.group_sizes)
    r = np.zeros((dataset.n_groups, 2, 2))
    r[:, 0, 0], r[:, 0, 1], r[:, 1, 1] = root_n, root_n * dataset.x_means, np.sqrt(dataset.x_ss)
    lines = np.full((dataset.n_groups, 2), (at["alpha"], at["beta"]))
    lines[:, 0] += at.get("gamma", 0.0) * dataset.x_means
    w = np.stack([root_n * dataset.means, dataset.slope_data], axis=1) - np.einsum("gij,gj->gi", r, lines)

    def spread(effects: list[list[float]]) -> Floats:
        return np.asarray(r @ np.array(effects) @ np.swapaxes(r, 1, 2))

    v = sigma**2 * np.eye(2) + spread([[a**2, rho * a * b], [rho * a * b, b**2]])
    inverse = np.linalg.inv(v)
    s = np.einsum("gij,gj->gi", inverse, w)
    value = -(np.sum(np.linalg.slogdet(v)[1]) + np.sum(s * w)) / 2
    value -= dataset.residual_df * np.log(sigma) + dataset.residual_ss / (2 * sigma**2)

    def along(of_v: Floats) -> float:
        return float(np.sum((s[:, :, None] * s[:, None, :] - inverse) * of_v)) / 2

    to_line = np.einsum("gji,gj->gi", r, s)
    within = (dataset.residual_ss / sigma**2 - dataset.residual_df) / sigma
    return value, {
        "alpha": float(to_line[:, 0].sum()),
        "beta": float(to_line[:, 1].sum()),
        "gamma": float(to_line[:, 0] @ dataset.x_means),
        "sigma": within + along(np.broadcast_to(2 * sigma * np.eye(2), v.shape)),
        "tau_alpha": along(spread([[2 * a, rho * b], [rho * b, 0]])),
        "tau_beta": along(spread([[0, rho * a], [rho * a, 2 * b]])),
        "rho": along(spread([[0, a * b], [a * b, 0]])),
    }


def _supported(form: Form, values: Values) -> bool:
    """Tell whether scales are positive, |rho| < 1, and effects sum to zero where they have to, but for rounding."""
    if not all(values[name] > 0 for name in form.scales) or abs(float(values.get("rho", np.zeros(())))) >= 1:
        return False
    effects = [values[name] for name in form.effects] if form.zero_sum else []
    return all(abs(np.sum(e)) <= 1e-8 * max(1.0, float(np.max(np.abs(e)))) for e in effects)
