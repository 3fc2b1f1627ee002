"""What the other tests lean on holds."""

from __future__ import annotations

import os
import subprocess
from itertools import count

import asyncpg
import pytest
import redis.asyncio

from tests.support import leftovers
from tests.support.databases import query
from tests.support.keyspaces import empty_keyspace
from tests.support.ports import free_port
from tests.support.waiting import until


async def test_a_pool_leads_to_an_empty_database_with_the_schema(
    pool: asyncpg.Pool[asyncpg.Record], database_url: str
) -> None:
    """A test finds all tables and no event, in a database whose URL it has too."""
    assert await pool.fetchval("SELECT count(*) FROM events") == 0
    name = await pool.fetchval("SELECT current_database()")
    assert f"/{name}" in database_url


def test_a_database_goes_even_while_it_is_used(postgres_server: str, database_url: str) -> None:
    """This test's database is one of the server's, and code without asyncio can look into it."""
    names = {row["datname"] for row in query(postgres_server, "SELECT datname FROM pg_database")}
    assert query(database_url, "SELECT current_database()")[0][0] in names


async def test_a_redis_is_empty(redis_url: str) -> None:
    """A test finds no key of another test."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "behind")


def test_a_key_space_in_use_is_left_alone(redis_url: str) -> None:
    """The first database that holds no key is taken, never one with somebody's keys."""
    with redis.Redis.from_url(redis_url) as client:
        number = client.get_connection_kwargs()["db"]
        client.set("somebody's", "key")
        assert empty_keyspace(redis_url) != redis_url
        client.flushdb()
        assert empty_keyspace(redis_url).endswith(f"db={number}")


async def test_patience_ends() -> None:
    """What comes true is given back; what does not is an error that shows the last answer."""
    numbers = count()

    async def third() -> bool:
        return next(numbers) == 2

    async def nothing() -> list[int]:
        return []

    assert await until(third)
    with pytest.raises(AssertionError, match=r"still answers \[\]"):
        await until(nothing, 0.05)


def test_a_left_over_process_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs at the end of a test run is named by its command line."""
    monkeypatch.setattr(leftovers, "PATIENCE_SECONDS", 0.0)
    with subprocess.Popen(("sleep", "61"), env=os.environ) as process:
        assert any("sleep 61" in line for line in leftovers.leftovers())
        process.kill()


def test_a_port_is_given_once() -> None:
    """Nobody gets a port that another will yet listen on, and no port repeats with a test's seed.

    Of 600 that were drawn at random alone some ten would come twice.
    """
    assert len({free_port() for _ in range(600)}) == 600
