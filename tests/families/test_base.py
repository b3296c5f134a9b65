"""What the instrument knows of any model: digests that follow what they are of, and a family that knows nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.backends.base import LANGUAGES
from bench.families.base import DataError, Dataset, Family, Model, Program, Target, data_digest

PROGRAM = Program(Path("model.stan"), "parameters { real a; } model { }")
MODEL = Model("made_up", "made_up", PROGRAM, Program(Path("model.py"), "def build(data): ..."))
DATA = {"N": 2, "y": np.array([1.5, 2.0]), "group": np.array([1, 2])}


def test_a_program_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "model.stan"
    path.write_text("// µ\nmodel { }\n", encoding="utf-8")
    assert Program.read(path) == Program(path, "// µ\nmodel { }\n")


def test_a_program_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.stan"
    with pytest.raises(DataError, match=r"model\.stan: no such file"):
        Program.read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"model\.stan can't be read .*; give a text file in UTF-8"):
        Program.read(path)


def test_a_models_digest_follows_programs_names_and_axes() -> None:
    assert MODEL.stan is not None
    assert MODEL.pymc is not None
    changed = [
        replace(MODEL, stan=Program(PROGRAM.path, PROGRAM.code + " ")),
        replace(MODEL, pymc=Program(PROGRAM.path, "def build(data): return None")),
        replace(MODEL, stan=None),
        replace(MODEL, stan=MODEL.pymc, pymc=MODEL.stan),
        replace(MODEL, renamed={"a": "b"}),
        replace(MODEL, renamed={"b": "a"}),
        replace(MODEL, axes={"a": [1, 0]}),
        replace(MODEL, axes={"a": [0, 1]}),
    ]
    assert len({MODEL.digest, *(model.digest for model in changed)}) == 1 + len(changed)


def test_a_models_digest_follows_nothing_else() -> None:
    other = Model("b", "c", Program(Path("elsewhere"), PROGRAM.code), MODEL.pymc, {}, {})
    assert other.digest == MODEL.digest
    one, two = ({"a": "x", "b": "y"}, {"b": "y", "a": "x"})
    assert replace(MODEL, renamed=one).digest == replace(MODEL, renamed=two).digest
    assert replace(MODEL, axes={"a": [1, 0]}).digest == replace(MODEL, axes={"a": (1, 0)}).digest


@pytest.mark.parametrize(
    "other",
    [
        {**DATA, "N": 3},
        {**DATA, "y": np.array([1.5, np.nextafter(2.0, 3.0)])},
        {**DATA, "y": np.array([2.0, 1.5])},
        {**DATA, "y": np.array([[1.5, 2.0]])},
        {**DATA, "group": np.array([1.0, 2.0])},
        {**DATA, "more": 0},
        {"N": 2, "y": DATA["y"], "groups": DATA["group"]},
    ],
    ids=["a number", "the last bit", "order", "shape", "reals for whole numbers", "one more", "another name"],
)
def test_a_digest_of_data_follows_names_shapes_and_values(other: dict[str, object]) -> None:
    assert data_digest(other) != data_digest(DATA)


def test_a_digest_of_data_follows_nothing_else() -> None:
    as_lists = {"y": [1.5, 2.0], "group": [1, 2], "N": 2}
    narrow = {**DATA, "group": np.array([1, 2], dtype=np.int32), "y": DATA["y"].astype(">f8")}
    assert data_digest(as_lists) == data_digest(narrow) == data_digest(DATA)
    one, two = (Dataset(name, DATA, {"observations": n}, {"mu": 1.0}) for name, n in (("one", 2), ("two", 3)))
    assert one.digest == two.digest == data_digest(DATA)


def test_a_digest_is_the_same_on_every_machine() -> None:
    """Records are matched on it over years."""
    assert data_digest({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert data_digest(DATA) == "15390da1090c16717021d853e64ffefb8a483654d71fb44b9283367038fc4e14"


def test_rows_of_unequal_length_have_a_digest() -> None:
    ragged = {"rows": [[1, 2], [3]]}
    assert data_digest(ragged) == data_digest({"rows": [[1, 2], [3]]})
    assert data_digest(ragged) != data_digest({"rows": [[1], [2, 3]]})


class Plain(Family):
    """Only what must be there."""

    name, models, grids = "plain", {"made_up": MODEL}, ("one",)
    targets = {"made_up": Target("made_up")}  # noqa: RUF012

    def datasets(self, grid: str) -> Sequence[Dataset]:
        return (Dataset("one", DATA),)


def test_a_family_may_know_nothing() -> None:
    family, rng = Plain(), np.random.default_rng(1)
    (dataset,) = family.datasets("one")
    draws = {"a": np.zeros((1, 4))}
    assert family.target(MODEL) == Target("made_up", (), ())
    assert family.truth("made_up", dataset) is None
    assert family.reference(MODEL, dataset, {"a": np.array(0.0)}) is None
    assert family.points(MODEL, dataset, rng) is None
    assert family.typical(MODEL, dataset, rng) is None
    assert family.simulate("made_up", rng) is None
    assert family.further(MODEL, dataset, draws, rng) == {}
    assert family.derive(MODEL, dataset, draws, rng) == draws


def test_a_family_without_data_is_none() -> None:
    with pytest.raises(TypeError, match=r"abstract method .?datasets"):
        type("Nothing", (Family,), {})()


def test_every_language_has_a_backend() -> None:
    assert {backend.language for backend in BACKENDS.values()} == set(LANGUAGES)
    assert all(name == backend.name for name, backend in BACKENDS.items())
