"""The one way through the append-only guard is as narrow as forgetting needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from frostdesk.events import derive_id
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool, connect
from tests.factories import BEN, generated, received, sender
from tests.logs import log_in


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection of the owner's."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def mira(pool: Pool) -> UUID:
    """A conversation of one message and one reply, beside another one."""
    async with EventStore(pool) as store:
        (appended,) = await store.append([received("I have a bad knee.")])
        await store.append([generated("Mind it!")], conversation_id=appended.conversation_id)
        await store.append([received(by=sender(BEN))])
        return appended.conversation_id


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET data = '{}' WHERE conversation_id = $1",
        "UPDATE events SET data = data WHERE conversation_id = $1",
        (
            "UPDATE events SET data = forgotten_data(data), actor = 'system'"
            " WHERE conversation_id = $1"
        ),
        (
            "UPDATE events SET data = forgotten_data(data), recorded_at = now()"
            " WHERE conversation_id = $1"
        ),
        (
            'UPDATE events SET data = forgotten_data(data) || \'{"text": "other"}\''
            " WHERE conversation_id = $1"
        ),
        "UPDATE events SET data = forgotten_data(data) WHERE conversation_id <> $1",
        "DELETE FROM events WHERE conversation_id = $1",
    ],
)
@pytest.mark.parametrize("role", ["origin", "replica"])
async def test_nothing_else_passes_the_guard(
    pool: Pool,
    connection: asyncpg.Connection[asyncpg.Record],
    mira: UUID,
    statement: str,
    role: str,
) -> None:
    """Even where a customer has been forgotten, the owner can only erase, and change nothing."""
    await pool.execute(
        "INSERT INTO events (id, conversation_id, version, type, data)"
        " VALUES ($1, $2, 3, 'CustomerForgotten', '{}')",
        derive_id("forgotten", mira),
        mira,
    )
    before = await log_in(pool)
    await connection.execute(f"SET session_replication_role = {role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await connection.execute(statement, mira)
    assert await log_in(pool) == before


async def test_who_is_not_forgotten_cannot_be_erased(
    pool: Pool, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """Without a CustomerForgotten in the stream not even the exact redaction is let through."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await connection.execute(
            "UPDATE events SET data = forgotten_data(data) WHERE conversation_id = $1", mira
        )
    assert "knee" in (await log_in(pool))[0]["data"]


async def test_strangers_may_not_forget(pool: Pool, mira: UUID) -> None:
    """A role that was not given the right cannot call the function."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"CREATE ROLE stranger_{mira.hex}")
        await connection.execute(f"SET LOCAL ROLE stranger_{mira.hex}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            async with connection.transaction():
                await connection.fetchval("SELECT forget_conversation($1, $1)", mira)
        await connection.execute("RESET ROLE")
        await connection.execute(f"DROP ROLE stranger_{mira.hex}")
