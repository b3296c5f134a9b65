"""`hierbench calibrate`: what was simulated is never made again, here or on a cluster; the page says what it means."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.deciding import calibrate as module
from bench.deciding.calibrate import JOURNAL, Subject, calibrate_all, outcome, picture, write_page
from bench.families.registry import FAMILIES
from bench.records import RunError
from bench.running.calibration import RANKED, Calibration, calibrate
from bench.running.isolation import WorkerError
from bench.settings import Limits, Settings
from tests.running.jobs import Outside

QUICK = Settings(chains=2, warmup=200, draws=200, target_accept=0.9, cores=2)
STANLI, MEANS = BACKENDS["stanli"], FAMILIES["normal_means"]
SUBJECTS: list[Subject] = [(MEANS, MEANS.models[name], STANLI) for name in ("centered", "marginal")]


def ranks(found: Sequence[Calibration]) -> list[dict[str, list[int]]]:
    return [{name: values.tolist() for name, values in each.ranks.items()} for each in found]


def made(folder: Path, simulations: int, dask: str | None = None) -> list[Calibration]:
    return list(calibrate_all(SUBJECTS, simulations, 1, folder, print, dask=dask, settings=QUICK))


def test_a_calibration_that_was_stopped_goes_on_and_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(tmp_path / "whole", 3)
    direct = [calibrate(*subject, 3, settings=QUICK) for subject in SUBJECTS]
    assert ranks(whole) == ranks(direct)
    real, asked = module.ranks_of, []

    def stops(*given: object) -> dict[str, int]:
        asked.append(given[3])
        if len(asked) == 5:
            raise WorkerError("the machine is on fire")
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "ranks_of", stops)
    with pytest.raises(RunError, match=r"marginal on stanli, simulation 1: the machine is on fire\nWhat was simulated"):
        made(tmp_path / "stopped", 3)
    with (tmp_path / "stopped" / JOURNAL).open("a") as journal:
        journal.write('{"family": "normal_means", "ran')  # as a power cut leaves it
    assert ranks(made(tmp_path / "stopped", 3)) == ranks(whole)
    assert asked == [(1, 0), (1, 1), (1, 2), (1, 0), (1, 1), (1, 1), (1, 2)]
    made(tmp_path / "stopped", 2)
    assert len(asked) == 7


def test_ranks_of_another_seed_program_or_version_do_not_count(tmp_path: Path) -> None:
    made(tmp_path, 1)
    lines = [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()]
    assert [line["model"] for line in lines] == ["centered", "marginal"]
    list(calibrate_all(SUBJECTS[:1], 1, 2, tmp_path, print, settings=QUICK))
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 3


def test_a_fit_that_takes_too_long_is_stopped_and_what_to_type_is_said(tmp_path: Path) -> None:
    long = Settings(chains=2, warmup=1000, draws=2_000_000, target_accept=0.9, cores=2)
    with pytest.raises(
        RunError, match=r"simulation 0: \w+ took longer than 4 s on .* cores and was stopped; .* --fit-timeout 16"
    ):
        list(calibrate_all(SUBJECTS, 1, 1, tmp_path, print, settings=long, allowed=Limits(4.0)))


@pytest.mark.slow
def test_on_a_cluster_ranks_are_the_same_and_what_a_lost_client_left_stays(outside: Outside, tmp_path: Path) -> None:
    outside.scheduler()
    outside.worker()
    here = made(tmp_path / "here", 4)
    there = calibrate_all(SUBJECTS, 4, 1, tmp_path / "there", print, dask=outside.address, settings=QUICK)
    next(there)
    there.close()  # as if the client had been stopped after the first model
    before = (tmp_path / "there" / JOURNAL).read_text().splitlines()
    assert 4 <= len(before) <= 7
    assert ranks(made(tmp_path / "there", 4, outside.address)) == ranks(here)
    after = (tmp_path / "there" / JOURNAL).read_text().splitlines()
    assert after[: len(before)] == before
    assert len(after) == 8


def calibrated(backend: str, *, right: bool = True) -> Calibration:
    rng = np.random.default_rng(0)
    of = {name: rng.integers(0, RANKED + 1, 50) for name in ("mu", "sigma")}
    return Calibration("normal_means centered", backend, of if right else {**of, "mu": of["mu"] // 4})


def test_the_page_says_whether_anything_is_wrong_and_what_is_not_known(tmp_path: Path) -> None:
    page = write_page(tmp_path, [calibrated("stanli")], [STANLI], 1).read_text()
    assert "**Nothing is wrong as far as 2 tests can tell" in page
    assert "It is not known for normal_means centered, where such a sampler would pass." in page
    assert f"stanli {STANLI.versions()['stanli']}" in page
    assert (tmp_path / "ranks.png").exists()
    said, wrong = outcome([calibrated("stanli"), calibrated("pymc", right=False)])
    assert wrong
    assert said.startswith("Not right: normal_means centered on pymc (smallest p-value")


@pytest.mark.parametrize("names", [("mu", "sigma", "omega", "mu_g[0]"), tuple(f"theta[{i}]" for i in range(9))])
def test_the_picture_is_drawn(tmp_path: Path, names: Sequence[str]) -> None:
    rng = np.random.default_rng(0)
    ranks = {name: rng.integers(0, RANKED + 1, 50) for name in names}
    path = tmp_path / "folder" / "picture.png"
    made = [("centered", "stanli"), ("noncentered", "pymc"), ("centered", "pymc")]
    picture([Calibration(*which, ranks) for which in made], path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_model_that_is_wrong_is_found_among_all_models_and_backends() -> None:
    right = [Calibration(f"right {i}", "stanli", {"mu": np.arange(100) % (RANKED + 1)}) for i in range(400)]
    assert not outcome(right)[1]
    said, wrong = outcome([*right, Calibration("wrong", "stanli", {"mu": np.zeros(100, dtype=np.int64)})])
    assert wrong
    assert said.startswith("Not right: wrong on stanli ")
