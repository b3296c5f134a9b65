"""The forum thread's own question, answered from a run of the `thread` grid and the exact posteriors."""

from collections.abc import Iterator, Sequence

from bench.cells import Cell, cells
from bench.deciding import pages
from bench.deciding.pages import BOLD, CPU, best, listing, origin, ratio, show_ess, show_rate
from bench.families.normal_means.data import Groups, grid
from bench.families.normal_means.exact import exact_posterior
from bench.families.normal_means.forms import MODELS
from bench.records import Record
from bench.words import number, printable

POSTERIORS = ("finite_population", "superpopulation")
THREAD_MODEL, THREAD_MARGINAL = "finite_zerosum_noncentered", "finite_marginal"
"""The thread's own model, and the same posterior with its group means integrated out."""
MARGINAL = "marginal"
"""The posterior of `centered` and `noncentered`, with its group means integrated out."""


def exact_table() -> Iterator[dict[str, object]]:
    """Yield a row for each of the thread's datasets, posterior and quantity, by quadrature."""
    for dataset in grid("thread"):
        for posterior in POSTERIORS:
            exact = exact_posterior(dataset, posterior)
            for name, marginal in exact.marginals.items():
                low, high = marginal.hdi(0.94)
                yield {
                    "dataset": dataset.id,
                    "digest": dataset.digest[:16],
                    "posterior": posterior,
                    "quantity": name,
                    "mean": f"{marginal.mean:.6f}",
                    "sd": f"{marginal.sd:.6f}",
                    "hdi_3%": f"{low:.6f}",
                    "hdi_97%": f"{high:.6f}",
                    "q3": f"{marginal.quantile(0.03):.6f}",
                    "q50": f"{marginal.quantile(0.5):.6f}",
                    "q97": f"{marginal.quantile(0.97):.6f}",
                    "log_evidence": f"{exact.log_evidence:.6f}",
                }


def thread_page(records: Sequence[Record]) -> str:
    """Write the page in Markdown.

    Parameters
    ----------
    records : sequence of Record
        Of a run of the `thread` grid.
    """
    table = cells(records)
    parts = (_introduction(table), _mu(), mixing(table), instead(table), _advice(), _origin(records))
    return "\n".join([*(line for part in parts for line in part), ""])


def _introduction(table: Sequence[Cell]) -> Iterator[str]:
    yield "# Why does mu miss 2, and why does omega stop mixing?"
    yield ""
    yield (
        "A public forum thread fit a hierarchical model with `pm.ZeroSumNormal` group effects to generated data, with "
        "group means drawn around 2.0, and asked two things: why the 94 % interval of mu often misses 2.0, and why the "
        "effective sample size of omega collapses as the groups grow in number and spread. Its nine datasets are the "
        f"`thread` grid of this suite, byte for byte; its model is `{THREAD_MODEL}`."
    )
    yield ""
    yield "In short:"
    yield ""
    yield (
        "- mu is the mean of the groups at hand, not of the population they came from. Its interval is right, and it "
        "is not about 2.0."
    )
    yield (
        "- omega stops mixing because the effects are non-centered where the data pin them down. Centered, it mixes "
        "there, and does not mix where the data say little of each group."
    )
    yield (
        "- Write neither. Integrate the group means out, and three parameters are left, however many groups there "
        f"are: [what to write instead](#what-to-write-instead). {gain(table)}".rstrip()
    )
    yield ""


def gain(table: Sequence[Cell]) -> str:
    """Say how often the thread's form and its marginal one were healthy, and what the one has of the other.

    Parameters
    ----------
    table : sequence of Cell
        Of a run of the `thread` grid.
    """
    of = {name: [cell for cell in table if cell.model == name] for name in (THREAD_MODEL, THREAD_MARGINAL)}
    healthy = ", ".join(
        f"`{name}` was healthy in {sum(cell.healthy for cell in found)} of {len(found)}"
        for name, found in of.items()
        if found
    )
    there = {(cell.dataset, cell.backend): cell for cell in of[THREAD_MODEL]}
    pairs = [(cell, there.get((cell.dataset, cell.backend))) for cell in of[THREAD_MARGINAL]]
    ratios = sorted(found for one, other in pairs if (found := ratio(one, other, "omega")))
    said = f"Of all cases below, {healthy}" if healthy else ""
    if ratios:
        low, high = number(ratios[0], 2), number(ratios[-1], 2)
        said += f"; where both were, it gave {low} to {high} times the effective draws of omega by CPU second"
    return f"{said}." if said else ""


def _mu() -> Iterator[str]:
    yield "## mu is the mean of these groups, not of their population"
    yield ""
    yield (
        "The zero-sum effects leave mu to be the mean of the G groups at hand. The data tell that mean to within about "
        "sigma / sqrt(N), so its interval is narrow and right, around the mean of the groups that were drawn, which is "
        "off 2.0 by about omega / sqrt(G). The mean of the population the groups came from is another quantity, and "
        "has the wide interval that was expected. Both by quadrature, no sampler involved:"
    )
    yield ""
    yield "| omega | G | mean of group means | exact mu, these groups | exact mu, population | weight of the prior |"
    yield "|---:|---:|---:|---|---|---:|"
    for dataset in grid("thread"):
        yield _mu_row(dataset)
    yield ""
    yield (
        "Each interval is the exact 94 % highest-density one. The last column is the weight of the normal(0, 1) prior "
        "in the population mean, against that of the G group means: q / (1 + q) with q = omega²/G. At omega = 10 and "
        "G = 5 the prior says nearly everything, and it says 0. A normal(0, 1) prior on the mean of groups that lie "
        "ten apart is a strong statement; widen it if it is not meant."
    )
    yield ""


def _mu_row(dataset: Groups) -> str:
    def interval(posterior: str) -> str:
        mu = exact_posterior(dataset, posterior).marginals["mu"]
        low, high = mu.hdi(0.94)
        return f"{mu.mean:.3f} ({low:.3f} to {high:.3f})"

    omega, n_groups = dataset.generated_with["omega"], dataset.n_groups
    q = omega**2 / n_groups
    return (
        f"| {omega:g} | {n_groups} | {dataset.means.mean():.3f} | {interval('finite_population')} | "
        f"{interval('superpopulation')} | {q / (1 + q):.1%} |"
    )


def mixing(table: Sequence[Cell]) -> Iterator[str]:
    """Yield the part on omega: its ESS by backend, dataset and model.

    Parameters
    ----------
    table : sequence of Cell
        Of a run of the `thread` grid.
    """
    yield "## omega stops mixing because the parameterization is the wrong one for these data"
    yield ""
    yield (
        "With mu_g = mu + omega z, data that pin down the group means tie omega to the length of z: the product is "
        "known, the factors are not, and the sampler walks along a ridge that gets narrower as n omega²/sigma² and G "
        "grow. Centered, omega is learned from effects that the data hold in place, and moves freely. Where the data "
        "say little about each group (small n omega²/sigma²) it is the other way round: the centered form has the "
        "funnel. Bulk ESS of omega (of 4000 draws) and divergences, mean over replicates:"
    )
    yield ""
    models = list(dict.fromkeys(cell.model for cell in table))
    heads = ["omega", "G", "n omega²/sigma²", *models]
    for backend, found in pages.by_backend(table, grid("thread")):
        lines = [
            [*_which(dataset), number(_information(dataset)), *(show_ess(here.get(model), "omega") for model in models)]
            for dataset, here in found
        ]
        yield from pages.table(backend, heads, "rrr" + "l" * len(models), lines)
    yield BOLD
    yield ""


def instead(table: Sequence[Cell]) -> Iterator[str]:
    """Yield the part on what to write instead: its rates beside those of the others, and its programs.

    Parameters
    ----------
    table : sequence of Cell
        Of a run of the `thread` grid.
    """
    yield "## What to write instead"
    yield ""
    yield (
        "Integrate the group means out. The sizes and means of the groups and the sum of squares within them are all "
        "that the likelihood needs, three parameters are left, whatever the number of groups, and mu_g is drawn "
        "afterwards from its normal conditional. Effective draws of omega by second, for the mean of these groups of "
        "the thread's form and of `finite_marginal`, for that of the population of the better of `centered` and "
        "`noncentered` and of `marginal`:"
    )
    yield ""
    yield from _rates(table)
    yield f"{CPU} {BOLD} No ratio is given to a fit that is not healthy."
    yield ""
    if sick := [cell for cell in table if cell.model in (MARGINAL, THREAD_MARGINAL) and not cell.healthy]:
        where = "; ".join(
            f"{cell.model} on {cell.dataset} by {cell.backend}: {printable(cell.verdict)}" for cell in sick
        )
        cases = f"{len(sick)} case{'s' if len(sick) > 1 else ''}"
        yield (
            f"The marginal forms were not healthy in {cases} ({where}). With few "
            "groups and omega near 0 the posterior of omega reaches down to 0, and some steps in log omega are too "
            "long for its edge: a higher target accept (0.95) and more draws are what it needs there."
        )
        yield ""
    yield "The marginal model, for the mean of the population; `finite_marginal` beside it is for that of these groups:"
    yield ""
    yield from listing(MODELS[MARGINAL])
    yield "And mu_g afterwards, for each draw:"
    yield ""
    yield "```python"
    yield "w = omega**2 / (omega**2 + sigma**2 / n)  # n, ybar: size and mean of each group"
    yield "mu_g = rng.normal(mu + w * (ybar - mu), np.sqrt(w * sigma**2 / n))"
    yield "```"
    yield ""


def _rates(table: Sequence[Cell]) -> Iterator[str]:
    """Yield, for each backend, each posterior's forms beside the one with its group means integrated out."""
    heads = ("omega", "G", "the thread's form", "`finite_marginal`", "times", "best of two", "`marginal`", "times")
    for backend, found in pages.by_backend(table, grid("thread")):
        lines = []
        for dataset, here in found:
            thread, instead, marginal = (here.get(name) for name in (THREAD_MODEL, THREAD_MARGINAL, MARGINAL))
            two = best([here[name] for name in ("centered", "noncentered") if name in here], "omega")
            better = "neither healthy" if two is None else f"{show_rate(two, 'omega')} {two.model}"
            of_groups = (show_rate(thread, "omega"), show_rate(instead, "omega"), _times(instead, thread))
            lines.append([*_which(dataset), *of_groups, better, show_rate(marginal, "omega"), _times(marginal, two)])
        yield from pages.table(f"{backend}: ESS of omega by CPU second", heads, "rrrrrlrr", lines)


def _which(dataset: Groups) -> tuple[str, str]:
    return f"{dataset.generated_with['omega']:g}", str(dataset.n_groups)


def _information(dataset: Groups) -> float:
    truth = dataset.generated_with
    return float(dataset.group_sizes.mean()) * truth["omega"] ** 2 / truth["sigma"] ** 2


def _times(one: Cell | None, other: Cell | None) -> str:
    return number(ratio(one, other, "omega"), 2)


def _advice() -> Iterator[str]:
    yield "Beside that:"
    yield ""
    yield (
        "- Say which mean is meant. For the mean of these groups use `finite_marginal`, or keep the zero-sum effects; "
        "for that of the population use `marginal`, `centered` or `noncentered`, or recover it after sampling from the "
        "zero-sum draws. The popular recovery mu + normal(0, omega / sqrt(G)) is exact only under a flat prior on mu; "
        "`bench/families/normal_means/recovered.py` has the weights for normal(0, 1)."
    )
    yield (
        "- Where the means can't be integrated out, because the likelihood is not normal: centre where n omega²/sigma² "
        'is well above 1 (`finite_zerosum_centered`, in PyMC `e = pm.ZeroSumNormal("e", sigma=omega, dims="group")`), '
        "non-centre where it is well below."
    )
    yield (
        "- In Stan, `e ~ normal(0, omega)` on a `sum_to_zero_vector` counts G dimensions where there are G - 1: add "
        "`target += log(omega)`, or the posterior is improper."
    )
    yield ""


def _origin(records: Sequence[Record]) -> Iterator[str]:
    yield from origin(records, "--grid thread", "thread latest --output reports/reference/thread.md")
    yield (
        "The exact posteriors stand in [exact.csv](exact.csv), made by "
        "`.venv/bin/hierbench exact --output reports/reference/exact.csv`."
    )
