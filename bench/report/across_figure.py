"""The picture over many models: the ratio of each to the baseline, sorted, by kind and backend."""

from collections.abc import Iterator

from bench.comparing.across import ALL, Across
from bench.comparing.ratios import MEASURES, Key, name
from bench.report.columns import whose_programs
from bench.report.figure import Figure
from bench.report.strips import PANELS, Block, Strip, strips


def figure(across: Across) -> Figure | None:
    """Draw the ratios of all models; None where there are none.

    Parameters
    ----------
    across : Across
        What was found.
    """
    base = across.engines[0]
    panels = [
        panel
        for measure in MEASURES
        if (panel := strips(PANELS[measure], f"times the rate of {base}", list(_blocks(across, measure)))) is not None
    ]
    if not panels:
        return None
    note = (
        f"{whose_programs(across.rows)}. Effective draws per second; right of the line, faster than {base}. Dots: "
        "models, sorted, with 95 % intervals where there are replicates. Diamonds, numbers: geometric means over "
        "sources of data, with 95 % intervals."
    )
    return Figure("models", f"How many times as fast as {base}", note, [("", panels)])


def _blocks(across: Across, measure: str) -> Iterator[Block]:
    base = across.engines[0]
    for kind in across.kinds:
        found = []
        cases: set[Key] = set()
        for style, engine in enumerate(across.engines[1:], 1):
            mean = across.mean(measure, engine, base, kind)
            if mean is not None:
                ratios = across.ratios(measure, engine, base, kind)
                cases |= ratios.keys()
                dots = {f"{name(case)} on {engine}": contrast for case, contrast in ratios.items()}
                found.append(Strip(engine, style, dots, mean, across.backend_of[engine]))
        heading = f"{kind} ({len(cases)})" if len(cases) > 1 else kind
        yield Block(heading, found, None if kind == ALL else kind)
