"""The simulated model's reading of lessons."""

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.simulators.wishes import Wish, understand

FRIDAY = date(2027, 1, 15)
SATURDAY = date(2027, 1, 16)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("Saturday at 10 for two hours", Wish(SATURDAY, time(10), 120)),
        ("tomorrow 14:30, 90 minutes", Wish(SATURDAY, time(14, 30), 90)),
        ("2027-01-16 at 10:00 for 60 minutes", Wish(SATURDAY, time(10), 60)),
        ("16 January at 2pm", Wish(SATURDAY, time(14))),
        ("Samstag um 10 Uhr für zwei Stunden", Wish(SATURDAY, time(10), 120)),
        ("samedi à 10h pour 2 heures", Wish(SATURDAY, time(10), 120)),
        ("demain 14h30 pendant 1h30", Wish(SATURDAY, time(14, 30), 90)),
        ("from 10 to 12 on Sunday", Wish(date(2027, 1, 17), time(10), 120)),
        ("Samstag Morgen um 9 Uhr 30, anderthalb Stunden", Wish(SATURDAY, time(9, 30), 90)),
        ("an hour and a half on January 20th", Wish(date(2027, 1, 20), None, 90)),
        ("16.1. um 10.30 Uhr", Wish(SATURDAY, time(10, 30))),
        ("le 1er février à 9h", Wish(date(2027, 2, 1), time(9))),
        ("half an hour at noon", Wish(None, time(12), 30)),
        ("29 February", Wish(date(2028, 2, 29))),
        ("saturday next week at 2 in the afternoon", Wish(date(2027, 1, 23), time(14))),
        ("2020-01-01 at 10:00 for 900 minutes", Wish(date(2020, 1, 1), time(10), 900)),
        ("Can we make it 11 instead?", Wish(None, time(11))),
        ("10", Wish(None, time(10))),
        ("90", Wish(None, None, 90)),
        ("Guten Morgen", Wish()),
        ("There are 3 of us, may we come in march?", Wish()),
        ("2027-02-30", Wish()),
    ],
)
def test_understands(text: str, wish: Wish) -> None:
    """A day, a time and a length are found in three languages, and nothing where none is."""
    assert understand(text, today=FRIDAY) == wish


@given(st.text(max_size=80))
def test_reads_anything(text: str) -> None:
    """No text breaks the reading."""
    understand(text, today=FRIDAY)


@given(
    st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    st.times().map(lambda t: t.replace(minute=t.minute, second=0, microsecond=0)),
    st.integers(1, 999),
)
def test_numbers_come_back(day: date, clock: time, minutes: int) -> None:
    """A lesson written in figures is read as written."""
    text = f"{day} at {clock:%H:%M} for {minutes} minutes"
    assert understand(text, today=FRIDAY) == Wish(day, clock, minutes)


def test_updates() -> None:
    """What is said later replaces what was said before, and leaves the rest."""
    wish = Wish(FRIDAY, time(10), 60).updated(Wish(time=time(0), minutes=90))
    assert wish == Wish(FRIDAY, time(0), 90)
