"""Programs to copy that fit a model of the normal means to a reader's own table."""

from dataclasses import dataclass
from pathlib import Path

from bench.families.base import Model
from bench.families.normal_means.forms import FORMS
from bench.families.programs import write
from bench.settings import Settings


@dataclass(frozen=True)
class Table:
    """A reader's table, and how its values become the models' y.

    Attributes
    ----------
    path : Path
        CSV or Parquet.
    group_column, value_column : str
        Its columns.
    centre, scale : float
        The models are given ``(value - centre) / scale``.
    """

    path: Path
    group_column: str
    value_column: str
    centre: float = 0.0
    scale: float = 1.0


def program(model: Model, backend: str, table: Table, settings: Settings, seed: int) -> str:
    """Write a Python program that fits a model to a table and prints its posterior.

    Parameters
    ----------
    model : Model
        What to fit.
    backend : str
        What to fit it by; see `bench.families.programs.write`.
    table : Table
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
    after = []
    if form.location == "m":
        after += [
            "",
            "# the mean of these groups is m; that of the population they came from follows from it",
            "q = omega**2 / len(labels)",
            f"mu = np.random.default_rng({seed}).normal(m / (1 + q), np.sqrt(q / (1 + q)))",
        ]
    if form.effects is None:
        after += ["", *_group_means(zero_sum=form.zero_sum, seed=seed)]
    scaled = (table.centre, table.scale) != (0.0, 1.0)
    back = (lambda name: f"{table.scale!r} * {name}") if scaled else (lambda name: name)
    of_mean = (lambda name: f"{table.centre!r} + {table.scale!r} * {name}") if scaled else (lambda name: name)
    after += [
        "",
        f'show("mu", {of_mean("mu")})',
        f'show("sigma", {back("sigma")})',
        f'show("omega", {back("omega")})',
        "for g, label in enumerate(labels):",
        f'    show(f"mu_g[{{label}}]", {of_mean("mu_g[..., g]")})',
    ]
    return write(
        model,
        backend,
        settings,
        seed,
        path=table.path,
        group_column=table.group_column,
        columns=[("y", table.value_column, table.centre, table.scale)],
        names=(form.location, "sigma", "omega", *(["mu_g"] if form.effects else [])),
        after=after,
    )


def _group_means(*, zero_sum: bool, seed: int) -> list[str]:
    """Return the lines that draw the group means, as `recover_mu_g` does."""
    return [
        "# the group means were integrated out; given the rest they are normal",
        "n = np.bincount(group)",
        "ybar = np.bincount(group, weights=y) / n",
        "a = 1 / (1 + n * (omega / sigma)[..., None] ** 2)",
        f"noise = np.random.default_rng({seed}).standard_normal(a.shape)",
        "effects = (1 - a) * (ybar - mu[..., None]) + omega[..., None] * np.sqrt(a) * noise",
        *(["effects -= a * effects.sum(-1, keepdims=True) / a.sum(-1, keepdims=True)"] if zero_sum else []),
        "mu_g = mu[..., None] + effects",
    ]
