"""A reader's own pair: what is read, and what every bad input is told."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backends.pymc_program import build
from bench.backends.stanli import Stanli
from bench.correctness.grading import grade
from bench.families.base import DataError, data_digest
from bench.families.pair import Pair, read_data, read_draws, read_options

STAN = "data { int N; vector[N] y; } parameters { real mu; } model { mu ~ std_normal(); y ~ normal(mu, 1); }\n"
PYMC = """
def build(data):
    with pm.Model() as model:
        centre = pm.Normal("centre", 0, 1)
        pm.Normal("y", centre, 1, observed=data["y"])
    return model
"""
DATA = {"N": 3, "y": [0.5, 1.5, 2.0]}


def write(folder: Path, **files: str | object) -> Path:
    """Write files by their stem: `stan`, `py`, `json`, `toml`."""
    names = {"stan": "model.stan", "py": "model.py", "json": "data.json", "toml": "pair.toml"}
    folder.mkdir(exist_ok=True)
    for kind, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / names[kind]).write_text(text, encoding="utf-8")
    return folder


def test_a_folder_is_a_family_of_one_model_and_one_dataset(tmp_path: Path) -> None:
    pair = Pair.read(write(tmp_path / "my pair", stan=STAN, py=PYMC, json=DATA))
    (model,), (target,), (dataset,) = pair.models.values(), pair.targets.values(), pair.datasets(pair.grids[0])
    assert (pair.name, pair.grids) == ("pair", ("my_pair",))
    assert (model.name, model.target, target.name) == ("pair", "my_pair", "my_pair")
    assert model.stan is not None
    assert model.pymc is not None
    assert (model.stan.code, model.pymc.code) == (STAN, PYMC)
    assert (dataset.id, dict(dataset.sizes), dataset.values) == ("my_pair", {}, 4)
    assert dataset.digest == data_digest({"N": 3, "y": np.array(DATA["y"])})
    assert target.quantities == target.headline == ()
    assert pair.target(model) is target
    assert pair.truth(target.name, dataset) is None
    assert (model.renamed, model.axes) == ({}, {})


def test_both_languages_are_given_the_data_as_they_are_read(tmp_path: Path) -> None:
    pair = Pair.read(write(tmp_path / "p", stan=STAN, py=PYMC, json=DATA))
    (model,), (dataset,) = pair.models.values(), pair.datasets("p")
    assert Stanli().prepare(model, dataset.data).description.parameters == {"mu": ()}
    assert model.pymc is not None
    assert [rv.name for rv in build(model.pymc, dataset.data).free_RVs] == ["centre"]


@pytest.mark.parametrize("missing", ["stan", "py"])
def test_one_program_may_be_missing(tmp_path: Path, missing: str) -> None:
    files: dict[str, Any] = {"stan": STAN, "py": PYMC, "json": DATA}
    del files[missing]
    (model,) = Pair.read(write(tmp_path / "p", **files)).models.values()
    assert (model.stan is None, model.pymc is None) == (missing == "stan", missing == "py")


def test_without_data_programs_are_given_none(tmp_path: Path) -> None:
    pair = Pair.read(write(tmp_path / "p", stan="parameters { real a; } model { }"))
    (dataset,) = pair.datasets("p")
    assert dataset.data == {}


def test_files_may_lie_anywhere_and_come_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name, text in (("a model.stan", STAN), ("deep/other.py", PYMC), ("numbers.json", json.dumps(DATA))):
        (tmp_path / name).write_text(text)
    files = [tmp_path / name for name in ("numbers.json", "deep/other.py", "a model.stan")]
    pair = Pair.of(files)
    assert pair.grids == ("a_model",)
    assert Pair.of(files, "Mine: 1").grids == ("Mine_1",)
    (model,) = pair.models.values()
    assert model.stan is not None
    assert model.pymc is not None


def test_the_folder_one_stands_in_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path / "here", stan=STAN, json=DATA))
    assert Pair.read(Path()).grids == ("here",)


OPTIONS = """
quantities = ["mu", "theta"]
headline = ["mu"]

[names]
mu = "centre"

[axes]
theta = [1, 0]

[unconstrained]
sigma = "sigma_log"
"""


def test_options_of_pair_toml(tmp_path: Path) -> None:
    pair = Pair.read(write(tmp_path / "p", stan=STAN, py=PYMC, json=DATA, toml=OPTIONS))
    (model,), (target,) = pair.models.values(), pair.targets.values()
    assert (target.quantities, target.headline) == (("mu", "theta"), ("mu",))
    assert (dict(model.renamed), dict(model.axes)) == ({"mu": "centre"}, {"theta": [1, 0]})
    assert model.unconstrained == {"sigma": "sigma_log"}
    plain = Pair.read(write(tmp_path / "q", stan=STAN, py=PYMC, json=DATA))
    assert model.digest != next(iter(plain.models.values())).digest


def test_reference_draws_are_its_truth(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    chains = [{"mu": rng.normal(1, 0.5, 500).tolist(), "theta[1]": rng.normal(size=500).tolist(),
               "L[2,1]": rng.normal(size=500).tolist()} for _ in range(4)]  # fmt: skip
    folder = write(tmp_path / "p", stan=STAN, json=DATA, toml='reference = "draws.json"')
    (folder / "draws.json").write_text(json.dumps(chains))
    pair = Pair.read(folder)
    (dataset,) = pair.datasets("p")
    truth = pair.truth("p", dataset)
    assert truth is not None
    assert truth is pair.truth("p", dataset)  # read once
    assert (truth.kind, truth.source) == ("reference draws", "draws.json")
    assert list(truth.names) == ["mu", "theta[0]", "L[1,0]"]  # counted from 0
    assert truth.known("mu")["mean"] == pytest.approx(np.mean([chain["mu"] for chain in chains]))
    assert not grade({"mu": rng.normal(1, 0.5, (4, 1000))}, truth).biased
    assert grade({"mu": rng.normal(1.3, 0.5, (4, 1000))}, truth).biased


def test_reference_draws_that_are_missing_or_bad_are_told_before_anything_is_sampled(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", stan=STAN, json=DATA, toml='reference = "draws.json"')
    with pytest.raises(DataError, match=r"draws\.json: no such file"):
        Pair.read(folder)
    (folder / "draws.json").write_text('[{"mu": [1, 2, NaN, 4]}]')
    with pytest.raises(DataError, match=r"draws\.json: draw 3 of mu in chain 1 is nan"):
        Pair.read(folder)


def test_names_that_no_program_has_are_told(tmp_path: Path) -> None:
    toml = 'quantities = ["mu", "tua"]\nheadline = ["tua", "x"]\nreference = "draws.json"'
    folder = write(tmp_path / "p", stan=STAN, json=DATA, toml=toml)
    (folder / "draws.json").write_text('[{"nu[1]": [1, 2, 3, 4], "nu[2]": [1, 2, 3, 4]}]')
    pair = Pair.read(folder)
    assert pair.lacking(["mu", "tau"]) == "pair.toml asks for tua, x, and the programs have mu, tau"
    assert pair.lacking(["mu", "tua", "x"]) == "draws.json holds draws of nu, and the programs have mu, tua, x"
    assert pair.lacking(["mu", "tua", "x", "nu"]) == ""


# Data


def test_lists_become_arrays_that_are_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text('{"n": 3, "x": 2.5, "whole": [1, 2], "real": [1, 2.5], "table": [[1, 2], [3, 4]], "none": []}')
    data = read_data(path)
    assert (type(data["n"]), type(data["x"])) == (int, float)
    assert {name: data[name].dtype.kind for name in ("whole", "real", "table", "none")} == {
        "whole": "i", "real": "f", "table": "i", "none": "f",
    }  # fmt: skip
    assert data["table"].shape == (2, 2)
    with pytest.raises(ValueError, match="read-only"):
        data["whole"][0] = 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not readable as JSON .*; give an object of names and values"),
        ("{", "is not readable as JSON"),
        ("[1, 2]", "holds a list; give an object of names and values"),
        ("7", "holds a int; give an object"),
        ("null", "holds a NoneType; give an object"),
        ('{"y": "text"}', 'y is "text"; give a number or a list of numbers'),
        ('{"y": null}', "y is null; give a number"),
        ('{"y": true}', "y is true; give a number"),
        ('{"y": {"a": 1}}', 'y is {"a": 1}; give a number'),
        ('{"y": [1, "two"]}', "y holds something that is not a number; give numbers alone"),
        ('{"y": [1, null]}', "y holds something that is not a number"),
        ('{"y": [true, false]}', "y holds something that is not a number"),
        ('{"y": [[1, 2], [3]]}', "the rows of y differ in length; give rows of one length"),
        ('{"y": [1, [2]]}', "the rows of y differ in length"),
    ],
)
def test_data_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        read_data(path)
    assert "data.json" in str(caught.value)


def test_data_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_bytes(b"\xff\xfe\x81")
    with pytest.raises(DataError, match=r"data\.json is not readable as JSON"):
        read_data(tmp_path / "data.json")


# Options


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names = ", r"pair\.toml is not readable as TOML"),
        (
            "colour = 1\nsize = 2",
            "colour, size is not known; it may hold names, axes, unconstrained, quantities, headline, reference, kind",
        ),
        ("names = 3", "names is 3; give a table"),
        ("unconstrained = 1", "unconstrained is 1; give a table"),
        ("axes = [1, 0]", r"axes is \[1, 0\]; give a table"),
        ('quantities = "mu"', "quantities is 'mu'; give a list"),
        ("headline = 1", "headline is 1; give a list"),
        ('reference = ["a.json"]', r"reference is \['a.json'\]; give a"),
    ],
)
def test_options_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "pair.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_options(path)


# Reference draws


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "[]",
        "{}",
        "[7]",
        '[{"mu": ["a"]}]',
        '[{"mu": [1, 2]}, {"tau": [1, 2]}]',
        '[{"mu": [1, 2]}, {"mu": [1, 2], "tau": [1, 2]}]',
        '[{"mu": [1, 2]}, 7]',
    ],
)
def test_reference_draws_that_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "draws.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"draws\.json holds no reference draws .*; give a list of chains"):
        read_draws(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"mu": [1, 2, 3, 4]}, {"mu": [1]}]', r"mu has draws of shape \(1,\) in chain 2, and the first .* \(4,\)"),
        ('[{"mu": [1, 2], "tau": [1]}]', r"tau has draws of shape \(1,\) in chain 1, and the first chain has \(2,\)"),
        ('[{"mu": [[1, 2]]}]', r"mu has draws of shape \(1, 2\) in chain 1"),
        ('[{"mu": 1}]', r"mu has draws of shape \(\) in chain 1"),
        ('[{"mu": []}]', "a chain has 0 draws, too few for an ESS; give 4 or more"),
        ('[{"mu": [1, 2, 3]}]', "a chain has 3 draws"),
        ('[{"mu": [1, 2, 3, NaN]}]', "draw 4 of mu in chain 1 is nan; give numbers that are finite"),
        ('[{"mu": [1, 2, 3, 4]}, {"mu": [1, -Infinity, 3, 4]}]', "draw 2 of mu in chain 2 is -inf"),
        ('[{"mu": [1, null, 3, 4]}]', "draw 2 of mu in chain 1 is nan"),
    ],
)
def test_reference_draws_that_are_missing_or_not_finite_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "draws.json"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"draws\.json: {said}"):
        read_draws(path)


def test_names_of_reference_draws_count_from_zero(tmp_path: Path) -> None:
    path = tmp_path / "draws.json"
    path.write_text('[{"a": [1, 1, 1, 1], "b[1]": [2, 2, 2, 2], "c[10,2]": [3, 3, 3, 3], "d[x]": [4, 4, 4, 4]}]')
    draws = read_draws(path)
    assert list(draws) == ["a", "b[0]", "c[9,1]", "d[x]"]
    assert draws["a"].shape == (1, 4)
    assert draws["a"].dtype == np.float64


# Files


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing is no folder; give one that holds model\.stan, model\.py"):
        Pair.read(tmp_path / "nothing")


def test_a_folder_without_a_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no program among .*data\.json; give model\.stan and model\.py"):
        Pair.read(write(tmp_path / "p", json=DATA))
    with pytest.raises(DataError, match="no program among no files"):
        Pair.read(write(tmp_path / "empty"))


def test_two_files_of_one_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.stan").write_text(STAN)
    (tmp_path / "b.stan").write_text(STAN)
    with pytest.raises(DataError, match=r"b\.stan and .*a\.stan are both \.stan; a pair has one of each"):
        Pair.of([tmp_path / "a.stan", tmp_path / "b.stan"])


@pytest.mark.parametrize("name", ["model.stan", "model.py", "data.json", "pair.toml"])
def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    for number, (make, said) in enumerate(((os.mkdir, "this is a folder"), (os.mkfifo, "this is a pipe"))):
        folder = write(tmp_path / str(number), stan=STAN, py=PYMC, json=DATA, toml="")
        (folder / name).unlink()
        make(folder / name)
        with pytest.raises(DataError, match=f"{name}: {said}"):
            Pair.read(folder)


@pytest.mark.parametrize(
    ("name", "grid"),
    [("my data (2024)", "my_data_2024_"), ("Zürich", "Z_rich"), ("a/b\nc", "a_b_c"), ("<script>", "_script_")],
)
def test_names_are_safe_in_ids_and_files(tmp_path: Path, name: str, grid: str) -> None:
    (tmp_path / "model.stan").write_text(STAN)
    assert Pair.of([tmp_path / "model.stan"], name).grids == (grid,)
