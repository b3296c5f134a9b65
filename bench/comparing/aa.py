"""How often `compare` is wrong: comparisons of simulated runs whose true ratios are known.

Run it with ``python -m bench.comparing.aa``; it takes some minutes and writes `reports/reference/aa.md`.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from bench.arrays import Floats
from bench.comparing.compare import ALPHA, compare_runs
from bench.comparing.comparison import Comparison
from bench.comparing.difference import Difference
from bench.comparing.outcome import outcome
from bench.comparing.statistics import Contrast, holm, moderate
from bench.files import ROOT
from bench.records import Record

Noise = Literal["log-normal", "Student t, 3 df", "outliers"]

OUTPUT = ROOT / "reports" / "reference" / "aa.md"
SEED = 20240
TABLES = 200
DATASETS = ("groups8", "groups32", "groups128", "weak8")
MODELS = ("centered", "noncentered", "zerosum_noncentered")
BACKENDS = {"cmdstan": "stan", "pymc": "pymc"}
SETTINGS = {"chains": 4, "warmup": 1000, "draws": 1000, "target_accept": 0.8, "max_treedepth": 10, "cores": 4}
ENVIRONMENT = {"python": "3.12.3", "system": "Linux x86_64", "cpu": "simulated", "cores": 4, "threads": {}}


def simulated_record(**changes: Any) -> Record:
    """Return a healthy record with plausible values.

    Parameters
    ----------
    **changes
        Fields of the record. ESS per second and per gradient follow from the ESS, the wall time and the gradients.
    """
    values: dict[str, Any] = {
        "run": "a",
        "time": "2026-01-01T00:00:00Z",
        "family": "normal_means",
        "dataset": DATASETS[0],
        "sizes": {"observations": 80, "groups": 8},
        "generated_with": {},
        "model": MODELS[0],
        "model_digest": "m",
        "target": "superpopulation",
        "backend": "cmdstan",
        "protocol": "matched",
        "settings": SETTINGS,
        "replicate": 0,
        "status": "ok",
        "versions": {"cmdstan": "2.38.0"},
        "environment": ENVIRONMENT,
        "wall_seconds": 2.0,
        "warmup_gradients": 16_000,
        "gradients": 12_000,
        "divergences": 0,
        "min_ess_bulk": 1500.0,
    } | changes
    values = {
        "dataset_digest": f"digest of {values['dataset']}",
        "language": BACKENDS.get(values["backend"], "stan"),
        "seed": 1000 + values["replicate"],
    } | values
    if values["status"] == "ok":
        ess = values["min_ess_bulk"]
        values.setdefault("ess_per_second", ess / values["wall_seconds"])
        values.setdefault("ess_per_gradient", ess / (values["warmup_gradients"] + values["gradients"]))
    return Record(**values)


def simulated_run(
    rng: np.random.Generator, replicates: int, run: str = "a", slow: dict[tuple[str, str, str], float] | None = None
) -> list[Record]:
    """Return the records of a run of 24 cells with the noise of a machine that does other things too.

    Logarithms of the wall time vary by 5 to 10 %, those of the ESS by 10 to 20 %, each cell with its own spread that
    any run has again; in 3 % of the fits the machine was busy, and the wall time is longer by a third on average.
    Gradients vary by 4 %, the CPU seconds of one by 1 %. A quarter of the cells diverge, in clusters: once a fit on
    average, in a third of the fits.

    Parameters
    ----------
    rng : Generator
        Source of all noise.
    replicates : int
        Fits of each cell.
    run : str
        Run id.
    slow : dict, optional
        Factors on the wall and CPU time of some cells, by (dataset, model, backend).
    """
    records = []
    for number, cell in enumerate(product(DATASETS, MODELS, BACKENDS)):
        dataset, model, backend = cell
        wall = np.exp(rng.normal(0, 0.05 + 0.05 * (number % 5) / 4, replicates))
        wall *= np.where(rng.random(replicates) < 0.03, 1 + rng.exponential(0.33, replicates), 1)
        ess = np.exp(rng.normal(0, 0.1 + 0.1 * (number % 7) / 6, replicates))
        gradients = np.exp(rng.normal(0, 0.04, replicates))
        cpu = 0.001 * np.exp(rng.normal(0, 0.01, replicates)) * (1 + number)
        diverging = rng.negative_binomial(0.4, 0.3, replicates) if number % 4 == 0 else np.zeros(replicates)
        for i in range(replicates):
            records.append(
                simulated_record(
                    run=run,
                    dataset=dataset,
                    model=model,
                    backend=backend,
                    replicate=i,
                    wall_seconds=2 * (1 + number) * wall[i] * (slow or {}).get(cell, 1.0),
                    cpu_seconds=cpu[i] * 28_000 * gradients[i] * (slow or {}).get(cell, 1.0),
                    min_ess_bulk=1500 * ess[i],
                    warmup_gradients=int(16_000 * gradients[i]),
                    gradients=int(12_000 * gradients[i]),
                    divergences=int(diverging[i]),
                )
            )
    return records


@dataclass(frozen=True)
class Count:
    """What a number of comparisons said.

    Attributes
    ----------
    replicates, tables : int
        Of each cell; comparisons.
    verdicts, alarms : int
        Verdicts of cases, geometric means, measures, divergences and health; those that claim a difference.
    alarmed : int
        Tables with such a claim.
    same : int
        Verdicts `same` among those of cases.
    cases : int
        Verdicts of cases.
    """

    replicates: int
    tables: int
    verdicts: int
    alarms: int
    alarmed: int
    same: int
    cases: int

    @classmethod
    def of(cls, replicates: int, compared: Iterable[Comparison]) -> "Count":
        """Count what comparisons say where there is nothing to be found.

        Parameters
        ----------
        replicates : int
            Of each cell.
        compared : iterable of Comparison
            Of sides that are alike.
        """
        tables = verdicts = alarms = alarmed = same = cases = 0
        for result in compared:
            claimed = list(claims([*result.rows, *result.means]))
            tables += 1
            verdicts += len(claimed)
            alarms += sum(claimed)
            alarmed += any(claimed)
            same += sum(row.kind == "same" for row in result.rows)
            cases += len(result.rows)
        return cls(replicates, tables, verdicts, alarms, alarmed, same, cases)


def claims(rows: Sequence[Difference]) -> Iterator[bool]:
    """Yield, for every verdict in some rows, whether it claims a difference."""
    for row in rows:
        yield row.kind in ("faster", "slower")
        yield from (effect.kind in ("faster", "slower") for effect in row.effects)
        if row.divergences is not None:
            yield bool(row.divergence_change)
            yield bool(row.health_change)


def compare_with_itself(seed: int, replicates: int, tables: int = TABLES) -> Count:
    """Compare runs of the same backends with each other and count what is said of them.

    Parameters
    ----------
    seed : int
        Of all noise.
    replicates : int
        Of each cell.
    tables : int
        Comparisons.
    """
    rng = np.random.default_rng([seed, replicates])
    return Count.of(
        replicates,
        (compare_runs(simulated_run(rng, replicates), simulated_run(rng, replicates, "b")) for _ in range(tables)),
    )


@dataclass(frozen=True)
class Power:
    """How often a slow-down was found.

    Attributes
    ----------
    replicates, tables : int
        Of each cell; comparisons.
    factor : float
        On the wall time of B, in `cells` cells of each table.
    cells : int
        Cells that were slowed down.
    found, planted : int
        Slowed cells with the verdict `slower`; slowed cells.
    failed : int
        Tables that fail on `slower:10%`.
    wrong : int
        Claims about cells that were not slowed down.
    """

    replicates: int
    tables: int
    factor: float
    cells: int
    found: int
    planted: int
    failed: int
    wrong: int


def compare_with_slower(seed: int, replicates: int, factor: float, cells: int, tables: int = TABLES) -> Power:
    """Slow some cells of B down and count how often that is found.

    Parameters
    ----------
    seed : int
        Of all noise and of the choice of the cells.
    replicates : int
        Of each cell.
    factor : float
        On the wall time of the slowed cells.
    cells : int
        How many of each table are slowed down.
    tables : int
        Comparisons.
    """
    rng = np.random.default_rng([seed, replicates, round(1000 * factor), cells])
    every = list(product(DATASETS, MODELS, BACKENDS))
    found = failed = wrong = 0
    for _ in range(tables):
        slow = {every[i]: factor for i in rng.choice(len(every), cells, replace=False)}
        result: Comparison = compare_runs(simulated_run(rng, replicates), simulated_run(rng, replicates, "b", slow))
        hit = [row for row in result.rows if (row.dataset, row.model, row.backend) in slow]
        found += sum(row.kind == "slower" for row in hit)
        failed += outcome([result], "slower:10%").state == "fails"
        wrong += sum(claims([row for row in result.rows if row not in hit]))
    return Power(replicates, tables, factor, cells, found, cells * tables, failed, wrong)


def false_alarms(rng: np.random.Generator, noise: Noise, replicates: int, mixed: bool, tables: int = 2000) -> float:
    """Share of tables of 24 contrasts without any difference in which the smallest adjusted p value is at most 1 %.

    Parameters
    ----------
    rng : Generator
        Source of all noise.
    noise : str
        Of the logarithms: normal, Student's t, or normal with 5 % longer by a factor of 1.5 on average.
    replicates : int
        Pairs of a contrast.
    mixed : bool
        Whether spreads range from 5 % to 20 %, or all are 10 %.
    tables : int
        Simulated ones.
    """
    shape = (tables, 24, replicates)
    sd = np.exp(rng.uniform(np.log(0.05), np.log(0.2), (tables, 24, 1))) if mixed else np.full((tables, 24, 1), 0.1)

    def sample() -> Floats:
        if noise == "Student t, 3 df":
            return np.asarray(sd * rng.standard_t(3, shape) / np.sqrt(3))
        logs = sd * rng.standard_normal(shape)
        return logs + (rng.random(shape) < 0.05) * rng.exponential(0.4, shape) if noise == "outliers" else logs

    logs = sample() - sample()
    means, variances = logs.mean(axis=2), logs.var(axis=2, ddof=1)
    alarms = 0
    for row in range(tables):
        table = [Contrast(m, v, replicates, replicates - 1) for m, v in zip(means[row], variances[row], strict=True)]
        alarms += min(holm([contrast.p for contrast in moderate(table)])) <= ALPHA
    return alarms / tables


def report(seed: int = SEED, tables: int = TABLES) -> Iterator[str]:
    """Yield the lines of `reports/reference/aa.md`.

    Parameters
    ----------
    seed : int
        Of all noise.
    tables : int
        Comparisons of each kind.
    """
    yield "# How often `hierbench compare` is wrong"
    yield ""
    yield f"Made with `python -m bench.comparing.aa` (seed {seed}); simulated records, the code of `hierbench compare`."
    yield ""
    yield "Each table has 24 cases (4 datasets, 3 models, 2 backends) and 8 geometric means over datasets. Spread"
    yield "of the wall time 5 % to 10 %, with 3 % of the fits slowed down by a busy machine, of the ESS 10 % to"
    yield "20 %, of the gradients 4 %, of the CPU time of a gradient 1 %; nothing is shared within pairs; a quarter"
    yield "of the cases diverge, in clusters, once a fit on average. What no simulation of replicates shows: a"
    yield "machine in another mood for all of B."
    yield ""
    yield "## A backend against itself"
    yield ""
    yield "A verdict that claims a difference (faster, slower, more or fewer divergences, health) is false here."
    yield ""
    yield "| replicates | tables | verdicts | false | share | tables with a false one | cases called `same` |"
    yield "|---|---|---|---|---|---|---|"
    for replicates in (5, 20):
        c = compare_with_itself(seed, replicates, tables)
        yield (
            f"| {c.replicates} | {c.tables} | {c.verdicts} | {c.alarms} | {c.alarms / c.verdicts:.3%} "
            f"| {c.alarmed} ({c.alarmed / c.tables:.1%}) | {c.same / c.cases:.1%} |"
        )
    yield ""
    yield "## A planted slow-down"
    yield ""
    yield "Found: the slowed case itself has the verdict `slower`. Gate: `--fail-on slower:10%` fails."
    yield ""
    yield "| replicates | wall time of B | slowed cases of 24 | tables | found | gate | false claims on other cases |"
    yield "|---|---|---|---|---|---|---|"
    for replicates, factor, slowed in ((5, 1.2, 1), (20, 1.1, 1), (20, 1.2, 1), (20, 1.2, 12)):
        p = compare_with_slower(seed, replicates, factor, slowed, tables)
        yield (
            f"| {p.replicates} | x {p.factor} | {p.cells} | {p.tables} | {p.found / p.planted:.1%} "
            f"| {p.failed / p.tables:.1%} | {p.wrong} |"
        )
    yield ""
    yield "## Other noise"
    yield ""
    yield f"Share of 2000 tables of 24 equal ratios with any false alarm; it should be {ALPHA:.0%} at most. Alike: all"
    yield "spreads are 10 %; mixed: from 5 % to 20 %."
    yield ""
    yield "| noise of the logarithms | replicates | alike | mixed |"
    yield "|---|---|---|---|"
    rng = np.random.default_rng(seed)
    noises: tuple[Noise, ...] = ("log-normal", "Student t, 3 df", "outliers")
    for noise, replicates in product(noises, (3, 5, 10, 20)):
        alike, mixed = (false_alarms(rng, noise, replicates, kind) for kind in (False, True))
        yield f"| {noise} | {replicates} | {alike:.2%} | {mixed:.2%} |"


if __name__ == "__main__":
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(report()) + "\n"
    OUTPUT.write_text(text)
    sys.stdout.write(text)
