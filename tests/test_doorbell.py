"""The doorbell: rung in arq's own format, and never missed for long."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from arq.connections import ArqRedis
from arq.jobs import deserialize_job

from frostdesk.doorbell import (
    QUEUE,
    Doorbell,
    Job,
    announce_booking_job,
    connect_redis,
    decode_job,
    enqueue,
    generate_reply_job,
    send_reply_job,
)
from frostdesk.worker.queue import still_queued
from tests.support.gates import gate_to
from tests.support.waiting import until


@pytest.fixture
async def redis(redis_url: str) -> ArqRedis:
    """A client on this test's key space."""
    return connect_redis(redis_url)


async def test_a_message_starts_the_promised_job(redis: ArqRedis) -> None:
    """On the queue `ai-processing`: generate_reply(conversation_id, message_id, message_text)."""
    conversation_id, message_id = uuid4(), uuid4()
    await enqueue(redis, [generate_reply_job(conversation_id, message_id, "Gr\u00fcezi")])
    assert QUEUE == "ai-processing"
    assert await redis.zrange(QUEUE, 0, -1) == [str(message_id).encode()]
    raw = await redis.get(f"arq:job:{message_id}")
    job = deserialize_job(raw, deserializer=decode_job)
    assert job.function == "generate_reply"
    assert [*job.args] == [str(conversation_id), str(message_id), "Gr\u00fcezi"]
    await redis.aclose()


async def test_a_job_is_queued_once(redis: ArqRedis) -> None:
    """Rung twice while it waits, a job is done once."""
    job = Job("x", "send_reply", ("a", "b"))
    for _ in range(2):
        await enqueue(redis, [job, job])
    assert await redis.zcard(QUEUE) == 1
    await redis.aclose()


def test_jobs_are_named_by_their_cause() -> None:
    """The same cause makes the same job, another cause another."""
    one, two = UUID(int=1), UUID(int=2)
    assert send_reply_job(one, one, two) == send_reply_job(one, one, two)
    assert send_reply_job(one, one, two).id != announce_booking_job(one, one).id


async def test_what_no_worker_has_taken_is_still_queued(redis: ArqRedis) -> None:
    """A job that waits is told from one that is lost, and from one under way."""
    waiting, lost, taken = uuid4(), uuid4(), uuid4()
    await enqueue(redis, [generate_reply_job(uuid4(), i, "") for i in (waiting, taken)])
    await redis.set(f"arq:in-progress:{taken}", b"1")
    assert await still_queued(redis, [waiting, lost, taken]) == {waiting}
    await redis.aclose()


async def test_a_job_of_before_the_clock_was_set_back_is_not_waited_for(redis: ArqRedis) -> None:
    """A job that seems to be due in an hour is as good as lost: the sweep does its work."""
    early = uuid4()
    await enqueue(redis, [generate_reply_job(uuid4(), early, "")])
    await redis.zincrby(QUEUE, 3_600_000, str(early))
    assert await still_queued(redis, [early]) == set()
    await redis.aclose()


async def test_ringing_neither_waits_nor_fails(redis_url: str) -> None:
    """With Redis away nothing is raised; it is known, and over when Redis is back."""
    async with gate_to(redis_url) as gate:
        redis = connect_redis(gate.url)
        async with Doorbell(redis) as doorbell:
            await gate.close()
            doorbell.ring(Job("a", "send_reply", ()))

            async def away() -> bool:
                return not doorbell.answers

            await until(away)
            await gate.open()
            doorbell.ring(Job("b", "send_reply", ()))

            async def back() -> bool:
                return doorbell.answers

            await until(back)
            assert await redis.zrange(QUEUE, 0, -1) == [b"b"]
        await redis.aclose()


async def test_many_rings_are_all_heard(redis: ArqRedis) -> None:
    """Whatever is rung for while Redis is busy goes out with the next call."""
    async with Doorbell(redis) as doorbell:
        for n in range(500):
            doorbell.ring(Job(str(n), "send_reply", ()))
            if n % 50 == 0:
                await asyncio.sleep(0)

        async def all_there() -> bool:
            return bool(await redis.zcard(QUEUE) == 500)

        await until(all_there)
    await redis.aclose()
