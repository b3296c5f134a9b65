"""The equality gate: nothing is timed, and nothing called the same, whose density and gradient are not shown equal.

Two sides are compared at places from the middle of the posterior to its tails: their log densities over the values
must differ by one constant, their slopes along the same line must be equal, and each must be able to reach the values
that the other one reaches. A difference counts only where both sides are smooth: digits that one side loses are told
from another model by the roughness of the density along a short line.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from bench.arrays import Bools, Floats, Ints
from bench.correctness.places import Found, Place
from bench.families.base import Values

Kind = Literal["same", "numerics", "different", "unknown"]

TOLERANCE = 1e-9
"""Relative, of log densities (less the constant) and of slopes."""
EPSILONS = 200 * float(np.finfo(float).eps)
"""Rounding that is not called rough, relative to the log density."""
UNIFORM, WIDE, NARROW, TYPICAL = 16, 12, 8, 48
"""Places uniform on (-2, 2) of the unconstrained scale, on four times that, on a quarter, and of the posterior."""
WITH_LINE = 12
"""Places of each kind but the wide ones at which gradients are compared."""
REACH = 12.0
"""How far one coordinate alone is moved to compare supports: a share of 6e-6 from an interval's end."""
MOST_REACHED = 40
MAPPED, MOST_MAPPED = 3, 60
"""Places at which Jacobians are compared, and coordinates up to which that is done."""
MAP_STEP, MAP_TOLERANCE = 1e-4, 1e-5
"""Of the differences that give a determinant; the tolerance is for each coordinate."""
MOST_ROUGH, ENOUGH_TRUE = 12, 3
"""Places whose roughness is measured at most, and smooth ones after which no more are asked."""
SLIGHT = 0.01
"""A difference of log densities that no posterior shows, as that of two solvers with a tolerance."""
SHOWN = 6


Evaluate = Callable[[Sequence[Values]], list[float]]
Densities = tuple[Evaluate, Evaluate]
"""Log densities over any values, by either side."""


class Leader(Protocol):
    """A side that says where to look; a `bench.running.isolation.Worker` that has a posterior in it is one."""

    def lead(self, positions: Floats, directions: Floats) -> list[tuple[Place, Found]]:
        """See `bench.correctness.places.lead`."""

    def follow(self, places: Sequence[Place]) -> list[Found]:
        """See `bench.correctness.places.follow`."""

    def constrain(self, positions: Floats) -> list[Values]:
        """Map vectors to values."""

    def unconstrain(self, values: Sequence[Values]) -> list[Floats]:
        """Map values to vectors."""

    def inside(self, values: Sequence[Values]) -> list[bool]:
        """See `bench.correctness.places.inside`."""

    def densities(self, values: Sequence[Values]) -> list[float]:
        """Log densities over the values."""

    def log_jacobians(self, values: Sequence[Values]) -> list[float]:
        """See `bench.correctness.places.log_jacobians`."""


@dataclass(frozen=True, eq=False)
class Visits:
    """Where a leader led to, and what it found.

    Attributes
    ----------
    positions : array of shape (place, dimension)
        On the leader's unconstrained scale.
    typical : array of shape (place,), bool
        Which of them lie where the posterior has its mass.
    places, found
        The same places as values, and what the leader found there.
    reached : list of Values
        Values at which supports are compared: each coordinate in turn far out.
    """

    positions: Floats
    typical: Bools
    places: list[Place]
    found: list[Found]
    reached: list[Values]


@dataclass(frozen=True)
class Verdict:
    """Whether two sides are the same posterior, and what is known of it.

    Attributes
    ----------
    kind : str
        `same`; `numerics`: the same, but digits are lost at some places; `different`; or `unknown`.
    places, typical : int
        Places that were compared, and how many of them lie where the posterior has its mass.
    error : float
        Largest difference, relative, where both sides are smooth.
    constant : float
        By which the log density of the second side is larger everywhere.
    against : str
        What the second side was compared with.
    left_out : int
        Places at which a side raised, was not finite, or is too rough to tell.
    reasons : list of str
        Why it is not plainly the same.
    depends : dict of str to float
        Parameters that the difference depends on, and how large it gets in typical places.
    at : dict of str to value
        A place at which they differ: scalars and the first elements of arrays.
    values : tuple of float
        Log densities there, less the constant: of the first side and of the second.
    """

    kind: Kind
    places: int
    typical: int
    error: float = float("nan")
    constant: float = float("nan")
    against: str = ""
    left_out: int = 0
    reasons: list[str] = field(default_factory=list)
    depends: dict[str, float] = field(default_factory=dict)
    at: dict[str, Any] = field(default_factory=dict)
    values: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def passes(self) -> bool:
        """Whether it is the same posterior."""
        return self.kind in ("same", "numerics")

    def __str__(self) -> str:
        """Return one line for a record.

        Examples
        --------
        >>> str(Verdict("same", places=60, typical=48, error=3e-13))
        'the same posterior at 60 places, to 3.0e-13 relative'
        >>> str(Verdict("different", places=60, typical=48, reasons=["the supports differ"]))
        'not the same posterior: the supports differ'
        """
        if self.passes:
            return f"the same posterior at {self.places} places, to {self.error:.1e} relative"
        told = "not the same posterior" if self.kind == "different" else "not shown to be the same posterior"
        return f"{told}: {'; '.join(self.reasons)}"


def positions(dimension: int, typical: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Bools]:
    """Choose positions and directions.

    Parameters
    ----------
    dimension : int
        Length of an unconstrained vector.
    typical : array of shape (k, dimension)
        Positions from where the posterior has its mass; the first `TYPICAL` are taken.
    rng : numpy.random.Generator
        Source of the others.

    Returns
    -------
    positions, directions : array of shape (place, dimension)
        Where, and along which line; 0 where there is none.
    is_typical : array of shape (place,), bool
        Which of them are typical.
    """
    typical = typical[:TYPICAL]
    scales = np.repeat([1.0, 0.25, 4.0], [UNIFORM, NARROW, WIDE])
    others = rng.uniform(-2, 2, (len(scales), dimension)) * scales[:, None]
    where = np.concatenate([typical.reshape(-1, dimension), others])
    directions = rng.normal(size=where.shape) / np.sqrt(max(1, dimension))
    with_line = np.concatenate(
        [np.arange(n) < WITH_LINE for n in (len(typical), UNIFORM, NARROW)] + [np.zeros(WIDE, bool)]
    )
    return where, directions * with_line[:, None], np.arange(len(where)) < len(typical)


def visit(leader: Leader, dimension: int, typical: Floats, seed: int = 20) -> Visits:
    """Let a side lead through the places of a comparison.

    Parameters
    ----------
    leader : Leader
        The side whose positions are used, a Stan program where there is one.
    dimension : int
        Of its unconstrained vectors.
    typical : array of shape (k, dimension)
        Positions from where the posterior has its mass; k may be 0.
    seed : int
        Of the other positions.
    """
    rng = np.random.default_rng(seed)
    where, directions, is_typical = positions(dimension, typical, rng)
    visited = leader.lead(where, directions)
    base = where[0] if len(typical) else np.zeros(dimension)
    reached = leader.constrain(_far(base, rng))
    return Visits(where, is_typical, [p for p, _ in visited], [f for _, f in visited], reached)


def _far(base: Floats, rng: np.random.Generator) -> Floats:
    """Move one coordinate of a position at a time far out, to either side, shape (2 * coordinates, dimension)."""
    coordinates = rng.permutation(len(base))[:MOST_REACHED]
    far = np.repeat(base[None], 2 * len(coordinates), axis=0)
    far[np.arange(len(far)), np.repeat(coordinates, 2)] = np.tile([-REACH, REACH], len(coordinates))
    return far


def judge(
    visits: Visits,
    standard: Sequence[Found],
    found: Sequence[Found],
    densities: Densities,
    leader: Leader,
    names: tuple[str, str],
    outside: Sequence[str] = (),
) -> Verdict:
    """Compare what two sides found at the same places.

    Parameters
    ----------
    visits : Visits
        The places.
    standard, found : sequence of Found
        What the first side found there, and the second.
    densities : pair of callable
        Log densities over any values by either side, asked where the two part.
    leader : Leader
        The side that led.
    names : pair of str
        What to call the sides.
    outside : sequence of str
        Differences of support, see `supports`.
    """
    a, b = (np.array([each.log_density for each in side]) for side in (standard, found))
    usable = np.isfinite(a) & np.isfinite(b)
    typical = visits.typical
    numbers: dict[str, Any] = {"places": len(a), "typical": int(typical.sum()), "against": names[0]}
    if not usable.any():
        return Verdict("unknown", **numbers, left_out=len(a), reasons=[_nowhere(standard, found, names)])
    counted = usable & typical if (usable & typical).sum() >= 3 else usable
    constant = float(np.median(b[counted] - a[counted]))
    smaller = np.minimum(np.abs(a), np.abs(b))
    allowed = TOLERANCE * np.maximum(1, smaller) + EPSILONS * np.maximum(np.abs(a), np.abs(b))
    with np.errstate(invalid="ignore"):
        excess = np.where(usable, np.abs(b - a - constant) / allowed, 0)
    slopes = np.array([_slope_excess(x, y) for x, y in zip(standard, found, strict=True)])
    worst = np.maximum(excess, slopes)
    bad = np.flatnonzero(worst > 1)

    rough: dict[int, str] = {}
    by_size = bad[np.argsort(-worst[bad])]
    tested = [i for i in by_size if typical[i]][:MOST_ROUGH] + [i for i in by_size if not typical[i]][:MOST_ROUGH]
    true: list[int] = []
    for i in tested:
        if which := _rough(visits.positions[i], leader, densities, names):
            rough[i] = which
        else:
            true.append(i)
        if len(true) == ENOUGH_TRUE:
            break
    good = np.setdiff1d(np.flatnonzero(usable), bad)
    numbers["constant"], numbers["left_out"] = constant, int((~usable).sum()) + len(rough)
    reasons = [*outside, *_empty(a, b, typical, names)]
    if true or reasons:
        numbers["error"] = float(np.max(worst[true], initial=0)) * TOLERANCE
        if true:
            i = next((i for i in true if typical[i]), true[0])
            mass = usable & typical
            largest = float(np.max(np.abs(b[mass] - a[mass] - constant), initial=0))
            slight = typical[i] and largest < SLIGHT and not reasons
            numbers["at"], numbers["values"] = shown(visits.places[i].values), (float(a[i]), float(b[i] - constant))
            numbers["depends"] = _depends(visits, i, densities, usable)
            slopes_there = None if excess[i] > 1 else (standard[i].slope, found[i].slope)
            reasons.append(_parting(numbers, slopes_there, names))
            if slight:
                reasons.append(
                    f"where the posterior has its mass the two differ by at most {largest:.2g} in the log density: if "
                    "they solve an equation to a tolerance (an ODE, a root), tighten it and compare again"
                )
        return Verdict("different", **numbers, reasons=reasons)
    numbers["error"] = float(np.max(worst[good], initial=0)) * TOLERANCE
    if reason := _untold(visits, standard, found, usable, good, rough, names):
        return Verdict("unknown", **numbers, reasons=[reason])
    if rough:
        at = written(shown(visits.places[next(iter(rough))].values))
        reason = f"{_sides(rough)} loses digits at {len(rough)} of {len(a)} places, e.g. at {at}"
        return Verdict("numerics", **numbers, reasons=[reason])
    return Verdict("same", **numbers)


def _parting(numbers: Mapping[str, Any], slopes: tuple[float, float] | None, names: tuple[str, str]) -> str:
    """Say where two sides part, with what either has there: log densities, or slopes where these alone differ."""
    what, how = ("the log density", "less the constant") if slopes is None else ("the gradient", "along one line")
    first, second = numbers["values"] if slopes is None else slopes
    depends = f"; the difference depends on {_sizes(numbers['depends'])}" if numbers["depends"] else ""
    where = written(numbers["at"])
    return f"{what} at {where} is {first:.10g} by {names[0]} and {second:.10g} by {names[1]} ({how}){depends}"


def _untold(
    visits: Visits,
    standard: Sequence[Found],
    found: Sequence[Found],
    usable: Bools,
    good: Ints,
    rough: Mapping[int, str],
    names: tuple[str, str],
) -> str:
    """Say why sides that differ nowhere are not shown to be the same; empty where they are."""
    lined = usable & np.array([bool(place.line) for place in visits.places])
    sloped = np.isfinite([[each.slope for each in side] for side in (standard, found)])[:, lined].sum(axis=1)
    if sloped.min() < lined.sum() / 2:
        return f"the gradient of {names[int(np.argmin(sloped))]} is finite at less than half of the places"
    if not visits.typical.any():
        return f"no place was found where the posterior has its mass: no fit of {names[0]} could be made to look for it"
    if np.isin(np.flatnonzero(visits.typical), good).mean() < 0.5:
        why = f"{_sides(rough)} lose digits at most places" if rough else _nowhere(standard, found, names)
        return f"too few of the typical places can be compared: {why}"
    return ""


def supports(visits: Visits, leader: Leader, other: Leader, dimension: int, names: tuple[str, str]) -> list[str]:
    """Name the parameters whose supports differ, by values that one side's maps reach and the other's don't.

    Parameters
    ----------
    visits : Visits
        Where the first side led to.
    leader, other : Leader
        The sides.
    dimension : int
        Of the second side's vectors.
    names : pair of str
        What to call the sides.
    """
    rng = np.random.default_rng(21)
    wide = rng.uniform(-8, 8, (WIDE, dimension))
    base = other.unconstrain([visits.places[0].values])[0]
    base = base if np.isfinite(base).all() else np.zeros(dimension)
    ours = [*visits.reached, *(place.values for place in visits.places)]
    theirs = other.constrain(np.concatenate([_far(base, rng), wide]))
    reasons = []
    for values, maker, taker, (has, lacks) in ((ours, leader, other, names), (theirs, other, leader, names[::-1])):
        lost = [each for each, is_in in zip(values, taker.inside(values), strict=True) if not is_in]
        lost = [
            each for each, value in zip(lost, maker.densities(lost) if lost else [], strict=True) if value > -np.inf
        ]
        for name, value in _culprits(lost, visits.places[0].values, taker).items():
            reasons.append(f"the supports differ: {name} = {value} can be had by {has} and not by {lacks}")
    return reasons


def jacobians(visits: Visits, leader: Leader, other: Leader, names: tuple[str, str]) -> list[str]:
    """Say whether the log Jacobians that two sides state belong to their maps.

    From one side's vectors u to the other's v leads a map through the values, and the log Jacobian of the first must
    be that of the second plus log |det dv/du|, but for a constant. The determinant is taken by differences, at a few
    typical places, and only where there are up to `MOST_MAPPED` coordinates.

    Parameters
    ----------
    visits : Visits
        Where the first side led to.
    leader, other : Leader
        The sides.
    names : pair of str
        What to call the sides.
    """
    dimension = visits.positions.shape[1]
    found = np.isfinite([each.log_density for each in visits.found])
    chosen = np.concatenate([np.flatnonzero(found & visits.typical), np.flatnonzero(found & ~visits.typical)])[:MAPPED]
    if dimension > MOST_MAPPED:
        return []
    off = []
    for position in visits.positions[chosen]:
        around = np.concatenate([position + MAP_STEP * np.eye(dimension), position - MAP_STEP * np.eye(dimension)])
        there = np.array(other.unconstrain(leader.constrain(around)))
        if there.shape != around.shape:
            return []  # vectors of another length have no determinant
        derivative = (there[:dimension] - there[dimension:]) / (2 * MAP_STEP)
        here = leader.constrain(position[None])
        (first,), (second,) = leader.log_jacobians(here), other.log_jacobians(here)
        off.append(second + np.linalg.slogdet(derivative)[1] - first)
    differences = np.array(off)[np.isfinite(off)]
    change = float(np.ptp(differences)) if len(differences) else 0.0
    if change <= MAP_TOLERANCE * max(1, dimension):
        return []
    return [
        f"the log Jacobians of {names[0]} and {names[1]} are not those of their maps: between places they differ by up "
        f"to {change:.3g} more than the maps do; look for a transform that states a wrong Jacobian"
    ]


def beyond(visits: Visits, standard: Sequence[Found], found: Sequence[Found], names: tuple[str, str]) -> list[str]:
    """Say where a side has a density and the first one, which says itself where its support ends, has none.

    Parameters
    ----------
    visits : Visits
        The places.
    standard, found : sequence of Found
        What a reference found there, and a side.
    names : pair of str
        What to call them.
    """
    lost = [
        place.values
        for place, a, b in zip(visits.places, standard, found, strict=True)
        if a.log_density == -np.inf and np.isfinite(b.log_density)
    ]
    return [f"the supports differ: {written(lost[0])} can be had by {names[1]} and not by {names[0]}"] if lost else []


def _culprits(lost: Sequence[Values], base: Values, taker: Leader) -> dict[str, str]:
    """Return the parameters that alone are outside of a side's support, each with a value of it."""
    found: dict[str, str] = {}
    for values in lost[:SHOWN]:
        alone = [{**base, name: value} for name, value in values.items()]
        names = [name for name, is_in in zip(values, taker.inside(alone), strict=True) if not is_in]
        for name in names or ["all together"]:
            found.setdefault(name, _short(np.asarray(values[name])) if name in values else written(values))
    return found


def _slope_excess(a: Found, b: Found) -> float:
    """Difference of two slopes in units of what is allowed; 0 where one has none."""
    if not (np.isfinite(a.slope) and np.isfinite(b.slope)):
        return 0.0
    allowed = TOLERANCE * max(1e-3, a.size, b.size) + a.rounding + b.rounding
    return abs(a.slope - b.slope) / allowed


def _rough(
    position: Floats,
    leader: Leader,
    densities: Densities,
    names: tuple[str, str],
) -> str:
    """Return the name of a side that is rough at a position, or nothing."""
    direction = np.random.default_rng(22).normal(size=position.shape)
    along = np.linspace(-0.5e-4, 0.5e-4, 25)
    values = leader.constrain(position + along[:, None] * direction / np.linalg.norm(direction))
    rough = []
    for name, evaluate in zip(names, densities, strict=True):
        line = np.array(evaluate(values))
        if not np.isfinite(line).all():
            rough.append(name)
            continue
        fit = np.polynomial.Polynomial.fit(along, line - line.mean(), 4)
        left = float(np.max(np.abs(line - line.mean() - fit(along))))
        if left > EPSILONS * max(1.0, float(np.max(np.abs(line)))):
            rough.append(name)
    return " and ".join(rough)


def _depends(
    visits: Visits,
    at: int,
    densities: Densities,
    usable: Bools,
) -> dict[str, float]:
    """Vary one parameter at a time and return those that the difference depends on, the largest change first."""
    pool = [i for i in np.flatnonzero(usable & visits.typical) if i != at][:4] or [
        i for i in np.flatnonzero(usable) if i != at
    ][:4]
    base = visits.places[at].values
    tries = [(name, {**base, name: visits.places[i].values[name]}) for name in base for i in pool]
    first, second = (np.array(evaluate([base, *(values for _, values in tries)])) for evaluate in densities)
    change: dict[str, float] = {}
    for (name, _), a, b in zip(tries, first[1:], second[1:], strict=True):
        moved = abs((b - a) - (second[0] - first[0]))
        if np.isfinite(moved) and moved > 10 * TOLERANCE * max(1.0, abs(a), abs(b)):
            change[name] = max(change.get(name, 0.0), float(moved))
    return dict(sorted(change.items(), key=lambda item: -item[1]))


def _empty(a: Floats, b: Floats, typical: Bools, names: tuple[str, str]) -> list[str]:
    """Say where one side has no density among the typical places of the other one."""
    reasons = []
    for mine, other, (has, lacks) in ((a, b, names), (b, a, names[::-1])):
        lost = typical & np.isfinite(mine) & (other == -np.inf)
        if lost.sum() > 0.1 * max(1, int(typical.sum())):
            reasons.append(
                f"{lacks} has no density at {int(lost.sum())} of {int(typical.sum())} typical places of {has}"
            )
    return reasons


def _nowhere(standard: Sequence[Found], found: Sequence[Found], names: tuple[str, str]) -> str:
    """Say why places can't be compared."""
    for name, side in zip(names, (standard, found), strict=True):
        errors = [each.error for each in side if each.error]
        if errors:
            return f"{name} can't be evaluated at {len(errors)} of {len(side)} places, e.g. {errors[0].splitlines()[0]}"
        if not any(np.isfinite(each.log_density) for each in side):
            return f"the log density of {name} is finite nowhere"
    return "no place at which both sides are finite"


def _sides(rough: Mapping[int, str]) -> str:
    return " and ".join(sorted({name for names in rough.values() for name in names.split(" and ")}))


def shown(values: Values) -> dict[str, Any]:
    """Return a place as plain JSON: scalars, and the first elements of arrays, rounded to what a person reads."""
    return {name: np.asarray(value).ravel()[:SHOWN].tolist() if np.ndim(value) else float(value)
            for name, value in values.items()}  # fmt: skip


def written(at: Mapping[str, Any]) -> str:
    """Return a place as text: the first values of the first parameters."""
    text = [f"{name}={_short(np.asarray(value))}" for name, value in list(at.items())[:SHOWN]]
    return ", ".join(text) + (", ..." if len(at) > SHOWN else "")


def _short(value: Floats) -> str:
    if value.ndim == 0:
        return f"{float(value):.6g}"
    flat = [f"{float(x):.4g}" for x in value.ravel()[:3]]
    return f"[{', '.join(flat)}{', ...' if value.size > 3 else ''}]"


def _sizes(depends: Mapping[str, float]) -> str:
    text = [f"{name} (up to {size:.3g})" for name, size in list(depends.items())[:SHOWN]]
    return ", ".join(text) + (f" and {len(depends) - SHOWN} more" if len(depends) > SHOWN else "")
