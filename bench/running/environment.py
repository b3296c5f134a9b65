"""What a run ran on: machine, interpreter and repository."""

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from cpuinfo import get_cpu_info

from bench.origin import commit_of
from bench.running.isolation import THREADS


@cache
def environment() -> dict[str, Any]:
    """Describe the machine, the interpreter, the pinned threads and the commit.

    Nothing names the machine or its user.
    """
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": get_cpu_info().get("brand_raw", platform.processor() or "unknown"),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "threads": THREADS,
        "commit": commit_of(Path(__file__).parents[2]) or "unknown",
    }
