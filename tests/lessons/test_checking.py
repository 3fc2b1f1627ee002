"""What may become a lesson, and what is refused and why."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.errors import FrostDeskError
from frostdesk.events import Lesson
from frostdesk.lessons.checking import (
    FURTHEST,
    LONGEST,
    SHORTEST,
    LessonRefusedError,
    LessonRequest,
    Refusal,
    make_lesson,
    propose_lesson,
)

ZURICH = ZoneInfo("Europe/Zurich")
NOW = datetime(2027, 1, 11, 9, 0, tzinfo=UTC)


def propose(
    *,
    day: Any = "2027-01-15",
    start: Any = "14:30",
    duration: Any = 90,
    now: datetime = NOW,
    taken: tuple[Lesson, ...] = (),
) -> Lesson:
    """A proposal that is fine in whatever the test does not name."""
    request = LessonRequest(date=day, time=start, duration=duration)
    return propose_lesson(request, timezone=ZURICH, now=now, taken=taken)


def refusal(**asked: Any) -> LessonRefusedError:
    """The refusal that the proposal meets."""
    with pytest.raises(LessonRefusedError) as caught:
        propose(**asked)
    return caught.value


def lesson(day: str, start: str, duration: int) -> Lesson:
    """A lesson in Zurich."""
    return make_lesson(
        date.fromisoformat(day), time.fromisoformat(start), duration=duration, timezone=ZURICH
    )


def test_keeps_the_wall_clock_and_the_instants() -> None:
    """A lesson holds its wall-clock time and zone, and the same slot in UTC."""
    assert propose() == Lesson(
        date=date(2027, 1, 15),
        time=time(14, 30),
        duration=90,
        timezone="Europe/Zurich",
        starts_at=datetime(2027, 1, 15, 13, 30, tzinfo=UTC),
        ends_at=datetime(2027, 1, 15, 15, 0, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "day",
    [
        "2027-01-15",
        " 2027-01-15 ",
        "Friday 2027-01-15",
        "Fri, 2027-01-15",
        "2027-01-15 (Friday)",
        "Freitag, 2027-01-15",
        "Fr. 2027-01-15",
        "vendredi 2027-01-15",
        "venerdì 2027-01-15",
        "2027-01-15, viernes",
        "vrijdag 2027-01-15",
        "sexta-feira 2027-01-15",
    ],
)
def test_reads_dates_with_their_weekday(day: str) -> None:
    """A date may have its weekday before or after it, in any shipped language."""
    assert propose(day=day).date == date(2027, 1, 15)


@pytest.mark.parametrize(
    "day",
    ["", "soon", "15.01.2027", "2027-02-30", "2027-13-01", "Firday 2027-01-15", None, 20270115, []],
)
def test_refuses_what_is_no_date(day: Any) -> None:
    """What cannot be read as a day is refused, whatever its type."""
    assert refusal(day=day).reason is Refusal.BAD_DATE


@pytest.mark.parametrize("day", ["Saturday 2027-01-15", "2027-01-15 (Samstag)", "jeu. 2027-01-15"])
def test_refuses_a_weekday_that_is_not_the_dates(day: str) -> None:
    """A weekday that the date does not have is refused, and the refusal knows the date."""
    error = refusal(day=day)

    assert (error.reason, error.date) == (Refusal.WRONG_WEEKDAY, date(2027, 1, 15))
    assert "2027-01-15 is a Friday" in str(error)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("14:30", time(14, 30)),
        ("9:05", time(9, 5)),
        ("14:30:00", time(14, 30)),
        ("2:30 pm", time(14, 30)),
        ("2:30PM", time(14, 30)),
        ("12:00 a.m.", time(0, 0)),
        ("12:15 pm", time(12, 15)),
        (" 23:59 ", time(23, 59)),
    ],
)
def test_reads_times(start: str, expected: time) -> None:
    """A time may be on 24 or 12 hours, with seconds that are none."""
    assert propose(start=start).time == expected


@pytest.mark.parametrize("start", ["", "24:00", "14:60", "13:00 pm", "0:30 am", "noon", None, 14])
def test_refuses_what_is_no_time(start: Any) -> None:
    """What cannot be read as a time of day is refused, whatever its type."""
    assert refusal(start=start).reason is Refusal.BAD_TIME


@pytest.mark.parametrize("duration", [90, 90.0, "90", " 90 ", "90.0", "90 min", "90 minutes"])
def test_reads_lengths(duration: Any) -> None:
    """A length may come as a whole number of any spelling."""
    assert propose(duration=duration).duration == 90


@pytest.mark.parametrize(
    ("duration", "reason"),
    [
        (14, Refusal.TOO_SHORT),
        (0, Refusal.TOO_SHORT),
        ("-60", Refusal.TOO_SHORT),
        (481, Refusal.TOO_LONG),
        pytest.param(10**5000, Refusal.TOO_LONG, id="huge"),
        (1e300, Refusal.TOO_LONG),
        (90.5, Refusal.BAD_DURATION),
        (float("nan"), Refusal.BAD_DURATION),
        (float("inf"), Refusal.BAD_DURATION),
        ("an hour", Refusal.BAD_DURATION),
        pytest.param("9" * 5000, Refusal.BAD_DURATION, id="long"),
        (True, Refusal.BAD_DURATION),
        (None, Refusal.BAD_DURATION),
        ([90], Refusal.BAD_DURATION),
    ],
)
def test_refuses_lengths(duration: Any, reason: Refusal) -> None:
    """A length out of bounds, or that is none, is refused with its own reason."""
    assert refusal(duration=duration).reason is reason


@pytest.mark.parametrize("duration", [SHORTEST, LONGEST])
def test_allows_both_bounds_of_the_length(duration: int) -> None:
    """The shortest and the longest lesson are lessons."""
    assert propose(duration=duration).duration == duration


@pytest.mark.parametrize(
    ("day", "start"), [("2027-01-11", "09:59"), ("2027-01-10", "23:00"), ("0001-01-01", "00:00")]
)
def test_refuses_the_past(day: str, start: str) -> None:
    """A lesson that would have begun already is refused."""
    error = refusal(day=day, start=start)

    assert (error.reason, error.date) == (Refusal.PAST, date.fromisoformat(day))


def test_allows_this_very_moment() -> None:
    """A lesson may begin now."""
    assert propose(day="2027-01-11", start="10:00").starts_at == NOW


def test_looks_a_year_ahead() -> None:
    """The last day allowed is 366 days from today, in the business's zone."""
    last = date(2027, 1, 11) + timedelta(days=FURTHEST)

    assert propose(day=last.isoformat()).date == last
    for day in ((last + timedelta(days=1)).isoformat(), "9999-12-31"):
        assert refusal(day=day, start="23:59", duration=480).reason is Refusal.TOO_FAR


def test_today_is_the_business_zones() -> None:
    """Shortly before midnight in UTC it is the next day in Zurich."""
    night = datetime(2027, 1, 11, 23, 30, tzinfo=UTC)

    assert propose(day="2027-01-12", start="00:30", now=night).starts_at == night
    assert refusal(day="2027-01-11", start="23:59", now=night).reason is Refusal.PAST


def test_refuses_the_hour_that_the_clocks_skip() -> None:
    """No lesson starts between 2 and 3 on the night when the clocks go forward."""
    assert refusal(day="2027-03-28", start="02:30").reason is Refusal.NO_SUCH_TIME
    assert propose(day="2027-03-28", start="03:00").starts_at == datetime(
        2027, 3, 28, 1, tzinfo=UTC
    )


def test_takes_the_first_of_two_same_hours() -> None:
    """Where an hour comes twice, the first is meant; the length is real time."""
    twice = propose(day="2027-10-31", start="02:30", duration=60)

    assert twice.starts_at == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert twice.ends_at == datetime(2027, 10, 31, 1, 30, tzinfo=UTC)


def test_refuses_a_taken_slot_beyond_midnight() -> None:
    """A lesson that runs past midnight takes the next day's first minutes too."""
    late = lesson("2027-01-15", "23:30", 60)

    error = refusal(day="2027-01-16", start="00:15", taken=(late,))
    assert (error.reason, error.time) == (Refusal.TAKEN, time(0, 15))
    assert propose(day="2027-01-16", start="00:30", taken=(late,)).time == time(0, 30)


@pytest.mark.parametrize("reason", list(Refusal))
def test_every_refusal_says_what_and_why(reason: Refusal) -> None:
    """Each reason has a text for the model, however little is known and however long it is."""
    error = LessonRefusedError(reason, raw="x" * 9000, date=NOW.date(), time=time(9, 5))

    assert isinstance(error, FrostDeskError)
    assert str(error).startswith("No lesson has been put down: ")
    assert len(str(error)) < 200


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
DAYS = st.dates(date(2026, 12, 1), date(2028, 3, 1))
LESSONS = st.builds(
    make_lesson,
    DAYS,
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    duration=st.integers(SHORTEST, LONGEST),
    timezone=st.just(ZURICH),
)


@given(day=ANYTHING, start=ANYTHING, duration=ANYTHING)
def test_nothing_but_a_refusal_is_raised(day: Any, start: Any, duration: Any) -> None:
    """Whatever values come, the answer is a lesson or a refusal."""
    request = LessonRequest(date=day, time=start, duration=duration)
    with pytest.raises(LessonRefusedError):
        propose_lesson(request, timezone=ZURICH, now=NOW, taken=())


@given(wanted=LESSONS, taken=st.lists(LESSONS, max_size=3))
def test_what_is_accepted_is_within_all_bounds(wanted: Lesson, taken: list[Lesson]) -> None:
    """An accepted lesson is to come, within a year, of its length, and free."""
    request = LessonRequest(
        date=wanted.date.isoformat(), time=f"{wanted.time:%H:%M}", duration=wanted.duration
    )
    try:
        found = propose_lesson(request, timezone=ZURICH, now=NOW, taken=taken)
    except LessonRefusedError:
        return

    assert found == wanted
    assert NOW <= found.starts_at < NOW + timedelta(days=FURTHEST + 1)
    assert found.ends_at - found.starts_at == timedelta(minutes=found.duration)
    assert found.starts_at.astimezone(ZURICH).time() == found.time
    assert not any(other.overlaps(found) for other in taken)


@given(one=LESSONS, other=LESSONS)
def test_overlapping_is_mutual(one: Lesson, other: Lesson) -> None:
    """If one lesson overlaps another, the other overlaps it; each overlaps itself."""
    assert one.overlaps(other) == other.overlaps(one)
    assert one.overlaps(one)
