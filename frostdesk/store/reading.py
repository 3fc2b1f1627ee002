"""Queries for the desk and the engineer. Lists are newest first and paged by a keyset cursor."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from frostdesk.errors import NotFoundError, RefusedError
from frostdesk.store.database import Connection, Pool
from frostdesk.store.rows import (
    Booking,
    Conversation,
    LoggedEvent,
    Message,
    NamedBooking,
    Page,
)

Row = TypeVar("Row", bound=msgspec.Struct)

CONVERSATIONS = """
SELECT c.*, u.waiting, f.failed
  FROM conversations c
 CROSS JOIN LATERAL (
     SELECT count(*) AS waiting FROM messages m
      WHERE m.conversation_id = c.id AND m.status = 'waiting') u
 CROSS JOIN LATERAL (
     SELECT count(*) AS failed FROM messages m
      WHERE m.conversation_id = c.id AND m.status = 'failed') f
"""

EVENTS = """
SELECT position, id, conversation_id, version, type, data, recorded_at, schema_version, actor,
       causation_id, correlation_id
  FROM events
 WHERE position > $1
"""


Number = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
"""A number that PostgreSQL can compare with a version."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The place of a row in a list: the time or the number that orders it, then its id."""

    at: Annotated[datetime, msgspec.Meta(tz=True)] | Number
    id: UUID


def encode_cursor(cursor: Cursor) -> str:
    """A cursor as an opaque text that fits in a URL."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def decode_cursor(text: str, kind: type[datetime | int]) -> Cursor:
    """The cursor that `encode_cursor` made `text` of, for a list ordered by a `kind`.

    Raises:
        RefusedError: it is none, or one of another list.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        packed = base64.b64decode(padded, altchars=b"-_", validate=True)
        cursor = msgspec.msgpack.decode(packed, type=Cursor)
        # Other ways to write a cursor hold times that PostgreSQL has not.
        fits = isinstance(cursor.at, kind) and encode_cursor(cursor) == text
    except (ValueError, OverflowError, binascii.Error, msgspec.MsgspecError):
        fits = False
    if not fits:
        raise RefusedError("The cursor is none of this list's. Leave it out to start anew.")
    return cursor


async def list_conversations(
    pool: Pool, *, limit: int, cursor: str | None = None
) -> Page[Conversation]:
    """Conversations by their last message, newest first."""
    where, args = _beyond(cursor, "c.last_message_at", "c.id")
    rows = await pool.fetch(
        f"{CONVERSATIONS} WHERE {where} ORDER BY c.last_message_at DESC, c.id DESC LIMIT $1",
        limit + 1,
        *args,
    )
    return _page(rows, Conversation, limit, at="last_message_at")


async def get_conversation(pool: Pool, conversation_id: UUID) -> Conversation:
    """One conversation.

    Raises:
        NotFoundError: there is none with this id.
    """
    return await _one(pool, f"{CONVERSATIONS} WHERE c.id = $1", conversation_id, Conversation)


async def list_messages(
    pool: Pool, conversation_id: UUID, *, limit: int, cursor: str | None = None
) -> Page[Message]:
    """A conversation's messages, newest first.

    Raises:
        NotFoundError: there is no such conversation.
    """
    await get_conversation(pool, conversation_id)
    place = decode_cursor(cursor, int) if cursor is not None else None
    rows = await pool.fetch(
        "SELECT * FROM messages WHERE conversation_id = $2 AND ($3::bigint IS NULL OR version < $3)"
        " ORDER BY version DESC LIMIT $1",
        limit + 1,
        conversation_id,
        place.at if place else None,
    )
    return _page(rows, Message, limit, at="version")


async def get_message(pool: Pool, message_id: UUID) -> Message:
    """One message.

    Raises:
        NotFoundError: there is none with this id.
    """
    return await _one(pool, "SELECT * FROM messages WHERE id = $1", message_id, Message)


async def lessons_between(pool: Pool, start: datetime, end: datetime) -> list[NamedBooking]:
    """Lessons that are not cancelled and begin between two instants, in order."""
    rows = await pool.fetch(
        "SELECT b.*, coalesce(c.name, c.username, c.wa_id, c.user_id) AS name"
        "  FROM bookings b JOIN conversations c ON c.id = b.conversation_id"
        " WHERE b.status IN ('pending', 'confirmed') AND b.starts_at BETWEEN $1 AND $2"
        " ORDER BY b.starts_at, b.id",
        start,
        end,
    )
    return [_struct(row, NamedBooking) for row in rows]


async def list_bookings(
    pool: Pool, *, limit: int, status: str | None = None, cursor: str | None = None
) -> Page[Booking]:
    """Bookings by when they were proposed, newest first, of one status or of all."""
    where, args = _beyond(cursor, "created_at", "id")
    if status is not None:
        args.append(status)
        where += f" AND status = ${len(args) + 1}"
    rows = await pool.fetch(
        f"SELECT * FROM bookings WHERE {where} ORDER BY created_at DESC, id DESC LIMIT $1",
        limit + 1,
        *args,
    )
    return _page(rows, Booking, limit, at="created_at")


async def get_booking(pool: Pool, booking_id: UUID) -> Booking:
    """One booking.

    Raises:
        NotFoundError: there is none with this id.
    """
    return await _one(pool, "SELECT * FROM bookings WHERE id = $1", booking_id, Booking)


async def list_events(
    connection: Pool | Connection,
    *,
    after: int = 0,
    limit: int,
    conversation_id: UUID | None = None,
    event_type: str | None = None,
) -> list[LoggedEvent]:
    """Events beyond position `after`, in the order of the log."""
    query = EVENTS
    args: list[Any] = [after, limit]
    for column, value in (("conversation_id", conversation_id), ("type", event_type)):
        if value is not None:
            args.append(value)
            query += f" AND {column} = ${len(args)}"
    rows = await connection.fetch(f"{query} ORDER BY position LIMIT $2", *args)
    return [_struct({**row, "data": msgspec.json.decode(row["data"])}, LoggedEvent) for row in rows]


async def position_before(connection: Pool | Connection, moment: datetime) -> int:
    """The last position whose event was recorded before that moment (aware); 0 if none was.

    Looked for from the head backwards: quick for a moment not long ago, whatever the log's length.
    """
    found = await connection.fetchval(
        "SELECT position FROM events WHERE recorded_at < $1 ORDER BY position DESC LIMIT 1", moment
    )
    return int(found or 0)


async def _one(pool: Pool, query: str, row_id: UUID, kind: type[Row]) -> Row:
    row = await pool.fetchrow(query, row_id)
    if row is None:
        raise NotFoundError(f"There is no {kind.__name__.lower()} {row_id}.")
    return _struct(row, kind)


def _beyond(cursor: str | None, at: str, row_id: str) -> tuple[str, list[Any]]:
    if cursor is None:
        return "true", []
    place = decode_cursor(cursor, datetime)
    return f"({at}, {row_id}) < ($2, $3)", [place.at, place.id]


def _page(rows: list[asyncpg.Record], kind: type[Row], limit: int, *, at: str) -> Page[Row]:
    items = [_struct(row, kind) for row in rows[:limit]]
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return Page(items, encode_cursor(Cursor(last[at], last["id"])) if last else None)


def _struct(row: Any, kind: type[Row]) -> Row:
    """A row as `kind`, leaving out the columns that it does not show."""
    return kind(**{name: row[name] for name in kind.__struct_fields__})
