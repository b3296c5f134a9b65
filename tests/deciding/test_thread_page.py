"""The page that answers the forum thread: its figures are those of the records."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cells import Cell, cells
from bench.deciding.pages import rate
from bench.deciding.thread_page import gain, instead, mixing, thread_page
from bench.files import ROOT
from bench.records import Record, read_records
from bench.words import NOTHING
from tests.simulated import simulate

SIMULATED = next(record for record in simulate(omegas=(10.0,), groups=(500,)) if record.healthy)


def fit(model: str, ess: float, cpu: float, **more: Any) -> Record:
    """Return a healthy fit on one of the thread's datasets, with an ESS of omega and CPU seconds as given."""
    omega = replace(SIMULATED.quantities["omega"], ess_bulk=ess)
    return replace(SIMULATED, model=model, cpu_seconds=cpu, quantities={"omega": omega}, backend="stanli", **more)


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the rows below a heading."""
    below = page.split(f"### {heading}\n\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in below.splitlines()[2:]]


def test_ratios_are_of_effective_draws_by_cpu_second_with_what_is_drawn_after_sampling() -> None:
    table = cells(
        [
            fit("finite_zerosum_noncentered", 100.0, 10.0),
            fit("centered", 4000.0, 20.0),
            fit("noncentered", 400.0, 1.0),
            fit("marginal", 4000.0, 1.5, derive_seconds=0.5),
            fit("finite_marginal", 3000.0, 1.0, derive_seconds=0.0),
        ]
    )
    assert rows("\n".join(instead(table)), "stanli: ESS of omega by CPU second") == [
        ["10", "500", "**10.0**", "**3,000**", "300", "**400** noncentered", "**2,000**", "5.0"]
    ]
    assert "it gave 300 to 300 times the effective draws" in gain(table)


def test_what_is_not_healthy_has_no_ratio_and_is_not_the_best_of_two() -> None:
    sick = {"health": ["R-hat: 1.2"]}
    table = cells(
        [
            fit("finite_zerosum_noncentered", 5.0, 10.0, **sick),
            fit("centered", 4000.0, 20.0),
            fit("noncentered", 400.0, 1.0, **sick),
            fit("marginal", 4000.0, 2.0, derive_seconds=0.0),
            fit("finite_marginal", 4000.0, 2.0, derive_seconds=0.0),
        ]
    )
    assert rows("\n".join(instead(table)), "stanli: ESS of omega by CPU second") == [
        ["10", "500", "0.500", "**2,000**", NOTHING, "**200** centered", "**2,000**", "10"]
    ]
    assert "`finite_zerosum_noncentered` was healthy in 0 of 1, `finite_marginal` was healthy in 1 of 1" in gain(table)
    assert "were not healthy" not in "\n".join(instead(table))


def test_a_marginal_fit_that_is_not_healthy_is_said_with_its_reason() -> None:
    page = "\n".join(instead(cells([fit("marginal", 900.0, 2.0, health=["7 divergent"])])))
    said = "The marginal forms were not healthy in 1 case (marginal on omega10-G500-n20-s41 by stanli: 7 divergent)"
    assert said in page
    assert ["10", "500", "no fit", "no fit", NOTHING, "neither healthy", "450", NOTHING] in rows(
        page, "stanli: ESS of omega by CPU second"
    )


def test_a_rate_without_a_clock_is_none() -> None:
    cell = Cell((replace(fit("marginal", 900.0, 2.0), cpu_seconds=None),))
    assert rate(cell, "omega") is None


def test_mixing_shows_what_is_ranked_by_its_healthy_fits() -> None:
    fits = [
        fit("centered", ess, 1.0, replicate=i, health=health)
        for i, (ess, health) in enumerate(((1000.0, []), (2000.0, []), (3.0, ["R-hat: 1.1"])))
    ]
    assert rows("\n".join(mixing(cells(fits))), "stanli") == [["10", "500", "3,560", "**1500**"]]


@pytest.mark.slow
def test_the_page_can_be_made_from_the_reference_run() -> None:
    page = thread_page(read_records(ROOT / "reports" / "reference" / "thread"))
    assert "### nutpie: ESS of omega by CPU second" in page
    assert "pm.HalfNormal" in page
    assert str(Path.home()) not in page
