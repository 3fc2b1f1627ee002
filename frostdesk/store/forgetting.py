"""Erasing a customer from the log and from every table, and reading all that is kept of one.

The log is redacted by the database's own `forget_conversation`. The rows are then made again from
what is left, by the statements that made them, so no rebuild will ever find them wrong.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from frostdesk.errors import ConflictError, NotFoundError
from frostdesk.events import derive_id
from projections import TABLES, past, project, repair

LATEST = 2**63 - 1

# Waiting for others happens before the log is closed to anybody, and not for ever.
BEGIN = f"""
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '10s';
SELECT pg_advisory_xact_lock({past.COPY_LOCK})
"""

ABOUT = """
SELECT c.name, c.wa_id, c.user_id, c.username,
       (SELECT count(*) FROM messages WHERE conversation_id = $1) AS messages,
       (SELECT count(*) FROM bookings WHERE conversation_id = $1) AS bookings,
       (SELECT count(*) FROM events WHERE conversation_id = $1) AS events,
       EXISTS (SELECT FROM events
                WHERE conversation_id = $1 AND type = 'CustomerForgotten') AS forgotten,
       ARRAY (SELECT o.id FROM conversations o
               WHERE o.phone_number_id = c.phone_number_id AND o.id <> c.id
                 AND (o.wa_id = c.wa_id OR o.user_id = c.user_id)) AS others
  FROM conversations c
 WHERE c.id = $1
"""

KEPT = """
SELECT json_build_object(
    'conversation', (SELECT to_json(c) FROM conversations c WHERE id = $1),
    'identities', (SELECT coalesce(json_agg(i ORDER BY identity), '[]')
                     FROM identities i WHERE conversation_id = $1),
    'messages', (SELECT coalesce(json_agg(m ORDER BY version), '[]')
                   FROM messages m WHERE conversation_id = $1),
    'bookings', (SELECT coalesce(json_agg(b ORDER BY created_at), '[]')
                   FROM bookings b WHERE conversation_id = $1),
    'events', (SELECT coalesce(json_agg(e ORDER BY version), '[]')
                 FROM events e WHERE conversation_id = $1))
"""

# Copies of the tables: those of `rebuild --as-of`, which marks its schemas so, and what a rebuild
# under way, or one that was killed, has laid aside.
COPIES = """
SELECT nspname, coalesce(obj_description(oid, 'pg_namespace'), '')
  FROM pg_namespace
 WHERE starts_with(obj_description(oid, 'pg_namespace'), $1) OR nspname = $2
"""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a conversation is with and how much there is of it.

    `others` are further conversations of the same customer.
    """

    name: str | None
    wa_id: str | None
    user_id: str | None
    username: str | None
    messages: int
    bookings: int
    events: int
    forgotten: bool
    others: list[UUID]


async def about(connection: asyncpg.Connection[asyncpg.Record], conversation_id: UUID) -> About:
    """Whom a conversation is with.

    Raises:
        NotFoundError: there is no such conversation.
    """
    row = await connection.fetchrow(ABOUT, conversation_id)
    if row is None:
        raise NotFoundError(f"There is no conversation {conversation_id}.")
    return About(**row)


async def kept_of(
    connection: asyncpg.Connection[asyncpg.Record], conversation_id: UUID
) -> dict[str, Any]:
    """All that the database keeps of a conversation, at one moment: every column, times in UTC.

    Raises:
        NotFoundError: there is no such conversation.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL TimeZone = 'UTC'")
        await about(connection, conversation_id)
        kept = await connection.fetchval(KEPT, conversation_id)
    found: dict[str, Any] = msgspec.json.decode(kept)
    return found


async def erase(connection: asyncpg.Connection[asyncpg.Record], conversation_id: UUID) -> int:
    """Erase texts, names and identities of a conversation; all or nothing.

    Gives the position of the CustomerForgotten. Repeating it is harmless.

    Raises:
        NotFoundError: there is no such conversation.
        ConflictError: something else has been at work on the tables or a copy of them for long.
    """
    try:
        async with connection.transaction():
            await connection.execute(BEGIN)
            return await _erase(connection, conversation_id)
    except asyncpg.LockNotAvailableError as error:
        raise ConflictError(
            "Something else is at work on the tables or on a copy of them, such as `rebuild "
            "--as-of`. Nothing was forgotten: try again when it has ended."
        ) from error


async def _erase(connection: asyncpg.Connection[asyncpg.Record], conversation_id: UUID) -> int:
    position: int | None = await connection.fetchval(
        "SELECT public.forget_conversation($1, $2)",
        conversation_id,
        derive_id("forgotten", conversation_id),
    )
    if position is None:
        raise NotFoundError(f"There is no conversation {conversation_id}.")
    await _fill_again(connection, "public", conversation_id, upto=LATEST)
    for schema, mark in await connection.fetch(COPIES, past.MARK, repair.SCHEMA):
        await _fill_again(connection, schema, conversation_id, upto=_position_in(mark))
    return position


def _position_in(mark: str) -> int:
    """Up to which position the tables of an as-of schema were filled; 0 where it does not say."""
    found = re.search(r"\d+$", mark)
    return int(found[0]) if found else 0


async def _fill_again(
    connection: asyncpg.Connection[asyncpg.Record], schema: str, conversation_id: UUID, *, upto: int
) -> None:
    """Make the rows of one conversation anew, through a view that shows its events alone."""
    quoted = '"' + schema.replace('"', '""') + '"'
    # This schema alone: what a copy lacks must not be found, and emptied, among the live tables.
    await connection.execute(f"SET LOCAL search_path = {quoted}")
    for table in reversed(TABLES):
        column = "id" if table == "conversations" else "conversation_id"
        await connection.execute(f"DELETE FROM {table} WHERE {column} = $1", conversation_id)
    await connection.execute(
        "CREATE TEMPORARY VIEW events AS"
        f" SELECT * FROM public.events WHERE conversation_id = '{conversation_id}'"
    )
    await project(connection, 0, upto)
    await connection.execute("DROP VIEW pg_temp.events")
