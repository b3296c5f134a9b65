"""The forum thread's own question, answered from a run of the `thread` grid and the exact posteriors."""

from collections.abc import Iterator, Sequence

from bench.cells import Cell, cells
from bench.families.normal_means.data import Groups, grid
from bench.families.normal_means.exact import exact_posterior
from bench.records import Record

POSTERIORS = ("finite_population", "superpopulation")


def exact_table() -> Iterator[dict[str, object]]:
    """Yield a row for each of the thread's datasets, posterior and quantity, by quadrature."""
    for dataset in grid("thread"):
        for posterior in POSTERIORS:
            exact = exact_posterior(dataset, posterior)
            for name in ("mu", "sigma", "omega"):
                low, high = exact.hdi(name, 0.94)
                yield {
                    "dataset": dataset.id,
                    "digest": dataset.digest[:16],
                    "posterior": posterior,
                    "quantity": name,
                    "mean": f"{exact.mean(name):.6f}",
                    "sd": f"{exact.sd(name):.6f}",
                    "hdi_3%": f"{low:.6f}",
                    "hdi_97%": f"{high:.6f}",
                    "q3": f"{exact.quantile(name, 0.03):.6f}",
                    "q50": f"{exact.quantile(name, 0.5):.6f}",
                    "q97": f"{exact.quantile(name, 0.97):.6f}",
                    "log_evidence": f"{exact.log_evidence:.6f}",
                }


def thread_page(records: Sequence[Record]) -> str:
    """Write the page in Markdown.

    Parameters
    ----------
    records : sequence of Record
        Of a run of the `thread` grid.
    """
    return "\n".join([*_introduction(), *_mu(), *_omega(cells(records)), *_advice(), *_origin(records), ""])


def _introduction() -> Iterator[str]:
    yield "# Why does mu miss 2, and why does omega stop mixing?"
    yield ""
    yield (
        "A public forum thread fit a hierarchical model with `pm.ZeroSumNormal` group effects to generated data, with "
        "group means drawn around 2.0, and asked two things: why the 94 % interval of mu often misses 2.0, and why the "
        "effective sample size of omega collapses as the groups grow in number and spread. Its nine datasets are the "
        "`thread` grid of this suite, byte for byte; its model is `finite_zerosum_noncentered`."
    )
    yield ""


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
        "Each interval is the exact 94 % highest-density one. The last column is the share of the normal(0, 1) prior "
        "in the population mean, q / (1 + q) with q = omega²/G: what is left to the data when only G group means speak "
        "of it. At omega = 10 and G = 5 the prior says nearly everything, and it says 0. A normal(0, 1) prior on the "
        "mean of groups that lie ten apart is a strong statement; widen it if it is not meant."
    )
    yield ""


def _mu_row(dataset: Groups) -> str:
    def interval(posterior: str) -> str:
        exact = exact_posterior(dataset, posterior)
        low, high = exact.hdi("mu", 0.94)
        return f"{exact.mean('mu'):.3f} ({low:.3f} to {high:.3f})"

    omega, n_groups = dataset.generated_with["omega"], dataset.n_groups
    q = omega**2 / n_groups
    return (
        f"| {omega:g} | {n_groups} | {dataset.means.mean():.3f} | {interval('finite_population')} | "
        f"{interval('superpopulation')} | {q / (1 + q):.1%} |"
    )


def _omega(table: Sequence[Cell]) -> Iterator[str]:
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
    for backend in dict.fromkeys(cell.backend for cell in table):
        yield f"### {backend}"
        yield ""
        yield "| omega | G | n omega²/sigma² | " + " | ".join(models) + " |"
        yield "|---:|---:|---:|" + "---|" * len(models)
        for dataset in grid("thread"):
            of_dataset = {c.model: c for c in table if c.backend == backend and c.dataset == dataset.id}
            if of_dataset:
                truth = dataset.generated_with
                information = float(dataset.group_sizes.mean()) * truth["omega"] ** 2 / truth["sigma"] ** 2
                shown = " | ".join(_ess(of_dataset.get(model)) for model in models)
                yield f"| {truth['omega']:g} | {dataset.n_groups} | {information:.3g} | {shown} |"
        yield ""


def _ess(cell: Cell | None) -> str:
    if cell is None or not cell.fits:
        return "no fit"
    sizes = [record.quantities["omega"].ess_bulk for record in cell.counted if "omega" in record.quantities]
    if not sizes:
        return "not diagnosed"
    text = f"{sum(sizes) / len(sizes):.0f}"
    if cell.divergences:
        text += f", {cell.divergences} divergent"
    return f"**{text}**" if cell.healthy else text


def _advice() -> Iterator[str]:
    yield (
        "Bold: healthy (see the README); where a single fit, or one in five, is not, the figure is that of the others. "
        "The rest must not be used."
    )
    yield ""
    yield "## What to write instead"
    yield ""
    yield (
        "- Say which mean is meant. For the mean of these groups keep the zero-sum effects; for that of the population "
        "use `centered` or `noncentered`, or recover it after sampling from the zero-sum draws. The popular recovery "
        "mu + normal(0, omega / sqrt(G)) is exact only under a flat prior on mu; "
        "`bench/families/normal_means/recovered.py` has the weights for normal(0, 1)."
    )
    yield (
        "- Centre where n omega²/sigma² is well above 1 (`finite_zerosum_centered`, in PyMC "
        '`e = pm.ZeroSumNormal("e", sigma=omega, dims="group")`), non-centre where it is well below.'
    )
    yield (
        "- Or do neither: integrate the group means out (`marginal`, `finite_marginal`). The sizes and means of the "
        "groups and the sum of squares within them are all that the likelihood needs, three parameters are left, and "
        "mu_g is drawn afterwards from its normal conditional."
    )
    yield (
        "- In Stan, `e ~ normal(0, omega)` on a `sum_to_zero_vector` counts G dimensions where there are G - 1: add "
        "`target += log(omega)`, or the posterior is improper."
    )
    yield ""


def _origin(records: Sequence[Record]) -> Iterator[str]:
    yield "## How this page is made"
    yield ""
    run = records[0].run
    models, backends = (
        ",".join(dict.fromkeys(getattr(record, of) for record in records)) for of in ("model", "backend")
    )
    command = (
        f".venv/bin/pytest bench/test_sample.py --benchmark-only --grid thread --model {models} --backend {backends} "
        f"--replicates {len({record.replicate for record in records})}"
    )
    yield f"```bash\n{command}\n.venv/bin/hierbench thread latest --output reports/reference/thread.md\n```"
    yield ""
    versions = {
        f"{name} {version}" for record in records for name, version in record.versions.items() if name != "numpy"
    }
    machine = records[0].environment
    yield (
        f"Run {run}, {', '.join(sorted(versions))}, Python {machine.get('python')}, "
        f"{machine.get('cpu')}, {machine.get('cores')} cores. The exact posteriors stand in [exact.csv](exact.csv), "
        "made by `.venv/bin/hierbench exact --output reports/reference/exact.csv`."
    )
