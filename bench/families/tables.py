"""A reader's own table, CSV or Parquet: labels of groups and numbers."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet

from bench.arrays import Floats, Ints
from bench.families.base import DataError, Dataset, check_file

MAX_ROWS = 5_000_000
MAX_BYTES = 2 * 2**30
PARQUET = (".parquet", ".pq")
EMPTY: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
"""In a CSV file an empty cell says that nothing was observed; no text does, `NA` included."""


def read_frame(path: Path, columns: Mapping[str, str]) -> tuple[pd.DataFrame, int]:
    """Read a table, and find the columns that are named.

    Parameters
    ----------
    path : Path
        The file; its ending tells the format, and anything but `PARQUET` is read as CSV.
    columns : mapping of str to str
        The name of each column by its role, `group` for `--group-column`; that one is read as text.

    Returns
    -------
    DataFrame
        The table.
    int
        Number of its first row in the file, for messages: 2 where a header is row 1.

    Raises
    ------
    DataError
        If the file cannot be read, or a column is not there or named twice.
    """
    check_file(path, MAX_BYTES)
    is_parquet = path.suffix.lower() in PARQUET
    try:
        table = _read_parquet(path) if is_parquet else _read_csv(path, columns["group"])
    except DataError:
        raise
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty; give a CSV with a header line, or a Parquet file") from None
    except Exception as error:  # parsers and decompressors raise types of their own
        raise DataError(f"{path}: not readable as a table ({error}); give a CSV with a header, or Parquet") from error
    named: dict[str, str] = {}
    for role, column in columns.items():
        if column not in table.columns:
            known = ", ".join(repr(str(name)) for name in table.columns[:20])
            raise DataError(
                f"{path}: no column {column!r}; the columns are {known}. Name one of them: --{role}-column NAME"
            )
        if column in named:
            raise DataError(f"{path}: {column!r} is named as {named[column]} and as {role}; name two different columns")
        named[column] = role
    return table, 1 if is_parquet else 2


def _read_parquet(path: Path) -> pd.DataFrame:
    _check_rows(path, pyarrow.parquet.read_metadata(path).num_rows)
    table: pd.DataFrame = pd.read_parquet(path)
    return table


def _read_csv(path: Path, group_column: str) -> pd.DataFrame:
    """Read a CSV file with its labels as text, so that `01` and `1` stay apart, and `NA` is a label."""
    table: pd.DataFrame = pd.read_csv(path, dtype={group_column: str}, nrows=MAX_ROWS + 1, low_memory=False, **EMPTY)
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(f"{path}: its rows have more cells than its header has names; name every column")
    _check_rows(path, len(table))
    return table


def _check_rows(path: Path, rows: int) -> None:
    if rows > MAX_ROWS:
        said = f"{rows:,} rows" if path.suffix.lower() in PARQUET else f"at least {rows:,} rows"
        raise DataError(f"{path}: {said}; the limit is {MAX_ROWS:,}. Take a random sample of the rows")


def table_id(name: str, dataset: Dataset) -> str:
    """Return the id of a reader's table: the beginning of its name and of its digest.

    Parameters
    ----------
    name : str
        What it is called.
    dataset : Dataset
        Its data.
    """
    stem = re.sub(r"[^A-Za-z0-9_.]+", "_", name)[:40] or "table"
    return f"{stem}-{dataset.digest[:8]}"


def sorted_columns(
    table: pd.DataFrame, group_column: str, columns: Sequence[str], *, name: str, first_row: int
) -> tuple[Ints, tuple[str, ...], list[Floats]]:
    """Take labels and numbers from a data frame, sorted by group and then by the numbers.

    Parameters
    ----------
    table : DataFrame
        The data.
    group_column : str
        The column of labels.
    columns : sequence of str
        The columns of numbers.
    name : str
        What to call it, in messages.
    first_row : int
        Number of its first row in the file, in messages.

    Returns
    -------
    group : array of shape (N,)
        Group numbers, 0-based.
    labels : tuple of str
        Label of each group.
    values : list of array of shape (N,)
        The numbers of each column.

    Raises
    ------
    DataError
        If a value is missing, or not a finite number.
    """
    values = [_numbers(table[column], name) for column in columns]
    keys = table[group_column]
    where = " of the file, whose header is row 1 (empty lines are not counted)" if first_row == 2 else ""
    if missing := np.flatnonzero(keys.isna()).tolist():
        raise DataError(
            f"{name}: column {group_column!r} is empty in {len(missing)} rows; drop or mend those rows, the first of "
            f"which is row {missing[0] + first_row}{where}"
        )
    for column, array in zip(columns, values, strict=True):
        if bad := np.flatnonzero(~np.isfinite(array)).tolist():
            raise DataError(
                f"{name}: {len(bad)} missing or infinite observations, the first in row {bad[0] + first_row}{where} "
                f"({array[bad[0]]} in column {column!r}); drop or mend those rows"
            )
    if not pd.api.types.is_numeric_dtype(keys):
        keys = keys.astype(str)
    codes, uniques = pd.factorize(keys, sort=True)
    order = np.lexsort((*reversed(values), codes))
    labels = tuple(str(label) for label in uniques)
    return codes[order].astype(np.int64), labels, [array[order] for array in values]


def _numbers(column: "pd.Series[Any]", name: str) -> Floats:
    """Return a column's values, or refuse one that holds something else than numbers."""
    types = pd.api.types
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    text: list[object] = []
    if types.is_object_dtype(column) or types.is_string_dtype(column):
        values = pd.to_numeric(column, errors="coerce")
        wrong = (values.isna() & column.notna()) | column.map(lambda value: isinstance(value, bool | np.bool_ | bytes))
        text = column[wrong].head(1).tolist()
    else:
        values = column
    if text or types.is_bool_dtype(values) or types.is_complex_dtype(values) or not types.is_numeric_dtype(values):
        example = repr(text[0]) if text else "True or False" if types.is_bool_dtype(values) else f"{column.dtype}"
        raise DataError(f"{name}: column {str(column.name)!r} holds {example}, not a number; name a numeric column")
    return values.to_numpy(dtype=np.float64, na_value=np.nan)
