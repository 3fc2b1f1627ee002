"""Texts that are too long for one WhatsApp message, in parts that read well."""

from __future__ import annotations

import re
from unicodedata import category

TEXT_MESSAGE_LIMIT = 4096
"""The longest text message, in characters (Meta, Cloud API, "Text messages").

Meta does not say what a character is. We count UTF-16 code units, the largest of the likely
readings, in which an emoji counts as two or more.
"""

_SEAMS = (
    re.compile(r"(?=\n\s*\n)"),  # paragraph
    re.compile(r"(?=\n)"),  # line
    re.compile(  # sentence: its mark and closing quotes before a space, or a full-width mark
        r"[.!?\u2026][\"'\u201d\u2019\xbb)]*(?=\s)|[\u3002\uff01\uff1f]"
    ),
    re.compile(r"(?=\s)"),  # word
)
_SMALLEST = 8  # a part is at least an eighth of what fits, so that no message is just "Hello,"
_LONGEST_CLUSTER = 32  # characters of one visible sign; longer ones are cut through
_JOINER = "\u200d"
_FLAG_LETTERS = "\U0001f1e6", "\U0001f1ff"
_MODIFIERS = ("\U0001f3fb", "\U0001f3ff"), ("\U000e0020", "\U000e007f")  # skin tones, tags


def split_text(text: str, limit: int = TEXT_MESSAGE_LIMIT) -> list[str]:
    """The parts of `text`, each of 1 to `limit` UTF-16 code units; `limit` is at least 2.

    A seam is a paragraph's end if there is one, else a line's, a sentence's, a word's, else any
    place between two visible signs. Nothing is lost but white space at the seams and around the
    whole; a blank text has no parts.
    """
    parts = []
    rest = text.strip()
    while rest:
        cut = _cut(rest, limit)
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return parts


def _cut(text: str, limit: int) -> int:
    """How many characters the first part of `text` takes."""
    end = _fitting(text, limit)
    if end == len(text):
        return end
    for seam in _SEAMS:
        # Two characters more, so that white space just behind the last fitting one is seen.
        ends = [m.end() for m in seam.finditer(text, max(1, end // _SMALLEST), end + 2)]
        if places := [place for place in ends if place <= end]:
            return places[-1]
    return _hard_cut(text, end)


def _fitting(text: str, limit: int) -> int:
    """How many leading characters of `text` fit into `limit` code units, at least one."""
    end = min(limit, len(text))
    while (excess := _units(text[:end]) - limit) > 0 and end > 1:
        end -= (excess + 1) // 2  # each character is one or two units: never too many
    return end


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _hard_cut(text: str, end: int) -> int:
    earliest = max(1, end - _LONGEST_CLUSTER)
    places = (i for i in range(end, earliest - 1, -1) if not _inside_a_sign(text, i))
    return next(places, end)


def _inside_a_sign(text: str, place: int) -> bool:
    """Whether a cut before `text[place]` would tear one visible sign apart."""
    before, after = text[place - 1], text[place]
    if _JOINER in {before, after} or category(after).startswith("M"):
        return True
    if any(first <= after <= last for first, last in _MODIFIERS):
        return True
    return _is_flag_letter(after) and _flag_letters_before(text, place) % 2 == 1


def _flag_letters_before(text: str, place: int) -> int:
    """A flag is two letters: an odd number before a third means that a flag is half written."""
    first = place
    while first > 0 and _is_flag_letter(text[first - 1]):
        first -= 1
    return place - first


def _is_flag_letter(character: str) -> bool:
    return _FLAG_LETTERS[0] <= character <= _FLAG_LETTERS[1]
