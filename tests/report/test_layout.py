"""The one kind of table that every page has."""

from bench.report.layout import Table
from bench.words import NOTHING


def test_columns_of_words_are_told_from_columns_of_numbers() -> None:
    lines = [
        ("centered", "2,380 (2 of 3 fits)", "3.1 of 5.2", "healthy"),
        ("noncentered", "752 to 4,110", NOTHING, "3 of 3 unhealthy: divergences, bulk ESS"),
        ("marginal", "1.00e-09", "2.6 of 4.8", "3 of 3 unhealthy: R-hat, bulk ESS, tail ESS"),
    ]
    table = Table.of("x", "A table", ("model", "rate", "max |z|", "health"), lines)
    assert table.words == [True, False, False, True]


def test_an_empty_table_has_its_heads() -> None:
    assert Table.of("x", "A table", ("a", "b"), []).words == [False, False]
