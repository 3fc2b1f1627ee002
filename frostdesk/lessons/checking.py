"""What may become a lesson: the one check of date, time and length that came from outside."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from frostdesk.dates import weekdays_meant
from frostdesk.errors import FrostDeskError
from frostdesk.events import Lesson

SHORTEST, LONGEST = 15, 480
"""The bounds of a lesson's length in minutes, both allowed."""

NOON = 12
"""The highest hour on a clock face."""

FURTHEST = 366
"""How many days ahead of today, in the business's zone, a lesson may be."""


class LessonRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson as a model or a parser asked for it: raw values, of any type, not to be trusted.

    `date` is meant as YYYY-MM-DD, with or without a weekday beside it, `time` as HH:MM in the
    business's zone, `duration` as minutes.
    """

    date: Any = None
    time: Any = None
    duration: Any = None


class Refusal(StrEnum):
    """Why a lesson has not been put down."""

    BAD_DATE = "bad_date"
    WRONG_WEEKDAY = "wrong_weekday"
    BAD_TIME = "bad_time"
    NO_SUCH_TIME = "no_such_time"
    PAST = "past"
    TOO_FAR = "too_far"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    BAD_DURATION = "bad_duration"
    TAKEN = "taken"


_TEXTS = {
    Refusal.BAD_DATE: "{raw} is no date; give it as YYYY-MM-DD, such as 2027-01-15",
    Refusal.WRONG_WEEKDAY: "{date} is a {date:%A}, and {raw} was asked for; ask which is meant",
    Refusal.BAD_TIME: "{raw} is no time of day; give it as HH:MM, such as 14:30",
    Refusal.NO_SUCH_TIME: "the clocks skip {time:%H:%M} on {date}; ask for another time",
    Refusal.PAST: "{date} {time:%H:%M} has passed; ask for a time to come",
    Refusal.TOO_FAR: f"{{date}} is more than {FURTHEST} days ahead; ask for an earlier day",
    Refusal.TOO_SHORT: f"{{raw}} minutes are too short; a lesson takes {SHORTEST} or more",
    Refusal.TOO_LONG: f"{{raw}} minutes are too long; a lesson takes {LONGEST} at most",
    Refusal.BAD_DURATION: "{raw} is no length; give it as a whole number of minutes, such as 90",
    Refusal.TAKEN: "the instructor has a lesson in this time on {date}; ask for another time",
}


class LessonRefusedError(FrostDeskError):
    """A lesson that must not be put down. Its text (English) is fit for the model to read.

    `date` (the day asked for) and `time` (its start) are there as far as they could be read:
    `date` for `wrong_weekday` and `too_far`, both for `no_such_time`, `past` and `taken`.
    """

    def __init__(
        self,
        reason: Refusal,
        *,
        raw: object = "",
        date: date | None = None,
        time: time | None = None,
    ) -> None:
        text = _TEXTS[reason].format(raw=_clip(raw), date=date, time=time)
        super().__init__(f"No lesson has been put down: {text}.")
        self.reason = reason
        self.date = date
        self.time = time


def propose_lesson(
    request: LessonRequest, *, timezone: ZoneInfo, now: datetime, taken: Sequence[Lesson]
) -> Lesson:
    """The lesson asked for, if it may be proposed.

    `now` is aware, `taken` are the instructor's confirmed lessons. Dates and times are the wall
    clock's in `timezone`; of a time that comes twice (clocks put back) the first is meant.
    Raises LessonRefusedError with the first reason found.
    """
    day = _read_date(request.date)
    start = _read_time(request.time)
    duration = _read_duration(request.duration)
    _check_day(day, start=start, today=now.astimezone(timezone).date())
    lesson = make_lesson(day, start, duration=duration, timezone=timezone)
    _check_slot(lesson, now=now, taken=taken)
    return lesson


def make_lesson(date: date, time: time, *, duration: int, timezone: ZoneInfo) -> Lesson:
    """The lesson of these already checked values; `duration` is in minutes."""
    starts_at = datetime.combine(date, time, tzinfo=timezone).astimezone(UTC)
    return Lesson(
        date=date,
        time=time,
        duration=duration,
        timezone=timezone.key,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=duration),
    )


_WORD = r"([^\W\d_]+(?:-[^\W\d_]+)?)"
_DATE = re.compile(
    rf"(?:{_WORD}[.,]*\s*)?([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(?:[\s,(]*{_WORD}[.)]*)?"
)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::00)?(?:\s*([ap])\.?m\.?)?", re.IGNORECASE)
_DURATION = re.compile(r"(-?[0-9]{1,9})(?:\.0{1,9})?(?:\s*min(?:utes)?)?", re.IGNORECASE)


def _read_date(raw: object) -> date:
    match = _DATE.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None:
        raise LessonRefusedError(Refusal.BAD_DATE, raw=raw)
    try:
        day = date.fromisoformat(match[2])
    except ValueError:
        raise LessonRefusedError(Refusal.BAD_DATE, raw=raw) from None
    for word in filter(None, (match[1], match[3])):
        _check_weekday(word, day=day, raw=raw)
    return day


def _check_weekday(word: str, *, day: date, raw: object) -> None:
    meant = weekdays_meant(word)
    if not meant:
        raise LessonRefusedError(Refusal.BAD_DATE, raw=raw)
    if day.weekday() not in meant:
        raise LessonRefusedError(Refusal.WRONG_WEEKDAY, raw=word, date=day)


def _read_time(raw: object) -> time:
    match = _TIME.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None:
        raise LessonRefusedError(Refusal.BAD_TIME, raw=raw)
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    try:
        return time(_on_24_hours(hour, half) if half else hour, minute)
    except ValueError:
        raise LessonRefusedError(Refusal.BAD_TIME, raw=raw) from None


def _on_24_hours(hour: int, half: str) -> int:
    if not 1 <= hour <= NOON:
        raise ValueError(hour)
    return hour % NOON + (NOON if half in "pP" else 0)


def _read_duration(raw: object) -> int:
    minutes = _whole_number(raw)
    if minutes is None:
        raise LessonRefusedError(Refusal.BAD_DURATION, raw=raw)
    if minutes < SHORTEST:
        raise LessonRefusedError(Refusal.TOO_SHORT, raw=minutes)
    if minutes > LONGEST:
        raise LessonRefusedError(Refusal.TOO_LONG, raw=minutes)
    return minutes


def _whole_number(raw: object) -> int | None:
    if isinstance(raw, bool):  # to Python a bool is an int, to us it is no length
        return None
    if isinstance(raw, str):
        match = _DURATION.fullmatch(raw.strip())
        return int(match[1]) if match else None
    if isinstance(raw, float):
        return int(raw) if raw.is_integer() else None
    return raw if isinstance(raw, int) else None


def _check_day(day: date, *, start: time, today: date) -> None:
    """Days first: far ones would overflow once made an instant."""
    if day < today:
        raise LessonRefusedError(Refusal.PAST, date=day, time=start)
    if (day - today).days > FURTHEST:
        raise LessonRefusedError(Refusal.TOO_FAR, date=day, time=start)


def _check_slot(lesson: Lesson, *, now: datetime, taken: Sequence[Lesson]) -> None:
    reason = None
    if not _is_on_the_clock(lesson):
        reason = Refusal.NO_SUCH_TIME
    elif lesson.starts_at < now:
        reason = Refusal.PAST
    elif any(lesson.overlaps(other) for other in taken):
        reason = Refusal.TAKEN
    if reason:
        raise LessonRefusedError(reason, date=lesson.date, time=lesson.time)


def _is_on_the_clock(lesson: Lesson) -> bool:
    """A wall-clock time that the clocks skip does not come back from UTC as itself."""
    local = lesson.starts_at.astimezone(ZoneInfo(lesson.timezone))
    return local.replace(tzinfo=None) == datetime.combine(lesson.date, lesson.time)


def _clip(raw: object) -> str:
    """The first characters of whatever came: a huge number has no text at all in Python."""
    try:
        return f"{raw!s:.40}"
    except ValueError:
        return "a number of thousands of digits"
