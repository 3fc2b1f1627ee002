"""The language of a conversation, told from the customer's own words."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from frostdesk.dates import LANGUAGES, folded_names
from frostdesk.folding import fold

DEFAULT = "en"
"""The language where none can be told."""

NEWEST_READ, LONGEST_READ = 12, 600
"""How many texts are looked at, and how many characters of each."""

FADING = 0.75
"""How much each older text counts beside the one after it: a change of language wins in the end,
and one foreign word does not."""

MARGIN = 0.1
"""By how much, in words, the likeliest language must lead."""

_PREFIX = re.compile(r"\s*\[[^\]\n]*\]")
_I_AM = re.compile(r"\b(?:i am|am i)\b")
_CLOCK = re.compile(r"[0-9]\s?[ap]m\b(?!\s[a-z]{4})")
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_LETTERS = {"ß": "de", "ñ": "es", "¿": "es", "¡": "es", "ã": "pt", "õ": "pt", "œ": "fr"}


def detect_language(texts: Sequence[str]) -> str:
    """The language, one of LANGUAGES, of a customer whose texts these are, newest first.

    English where nothing tells, or two languages are as likely. A bracketed prefix such as
    "[image]" does not count; an "ok" or a number leaves the language as it was.
    """
    scores: dict[str, float] = dict.fromkeys(LANGUAGES, 0.0)
    for age, text in enumerate(texts[:NEWEST_READ]):
        for language, score in _score(text).items():
            scores[language] += score * FADING**age
    return _winner(scores)


def _winner(scores: dict[str, float]) -> str:
    """The best, unless the second is as good."""
    second, first = sorted(LANGUAGES, key=scores.__getitem__)[-2:]
    return first if scores[first] - scores[second] > MARGIN else DEFAULT


def _score(text: str) -> dict[str, float]:
    """What speaks for each language: a point for a word of its own, far less for a shared one."""
    scores: dict[str, float] = dict.fromkeys(LANGUAGES, 0.0)
    for languages in _votes(_PREFIX.sub("", text[:LONGEST_READ], count=1)):
        for language in languages:
            scores[language] += 1 / len(languages) ** 2
    return scores


def _votes(text: str) -> Iterator[tuple[str, ...]]:
    known = _languages_of_words()
    # "Am" is a German word, but for these two.
    plain = _CLOCK.sub(" ", _I_AM.sub("i'm", fold(text)))
    found = set(_WORD.findall(plain))
    yield from (known[word] for word in sorted(found & known.keys()))
    yield from ((language,) for letter, language in _LETTERS.items() if letter in text)


@cache
def _languages_of_words() -> dict[str, tuple[str, ...]]:
    words = msgspec.toml.decode(
        Path(__file__).with_name("stopwords.toml").read_bytes(), type=dict[str, str]
    )
    languages: dict[str, tuple[str, ...]] = {}
    for language in LANGUAGES:
        for word in {*words[language].split(), *folded_names(language)}:
            languages[word] = (*languages.get(word, ()), language)
    return languages
