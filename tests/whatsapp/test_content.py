"""What a message of each kind says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from frostdesk.whatsapp.content import error_of, kind_of, text_of
from tests.whatsapp.webhooks import event_of, message

DASH = "\N{EN DASH}"
FORM = json.dumps({"level": "beginner", "people": 2, "flow_token": "t-1", "extra": None})

SAID: list[tuple[str, Any, str]] = [
    ("text", {"body": "  Hoi!\n"}, "  Hoi!\n"),
    ("text", {"body": 1030}, "1030"),
    ("text", {"body": ""}, "[empty message]"),
    ("text", {}, "[empty message]"),
    ("text", "Hoi", "[empty message]"),
    ("button", {"text": "Yes", "payload": "yes-1"}, "Yes"),
    ("button", {"payload": "yes-1"}, "yes-1"),
    ("button", {}, "[button]"),
    (
        "interactive",
        {"type": "button_reply", "button_reply": {"id": "1", "title": "10:00"}},
        "10:00",
    ),
    (
        "interactive",
        {"list_reply": {"title": "Half day", "description": "3 h"}},
        f"Half day {DASH} 3 h",
    ),
    ("interactive", {"list_reply": {"title": "Half day"}}, "Half day"),
    ("interactive", {"nfm_reply": {"body": "Dorfplatz 1, 3920"}}, "Dorfplatz 1, 3920"),
    (
        "interactive",
        {"nfm_reply": {"body": "Sent", "response_json": FORM}},
        "level: beginner, people: 2",
    ),
    ("interactive", {"nfm_reply": {"body": "Sent", "response_json": "{"}}, "Sent"),
    ("interactive", {"nfm_reply": {"response_json": "[" * 9_999}}, "[interactive]"),
    ("interactive", {"type": "call_permission_reply"}, "[interactive] call_permission_reply"),
    ("image", {"id": "1", "caption": "My skis"}, "[image] My skis"),
    ("image", {"id": "1"}, "[image]"),
    ("video", {"caption": "Turns"}, "[video] Turns"),
    ("sticker", {"id": "1"}, "[sticker]"),
    ("audio", {"id": "1", "voice": True}, "[voice message]"),
    ("audio", {"id": "1", "voice": False}, "[audio]"),
    (
        "document",
        {"filename": "plan.pdf", "caption": "Our plan"},
        f"[document] plan.pdf {DASH} Our plan",
    ),
    ("document", {"filename": "plan.pdf"}, "[document] plan.pdf"),
    (
        "location",
        {"name": "Gasthof Alpenblick", "latitude": 46.8, "longitude": 8.2},
        "[location] Gasthof Alpenblick, 46.8, 8.2",
    ),
    (
        "location",
        {"address": "Dorfplatz 1", "latitude": "46.8", "longitude": 8},
        "[location] Dorfplatz 1, 46.8, 8",
    ),
    ("location", None, "[location]"),
    (
        "contacts",
        [{"name": {"formatted_name": "Mia Frei"}}, {"name": {"first_name": "Leo"}}, "odd"],
        "[contacts] Mia Frei, Leo",
    ),
    ("contacts", {}, "[contacts]"),
    ("reaction", {"message_id": "wamid.B", "emoji": "\U0001f44d"}, "[reaction] \U0001f44d"),
    ("reaction", {"message_id": "wamid.B", "emoji": ""}, "[reaction removed]"),
    ("order", {"product_items": [{}, {}], "text": "by Friday"}, "[order] 2 items, by Friday"),
    ("order", {"product_items": [{}]}, "[order] 1 item"),
    ("system", {"body": "Mia changed her number", "type": "x"}, "[system] Mia changed her number"),
    ("system", {"type": "user_identity_changed"}, "[system] user_identity_changed"),
    ("unsupported", {"type": "poll"}, "[unsupported message] poll"),
    ("unsupported", None, "[unsupported message]"),
    ("foo", {"bar": 1}, "[unknown type: foo]"),
]


@pytest.mark.parametrize(("kind", "content", "words"), SAID)
def test_a_message_says_what_arrived(kind: str, content: Any, words: str) -> None:
    """Texts and choices give their words; everything else says in brackets what it is."""
    event = event_of(message(**{"text": None, "type": kind, kind: content}))

    assert (event.kind, event.text) == (kind, words)


@pytest.mark.parametrize("kind", ["reaction", "system"])
def test_reactions_and_system_messages_want_no_answer(kind: str) -> None:
    """A reaction or a notice of WhatsApp's is kept, but nobody waits for an answer to it."""
    assert event_of(message(type=kind)).answerable is False
    assert event_of(message(type="sticker")).answerable is True


def test_a_missing_type_is_seen_by_the_content() -> None:
    """A message that does not name its type is of the kind whose content it carries."""
    assert event_of(message(type=None)).kind == "text"
    assert event_of(message(type=None, text=None)).text == "[unknown message]"


def test_an_endless_type_is_cut() -> None:
    """The name of an unknown type is kept to 64 characters."""
    assert text_of({}, kind_of({"type": "x" * 1000})) == f"[unknown type: {'x' * 64}]"


@pytest.mark.parametrize("length", [60_000, 65_536])
def test_long_texts_are_whole(length: int) -> None:
    """A text of up to 65,536 characters is kept whole."""
    assert event_of(message(text={"body": "a" * length})).text == "a" * length


def test_longer_texts_are_cut() -> None:
    """Of a longer text the first 65,536 characters are kept."""
    assert event_of(message(text={"body": "b" * 65_537})).text == "b" * 65_536


def test_the_first_error_is_told() -> None:
    """An error reads as code, title and details, whichever of them are there."""
    error = {"code": 131047, "title": "Re-engagement", "error_data": {"details": "Too late"}}

    assert error_of({"errors": [error, {"code": 1}]}) == "131047: Re-engagement: Too late"
    assert error_of({"errors": [{"message": "No"}]}) == "No"
    assert error_of({"errors": []}) is None
