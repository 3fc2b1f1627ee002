"""Events with defaults for everything that a test does not name. All names are invented."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from frostdesk.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingProposed,
    Event,
    Lesson,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    ReplyFailed,
    ReplyGenerated,
    ReplySent,
    Sender,
    derive_id,
    message_id_for,
)
from frostdesk.lessons.checking import make_lesson
from frostdesk.store.append import NewEvent
from tests.support.secrets import PHONE_NUMBER_ID

ANA = "41790000001"
BEN = "41790000002"
ANA_ID = "CH.9000000000000001"
ZURICH = ZoneInfo("Europe/Zurich")
NOON = ZoneInfo(f"Etc/GMT{datetime.now(UTC).hour - 12:+d}")
"""A zone in which it is about noon, so that no day ends while a test counts what happens in it."""

AHEAD = datetime.now(UTC).date() + timedelta(days=60)
"""A day that lies ahead by the database's clock, too, in whatever year this runs."""

_numbers = count(1)


def wamid() -> str:
    """A message id of WhatsApp's that no other test has."""
    return f"wamid.{next(_numbers)}"


def sender(wa_id: str | None = ANA, *, number: str = PHONE_NUMBER_ID, **more: Any) -> Sender:
    """Who wrote: Ana, by her phone, unless said otherwise."""
    return Sender(**{"phone_number_id": number, "wa_id": wa_id, "name": "Ana", **more})


def lesson(day: date = date(2027, 1, 16), start: time = time(10), minutes: int = 120) -> Lesson:
    """A lesson on the wall clock of Zurich."""
    return make_lesson(day, start, duration=minutes, timezone=ZURICH)


def new(event: Event, event_id: UUID | None = None, *, actor: str = "system") -> NewEvent:
    """An event to append, under an id of its own unless one is given."""
    return NewEvent(
        id=event_id or derive_id("test", type(event).__name__, next(_numbers)),
        event=event,
        actor=actor,
    )


def received(
    text: str = "A lesson on Saturday?",
    *,
    whatsapp_id: str | None = None,
    by: Sender | None = None,
    **more: Any,
) -> NewEvent:
    """A customer's message, written just now."""
    whatsapp_id = whatsapp_id or wamid()
    fields: dict[str, Any] = {
        "whatsapp_id": whatsapp_id,
        "sender": by or sender(),
        "kind": "text",
        "text": text,
        "sent_at": datetime.now(UTC),
        **more,
    }
    return new(MessageReceived(**fields), message_id_for(whatsapp_id), actor="customer")


def edited(original: NewEvent, text: str, *, by: Sender | None = None) -> NewEvent:
    """The customer's new words for a message, known or still to come."""
    whatsapp_id = wamid()
    event = MessageEdited(
        message_id=original.id,
        whatsapp_id=whatsapp_id,
        original_whatsapp_id=original.event.whatsapp_id,  # type: ignore[attr-defined]  # a message
        sender=by or sender(),
        kind="text",
        text=text,
        sent_at=datetime.now(UTC),
    )
    return new(event, derive_id("edit", whatsapp_id), actor="customer")


def deleted(original: NewEvent, *, by: Sender | None = None) -> NewEvent:
    """The customer takes a message back, known or still to come."""
    whatsapp_id = wamid()
    event = MessageDeleted(
        message_id=original.id,
        whatsapp_id=whatsapp_id,
        original_whatsapp_id=original.event.whatsapp_id,  # type: ignore[attr-defined]  # a message
        sender=by or sender(),
        sent_at=datetime.now(UTC),
    )
    return new(event, derive_id("delete", whatsapp_id), actor="customer")


def generated(text: str = "Gladly!", *, answers: tuple[UUID, ...] = (), **more: Any) -> NewEvent:
    """A reply that has not been sent."""
    return new(ReplyGenerated(text=text, answers=answers, **more), actor="assistant")


def sent(reply: NewEvent, whatsapp_id: str = "wamid.sent") -> NewEvent:
    """WhatsApp took a reply."""
    return new(ReplySent(reply_id=reply.id, whatsapp_ids=(whatsapp_id,)), actor="whatsapp")


def failed(*answers: UUID, reply_id: UUID | None = None, stage: str = "model") -> NewEvent:
    """There is no answer to these messages, or a reply did not get out."""
    event = ReplyFailed(
        stage=stage,
        reason="The model's server is away.",
        attempts=3,
        answers=answers,
        reply_id=reply_id,
    )
    return new(event)


def proposed(slot: Lesson | None = None, *, reply_id: UUID | None = None) -> NewEvent:
    """A lesson that waits for the instructor's word."""
    reply_id = reply_id or derive_id("reply", next(_numbers))
    return new(BookingProposed(lesson=slot or lesson(), reply_id=reply_id), actor="assistant")


def confirmed(booking: NewEvent) -> NewEvent:
    """The instructor's yes to a proposed lesson."""
    slot = booking.event.lesson  # type: ignore[attr-defined]  # a BookingProposed
    event = BookingConfirmed(booking_id=booking.id, lesson=slot)
    return new(event, derive_id("BookingConfirmed", booking.id), actor="instructor")


def cancelled(booking: NewEvent) -> NewEvent:
    """The instructor's no to a proposed or confirmed lesson."""
    slot = booking.event.lesson  # type: ignore[attr-defined]  # a BookingProposed
    event = BookingCancelled(booking_id=booking.id, lesson=slot)
    return new(event, derive_id("BookingCancelled", booking.id), actor="instructor")
