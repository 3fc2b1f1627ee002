"""What strangers' bytes go through before anything else: each with real samples to begin from."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec

from frostdesk.dates import MONTHS, SHORT_WEEKDAYS, WEEKDAYS
from frostdesk.errors import RefusedError
from frostdesk.lessons.intent import LONGEST_READ, find_lesson
from frostdesk.lessons.mentions import read_sentence
from frostdesk.lessons.phrases import NUMBER_WORDS
from frostdesk.realtime.bindings import bind, confirmed, read_wishes
from frostdesk.realtime.changes import Change
from frostdesk.realtime.filters import OPERATORS, read_filter
from frostdesk.realtime.frames import VERSIONS, decode, encode, reply
from frostdesk.realtime.server import FRAME_BYTES
from frostdesk.store.reading import Cursor, decode_cursor, encode_cursor
from frostdesk.whatsapp.webhook import parse_webhook
from tests.realtime.columns import COLUMNS
from tests.support.bodies import change, envelope, status, text_message, webhook

NOW = datetime(2027, 1, 15, 9, 0, tzinfo=UTC)
TODAY = date(2027, 1, 11)
AN_ID = UUID("40c4cac2-ae61-51aa-92a2-5315f55364f9")


class Target(msgspec.Struct, frozen=True):
    """A parser. `run` returns, or raises an error that is a fault of ours.

    No input is longer than `longest` bytes, and most stop at `usual`, so that there are many.
    """

    run: Callable[[bytes], None]
    samples: tuple[bytes, ...]
    longest: int
    usual: int = 1000


class Found(msgspec.Struct):
    """How many inputs there were, which were slowest, and the first that crashed in each way."""

    inputs: int
    slowest: list[bytes]
    crashes: dict[str, bytes]


# The webhook parser


def _webhook(data: bytes) -> None:
    """Refused, or facts that can be stored: PostgreSQL takes neither NUL nor lone surrogates."""
    with suppress(RefusedError):
        stored = msgspec.json.encode(parse_webhook(data, received_at=NOW).facts).decode()
        assert "\\u0000" not in stored.replace("\\\\", "")


def _contents() -> list[dict[str, Any]]:
    card = {"name": {"formatted_name": "Ben Frey", "first_name": "Ben"}}
    form = {"body": "Sent", "response_json": '{"level": "blue", "flow_token": "x"}'}
    return [
        {"type": "button", "button": {"text": "Yes", "payload": "yes"}},
        {
            "type": "interactive",
            "interactive": {"type": "button_reply", "button_reply": {"id": "1"}},
        },
        {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": form}},
        {"type": "image", "image": {"id": "7", "caption": "The slope"}},
        {"type": "audio", "audio": {"id": "7", "voice": True}},
        {"type": "document", "document": {"filename": "level.pdf"}},
        {"type": "location", "location": {"latitude": 46.6, "longitude": 7.9, "name": "Lift"}},
        {"type": "contacts", "contacts": [card]},
        {"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": "👍"}},
        {"type": "order", "order": {"product_items": [{}, {}], "text": "Two"}},
        {"type": "system", "system": {"type": "user_changed_number", "new_wa_id": "41790000009"}},
        {"type": "unsupported", "errors": [{"code": 131051, "title": "Unsupported"}]},
        {"type": "edit", "edit": {"original_message_id": "wamid.1", "message": text_message()}},
        {"type": "revoke", "revoke": {"original_message_id": "wamid.1"}},
        {"from": None, "from_user_id": "CH.9000000000000001", "text": {"body": "a\0b\ud800c"}},
    ]


def _webhooks() -> tuple[bytes, ...]:
    news = status("wamid.2", "failed", errors=[{"code": 131047, "error_data": {"details": "x"}}])
    person = {"wa_id": "41790000001", "user_id": "CH.9000000000000001", "profile": {"name": "Ana"}}
    bodies = [
        *(webhook(text_message(**content)) for content in _contents()),
        webhook(text_message(), contacts=[person], statuses=[news]),
        envelope(change(), change(text_message("Grüezi 🎿")), {"field": "history"}),
        {"object": "whatsapp_business_account", "entry": [{"changes": [{"value": {}}]}]},
    ]
    written = [json.dumps(body, ensure_ascii=i % 2 == 0) for i, body in enumerate(bodies)]
    return tuple(text.encode("utf-8", "surrogatepass") for text in written)


# The cursor


def _cursor(data: bytes) -> None:
    """Refused, or a place that PostgreSQL can be asked for, and that is written as it was read."""
    for kind in (datetime, int):
        with suppress(RefusedError):
            cursor = decode_cursor(data.decode("utf-8", "replace"), kind)
            if isinstance(cursor.at, datetime):
                cursor.at.astimezone(UTC)  # as the driver does
            assert decode_cursor(encode_cursor(cursor), kind) == cursor


def _packed_cursor(data: bytes) -> None:
    """The same behind the Base64, which mutation would break more often than not."""
    _cursor(base64.urlsafe_b64encode(data).rstrip(b"="))


CURSORS = (Cursor(NOW, AN_ID), Cursor(17, AN_ID), Cursor(datetime(1, 1, 1, tzinfo=UTC), AN_ID))
PACKED = tuple(map(msgspec.msgpack.encode, CURSORS))
TEXTS_AS_TIMES = tuple(
    msgspec.msgpack.encode((at, str(AN_ID)))
    for at in ("2027-01-15T09:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60-14:00")
)

# Realtime: frames, joins, filters

ROW = {
    "id": str(AN_ID),
    "content": "Hello",
    "version": 10,
    "disclosure": True,
    "created_at": "2027-01-15T10:00:00.5+00:00",
    "date": "2027-01-15",
    "time": "09:30:00",
}
CHANGE = Change(
    schema="public",
    table="messages",
    type="INSERT",
    commit_timestamp=NOW,
    columns=(),
    record=ROW,
)


def _frame(data: bytes) -> None:
    """Refused, or answered; a join is refused, or bound and asked about a change."""
    for version in VERSIONS:
        with suppress(RefusedError):
            # aiohttp closes a socket whose text is not UTF-8.
            frame = decode(data.decode("utf-8", "replace"), version)
            encode(reply(frame, "ok", frame.payload), version)
            wishes = read_wishes(frame.payload)
            bindings = bind(
                wishes, dict.fromkeys(("conversations", "messages", "bookings"), COLUMNS)
            )
            encode(reply(frame, "ok", {"postgres_changes": confirmed(wishes, bindings)}), version)
            for binding in bindings:
                binding.wants(CHANGE)


def _frames() -> tuple[bytes, ...]:
    wishes = [
        {"event": "*", "schema": "public"},
        {"event": "INSERT", "schema": "public", "table": "messages", "filter": "version=gt.9"},
    ]
    join = {"config": {"postgres_changes": wishes, "broadcast": {"self": False}}}
    old = {"topic": "realtime:desk", "event": "phx_join", "ref": "1", "join_ref": "1"}
    pushes = [
        old | {"payload": join | {"access_token": "x"}},
        {"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": 2},
        ["1", "1", "realtime:desk", "phx_join", join],
        [None, "3", "realtime:desk", "access_token", {"access_token": None}],
        ["1", 4, "realtime:desk", "phx_leave", {}],
    ]
    return tuple(json.dumps(push).encode() for push in pushes)


def _filter(data: bytes) -> None:
    """Refused, or a condition that every row meets or does not."""
    with suppress(RefusedError):
        condition = read_filter(data.decode("utf-8", "replace"), COLUMNS)
        condition.matches(ROW)
        condition.matches({})


FILTERS = (
    *(f"{column}={name}.{ROW[column]}".encode() for column in COLUMNS for name in OPERATORS),
    b"version=in.(9, 10,11)",
    b"time=lt.09:30:00+01:00",
    b"created_at=gt.2027-01-15 10:00:01",
    b"disclosure=eq.t",
)

# Lessons in plain words


def _intent(data: bytes) -> None:
    """A lesson, or none."""
    find_lesson(data.decode("utf-8", "replace"), today=TODAY)


def _mentions(data: bytes) -> None:
    """Whatever one sentence names, long ones included."""
    read_sentence(data.decode("utf-8", "replace")[: 2 * LONGEST_READ], today=TODAY)


WORDS = " ".join((*MONTHS, *WEEKDAYS, *SHORT_WEEKDAYS, *NUMBER_WORDS)).encode()
REPLIES = tuple(
    text.encode()
    for text in (
        "I put you down for 2027-01-20 at 14:30 for 90 minutes.",
        "Saturday, January 16th at 10am for an hour and a half. CHF 180.00.",
        "Am Samstag, 16.01.2027 um 9.30 Uhr, anderthalb Stunden - passt das?",
        "le 16 janvier de 10h à 12h30, samedi prochain",
        "sabato 17 alle ore 14:30 per due ore; el 16 de enero a las 10 durante dos horas",
        "16 januari om 10 uur, anderhalf uur. Amanhã às 10h, por duas horas",
        "Unfortunately that is taken. If not, tomorrow from 2-4 pm or at noon?",
        "*29 February* at **24:00** (½ hour), within 24 hours, 90 francs an hour",
        "00/00/0000 31.2. at 99:99 for 0.5 h, 9999-99-99, day after tomorrow",
        "cannot be confirmed yet, not not not definitely; 10 or 11, next week",
    )
)

TARGETS = {
    "webhook": Target(_webhook, _webhooks(), 2**16),
    "cursor": Target(_cursor, tuple(encode_cursor(c).encode() for c in CURSORS), 8190),
    "packed-cursor": Target(_packed_cursor, (*PACKED, *TEXTS_AS_TIMES), 6000),
    "frame": Target(_frame, _frames(), FRAME_BYTES),
    "filter": Target(_filter, FILTERS, FRAME_BYTES),
    "intent": Target(_intent, (*REPLIES, WORDS), 4 * LONGEST_READ, usual=150),
    "mentions": Target(_mentions, (*REPLIES, WORDS), 8 * LONGEST_READ, usual=150),
}
