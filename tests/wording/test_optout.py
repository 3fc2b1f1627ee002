"""The words by which a customer stops automatic messages, and asks for them again."""

from __future__ import annotations

import pytest

from frostdesk.dates import LANGUAGES
from frostdesk.wording.optout import START, STOP, wants_messages_again, wants_no_messages


def test_every_language_has_its_words() -> None:
    """Whatever language the desk writes, it understands who wants silence, or no more of it."""
    assert set(STOP) == set(START) == set(LANGUAGES)


@pytest.mark.parametrize(
    "text",
    ["STOP", " stop! ", "Stopp.", "Abbestellen", "ARRÊTER", "basta", "Baja", "Afmelden", "Sair"],
)
def test_a_word_by_itself_stops(text: str) -> None:
    """Written large or small, with accents or without, with a mark behind it."""
    assert wants_no_messages(text)
    assert not wants_messages_again(text)


@pytest.mark.parametrize(
    "text", ["START", "weiter", "Reprendre", "riprendi", "reanudar", "hervatten", "Retomar."]
)
def test_a_word_by_itself_takes_it_back(text: str) -> None:
    """Likewise."""
    assert wants_messages_again(text)
    assert not wants_no_messages(text)


@pytest.mark.parametrize("text", ["Where does the bus stop?", "Stop at 10?", "", "🛑", "cancelar"])
def test_other_texts_mean_something_else(text: str) -> None:
    """A word within a sentence, or one that may be about a lesson, stops nothing."""
    assert not wants_no_messages(text)
    assert not wants_messages_again(text)
