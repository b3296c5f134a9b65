"""A checkout of posteriordb: what is found, what is read when, and what every bad part of it is told."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.correctness.grading import grade
from bench.families import posteriordb
from bench.families.base import DataError
from bench.families.posteriordb import Checkout, known_names
from tests.families.checkout import DATA, LINE, LINE_PYMC, LINE_STAN, PYMC, STAN, add, checkout, coin_draws, zipped


@pytest.mark.parametrize("within", ["", "posterior_database"])
def test_a_checkout_is_a_family_for_each_posterior(tmp_path: Path, within: str) -> None:
    found = Checkout.read(checkout(tmp_path) / within)
    assert list(found.entries) == ["coin-fair", "coin-lies", "points-line"]
    assert found.left_out == {}
    entry = found.entries["points-line"]
    (model,), (target,), (dataset,) = entry.models.values(), entry.targets.values(), entry.datasets(entry.grids[0])
    assert (entry.name, dataset.id, model.name, model.target) == ("posteriordb", "points", "line", "points-line")
    assert f"{dataset.id}-{model.name}" == entry.posterior == target.name
    assert model.stan is not None
    assert model.pymc is not None
    assert (model.stan.code, model.pymc.code) == (LINE_STAN, LINE_PYMC)
    assert (dict(dataset.sizes), dataset.values) == ({}, 13)
    assert entry.kind == "other"
    assert found.notes() == ["2 of 3 posteriors have no reference draws: there, engines are held against each other"]


def test_zipped_data_are_read_when_they_are_asked_for_and_few_are_kept(tmp_path: Path) -> None:
    root = checkout(tmp_path) / "posterior_database"
    for number in range(5):
        add(root, f"coin{number}-fair", data={"n": 20, "heads": number})
    posteriordb._read_data.cache_clear()
    entries = Checkout.read(tmp_path).entries
    assert posteriordb._read_data.cache_info().currsize == 0
    data = {name: dict(entry.dataset.data) for name, entry in entries.items()}
    assert posteriordb._read_data.cache_info().currsize <= 2
    assert data["coin-fair"] == DATA
    assert data["coin3-fair"] == {"n": 20, "heads": 3}
    assert data["points-line"]["y"].tolist() == LINE["y"]
    digests = [entry.dataset.digest for entry in entries.values()]
    assert len(set(digests)) == len(digests) - 1  # coin is there twice
    assert entries["coin-fair"].dataset.digest == entries["coin-lies"].dataset.digest


def test_a_worker_is_given_values(tmp_path: Path) -> None:
    dataset = Checkout.read(checkout(tmp_path)).entries["coin-fair"].dataset
    assert type(pickle.loads(pickle.dumps(dataset.data))) is dict
    assert len(dataset.data) == 2
    assert dataset.data["heads"] == 7


def test_programs_are_not_executed(tmp_path: Path) -> None:
    root = checkout(tmp_path) / "posterior_database"
    add(root, "coin-trap", pymc="raise SystemExit('executed')")
    assert "coin-trap" in Checkout.read(tmp_path).entries


def test_posteriors_are_chosen_by_name(tmp_path: Path) -> None:
    found = Checkout.read(checkout(tmp_path), "points-line, coin-fair")
    assert list(found.entries) == ["points-line", "coin-fair"]


def test_reference_draws_are_the_truth_of_derived_quantities_too(tmp_path: Path) -> None:
    entries = Checkout.read(checkout(tmp_path)).entries
    fair, line = entries["coin-fair"], entries["points-line"]
    truth = fair.truth("coin-fair", fair.dataset)
    assert truth is not None
    assert truth is fair.truth("coin-fair", fair.dataset)  # read once
    assert (truth.kind, truth.source, list(truth.names)) == (
        "reference draws",
        "coin-fair.json.zip",
        ["rate", "odds"],
    )
    rates = np.random.default_rng(2).beta(9, 15, (4, 1000))
    assert not grade({"rate": rates, "odds": rates / (1 - rates)}, truth).biased
    assert grade({"rate": rates, "odds": 1.1 * rates / (1 - rates)}, truth).biased
    assert line.truth("points-line", line.dataset) is None


def test_indices_of_reference_draws_count_from_zero(tmp_path: Path) -> None:
    draws = [{"beta[1]": [1.0, 2.0, 1.5, 2.5], "beta[2]": [3.0, 4.0, 3.5, 4.5]}] * 2
    add(tmp_path, "points-line", LINE_STAN, LINE_PYMC, LINE, draws)
    (entry,) = Checkout.read(tmp_path).entries.values()
    truth = entry.truth("points-line", entry.dataset)
    assert truth is not None
    assert list(truth.names) == ["beta[0]", "beta[1]"]


def test_reference_draws_that_are_broken_are_told_when_they_are_asked_for(tmp_path: Path) -> None:
    add(tmp_path, "coin-fair", draws="[7]")
    (entry,) = Checkout.read(tmp_path).entries.values()
    with pytest.raises(DataError, match=r"coin-fair\.json\.zip holds no reference draws"):
        entry.truth("coin-fair", entry.dataset)


def test_data_that_are_no_data_block_are_told_when_they_are_asked_for(tmp_path: Path) -> None:
    add(tmp_path, "coin-fair", data="[1, 2]")
    (entry,) = Checkout.read(tmp_path).entries.values()
    with pytest.raises(DataError, match=r"coin\.json\.zip holds a list; give an object"):
        len(entry.dataset.data)


# Names


def test_known_names_are_applied_by_model(tmp_path: Path) -> None:
    add(tmp_path, "anything-hmm_drive_1")
    add(tmp_path, "anything-nes_logit_model")
    hmm, nes = (entry.model for entry in Checkout.read(tmp_path).entries.values())
    assert (hmm.renamed, hmm.axes) == ({"lambda": "lambda_"}, {})
    assert hmm.unconstrained == {"theta1": "theta1_raw", "theta2": "theta2_raw"}
    assert (nes.renamed, nes.axes, nes.unconstrained) == ({}, {"beta": []}, {})


def test_names_toml_says_nothing_unknown() -> None:
    assert known_names()
    for model, said in known_names().items():
        assert set(said) <= {"names", "axes", "unconstrained"}, model
        for key in ("names", "unconstrained"):
            assert all(isinstance(value, str) for value in said.get(key, {}).values())
        assert all(isinstance(value, list) for value in said.get("axes", {}).values())


# Kinds


def test_kinds_are_read_from_keywords_and_titles(tmp_path: Path) -> None:
    root = checkout(tmp_path) / "posterior_database"
    info = root / "models" / "info"
    info.mkdir()
    said = {"fair": {"keywords": "hiearchical"}, "lies": {"keywords": ["ARM"], "title": "A State-Space Time Series"}}
    for model, words in said.items():
        (info / f"{model}.info.json").write_text(json.dumps(words))
    (info / "line.info.json").write_text("{")  # what decides no number leaves nothing out
    kinds = {name: entry.kind for name, entry in Checkout.read(tmp_path).entries.items()}
    assert kinds == {"coin-fair": "hierarchical", "coin-lies": "time series", "points-line": "other"}


# Bad input: one line each, and the rest goes on


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[45] ^= 255
    path.write_bytes(bytes(content))


def no_zip(path: Path) -> None:
    path.write_text('{"n": 20, "heads": 7}')


def two_files(path: Path) -> None:
    zipped(path, DATA)
    from zipfile import ZipFile

    with ZipFile(path, "a") as archive:
        archive.writestr("other.json", "{}")


@pytest.mark.parametrize(
    ("file", "break_", "said"),
    [
        ("data/data/bad.json.zip", Path.unlink, r"no data \(data/data/bad\.json\.zip: no such file\)"),
        ("data/data/bad.json.zip", cut, r"bad\.json\.zip is a broken zip"),
        ("data/data/bad.json.zip", flip, r"bad\.json\.zip is a broken zip"),
        ("data/data/bad.json.zip", no_zip, r"bad\.json\.zip is a broken zip \(File is not a zip file\)"),
        ("data/data/bad.json.zip", two_files, r"bad\.json\.zip holds 2 files"),
        ("models/stan/worse.stan", Path.unlink, "no Stan program"),
        ("models/pymc/worse.py", Path.unlink, "no PyMC program"),
        ("posteriors/bad-worse.json", cut, r"bad-worse\.json is not readable as JSON"),
        ("posteriors/bad-worse.json", lambda path: path.write_text("[]"), r"bad-worse\.json holds no JSON object"),
        ("posteriors/bad-worse.json", lambda path: path.write_text("{}"), "model_name is None; a name of letters"),
        (
            "posteriors/bad-worse.json",
            lambda path: path.write_text('{"model_name": "../x", "data_name": "bad"}'),
            None,
        ),
    ],
)
def test_a_broken_posterior_is_left_out_with_its_reason(
    tmp_path: Path, file: str, break_: Callable[[Path], object], said: str | None
) -> None:
    root = checkout(tmp_path) / "posterior_database"
    add(root, "bad-worse")
    break_(root / file)
    found = Checkout.read(tmp_path)
    assert list(found.entries) == ["coin-fair", "coin-lies", "points-line"]
    (reason,) = found.left_out.values()
    assert "\n" not in reason
    assert found.notes()[0] == f"without bad-worse: {reason}"
    if said is not None:
        with pytest.raises(DataError, match=f"nothing to compare: .*{said}"):
            Checkout.read(tmp_path, "bad-worse")


@pytest.mark.parametrize("name", ["a b", "a/../b", "a\nb", "", 7, None])
def test_names_that_could_not_stand_in_ids(tmp_path: Path, name: object) -> None:
    checkout(tmp_path)
    index = {"model_name": name, "data_name": "coin"}
    (tmp_path / "posterior_database" / "posteriors" / "odd-one.json").write_text(json.dumps(index))
    assert "a name of letters" in Checkout.read(tmp_path).left_out["odd-one"]


def test_posteriors_with_the_same_fault_share_a_line(tmp_path: Path) -> None:
    root = checkout(tmp_path) / "posterior_database"
    add(root, "coin-stanonly", pymc=None)
    add(root, "coin-stantoo", pymc=None)
    assert Checkout.read(tmp_path).notes()[0] == "without coin-stanonly, coin-stantoo: no PyMC program"


def test_what_is_no_posteriordb_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", Path(__file__)):
        with pytest.raises(DataError, match=r"is no posteriordb; give the folder that holds posterior_database/"):
            Checkout.read(path)
    (tmp_path / "posteriors").mkdir()
    with pytest.raises(DataError, match="nothing to compare: it has no posteriors"):
        Checkout.read(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("coin-fare", "no posterior coin-fare; there are 3, among them coin-fair, coin-lies, points-line"),
        ("coin-fair,zzz", "no posterior zzz; there are 3, among them coin-fair, coin-lies, points-line"),
        (" , ", "--posterior is ' , '; give names, separated by commas, e.g. coin-fair"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_ones(tmp_path: Path, names: str, said: str) -> None:
    with pytest.raises(DataError) as error:
        Checkout.read(checkout(tmp_path), names)
    assert str(error.value) == said


def test_the_draws_of_the_fixture_are_those_of_its_posterior() -> None:
    rates = np.array([chain["rate"] for chain in coin_draws()])
    assert rates.shape == (10, 1000)
    assert rates.mean() == pytest.approx(9 / 24, abs=0.01)
    assert "beta(2, 2)" in STAN
    assert '"rate", 2, 2' in PYMC
