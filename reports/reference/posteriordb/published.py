"""Print what a published comparison of PyMC and Stan says once its pairs have passed the equality gate.

It reads `benchmark_results/benchmark_all.json` of a checkout of twiecki/posteriordb, and `equality.csv` beside it:

    python reports/reference/posteriordb/published.py CHECKOUT
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from bench.comparing.ratios import source

PYMC, STAN = "pymc_nutpie", "stan_cmdstan"


def ratios(checkout: Path) -> pd.DataFrame:
    """Return for each model what Stan takes as a multiple of what PyMC takes, and whether it may be compared.

    A model's sampling seconds and effective draws are means over its three runs, as in the publication; the first fit
    is the build, measured once, and the sampling.
    """
    runs = pd.DataFrame(json.loads((checkout / "benchmark_results/benchmark_all.json").read_text()))
    by_model = runs[runs.success].groupby(["backend", "model"])
    built, sampled = by_model.compile_time_s.max(), by_model.sample_time_s.mean()
    effective, rhat = by_model.ess_bulk_min.mean(), by_model.rhat_max.max()
    first, again = (built + sampled) / effective, sampled / effective
    verdicts = pd.read_csv(Path(__file__).with_name("equality.csv"))
    verdicts[["data", "model"]] = verdicts.posterior.str.split("-", n=1, expand=True)
    verdicts = verdicts.set_index("model")
    sources = verdicts.data.map(lambda data: source(("posteriordb", data, ""))[1])
    told = verdicts.verdict.groupby(level=0).agg(lambda found: "same" if set(found) == {"same"} else found.iloc[0])
    table = pd.DataFrame(
        {
            "first fit": first[STAN] / first[PYMC],
            "sampling": again[STAN] / again[PYMC],
            "build": built[STAN] / built[PYMC],
        }
    ).dropna()
    table["verdict"] = told.reindex(table.index)
    table["source"] = sources.groupby(level=0).first().reindex(table.index)
    table["converged"] = (rhat[STAN] <= 1.01) & (rhat[PYMC] <= 1.01)
    return table


def mean(logs: pd.Series) -> str:
    """Return the geometric mean of ratios with its 95 % interval over models, or over sources of data."""
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std() / np.sqrt(len(logs))
    middle, low, high = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    table = ratios(Path(sys.argv[1]))
    same = table.verdict == "same"
    kinds = ["first fit", "sampling", "build"]
    logs = np.log(table[kinds])
    print("| models | how many | first fit, per effective draw | sampling alone, per effective draw | build |")
    print("|---|---|---|---|---|")
    both = same & table.converged
    for name, kept in {
        "all, as published": logs,
        "shown to be the same posterior": logs[same],
        "and R-hat at most 1.01 on both sides, in all runs": logs[both],
        "the same models, each source of their data once": logs[both].groupby(table.source[both]).mean(),
    }.items():
        print(f"| {name} | {len(kept)} | {' | '.join(mean(kept[kind]) for kind in kinds)} |")
    print()
    for model, row in table.sort_values("first fit", ascending=False).head(10).iterrows():
        print(f"{model}: {row['first fit']:.1f}, {row.verdict}{'' if row.converged else ', did not converge'}")
