"""Radon in 919 houses of Minnesota: intercepts that vary by county, around a line in the soil's uranium.

log_radon_i ~ N(alpha[county_i] + beta floor_i, sigma_y), alpha_c ~ N(gamma0 + gamma1 log_uranium_c, sigma_alpha): the
model of Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, 12.6. The priors are
ours, weak and proper: gamma0, gamma1, beta ~ N(0, 5), sigma_alpha and sigma_y ~ half-normal(2), on a scale of natural
logarithms on which the houses have an sd of 0.8.

The facts in `data/` are those of the US EPA's State Residential Radon Survey, done with the states (`srrs2.dat` and
`cty.dat` of that book), in the form that posteriordb gives them in (`radon_mn`): the logarithm of the radon activity in
pCi/l plus 0.1 and of the county's uranium in ppm plus 0.1; floor is 0 for a basement and 1 for a first floor; counties
are numbered in the order of their names. They were checked against the raw files.

The truth is reference draws of the non-centered model, `data/radon_reference.json`; `python -m bench.families.radon`
makes them again. Held against quadrature over both scales, given which all the rest is Gaussian, the largest of 450
z-scores is 3.2 (`tests/families/test_radon.py`). The centered model agrees where its target accept is 0.998; at 0.95
it diverges 224 times in 320,000 draws, and is off by up to 6 of its standard errors.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.correctness.diagnostics import ess, mcse, rhat
from bench.correctness.truth import PROBABILITIES, Truth, elements
from bench.families.base import LOG_LIKELIHOOD, Data, Dataset, Family, Model, Target, Values

FOLDER = Path(__file__).parent / "data"
REFERENCE = FOLDER / "radon_reference.json"

SCALARS = ("gamma0", "gamma1", "beta", "sigma_alpha", "sigma_y")
COEFFICIENT_SD, SCALE_SD = 5.0, 2.0  # of the priors
COLUMNS = ("mean", "sd", "fourth", "q3", "q50", "q97", "ess_mean", "ess_sd", "ess_q3", "ess_q50", "ess_q97")
SETTINGS = {"chains": 8, "warmup": 2000, "samples": 20000, "delta": 0.95, "seed": 1}  # in stanli's words


class Radon(Family):
    """Radon in Minnesota, centered and non-centered; see the module."""

    name = "radon"
    kind = "hierarchical"
    models: Mapping[str, Model] = {name: Model.read("radon", name, "radon") for name in ("centered", "noncentered")}
    targets: Mapping[str, Target] = {"radon": Target("radon", (*SCALARS, "alpha"), headline=SCALARS)}
    grids = ("radon",)

    def __init__(self) -> None:
        self._truth: Truth | None = None

    def datasets(self, grid: str) -> list[Dataset]:
        """Return the one dataset, Minnesota."""
        data = minnesota()
        return [Dataset("minnesota", data, {"houses": data["N"], "counties": data["J"]})]

    def truth(self, target: str, dataset: Dataset) -> Truth | None:
        """Return the reference draws of Minnesota; None for other data."""
        if self._truth is None:
            self._truth, self._digest = read_reference()
        return self._truth if dataset.digest == self._digest else None

    def simulate(self, target: str, rng: np.random.Generator) -> tuple[Dataset, Mapping[str, float]]:
        """Draw everything from its prior, and radon in Minnesota's houses given that."""
        data = minnesota()
        gamma0, gamma1, beta = COEFFICIENT_SD * rng.standard_normal(3)
        sigma_alpha, sigma_y = SCALE_SD * np.abs(rng.standard_normal(2))
        alpha = rng.normal(gamma0 + gamma1 * data["log_uranium"], sigma_alpha)
        data["log_radon"] = rng.normal(alpha[data["county"] - 1] + beta * data["floor_measure"], sigma_y)
        drawn = (*zip(SCALARS, (gamma0, gamma1, beta, sigma_alpha, sigma_y), strict=True), ("alpha[0]", alpha[0]))
        values = {name: float(value) for name, value in drawn}
        dataset = Dataset("simulated", data, {"houses": data["N"], "counties": data["J"]}, values)
        drawn_arrays = {"alpha": alpha, "beta": np.array(beta), "sigma_y": np.array(sigma_y)}
        return dataset, {**values, LOG_LIKELIHOOD: float(self.log_likelihood(dataset, drawn_arrays))}

    def log_likelihood(self, dataset: Dataset, values: Values) -> Floats:
        """Evaluate it by the size, the mean and the sum of squares of the houses that share a county and a floor."""
        houses = {name: np.asarray(dataset.data[name]) for name in ("county", "floor_measure", "log_radon")}
        sigma, squares = values["sigma_y"], np.zeros(np.shape(values["sigma_y"]))
        for county, floor in set(zip(houses["county"].tolist(), houses["floor_measure"].tolist(), strict=True)):
            y = houses["log_radon"][(houses["county"] == county) & (houses["floor_measure"] == floor)]
            off = values["alpha"][..., county - 1] + values["beta"] * floor - y.mean()
            squares = squares + np.sum((y - y.mean()) ** 2) + len(y) * off**2
        return np.asarray(-len(houses["log_radon"]) * np.log(sigma) - squares / (2 * sigma**2))


def minnesota() -> dict[str, Any]:
    """Read the data block of the Stan programs."""
    houses = np.loadtxt(FOLDER / "radon_houses.csv", delimiter=",", skiprows=1)
    log_uranium = np.loadtxt(FOLDER / "radon_counties.csv", delimiter=",", skiprows=1, usecols=2)
    county, floor, log_radon = houses.T.copy()
    return {
        "N": len(houses),
        "J": len(log_uranium),
        "county": county.astype(np.int64),
        "floor_measure": floor,
        "log_uranium": log_uranium,
        "log_radon": log_radon,
    }


def read_reference() -> tuple[Truth, str]:
    """Read what is known from the reference draws, and the digest of the data that they are of."""
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    table = np.array(list(reference["quantities"].values())).T
    of = dict(zip(COLUMNS, table, strict=True))
    settings = reference["settings"]
    truth = Truth(
        "reference draws",
        tuple(reference["quantities"]),
        of["mean"],
        of["sd"],
        of["fourth"],
        np.stack([of["q3"], of["q50"], of["q97"]]),
        of["ess_mean"],
        of["ess_sd"],
        np.stack([of["ess_q3"], of["ess_q50"], of["ess_q97"]]),
        source=f"{settings['chains']} x {settings['samples']:,} draws by {settings['engine']} of radon/noncentered",
    )
    return truth, str(reference["data_digest"])


def reference_draws(model: str, data: Data, **settings: Any) -> tuple[dict[str, Floats], int]:
    """Sample a model by stanli, for the reference.

    Parameters
    ----------
    model : str
        `centered` or `noncentered`.
    data : mapping
        The data block.
    **settings
        As in `SETTINGS`.

    Returns
    -------
    draws : dict of str to array of shape (chain, draw)
        Draws of each scalar and of each element of alpha.
    divergences : int
        How many transitions diverged.
    """
    import stanli  # no other part of a family knows a sampler

    program = Radon.models[model].stan
    assert program is not None
    values = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in data.items()}
    fit = stanli.Model(stan_code=program.code, data=values).sample(**settings, refresh=0)
    alpha = fit.draws("alpha")
    draws = {name: fit.draws(name) for name in SCALARS}
    draws |= {name: alpha[..., c] for c, name in enumerate(elements("alpha", alpha.shape[2:]))}
    return draws, int(np.sum(fit.divergences))


def summary(x: Floats) -> dict[str, float]:
    """Return the `COLUMNS` of the draws of a scalar, of shape (chain, draw)."""
    mean, quantiles = x.mean(), np.quantile(x, PROBABILITIES)
    square = (x - mean) ** 2
    graded = [x, square, *((x <= quantile).astype(np.float64) for quantile in quantiles)]
    values = [mean, np.sqrt(square.mean()), (square**2).mean(), *quantiles, *(ess(f, "mean") for f in graded)]
    return {column: float(value) for column, value in zip(COLUMNS, values, strict=True)}


def make_reference(model: str = "noncentered", **settings: Any) -> dict[str, Any]:
    """Sample a model of Minnesota and summarise it, as `radon_reference.json` keeps it.

    Parameters
    ----------
    model : str
        `centered` or `noncentered`.
    **settings
        What is to differ from `SETTINGS`.
    """
    from importlib.metadata import version

    (dataset,) = Radon().datasets("radon")
    used = SETTINGS | settings
    draws, divergences = reference_draws(model, dataset.data, **used)
    found = {
        "divergences": divergences,
        "largest_rhat": max(float(rhat(x)) for x in draws.values()),
        "largest_mcse_of_a_mean_in_sds": max(float(mcse(x) / x.std()) for x in draws.values()),
    }
    return {
        "settings": {"engine": f"stanli {version('stanli')}", "model": model, **used, **found},
        "data_digest": dataset.digest,
        "columns": list(COLUMNS),
        "quantities": {name: [float(f"{v:.8g}") for v in summary(x).values()] for name, x in draws.items()},
    }


def written(reference: Mapping[str, Any]) -> str:
    """Return a reference as JSON, one line for each quantity."""
    rows = ",\n".join(f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in reference["quantities"].items())
    rest = {key: value for key, value in reference.items() if key != "quantities"}
    return json.dumps(rest, indent=2).removesuffix("\n}") + ',\n  "quantities": {\n' + rows + "\n  }\n}\n"


if __name__ == "__main__":
    REFERENCE.write_text(written(make_reference()), encoding="utf-8")
