"""Long texts in parts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.whatsapp.texts import split_text

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SWISS = "\U0001f1e8\U0001f1ed"
THUMB = "\U0001f44d\U0001f3fd"


def units(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@pytest.mark.parametrize("text", ["Hoi", "a" * 4096, "One.\n\nTwo.", "\U0001f600" * 2048])
def test_a_text_that_fits_is_one_part(text: str) -> None:
    """Up to 4,096 UTF-16 code units a text stays as it is."""
    assert split_text(text) == [text]


@pytest.mark.parametrize("text", ["", " ", "\n \n" * 5000])
def test_a_blank_text_has_no_parts(text: str) -> None:
    """Nothing to say makes no message."""
    assert split_text(text) == []


def test_white_space_around_is_dropped() -> None:
    """White space around the whole text is not sent."""
    assert split_text(" \n" * 5000 + "Hoi" + "\n" * 5000) == ["Hoi"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("First. One\nmore\n\nSecond one. More", ["First. One\nmore", "Second one. More"]),
        ("First. One\n \nSecond one. Next", ["First. One", "Second one. Next"]),
        ("First. And one\nsecond one. Three", ["First. And one", "second one. Three"]),
        ("First one. Second one goes on", ["First one.", "Second one goes on"]),
        ('He said "go!" and then we all went', ['He said "go!"', "and then we all went"]),
        ("one two three four five six seven", ["one two three four", "five six seven"]),
        ("abcdefghijklmnopqrstuvwxyz", ["abcdefghijklmnopqrst", "uvwxyz"]),
        ("abcdefghijklmnopqrst uvwxyz", ["abcdefghijklmnopqrst", "uvwxyz"]),
        ("abcdefghijklmnopqrst\n\nuvwxyz", ["abcdefghijklmnopqrst", "uvwxyz"]),
        ("1.5 hours cost 90.50 each, so says he", ["1.5 hours cost 90.50", "each, so says he"]),
    ],
)
def test_seams_are_where_a_reader_pauses(text: str, parts: list[str]) -> None:
    """A seam is a paragraph's end, else a line's, a sentence's, a word's, else the limit."""
    assert split_text(text, limit=20) == parts


def test_full_width_marks_end_a_sentence() -> None:
    """A sentence without spaces ends at its full-width mark."""
    hello = "\u4f60\u597d\u3002"

    assert split_text(hello * 3, limit=8) == [hello * 2, hello]


def test_no_part_is_a_mere_greeting() -> None:
    """A pause within the first eighth of what fits is no seam."""
    assert split_text("Hoi\n" + "word " * 20, limit=50)[0].startswith("Hoi\nword word")


def test_characters_count_as_utf16() -> None:
    """An emoji outside the basic plane counts as two, and is never halved."""
    assert split_text("\U0001f600" * 5, limit=5) == ["\U0001f600" * 2] * 2 + ["\U0001f600"]


@pytest.mark.parametrize("sign", [FAMILY, SWISS, THUMB, "e\u0301", "\u2764\ufe0f", "1\ufe0f\u20e3"])
def test_one_visible_sign_stays_whole(sign: str) -> None:
    """A family, a flag, a skin tone or an accent is not torn from what it belongs to."""
    for limit in range(units(sign), 3 * units(sign)):
        parts = split_text(sign * 7, limit)
        assert "".join(parts) == sign * 7
        assert all(len(part) % len(sign) == 0 for part in parts)


def test_endless_signs_are_cut_all_the_same() -> None:
    """A sign too large for any message is cut at the limit."""
    assert split_text("e" + "\u0301" * 99, limit=50) == ["e" + "\u0301" * 49, "\u0301" * 50]


SIGNS = [*"ab.! \n\t", *FAMILY, *SWISS, "\u3002", "\u0301"]
TEXTS = st.text(st.sampled_from(SIGNS) | st.characters())


@given(TEXTS, st.integers(min_value=2, max_value=60))
def test_parts_fit_and_lose_only_white_space(text: str, limit: int) -> None:
    """Parts fit, are not blank, follow each other, and lack only white space at the seams."""
    parts = split_text(text, limit)

    assert all(part and part == part.strip() and units(part) <= limit for part in parts)
    assert re.fullmatch(r"\s*" + r"\s*".join(map(re.escape, parts)) + r"\s*", text)


def test_a_book_is_split_quickly() -> None:
    """A million characters without a pause are a matter of moments."""
    parts = split_text("x" * 1_000_000)

    assert len(parts) == 245
