"""Tables that mean something else than a quick reader takes them for, and files that are no tables."""

import ast
import gzip
import io
import lzma
import os
import socket
import tarfile
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.families import tables
from bench.families.base import DataError, Program
from bench.families.normal_means.data import Groups, read_table
from bench.families.normal_means.forms import MODELS
from bench.families.normal_means.programs import Table, program
from bench.families.pair import Pair
from bench.settings import Settings


def as_printed(path: Path) -> tuple[list[str], list[int], list[float]]:
    """Labels, groups and values as the programs that are printed read them."""
    text = program(MODELS["centered"], "stanli", Table(path, "g", "y"), Settings(), 1)
    (main,) = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "main")
    reading = main.body[:5]
    assert ast.unparse(reading[-1]).startswith("y = ")
    names: dict[str, Any] = {"pd": pd, "np": np}
    exec(compile(ast.Module(reading, []), "printed", "exec"), names)
    return [str(label) for label in names["labels"]], names["group"].tolist(), names["y"].tolist()


def read(path: Path) -> Groups:
    """Read a table, and check that the printed program makes the same groups of it in the same order."""
    found = read_table(path, "g", "y")
    labels, group, y = as_printed(path)
    assert tuple(labels) == found.labels
    assert sorted(zip(group, y, strict=True)) == list(zip(found.group.tolist(), found.y.tolist(), strict=True))
    return found


def csv(folder: Path, *rows: str, head: str = "g,y") -> Path:
    path = folder / "t.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "labels",
    [
        ("01234", "1234"),
        ("2000", "2e3"),
        ("1", "1.0", "01"),
        ("NA", "a"),
        ("N/A", "NULL", "None", "nan", "null"),
        ("inf", "-inf"),
        ("True", "true", "1"),
        ("0x10", "16"),
        ("9007199254740992", "9007199254740993"),
        (" a", "a"),
        ("2024-01-01", "2024-1-1"),
    ],
    ids=" and ".join,
)
def test_labels_that_differ_as_text_are_different_groups(labels: tuple[str, ...], tmp_path: Path) -> None:
    rows = [f"{label},{g + 0.5 * i}" for g, label in enumerate(labels) for i in range(3)]
    found = read(csv(tmp_path, *rows))
    assert found.labels == tuple(sorted(labels))
    assert found.group_sizes.tolist() == [3] * len(labels)


def test_labels_of_a_file_with_types_keep_their_type(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"g": [10, 10, 2, 2], "y": [1.0, 2, 4, 7]}).to_parquet(path)
    assert read(path).labels == ("2", "10")
    pd.DataFrame({"g": ["01", "1", "NA", "01"], "y": [1.0, 2, 4, 7]}).to_parquet(path)
    assert read(path).labels == ("01", "1", "NA")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"]), "datetime64"),
        (pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"], utc=True), "UTC"),
        (pd.to_timedelta([1, 2, 4, 8], unit="s"), "timedelta64"),
        ([pd.Timestamp("2024-01-01").date()] * 3 + [None], "datetime.date"),
        ([True, False, True, None], "True"),
        ([b"1", b"2", b"3", b"4"], "b'1'"),
        ([[1.0], [2.0], [3.0], [4.0]], r"\["),
        (pd.Categorical(["a", "b", "c", "d"]), "'a'"),
    ],
    ids=["datetime", "with time zone", "timedelta", "date", "bool or none", "bytes", "lists", "categories"],
)
def test_columns_of_a_parquet_file_that_are_no_numbers_are_refused(values: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"g": ["a", "a", "b", "b"], "y": values}).to_parquet(path)
    with pytest.raises(DataError, match=rf"column 'y' holds .*{said}.*, not a number; name a numeric column"):
        read_table(path, "g", "y")


@pytest.mark.parametrize(
    "values",
    [
        [Decimal("1.5"), Decimal("2.5"), Decimal("4.5"), Decimal("7.5")],
        pd.Categorical([1.5, 2.5, 4.5, 7.5]),
        np.array([1.5, 2.5, 4.5, 7.5], dtype=np.float16),
        pd.array([1.5, 2.5, 4.5, 7.5], dtype="Float32"),
    ],
    ids=["decimal", "categories", "half", "nullable"],
)
def test_numbers_of_any_type_are_read(values: object, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"g": ["a", "a", "b", "b"], "y": values}).to_parquet(path)
    assert read(path).y.tolist() == [1.5, 2.5, 4.5, 7.5]


def test_errors_name_the_row_of_the_file(tmp_path: Path) -> None:
    rows = ["z,9", "b,1", "a,", "b,2", "a,3"]  # the third row of data is the fourth of the file, and first when sorted
    with pytest.raises(DataError, match=r"1 missing or infinite observations, the first in row 4 of the file"):
        read_table(csv(tmp_path, *rows), "g", "y")
    with pytest.raises(DataError, match=r"column 'g' is empty in 2 rows.* row 3 of the file"):
        read_table(csv(tmp_path, "b,1", ",2", ",3", "a,4"), "g", "y")
    path = tmp_path / "t.parquet"
    pd.DataFrame({"g": ["z", "b", "a", "b"], "y": [9, 1, np.nan, 2]}).to_parquet(path)
    with pytest.raises(DataError, match=r"the first in row 3 \(nan in column 'y'\)"):
        read_table(path, "g", "y")


@pytest.mark.parametrize("text", ["NA", "nan", "null", "-", "1,000", "1_000", "0x1F", "12:30"])
def test_text_for_a_number_is_named(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"column 'y' holds '{text}', not a number"):
        read_table(csv(tmp_path, "a,1", f'a,"{text}"', "b,2", "b,5"), "g", "y")


def test_a_row_with_more_cells_than_the_header_is_refused_and_shifts_no_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its rows have more cells than its header has names"):
        read_table(csv(tmp_path, "a,1,2", "a,2,3", "b,3,9", "b,4,7"), "g", "y")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1e200, 2e200, -3e200, 1e200), "3e\\+200 can't be squared; give them in another unit"),
        ((1.7e308, -1.7e308, 1.0, 2.0), "can't be squared"),
        ((1e-200, 2e-200, 5e-200, 9e-200), "can't be squared"),
    ],
)
def test_numbers_too_far_out_to_be_squared_are_refused(values: tuple[float, ...], message: str, tmp_path: Path) -> None:
    rows = [f"{'ab'[i // 2]},{value!r}" for i, value in enumerate(values)]
    with pytest.raises(DataError, match=message):
        read_table(csv(tmp_path, *rows), "g", "y")


ROWS = b"g,y\n" + b"".join(b"%d,%d\n" % (i % 7, i) for i in range(2000))


def _zip(content: bytes) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", content)
    return into.getvalue()


def _tar(content: bytes) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz") as archive:
        inside = tarfile.TarInfo("t.csv")
        inside.size = len(content)
        archive.addfile(inside, io.BytesIO(content))
    return into.getvalue()


PACKED = {".zip": _zip(ROWS), ".xz": lzma.compress(ROWS), ".gz": gzip.compress(ROWS), ".tar.gz": _tar(ROWS)}


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_table_is_read_and_a_damaged_one_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.csv{kind}"
    whole = PACKED[kind]
    path.write_bytes(whole)
    assert read(path).n_groups == 7
    middle = len(whole) // 2
    for damaged in (
        whole[:middle],
        whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :],
        b"not packed at all",
        b"",
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"not readable as a table|the file is empty"):
            read_table(path, "g", "y")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "endless", "folder", "link to a pipe"])
def test_what_is_no_file_is_refused_before_it_is_opened(
    kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)  # opening it would wait for ever
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # the path of a socket may have 107 bytes at most
        with socket.socket(socket.AF_UNIX) as there:
            there.bind(name)
    elif kind == "device":
        path.symlink_to("/dev/null")
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"this is (a folder|a pipe or a device); give a file"):
        read_table(path, "g", "y")


@pytest.mark.parametrize("name", ["model.stan", "model.py", "data.json", "pair.toml"])
def test_the_files_of_a_pair_are_looked_at_before_they_are_opened_too(name: str, tmp_path: Path) -> None:
    for other in ("model.stan", "model.py", "data.json", "pair.toml"):
        (tmp_path / other).write_text("{}" if other.endswith("json") else "")
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="this is a pipe or a device"):
        Pair.read(tmp_path)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_file_that_is_too_large_is_refused_before_it_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(tables.MAX_BYTES + 1)  # takes no room
    with pytest.raises(DataError, match=r"2\.0 GiB; the limit is 2 GiB"):
        read_table(path, "g", "y")
    program_file = tmp_path / "model.stan"
    with program_file.open("wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(DataError, match=r"0\.3 GiB; the limit is 0\.25 GiB"):
        Program.read(program_file)


@pytest.mark.parametrize("name", ["t\0.csv", "x" * 300 + ".csv"])
def test_names_that_no_file_can_have_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="not readable"):
        read_table(Path(name), "g", "y")
