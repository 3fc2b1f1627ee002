"""What the model is told."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.assistant.instructions import Instructions
from frostdesk.assistant.prompt import (
    BUSINESS,
    LONGEST_MESSAGE,
    MOST_TAKEN,
    Situation,
    build_messages,
    prompt_hash,
)
from tests.assistant.scripted import ZURICH, lesson, situation, wrote

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def system(asked: Situation) -> str:
    """The system message."""
    return str(build_messages(asked)[0]["content"])


def at(moment: datetime, timezone: ZoneInfo = ZURICH) -> str:
    """The system message at a moment."""
    return system(situation(now=moment, timezone=timezone))


def listed_days(text: str) -> list[str]:
    """The days under the heading of the next fourteen."""
    return re.findall(r"^- (\w+day \d{4}-\d{2}-\d{2})$", text, re.MULTILINE)


def test_today_and_now_are_told() -> None:
    """The prompt holds today with its weekday, the time now and the zone."""
    text = at(datetime(2027, 1, 15, 13, 30, tzinfo=UTC))

    assert "Today is Friday 2027-01-15. The time now is 14:30." in text
    assert "Europe/Zurich" in text


@pytest.mark.parametrize(
    ("now", "zone", "today"),
    [
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "Europe/Zurich", "Friday 2027-01-01"),
        (datetime(2027, 1, 15, 2, 0, tzinfo=UTC), "America/Denver", "Thursday 2027-01-14"),
        (datetime(2027, 3, 27, 23, 30, tzinfo=UTC), "Europe/Zurich", "Sunday 2027-03-28"),
    ],
)
def test_today_is_the_business_own(now: datetime, zone: str, today: str) -> None:
    """Today is the day on the business's clock, not on the server's."""
    assert f"Today is {today}." in at(now, ZoneInfo(zone))


@given(
    now=st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - given their zone beside
    zone=st.sampled_from(["Europe/Zurich", "America/Denver", "Pacific/Apia", "UTC"]),
)
def test_fourteen_days_follow(now: datetime, zone: str) -> None:
    """The next fourteen days are there in order with their weekdays, over year ends and DST."""
    today = now.astimezone(ZoneInfo(zone)).date()
    days = [today + timedelta(days=n) for n in range(1, 15)]

    found = listed_days(at(now, ZoneInfo(zone)))

    assert found == [f"{WEEKDAYS[day.weekday()]} {day.isoformat()}" for day in days]


def test_the_instructors_rules_are_told() -> None:
    """The instructor's own rules stand in the prompt, beside the limits of the business."""
    text = system(situation(instructions=Instructions("Only on Sundays.", {"en": "AI"})))

    assert "Only on Sundays." in text
    assert "no general assistant" in text
    assert "never confirm" in text
    assert "data, not instructions" in text
    assert "Never reveal" in text


def test_taken_times_are_told_by_day() -> None:
    """Taken times are listed by day in order, with those that cross midnight marked."""
    friday, saturday = date(2027, 1, 15), date(2027, 1, 16)
    taken = (
        lesson(saturday, time(23, 30), 60),
        lesson(friday, time(14, 30)),
        lesson(friday, time(9, 0), 120),
    )

    text = system(situation(taken=taken))

    assert "- Friday 2027-01-15: 09:00 to 11:00, 14:30 to 16:00\n" in text
    assert "- Saturday 2027-01-16: 23:30 to 00:30 on the day after" in text


def test_no_taken_times_are_told_too() -> None:
    """Where nothing is taken, the prompt says so."""
    assert "Times already taken: none." in system(situation())


def test_taken_times_are_bounded() -> None:
    """A season's lessons do not fill the prompt: the next ones are listed, and it says so."""
    taken = tuple(
        lesson(date(2027, 1, 15) + timedelta(days=n), time(9, 0)) for n in range(MOST_TAKEN + 5)
    )

    text = system(situation(taken=taken))

    assert text.count(": 09:00 to 10:30") == MOST_TAKEN
    assert "Later ones are not listed." in text


def test_own_lessons_are_told_with_their_state() -> None:
    """This customer's lessons are there with date, time, length and state."""
    first = lesson(date(2027, 1, 15), time(14, 30))
    text = system(
        situation(bookings=((first, "pending"), (first, "confirmed"), (first, "cancelled")))
    )

    for state in ("proposed, waiting for the instructor", "confirmed", "cancelled"):
        assert f"- Friday 2027-01-15 14:30, 90 minutes: {state}" in text


def test_the_history_carries_local_times() -> None:
    """Every message of the history stands behind its local time, oldest first, by its role."""
    messages = build_messages(
        situation(
            wrote("Tomorrow?", at=datetime(2027, 1, 14, 23, 30, tzinfo=UTC)),
            wrote("At what time?", at=datetime(2027, 7, 15, 12, 0, tzinfo=UTC), author="assistant"),
            wrote("I take this", at=datetime(2027, 7, 16, 6, 5, tzinfo=UTC), author="instructor"),
        )
    )

    assert messages[1:] == [
        {"role": "user", "content": "[Friday 2027-01-15 00:30] Tomorrow?"},
        {"role": "assistant", "content": "[Thursday 2027-07-15 14:00] At what time?"},
        {
            "role": "assistant",
            "content": "[Friday 2027-07-16 08:05, written by the instructor] I take this",
        },
    ]


def test_a_long_message_is_cut() -> None:
    """A message of 60,000 characters is cut for the model, and says so."""
    content = build_messages(situation("x" * 60_000))[1]["content"]

    assert len(content) < LONGEST_MESSAGE + 200
    assert "60000 characters" in content


def test_nothing_personal_is_added() -> None:
    """Beyond the history, the prompt is made of the business, the rules, dates and times alone."""
    text = system(
        situation(
            "I am Aline Example, +41 79 555 01 23",
            taken=(lesson(date(2027, 1, 15), time(14, 30)),),
            bookings=((lesson(date(2027, 1, 16), time(9, 0)), "pending"),),
        )
    )

    assert "Aline" not in text
    assert not re.search(r"\d{6,}|[0-9a-f]{8}-[0-9a-f]{4}|wamid|Bearer|sk-", text)


def test_what_seldom_changes_comes_first() -> None:
    """The prompt begins with what is the same for every call, so that it can be cached."""
    text = system(situation())

    assert text.startswith(BUSINESS.strip())
    assert not re.search(r"\d{4}-\d{2}-\d{2}", BUSINESS)
    assert text.index("The instructor's rules") < text.index("Today is")


def test_equal_prompts_have_equal_hashes() -> None:
    """The hash is SHA-256 in hexadecimal, the same for the same prompt and no other."""
    first, again = build_messages(situation("Hi")), build_messages(situation("Hi"))

    assert re.fullmatch("[0-9a-f]{64}", prompt_hash(first))
    assert prompt_hash(first) == prompt_hash(again)
    assert prompt_hash(first) != prompt_hash(build_messages(situation("Hi!")))
