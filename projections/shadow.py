"""A second set of the tables, filled from the log in one transaction, to hold beside the live ones.

The statements of the projections name tables without a schema. Where a transaction's search path
begins with the shadow's schema, they fill the shadow and leave the live tables alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import msgspec

from projections import ROWS, STATEMENTS

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

KEYS = {
    "conversations": ("id",),
    "identities": ("phone_number_id", "identity"),
    "messages": ("id",),
    "bookings": ("id",),
}

WEIGHTS = {"conversations": 3, "identities": 2, "messages": 9, "bookings": 1}
"""How the work is spread over the tables, for progress."""

SPANS = 16
"""Parts into which a fill cuts the log: as many reports of progress. Each part merges with the rows
so far, so their number, and not their length, is fixed: the work grows in line with the log."""

SMALLEST_SPAN = 62_500

# Nothing here outlives the transaction, so a pooler's next customer finds the session as it was.
# An operator's time limits are meant for the service and not for work that holds nobody up.
FOR_LONG_WORK = """
SELECT set_config(name, CASE name WHEN 'jit' THEN 'off' WHEN 'work_mem' THEN '64MB' ELSE '0' END,
                  true)
  FROM pg_settings
 WHERE name IN ('jit', 'work_mem', 'statement_timeout', 'transaction_timeout',
                'idle_in_transaction_session_timeout')
"""

EXTENT = """
SELECT count(*) AS events, coalesce(min(position) - 1, 0) AS tail,
       coalesce(max(position), 0) AS head
  FROM public.events WHERE position <= $1
"""

EVERYTHING = 2**63 - 1
"""Beyond every position."""


class Extent(msgspec.Struct, frozen=True):
    """The part of the log to project: how many events, beyond `tail` and up to `head`."""

    events: int
    tail: int
    head: int

    def rows(self, table: str) -> str:
        """The query that gives a table's rows. Without arguments, for statements that take none."""
        return ROWS[table].replace("$1", str(self.tail)).replace("$2", str(self.head))


Progress: TypeAlias = Callable[[float, int], None]
"""Told what share of the work is done, from 0 to 1, and how many events it is about."""


class Meter:
    """Adds up what shares of the work have been done, and passes the sum on."""

    def __init__(self, progress: Progress, events: int) -> None:
        self._progress = progress
        self._events = events
        self._done = 0.0
        self.add(0.0)

    def add(self, share: float) -> None:
        """A further share of the work is done."""
        self._done = min(1.0, self._done + share)
        self._progress(self._done, self._events)


async def begin(connection: Connection, snapshot: str | None = None) -> str:
    """Begin a transaction that sees one moment; give its snapshot, for others to begin with.

    With a `snapshot` it sees the moment of the transaction that gave it, which must still be open.
    """
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    if snapshot is not None:
        await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
    await connection.execute(FOR_LONG_WORK)
    return snapshot or str(await connection.fetchval("SELECT pg_export_snapshot()"))


async def extent(connection: Connection, upto: int = EVERYTHING) -> Extent:
    """How much log there is up to a position, as this transaction sees it."""
    row = await connection.fetchrow(EXTENT, upto)
    assert row is not None  # noqa: S101  # an aggregate without GROUP BY gives one row
    return Extent(row["events"], row["tail"], row["head"])


async def create(
    connection: Connection, tables: Iterable[str], schema: str, *, kind: str = ""
) -> None:
    """Make empty tables like the live ones in `schema`.

    `kind` is UNLOGGED or nothing.
    """
    for table in tables:
        await connection.execute(
            f"CREATE {kind} TABLE {schema}.{table}"
            f" (LIKE public.{table}, PRIMARY KEY ({', '.join(KEYS[table])}))"
        )


async def look_in(connection: Connection, schema: str) -> None:
    """Have the transaction's statements find the tables of `schema` before the live ones."""
    await connection.execute(f"SET LOCAL search_path = {schema}, public")


@asynccontextmanager
async def from_nothing(connection: Connection) -> AsyncIterator[None]:
    """Have statements find no row in the tables, as if no event had been before."""
    for table in KEYS:
        await connection.execute(
            f"CREATE TEMPORARY VIEW {table} AS SELECT * FROM public.{table} WHERE false"
        )
    yield
    await connection.execute(f"DROP VIEW {', '.join(f'pg_temp.{table}' for table in KEYS)}")


async def fill(connection: Connection, tables: Iterable[str], extent: Extent, meter: Meter) -> None:
    """Project the log into the tables that the search path finds, one span after the other."""
    span = max(SMALLEST_SPAN, -(-(extent.head - extent.tail) // SPANS))
    total = sum(WEIGHTS.values()) * max(1, extent.head - extent.tail)
    for after in range(extent.tail, extent.head, span):
        upto = min(after + span, extent.head)
        for table in tables:
            await connection.execute(STATEMENTS[table], after, upto)
            meter.add(WEIGHTS[table] * (upto - after) / total)
