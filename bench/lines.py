"""A file of JSON lines that is never lost: one process writes it, and a line is on the disk before work goes on."""

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.records import RunError


class Lines:
    """A file of JSON objects, a line each.

    Parameters
    ----------
    path : Path
        The file; it and its folder are made if they are missing.

    Attributes
    ----------
    found : list of dict
        What it held when it was opened. Lines that were cut short, or are no objects, are passed over, and kept.

    Raises
    ------
    RunError
        If another process writes it, or it can't be written.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and read it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+", encoding="utf-8", errors="replace")
        except OSError as error:
            raise RunError(f"{path} can't be written ({error.strerror}); name another place with --output") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise RunError(
                f"another process writes {path.parent}; wait for it, or name another place with --output"
            ) from None
        self._file.seek(0)
        before = self._file.read()
        if before and not before.endswith("\n"):  # the last line was cut short
            self._file.write("\n")
        self.found: list[dict[str, Any]] = []
        for line in before.splitlines():
            with suppress(ValueError):
                value = json.loads(line)
                self.found += [value] if isinstance(value, dict) else []

    def append(self, values: Mapping[str, Any]) -> None:
        """Add a line.

        Parameters
        ----------
        values : mapping
            What can be written as JSON.
        """
        self._file.write(f"{json.dumps(values)}\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, which another process may then write."""
        self._file.close()
