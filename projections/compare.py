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


class Part(msgspec.Struct, frozen=True):
    """A table, or those rows of it that a condition picks; `weight` is its share of the work."""

    table: str
    condition: str = "true"
    weight: int = 1

    @property
    def drift(self) -> str:
        """The temporary table that holds the keys of rows that differ, and what they should be."""
        return f"{self.table}_drift"


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


class Compared(msgspec.Struct, frozen=True):
    """How many rows there are on either side, and how many of them differ."""

    rows: int
    differing: int


async def compare(connection: Connection, part: Part, query: str) -> Compared:
    """Note which rows of the live table are not as `query`, which ends with its FROM, gives them.

    The note ends with the transaction.
    """
    keys = ", ".join(KEYS[part.table])
    first = KEYS[part.table][0]
    noted = await connection.execute(
        f"CREATE TEMPORARY TABLE {part.drift} ON COMMIT DROP AS"
        f" SELECT {keys}, coalesce({LATE.get(part.table, 'false')}, false) AS late,"
        f" CASE WHEN other.{first} IS NOT NULL THEN ROW(other.*)::public.{part.table} END AS other"
        f" FROM (SELECT * FROM public.{part.table} WHERE {part.condition}) AS live"
        f" FULL JOIN ({query} WHERE {part.condition}) AS other USING ({keys})"
        f" WHERE ROW(live.*) IS DISTINCT FROM ROW(other.*)"
    )
    if noted != "SELECT 0":
        # A row that is in another part by mistake should be there all the same, as that part says.
        await connection.execute(
            f"DELETE FROM {part.drift} WHERE other IS NULL AND {first} IN"
            f" (SELECT {first} FROM ({query} WHERE NOT {part.condition}) AS elsewhere)"
        )
    row = await connection.fetchrow(
        f"SELECT count(*) AS differing, count(*) FILTER (WHERE live.{first} IS NULL)"
        f" + (SELECT count(*) FROM public.{part.table} WHERE {part.condition}) AS rows"
        f" FROM {part.drift} LEFT JOIN public.{part.table} AS live USING ({keys})"
    )
    assert row is not None  # noqa: S101  # an aggregate gives one row
    return Compared(**row)


async def differences(connection: Connection, part: Part) -> AsyncIterator[Difference]:
    """The rows that `compare` has noted, in the order of their keys."""
    keys = ", ".join(KEYS[part.table])
    query = (
        f"SELECT concat_ws('/', {keys}) AS id, to_jsonb(live) AS live, to_jsonb(other) AS other"
        f" FROM {part.drift} LEFT JOIN public.{part.table} AS live USING ({keys}) ORDER BY {keys}"
    )
    # Without a name: one would stay behind on the session that a pooler lends to the next.
    statement = await connection.prepare(query, name="")
    async for row in statement.cursor(prefetch=PREFETCH):
        yield Difference(
            table=part.table, id=row["id"], live=_decode(row["live"]), other=_decode(row["other"])
        )


def _decode(row: str | None) -> dict[str, Any] | None:
    return None if row is None else msgspec.json.decode(row)
