"""What the instructor can order, over HTTP or from the command line."""

from __future__ import annotations

from datetime import date, time
from uuid import UUID

import asyncpg
import msgspec

from frostdesk.bookings import BOOKING_TYPES, Command, decide, replay
from frostdesk.doorbell import Job, announce_booking_job, generate_reply_job, send_reply_job
from frostdesk.errors import ConflictError, VersionConflictError
from frostdesk.events import (
    BookingCancelled,
    BookingConfirmed,
    Event,
    RetryRequested,
    derive_id,
)
from frostdesk.store.append import EventStore, Expected, NewEvent
from frostdesk.store.database import Pool
from frostdesk.store.reading import get_booking, get_conversation
from frostdesk.store.rows import Booking
from frostdesk.upcasting import read_event

HISTORY = """
SELECT id, type, schema_version, data, version, correlation_id FROM events
 WHERE conversation_id = (SELECT conversation_id FROM events
                           WHERE id = $1 AND type = 'BookingProposed')
   AND type IN ('BookingProposed', 'BookingConfirmed', 'BookingCancelled')
 ORDER BY version
"""

IN_THE_WAY = """
SELECT id, date, "time", duration FROM bookings
 WHERE status = 'confirmed' AND tstzrange(starts_at, ends_at) && tstzrange($1, $2)
   AND int4range(instructor_id, instructor_id, '[]') && int4range($3, $3, '[]')
 LIMIT 1
"""

FAILURES = """
SELECT DISTINCT ON (f.id) f.id, f.data, f.correlation_id
  FROM messages m
  JOIN events f ON f.conversation_id = m.conversation_id AND f.type = 'ReplyFailed'
   AND (f.data ->> 'reply_id' = m.id::text OR f.data -> 'answers' ? m.id::text)
 WHERE m.conversation_id = $1 AND m.status = 'failed'
   AND NOT EXISTS (SELECT FROM events r WHERE r.conversation_id = m.conversation_id
                      AND r.type = 'RetryRequested' AND r.data ->> 'failed_id' = f.id::text)
 ORDER BY f.id
"""


async def decide_booking(
    pool: Pool, store: EventStore, booking_id: UUID, command: Command
) -> tuple[Booking, list[Job]]:
    """Confirm or cancel a booking. Returns it as it now stands, and the job that tells of it.

    Repeating a command changes nothing.

    Raises:
        NotFoundError: there is no such booking.
        ConflictError: it is cancelled already, or another confirmed lesson overlaps it.
    """
    while True:
        rows = await pool.fetch(HISTORY, booking_id)
        event = decide(replay((r["id"], _event(r)) for r in rows), booking_id, command)
        if event is None:
            return await get_booking(pool, booking_id), []
        proposal = next(row for row in rows if row["id"] == booking_id)
        decision = NewEvent(
            id=derive_id(type(event).__name__, booking_id),
            event=event,
            actor="instructor",
            causation_id=booking_id,
            correlation_id=proposal["correlation_id"] or booking_id,
        )
        try:
            conversation_id = await _append(pool, store, decision, rows[-1]["version"], event)
        except VersionConflictError:
            continue
        booking = await get_booking(pool, booking_id)
        return booking, [announce_booking_job(conversation_id, decision.id)]


async def _append(
    pool: Pool,
    store: EventStore,
    decision: NewEvent,
    version: int,
    event: BookingConfirmed | BookingCancelled,
) -> UUID:
    booking = await get_booking(pool, event.booking_id)
    try:
        await store.append(
            [decision],
            conversation_id=booking.conversation_id,
            expected=Expected(version, BOOKING_TYPES),
        )
    except asyncpg.ExclusionViolationError as error:
        between = (booking.starts_at, booking.ends_at, booking.instructor_id)
        other = await pool.fetchrow(IN_THE_WAY, *between)
        mine = _named(booking.id, booking.date, booking.time, booking.duration)
        taken = f"booking {_named(*other)}" if other else "another lesson"
        raise ConflictError(
            f"Booking {mine} overlaps {taken}, which is confirmed."
            " Cancel that one first, or this one."
        ) from error
    return booking.conversation_id


def _named(booking_id: UUID, day: date, at: time, minutes: int) -> str:
    return f"{booking_id} ({day} {at:%H:%M}, {minutes} minutes)"


async def retry(pool: Pool, store: EventStore, conversation_id: UUID) -> list[Job]:
    """Process again whatever failed in a conversation. Returns the jobs that do it.

    Raises:
        NotFoundError: there is no such conversation.
        ConflictError: nothing in it has failed.
    """
    await get_conversation(pool, conversation_id)
    rows = await pool.fetch(FAILURES, conversation_id)
    if not rows:
        raise ConflictError(f"Nothing has failed in conversation {conversation_id}.")
    jobs: list[Job] = []
    for row in rows:
        new = _request(row)
        await store.append([new], conversation_id=conversation_id)
        request: RetryRequested = new.event  # type: ignore[assignment]  # made just above
        if request.reply_id:
            jobs.append(send_reply_job(conversation_id, request.reply_id, new.id))
        if request.answers:
            jobs.append(generate_reply_job(conversation_id, request.answers[-1], ""))
    return jobs


def _request(failure: asyncpg.Record) -> NewEvent:
    failed = msgspec.json.decode(failure["data"])
    return NewEvent(
        id=derive_id("retry", failure["id"]),
        event=RetryRequested(
            failed_id=failure["id"],
            answers=tuple(UUID(i) for i in failed.get("answers", ())),
            reply_id=UUID(failed["reply_id"]) if failed.get("reply_id") else None,
        ),
        actor="instructor",
        causation_id=failure["id"],
        correlation_id=failure["correlation_id"],
    )


def _event(row: asyncpg.Record) -> Event:
    return read_event(row["type"], row["schema_version"], msgspec.json.decode(row["data"]))
