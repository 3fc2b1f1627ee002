"""The language of a conversation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.dates import LANGUAGES
from frostdesk.wording.languages import detect_language

GERMAN = ["Ja gerne", "Hallo, habt ihr am Samstag frei?"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hallo, habt ihr am Samstag frei?", "de"),
        ("Samstag 10 Uhr", "de"),
        ("Grüezi", "de"),
        ("Passt!", "de"),
        ("Bonjour, une leçon demain ?", "fr"),
        ("C\u2019est possible samedi ?", "fr"),
        ("Ciao!", "it"),
        ("Sabato alle 10, per due ore", "it"),
        ("¿Hay clase?", "es"),
        ("sábado a las 10", "es"),
        ("Goedemorgen", "nl"),
        ("Hallo, is er zaterdag nog plek?", "nl"),
        ("Olá, uma aula amanhã?", "pt"),
        ("Do you have time on Friday?", "en"),
        ("Saturday at 10 for two hours", "en"),
        ("BOOK 2027-01-15 10:00 60", "en"),
        ("thanks", "en"),
        ("Hi, I am Anna", "en"),
        ("9:30 am?", "en"),
        ("Hi! Sat 10am 2h?", "en"),
        ("Hello, am I booked?", "en"),
        ("I am Marco", "en"),
        ("10 am Saturday", "en"),
        ("Am Dienstag?", "de"),
        ("Am Vormittag", "de"),
        ("um 10 am Vormittag", "de"),
        ("am 24.12.", "de"),
        ("I bambini di 6 anni", "it"),
    ],
)
def test_tells_a_language_from_few_words(text: str, language: str) -> None:
    """A greeting, a weekday or a short question is enough."""
    assert detect_language([text]) == language


@pytest.mark.parametrize("text", ["", "ok", "Hi", "60", "👍", "Привет", "ja", "[image]"])
def test_is_english_where_nothing_tells(text: str) -> None:
    """Without a word that tells, or with one of several languages, English is assumed."""
    assert detect_language([text]) == "en"


def test_is_english_before_any_text() -> None:
    """A conversation without a text is English."""
    assert detect_language([]) == "en"


@pytest.mark.parametrize(
    "text", ["ok", "60", "👍", "Super, thanks!", "ok merci", "[image]", "Ciao!"]
)
def test_a_stray_word_does_not_flip_a_conversation(text: str) -> None:
    """A German conversation stays German over a number or one foreign word."""
    assert detect_language([text, *GERMAN]) == "de"


def test_a_customer_may_change_the_language() -> None:
    """A sentence in another language, newest, wins over older texts."""
    asked = "Could we speak English please? Is there a lesson on Saturday?"
    assert detect_language([asked, *GERMAN]) == "en"


def test_a_bracketed_prefix_does_not_count() -> None:
    """What code wrote before a caption says nothing about the customer."""
    assert detect_language(["[this is the image] für morgen, bitte"]) == "de"


@given(texts=st.lists(st.text(), max_size=20))
def test_any_texts_have_a_language(texts: list[str]) -> None:
    """Whatever is written, the answer is a shipped language."""
    assert detect_language(texts) in LANGUAGES
