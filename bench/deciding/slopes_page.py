"""The question of the varying slopes, answered from a run of the `groups` grid and the exact posteriors."""

from collections.abc import Iterator, Sequence

import numpy as np

from bench.cells import Cell, cells, geometric_mean
from bench.deciding import pages
from bench.deciding.pages import BOLD, CPU, best, listing, origin, ratio, show_ess, show_rate
from bench.families.varying_slopes.data import ALPHA, BETA, GAMMA, SIGMA, TAU_ALPHA, TAU_BETA, X_SD, Lines, grid
from bench.families.varying_slopes.exact import KNOWN, exact_lines
from bench.families.varying_slopes.forms import FORMS, MODELS
from bench.records import Record
from bench.report.figure import CSS, sheet
from bench.report.svg import Panel, Scale, bottom_axis, marker, tag, text
from bench.words import number

GRID, MARGINAL, BETWEEN = "groups", "marginal", "between_marginal"
ENOUGH = 400
"""Effective draws of the slowest quantity that a fit should have."""
PICTURE = "slopes.svg"


def slopes_page(records: Sequence[Record]) -> str:
    """Write the page in Markdown; its picture is `picture`.

    Parameters
    ----------
    records : sequence of Record
        Of a run of the `groups` grid.
    """
    table = cells(records)
    parts = (_introduction(), _two_slopes(), mixing(table), instead(table), _origin(records))
    return "\n".join([*(line for part in parts for line in part), ""])


def _introduction() -> Iterator[str]:
    yield "# Simpson's paradox with many groups: which slope, and what to write?"
    yield ""
    yield (
        "In a regression with groups y may fall with x in every group, while groups with a larger x lie higher: a line "
        "through all observations rises. A line for every group mends that, and with many groups such a model stops "
        "mixing. This is the question that [the thread's](thread.md) was a simplification of."
    )
    yield ""
    yield (
        f"The data are made for it, with 20 observations a group: the groups' means of x are normal(0, 1), x has the "
        f"sd 0.7 about them, and y = {ALPHA:g} + {GAMMA:g} mean + {TAU_ALPHA:g} z + ({BETA:g} + {TAU_BETA:g} z') x + "
        f"{SIGMA:g} noise, with z and z' of each group normal(0, 1)."
    )
    yield ""
    yield "In short:"
    yield ""
    yield "- The slope within groups and the slope between them are two numbers. Say which one is asked for."
    yield (
        "- With few groups the centered form diverges; with many the non-centered one stops mixing, and the centered "
        f"one costs ever more. Integrate all lines out (`{MARGINAL}`): five parameters are left, however many groups."
    )
    yield (
        "- If the groups' means of x go with their intercepts, give the model that mean as a predictor too "
        f"(`{BETWEEN}`)."
    )
    yield ""


def _two_slopes() -> Iterator[str]:
    yield "## Two slopes"
    yield ""
    yield f"![Five groups, their lines, and the line through all observations]({PICTURE})"
    yield ""
    yield (
        "Least-squares slopes of one line through all observations, and within groups; then exact posterior means of "
        "beta with 94 % intervals, by quadrature, no sampler involved. `independent` takes the intercepts to have "
        "nothing to do with x; `between` has a slope gamma for the groups' means of x, so that beta is the slope "
        f"within groups ({BETA:g} in the data) and beta + gamma that between them. The data have {BETA + GAMMA:g} "
        f"between the true means of the groups, which is a gamma of {GAMMA:g}. The model sees means of 20 values of x, "
        f"whose errors make that {GAMMA / (1 + X_SD**2 / 20):.2f}."
    )
    yield ""
    yield "| G | through all | within groups | beta, `independent` | beta, `between` | gamma, `between` |"
    yield "|---:|---:|---:|---|---|---|"
    for dataset in grid(GRID):
        yield _slopes_row(dataset)
    yield ""


def _slopes_row(dataset: Lines) -> str:
    marginals = {target: exact_lines(dataset, target).marginals for target in KNOWN}

    def interval(target: str, name: str) -> str:
        found = marginals[target][name]
        return f"{found.mean:.3f} ({found.quantile(0.03):.3f} to {found.quantile(0.97):.3f})"

    return (
        f"| {dataset.n_groups:,} | {dataset.pooled_slope:.3f} | {dataset.within_slope:.3f} | "
        f"{interval('independent', 'beta')} | {interval('between', 'beta')} | {interval('between', 'gamma')} |"
    )


def mixing(table: Sequence[Cell]) -> Iterator[str]:
    """Yield the part on what mixes: the smallest ESS by backend, number of groups and model.

    Parameters
    ----------
    table : sequence of Cell
        Of a run of the `groups` grid.
    """
    yield "## What goes wrong with many groups"
    yield ""
    yield (
        "Twenty observations say some ninety times as much of their group's intercept as the other groups do, and "
        "three times as much of its slope. Non-centered, every effect is tied to its scale by that, and the sampler "
        "goes along a ridge that gets narrower with every group; centered, few groups leave the scales a funnel. Both "
        "have an effect for every intercept and every slope, so that a step costs more with every group, too. Smallest "
        "bulk ESS of all quantities, the lines among them, and divergences:"
    )
    yield ""
    models = list(dict.fromkeys(cell.model for cell in table))
    heads = ["G", *(f"`{model}`" for model in models)]
    for backend, found in pages.by_backend(table, grid(GRID)):
        lines = [[f"{dataset.n_groups:,}", *(show_ess(here.get(model)) for model in models)] for dataset, here in found]
        yield from pages.table(f"{backend}: smallest ESS", heads, "r" + "l" * len(models), lines)
    yield f"{BOLD} Stopped: there was no result within the time that a fit was given."
    yield ""


def instead(table: Sequence[Cell]) -> Iterator[str]:
    """Yield the part on what to write instead: rates, ratios and seconds, and the programs.

    Parameters
    ----------
    table : sequence of Cell
        Of a run of the `groups` grid.
    """
    yield "## What to write instead"
    yield ""
    yield (
        "Given the scales all lines are jointly normal, so they integrate out: the sizes, means and least-squares "
        "slopes of the groups and the residuals are all that the likelihood needs. The lines are drawn afterwards, "
        "exactly. Effective draws of the slowest quantity by second of a whole fit, of the best other form that "
        f"targets the same posterior and of `{MARGINAL}`; then the seconds from the start of a fit until there are "
        f"{ENOUGH}, the whole warm-up included:"
    )
    yield ""
    heads = ("G", "best other form", f"`{MARGINAL}`", "ratio", f"s to {ENOUGH}, other", f"s to {ENOUGH}, `{MARGINAL}`")
    for backend, found in pages.by_backend(table, grid(GRID)):
        lines = []
        for dataset, here in found:
            marginal = here.get(MARGINAL)
            other = best([cell for cell in here.values() if _is_other(cell)])
            shown = "none healthy" if other is None else f"{show_rate(other)} {other.model}"
            rates = (shown, show_rate(marginal), number(ratio(marginal, other), 2))
            lines.append([f"{dataset.n_groups:,}", *rates, _seconds(other), _seconds(marginal)])
        yield from pages.table(f"{backend}: smallest ESS by CPU second", heads, "rlrrrr", lines)
    yield f"{CPU} A fit on two cores takes about half as many seconds by the clock on the wall."
    yield ""
    for name in (MARGINAL, BETWEEN):
        yield f"`{name}`, whose lines `bench/families/varying_slopes/recovered.py` draws:"
        yield ""
        yield from listing(MODELS[name])
    yield (
        "`hierbench recommend --slope-column` prints them for your own table, filled in, with the lines drawn in them."
    )
    yield ""


def _is_other(cell: Cell) -> bool:
    return cell.target == FORMS[MARGINAL].target and cell.model != MARGINAL


def _seconds(cell: Cell | None) -> str:
    """Write the CPU seconds until the smallest ESS is enough, warm-up included, if more draws cost as those made."""
    if cell is None or not cell.healthy:
        return number(None)
    found = [
        seconds * (share + (1 - share) * ENOUGH / record.min_ess_bulk)
        for record in cell.counted
        if (seconds := record.fit_cpu_seconds) and record.min_ess_bulk and (share := _warmup_share(record)) is not None
    ]
    return number(geometric_mean(found), 2)


def _warmup_share(record: Record) -> float | None:
    """Return the share of the gradient evaluations that warm-up took."""
    if record.warmup_gradients is None or not record.gradients:
        return None
    return record.warmup_gradients / (record.warmup_gradients + record.gradients)


def _origin(records: Sequence[Record]) -> Iterator[str]:
    options = f"--family varying_slopes --grid {GRID} --fit-timeout 300"
    yield from origin(records, options, "slopes latest --output reports/reference/slopes.md")


WIDTH, HEIGHT, LEFT, TOP, FOOT = 520, 330, 44, 26, 40


def picture() -> str:
    """Draw the smallest dataset of the grid as SVG: its observations, the lines of its groups, and one through all."""
    dataset = grid(GRID)[0]
    x = Scale.over(dataset.x.tolist(), "x")
    y = Scale.over(dataset.y.tolist(), "y")
    across, down = WIDTH - LEFT - 12, HEIGHT - TOP - FOOT

    def at(horizontal: float, vertical: float) -> tuple[float, float]:
        return LEFT + x(horizontal) * across, TOP + (1 - y(vertical)) * down

    def line(ends: Sequence[float], slope: float, through: tuple[float, float], class_: str) -> str:
        (x0, y0), (x1, y1) = (at(end, through[1] + slope * (end - through[0])) for end in ends)
        return tag("path", d=f"M{x0:.1f},{y0:.1f}L{x1:.1f},{y1:.1f}", class_=class_)

    parts: list[str] = list(bottom_axis(x, LEFT, across, TOP, TOP + down))
    for value, label in y.ticks():
        height = at(x.low, value)[1]
        parts.append(tag("path", d=f"M{LEFT},{height:.1f}h{across}", class_="grid"))
        parts.append(text(LEFT - 5, height + 3.5, label, "tick", "end"))
    parts.append(text(LEFT - 5, TOP - 8, "y", "label", "end"))
    slopes = dataset.slope_data / np.sqrt(dataset.x_ss)
    for g in range(dataset.n_groups):
        mine = dataset.group == g
        dots = [
            tag("path", d=marker(g, *at(a, b), 2.6), class_="dot")
            for a, b in zip(dataset.x[mine], dataset.y[mine], strict=True)
        ]
        ends = (float(dataset.x[mine].min()), float(dataset.x[mine].max()))
        middle = (float(dataset.x_means[g]), float(dataset.means[g]))
        parts.append(tag("g", *dots, line(ends, float(slopes[g]), middle, "line"), class_=f"s{g}"))
    ends = (float(dataset.x.min()), float(dataset.x.max()))
    through = (float(dataset.x.mean()), float(dataset.y.mean()))
    parts.append(line(ends, dataset.pooled_slope, through, "bold"))
    title = f"Slope in groups {dataset.within_slope:.2f} (colours), through all {dataset.pooled_slope:+.2f} (black)"
    panel = Panel(title, WIDTH, HEIGHT, tag("g", text(LEFT, 14, title, "title"), *parts))
    return sheet([("", [panel])], 1, CSS.read_text(encoding="utf-8"))
