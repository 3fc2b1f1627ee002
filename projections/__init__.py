"""Events to tables: one statement a table, the same for a moment's events and for the whole log."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Protocol

TABLES = ("conversations", "identities", "messages", "bookings")
"""The tables in the order in which they are filled: a message refers to its conversation."""

STATEMENTS = {table: files(__name__).joinpath(f"{table}.sql").read_text() for table in TABLES}


class Connection(Protocol):
    """What a projection needs of a database connection (asyncpg's fits)."""

    async def execute(self, query: str, *args: Any) -> str:
        """Run one statement and return its command tag."""


async def project(connection: Connection, after: int, upto: int) -> None:
    """Bring every table from position `after` up to and including `upto` of the log.

    Runs in the caller's transaction. The tables are found through the connection's search path,
    so the same statements fill the live tables and those of another schema.
    """
    for statement in STATEMENTS.values():
        await connection.execute(statement, after, upto)
