"""What a fit is asked to do: sampler settings, protocol and seeds."""

import hashlib
import os
from dataclasses import dataclass, replace
from typing import Literal, get_args

Protocol = Literal["matched", "stock"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


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
        """Replace the fields whose given value is not None."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]

    @property
    def parallel_chains(self) -> int:
        """Chains that run at the same time."""
        return min(self.chains, self.cores)


def fit_seed(seed: int, dataset_id: str, replicate: int) -> int:
    """Seed of one fit, in [1, 2**30): the same for every model and backend, on every platform."""
    digest = hashlib.sha256(f"{seed}/{dataset_id}/{replicate}".encode()).digest()
    return int.from_bytes(digest[:4], "little") % (2**30 - 1) + 1
