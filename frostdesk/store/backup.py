"""Bringing a backup of the log, as `frostdesk events --json` writes it, into an empty database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from frostdesk.errors import ConflictError, FrostDeskError, RefusedError
from frostdesk.store.writing import COLUMNS, restore_events
from frostdesk.upcasting import read_event
from projections import APPEND_LOCK, project

MOST_INT, MOST_BIGINT = 2**31 - 1, 2**63 - 1

# The lines are laid aside first, so that the log is closed to others only for the time it takes to
# bring over what has been checked.
STAGE = """
CREATE TEMPORARY TABLE incoming (
    position bigint, id uuid, conversation_id uuid, version int, type text, data jsonb,
    recorded_at timestamptz, schema_version smallint, actor text, causation_id uuid,
    correlation_id uuid
) ON COMMIT DROP
"""

GAP = """
SELECT conversation_id FROM incoming GROUP BY conversation_id
HAVING max(version) <> count(*) OR count(DISTINCT version) <> count(*) LIMIT 1
"""

DIFFERENT = f"""
SELECT i.position
  FROM incoming i LEFT JOIN events e USING (position)
 WHERE ({", ".join(f"i.{c}" for c in COLUMNS)})
       IS DISTINCT FROM ({", ".join(f"e.{c}" for c in COLUMNS)})
 ORDER BY i.position LIMIT 1
"""

CONTINUE = "SELECT setval(pg_get_serial_sequence('public.events', 'position'), max(position)) "


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a backup. What stands last may be missing, as in the answers of `GET /events`."""

    position: int
    id: UUID
    conversation_id: UUID
    version: int
    type: str
    data: dict[str, Any]
    recorded_at: datetime
    schema_version: int = 1
    actor: str = "system"
    causation_id: UUID | None = None
    correlation_id: UUID | None = None


class Imported(msgspec.Struct, frozen=True):
    """What came of an import: how many events the file holds, and whether they are new here."""

    events: int
    new: bool


def read_lines(lines: Iterable[bytes]) -> Iterable[Line]:
    """The lines of a backup, checked one by one; empty lines are passed over.

    Raises:
        RefusedError: a line is none of a backup, or not in its place; the text names the line.
    """
    position = 0
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        line = _read_line(number, text)
        if line.position <= position:
            raise RefusedError(
                f"Line {number} has position {line.position} after {position}: a backup is in the "
                "order of the log. Nothing was imported."
            )
        position = line.position
        yield line


def _read_line(number: int, text: bytes) -> Line:
    try:
        line = msgspec.json.decode(text, type=Line)
        read_event(line.type, line.schema_version, line.data)
        if line.recorded_at.tzinfo is None:
            raise ValueError("`recorded_at` has no time zone")  # noqa: TRY301  # one answer to all
        if not (0 < line.version <= MOST_INT and 0 < line.position <= MOST_BIGINT):
            raise ValueError("`position` or `version` is out of range")  # noqa: TRY301  # likewise
    except (msgspec.MsgspecError, ValueError, FrostDeskError) as error:
        raise RefusedError(
            f"Line {number} is no event of a backup ({error}). Is the file whole? "
            "Nothing was imported."
        ) from error
    return line


async def import_lines(
    connection: asyncpg.Connection[asyncpg.Record], lines: Iterable[Line]
) -> Imported:
    """Bring a backup into an empty log and fill the tables: all of it or nothing, in one go.

    Positions, ids and times are kept. A log that holds all of it already is left as it is.

    Raises:
        RefusedError: the backup is not whole.
        ConflictError: the log holds other events.
        asyncpg.PostgresError, or one of `LOST`: nothing was imported.
    """
    async with connection.transaction():
        await connection.execute(STAGE)
        tag = await connection.copy_records_to_table(
            "incoming", records=_records(lines), columns=COLUMNS
        )
        count = int(tag.split()[-1])
        await connection.execute("ANALYZE incoming")
        await _check_whole(connection)
        await connection.execute(f"SELECT pg_advisory_xact_lock({APPEND_LOCK})")
        if await connection.fetchval("SELECT EXISTS (SELECT FROM events)"):
            await _check_same(connection)
            return Imported(count, new=False)
        if count:
            await _store(connection)
        return Imported(count, new=count > 0)


async def _records(lines: Iterable[Line]) -> AsyncIterator[tuple[Any, ...]]:
    for line in lines:
        data = msgspec.json.encode(line.data).decode()
        yield tuple(data if c == "data" else getattr(line, c) for c in COLUMNS)


async def _check_whole(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    conversation_id = await connection.fetchval(GAP)
    if conversation_id is not None:
        raise RefusedError(
            f"The backup lacks events of conversation {conversation_id}. Make it again, without a "
            "filter: `frostdesk events --json`. Nothing was imported."
        )


async def _check_same(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    position = await connection.fetchval(DIFFERENT)
    if position is not None:
        raise ConflictError(
            "The database holds other events than the backup, the first of them at position "
            f"{position}. A backup goes into an empty database only. Nothing was imported."
        )


async def _store(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await restore_events(connection, "incoming")
    last = await connection.fetchval(f"{CONTINUE} FROM events")
    await connection.execute("ANALYZE events")
    await project(connection, 0, last)
