"""Jobs as arq's worker takes them from the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from arq.connections import ArqRedis
from arq.jobs import serialize_job
from structlog.testing import capture_logs

from frostdesk.doorbell import QUEUE, connect_redis, encode_job
from frostdesk.worker.main import open_context
from frostdesk.worker.queue import QueueWorker, still_queued
from tests.support.desk import Desk, settings_of
from tests.support.waiting import until


def job_body(function: str, *args: str) -> bytes:
    """A job as arq writes it."""
    return bytes(serialize_job(function, args, {}, None, 1, serializer=encode_job))


async def is_empty(redis: ArqRedis) -> bool:
    """Whether no job is queued, and nothing is left of the nonsense."""
    return not await redis.keys("arq:*:nonsense") and not await redis.zcard(QUEUE)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    """A client on this test's key space."""
    redis = connect_redis(redis_url)
    yield redis
    await redis.aclose()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "a job cannot be read and is dropped"),
        (b"no job", "a job cannot be read and is dropped"),
        (job_body("unknown_function", "a"), "a job cannot be read and is dropped"),
        (job_body("send_reply"), "a job cannot be read and is dropped"),
        (job_body("generate_reply", "no id", "b", "c"), "a job failed"),
    ],
)
async def test_a_job_that_makes_no_sense_leaves_the_queue(
    redis: ArqRedis, desk: Desk, body: bytes, said: str
) -> None:
    """It is dropped with an error that names it, and the next one is done."""

    async def nothing_left() -> bool:
        return await is_empty(redis)

    with capture_logs() as logs:
        if body:
            await redis.set("arq:job:nonsense", body)
        await redis.zadd(QUEUE, {"nonsense": 1})
        await until(nothing_left)
    assert [(e["event"], e["job_id"]) for e in logs if e["log_level"] != "info"] == [
        (said, "nonsense")
    ]
    await desk.phone().write("Hello!")
    assert len(await desk.phone().hears()) == 1


async def test_a_job_that_is_cancelled_is_given_back_at_once(
    redis: ArqRedis, outside: Desk, environment: dict[str, str]
) -> None:
    """A worker that has to end leaves its job to the next one, which need not wait for a lease."""
    await outside.model(latency=10)
    await outside.phone().write("Hello")
    (received,) = await outside.has_events("MessageReceived")
    message_id = UUID(received["event_id"])
    async with open_context(settings_of(environment)) as context:
        worker = QueueWorker(redis, context)
        running = asyncio.create_task(worker.async_run())
        await outside.model_is_called()
        assert await still_queued(redis, [message_id]) == set()
        await worker.finish(grace=0)
        assert await still_queued(redis, [message_id]) == {message_id}
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
