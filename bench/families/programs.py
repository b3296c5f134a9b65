"""Programs to copy: a model of the suite with a reader's own table filled in, one file each, ready to run."""

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

from bench.families.base import Model
from bench.families.tables import EMPTY, PARQUET
from bench.settings import Settings

STAN, PYMC = ("stanli", "cmdstan", "pystan", "nutpie_stan"), ("pymc", "nutpie", "numpyro", "blackjax")
"""Backends that `write` can write for, by language."""


def write(
    model: Model,
    backend: str,
    settings: Settings,
    seed: int,
    *,
    path: Path,
    group_column: str,
    columns: Sequence[tuple[str, str, float, float]],
    names: Sequence[str],
    after: Sequence[str],
) -> str:
    """Write a Python program that reads a table, fits a model to it and goes on with the draws.

    Parameters
    ----------
    model : Model
        What to fit; its data are N, G, group and what `columns` names.
    backend : str
        What to fit it by, of `STAN` or `PYMC`; the program needs that, NumPy and pandas, and nothing of this suite.
    settings : Settings
        As measured.
    seed : int
        Of the fit.
    path : Path
        The table, CSV or Parquet.
    group_column : str
        Its column of labels.
    columns : sequence of (str, str, float, float)
        What the model calls the numbers of a column, the column, and the centre and scale of its values.
    names : sequence of str
        The draws that are brought into arrays of these names, chains and draws first.
    after : sequence of str
        Lines that use them; `labels` are those of the groups, and `show(name, draws)` prints a summary.

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
    lines = [
        *_reading(path, group_column, columns),
        "",
        f"names = {tuple(names)!r}",
        *_sampling(model.name, backend, settings, seed, [name for name, *_ in columns], tuple(names)),
        *after,
    ]
    parts = [
        f'"""Model {model.name} in {language}, by {backend}. Written by hierbench."""\n\n{_IMPORTS[backend].strip()}',
        given,
        _SUMMARY.strip(),
        "def main() -> None:\n" + "\n".join(indent(line, "    ") if line else "" for line in lines),
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
_TYPES = "from collections.abc import Mapping\nfrom typing import Any\n"
_OF_PYMC = _TYPES + _PLAIN + "import pymc as pm\n"
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
    "blackjax": _TYPES.replace("\nfrom", "\nfrom concurrent.futures import ThreadPoolExecutor\nfrom", 1)
    + "\nimport blackjax\nimport jax"
    + _PLAIN
    + "import pymc as pm\nfrom pymc.sampling.jax import get_jaxified_graph",
}

_SUMMARY = '''
def show(name: str, draws: np.ndarray) -> None:
    """Print mean, sd and 94 % interval of draws."""
    low, high = np.quantile(draws, (0.03, 0.97))
    print(f"{name:<24} mean {draws.mean():10.4f}  sd {draws.std():9.4f}  94 % interval {low:10.4f} to {high:10.4f}")
'''


def _reading(path: Path, group_column: str, columns: Sequence[tuple[str, str, float, float]]) -> list[str]:
    """Return the lines that read the table."""
    name = json.dumps(group_column, ensure_ascii=False)
    if path.suffix.lower() in PARQUET:
        reader = "pd.read_parquet(path)"
    else:  # as `bench.families.tables` reads it
        reader = f"pd.read_csv(path, dtype={{{name}: str}}, {', '.join(f'{k}={v!r}' for k, v in EMPTY.items())})"
    lines = [
        f"path = {json.dumps(str(path), ensure_ascii=False)}",
        f"table = {reader}",
        f"keys = table[{name}]",
        "group, labels = pd.factorize(keys if pd.api.types.is_numeric_dtype(keys) else keys.astype(str), sort=True)",
    ]
    for variable, column, centre, scale in columns:
        lines.append(f"{variable} = table[{json.dumps(column, ensure_ascii=False)}].to_numpy(dtype=float)")
        if (centre, scale) != (0.0, 1.0):
            lines.append(f"{variable} = ({variable} - {centre!r}) / {scale!r}  # where the priors expect it")
    return lines


def _sampling(
    model: str, backend: str, settings: Settings, seed: int, columns: Sequence[str], names: tuple[str, ...]
) -> list[str]:
    """Return the lines that sample and bring the draws into arrays, the groups last."""
    s = settings
    arrays = ", ".join(f'"{name}": {name}' if backend in PYMC else f'"{name}": {name}.tolist()' for name in columns)
    if backend == "blackjax":
        return [
            f'data = {{"N": len(y), "G": len(labels), "group": group + 1, {arrays}}}',
            "model = build(data)",
            "density = get_jaxified_graph(model.value_vars, [model.logp()])",
            "wanted = model.replace_rvs_by_values([model[name] for name in names])",
            "values = get_jaxified_graph(model.value_vars, wanted)",
            "initial = [model.initial_point()[value.name] for value in model.value_vars]",
            "",
            "def log_density(position: list[jax.Array]) -> jax.Array:",
            "    return density(*position)[0]",
            "",
            "def chain(key: jax.Array) -> list[jax.Array]:",
            "    jitter_key, warmup_key, draws_key = jax.random.split(key, 3)",
            "    start = [",
            "        value + jax.random.uniform(each, np.shape(value), minval=-1, maxval=1)",
            "        for value, each in zip(initial, jax.random.split(jitter_key, len(initial)))",
            "    ]",
            "    warmup = blackjax.window_adaptation(",
            f"        blackjax.nuts, log_density, target_acceptance_rate={s.target_accept}, "
            f"max_num_doublings={s.max_treedepth}",
            "    )",
            f"    (state, tuned), _ = warmup.run(warmup_key, start, {s.warmup})",
            "    step = blackjax.nuts(log_density, **tuned).step",
            "",
            "    def transition(state: Any, key: jax.Array) -> tuple[Any, list[jax.Array]]:",
            "        state, _ = step(key, state)",
            "        return state, state.position",
            "",
            f"    _, positions = jax.lax.scan(transition, state, jax.random.split(draws_key, {s.draws}))",
            "    return jax.vmap(values)(*positions)",
            "",
            f"keys = jax.random.split(jax.random.key({seed}), {s.chains})",
            "run = jax.jit(chain).lower(keys[0]).compile()",
            f"with ThreadPoolExecutor({s.parallel_chains}) as threads:",
            "    chains = list(threads.map(run, keys))",
            f"{', '.join(names)} = (np.stack(each) for each in zip(*chains))",
        ]
    if backend in PYMC:
        return [
            f'data = {{"N": len(y), "G": len(labels), "group": group + 1, {arrays}}}',
            "with build(data):",
            "    fit = pm.sample(",
            f"        draws={s.draws}, tune={s.warmup}, chains={s.chains}, cores={s.parallel_chains}, "
            f'random_seed={seed}, target_accept={s.target_accept}, nuts_sampler="{backend}"',
            "    )",
            f"{', '.join(names)} = (fit.posterior[name].values for name in names)",
        ]
    data = f'data = {{"N": len(y), "G": len(labels), "group": (group + 1).tolist(), {arrays}}}'
    if backend == "stanli":
        return [
            data,
            "model = stanli.Model(stan_code=PROGRAM, data=data)",
            f"fit = model.sample(chains={s.chains}, parallel_chains={s.parallel_chains}, seed={seed}, "
            f"warmup={s.warmup}, samples={s.draws}, delta={s.target_accept}, max_depth={s.max_treedepth})",
            f"{', '.join(names)} = (fit.draws(name) for name in names)",
        ]
    if backend == "cmdstan":
        return [
            data,
            f'file = Path(__file__).with_name("{model}.stan")',
            "file.write_text(PROGRAM)",
            "model = cmdstanpy.CmdStanModel(stan_file=file)",
            f"fit = model.sample(data, chains={s.chains}, parallel_chains={s.parallel_chains}, seed={seed}, "
            f"iter_warmup={s.warmup}, iter_sampling={s.draws}, adapt_delta={s.target_accept}, "
            f"max_treedepth={s.max_treedepth})",
            f"{', '.join(names)} = (fit.stan_variable(name) for name in names)",
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
            f"{', '.join(names)} = (fit.posterior[name].values for name in names)",
        ]
    return [
        data,
        f"model = stan.build(PROGRAM, data=data, random_seed={seed})",
        f"fit = model.sample(num_chains={s.chains}, num_warmup={s.warmup}, num_samples={s.draws}, "
        f"delta={s.target_accept}, max_depth={s.max_treedepth})",
        f"{', '.join(names)} = (fit[name].T.squeeze() for name in names)  # draws first",
    ]
