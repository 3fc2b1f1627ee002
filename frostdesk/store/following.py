"""Following the log: every event from a position on, in order, each exactly once.

Appends take turns, so the order of positions is the order of commits: whoever has read up to a
position has missed nothing below it. It is looked up a few times a second, which a transaction
pooler allows and LISTEN does not; while nothing happens, that is one probe of an index.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import msgspec
import structlog

from frostdesk.store.database import LOST, Pool, create_pool
from frostdesk.store.rows import LoggedEvent

POLL_SECONDS = 0.15
PAGE = 500
LONGEST_PAUSE_SECONDS = 2.0

HEAD = "SELECT coalesce(max(position), 0) FROM events"

PART = """
SELECT position, id, conversation_id, version, type, data, recorded_at, schema_version, actor,
       causation_id, correlation_id
  FROM events
 WHERE position > $1 AND position <= $2
   AND ($3::text[] IS NULL OR type = ANY ($3))
   AND ($4::uuid IS NULL OR conversation_id = $4)
 ORDER BY position
 LIMIT $5
"""

log = structlog.get_logger(__name__)


class _Place(msgspec.Struct):
    """How far the log has been read, and what of it is wanted."""

    after: int
    types: Sequence[str] | None
    conversation_id: UUID | None


async def subscribe(
    database: str | Pool,
    *,
    after: int,
    types: Sequence[str] | None = None,
    conversation_id: UUID | None = None,
) -> AsyncIterator[LoggedEvent]:
    """Every event beyond position `after`, those to come included, in order and once each.

    `database` is a URL or a pool. While the database is away this waits and then goes on where it
    was. To go on after an end of one's own, keep the last `position` and pass it as `after`.

    Raises:
        asyncpg.PostgresError: the database refuses the query, for want of tables or rights.
    """
    place = _Place(after, types, conversation_id)
    if not isinstance(database, str):
        async for event in _follow(database, place):
            yield event
        return
    async with create_pool(database, max_size=1) as pool:
        async for event in _follow(pool, place):
            yield event


async def _follow(pool: Pool, place: _Place) -> AsyncIterator[LoggedEvent]:
    pause = POLL_SECONDS
    while True:
        try:
            found, more = await _next_part(pool, place)
        except LOST as error:
            if pause == POLL_SECONDS:
                log.warning("postgresql is away, following goes on later", error=repr(error))
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
            await asyncio.sleep(pause)
            continue
        pause = POLL_SECONDS
        for event in found:
            yield event
        if not more:
            await asyncio.sleep(pause)


async def _next_part(pool: Pool, place: _Place) -> tuple[list[LoggedEvent], bool]:
    """What is wanted of the next part of the log, and whether there may be more at once.

    Up to the head that was seen first there is nothing left to commit, so the place moves there
    even if the filter lets nothing through, and no part of the log is searched twice.
    """
    head: int = await pool.fetchval(HEAD)
    if head <= place.after:
        return [], False
    rows = await pool.fetch(PART, place.after, head, place.types, place.conversation_id, PAGE)
    full = len(rows) == PAGE
    place.after = rows[-1]["position"] if full else head
    decode = msgspec.json.decode
    return [LoggedEvent(**{**row, "data": decode(row["data"])}) for row in rows], full
