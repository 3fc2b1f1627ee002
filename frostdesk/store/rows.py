"""The rows of the tables as readers get them: the column names, ids as UUIDs, times with zone."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec

Row = TypeVar("Row")

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One customer at one business number.

    `waiting` messages have no answer yet, `failed` ones wait for the instructor's retry. The
    assistant does not answer where it is `paused` by the instructor or `stopped` by the customer;
    `handed_over` is why the customer waits for a person.
    """

    id: UUID
    created_at: Instant
    phone_number_id: str
    wa_id: str | None
    user_id: str | None
    name: str | None
    username: str | None
    last_message_at: Instant
    customer_at: Instant
    customer_version: int
    paused: bool
    stopped: bool
    handed_over: str | None
    waiting: int
    failed: int


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, as it reads now."""

    id: UUID
    conversation_id: UUID
    role: str
    author: str
    content: str
    created_at: Instant
    version: int
    kind: str
    status: str
    error: str | None
    step_at: Instant
    whatsapp_id: str | None
    sent_at: Instant | None
    edited_at: Instant | None
    deleted_at: Instant | None
    delivered_at: Instant | None
    read_at: Instant | None
    disclosure: bool


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """One lesson: wall-clock `date` and `time` in `timezone`, `duration` in minutes."""

    id: UUID
    conversation_id: UUID
    instructor_id: int
    date: date
    time: Annotated[time, msgspec.Meta(tz=False)]
    duration: int
    timezone: str
    starts_at: Instant
    ends_at: Instant
    status: str
    created_at: Instant


class NamedBooking(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson in the calendar: when (instants), how it stands, and with whom."""

    id: UUID
    created_at: Instant
    starts_at: Instant
    ends_at: Instant
    status: str
    name: str | None


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the log, with its data as stored."""

    position: int
    id: UUID
    conversation_id: UUID
    version: int
    type: str
    data: dict[str, Any]
    recorded_at: Instant
    schema_version: int
    actor: str
    causation_id: UUID | None
    correlation_id: UUID | None


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """A part of a list, and what to ask for the next part with, or None at its end."""

    items: list[Row]
    cursor: str | None
