"""The names of weekdays and months in every shipped language (Unicode's CLDR, through Babel)."""

from collections.abc import Mapping

from babel.dates import get_day_names, get_month_names

from frostdesk.folding import fold

LANGUAGES = ("en", "de", "fr", "it", "es", "nl", "pt")
"""The languages that lines written by code exist in, as ISO 639-1 codes."""


def _key(name: str) -> str:
    return fold(name).rstrip(".")


def _meanings(tables: list[Mapping[int, str]]) -> dict[str, frozenset[int]]:
    names: dict[str, set[int]] = {}
    for table in tables:
        for number, name in table.items():
            names.setdefault(_key(name), set()).add(number)
    return {name: frozenset(numbers) for name, numbers in names.items()}


WEEKDAYS = _meanings([get_day_names("wide", "format", lang) for lang in LANGUAGES])
"""Folded full name → weekday (0 is Monday). No full name means two different days."""

SHORT_WEEKDAYS = _meanings([get_day_names("abbreviated", "format", lang) for lang in LANGUAGES])
"""Folded abbreviation without its dot → the weekdays it may mean, one language or another."""

MONTHS = _meanings(
    [
        get_month_names(width, "format", lang)
        for lang in LANGUAGES
        for width in ("wide", "abbreviated")
    ]
)
"""Folded name or abbreviation without its dot → month (1 is January)."""


def folded_names(language: str) -> frozenset[str]:
    """The folded full names of the language's weekdays and months."""
    names = get_day_names("wide", "format", language), get_month_names("wide", "format", language)
    return frozenset(_key(name) for table in names for name in table.values())


def weekdays_meant(word: str) -> frozenset[int]:
    """The weekdays that a word may name in any shipped language; none if it is no weekday."""
    key = _key(word)
    return WEEKDAYS.get(key) or SHORT_WEEKDAYS.get(key) or frozenset()


def month_meant(word: str) -> int:
    """The month, 1 to 12, that a name or abbreviation stands for; KeyError for other words."""
    (month,) = MONTHS[_key(word)]
    return month
