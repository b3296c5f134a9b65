"""CPU seconds of a process and all that it starts."""

import resource

import psutil


def cpu_seconds() -> float:
    """Return user and system seconds so far, of this process with its threads and of all its descendants.

    Children that ended and were waited for are counted by the kernel to the microsecond, those still alive to its clock
    tick, mostly 10 ms.

    Returns
    -------
    float
        Seconds; only differences mean something.

    Notes
    -----
    getrusage(2), RUSAGE_SELF and RUSAGE_CHILDREN.
    """
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in ended) + sum(map(_of, _descendants()))


def cpu_seconds_of(pid: int) -> float:
    """Return user and system seconds so far, of another process and of all its descendants.

    Parameters
    ----------
    pid : int
        Of the process; one that is gone has used nothing.

    Returns
    -------
    float
        Seconds, to the kernel's clock tick.
    """
    try:
        process = psutil.Process(pid)
    except psutil.Error:
        return 0.0
    return sum(map(_of, [process, *_descendants(pid)]))


def _descendants(pid: int | None = None) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:  # one of them ended meanwhile
        return []


def _of(process: psutil.Process) -> float:
    """Seconds of a process and of its own children that ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(sum(getattr(times, name, 0.0) for name in ("user", "system", "children_user", "children_system")))
