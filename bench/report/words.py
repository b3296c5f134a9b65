"""Words that several sentences share."""

from collections.abc import Sequence


def league_words(league: tuple[str, str], families: int) -> str:
    """Name a target, with its family if there are several.

    Parameters
    ----------
    league : (str, str)
        Family and target.
    families : int
        How many families there are beside each other.

    Examples
    --------
    >>> league_words(("normal_means", "finite_population"), families=1)
    'finite-population posterior'
    >>> league_words(("normal_means", "finite_population"), families=2)
    'normal means, finite-population posterior'
    """
    family, target = league[0].replace("_", " "), league[1].replace("_", "-")
    return f"{family}, {target} posterior" if families > 1 else f"{target} posterior"


def listed(parts: Sequence[str]) -> str:
    """Write a list in words.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
