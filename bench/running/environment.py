"""What a run ran on: machine, interpreter and repository."""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from cpuinfo import get_cpu_info

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
        "commit": commit(),
    }


def commit() -> str:
    """Commit of this repository, with `+` where the work tree differs from it, or `unknown`."""
    root = Path(__file__).parents[2]
    try:
        head, status = (
            subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout
            for arguments in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.strip() + ("+" if status.strip() else "")
