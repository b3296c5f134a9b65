"""Programs to copy that fit varying slopes to a reader's own table."""

from dataclasses import dataclass
from pathlib import Path

from bench.families.base import Model
from bench.families.programs import write
from bench.families.varying_slopes.forms import EFFECTS, FORMS, Form
from bench.settings import Settings

Unit = tuple[float, float]
"""Centre and scale: the models are given ``(value - centre) / scale``."""


@dataclass(frozen=True)
class LineTable:
    """A reader's table, and how its values become the models' x and y.

    Attributes
    ----------
    path : Path
        CSV or Parquet.
    group_column, slope_column, value_column : str
        Its columns.
    x, y : (float, float)
        Centre and scale of each.
    """

    path: Path
    group_column: str
    slope_column: str
    value_column: str
    x: Unit = (0.0, 1.0)
    y: Unit = (0.0, 1.0)


def program(model: Model, backend: str, table: LineTable, settings: Settings, seed: int) -> str:
    """Write a Python program that fits a model to a table and prints its posterior.

    Intercepts are those at the centre of x.

    Parameters
    ----------
    model : Model
        What to fit.
    backend : str
        What to fit it by; see `bench.families.programs.write`.
    table : LineTable
        What to fit it to.
    settings : Settings
        As measured.
    seed : int
        Of the fit.

    Returns
    -------
    str
        The program.
    """
    form = FORMS[model.name]
    after = ["", f"rng = np.random.default_rng({seed})"] if form.zero_sum or form.kind == "marginal" else []
    if form.zero_sum:
        after.append("# the means of these groups are m; those of the population they came from follow from them")
        for name in EFFECTS:
            after += [
                f"q = tau_{name}**2 / len(labels)",
                f"{name} = rng.normal(4 * m_{name} / (4 + q), np.sqrt(4 * q / (4 + q)))",
            ]
    if form.kind == "marginal":
        after += _lines(form)
    (x_centre, x_scale), (y_centre, y_scale) = table.x, table.y
    intercept = f"{y_centre!r} + {y_scale!r} * " if table.y != (0.0, 1.0) else ""
    of_y = f"{y_scale!r} * " if y_scale != 1.0 else ""
    slope = f"{y_scale / x_scale!r} * " if y_scale != x_scale else ""
    at = f" at {x_centre:g}" if x_centre else ""
    shown = [(f"alpha{at}", f"{intercept}alpha"), ("beta", f"{slope}beta")]
    shown += [("gamma", f"{slope}gamma")] if form.target == "between" else []
    shown += [("sigma", f"{of_y}sigma"), (f"tau_alpha{at}", f"{of_y}tau_alpha"), ("tau_beta", f"{slope}tau_beta")]
    shown += [("rho", "rho")] if form.target == "correlated" else []
    after += [
        "",
        *(f'show("{name}", {value})' for name, value in shown),
        "for g, label in enumerate(labels):",
        f'    show(f"alpha_g{at}[{{label}}]", {intercept}alpha_g[..., g])',
        f'    show(f"beta_g[{{label}}]", {slope}beta_g[..., g])',
    ]
    return write(
        model,
        backend,
        settings,
        seed,
        path=table.path,
        group_column=table.group_column,
        columns=[("x", table.slope_column, *table.x), ("y", table.value_column, *table.y)],
        names=(*form.scalars, *(() if form.kind == "marginal" else ("alpha_g", "beta_g"))),
        after=after,
    )


def _lines(form: Form) -> list[str]:
    """Return the lines that draw intercepts and slopes, as `recover_lines` does."""
    by_x = " + gamma[..., None] * xbar" if form.target == "between" else ""
    rho = form.target == "correlated"
    return [
        "# the lines of the groups were integrated out; given the rest they are normal",
        "n = np.bincount(group)",
        "xbar, ybar = np.bincount(group, weights=x) / n, np.bincount(group, weights=y) / n",
        "x_ss = np.bincount(group, weights=(x - xbar[group]) ** 2)",
        "x_y = np.bincount(group, weights=(x - xbar[group]) * (y - ybar[group]))",
        f"a, b = alpha[..., None]{by_x}, beta[..., None]",
        "noise, ta, tb = sigma[..., None] ** 2, tau_alpha[..., None], tau_beta[..., None]",
        *(["r = rho[..., None]"] if rho else []),
        "d = noise + tb**2 * x_ss",
        f"h = {'r * ta + ' if rho else ''}tb * xbar",
        f"own = ta**2{' * (1 - r**2)' if rho else ''}",
        "rest = own + noise / n",
        "total = rest + h**2 * noise / d",
        "z = tb * (x_y - x_ss * b) / d",
        "z = z + noise / d * h / total * (ybar - a - b * xbar - h * z)",
        "z = z + np.sqrt(noise / d * rest / total) * rng.standard_normal(z.shape)",
        "beta_g = b + tb * z",
        f"expected = a{' + r * ta * z' if rho else ''}",
        "alpha_g = expected + own / rest * (ybar - xbar * beta_g - expected)",
        "alpha_g = alpha_g + np.sqrt(own * noise / n / rest) * rng.standard_normal(z.shape)",
    ]
