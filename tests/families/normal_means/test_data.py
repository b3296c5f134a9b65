import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.families import tables
from bench.families.normal_means.data import GRIDS, DataError, Groups, from_table, grid, normal_means, read_table

# Beginnings of SHA-256 over y (little-endian float64), seed 41, n = 20: the public thread this project starts from.
THREAD = {
    (0.1, 5): "82b2707976a8ffa1",
    (0.1, 50): "bdbc9e105f070774",
    (0.1, 500): "1c50908fd406bdc9",
    (1.0, 5): "d59ab96f1195f3d3",
    (1.0, 50): "7b4edbc839b6c80f",
    (1.0, 500): "0cf2bec472bab0e9",
    (10.0, 5): "5abf40477bdc1876",
    (10.0, 50): "8ab4a8b07d8721a3",
    (10.0, 500): "d2b55cb477b80555",
}


# Generated data


@pytest.mark.parametrize(("omega", "n_groups"), THREAD)
def test_observations_are_those_of_the_thread(omega: float, n_groups: int) -> None:
    dataset = normal_means(omega, [20] * n_groups)
    assert hashlib.sha256(dataset.y.astype("<f8").tobytes()).hexdigest().startswith(THREAD[omega, n_groups])
    assert dataset in [*grid("thread")] or any(dataset.digest == other.digest for other in grid("thread"))


def test_thread_grid_is_the_thread() -> None:
    found = {
        (d.generated_with["omega"], d.n_groups): hashlib.sha256(d.y.tobytes()).hexdigest()[:16] for d in grid("thread")
    }
    assert found == THREAD


def test_generator_draws_mean_then_observations_of_each_group() -> None:
    rng = np.random.default_rng(7)
    expected = []
    for size in (3, 1, 2):
        centre = rng.normal(2.0, 0.5)
        expected += list(rng.normal(centre, 0.75, size))
    dataset = normal_means(0.5, [3, 1, 2], 7)
    assert list(dataset.y) == expected
    assert list(dataset.group) == [0, 0, 0, 1, 2, 2]
    assert list(dataset.group_sizes) == [3, 1, 2]
    assert dataset.generated_with == {"mu": 2.0, "omega": 0.5, "sigma": 0.75}


def test_mean_and_sigma_can_be_chosen() -> None:
    dataset = normal_means(0.1, [500] * 20, mean=-5.0, sigma=0.01)
    assert dataset.y.mean() == pytest.approx(-5, abs=0.1)
    assert np.sqrt(dataset.within_ss / (10_000 - 20)) == pytest.approx(0.01, rel=0.05)
    assert dataset.generated_with == {"mu": -5.0, "omega": 0.1, "sigma": 0.01}


@pytest.mark.parametrize("name", GRIDS)
def test_ids_are_unique_and_short(name: str) -> None:
    ids = [dataset.id for dataset in grid(name)]
    assert len(set(ids)) == len(ids)
    assert len({dataset.digest for dataset in grid(name)}) == len(ids)
    assert max(map(len, ids)) <= 32
    assert all(not set(id_) & set(" /[]") for id_ in ids)


def test_one_id_is_one_dataset_over_all_grids() -> None:
    pairs = {(dataset.id, dataset.digest) for name in GRIDS for dataset in grid(name)}
    assert len({id_ for id_, _ in pairs}) == len({digest for _, digest in pairs}) == len(pairs)


def test_ids_are_stable() -> None:
    assert [dataset.id for dataset in grid("quick")] == [
        "omega1-G5-n20-s41",
        "omega0.1-G50-n20-s41",
        "omega1-G50-n20-s41",
    ]


def test_full_grid_has_all_that_was_asked_for() -> None:
    full = grid("full")
    assert {d.id for d in grid("thread")} <= {d.id for d in full}
    assert any(len(set(d.group_sizes)) > 1 for d in full)
    assert {20, 1, 5, 100} <= {int(d.group_sizes[0]) for d in full}
    assert {"s41", "s42", "s43"} <= {d.id.rpartition("-")[2] for d in full}


def test_unknown_grid_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(DataError, match="no grid 'huge'; the grids are smoke, quick, thread, full"):
        grid("huge")


@pytest.mark.parametrize(
    ("omega", "sizes", "sigma", "message"),
    [
        (0.0, [2, 2], 1.0, "omega is 0.0; give a positive number"),
        (-1.0, [2, 2], 1.0, "omega is -1.0; give a positive number"),
        (np.nan, [2, 2], 1.0, "omega is nan; give a positive number"),
        (np.inf, [2, 2], 1.0, "omega is inf; give a positive number"),
        (1.0, [2, 2], 0.0, "sigma is 0.0; give a positive number"),
        (1.0, [2, 2], -0.5, "sigma is -0.5; give a positive number"),
        (1.0, [2, 0], 1.0, r"sizes are \[2, 0\]; give one positive size for each group"),
        (1.0, [2, -3], 1.0, r"sizes are \[2, -3\]; give one positive size"),
        (1.0, [], 1.0, r"sizes are \[\]; give one positive size"),
        (1.0, [9], 1.0, "one group .*; a hierarchical model needs two or more"),
    ],
)
def test_generator_refuses(omega: float, sizes: list[int], sigma: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        normal_means(omega, sizes, sigma=sigma)


# Datasets


def test_summaries() -> None:
    dataset = Groups(id="d", y=np.array([1.0, 5.0, 2.0, 6.0, 6.0]), group=np.array([0, 1, 0, 1, 1]), labels=("a", "b"))
    assert list(dataset.group_sizes) == [2, 3]
    assert dataset.means == pytest.approx([1.5, 17 / 3])
    assert dataset.within_ss == pytest.approx(0.5 + 2 / 3)
    assert (dataset.data["N"], dataset.data["G"]) == (5, 2)
    assert list(dataset.data["group"]) == [1, 2, 1, 2, 2]
    assert dataset.sizes == {"observations": 5, "groups": 2}


def test_digest_is_over_observations_and_groups() -> None:
    y, group = np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1])
    digest = Groups(id="one", y=y.copy(), group=group.copy(), labels=("a", "b")).digest
    assert digest == Groups(id="two", y=y.copy(), group=group.copy(), labels=("c", "d")).digest
    assert digest != Groups(id="one", y=y.copy(), group=np.array([0, 1, 1]), labels=("a", "b")).digest
    assert digest != Groups(id="one", y=np.nextafter(y, 9), group=group.copy(), labels=("a", "b")).digest


def test_arrays_are_not_written_to() -> None:
    dataset = normal_means(1.0, [2, 2])
    with pytest.raises(ValueError, match="read-only"):
        dataset.y[0] = 0.0
    with pytest.raises(ValueError, match="read-only"):
        dataset.group[0] = 1


# A reader's own table

FRAME = pd.DataFrame(
    {
        "school": ["B", "A", "C", "A", "B", "C", "A"],
        "score": [1.5, -2.25, 1e-3, 4.0, 0.1, 7.0, 4.0],
        "note": ["x"] * 7,
    }
)


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.pq", "T.PARQUET"])
def test_file_formats_give_the_same_dataset(name: str, tmp_path: Path) -> None:
    dataset = read_table(write(FRAME, tmp_path / name), "school", "score")
    assert dataset.labels == ("A", "B", "C")
    assert list(dataset.y) == [-2.25, 4.0, 4.0, 0.1, 1.5, 1e-3, 7.0]
    assert list(dataset.group) == [0, 0, 0, 1, 1, 2, 2]
    assert dataset.digest == from_table(FRAME, "school", "score", name="t").digest
    assert dataset.id.lower() == f"t-{dataset.digest[:8]}"
    assert dataset.generated_with == {}


LABELS = st.one_of(
    st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=5, unique=True),
    st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=5, unique=True),
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=5, unique_by=lambda x: x + 0.0),
)


@settings(deadline=None)
@given(labels=LABELS, data=st.data())
def test_order_of_rows_does_not_matter(labels: list[object], data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    groups = [*labels, *rng.choice(np.arange(len(labels)), 6)]
    groups[len(labels) :] = [labels[int(i)] for i in groups[len(labels) :]]  # type: ignore[call-overload]
    table = pd.DataFrame({"g": pd.Series(groups), "y": rng.normal(size=len(groups)).round(1) + np.arange(len(groups))})
    shuffled = table.sample(frac=1, random_state=data.draw(st.integers(0, 99)))
    one, other = (from_table(frame, "g", "y", name="t") for frame in (table, shuffled))
    assert (one.id, one.digest, one.labels) == (other.id, other.digest, other.labels)
    assert one.n_groups == len(labels)
    for g, label in enumerate(one.labels):  # every observation is still with its label
        own = table.loc[table["g"].astype(str) == label, "y"]
        assert sorted(own) == list(one.y[one.group == g])


@pytest.mark.parametrize(
    ("groups", "labels"),
    [
        ([10, 2, 10, 2], ("2", "10")),  # numbers in their own order
        ([1.5, -1.0, 1.5, -1.0], ("-1.0", "1.5")),
        (["Zürich", "Ålesund", "Zürich", "Ålesund"], ("Zürich", "Ålesund")),
        (["東京", "🙂", "東京", "🙂"], ("東京", "🙂")),
        ([1, "b", 1, "b"], ("1", "b")),
        ([True, False, True, False], ("False", "True")),
        (pd.Categorical(["x", "y", "x", "y"], categories=["unused", "y", "x"]), ("x", "y")),
        (pd.to_datetime(["2024-01-02", "2024-01-01"] * 2), ("2024-01-01", "2024-01-02")),
        (["a ", "a", "a ", "a"], ("a", "a ")),
        (["", "a", "", "a"], ("", "a")),
    ],
    ids=[
        "integers",
        "floats",
        "accents",
        "unicode",
        "mixed",
        "booleans",
        "categories",
        "dates",
        "spaces",
        "empty text",
    ],
)
def test_any_labels(groups: object, labels: tuple[str, ...]) -> None:
    table = pd.DataFrame({"g": groups, "y": [1.0, 2.0, 3.0, 5.0]})
    dataset = from_table(table, "g", "y", name="t")
    assert dataset.labels == labels
    assert list(dataset.group_sizes) == [2, 2]
    first = str(labels[0]) == str(table["g"].astype(str).iloc[0])
    assert list(dataset.y) == ([1, 3, 2, 5] if first else [2, 5, 1, 3])


@pytest.mark.parametrize(
    "values", [["1", "2.5", "3", "4e1"], pd.array([1, 2, 3, 4], dtype="Int64"), np.float32([1, 2, 3, 4])]
)
def test_numbers_of_any_type_are_read(values: object) -> None:
    dataset = from_table(pd.DataFrame({"g": ["a", "a", "b", "b"], "y": values}), "g", "y", name="t")
    assert dataset.y.dtype == np.float64
    assert dataset.y[0] == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"g": [], "y": []}, "no rows; give a table with observations of two or more groups"),
        ({"g": ["a"] * 4, "y": [1, 2, 3, 4]}, r"one group \('a'\); a hierarchical model needs two or more"),
        ({"g": ["a", "a", "b"], "y": [1, np.nan, 2]}, r"1 missing or infinite observations.*drop or mend"),
        ({"g": ["a", "a", "b"], "y": [1, None, 2]}, "1 missing or infinite observations"),
        ({"g": ["a", "a", "b"], "y": [np.inf, -np.inf, 2]}, "2 missing or infinite observations"),
        ({"g": ["a", "a", "b"], "y": [1, "two", 3]}, "column 'y' holds 'two', not a number; name a numeric column"),
        ({"g": ["a", "a", "b"], "y": [True, False, True]}, "column 'y' holds True or False, not a number"),
        ({"g": ["a", None, "b"], "y": [1, 2, 3]}, "column 'g' is empty in 1 rows; drop or mend those rows"),
        ({"g": [1, np.nan, np.nan], "y": [1, 2, 3]}, "column 'g' is empty in 2 rows"),
        ({"g": ["a", "a", "b"], "y": [2, 2, 2]}, "all observations are 2; nothing varies"),
        ({"g": ["a", "a", "a", "b", "b"], "y": [1.1, 1.1, 1.1, 2.3, 2.3]}, "nothing varies within any group"),
    ],
    ids=[
        "no rows",
        "one group",
        "NaN",
        "None",
        "infinite",
        "text",
        "booleans",
        "no label",
        "NaN label",
        "constant",
        "constant groups",
    ],
)
def test_tables_that_are_refused(table: dict[str, list[object]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_table(pd.DataFrame(table), "g", "y", name="t")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("class", "score"), r"no column 'class'; the columns are 'school', 'score', 'note'.*--group-column NAME"),
        (("school", "points"), r"no column 'points'; the columns are 'school', 'score', 'note'.*--value-column NAME"),
        (("school", "school"), "'school' is named as group and as value; name two different columns"),
        (("school", "note"), "column 'note' holds 'x', not a number"),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_columns_that_are_refused(columns: tuple[str, str], message: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_table(write(FRAME, tmp_path / name), *columns)


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("none.csv", lambda path: None, "no such file"),
        ("empty.csv", _bytes(b""), "the file is empty"),
        ("header.csv", _bytes(b"g,y\n"), "no rows"),
        ("ragged.csv", _bytes(b"g,y\na,1\na,1,2,3\n"), "not readable as a table"),
        ("binary.csv", _bytes(b"\xff\xfe\x00\x81"), "not readable as a table"),
        ("text.parquet", _bytes(b"g,y\na,1\n"), "not readable as a table"),
        ("folder.csv", Path.mkdir, "this is a folder; give a file"),
    ],
)
def test_files_that_are_refused(name: str, make: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    make(tmp_path / name)
    with pytest.raises(DataError, match=message) as caught:
        read_table(tmp_path / name, "g", "y")
    assert name.partition(".")[0] in str(caught.value)


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(FRAME, tmp_path / "t.csv")
    monkeypatch.setattr(tables, "MAX_ROWS", 7)
    assert len(read_table(path, "school", "score").y) == 7
    monkeypatch.setattr(tables, "MAX_ROWS", 6)
    with pytest.raises(DataError, match=r"7 rows; the limit is 6\. Take a random sample of the rows"):
        read_table(path, "school", "score")


@pytest.mark.parametrize("stem", ["my data (2024)", "é/è".replace("/", ""), "x" * 200])
def test_ids_of_tables_are_safe_and_short(stem: str) -> None:
    dataset = from_table(FRAME, "school", "score", name=stem)
    assert len(dataset.id) <= 49
    assert all(c.isascii() and (c.isalnum() or c in "_.-") for c in dataset.id)
    assert dataset.id.endswith(f"-{dataset.digest[:8]}")
