"""A model's words made fit to send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.assistant.words import LONGEST_WORDS, tidy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ""),
        (" \n", ""),
        ("Hello\nyou", "Hello\nyou"),
        ("[Friday 2027-01-15 14:30] Hello", "Hello"),
        ("[Friday 2027-01-15 14:30, written by the instructor] Hello", "Hello"),
        ("[Friday 2027-01-15 14:30] [Friday 2027-01-15 14:31]\nHello", "Hello"),
        ("[the lift] is closed", "[the lift] is closed"),
        ("Hello [Friday 2027-01-15 14:30]", "Hello [Friday 2027-01-15 14:30]"),
        ("<think>Who is it?</think>\n\nHello", "Hello"),
        ("<think>Who is it?", ""),
        ("Who is it?</think>\n\nHello", "Hello"),
        ("a\0b", "a\ufffdb"),
        ("Good.\n\n📅 Friday 15 January 2027, 14:30, 90 minutes: confirmed\nBye", "Good.\n\nBye"),
        ("- **📅 Friday: confirmed**", ""),
    ],
)
def test_only_words_for_the_customer_stay(text: str | None, words: str) -> None:
    """Notes, imitated times and imitated lesson lines go; the rest stays as it is."""
    assert tidy(text) == words


def test_long_words_end_at_a_sentence() -> None:
    """A reply of 100,000 characters is cut after a sentence, visibly."""
    words = tidy("We ski every day. " * 6000)

    assert len(words) <= LONGEST_WORDS
    assert words.endswith("day. …")


def test_words_without_sentences_are_cut_hard() -> None:
    """Where there is no end of a sentence, the cut is at the limit."""
    assert tidy("x" * 100_000) == "x" * (LONGEST_WORDS - 2) + " …"


@given(st.text(max_size=200))
def test_what_is_tidy_is_storable(text: str) -> None:
    """No text makes it fail, and no NUL or surrounding space is left."""
    words = tidy(text)

    assert "\0" not in words
    assert words == words.strip()
