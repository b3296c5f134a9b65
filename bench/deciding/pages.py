"""What the pages on a question share: effective draws by CPU second, programs to copy, and how the page was made."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import TypeVar

from bench.cells import Cell, geometric_mean
from bench.families.base import Dataset, Model
from bench.records import Record
from bench.words import number

D = TypeVar("D", bound=Dataset)

BOLD = (
    "Bold: healthy (see the README); where a single fit, or one in five, is not, the figure is that of the others. "
    "The rest must not be used. No fit: there were no draws, or the run was stopped before it."
)
CPU = (
    "Seconds are CPU seconds of the whole fit, warm-up and all processes too, and what is drawn after sampling; builds "
    "are not in them. They depend far less than wall time on what else the machine did."
)


def ess(record: Record, quantity: str | None = None) -> float | None:
    """Return the bulk ESS of a quantity, or the smallest of all; None where it was not diagnosed.

    Parameters
    ----------
    record : Record
        Of a fit.
    quantity : str, optional
        Its name; None for the smallest of all.
    """
    if quantity is None:
        return record.min_ess_bulk
    return record.quantities[quantity].ess_bulk if quantity in record.quantities else None


def rate(cell: Cell, quantity: str | None = None) -> float | None:
    """Return effective draws by CPU second, the geometric mean over the fits that count; None where there is none.

    Parameters
    ----------
    cell : Cell
        The replicates of a case.
    quantity : str, optional
        As in `ess`.
    """
    found = [(ess(record, quantity), record.fit_cpu_seconds) for record in cell.counted]
    return geometric_mean([size / seconds for size, seconds in found if size and seconds])


def show_ess(cell: Cell | None, quantity: str | None = None) -> str:
    """Write the mean bulk ESS of a case and its divergences, bold where it is healthy.

    Parameters
    ----------
    cell : Cell, optional
        The replicates of a case; None where there are none.
    quantity : str, optional
        As in `ess`.
    """
    if cell is None or not cell.fits:
        return _no_fit(cell)
    sizes = [size for record in cell.counted if (size := ess(record, quantity)) is not None]
    if not sizes:
        return "not diagnosed"
    text = f"{fmean(sizes):.0f}"
    if cell.divergences:
        text += f", {cell.divergences:,} divergent"
    return f"**{text}**" if cell.healthy else text


def show_rate(cell: Cell | None, quantity: str | None = None) -> str:
    """Write the effective draws of a case by CPU second, bold where it is healthy.

    Parameters
    ----------
    cell : Cell, optional
        The replicates of a case; None where there are none.
    quantity : str, optional
        As in `ess`.
    """
    if cell is None or not cell.fits:
        return _no_fit(cell)
    found = rate(cell, quantity)
    return f"**{number(found)}**" if found and cell.healthy else number(found)


def _no_fit(cell: Cell | None) -> str:
    timeout = cell is not None and all(record.status == "timeout" for record in cell.records)
    return "stopped" if timeout else "no fit"


def best(cells: Sequence[Cell], quantity: str | None = None) -> Cell | None:
    """Return the healthy case with the most effective draws by CPU second; None where none is healthy.

    Parameters
    ----------
    cells : sequence of Cell
        Cases of the same data.
    quantity : str, optional
        As in `ess`.
    """
    healthy = [cell for cell in cells if cell.healthy and rate(cell, quantity)]
    return max(healthy, key=lambda cell: rate(cell, quantity) or 0.0, default=None)


def ratio(one: Cell | None, other: Cell | None, quantity: str | None = None) -> float | None:
    """Return how many times the rate of the other one has; None unless both are healthy.

    Parameters
    ----------
    one, other : Cell, optional
        Two cases of the same data.
    quantity : str, optional
        As in `ess`.
    """
    if one is None or other is None or not (one.healthy and other.healthy):
        return None
    mine, theirs = rate(one, quantity), rate(other, quantity)
    return mine / theirs if mine and theirs else None


def listing(model: Model) -> Iterator[str]:
    """Yield both programs of a model, as they are.

    Parameters
    ----------
    model : Model
        One that has both.
    """
    for program, language in ((model.stan, "stan"), (model.pymc, "python")):
        assert program is not None
        yield from (f"```{language}", program.code.rstrip("\n"), "```", "")


def by_backend(table: Sequence[Cell], datasets: Sequence[D]) -> Iterator[tuple[str, list[tuple[D, dict[str, Cell]]]]]:
    """Yield each backend, with its cases by model on each of the datasets that it has some of.

    Parameters
    ----------
    table : sequence of Cell
        Of a run.
    datasets : sequence of Dataset
        In the order in which they are shown.
    """
    for backend in dict.fromkeys(cell.backend for cell in table):
        own = [cell for cell in table if cell.backend == backend]
        found = [(each, {cell.model: cell for cell in own if cell.dataset == each.id}) for each in datasets]
        yield backend, [(each, here) for each, here in found if here]


def table(heading: str, heads: Sequence[str], aligned: str, lines: Iterable[Sequence[str]]) -> Iterator[str]:
    r"""Yield a table under a heading of its own; its cells are Markdown.

    Parameters
    ----------
    heading : str
        What it is of.
    heads : sequence of str
        Of its columns.
    aligned : str
        For each column `l` or `r`.
    lines : iterable of sequence of str
        Its cells.

    Examples
    --------
    >>> print(*table("stanli", ["G", "`marginal`"], "rl", [["5", "**1,200**"]]), sep="\n")
    ### stanli
    <BLANKLINE>
    | G | `marginal` |
    |---:|---|
    | 5 | **1,200** |
    <BLANKLINE>
    """
    yield f"### {heading}"
    yield ""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join({'l': '---', 'r': '---:'}[side] for side in aligned)}|"
    yield from (f"| {' | '.join(line)} |" for line in lines)
    yield ""


def origin(records: Sequence[Record], options: str, page: str) -> Iterator[str]:
    """Yield how a page was made: the commands, the versions, the machine and the seed.

    Parameters
    ----------
    records : sequence of Record
        Of one run.
    options : str
        Of pytest: which data.
    page : str
        The command that makes the page.
    """
    yield "## How this page is made"
    yield ""
    models, backends = (
        ",".join(dict.fromkeys(getattr(record, of) for record in records)) for of in ("model", "backend")
    )
    replicates = len({record.replicate for record in records})
    command = f"pytest bench/test_sample.py --benchmark-only {options} --model {models} --backend {backends}"
    yield f"```bash\n.venv/bin/{command} --replicates {replicates}\n.venv/bin/hierbench {page}\n```"
    yield ""
    versions = {
        f"{name} {version}" for record in records for name, version in record.versions.items() if name != "numpy"
    }
    first = records[0]
    machine = first.environment
    chains, warmup, draws = (first.settings.get(name) for name in ("chains", "warmup", "draws"))
    yield (
        f"Run {first.run}: {chains} chains of {warmup} warm-up and {draws} kept iterations, seed {first.seed} first; "
        f"{', '.join(sorted(versions))}, Python {machine.get('python')}, {machine.get('cpu')}, "
        f"{machine.get('cores')} cores."
    )
