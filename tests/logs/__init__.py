"""Stored logs, one a version of the events' shapes, as `frostdesk events --json` wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from frostdesk.store.backup import import_lines, read_lines
from frostdesk.store.database import Pool, connect

FOLDER = Path(__file__).parent
LOGS = sorted(FOLDER.glob("v*.jsonl"))
NEWEST = LOGS[-1]

TABLES = ("conversations", "identities", "messages", "bookings")


def stored(path: Path) -> list[dict[str, Any]]:
    """The events of a stored log, as they stand there."""
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


async def bring_in(database_url: str, path: Path = NEWEST) -> None:
    """Import a stored log into an empty database."""
    connection = await connect(database_url)
    try:
        with path.open("rb") as lines:
            await import_lines(connection, read_lines(lines))
    finally:
        await connection.close()


async def rows_in(pool: Pool) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, in an order that does not depend on how they came there."""
    return {
        table: [
            dict(row) for row in await pool.fetch(f"SELECT * FROM {table} AS t ORDER BY t::text")
        ]
        for table in TABLES
    }


async def log_in(pool: Pool) -> list[dict[str, Any]]:
    """Every event, in order, as stored."""
    return [dict(row) for row in await pool.fetch("SELECT * FROM events ORDER BY position")]
