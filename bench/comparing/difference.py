"""One line of a comparison: a case, a mean over datasets, or one over all cases, with one verdict."""

import math
from dataclasses import dataclass
from typing import Any

from bench.cells import rankable
from bench.comparing.effect import GRADIENT, Change, Effect, Kind
from bench.comparing.statistics import RateRatio


@dataclass(frozen=True)
class Difference:
    """One line of a comparison: how B differs from A.

    Attributes
    ----------
    family, dataset, model, backend : str
        What B is; `dataset` is empty for a geometric mean over datasets.
    versus : str
        What A is, where it has another name.
    n : int
        Replicates of B, or datasets.
    over : int
        For a pooled ratio: how many cases it is the geometric mean of; else 0.
    pairs : bool
        Whether they are paired with those of A.
    effects : tuple of Effect
        One for each measure; empty if a side has no healthy cell.
    divergences : tuple of int, optional
        Of all replicates of A, and of B.
    rate : RateRatio, optional
        Ratio of the divergence rates.
    unhealthy : tuple of (int, int), optional
        Unhealthy or broken replicates and all replicates, of A, and of B.
    health : str
        What is wrong with either side.
    same_draws : bool
        Whether both sides walked the same trajectories in every replicate, so that only their speed can differ.
    divergence_change, health_change : str
        `worse` is a regression.
    """

    family: str
    dataset: str
    model: str
    backend: str
    versus: str
    n: int
    over: int = 0
    pairs: bool = False
    effects: tuple[Effect, ...] = ()
    divergences: tuple[int, int] | None = None
    rate: RateRatio | None = None
    unhealthy: tuple[tuple[int, int], tuple[int, int]] | None = None
    health: str = ""
    same_draws: bool = False
    divergence_change: Change = ""
    health_change: Change = ""

    @property
    def regression(self) -> bool:
        """Whether B diverges more or is unhealthy more often."""
        return "worse" in (self.divergence_change, self.health_change)

    @property
    def changed(self) -> bool:
        """Whether B surely differs from A in speed, health or divergences."""
        return self.kind in ("faster", "slower") or bool(self.health_change or self.divergence_change)

    @property
    def candidates(self) -> list[str]:
        """The measures that may decide the row; see `deciding`."""
        there = [effect.measure for effect in self.effects]
        if self.same_draws and "cpu_per_gradient" in there:
            return ["cpu_per_gradient"]
        return [measure for measure in ("ess_per_second", "wall_seconds", GRADIENT) if measure in there]

    @property
    def one_sided(self) -> bool:
        """Whether one side may be ranked and the other not, and that is no verdict yet."""
        ranked = [rankable(sick, n) for sick, n in self.unhealthy or ()]
        return any(ranked) and not all(ranked) and not self.health_change

    @property
    def lost(self) -> bool:
        """Whether A alone may be ranked, and that is no verdict yet."""
        return self.one_sided and self.unhealthy is not None and rankable(*self.unhealthy[0])

    @property
    def deciding(self) -> Effect | None:
        """The effect that stands for the row.

        It is the smallest ESS per second. Where its noise leaves the verdict open, the wall time decides if it surely
        differs, unless the ESS per second leans the other way. Where both sides walked the same trajectories, it is
        the CPU time of a gradient, which is far less noisy.
        """
        effects = {effect.measure: effect for effect in self.effects}
        if self.candidates in (["cpu_per_gradient"], [GRADIENT]):
            return effects[self.candidates[0]]
        rate, wall = effects.get("ess_per_second"), effects.get("wall_seconds")
        if rate is None or wall is None or rate.kind != "not enough" or wall.kind not in ("faster", "slower"):
            return rate or wall
        return wall if (rate.slowdown > 1) == (wall.slowdown > 1) else rate

    @property
    def kind(self) -> Kind:
        """The verdict in one word."""
        return "not ranked" if self.deciding is None else self.deciding.kind

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        words = ["REGRESSION"] if self.regression and not self.versus else []
        if self.health_change:
            words.append("less healthy" if self.health_change == "worse" else "healthier")
        if self.divergence_change:
            words.append("more divergences" if self.divergence_change == "worse" else "fewer divergences")
        effect = self.deciding
        if effect is None:
            words.append(f"not ranked ({self.health})")
        elif effect.kind == "not enough":
            unit = "replicates" if self.dataset or self.over else "datasets"
            words.append(f"not enough {unit}: {effect.more} more needed for {100 * effect.resolution:.3g} %")
        elif effect.kind == "same":
            words.append(f"same within {100 * effect.resolution:.3g} %")
        else:
            words.append(effect.kind + (" (wall time)" if effect.measure == "wall_seconds" else ""))
        if self.same_draws:
            words.append("same draws, only speed can differ")
        wall = next((effect for effect in self.effects if effect.measure == "wall_seconds"), None)
        if self.same_draws and wall is not None and wall is not effect and wall.kind in ("faster", "slower"):
            words.append(f"wall time surely {wall.kind}")
        return "; ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "family": self.family,
            "dataset": self.dataset,
            "model": self.model,
            "backend": self.backend,
            "versus": self.versus,
            "n": self.n,
            "over": self.over,
            "paired": self.pairs,
            "verdict": self.kind,
            "text": self.verdict,
            "regression": self.regression,
            "same_draws": self.same_draws,
            "measures": {
                effect.measure: {
                    "ratio": effect.ratio,
                    "low": effect.interval[0],
                    "high": _finite(effect.interval[1]),
                    "level": effect.level,
                    "p_holm": _finite(effect.p),
                    "verdict": effect.kind,
                    "more_needed": effect.more,
                    "resolution": effect.resolution,
                }
                for effect in self.effects
            },
            "divergences": self.divergences
            and {
                "a": self.divergences[0],
                "b": self.divergences[1],
                "ratio": self.rate and self.rate.ratio,
                "low": self.rate and self.rate.low,
                "high": self.rate and _finite(self.rate.high),
                "change": self.divergence_change,
            },
            "unhealthy": self.unhealthy
            and {"a": self.unhealthy[0], "b": self.unhealthy[1], "change": self.health_change, "text": self.health},
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
