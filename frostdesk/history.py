"""What one event says, in a line, and which rows it made or changed: pure, from the event alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from frostdesk import events as e

LONGEST = 100
"""Of a text, so many characters are shown."""


class RowId(msgspec.Struct, frozen=True):
    """One row of one of the three tables."""

    table: str
    id: UUID


def rows_of(event: e.Event, *, event_id: UUID, conversation_id: UUID) -> tuple[RowId, ...]:
    """The rows that an event made or may have changed."""
    rows = []
    if isinstance(event, _IN_THE_LIST):
        rows.append(RowId("conversations", conversation_id))
    if isinstance(event, e.MessageReceived | e.ReplyGenerated | e.InstructorWrote):
        rows.append(RowId("messages", event_id))
    if isinstance(event, e.BookingProposed):
        return (*rows, RowId("bookings", event_id))
    if not isinstance(event, _NAMES_ONLY):
        rows += [RowId(table, row) for table, field in _NAMED for row in _ids(event, field)]
    return tuple(dict.fromkeys(rows))


_IN_THE_LIST = (
    e.MessageReceived,
    e.MessageEdited,
    e.MessageDeleted,
    e.ReplyGenerated,
    e.InstructorWrote,
    e.HandedOver,
    e.AssistantPaused,
    e.AssistantResumed,
    e.AutomationStopped,
    e.AutomationResumed,
    e.CustomerForgotten,
)
"""What the list of conversations shows something of."""

_NAMES_ONLY = (
    e.ReplyPartSent,
    e.HandedOver,
    e.AutomationStopped,
    e.AutomationResumed,
    e.AnswerDeferred,
)
"""What names messages as its reason or subject, and leaves their rows as they are."""

_NAMED = (
    ("messages", "message_id"),
    ("messages", "reply_id"),
    ("messages", "answers"),
    ("messages", "messages"),
    ("bookings", "booking_id"),
)
"""The fields by which an event names rows of a table."""


def _ids(event: e.Event, field: str) -> Iterator[UUID]:
    value: UUID | tuple[UUID, ...] | None = getattr(event, field, None)
    if isinstance(value, tuple):
        yield from value
    elif value is not None:
        yield value


def says(event: e.Event) -> str:
    """What an event says, in one short line without control characters; perhaps nothing."""
    line = plain(_SENTENCES.get(type(event), _nothing)(event))
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def plain(text: str) -> str:
    """A text on one line, harmless to a terminal: a customer may send escape sequences."""
    return "".join(c if c.isprintable() else " " for c in text)


def _lesson(event: Any) -> str:
    lesson: e.Lesson = event.lesson
    return f"{lesson.date:%a %Y-%m-%d} {lesson.time:%H:%M}, {lesson.duration} minutes"


def _nothing(_: e.Event) -> str:
    return ""


def _delivery(event: e.DeliveryUpdated) -> str:
    return f"{event.status}: {event.error}" if event.error else event.status


_SENTENCES: Mapping[type[e.Event], Callable[[Any], str]] = MappingProxyType(
    {
        e.MessageReceived: lambda event: event.text,
        e.MessageEdited: lambda event: f"now reads: {event.text}",
        e.MessageDeleted: lambda _: "took the message back",
        e.ReplyGenerated: lambda event: event.text,
        e.InstructorWrote: lambda event: event.text,
        e.ReplyPartSent: lambda event: f"WhatsApp has part {event.part} of {event.parts}",
        e.ReplySent: lambda event: f"WhatsApp has it as {', '.join(event.whatsapp_ids)}",
        e.SendUncertain: lambda event: event.reason,
        e.SendRepeated: lambda event: event.reason,
        e.ReplyFailed: lambda event: f"{event.stage}: {event.reason}",
        e.RetryRequested: lambda _: "asked to try again",
        e.DeliveryUpdated: _delivery,
        e.HandedOver: lambda event: event.reason,
        e.AnswerWithheld: lambda event: event.reason,
        e.AnswerDeferred: lambda event: f"too fast: an answer comes at {event.until:%H:%M:%S} UTC",
        e.BookingProposed: _lesson,
        e.BookingConfirmed: _lesson,
        e.BookingCancelled: _lesson,
        e.CustomerForgotten: lambda event: f"erased from {len(event.messages)} messages",
    }
)
