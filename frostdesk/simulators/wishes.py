"""Reading a lesson's day, time and length out of what a customer writes (English, German, French).

The simulated model's own understanding: the service never sees it, and does not share it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, time, timedelta

import msgspec

from frostdesk.simulators.phrases import fold

FIRST_HOUR, LAST_HOUR = 7, 22
"""The hours of the day in which a lesson may begin, where a number alone could mean two things."""


class Wish(msgspec.Struct, frozen=True):
    """What is known of a lesson: its local day and time, and its length in minutes."""

    day: date | None = None
    time: time | None = None
    minutes: int | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return None not in (self.day, self.time, self.minutes)

    def updated(self, newer: Wish) -> Wish:
        """This wish with everything replaced that the newer one says."""
        return Wish(
            newer.day or self.day,
            self.time if newer.time is None else newer.time,
            newer.minutes or self.minutes,
        )


_NUMBERS = (
    ("one ein eine einer einen un une", "1"),
    ("two zwei deux", "2"),
    ("three drei trois", "3"),
    ("four vier quatre", "4"),
    ("five funf cinq", "5"),
    ("six sechs", "6"),
    ("seven sieben sept", "7"),
    ("eight acht huit", "8"),
    ("nine neun neuf", "9"),
    ("ten zehn dix", "10"),
    ("eleven elf onze", "11"),
    ("twelve zwolf douze", "12"),
    ("sixty sechzig soixante", "60"),
    ("ninety neunzig", "90"),
    ("anderthalb eineinhalb", "1.5"),
    ("zweieinhalb", "2.5"),
)
_DIGITS = {word: digits for words, digits in _NUMBERS for word in words.split()}
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday montag lundi",
            "tuesday dienstag mardi tue",
            "wednesday mittwoch mercredi wed",
            "thursday donnerstag jeudi thu",
            "friday freitag vendredi fri",
            "saturday samstag sonnabend samedi sat",
            "sunday sonntag dimanche",
        )
    )
    for name in names.split()
}
_REWRITES = (
    (r"\b(half an hour|(?:a |1 )?half hour|halbe stunde|demi-?heure)\b", "30 minutes"),
    (r"\ban hour\b", "1 hour"),
    (r"\b(\d+) and a half\b", r"\1.5"),
    (r"\b(\d+) (?:hours?|heures?) (?:and a half|et demie)\b", r"\1.5 hours"),
    (rf"\b({'|'.join(_WEEKDAYS)}) morgen\b", r"\1"),
    (r"\b(?:guten|am|schonen) morgen\b", " "),
    (r"\bhalf past (\d+)\b", r"at \1:30"),
    (r"(?<!-)\b(?:noon|midday|midi|mittags?)\b", "12:00"),
)

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january januar janvier jan",
            "february februar fevrier feb",
            "march marz mars mar",
            "april avril apr",
            "may mai",
            "june juni juin jun",
            "july juli juillet jul",
            "august aout aug",
            "september septembre sept sep",
            "october oktober octobre oct okt",
            "november novembre nov",
            "december dezember decembre dec dez",
        ),
        start=1,
    )
    for name in names.split()
}
_SOON = (
    (r"day after tomorrow|ubermorgen|apres-demain", 2),
    (r"tomorrow|morgen|demain", 1),
    (r"today|heute|aujourd.hui", 0),
)
_WEEKDAY = rf"\b({'|'.join(_WEEKDAYS)})s?\b"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_YEAR = r"(?:,? (?P<year>\d{4})\b)?"
_NEXT_WEEK = r"next week|nachste woche|semaine prochaine"
_AFTERNOON = r"afternoon|nachmittag|apres-midi"

_HOURS = r"(?:hours?|hrs?|stunden?|std\.?)"
_NOT_AT = r"(?<![\d:])(?<!\ba )(?<!\bat )(?<!\bum )(?<!\bvers )(?<!\bgegen )(?<!\bab )"
_LENGTHS = (
    rf"(?P<h>\d+)[\s-]*{_HOURS}\s*(?:and |und )?(?P<m>\d+)[\s-]*min\w*",
    rf"(?P<h>\d+(?:[.,]\d+)?)[\s-]*{_HOURS}(?!\w)",
    r"\b(?:for|fur|pour|pendant|durant) (?P<h>\d+) ?(?:heures?|h) ?(?P<m>\d\d)?\b",
    rf"{_NOT_AT}(?P<h>[1-4]) ?(?:heures?|h) ?(?P<m>\d\d)?\b",
    r"(?P<m>\d+)[\s-]*min\w*",
)
_AT = r"(?:\b(?:at|um|gegen|ab|a|vers|make it)|@)"
_TIMES = (
    r"(?<![\d-])(?P<h>\d{1,2}):(?P<m>\d\d)(?:\s?(?P<half>[ap])\.?m\b)?",
    r"(?<!\d)(?P<h>\d{1,2})\s?(?P<half>[ap])\.?m\b",
    r"(?<!\d)(?P<h>\d{1,2})\.(?P<m>\d\d) ?uhr\b",
    r"(?<!\d)(?P<bare>\d{1,2}) ?(?:uhr|heures?|h) ?(?P<m>\d\d)?\b",
    rf"{_AT} ?(?P<bare>\d{{1,2}})(?:\.(?P<m>\d\d))?\b(?! ?(?:min|hour))",
)
_CLOCK = r"\d{1,2}(?:[:h]\d\d| ?h| ?uhr)?(?: ?[ap]m)?"
_RANGE = (
    rf"\b(?:from|von|de|between|entre|zwischen) ({_CLOCK})"
    rf" ?(?:-|to|until|bis|a|and|und|et) ?({_CLOCK})\b"
)


def _plain(text: str) -> str:
    """Folded, number words as digits, idioms in a form that the patterns know."""
    digits = re.sub(r"[a-z]+", lambda m: _DIGITS.get(m[0], m[0]), fold(text).replace("\u2013", "-"))
    for pattern, replacement in _REWRITES:
        digits = re.sub(pattern, replacement, digits)
    return digits


def _next(*, day: int, month: int, year: str | None, today: date) -> date | None:
    """The date meant; without a year, the next one from today. None if there is no such date."""
    years: Iterable[int] = (int(year),) if year else range(today.year, today.year + 9)
    for candidate in years:
        try:
            found = date(candidate, month, day)
        except ValueError:
            continue
        if year or found >= today:
            return found
    return None


def _numeric(match: re.Match[str], today: date) -> date | None:
    groups = match.groupdict()
    month = groups["month"]
    number = int(month) if month.isdecimal() else _MONTHS[month]
    return _next(day=int(groups["day"]), month=number, year=groups["year"], today=today)


def _weekday(match: re.Match[str], today: date) -> date:
    """The coming such day, a week from now if it is today's; or that of the next week."""
    number = _WEEKDAYS[match[1]]
    if re.search(_NEXT_WEEK, match.string):
        return today + timedelta(days=7 - today.weekday() + number)
    return today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)


def _soon(days: int) -> Callable[[re.Match[str], date], date]:
    return lambda _, today: today + timedelta(days=days)


_DATES: tuple[tuple[str, Callable[[re.Match[str], date], date | None]], ...] = (
    (r"\b(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b", _numeric),
    (r"\b(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>\d{4})?", _numeric),
    (r"\b(?P<day>\d{1,2})/(?P<month>\d{1,2})(?:/(?P<year>\d{4}))?\b", _numeric),
    (
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|\.)?(?: of)? {_MONTH}\b\.?{_YEAR}",
        _numeric,
    ),
    (
        rf"\b{_MONTH}\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.]\d){_YEAR}",
        _numeric,
    ),
    *((rf"\b(?:{words})\b", _soon(days)) for words, days in _SOON),
    (_WEEKDAY, _weekday),
)


def _without(match: re.Match[str]) -> str:
    return f"{match.string[: match.start()]} | {match.string[match.end() :]}"


def _take_day(text: str, today: date) -> tuple[date | None, str]:
    for pattern, meant in _DATES:
        match = re.search(pattern, text)
        if match and (day := meant(match, today)):
            return day, _without(match)
    return None, text


def _take_minutes(text: str) -> tuple[int | None, str]:
    for pattern in _LENGTHS:
        if match := re.search(pattern, text):
            groups = match.groupdict()
            hours = float((groups.get("h") or "0").replace(",", "."))
            return round(hours * 60) + int(groups.get("m") or 0) or None, _without(match)
    return None, text


def _clock(match: re.Match[str], *, afternoon: bool) -> time | None:
    groups = match.groupdict()
    bare = groups.get("bare")
    hour = int(bare or groups["h"])
    half = groups.get("half")
    # Nobody skis at "2" in the night: a small hour without more is one after noon.
    later = half == "p" or (half is None and hour < FIRST_HOUR and (bool(bare) or afternoon))
    if half or later:
        hour = hour % 12 + 12 * later
    try:
        return time(hour, int(groups.get("m") or 0))
    except ValueError:
        return None


def _find_time(text: str) -> time | None:
    afternoon = bool(re.search(_AFTERNOON, text))
    for pattern in _TIMES:
        match = re.search(pattern, text)
        if match and (found := _clock(match, afternoon=afternoon)) is not None:
            return found
    return None


def _find_range(text: str) -> tuple[time, int] | None:
    """From one clock time to a later one: when it begins, and its minutes."""
    match = re.search(_RANGE, text)
    begin, end = (_find_time(f"at {match[n]}") if match else None for n in (1, 2))
    if begin is None or end is None or end <= begin:
        return None
    return begin, (end.hour - begin.hour) * 60 + end.minute - begin.minute


def _lone_number(text: str) -> Wish:
    """What a bare number answers: an hour of the day, or a length in minutes."""
    if not re.fullmatch(r"\s*\d{1,3}\s*[.!]?\s*", text):
        return Wish()
    number = int(re.sub(r"\D", "", text))
    if FIRST_HOUR <= number <= LAST_HOUR:
        return Wish(time=time(number))
    return Wish(minutes=number * 60 if number < FIRST_HOUR else number)


def understand(text: str, *, today: date) -> Wish:
    """What the text says of a lesson. `today` is the local day on which it was written."""
    day, rest = _take_day(_plain(text), today)
    if span := _find_range(rest):
        return Wish(day, *span)
    minutes, rest = _take_minutes(rest)
    found = Wish(day, _find_time(rest), minutes)
    return found if found != Wish() else _lone_number(rest)
