"""Words that several sentences share."""

from collections.abc import Sequence


def league_words(league: tuple[str, str]) -> str:
    """Name the target of a family.

    Examples
    --------
    >>> league_words(("normal_means", "finite_population"))
    'finite-population posterior'
    """
    return f"{league[1].replace('_', '-')} posterior"


def listed(parts: Sequence[str]) -> str:
    """Write a list in words.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
