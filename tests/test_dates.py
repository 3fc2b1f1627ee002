"""The names of weekdays and months."""

import pytest

from frostdesk.dates import MONTHS, WEEKDAYS, month_meant, weekdays_meant


def test_full_names_mean_one_day_each() -> None:
    """No full weekday name of one language is another day in another, and no month's either."""
    assert all(len(days) == 1 for days in (*WEEKDAYS.values(), *MONTHS.values()))


@pytest.mark.parametrize(
    ("word", "days"),
    [
        ("Friday", {4}),
        ("MERCREDI", {2}),
        ("sábado", {5}),
        ("terça-feira", {1}),
        ("Sa.", {5}),
        ("Mo", {0}),
        ("snow", set()),
    ],
)
def test_reads_weekdays(word: str, days: set[int]) -> None:
    """A weekday is known in any case, with or without accents and dots."""
    assert weekdays_meant(word) == days


def test_reads_months() -> None:
    """A month is known by name and by abbreviation."""
    assert [month_meant(word) for word in ("Februar", "févr.", "agosto", "Dec")] == [2, 2, 8, 12]
