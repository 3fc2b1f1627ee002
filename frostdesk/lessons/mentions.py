"""What one sentence names of a lesson: dates, times, lengths and weekdays, read by patterns."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

import msgspec

from frostdesk.dates import WEEKDAYS, month_meant
from frostdesk.lessons import phrases

HOUR, NOON, DAY = 60, 12 * 60, 24 * 60
"""In minutes, as every time of day here is counted from midnight."""

FIRST_BARE_HOUR = 7
"""A bare "at 2" is the afternoon's: before this hour nobody teaches, and 02:00 is read as it is."""

LEAP_YEARS_APART = 8
"""At most: so far away may the next 29 February be."""


class Mentions(msgspec.Struct):
    """Everything named, gathered while reading.

    Dates are YYYY-MM-DD, times HH:MM, both perhaps of no real day or hour; lengths are minutes,
    weekdays folded words. `vague` is an offer of alternatives.
    """

    dates: set[str] = msgspec.field(default_factory=set)
    times: set[str] = msgspec.field(default_factory=set)
    lengths: set[int] = msgspec.field(default_factory=set)
    weekdays: set[str] = msgspec.field(default_factory=set)
    vague: bool = False

    @property
    def some(self) -> bool:
        """Whether any part of a lesson is named."""
        return bool(self.dates or self.times or self.lengths or self.weekdays)

    @property
    def complete(self) -> bool:
        """Whether every part of a lesson is named."""
        return bool((self.dates or self.weekdays) and self.times and self.lengths)

    def add(self, other: Mentions) -> None:
        """Take in what another sentence names."""
        self.dates |= other.dates
        self.times |= other.times
        self.lengths |= other.lengths
        self.weekdays |= other.weekdays
        self.vague |= other.vague


def read_sentence(sentence: str, *, today: date) -> Mentions:
    """What a folded sentence names. What one pattern has read, the next ones do not see."""
    found = Mentions(vague=phrases.ALTERNATIVES.search(sentence) is not None)
    rest = phrases.MARGIN.sub(" , ", sentence)
    rest = _take(rest, phrases.DATE, lambda match: _read_date(match, found, today))
    rest = _take(rest, phrases.DAY_AT, lambda match: _read_day(match, found, today))
    for pattern, read in _CLOCK_READERS:
        rest = _take(rest, pattern, partial(read, found))
    rest = phrases.MORNING.sub(" , ", rest)
    rest = _take(rest, phrases.RELATIVE, lambda match: _read_relative(match, found, today))
    rest = _take(rest, phrases.WEEKDAY_AND_DAY, lambda match: _read_day(match, found, today))
    found.weekdays |= {match["day"] for match in phrases.WEEKDAY.finditer(rest)}
    found.vague |= not found.dates and phrases.OTHER_WEEK.search(rest) is not None
    return found


def _take(text: str, pattern: re.Pattern[str], read: Callable[[re.Match[str]], bool]) -> str:
    """The text without the matches that `read` accepted."""
    return pattern.sub(lambda match: " , " if read(match) else match[0], text)


# --- Dates ------------------------------------------------------------------------------------


def _read_date(match: re.Match[str], found: Mentions, today: date) -> bool:
    day, month, year = (_first(match, prefix) for prefix in "dmy")
    number = int(month) if month.isdigit() else month_meant(month)
    found.dates.add(_iso(int(day), number, year=year, today=today))
    found.vague |= match["other"] is not None
    if match["short"]:
        found.weekdays.add(match["short"])
    return True


_GROUPS = {"d": ("d1", "d2", "d3", "d4", "d5"), "y": ("y1", "y2", "y4", "y5")}
_GROUPS["m"] = ("m1", "m2", "m3", "m3b", "m4", "m5")


def _first(match: re.Match[str], part: str) -> str:
    return next(filter(None, match.group(*_GROUPS[part])), "")


def _iso(day: int, month: int, *, year: str, today: date) -> str:
    if year:
        return f"{int(year) if len(year) > len('27') else 2000 + int(year):04}-{month:02}-{day:02}"
    for ahead in range(LEAP_YEARS_APART + 1):
        try:
            found = date(today.year + ahead, month, day)
        except ValueError:
            continue
        if found >= today:
            return found.isoformat()
    return f"{today.year:04}-{month:02}-{day:02}"  # no such day in any year: for others to refuse


def _read_relative(match: re.Match[str], found: Mentions, today: date) -> bool:
    (ahead,) = (days for days in phrases.RELATIVE_DAYS if match[f"in{days}"])
    found.dates.add((today + timedelta(days=ahead)).isoformat())
    return True


def _read_day(match: re.Match[str], found: Mentions, today: date) -> bool:
    """Of "Saturday 16", the next 16th, whatever its weekday; that is kept to be checked."""
    for month in range(13):
        year, index = divmod(today.month - 1 + month, 12)
        try:
            day = date(today.year + year, index + 1, int(match["number"]))
        except ValueError:
            continue
        if day >= today:
            found.dates.add(day.isoformat())
            found.weekdays.add(match["day"])
            return True
    return False


# --- Times ------------------------------------------------------------------------------------


def _minutes(match: re.Match[str], n: str = "") -> int:
    """Minutes since midnight of the time in the groups numbered `n`."""
    hour, minute = int(match[f"h{n}"]), int(match[f"m{n}"] or match[f"mm{n}"] or 0)
    minute += _part(match[f"part{n}"])
    half = "p" if match[f"late{n}"] else (match[f"ap{n}"] or "").strip()[:1]
    minutes = HOUR * hour + minute
    if minutes < NOON and (half == "p" or (not half and _is_afternoon(match, n, minutes))):
        return minutes + NOON
    return minutes - NOON if half == "a" and minutes // HOUR == NOON // HOUR else minutes


def _part(said: str | None) -> int:
    return next((m for m, words in phrases.PARTS if said and words.fullmatch(said)), 0)


def _is_afternoon(match: re.Match[str], n: str, minutes: int) -> bool:
    exact = match[f"m{n}"] or match[f"early{n}"] or match[f"h{n}"].startswith("0")
    return not exact and minutes < FIRST_BARE_HOUR * HOUR


def _clock(minutes: int) -> str:
    return f"{minutes // HOUR:02}:{minutes % HOUR:02}"


def _is_written_out(match: re.Match[str], n: str = "") -> bool:
    """Whether digits are a time without a word before them; a dot alone may be a price's."""
    minutes = match[f"m{n}"] and match[f"sep{n}"] != "."
    said = match[f"unit{n}"] or match[f"ap{n}"] or match[f"late{n}"] or match[f"part{n}"]
    return bool(minutes or said)


def _read_at(found: Mentions, match: re.Match[str]) -> bool:
    found.times.add(_clock(_minutes(match)))
    return True


def _read_clock(found: Mentions, match: re.Match[str]) -> bool:
    return _is_written_out(match) and _read_at(found, match)


def _read_noon(found: Mentions, _: re.Match[str]) -> bool:
    found.times.add(_clock(NOON))
    return True


def _read_range(found: Mentions, match: re.Match[str]) -> bool:
    if not _is_range(match):
        return False
    start, end = _minutes(match, "1"), _minutes(match, "2")
    if match["ap2"] and not match["ap1"] and start < NOON <= end and start + NOON < end:
        start += NOON  # "2-4 pm": the half of the day is said once
    while end <= start:
        end += NOON if end < NOON and not match["m2"] else DAY
    found.times.add(_clock(start))
    found.lengths.add(end - start)
    return True


def _is_range(match: re.Match[str]) -> bool:
    dashed = not match["to"][0].isalpha()
    if dashed and _is_short_length(match):
        return False
    after_date = match.string[: match.start()].rstrip().endswith((",", *WEEKDAYS))
    exact = _is_written_out(match, "1") or _is_written_out(match, "2")
    return bool(not dashed or match["from"] or after_date or exact)


def _is_short_length(match: re.Match[str]) -> bool:
    """Whether what follows the dash of "10:00 - 2h" is a length and no end."""
    return bool(match["unit2"] and not match["m2"] and int(match["h2"]) < FIRST_BARE_HOUR)


# --- Lengths ----------------------------------------------------------------------------------


def _read_half_hour(found: Mentions, _: re.Match[str]) -> bool:
    found.lengths.add(HOUR // 2)
    return True


def _read_length(found: Mentions, match: re.Match[str]) -> bool:
    """A length, or the time of day that "10h" and "10 heures" are where no "for" stands before."""
    number = phrases.NUMBER_WORDS.get(match["n"]) or float(match["n"].replace(",", "."))
    number += 0.5 if match["half1"] or match["half2"] else 0
    extra = int(match["extra"] or match["bare"] or 0)
    if match["minutes"]:
        found.lengths.add(round(number))
    elif match["sure"] or match["for"] or number < FIRST_BARE_HOUR:
        found.lengths.add(round(number * HOUR) + extra)
    else:
        found.times.add(_clock(round(number * HOUR) + extra))
    return True


_CLOCK_READERS: tuple[tuple[re.Pattern[str], Callable[[Mentions, re.Match[str]], bool]], ...] = (
    (phrases.RANGE, _read_range),
    (phrases.AT_TIME, _read_at),
    (phrases.HALF_HOUR, _read_half_hour),
    (phrases.LENGTH, _read_length),
    (phrases.NOON, _read_noon),
    (phrases.CLOCK_TIME, _read_clock),
)
