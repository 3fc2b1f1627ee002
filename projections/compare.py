"""Where two sets of the tables differ, row by row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from projections.shadow import KEYS, Connection

PREFETCH = 200
"""Rows that are held in memory at a time."""

# Rows that must wait for others in a repair: a conversation goes after its messages, and a lesson
# takes a slot after whatever wrongly stands there has left it.
LATE = {"conversations": "other.id IS NULL", "bookings": "other.status = 'confirmed'"}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A row that differs: the columns as the live table has them, and as the other one has them.

    `live` or `other` is None if the row is not there. `id` is the row's key, its parts joined by a
    slash where there are several.
    """

    table: str
    id: str
    live: dict[str, Any] | None
    other: dict[str, Any] | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that differ, if the row is on both sides."""
        live, other = self.live or {}, self.other or {}
        return tuple(name for name in live if name in other and live[name] != other[name])


async def compare(connection: Connection, table: str, schema: str) -> int:
    """Note in a temporary table which rows of the live table and of `schema`'s differ.

    Gives how many rows there are on either side. The note ends with the transaction.
    """
    keys = ", ".join(KEYS[table])
    first = KEYS[table][0]
    await connection.execute(
        f"CREATE TEMPORARY TABLE {table}_drift ON COMMIT DROP AS"
        f" SELECT {keys}, coalesce({LATE.get(table, 'false')}, false) AS late"
        f" FROM public.{table} AS live FULL JOIN {schema}.{table} AS other USING ({keys})"
        f" WHERE ROW(live.*) IS DISTINCT FROM ROW(other.*)"
    )
    rows = await connection.fetchval(
        f"SELECT (SELECT count(*) FROM {schema}.{table})"
        f" + (SELECT count(*) FROM {table}_drift LEFT JOIN {schema}.{table} AS other"
        f" USING ({keys}) WHERE other.{first} IS NULL)"
    )
    return int(rows)


async def count_differences(connection: Connection, table: str) -> int:
    """How many rows `compare` has noted."""
    return int(await connection.fetchval(f"SELECT count(*) FROM {table}_drift"))


async def differences(connection: Connection, table: str, schema: str) -> AsyncIterator[Difference]:
    """The rows that `compare` has noted, in the order of their keys."""
    keys = ", ".join(KEYS[table])
    query = (
        f"SELECT concat_ws('/', {keys}) AS id, to_jsonb(live) AS live, to_jsonb(other) AS other"
        f" FROM {table}_drift LEFT JOIN public.{table} AS live USING ({keys})"
        f" LEFT JOIN {schema}.{table} AS other USING ({keys}) ORDER BY {keys}"
    )
    # Without a name: one would stay behind on the session that a pooler lends to the next.
    statement = await connection.prepare(query, name="")
    async for row in statement.cursor(prefetch=PREFETCH):
        yield Difference(
            table=table, id=row["id"], live=_decode(row["live"]), other=_decode(row["other"])
        )


def _decode(row: str | None) -> dict[str, Any] | None:
    return None if row is None else msgspec.json.decode(row)
