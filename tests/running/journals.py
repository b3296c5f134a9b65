"""Journals for tests, made without a fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.records import Journal, Record


def written(folder: Path, records: Sequence[Record], **asked: Any) -> Path:
    """Write a run's folder as a run would, and return it."""
    journal = Journal(folder, {"command": ["pytest", "bench/"], **asked})
    for record in records:
        journal.append(record)
    journal.close()
    return folder
