"""Forgetting reaches the queue as well as the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from arq.connections import ArqRedis
from redis.exceptions import RedisError

from frostdesk.doorbell import (
    announce_booking_job,
    connect_redis,
    enqueue,
    generate_reply_job,
    send_reply_job,
)
from frostdesk.privacy import forget, withdraw_jobs
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool, connect
from tests.factories import received
from tests.support.ports import free_port


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    """A client of this test's own Redis."""
    client = connect_redis(redis_url)
    yield client
    await client.aclose(close_connection_pool=True)


@pytest.fixture
async def conversation_id(pool: Pool) -> UUID:
    """A conversation that has one message."""
    async with EventStore(pool) as store:
        (appended,) = await store.append([received("I have a bad knee.")])
        return appended.conversation_id


async def test_jobs_of_the_customer_are_withdrawn(redis: ArqRedis) -> None:
    """Every job of the conversation goes, with the text in it; those of others stay."""
    mira, ben = uuid4(), uuid4()
    kept = generate_reply_job(ben, uuid4(), "May I come too?")
    jobs = [
        generate_reply_job(mira, uuid4(), "I have a bad knee."),
        send_reply_job(mira, uuid4(), uuid4()),
        announce_booking_job(mira, uuid4()),
        kept,
    ]
    await enqueue(redis, jobs)
    await redis.set("arq:job:of-somebody-else", b"\xff not ours")
    assert await withdraw_jobs(redis, mira) == 3
    assert await redis.zrange("ai-processing", 0, -1) == [kept.id.encode()]
    left = [await redis.get(key) or b"" for key in await redis.keys("arq:job:*")]
    assert len(left) == 2
    assert not any(b"knee" in body for body in left)
    assert await withdraw_jobs(redis, mira) == 0


async def test_both_places_forget(
    pool: Pool, database_url: str, redis: ArqRedis, conversation_id: UUID
) -> None:
    """One call erases the words from the database and from the queue, and says what it did."""
    await enqueue(redis, [generate_reply_job(conversation_id, uuid4(), "I have a bad knee.")])
    connection = await connect(database_url)
    done = await forget(connection, redis, conversation_id)
    await connection.close()
    assert (done.position, done.jobs) == (2, 1)
    assert await pool.fetchval("SELECT content FROM messages") == "[forgotten]"


async def test_redis_may_be_away(
    pool: Pool, database_url: str, redis: ArqRedis, conversation_id: UUID
) -> None:
    """The database forgets though Redis is away, and a second try finishes the work."""
    away = connect_redis(f"redis://127.0.0.1:{free_port()}/0")
    await enqueue(redis, [generate_reply_job(conversation_id, uuid4(), "I have a bad knee.")])
    connection = await connect(database_url)
    with pytest.raises((RedisError, OSError)):
        await forget(connection, away, conversation_id)
    assert await pool.fetchval("SELECT content FROM messages") == "[forgotten]"
    assert (await forget(connection, redis, conversation_id)).jobs == 1
    await connection.close()
    await away.aclose(close_connection_pool=True)
