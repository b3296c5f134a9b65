"""What a fit is asked to do: sampler settings, protocol and seeds."""

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args
from typing import Protocol as Protocol_

Protocol = Literal["matched", "stock"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

DASK = "fit on a Dask cluster: ADDRESS is a scheduler, the path of its file, or local:N"
"""Help of the option `--dask`, wherever it is."""
TYPICAL = 8
"""Places at which gradients are timed."""
ROUNDS, ROUND_SECONDS = 20, 0.02
"""Of timing gradients: many short rounds, for the fastest of them is one that nothing disturbed."""


@dataclass(frozen=True)
class Settings:
    """Settings of one fit; the metric is diagonal everywhere, adapted in each backend's own way.

    Attributes
    ----------
    chains, warmup, draws : int
        Chains, warm-up iterations and kept iterations of each chain.
    target_accept : float
        Target of the step-size adaptation, in (0, 1).
    max_treedepth : int
        A trajectory has at most ``2 ** max_treedepth - 1`` gradient evaluations.
    cores : int
        Chains that run at the same time are ``min(chains, cores)``.
    """

    chains: int = 4
    warmup: int = 1000
    draws: int = 1000
    target_accept: float = 0.8
    max_treedepth: int = 10
    cores: int = min(4, os.cpu_count() or 1)

    def __post_init__(self) -> None:
        """Refuse settings no sampler could use."""
        for name, least in (("chains", 1), ("warmup", 1), ("draws", 4), ("max_treedepth", 1), ("cores", 1)):
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"{name} is {value}; give {least} or more (--{name.replace('_', '-')} {least})")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept is {self.target_accept}; give a number between 0 and 1, e.g. 0.9")

    def override(self, **changes: float | None) -> "Settings":
        """Replace the fields whose given value is not None.

        Parameters
        ----------
        **changes : float, optional
            New values, by the names of the fields.

        Raises
        ------
        ValueError
            If no sampler could use them.

        Examples
        --------
        >>> Settings(chains=2, draws=500).override(draws=None, target_accept=0.9).target_accept
        0.9
        """
        return replace(self, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]

    @property
    def parallel_chains(self) -> int:
        """Chains that run at the same time."""
        return min(self.chains, self.cores)


class HasStock(Protocol_):
    """Whatever has settings of its own: a backend."""

    stock: Settings


@dataclass(frozen=True)
class Asked:
    """What a run asks of every case.

    Attributes
    ----------
    protocol : str
        `matched` or `stock`.
    overrides : dict
        Settings given by name on the command line.
    seed, replicates : int
        Seed of the run, and fits of each case.
    fit_timeout : float, optional
        Seconds a build or a fit may take; None lets it run.
    memory_limit : int, optional
        Bytes a worker and its children may hold; None lets it grow.
    save_draws : bool
        Whether to keep the draws.
    """

    protocol: Protocol = "matched"
    overrides: dict[str, float] = field(default_factory=dict)
    seed: int = 1
    replicates: int = 1
    fit_timeout: float | None = 900.0
    memory_limit: int | None = None
    save_draws: bool = False

    def settings(self, backend: HasStock) -> Settings:
        """Return the settings of a fit by a backend, which has its own for the protocol `stock`."""
        return (backend.stock if self.protocol == "stock" else Settings()).override(**self.overrides)


@dataclass(frozen=True)
class Option:
    """A setting as an option of a command line.

    Attributes
    ----------
    name, kind, metavar, help
        Of the option; `name` is that of the field of `Settings`.
    """

    name: str
    kind: type
    metavar: str
    help: str

    @property
    def flag(self) -> str:
        """What is typed."""
        return f"--{self.name.replace('_', '-')}"


OPTIONS = (
    Option("chains", int, "N", "chains of a fit (default: 4)"),
    Option("warmup", int, "N", "warm-up iterations of a chain (default: 1000)"),
    Option("draws", int, "N", "kept iterations of a chain (default: 1000)"),
    Option("target_accept", float, "P", "target acceptance (default: 0.8)"),
    Option("max_treedepth", int, "N", "maximum tree depth (default: 10)"),
    Option("cores", int, "N", "chains that run at the same time (default: up to 4)"),
)
"""Every setting that a command takes, declared once for pytest and for `hierbench`."""


def add_options(add: Callable[..., object]) -> None:
    """Declare the options of `OPTIONS`.

    Parameters
    ----------
    add : callable
        `addoption` of pytest, or `add_argument` of argparse.
    """
    for option in OPTIONS:
        add(option.flag, type=option.kind, metavar=option.metavar, help=option.help)


def overrides(value: Callable[[str], float | None]) -> dict[str, float]:
    """Return the settings that were given.

    Parameters
    ----------
    value : callable
        Returns what was typed for a field of `Settings`, or None.
    """
    return {option.name: found for option in OPTIONS if (found := value(option.name)) is not None}


@dataclass(frozen=True)
class Limits:
    """What a build, a fit or a comparison may take.

    Attributes
    ----------
    seconds : float, optional
        None lets it run.
    bytes : int, optional
        Memory of an engine; None lets it grow.
    """

    seconds: float | None = 900.0
    bytes: int | None = None

    @classmethod
    def typed(cls, seconds: float, gib: float | None) -> "Limits":
        """Return what was typed.

        Parameters
        ----------
        seconds : float
            After `--fit-timeout`; 0 is no limit.
        gib : float, optional
            After `--memory-limit`.

        Raises
        ------
        UsageError
            If one of them is negative or no number.
        """
        return cls(
            positive("--fit-timeout", seconds, "seconds, or 0 for no limit") if seconds else None,
            None if gib is None else int(positive("--memory-limit", gib, "GiB, e.g. 4") * 2**30),
        )


def positive(flag: str, value: float, example: str) -> float:
    """Return a number that was typed, unless it is not one or not above 0.

    Parameters
    ----------
    flag : str
        The option.
    value : float
        What was typed.
    example : str
        What to type instead.

    Raises
    ------
    ValueError
        If it is 0, negative, infinite or NaN.

    Examples
    --------
    >>> positive("--budget", -1.0, "e.g. --budget 60")
    Traceback (most recent call last):
        ...
    ValueError: --budget is -1; give e.g. --budget 60
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{flag} is {value:g}; give {example}")
    return value


def fit_seed(seed: int, dataset_id: str, replicate: int) -> int:
    """Seed of one fit, in [1, 2**30): the same for every model and backend, on every platform.

    Parameters
    ----------
    seed : int
        Seed of the run.
    dataset_id : str
        Id of the data.
    replicate : int
        Number of the replicate, from 0.

    Examples
    --------
    >>> fit_seed(1, "rubin", 0), fit_seed(1, "rubin", 1)
    (745070202, 639549362)
    """
    digest = hashlib.sha256(f"{seed}/{dataset_id}/{replicate}".encode()).digest()
    return int.from_bytes(digest[:4], "little") % (2**30 - 1) + 1
