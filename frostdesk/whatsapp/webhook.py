"""What a webhook's body says: the facts to append and the news of our own messages.

Pure. A body is refused as a whole only if it is no webhook; below that an item that cannot be
understood is told in `skipped` and never costs its neighbours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from frostdesk.errors import RefusedError
from frostdesk.events import (
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Sender,
    derive_id,
    message_id_for,
)
from frostdesk.whatsapp.body import at, decode_body, identity_at, list_at
from frostdesk.whatsapp.content import UNANSWERED, error_of, kind_of, text_of
from frostdesk.whatsapp.sender import sender_of

_FOUNDED = datetime(2009, 1, 1, tzinfo=UTC).timestamp()  # there was no WhatsApp before
_LATEST = timedelta(days=1).total_seconds()  # more than any clock is wrong by


class InboundFact(msgspec.Struct, frozen=True):
    """A customer's words as an event, and the id that follows from WhatsApp's own."""

    id: UUID
    event: MessageReceived | MessageEdited | MessageDeleted


class _Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What every message says beside its content."""

    whatsapp_id: str
    sender: Sender
    sent_at: datetime


class StatusUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """How one message of ours fares. `at` is UTC, `error` what WhatsApp says of a failure.

    `reply_id` is what was sent along as `biz_opaque_callback_data`, where that was a UUID.
    """

    whatsapp_id: str
    reply_id: UUID | None
    status: str
    at: datetime
    error: str | None


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one webhook says, in its order.

    `skipped` tells, without personal data, which items could not be attributed and why.
    """

    facts: tuple[InboundFact, ...]
    statuses: tuple[StatusUpdate, ...]
    skipped: tuple[str, ...]


def parse_webhook(body: bytes, *, received_at: datetime) -> Webhook:
    """What the body of a `POST /inbound` says; `received_at` (UTC) stands in for impossible times.

    Raises:
        RefusedError: the body is empty, not UTF-8, not JSON, nested too deeply, or no webhook.
    """
    facts: list[InboundFact] = []
    statuses: list[StatusUpdate] = []
    skipped: list[str] = []
    try:
        for item in _items(decode_body(body), received_at):
            if isinstance(item, InboundFact):
                facts.append(item)
            elif isinstance(item, StatusUpdate):
                statuses.append(item)
            else:
                skipped.append(item)
    except RecursionError:
        raise RefusedError("The body is nested too deeply to be a WhatsApp webhook.") from None
    return Webhook(facts=tuple(facts), statuses=tuple(statuses), skipped=tuple(skipped))


def _items(entries: list[Any], received_at: datetime) -> Iterator[InboundFact | StatusUpdate | str]:
    """Every message and status; a sentence in place of one that cannot be attributed."""
    for where, value in _values(entries):
        if not isinstance(value, dict):
            yield f"{where} has no `value`"
            continue
        for number, message in enumerate(list_at(value, "messages"), 1):
            fact = _fact(message, value, received_at)
            yield f"message {number} of {where} {fact}" if isinstance(fact, str) else fact
        for number, status in enumerate(list_at(value, "statuses"), 1):
            update = _status(status, received_at)
            yield update or f"status {number} of {where} names no message or no state"


def _values(entries: list[Any]) -> Iterator[tuple[str, Any]]:
    """Where each change stands, and its `value`."""
    for place, entry in enumerate(entries, 1):
        changes = at(entry, "changes")
        if not isinstance(changes, list):
            yield f"entry {place}", None
            continue
        for number, change in enumerate(changes, 1):
            # Other fields (echoes of our own messages, history, account news) are not for us.
            if at(change, "field") in ("messages", None):
                yield f"change {number} of entry {place}", at(change, "value")


def _fact(message: Any, value: Any, received_at: datetime) -> InboundFact | str:
    """The event that a message object stands for, or what is wrong with it."""
    if not isinstance(message, dict):
        return "is no object"
    sender = sender_of(message, value)
    if sender is None:
        return "names no sender"
    origin = _Origin(
        whatsapp_id=identity_at(message, "id") or _unknown_id(message, sender),
        sender=sender,
        sent_at=_instant(message.get("timestamp"), received_at),
    )
    kind = kind_of(message)
    if kind == "edit":
        return _edited(message.get("edit"), origin)
    if kind == "revoke":
        return _deleted(message.get("revoke"), origin)
    return _received(message, kind, origin)


def _received(message: Any, kind: str, origin: _Origin) -> InboundFact:
    event = MessageReceived(
        whatsapp_id=origin.whatsapp_id,
        sender=origin.sender,
        kind=kind,
        text=text_of(message, kind),
        sent_at=origin.sent_at,
        answerable=kind not in UNANSWERED,
    )
    return InboundFact(message_id_for(origin.whatsapp_id), event)


def _edited(edit: Any, origin: _Origin) -> InboundFact:
    """The new words of a message; as a message of their own where they do not say of which."""
    message, original = at(edit, "message"), identity_at(edit, "original_message_id")
    kind = kind_of(message)
    if original is None:
        return _received(message, kind, origin)
    event = MessageEdited(
        message_id=message_id_for(original),
        whatsapp_id=origin.whatsapp_id,
        original_whatsapp_id=original,
        sender=origin.sender,
        kind=kind,
        text=text_of(message, kind),
        sent_at=origin.sent_at,
    )
    return InboundFact(derive_id("edit", origin.whatsapp_id), event)


def _deleted(revoke: Any, origin: _Origin) -> InboundFact | str:
    original = identity_at(revoke, "original_message_id")
    if original is None:
        return "takes back a message without naming it"
    event = MessageDeleted(
        message_id=message_id_for(original),
        whatsapp_id=origin.whatsapp_id,
        original_whatsapp_id=original,
        sender=origin.sender,
        sent_at=origin.sent_at,
    )
    return InboundFact(derive_id("delete", origin.whatsapp_id), event)


def _unknown_id(message: dict[str, Any], sender: Sender) -> str:
    """An id for a message that came without one: the same in every redelivery."""
    parts = [sender.phone_number_id, sender.identities, message]
    content = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return f"unknown.{hashlib.sha256(content.encode()).hexdigest()[:32]}"


def _status(status: Any, received_at: datetime) -> StatusUpdate | None:
    """The news that a status object brings; None if it does not say of which message, or what."""
    whatsapp_id, state = identity_at(status, "id"), identity_at(status, "status")
    if whatsapp_id is None or state is None:
        return None
    return StatusUpdate(
        whatsapp_id=whatsapp_id,
        reply_id=_uuid(identity_at(status, "biz_opaque_callback_data")),
        status=state,
        at=_instant(at(status, "timestamp"), received_at),
        error=error_of(status),
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _instant(timestamp: Any, received_at: datetime) -> datetime:
    """A time in seconds since 1970, as text or number; `received_at` where it cannot be true."""
    try:
        seconds = float(timestamp)
    except (TypeError, ValueError):
        return received_at
    if _FOUNDED <= seconds <= received_at.timestamp() + _LATEST:
        return datetime.fromtimestamp(seconds, UTC)
    return received_at
