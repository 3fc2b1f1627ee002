"""The tables as they stood at a position of the log, in a schema of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from projections import TABLES
from projections.compare import Difference, Part, compare, differences
from projections.shadow import (
    FOR_LONG_WORK,
    Connection,
    Extent,
    Meter,
    Progress,
    begin,
    create,
    extent,
    fill,
    look_in,
)

MARK = "FrostDesk: the tables as they stood at position "
"""What the comment on such a schema begins with; the position follows."""


# Held by whoever erases a customer, to the end (frostdesk/store/forgetting.py).
COPY_LOCK = 4607452719

HEAD = "SELECT coalesce(max(position), 0) FROM public.events"

FORGOTTEN = """
SELECT EXISTS (SELECT FROM public.events WHERE type = 'CustomerForgotten' AND position > $1)
"""


class SchemaTakenError(Exception):
    """A schema of that name is there, and it is none of ours to write into."""


async def position_at(connection: Connection, moment: datetime) -> int:
    """The last position whose event was recorded at that moment or before; 0 if none was."""
    found = await connection.fetchval(
        "SELECT position FROM public.events WHERE recorded_at <= $1 ORDER BY position DESC LIMIT 1",
        moment,
    )
    return int(found or 0)


async def build(connection: Connection, schema: str, upto: int, progress: Progress) -> Extent:
    """Build the tables in `schema` from the events up to and including position `upto`.

    They are committed: nobody sees them before. One that an earlier call has made is built anew. A
    customer who is forgotten meanwhile is forgotten in them too. A transaction that sees them is
    open afterwards, for `changes_since`.

    Raises:
        SchemaTakenError: the schema is there, and not by this.
        asyncpg.DependentObjectsStillExistError: something that others made hangs on its tables.
    """
    while True:
        await begin(connection)
        seen = int(await connection.fetchval(HEAD))
        log = await _build(connection, schema, upto, progress)
        await connection.execute("COMMIT")
        if not await _forgotten_since(connection, seen):
            await begin(connection)
            return log
        upto = log.head


async def _build(connection: Connection, schema: str, upto: int, progress: Progress) -> Extent:
    await _make_room(connection, schema)
    quoted = _quoted(schema)
    log = await extent(connection, upto)
    await connection.execute(f"COMMENT ON SCHEMA {quoted} IS '{MARK}{log.head}'")
    await create(connection, TABLES, quoted)
    await look_in(connection, quoted)
    await fill(connection, TABLES, log, Meter(progress, log.events))
    return log


async def _forgotten_since(connection: Connection, position: int) -> bool:
    """Whether a customer was erased whom the snapshot of a build still had.

    Whoever erases fills every committed copy again. One that began before the commit may have
    missed this copy: it is waited for. One that begins later finds it.
    """
    async with connection.transaction():
        await connection.execute(FOR_LONG_WORK)
        await connection.execute(f"SELECT pg_advisory_xact_lock_shared({COPY_LOCK})")
        return bool(await connection.fetchval(FORGOTTEN, position))


async def _make_room(connection: Connection, schema: str) -> None:
    comment = await connection.fetchrow(
        "SELECT obj_description(oid, 'pg_namespace') AS text FROM pg_namespace WHERE nspname = $1",
        schema,
    )
    if comment is None:
        await connection.execute(f"CREATE SCHEMA {_quoted(schema)}")
    elif not (comment["text"] or "").startswith(MARK):
        raise SchemaTakenError
    for table in TABLES:
        await connection.execute(f"DROP TABLE IF EXISTS {_quoted(schema)}.{table}")


async def changes_since(connection: Connection, schema: str) -> AsyncIterator[Difference]:
    """The rows that have changed since: `other` is how they were.

    Runs in the transaction that `build` leaves open.
    """
    for table in TABLES:
        await compare(connection, Part(table), f"SELECT * FROM {_quoted(schema)}.{table}")
        async for difference in differences(connection, Part(table)):
            yield difference


def _quoted(schema: str) -> str:
    """A name may be one of SQL's own words, such as `then`."""
    return '"' + schema.replace('"', '""') + '"'
