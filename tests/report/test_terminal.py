"""What a run prints at its end."""

from dataclasses import replace

import pytest

from bench.comparing.rows import summarise
from bench.comparing.verdict import verdict
from bench.records import Record
from bench.report.terminal import sentence, summary
from bench.words import NOTHING
from tests.simulated import simulate


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(simulate())


def test_targets_are_ranked_apart_and_families_named(records: list[Record]) -> None:
    lines = list(summary(records))
    assert sum("fastest healthy, superpopulation" in line for line in lines) == 4
    assert "normal means" not in "".join(lines)
    other = [replace(record, family="radon") for record in records[:3]]
    assert any(line.startswith("normal means: omega") for line in summary([*records, *other]))


def cells_of(lines: list[str], model: str, backend: str) -> list[str]:
    """Return what stands in the line of a case on the last dataset, in columns two blanks apart."""
    at = max(i for i, line in enumerate(lines) if line.startswith(f"  {model} "))
    line = next(line for line in lines[at:] if f" {backend} " in line)
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_with_replicates_rates_and_ratios_have_intervals(records: list[Record]) -> None:
    lines = list(summary(records))
    assert sum("min ESS/s (95 % interval)" in line and "ratio (95 % interval)" in line for line in lines) == 4
    *_, rate, ratio, _, _ = cells_of(lines, "centered", "stanli")
    low, high = ratio.partition("(")[2].strip(")").split(" to ")
    assert float(low) < float(ratio.split()[0]) < float(high)
    assert " to " in rate
    assert not any("For intervals" in line for line in lines)


def test_one_replicate_has_none_and_says_so(records: list[Record]) -> None:
    lines = list(summary([record for record in records if record.replicate == 0]))
    assert not any("95 % interval" in line for line in lines)
    assert lines[-1].endswith("For intervals: --replicates 5")


def test_a_number_has_three_digits_and_what_is_not_ranked_has_no_rate(records: list[Record]) -> None:
    small = [replace(record, wall_seconds=record.wall_seconds and 0.0123456) for record in records]
    assert cells_of(list(summary(small)), "centered", "nutpie")[1] == "0.0123"
    sick = [replace(record, health=["R-hat: 1.2"]) for record in records]
    lines = list(summary(sick))
    assert cells_of(lines, "centered", "nutpie")[2:4] == [NOTHING, NOTHING]
    assert sum("none, so there is nothing to rank" in line for line in lines) == 8


def test_the_last_sentence_is_that_of_the_page(records: list[Record]) -> None:
    said = sentence(records)
    assert " ".join(said) == verdict(summarise(records))[0]
    assert max(map(len, said)) <= 120
