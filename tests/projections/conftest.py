"""A store that appends to the test's own database, and connections to rebuild with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from frostdesk.store import database
from projections.rebuild import Connect
from projections.shadow import Connection


@pytest.fixture
def connect(database_url: str) -> Connect:
    """Opens a connection of its own."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        connection = await database.connect(database_url)
        try:
            yield connection
        finally:
            await connection.close()

    return opened


@pytest.fixture
async def connection(direct_url: str) -> AsyncIterator[Connection]:
    """A session to look around with."""
    connection = await database.connect(direct_url)
    yield connection
    await connection.close()
