"""Connections: direct, through a pooler, and to a database that is away."""

from __future__ import annotations

import pytest

from frostdesk.store.database import LOST, connect, create_pool
from tests.support.gates import gate_to


async def test_a_pool_is_made_while_the_database_is_away(database_url: str) -> None:
    """A pool needs no database to begin with, fails clearly without, and works once it is there."""
    async with gate_to(database_url) as gate, create_pool(gate.url) as pool:
        await gate.close()
        with pytest.raises(LOST):
            await pool.fetchval("SELECT 1")
        await gate.open()
        assert await pool.fetchval("SELECT 1") == 1


async def test_a_connection_that_is_lost_is_replaced(database_url: str) -> None:
    """After the connections were cut, the next query finds a new one."""
    async with gate_to(database_url) as gate, create_pool(gate.url) as pool:
        assert await pool.fetchval("SELECT 1") == 1
        await gate.close()
        await gate.open()
        assert await pool.fetchval("SELECT 1") == 1


async def test_a_query_during_a_loss_is_known_as_such(database_url: str) -> None:
    """A statement that is under way when the database goes raises one of `LOST`."""
    async with (
        gate_to(database_url) as gate,
        create_pool(gate.url) as pool,
        pool.acquire() as connection,
    ):
        await gate.close()
        with pytest.raises(LOST):
            await connection.fetchval("SELECT 1")


async def test_statements_are_kept_on_a_direct_connection(direct_url: str) -> None:
    """PostgreSQL itself keeps prepared statements, which saves a trip a query."""
    async with create_pool(direct_url) as pool, pool.acquire() as connection:
        for _ in range(2):
            await connection.fetchval("SELECT 41 + 1")
        kept = await connection.fetch("SELECT statement FROM pg_prepared_statements")
    assert "SELECT 41 + 1" in {row["statement"] for row in kept}


async def test_a_single_connection_works(database_url: str) -> None:
    """What a command that runs once needs."""
    connection = await connect(database_url)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
