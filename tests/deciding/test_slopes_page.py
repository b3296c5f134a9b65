"""The page on varying slopes: its figures are those of the records, its picture that of the data."""

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from bench.cells import cells
from bench.deciding.slopes_page import instead, mixing, picture
from bench.families.varying_slopes.data import grid
from bench.families.varying_slopes.forms import FORMS
from bench.records import Record
from bench.words import NOTHING
from tests.deciding.test_thread_page import rows
from tests.simulated import simulate

SIMULATED = replace(
    next(record for record in simulate(omegas=(10.0,), groups=(50,)) if record.healthy),
    family="varying_slopes",
    backend="stanli",
    dataset=grid("groups")[1].id,
)


def fit(model: str, ess: float, cpu: float, **more: Any) -> Record:
    """Return a healthy fit with a smallest ESS and CPU seconds as given, half of them of warm-up."""
    given = {"gradients": 100, "warmup_gradients": 100, "min_ess_bulk": ess, "cpu_seconds": cpu, **more}
    return replace(SIMULATED, model=model, target=FORMS[model].target, **given)


def test_the_best_other_form_is_a_healthy_one_of_the_same_posterior() -> None:
    table = cells(
        [
            fit("marginal", 4000.0, 2.0),
            fit("centered", 800.0, 4.0),
            fit("noncentered", 800.0, 1.0, health=["R-hat: 1.2"]),
            fit("between_marginal", 4000.0, 1.0),
        ]
    )
    # 400 effective draws: all of warm-up and a tenth of the draws, and all of warm-up and half of the draws
    assert rows("\n".join(instead(table)), "stanli: smallest ESS by CPU second") == [
        ["50", "**200** centered", "**2,000**", "10", "3.0", "1.1"]
    ]


def test_where_nothing_is_healthy_nothing_is_named() -> None:
    stopped = fit("marginal", 1.0, 1.0, status="timeout", min_ess_bulk=None)
    table = cells([stopped, fit("centered", 8.0, 4.0, health=["R-hat: 1.2"])])
    assert rows("\n".join(instead(table)), "stanli: smallest ESS by CPU second") == [
        ["50", "none healthy", "stopped", NOTHING, NOTHING, NOTHING]
    ]
    assert rows("\n".join(mixing(table)), "stanli: smallest ESS") == [["50", "stopped", "8"]]


def test_in_the_picture_every_group_falls_and_the_line_through_all_rises() -> None:
    drawn = ElementTree.fromstring(picture())
    slopes: dict[str, list[float]] = {"line": [], "bold": []}
    for path in drawn.iter("{http://www.w3.org/2000/svg}path"):
        if (kind := path.get("class", "")) in slopes:
            x0, y0, x1, y1 = map(float, re.findall(r"[-\d.]+", path.get("d", "")))
            slopes[kind].append((y1 - y0) / (x1 - x0))
    assert len(slopes["line"]) == grid("groups")[0].n_groups
    assert all(slope > 0 for slope in slopes["line"])  # pixels count downwards
    assert [slope < 0 for slope in slopes["bold"]] == [True]
    marks = [path for path in drawn.iter("{http://www.w3.org/2000/svg}path") if path.get("class") == "dot"]
    assert len(marks) == len(grid("groups")[0].y)
