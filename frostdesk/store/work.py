"""What remains to be done in a conversation, and all that a worker needs to know for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from frostdesk.events import Lesson
from frostdesk.store.database import Pool
from frostdesk.store.functions import PLANNED_ONCE, call, function
from frostdesk.store.usage import FILLED_AT, NOTHING, USED, Tally, Usage

# Once for all that is loaded at once: the instructor's confirmed lessons ahead, of every customer,
# and the calls that everybody has made since the last count.
FOR_ALL = f"""
CASE WHEN row_number() OVER () = 1 THEN (
    SELECT coalesce(json_agg(json_build_object('date', date, 'time', "time",
                                 'duration', duration, 'timezone', timezone,
                                 'starts_at', starts_at, 'ends_at', ends_at)
                             ORDER BY starts_at), '[]')
      FROM bookings
     WHERE status = 'confirmed' AND tstzrange(starts_at, ends_at) && tstzrange(now(), NULL)
           AND int4range(instructor_id, instructor_id, '[]') && int4range(1, 1, '[]')) END AS taken,
CASE WHEN row_number() OVER () = 1 THEN ({USED}) END AS used
"""

WORK = f"""
SELECT asked.id, w.work
  FROM unnest($1::uuid[]) AS asked (id)
 CROSS JOIN LATERAL (SELECT json_build_object(
    'conversation_id', c.id, 'phone_number_id', c.phone_number_id, 'wa_id', c.wa_id,
    'user_id', c.user_id, 'customer_at', c.customer_at, 'customer_version', c.customer_version,
    'paused', c.paused, 'stopped', c.stopped,
    'now', clock_timestamp(),
    'version', (SELECT max(version) FROM events WHERE conversation_id = c.id),
    'filled_at', CASE WHEN NOT (c.paused OR c.stopped) THEN ({FILLED_AT}) END,
    'disclosed', EXISTS (SELECT FROM messages WHERE conversation_id = c.id AND disclosure
                            AND sent_at IS NOT NULL AND status <> 'failed'),
    'history', (SELECT coalesce(json_agg(m ORDER BY m.version), '[]')
                  FROM (SELECT role, author, content AS text, version,
                               CASE role WHEN 'user' THEN sent_at ELSE created_at END AS at
                          FROM messages
                         WHERE conversation_id = c.id
                           AND NOT (role = 'assistant' AND status = 'failed')
                         ORDER BY version DESC LIMIT 10) m),
    'failed', (SELECT coalesce(json_agg(m.id ORDER BY m.version), '[]')
                 FROM (SELECT id, version FROM messages
                        WHERE conversation_id = c.id AND status = 'failed' AND role = 'user') m),
    'unfinished', (SELECT coalesce(json_agg(m ORDER BY m.version), '[]')
                     FROM (SELECT id, role, status, content AS text, step_at, whatsapp_id,
                                  version,
                                  role = 'assistant' AND EXISTS (
                                      SELECT FROM events e
                                        JOIN bookings b
                                          ON b.id = (e.data ->> 'booking_id')::uuid
                                       WHERE e.id = messages.id AND e.type = 'ReplyGenerated'
                                         AND b.decision_id <> (e.data ->> 'about')::uuid
                                  ) AS overtaken
                             FROM messages
                            WHERE conversation_id = c.id
                              AND status IN ('waiting', 'pending', 'unsettled', 'repeated')) m),
    'answered', EXISTS (
        SELECT FROM (SELECT id, version
                       FROM (SELECT id, version, role, status FROM messages
                              WHERE conversation_id = c.id
                                AND status IN ('waiting', 'pending', 'unsettled', 'repeated')
                              OFFSET 0) u
                      WHERE role = 'user' AND status = 'waiting'
                      ORDER BY version DESC LIMIT 1) m
          JOIN events e ON e.conversation_id = c.id AND e.version > m.version
         WHERE e.type = 'ReplyGenerated' AND e.data -> 'answers' ->> -1 = m.id::text),
    'bookings', (SELECT coalesce(json_agg(b ORDER BY b.created_at), '[]')
                   FROM (SELECT id, status, created_at,
                                decision_id IS DISTINCT FROM announced_id AS unannounced,
                                decision_id IS DISTINCT FROM announced_id AND EXISTS (
                                    SELECT FROM events d
                                      JOIN events e ON e.conversation_id = c.id
                                                   AND e.version > d.version
                                     WHERE d.id = bookings.decision_id
                                       AND e.type = 'ReplyGenerated'
                                       AND e.data ->> 'about' = bookings.decision_id::text
                                ) AS told,
                                decision_id,
                                json_build_object('date', date, 'time', "time",
                                    'duration', duration, 'timezone', timezone,
                                    'starts_at', starts_at, 'ends_at', ends_at) AS lesson
                           FROM bookings
                          WHERE conversation_id = c.id
                          ORDER BY (decision_id IS DISTINCT FROM announced_id) DESC,
                                   (status <> 'cancelled' AND ends_at > now()) DESC,
                                   created_at DESC
                          LIMIT 20) b)) AS work
  FROM conversations c
 WHERE c.id = asked.id LIMIT 1) AS w
"""

LOAD = function(
    "load",
    f"""
CREATE OR REPLACE FUNCTION {{name}}(uuid[], calls_per_minute int, counted_to bigint)
    RETURNS TABLE (id uuid, work json, taken json, used json)
    LANGUAGE plpgsql {PLANNED_ONCE} AS $load$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT id, work, {FOR_ALL} FROM ({WORK}) AS found;
END $load$;
""",
    arguments=3,
)

# The planner takes nearly every booking for unannounced, and would read them all; ordered and
# limited, they come from the index that has the few.
UNFINISHED = function(
    "unfinished",
    f"""
CREATE OR REPLACE FUNCTION {{name}}(int, float)
    RETURNS TABLE (conversation_id uuid, message_id uuid)
    LANGUAGE plpgsql {PLANNED_ONCE} AS $unfinished$
#variable_conflict use_column
BEGIN
RETURN QUERY
SELECT conversation_id, max(id::text)::uuid AS message_id
  FROM (SELECT conversation_id, id FROM messages
         WHERE status IN ('waiting', 'pending', 'unsettled', 'repeated')
           AND (status = 'waiting'
                OR step_at NOT BETWEEN clock_timestamp() - make_interval(secs => $2)
                                   AND clock_timestamp() + make_interval(secs => $2))
         UNION ALL
        (SELECT conversation_id, decision_id FROM bookings
          WHERE decision_id IS DISTINCT FROM announced_id
          ORDER BY conversation_id LIMIT $1)) AS unfinished
 WHERE NOT EXISTS (SELECT FROM claims c WHERE c.conversation_id = unfinished.conversation_id
                                          AND c.until > clock_timestamp())
 GROUP BY conversation_id
 LIMIT $1;
END $unfinished$;
""",
    arguments=2,
)


class HistoryRow(msgspec.Struct, frozen=True):
    """One of the last ten messages. `at` is when the customer wrote it or when we made it."""

    role: Literal["user", "assistant"]
    author: Literal["customer", "assistant", "instructor"]
    text: str
    version: int
    at: datetime


class Unfinished(msgspec.Struct, frozen=True):
    """A message that is not done: a customer's without an answer, or ours without an outcome.

    `step_at` is when it came to its present status; `overtaken` says that it tells of a decision
    about a lesson after which there was another.
    """

    id: UUID
    role: str
    status: str
    text: str
    step_at: datetime
    whatsapp_id: str | None
    overtaken: bool = False


class WorkBooking(msgspec.Struct, frozen=True):
    """A booking of this conversation, and whether its last decision has yet to be told.

    `told` says that the log has the notice, though the row is `unannounced`.
    """

    id: UUID
    status: str
    created_at: datetime
    unannounced: bool
    told: bool
    decision_id: UUID | None
    lesson: Lesson

    @property
    def untold(self) -> bool:
        """Whether the customer is to be told, by the row and by the log."""
        return self.unannounced and not self.told


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as a worker finds it. `now` is the database's clock; all times have zones.

    `failed` are the customer's messages that could not be answered.
    `answered` says that the log has the reply to the last of those that wait.
    `version` is the head of the stream, `customer_version` that of the customer's last words;
    `taken` are the instructor's confirmed lessons ahead, of every customer.
    With the calls of `filled_at` the customer's minute was full; `tally` counts everybody's.
    """

    conversation_id: UUID
    phone_number_id: str
    wa_id: str | None
    user_id: str | None
    customer_at: datetime
    customer_version: int
    paused: bool
    stopped: bool
    now: datetime
    version: int
    disclosed: bool
    history: tuple[HistoryRow, ...]
    failed: tuple[UUID, ...]
    unfinished: tuple[Unfinished, ...]
    answered: bool
    bookings: tuple[WorkBooking, ...]
    filled_at: datetime | None = None
    tally: Tally = NOTHING
    taken: tuple[Lesson, ...] = ()

    @property
    def waiting(self) -> tuple[Unfinished, ...]:
        """The customer's messages without an answer, oldest first."""
        return tuple(m for m in self.unfinished if m.role == "user" and m.status == "waiting")

    @property
    def contradicted(self) -> bool:
        """Whether rows ask for what the log knows as done: somebody has changed them by hand."""
        return self.answered or any(booking.told for booking in self.bookings)


async def load(pool: Pool, conversation_ids: Sequence[UUID], usage: Usage) -> dict[UUID, Work]:
    """Those of these conversations that there are, as they stand."""
    before = usage.tally
    arguments = (conversation_ids, usage.calls_per_minute, before.position)
    async with pool.acquire() as connection:
        rows = await call(connection, LOAD, *arguments)
    return works_in(rows, usage, before)


def works_in(rows: Sequence[asyncpg.Record], usage: Usage, before: Tally) -> dict[UUID, Work]:
    """The work in each row that has some; what is said for all of them stands in the first row.

    `before` is the tally from which the calls were counted on.
    """
    if not rows:
        return {}
    taken, tally = _lessons(rows[0]["taken"]), usage.add(before, rows[0]["used"])
    return {
        row["id"]: msgspec.structs.replace(_work(row["work"]), taken=taken, tally=tally)
        for row in rows
        if row["work"]
    }


_work = msgspec.json.Decoder(Work).decode


@lru_cache(maxsize=1)
def _lessons(taken: str) -> tuple[Lesson, ...]:
    """The lessons as they were read; the same object as long as they are the same.

    They are many, seldom change, and go with every answer that is being made.
    """
    return msgspec.json.decode(taken, type=tuple[Lesson, ...])


async def find_unfinished(pool: Pool, *, limit: int, settle_after: float) -> dict[UUID, UUID]:
    """Conversations with something to do that nobody holds, each with one message or decision.

    Replies of ours count once they are older than `settle_after` seconds.
    """
    async with pool.acquire() as connection:
        rows = await call(connection, UNFINISHED, limit, settle_after)
    return {row["conversation_id"]: row["message_id"] for row in rows}
