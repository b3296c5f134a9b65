"""What a run ran on: machine, interpreter and repository."""

import hashlib
import os
import platform
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from cpuinfo import get_cpu_info

from bench.files import ROOT
from bench.origin import commit_of
from bench.running.isolation import THREADS


@cache
def environment() -> dict[str, Any]:
    """Describe the machine, the interpreter, the pinned threads and the commit.

    Nothing names the machine or its user: `machine` is a digest. `usable_cores` are those that this process is held to.
    """
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": get_cpu_info().get("brand_raw", platform.processor() or "unknown"),
        "machine": machine(),
        "cores": os.cpu_count(),
        "usable_cores": len(usable_cores()),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "threads": THREADS,
        "commit": commit_of(ROOT) or "unknown",
    }


@cache
def machine() -> str:
    """Return what tells this machine from others and names neither it nor its user: 12 digits of a digest."""
    known = f"{uuid.getnode():x}"
    with suppress(OSError):
        known = Path("/etc/machine-id").read_text().strip() or known
    return hashlib.sha256(f"hierbench {known} {platform.node()}".encode()).hexdigest()[:12]


def usable_cores() -> frozenset[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))
