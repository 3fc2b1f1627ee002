"""The words by which a customer stops automatic messages, and asks for them again."""

from __future__ import annotations

import re

from frostdesk.dates import fold

STOP = frozenset(
    (
        *("stop", "stopp", "stopall", "unsubscribe"),
        *("abbestellen", "abmelden"),
        *("arret", "arreter", "arretez", "desabonner"),
        *("basta", "fermare", "disiscrivimi"),
        *("uitschrijven", "afmelden"),
    )
)
START = frozenset(
    ("start", "unstop", "subscribe", "weiter", "anmelden", "reprendre", "riprendi", "reanudar")
)

_NO_LETTERS = re.compile(r"[\W_]+")


def wants_no_messages(text: str) -> bool:
    """Whether the whole message is such a word: "stop" within a sentence means something else."""
    return _word(text) in STOP


def wants_messages_again(text: str) -> bool:
    """Whether the whole message is a word that takes the stop back."""
    return _word(text) in START


def _word(text: str) -> str:
    return _NO_LETTERS.sub("", fold(text[:40]))
