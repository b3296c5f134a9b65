"""Differences between engines taken apart: planted parts are found, and nothing is said where nothing can be."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest

from bench.cells import cells
from bench.comparing.compare import compare_runs
from bench.comparing.crossing import Crossing, crossings, pooled, pooled_over_sources, sentences
from bench.comparing.rows import summarise
from bench.records import Record
from bench.report.contents import Report
from bench.report.figures import Pictures
from bench.report.markdown import markdown
from bench.report.page import render
from tests.simulated import asked, simulate

ENGINES = {
    "stanli": ("stanli", "Stan"),
    "nutpie_stan": ("stanli", "nutpie"),
    "nutpie": ("Numba", "nutpie"),
    "pymc": ("Numba", "PyMC"),
    "numpyro": ("JAX", "NumPyro"),
}
GRADIENT = {"stanli": 1e-6, "Numba": 2.4e-6, "JAX": 5e-6}
"""CPU seconds of a gradient."""
OVERHEAD = {"Stan": 1.0, "nutpie": 1.25, "PyMC": 8.0, "NumPyro": 1.0}
"""By how much a sampler makes a gradient dearer."""
ESS = {"Stan": 0.04, "nutpie": 0.05, "PyMC": 0.02, "NumPyro": 0.04}
"""Effective draws of a gradient."""
TEMPLATE = next(simulate())


def records(noise: float = 0.0, models: tuple[str, ...] = ("centered", "noncentered")) -> Iterator[Record]:
    rng = np.random.default_rng(1)
    for model in models:
        for backend, (gradient, sampler) in ENGINES.items():
            for number in range(4):
                ess = 70_000 * ESS[sampler] * math.exp(noise * rng.normal())
                cpu = 70_000 * GRADIENT[gradient] * OVERHEAD[sampler] * math.exp(noise * rng.normal() / 10)
                changes = {"cpu_seconds": cpu, "min_ess_bulk": ess, "ess_per_gradient": ess / 70_000, "health": []}
                yield replace(
                    TEMPLATE, model=model, backend=backend, gradient=gradient, sampler=sampler, replicate=number,
                    wall_seconds=cpu, ess_per_second=ess / cpu, warmup_gradients=40_000, gradients=30_000, **changes,
                )  # fmt: skip


def by_engine(found: list[Crossing]) -> Mapping[str, Crossing]:
    return {each.b: each for each in found if each.model in ("centered", "")}


def test_planted_parts_are_found_along_the_fewest_steps() -> None:
    found = by_engine(crossings(cells([*records()])))
    assert {name: each.path for name, each in found.items()} == {
        "nutpie_stan": ("stanli", "nutpie_stan"),
        "nutpie": ("stanli", "nutpie_stan", "nutpie"),
        "pymc": ("stanli", "nutpie_stan", "nutpie", "pymc"),
    }  # none leads to NumPyro, which shares neither with any other
    nutpie, pymc = found["nutpie"], found["pymc"]
    assert nutpie.contrasts["gradients"].ratio == pytest.approx(2.4)
    assert nutpie.contrasts["ess"].ratio == pytest.approx(1.25)
    assert nutpie.contrasts["sampler"].ratio == pytest.approx(1.25 / 1.25)  # dearer by as much as it is better
    assert pymc.contrasts["gradients"].ratio == pytest.approx(2.4)
    assert pymc.contrasts["sampler"].ratio == pytest.approx(8 / 0.5)
    for each in found.values():
        assert each.contrasts["whole"].ratio == pytest.approx(
            each.contrasts["gradients"].ratio * each.contrasts["sampler"].ratio
        )
    assert not found["nutpie_stan"].changed("gradients")
    assert found["nutpie_stan"].shown("gradients") == "–"  # noqa: RUF001


def test_intervals_hold_the_planted_parts_and_are_narrow_for_gradients() -> None:
    one = by_engine(crossings(cells([*records(0.2)])))["pymc"]
    of_gradients, of_sampler = one.contrasts["gradients"].interval, one.contrasts["sampler"].interval
    assert of_gradients is not None
    assert of_sampler is not None
    assert of_gradients[0] < 2.4 < of_gradients[1]
    assert of_sampler[0] < 16 < of_sampler[1]
    assert math.log(of_gradients[1] / of_gradients[0]) < math.log(of_sampler[1] / of_sampler[0]) / 3


def test_the_sentence_is_told_from_the_costlier_side() -> None:
    said = {each.b: each.sentence for each in pooled(crossings(cells([*records()])))}
    assert said["pymc"].startswith("over 2 cases: pymc takes 38")
    assert "of the 38 times, 2.4" in said["pymc"]
    turned = {each.b: each.sentence for each in pooled(crossings(cells([*records()]), "pymc"))}
    assert turned["stanli"] == said["pymc"]
    assert "all of it for its sampler" in turned["nutpie"]
    other = {each.b: each.sentence for each in pooled(crossings(cells([*records()]), "nutpie"))}
    assert "nutpie takes 2.4" in other["nutpie_stan"]
    assert "all of it for its gradients" in other["nutpie_stan"]


def test_one_replicate_gives_parts_without_intervals() -> None:
    every = crossings(cells([record for record in records() if record.replicate == 0]))
    found = by_engine(every)
    assert found["nutpie"].contrasts["gradients"].interval is None
    assert sentences(every, [])[-1].startswith("how sure that is can't be told from so few replicates")
    table = cells([*records(0.1)])
    assert "replicates" not in " ".join(sentences(crossings(table), table))
    assert found["nutpie"].shown("gradients") == "2.40"


@pytest.mark.parametrize(
    "changes", [{"health": ["R-hat: 1.2"]}, {"gradient": "", "sampler": ""}, {"cpu_seconds": None}],
    ids=["unhealthy", "an older record", "no clock"],
)  # fmt: skip
def test_no_step_leads_over_what_may_not_be_counted(changes: dict[str, object]) -> None:
    changed = [replace(r, **changes) if r.backend == "nutpie_stan" else r for r in records()]  # type: ignore[arg-type]
    assert crossings(cells(changed)) == []


def test_an_engine_that_no_step_leads_to_is_named() -> None:
    table = cells([*records()])
    said = sentences(crossings(table), table)
    assert said[-1].startswith("numpyro shares neither gradients nor sampler with another engine here")
    linked = [cell for cell in table if cell.backend != "numpyro"]
    assert not any("neither" in sentence for sentence in sentences(crossings(linked), linked))


def test_a_replicate_of_two_machines_is_left_out() -> None:
    there = {**TEMPLATE.environment, "machine": "there"}
    here = {**TEMPLATE.environment, "machine": "here"}
    made = [
        replace(r, environment=there if (r.backend, r.replicate) == ("nutpie_stan", 3) else here) for r in records(0.2)
    ]
    assert {len(each.rounds["whole"][0]) for each in crossings(cells(made))} == {3}


def test_a_replicate_that_one_engine_lacks_is_left_out_for_all() -> None:
    some = [r for r in records(0.2) if (r.backend, r.replicate) != ("nutpie_stan", 3)]
    assert {len(each.rounds["whole"][0]) for each in crossings(cells(some))} == {3}


def test_the_page_the_markdown_the_picture_and_the_comparison_say_it() -> None:
    made = [*records(0.1)]
    report = Report.of(made, [asked()])
    sentence = by_engine(pooled(report.crossings))["pymc"].sentence
    assert "Where a difference comes from" in render(report)
    assert sentence[1:] in render(report)
    assert "stanli → nutpie\\_stan → nutpie → pymc" in markdown(report)
    assert report.figures[0].id == "crossing"
    assert sentence in compare_runs(made, by="backend").notes
    assert sentence not in compare_runs(made, by="model").notes
    assert len(report.crossing_lines) == 6


def test_nothing_is_said_where_nothing_can_be() -> None:
    made = [*simulate()]
    report = Report.of(made, [asked()])
    assert report.crossings == []
    assert "Where a difference comes from" not in render(report)
    assert Pictures(summarise(made)).crossing([]) == []


def test_a_source_of_data_counts_once_and_so_does_a_case_of_two_runs() -> None:
    def of(dataset: str, run: str, dearer: float) -> list[Record]:
        return [
            replace(r, family="posteriordb", dataset=dataset, run=run, cpu_seconds=(r.cpu_seconds or 0) * times)
            for r in records(models=("centered",))
            if r.backend in ("stanli", "nutpie_stan")
            for times in [dearer if r.backend == "nutpie_stan" else 1.0]
        ]

    radon = [*of("radon_a", "a", 1.0), *of("radon_a", "b", 9.0), *of("radon_b", "a", 3.0)]
    found = crossings(summarise([*radon, *of("dogs", "a", 3.0)]))
    (one,) = pooled_over_sources(found)
    assert (one.cases, one.of) == (2, "sources of data")
    logs = [
        math.log(each.contrasts["whole"].ratio)
        for each in pooled_over_sources(crossings(summarise(of("dogs", "a", 1.0))))
    ]
    assert one.contrasts["whole"].mean == pytest.approx(logs[0] + math.log(3.0))
    (alone,) = pooled_over_sources(crossings(summarise(radon)))
    assert "over 1 source of data" in alone.sentence
    assert "few sources of data" in sentences(crossings(summarise(radon)), [], by_source=True)[-1]
