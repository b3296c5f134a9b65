"""Programs to copy: a model of the suite with a reader's own table filled in, one file each, ready to run."""

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from bench.families.base import Model
from bench.families.normal_means.data import EMPTY, PARQUET
from bench.families.normal_means.forms import FORMS
from bench.settings import Settings

STAN, PYMC = ("stanli", "cmdstan", "pystan", "nutpie_stan"), ("pymc", "nutpie", "numpyro")
"""Backends that `program` can write for, by language."""


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
        What to fit it by, of `STAN` or `PYMC`; the program needs that, NumPy and pandas, and nothing of this suite.
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
    language = "Stan" if backend in STAN else "PyMC"
    assert model.stan  # models of this suite have both
    assert model.pymc
    given = f'PROGRAM = """\n{model.stan.code}"""'
    if backend in PYMC:
        given = _build(model.pymc.code)
    parts = [
        f'"""Model {model.name} in {language}, by {backend}. Written by hierbench."""\n\n{_IMPORTS[backend].strip()}',
        given,
        _SUMMARY.strip(),
        _main(model, backend, table, settings, seed),
        'if __name__ == "__main__":\n    main()',
    ]
    return "\n\n\n".join(parts) + "\n"


def _build(source: str) -> str:
    """Return the text of `build` in the module of a PyMC model."""
    found = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == "build")
    return ast.get_source_segment(source, found) or ""


_PLAIN = """
import numpy as np
import pandas as pd
"""
_OF_PYMC = "from collections.abc import Mapping\nfrom typing import Any\n" + _PLAIN + "import pymc as pm\n"
_IMPORTS = {
    "stanli": _PLAIN + "import stanli",
    "cmdstan": "from pathlib import Path\n\nimport cmdstanpy\n" + _PLAIN.lstrip(),
    "pystan": _PLAIN + "import stan",
    "nutpie_stan": "import nutpie\n"
    + _PLAIN.lstrip()
    + "import stanli\nfrom nutpie.compile_stan import CompiledStanModel",
    "pymc": _OF_PYMC,
    "nutpie": _OF_PYMC,
    "numpyro": _OF_PYMC,
}

_SUMMARY = '''
def show(name: str, draws: np.ndarray) -> None:
    """Print mean, sd and 94 % interval of draws."""
    low, high = np.quantile(draws, (0.03, 0.97))
    print(f"{name:<24} mean {draws.mean():10.4f}  sd {draws.std():9.4f}  94 % interval {low:10.4f} to {high:10.4f}")
'''


def _main(model: Model, backend: str, table: Table, settings: Settings, seed: int) -> str:
    name = json.dumps(table.group_column, ensure_ascii=False)
    if table.path.suffix.lower() in PARQUET:
        reader = "pd.read_parquet(path)"
    else:  # as `bench.families.normal_means.data` reads it
        reader = f"pd.read_csv(path, dtype={{{name}: str}}, {', '.join(f'{k}={v!r}' for k, v in EMPTY.items())})"
    scaled = (table.centre, table.scale) != (0.0, 1.0)
    lines = [
        f"path = {json.dumps(str(table.path), ensure_ascii=False)}",
        f"table = {reader}",
        f"keys = table[{name}]",
        "group, labels = pd.factorize(keys if pd.api.types.is_numeric_dtype(keys) else keys.astype(str), sort=True)",
        f"y = table[{json.dumps(table.value_column, ensure_ascii=False)}].to_numpy(dtype=float)",
    ]
    if scaled:
        lines.append(f"y = (y - {table.centre!r}) / {table.scale!r}  # where the priors expect it")
    lines += ["", *_sampling(model, backend, settings, seed)]
    if FORMS[model.name].location == "m":
        lines += [
            "",
            "# the mean of these groups is m; that of the population they came from follows from it",
            "q = omega**2 / len(labels)",
            f"mu = np.random.default_rng({seed}).normal(m / (1 + q), np.sqrt(q / (1 + q)))",
        ]
    if FORMS[model.name].effects is None:
        lines += ["", *_group_means(zero_sum=FORMS[model.name].zero_sum, seed=seed)]
    back = (lambda name: f"{table.scale!r} * {name}") if scaled else (lambda name: name)
    of_mean = (lambda name: f"{table.centre!r} + {table.scale!r} * {name}") if scaled else (lambda name: name)
    lines += [
        "",
        f'show("mu", {of_mean("mu")})',
        f'show("sigma", {back("sigma")})',
        f'show("omega", {back("omega")})',
        "for g, label in enumerate(labels):",
        f'    show(f"mu_g[{{label}}]", {of_mean("mu_g[..., g]")})',
    ]
    return "def main() -> None:\n" + "\n".join(indent(line, "    ") if line else "" for line in lines)


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


def _sampling(model: Model, backend: str, settings: Settings, seed: int) -> list[str]:
    """Return the lines that sample and bring the draws into arrays, the groups last."""
    names = (FORMS[model.name].location, "sigma", "omega", *(["mu_g"] if FORMS[model.name].effects else []))
    s = settings
    if backend in PYMC:
        return [
            'data = {"N": len(y), "G": len(labels), "group": group + 1, "y": y}',
            "with build(data):",
            "    fit = pm.sample(",
            f"        draws={s.draws}, tune={s.warmup}, chains={s.chains}, cores={s.parallel_chains}, "
            f'random_seed={seed}, target_accept={s.target_accept}, nuts_sampler="{backend}"',
            "    )",
            f"{', '.join(names)} = (fit.posterior[name].values for name in {names!r})",
        ]
    data = 'data = {"N": len(y), "G": len(labels), "group": (group + 1).tolist(), "y": y.tolist()}'
    if backend == "stanli":
        return [
            data,
            "model = stanli.Model(stan_code=PROGRAM, data=data)",
            f"fit = model.sample(chains={s.chains}, parallel_chains={s.parallel_chains}, seed={seed}, "
            f"warmup={s.warmup}, samples={s.draws}, delta={s.target_accept}, max_depth={s.max_treedepth})",
            f"{', '.join(names)} = (fit.draws(name) for name in {names!r})",
        ]
    if backend == "cmdstan":
        return [
            data,
            f'file = Path(__file__).with_name("{model.name}.stan")',
            "file.write_text(PROGRAM)",
            "model = cmdstanpy.CmdStanModel(stan_file=file)",
            f"fit = model.sample(data, chains={s.chains}, parallel_chains={s.parallel_chains}, seed={seed}, "
            f"iter_warmup={s.warmup}, iter_sampling={s.draws}, adapt_delta={s.target_accept}, "
            f"max_treedepth={s.max_treedepth})",
            f"{', '.join(names)} = (fit.stan_variable(name) for name in {names!r})",
        ]
    if backend == "nutpie_stan":
        return [
            data,
            "# nutpie loads stanli's runtime as it loads a compiled Stan program; the program travels with the data",
            'payload = {"build_id": stanli.build_id(), "mir": stanli.stan_to_mir(PROGRAM), "name": "model"}',
            "runtime = nutpie._lib.StanLibrary(str(stanli._runtime_lib_path()))",
            "model = CompiledStanModel(",
            '    dims={}, _coords={}, code="", data={**data, "__stanli": payload}, library=runtime, model=None',
            ").with_data()",
            f"fit = nutpie.sample(model, chains={s.chains}, cores={s.parallel_chains}, seed={seed}, tune={s.warmup}, "
            f"draws={s.draws}, target_accept={s.target_accept}, maxdepth={s.max_treedepth}, progress_bar=False)",
            f"{', '.join(names)} = (fit.posterior[name].values for name in {names!r})",
        ]
    return [
        data,
        f"model = stan.build(PROGRAM, data=data, random_seed={seed})",
        f"fit = model.sample(num_chains={s.chains}, num_warmup={s.warmup}, num_samples={s.draws}, "
        f"delta={s.target_accept}, max_depth={s.max_treedepth})",
        f"{', '.join(names)} = (fit[name].T.squeeze() for name in {names!r})  # draws first",
    ]
