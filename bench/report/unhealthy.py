"""Why a fit is unhealthy: a page with pictures of its worst quantity, for each unhealthy case whose draws were kept.

The pictures are those of ArviZ: the trace, the ranks (Vehtari et al. 2021, Bayesian Analysis 16, 667-718), and how the
effective sample size grows.
"""

import base64
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.arrays import Bools, Floats
from bench.comparing.rows import Row, summarise
from bench.files import write
from bench.records import Record
from bench.report import layout
from bench.words import number

if TYPE_CHECKING:
    import xarray

FOLDER = "unhealthy"
"""Of these pages, beside that of the run."""
SIZE = (9.0, 2.8)
PLOTS = {
    "Trace": (
        "The draws one after the other, a colour for each chain. Healthy: the chains lie over each other, like one "
        "band of noise. Ticks at the foot: divergent transitions."
    ),
    "Ranks": (
        "Where the draws of each chain stand among those of all. Healthy: everywhere alike, so that bars are level and "
        "lines stay near the middle."
    ),
    "Effective draws": (
        "Effective draws by how many draws there are: blue in the bulk, orange in the tails. Healthy: both grow "
        "steadily and end above the dashed line."
    ),
}
"""Pictures, and how to read them."""


class Picture(NamedTuple):
    """A picture: its heading, how to read it, and a PNG as a data URL; or why it could not be drawn."""

    title: str
    note: str
    source: str
    problem: str


def worst_fits(records: Sequence[Record]) -> Iterator[tuple[Row, Record]]:
    """Yield each unhealthy case, with the one of its fits that has the smallest ESS and whose draws were kept.

    Parameters
    ----------
    records : sequence of Record
        Those of one run.
    """
    for row in summarise(records):
        kept = [record for record in row.fits if record.draws_file and not record.healthy]
        if kept and not row.healthy:
            yield row, min(kept, key=lambda record: record.min_ess_bulk or 0.0)


def links(folder: Path, records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return the pages that there are: the name of each case, and the address beside the page of the run.

    Parameters
    ----------
    folder : Path
        Of the page of the run.
    records : sequence of Record
        Those of one run.
    """
    pages = [(f"{row.dataset}: {row.name}", page_of(folder, record)) for row, record in worst_fits(records)]
    return [(name, page.relative_to(folder).as_posix()) for name, page in pages if page.exists()]


def page_of(folder: Path, record: Record) -> Path:
    """Return where the page of a fit is, or would be.

    Parameters
    ----------
    folder : Path
        Of the page of the run.
    record : Record
        Of the fit.
    """
    return folder / FOLDER / f"{Path(record.draws_file or '').stem}.html"


def write_unhealthy(source: Path, records: Sequence[Record], folder: Path, say: Callable[[str], None]) -> None:
    """Write a page for each unhealthy case whose draws were kept; those that are there are not made again.

    Parameters
    ----------
    source : Path
        Folder of the run, which has the draws.
    records : sequence of Record
        Those of the run.
    folder : Path
        Where its page goes, and so these.
    say : callable
        Prints a line of progress.
    """
    todo = [(row, record) for row, record in worst_fits(records) if not page_of(folder, record).exists()]
    for number_, (row, record) in enumerate(todo, 1):
        say(f"[{number_}/{len(todo)}] pictures of {row.dataset} {row.name}")
        path = source / "draws" / Path(record.draws_file or "").name
        try:
            name, draws, divergent = read_worst(path, record)
        except (OSError, ValueError, KeyError) as error:
            say(f"    {path} can't be read: {error}")
            continue
        text = layout.render(
            "unhealthy.html",
            title=f"Why {row.name} is unhealthy on {row.dataset}",
            record=record,
            quantity=name,
            ess=number(record.min_ess_bulk),
            pictures=[picture(title, name, draws, divergent) for title in PLOTS],
        )
        write(page_of(folder, record), text)


def read_worst(path: Path, record: Record) -> tuple[str, Floats, Bools]:
    """Return the name of the slowest element, its draws, and which transitions were divergent, of shape (chain, draw).

    It is the one that the record names. Where its draws were not kept, since it is drawn after sampling, it is the
    slowest of those that were.

    Parameters
    ----------
    path : Path
        File of the draws, as `--save-draws` keeps them.
    record : Record
        Of the fit.

    Raises
    ------
    OSError, ValueError, KeyError
        If the file can't be read.
    """
    import xarray

    with (
        xarray.open_dataset(path, group="posterior", engine="h5netcdf") as posterior,
        xarray.open_dataset(path, group="sample_stats", engine="h5netcdf") as stats,
    ):
        name, _, place = (record.min_ess_of or "").rstrip("]").partition("[")
        if name in posterior:
            at = tuple(map(int, re.findall(r"\d+", place)))
        else:
            name, at = _slowest(posterior)
        element: tuple[Any, ...] = (..., *at)
        draws = posterior[name].to_numpy()[element]
        return name + (f"[{','.join(map(str, at))}]" if at else ""), draws, stats["diverging"].to_numpy().astype(bool)


def _slowest(posterior: "xarray.Dataset") -> tuple[str, tuple[int, ...]]:
    """Return the name and the place of the element with the smallest bulk ESS."""
    from bench.correctness.diagnostics import ess

    found: list[tuple[float, str, tuple[int, ...]]] = []
    for name, array in posterior.data_vars.items():
        values = ess(array.to_numpy())
        if np.isfinite(values).any():
            at = np.unravel_index(int(np.nanargmin(values)), values.shape)
            found.append((float(values[at]), str(name), tuple(map(int, at))))
    if not found:
        raise ValueError("no draws that vary")
    return min(found)[1:]


def picture(title: str, name: str, draws: Floats, divergent: Bools) -> Picture:
    """Draw one quantity.

    Parameters
    ----------
    title : str
        Key of `PLOTS`.
    name : str
        Of the quantity.
    draws, divergent : array of shape (chain, draw)
        Its draws, and which transitions were divergent.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    file = BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ArviZ, about Matplotlib's future
            _plot(title, name, draws, divergent)
            pyplot.savefig(file, dpi=90, bbox_inches="tight")
    except Exception as error:  # draws can be odd in ways nobody foresaw
        return Picture(title, PLOTS[title], "", f"{type(error).__name__}: {error}")
    finally:
        pyplot.close("all")
    data = base64.b64encode(file.getvalue()).decode()
    return Picture(title, PLOTS[title], f"data:image/png;base64,{data}", "")


def _plot(title: str, name: str, draws: Floats, divergent: Bools) -> None:
    """Make the figure, with ArviZ 0.23 or 1.x."""
    from bench.correctness import diagnostics
    from bench.correctness.health import MIN_ESS_PER_CHAIN

    arviz = diagnostics.arviz()
    groups: dict[str, Any] = {"posterior": {name: draws}, "sample_stats": {"diverging": divergent}}
    least = MIN_ESS_PER_CHAIN * draws.shape[0]
    if diagnostics.ARVIZ_1:
        data, size = arviz.from_dict(groups), {"backend": "matplotlib", "figure_kwargs": {"figsize": SIZE}}
        if title == "Trace":
            arviz.plot_trace(data, **size)
        elif title == "Ranks":
            arviz.plot_rank(data, **size)
        else:
            tails = {"ess_tail": {"prob": diagnostics.TAIL}}
            arviz.plot_ess_evolution(data, min_ess=least, stats=tails, **size)
    else:
        data = arviz.from_dict(**groups)
        if title == "Trace":
            arviz.plot_trace(data, compact=False, figsize=SIZE)
        elif title == "Ranks":
            arviz.plot_rank(data, figsize=SIZE)
        else:
            arviz.plot_ess(data, kind="evolution", min_ess=least, figsize=SIZE)
