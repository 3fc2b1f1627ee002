"""The words by which a customer stops automatic messages, and asks for them again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain

from frostdesk.folding import fold

STOP: Mapping[str, tuple[str, ...]] = {
    "en": ("stop", "stopall", "unsubscribe"),
    "de": ("stopp", "abbestellen", "abmelden"),
    "fr": ("arret", "arreter", "arretez", "desabonner"),
    "it": ("basta", "fermare", "disiscrivimi"),
    "es": ("parar", "baja", "detener"),
    "nl": ("uitschrijven", "afmelden", "stoppen"),
    "pt": ("pare", "parar", "sair"),
}
START: Mapping[str, tuple[str, ...]] = {
    "en": ("start", "unstop", "subscribe"),
    "de": ("weiter", "anmelden"),
    "fr": ("reprendre",),
    "it": ("riprendi",),
    "es": ("reanudar",),
    "nl": ("aanmelden", "hervatten"),
    "pt": ("retomar",),
}
"""Folded; a customer's language need not be known, as a word of any language counts."""

_STOPS = frozenset(chain.from_iterable(STOP.values()))
_STARTS = frozenset(chain.from_iterable(START.values()))
_NO_LETTERS = re.compile(r"[\W_]+")


def wants_no_messages(text: str) -> bool:
    """Whether the whole message is such a word: "stop" within a sentence means something else."""
    return _word(text) in _STOPS


def wants_messages_again(text: str) -> bool:
    """Whether the whole message is a word that takes the stop back."""
    return _word(text) in _STARTS


def _word(text: str) -> str:
    return _NO_LETTERS.sub("", fold(text[:40]))
