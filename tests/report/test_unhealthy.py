"""Pages on unhealthy cases whose draws were kept, with ArviZ's own pictures."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray

from bench.cli import main
from bench.comparing.aa import simulated_record
from bench.records import Journal, Record
from bench.report.unhealthy import PLOTS, links, picture, read_worst, worst_fits
from tests.simulated import HOSTILE, asked

SICK = ["R-hat: 1.3", "bulk ESS: 12"]


def keep(folder: Path, stem: str, constant: bool = False) -> str:
    """Write draws of a scalar and an array whose second element is stuck in each chain, as a run keeps them."""
    rng = np.random.default_rng(1)
    theta = rng.normal(size=(4, 200, 2))
    theta[..., 1] = 0.01 * theta[..., 1] + np.arange(4)[:, None]
    scalar = np.ones((4, 200)) if constant else rng.normal(size=(4, 200))
    posterior = {"mu": (("chain", "draw"), scalar)}
    if not constant:
        posterior["theta"] = (("chain", "draw", "theta_0"), theta)  # type: ignore[assignment]
    path = folder / "draws" / f"{stem}.nc"
    path.parent.mkdir(parents=True, exist_ok=True)
    xarray.Dataset(posterior).to_netcdf(path, group="posterior", engine="h5netcdf")
    stats = {"diverging": (("chain", "draw"), rng.random((4, 200)) < 0.02)}
    xarray.Dataset(stats).to_netcdf(path, mode="a", group="sample_stats", engine="h5netcdf")
    return f"draws/{stem}.nc"


def made(**changes: object) -> Record:
    values = {"run": "r", "health": SICK, "min_ess_bulk": 12.0, "min_ess_of": "theta[1]"}
    return simulated_record(**{**values, **changes})  # type: ignore[arg-type]


def test_the_worst_fit_of_each_unhealthy_case_is_taken() -> None:
    records = [
        made(replicate=0, min_ess_bulk=30.0, draws_file="draws/a-0.nc"),
        made(replicate=1, min_ess_bulk=12.0, draws_file="draws/a-1.nc"),
        made(replicate=2, min_ess_bulk=1.0),  # its draws were not kept
        made(model="noncentered", health=[], draws_file="draws/b-0.nc"),
    ]
    assert [(row.model, record.replicate) for row, record in worst_fits(records)] == [("centered", 1)]


def test_the_element_that_the_record_names_is_read_and_else_the_slowest(tmp_path: Path) -> None:
    path = tmp_path / keep(tmp_path, "a")
    name, draws, divergent = read_worst(path, made())
    assert name == "theta[1]"
    assert draws.shape == divergent.shape == (4, 200)
    assert draws.mean(axis=1) == pytest.approx(np.arange(4), abs=0.01)
    derived = read_worst(path, made(min_ess_of="population_mean"))
    assert derived[0] == "theta[1]"


@pytest.mark.parametrize(
    "title", [pytest.param(title, marks=[pytest.mark.slow] if i else []) for i, title in enumerate(PLOTS)]
)
def test_each_picture_is_drawn(title: str) -> None:
    rng = np.random.default_rng(2)
    found = picture(title, "theta[1]", rng.normal(size=(4, 200)), rng.random((4, 200)) < 0.02)
    assert not found.problem
    assert base64.b64decode(found.source.partition(",")[2]).startswith(b"\x89PNG")


def test_what_can_not_be_drawn_says_why() -> None:
    words = np.full((4, 200), "no number")
    found = picture("Effective draws", "x", words, np.zeros((4, 200), dtype=bool))  # type: ignore[arg-type]
    assert not found.source
    assert found.problem


def test_the_command_makes_pages_once_and_links_to_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs" / "r"
    journal = Journal(folder, {**asked("r"), "run": "r"})
    journal.append(made(dataset="sick", draws_file=keep(folder, "sick"), health=[*SICK, HOSTILE]))
    journal.append(made(dataset="lost", draws_file="draws/lost.nc"))
    journal.append(replace(made(dataset="well", draws_file=keep(folder, "well")), health=[]))
    journal.close()
    assert main(["report", "r", "--runs", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    assert "[1/2] pictures of sick centered on cmdstan" in said
    assert "lost.nc can't be read" in said
    pages = list((folder / "unhealthy").iterdir())
    assert [page.name for page in pages] == ["sick.html"]
    assert links(folder, journal.records) == [("sick: centered on cmdstan", "unhealthy/sick.html")]
    assert 'href="unhealthy/sick.html"' in (folder / "index.html").read_text(encoding="utf-8")
    text = pages[0].read_text(encoding="utf-8")
    assert text.count('src="data:image/png;base64,') == 3
    assert "R-hat: 1.3; bulk ESS: 12" in text
    assert "<script>document" not in text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text)
    assert main(["report", "r", "--runs", str(tmp_path / "runs")]) == 0
    assert "[1/1] pictures of lost" in capsys.readouterr().out
