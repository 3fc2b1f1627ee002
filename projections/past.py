"""The tables as they stood at a position of the log, in a schema of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from projections import TABLES
from projections.compare import Difference, compare, differences
from projections.shadow import (
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

    The transaction stays open; only with its commit does anybody see the schema. One that an
    earlier call has made is built anew.

    Raises:
        SchemaTakenError: the schema is there, and not by this.
        asyncpg.DependentObjectsStillExistError: something that others made hangs on its tables.
    """
    await begin(connection)
    await _make_room(connection, schema)
    log = await extent(connection, upto)
    await connection.execute(f"COMMENT ON SCHEMA {schema} IS '{MARK}{log.head}'")
    await create(connection, TABLES, schema)
    await look_in(connection, schema)
    await fill(connection, TABLES, log, Meter(progress, log.events))
    return log


async def _make_room(connection: Connection, schema: str) -> None:
    comment = await connection.fetchrow(
        "SELECT obj_description(oid, 'pg_namespace') AS text FROM pg_namespace WHERE nspname = $1",
        schema,
    )
    if comment is None:
        await connection.execute(f"CREATE SCHEMA {schema}")
    elif not (comment["text"] or "").startswith(MARK):
        raise SchemaTakenError
    for table in TABLES:
        await connection.execute(f"DROP TABLE IF EXISTS {schema}.{table}")


async def changes_since(connection: Connection, schema: str) -> AsyncIterator[Difference]:
    """The rows that have changed since, in the transaction of `build`: `other` is how they were."""
    for table in TABLES:
        await compare(connection, table, schema)
        async for difference in differences(connection, table, schema):
            yield difference
