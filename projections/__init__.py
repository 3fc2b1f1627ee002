"""Events to tables: one statement a table, the same for a moment's events and for the whole log."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib.resources import files
from typing import Any, Protocol

TABLES = ("conversations", "identities", "messages", "bookings")
"""The tables in the order in which they are filled: a message refers to its conversation."""

STATEMENTS = {table: files(__name__).joinpath(f"{table}.sql").read_text() for table in TABLES}

ROWS = {
    table: statement.partition("INSERT INTO")[0] + "SELECT * FROM rows"
    for table, statement in STATEMENTS.items()
}
"""The part of each statement that says what the rows become, as a query of its own."""

READS = {
    table: frozenset(re.findall(r"'([A-Z][A-Za-z]+)'", statement))
    for table, statement in STATEMENTS.items()
}
"""The event types that each table's statement names, and so all that it can follow from."""

APPEND_LOCK = 4607452716
"""Who holds it is alone in appending (schema.sql, events_take_turns)."""


class Connection(Protocol):
    """What a projection needs of a database connection (asyncpg's fits)."""

    async def execute(self, query: str, *args: Any) -> str:
        """Run one statement and return its command tag."""


async def project(
    connection: Connection, after: int, upto: int, *, types: Collection[str] | None = None
) -> None:
    """Bring every table from position `after` up to and including `upto` of the log.

    Where `types` says which types of events these are, tables that none of them concerns are left
    alone. Runs in the caller's transaction. The tables are found through the connection's search
    path, so the same statements fill the live tables and those of another schema.
    """
    for table, statement in STATEMENTS.items():
        if types is None or not READS[table].isdisjoint(types):
            await connection.execute(statement, after, upto)
