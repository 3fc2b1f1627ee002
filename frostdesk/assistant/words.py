"""A model's words made fit to send: without its notes, its imitations and its excess. Pure."""

from __future__ import annotations

import re

LONGEST_WORDS = 12_000
"""Characters of a model's words that are sent: three WhatsApp messages, which nobody reads out."""

# Reasoning models whose server does not separate their notes write them between such marks; the
# first may stand in the prompt already.
_NOTES = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_END_OF_NOTES = "</think>"

# The history shows each message behind its time, and models imitate what they see.
_STAMPS = re.compile(r"(\s*\[[^\]\n]{0,40}\d{1,2}:\d{2}[^\]\n]{0,40}\])+\s*")

# A line that begins like one of code's own would pass for the fact that it is not.
_LESSON_LINES = re.compile(r"^[ \t*_>-]*\N{CALENDAR}.*$\n?", re.MULTILINE)

# Wherever else the mark of code's lines stands, or one that looks like it, it goes: behind letters
# that nobody sees, or within a line, it would still be taken for that of a fact.
_MARKS = re.compile("[\N{CALENDAR}\N{TEAR-OFF CALENDAR}\N{SPIRAL CALENDAR PAD}][\ufe0e\ufe0f]? ?")

_SENTENCE_END = re.compile(r"[.!?…](?=\s)|\n")


def tidy(text: str | None) -> str:
    """The words of `text` that a customer should get, "" if there are none."""
    words = _NOTES.sub("", text or "").replace("\0", "\ufffd").rpartition(_END_OF_NOTES)[2]
    stamps = _STAMPS.match(words)
    words = words[stamps.end() :] if stamps else words
    return _clip(_MARKS.sub("", _LESSON_LINES.sub("", words)).strip())


def _clip(words: str) -> str:
    """At most LONGEST_WORDS, up to the end of a sentence where there is one near."""
    if len(words) <= LONGEST_WORDS:
        return words
    kept = words[: LONGEST_WORDS - 2]
    ends = [match.end() for match in _SENTENCE_END.finditer(kept, LONGEST_WORDS // 2)]
    return f"{kept[: ends[-1]].rstrip() if ends else kept} …"
