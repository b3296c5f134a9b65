"""`hierbench calibrate`: are models and samplers right? Many simulations, here or on a cluster, and a page of them."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from bench import github
from bench.backends.base import Backend
from bench.families.base import LOG_LIKELIHOOD, Family, Model
from bench.files import write
from bench.lines import Lines
from bench.records import RunError
from bench.running.calibration import RANKED, SETTINGS, Calibration, collected, ranks_of, uniform_distances
from bench.running.cluster import Cluster, Job
from bench.running.dask_worker import Bench
from bench.running.environment import environment
from bench.running.isolation import Worker, WorkerError
from bench.settings import Limits, Settings
from bench.words import listed, number

JOURNAL, PAGE, PICTURE = "ranks.jsonl", "calibration.md", "ranks.png"
LIMITS = Limits()
"""Of a fit, unless others are asked for."""
ALPHA = 0.01
"""Chance that something right is called wrong, over all quantities, models and backends together."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

Subject = tuple[Family, Model, Backend]
Made = Generator[tuple[int, int, dict[str, int]], None, None]
"""Number of a subject, number of a simulation, and the ranks of its scalars."""


def calibrate_all(
    subjects: Sequence[Subject],
    simulations: int,
    seed: int,
    folder: Path,
    say: Callable[[str], None],
    *,
    dask: str | None = None,
    settings: Settings = SETTINGS,
    allowed: Limits = LIMITS,
) -> Iterator[Calibration]:
    """Calibrate models and backends; every simulation is on the disk before the next one is counted.

    What the folder holds already is not made again, as long as program, versions, seed and settings are the same. Ranks
    are the same here and on a cluster.

    Parameters
    ----------
    subjects : sequence of (Family, Model, Backend)
        What to calibrate.
    simulations : int
        Datasets to draw and fit, of each.
    seed : int
        Seed of all draws.
    folder : Path
        Where `ranks.jsonl` is.
    say : callable
        Prints a line about workers of a cluster.
    dask : str, optional
        Address of a cluster, as in `Cluster`.
    settings : Settings
        Of every fit.
    allowed : Limits
        What a build or a fit may take.

    Yields
    ------
    Calibration
        In the order of the subjects.

    Raises
    ------
    RunError
        If a fit fails, the folder can't be written, or the cluster can't be used.
    """
    digests = [_digest(*subject, seed, settings) for subject in subjects]
    found: list[dict[int, dict[str, int]]] = [{} for _ in subjects]
    with Lines(folder / JOURNAL) as journal:
        for line in journal.found:
            if line.get("digest") in digests and 0 <= line["number"] < simulations:
                found[digests.index(line["digest"])][line["number"]] = line["ranks"]
        left = [[number for number in range(simulations) if number not in ranks] for ranks in found]
        of = (subjects, left, seed, settings, allowed)
        made = _here(*of) if dask is None else _there(dask, *of, say)
        with closing(made):
            for i, (family, model, backend) in enumerate(subjects):
                while len(found[i]) < simulations:
                    which, simulation, ranks = next(made)
                    journal.append(_line(*subjects[which], digests[which], simulation, ranks))
                    found[which][simulation] = ranks
                yield collected(family, model, backend, [found[i][number] for number in range(simulations)])


def _digest(family: Family, model: Model, backend: Backend, seed: int, settings: Settings) -> str:
    """Tell apart what gives other ranks."""
    of_chains = replace(settings, cores=1)  # how many run at a time changes no draw
    asked = (family.name, model.digest, backend.name, sorted(backend.versions().items()), seed, asdict(of_chains))
    return sha256(repr(asked).encode()).hexdigest()


def _line(
    family: Family, model: Model, backend: Backend, digest: str, simulation: int, ranks: Mapping[str, int]
) -> dict[str, Any]:
    return {
        "family": family.name,
        "model": model.name,
        "backend": backend.name,
        "number": simulation,
        "ranks": dict(ranks),
        "versions": dict(backend.versions()),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "digest": digest,
    }


def _here(
    subjects: Sequence[Subject],
    left: Sequence[Sequence[int]],
    seed: int,
    settings: Settings,
    allowed: Limits,
) -> Made:
    """Make simulations in workers of this machine, one after the other."""
    for i, (family, model, backend) in enumerate(subjects):
        if not left[i]:
            continue
        with Worker(backend, memory_limit=allowed.bytes, timeout=allowed.seconds) as worker:
            for simulation in left[i]:
                try:
                    yield i, simulation, ranks_of(family, model, worker, (seed, simulation), settings, allowed.seconds)
                except WorkerError as error:
                    raise _failed(subjects[i], simulation, str(error)) from error


def _there(
    address: str,
    subjects: Sequence[Subject],
    left: Sequence[Sequence[int]],
    seed: int,
    settings: Settings,
    allowed: Limits,
    say: Callable[[str], None],
) -> Made:
    """Make simulations on the workers of a cluster, in whatever order they come; chains one after the other."""
    settings = replace(settings, cores=1)
    backends = list(dict.fromkeys(backend for *_, backend in subjects))
    cluster = Cluster(address, backends, say=say, memory_limit=allowed.bytes, timeout=allowed.seconds)
    try:
        for i, subject in enumerate(subjects):
            for simulation in left[i]:
                cluster.add(
                    [Job((i, simulation), _ranks_there, (*subject, (seed, simulation), settings, allowed.seconds))]
                )
        for answer in cluster:
            i, simulation = answer.key
            if answer.status != "ok":
                raise _failed(subjects[i], simulation, str(answer.value))
            yield i, simulation, answer.value
    finally:
        cluster.close()


def _ranks_there(
    bench: Bench,
    family: Family,
    model: Model,
    backend: Backend,
    seed: tuple[int, int],
    settings: Settings,
    timeout: float | None,
) -> dict[str, int]:
    """Rank the scalars of one simulation, in a worker of a cluster."""
    return ranks_of(family, model, bench.workers[backend], seed, settings, timeout)


def _failed(subject: Subject, simulation: int, why: str) -> RunError:
    family, model, backend = subject
    return RunError(
        f"{family.name} {model.name} on {backend.name}, simulation {simulation}: {why}\nWhat was simulated stays; the "
        "same command goes on"
    )


def outcome(found: Sequence[Calibration]) -> tuple[str, bool]:
    """Say whether ranks are uniform, and whether any are not.

    Parameters
    ----------
    found : sequence of Calibration
        One or more.
    """
    tests = [p for each in found for p in each.p_values.values()]
    limit = ALPHA / len(tests)
    wrong = {f"{each.name} on {each.backend}": None for each in found if min(each.p_values.values()) < limit}
    if wrong:
        return f"Not right: {listed(list(wrong))} (smallest p-value {min(tests):.2g}, limit {limit:.2g})", True
    return (
        f"Nothing is wrong as far as {len(tests)} tests can tell: the smallest p-value is {min(tests):.2g}, and below "
        f"{limit:.2g} something would be"
    ), False


def limits(found: Sequence[Calibration]) -> Iterator[str]:
    """Yield what ranks can't tell.

    Parameters
    ----------
    found : sequence of Calibration
        One or more.
    """
    yield (
        "Ranks of parameters can't tell a sampler that never looks at the data and returns the prior; those of the log "
        "likelihood can."
    )
    if blind := dict.fromkeys(each.name for each in found if LOG_LIKELIHOOD not in each.ranks):
        yield f"It is not known for {listed(list(blind))}, where such a sampler would pass."


def write_page(folder: Path, found: Sequence[Calibration], backends: Sequence[Backend], seed: int) -> Path:
    """Write the picture and the page, and return its path.

    Parameters
    ----------
    folder : Path
        Where `ranks.jsonl` is.
    found : sequence of Calibration
        One or more.
    backends : sequence of Backend
        Those that were calibrated.
    seed : int
        Of all draws.
    """
    picture(found, folder / PICTURE)
    write(folder / PAGE, "\n".join(_page(found, backends, seed)) + "\n")
    return folder / PAGE


def _page(found: Sequence[Calibration], backends: Sequence[Backend], seed: int) -> Iterator[str]:
    machine = environment()
    versions = {name: version for backend in backends for name, version in backend.versions().items()}
    simulations = [len(next(iter(each.ranks.values()))) for each in found]
    yield "# Are models and samplers right?"
    yield ""
    yield f"**{outcome(found)[0]}.**"
    yield ""
    yield (
        f"Parameters were drawn from the prior, data from them, and the data fit: {sum(simulations):,} fits. Where "
        f"model and sampler are right, the rank of each parameter among {RANKED} draws of its posterior is any with "
        "the same chance (simulation-based calibration, Talts et al. 2018)."
    )
    yield ""
    yield f"![Ranks less uniform ones, by model and backend]({PICTURE})"
    yield ""
    yield "Each line is the distribution of one rank less the uniform one; in the grey band lie 99 of 100 right ones."
    yield ""
    heads = ("model", "backend", "simulations", "smallest p-value", "of")
    lines = []
    for each, count in zip(found, simulations, strict=True):
        p = each.p_values
        least = min(p, key=lambda name: p[name])
        lines.append((each.name, each.backend, f"{count:,}", number(p[least], 2), least))
    yield from github.table(heads, lines)
    yield ""
    yield from limits(found)
    yield ""
    yield (
        f"Seed {seed}, {SETTINGS.chains} chains of {SETTINGS.draws:,} draws at target accept "
        f"{SETTINGS.target_accept:g}, Python {machine['python']}, "
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}, {machine['cpu']}, "
        f"{datetime.now(UTC):%d %B %Y}."
    )


def picture(calibrations: Sequence[Calibration], path: Path) -> None:
    """Draw, for each model and backend, the ranks' distribution functions less the uniform one, in a 99 % band.

    Parameters
    ----------
    calibrations : sequence of Calibration
        Those to draw: a row for each model, a column for each backend.
    path : Path
        The picture to write, as PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    models = list(dict.fromkeys(calibration.name for calibration in calibrations))
    backends = list(dict.fromkeys(calibration.backend for calibration in calibrations))
    figure, axes = pyplot.subplots(
        len(models),
        len(backends),
        figsize=(3.6 * len(backends), 2 * len(models)),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    legends: set[tuple[str, ...]] = set()
    expected = np.arange(1, RANKED + 1) / (RANKED + 1)
    for calibration in calibrations:
        axis = axes[models.index(calibration.name), backends.index(calibration.backend)]
        n = len(next(iter(calibration.ranks.values())))
        band = np.quantile(uniform_distances(n, 200_000), 0.99) * np.sqrt(expected * (1 - expected) / n)
        axis.fill_between(expected, -band, band, color="0.88", linewidth=0)
        for (name, ranks), colour in zip(calibration.ranks.items(), cycle(COLOURS), strict=False):
            found = np.searchsorted(np.sort(ranks), np.arange(RANKED), side="right") / n
            axis.plot(expected, found - expected, color=colour, linewidth=1.2, label=name)
        axis.set_title(f"{calibration.name}\n{calibration.backend}, {n} fits", fontsize=7)
        axis.tick_params(labelsize=7)
        if tuple(calibration.ranks) not in legends:  # the scalars are those of the family
            legends.add(tuple(calibration.ranks))
            axis.legend(fontsize=6, ncols=2, frameon=False)
    inch = 1 / figure.get_figheight()
    figure.supxlabel("rank of the prior draw among its posterior draws, as a fraction", fontsize=8, y=0.05 * inch)
    figure.supylabel("share of ranks below it, less the fraction", fontsize=8)
    figure.tight_layout(rect=(0, 0.15 * inch, 1, 1))
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110, format="png")
    write(path, drawn.getvalue())
    pyplot.close(figure)
