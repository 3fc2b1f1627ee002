"""The rows of the tables as readers get them: the column names, ids as UUIDs, times with zone."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

import msgspec


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One customer at one business number.

    `waiting` messages have no answer yet, `failed` ones wait for the instructor's retry. The
    assistant does not answer where it is `paused` by the instructor or `stopped` by the customer;
    `handed_over` is why the customer waits for a person.
    """

    id: UUID
    created_at: datetime
    phone_number_id: str
    wa_id: str | None
    user_id: str | None
    name: str | None
    username: str | None
    last_message_at: datetime
    customer_at: datetime
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
    created_at: datetime
    version: int
    kind: str
    status: str
    error: str | None
    step_at: datetime
    whatsapp_id: str | None
    sent_at: datetime | None
    edited_at: datetime | None
    deleted_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    disclosure: bool


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """One lesson: wall-clock `date` and `time` in `timezone`, `duration` in minutes."""

    id: UUID
    conversation_id: UUID
    instructor_id: int
    date: date
    time: time
    duration: int
    timezone: str
    starts_at: datetime
    ends_at: datetime
    status: str
    created_at: datetime


class NamedBooking(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson in the calendar: when (instants), how it stands, and with whom."""

    id: UUID
    created_at: datetime
    starts_at: datetime
    ends_at: datetime
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
    recorded_at: datetime
    schema_version: int
    actor: str
    causation_id: UUID | None
    correlation_id: UUID | None


class Page(msgspec.Struct, frozen=True):
    """A part of a list, and what to ask for the next part with, or None at its end."""

    items: list[Any]
    cursor: str | None
