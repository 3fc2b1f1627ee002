"""Jobs as arq's worker takes them from the queue."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import pytest
from arq.connections import ArqRedis
from arq.jobs import serialize_job
from arq.typing import WorkerCoroutine
from arq.worker import func
from structlog.testing import capture_logs

from frostdesk import doorbell
from frostdesk.doorbell import QUEUE, Job, connect_redis, encode_job, end, enqueue
from frostdesk.worker import sweep
from frostdesk.worker.main import open_context
from frostdesk.worker.queue import QueueWorker, still_queued
from tests.factories import ANA, BEN
from tests.support.desk import Desk, running_worker, settings_of
from tests.support.gates import gate_to
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


@asynccontextmanager
async def worker_on(
    redis: ArqRedis, environment: dict[str, str]
) -> AsyncIterator[tuple[QueueWorker, asyncio.Task[None]]]:
    """A worker on the queue, without a sweep, and the task that it runs in."""
    async with open_context(settings_of(environment)) as context:
        worker = QueueWorker(redis, context)
        running = asyncio.create_task(worker.async_run())
        yield worker, running
        await end(running)


async def written(outside: Desk, phone: str = ANA, count: int = 1) -> UUID:
    """A customer has written; gives the message's id, which is the job's."""
    await outside.phone(phone).write("Hello")
    return UUID((await outside.has_events("MessageReceived", count))[-1]["event_id"])


async def test_a_job_that_is_cancelled_is_given_back_at_once(
    redis: ArqRedis, outside: Desk, environment: dict[str, str]
) -> None:
    """A worker that has to end leaves its job to the next one, which need not wait for a lease."""
    await outside.model(latency=10)
    async with worker_on(redis, environment) as (worker, _):
        message_id = await written(outside)
        await outside.model_is_called()
        assert await still_queued(redis, [message_id]) == set()
        await worker.finish(grace=0)
        assert await still_queued(redis, [message_id]) == {message_id}


async def test_what_is_claimed_as_a_worker_ends_is_given_back(
    redis: ArqRedis, outside: Desk, environment: dict[str, str]
) -> None:
    """Redis answers the claim after the signal: nobody would wait for what began then."""
    await outside.model(latency=1)
    async with (
        gate_to(environment["FROSTDESK_REDIS_URL"]) as gate,
        connect_redis(gate.url) as through_gate,
        worker_on(through_gate, environment) as (worker, _),
    ):
        await written(outside)
        await outside.model_is_called()
        gate.hold(b"generate_reply")
        second = await written(outside, BEN, 2)
        await asyncio.wait_for(gate.holding.wait(), 10)
        finishing = asyncio.create_task(worker.finish(grace=5))
        await asyncio.sleep(0)
        gate.release()
        await finishing
        assert await still_queued(redis, [second]) == {second}
        assert await outside.model_calls() == 1


async def test_a_worker_that_falls_silent_while_it_waits_keeps_no_job(
    redis: ArqRedis, outside: Desk, environment: dict[str, str]
) -> None:
    """The bell reaches it no more; what was rung for is left to whoever is there."""
    async with (
        gate_to(environment["FROSTDESK_REDIS_URL"]) as gate,
        connect_redis(gate.url) as through_gate,
        worker_on(through_gate, environment),
    ):
        gate.hold(b":bell")
        message_id = await written(outside)
        await asyncio.wait_for(gate.holding.wait(), 10)
        assert await still_queued(redis, [message_id]) == {message_id}
        gate.release()
        assert len(await outside.phone().hears()) == 1


async def test_what_is_rung_for_as_an_idle_worker_ends_is_left_to_the_next(
    redis: ArqRedis, environment: dict[str, str]
) -> None:
    """Redis may have claimed a job for it at the moment it is told to end."""
    chance = random.Random(7)  # noqa: S311  # to be repeated
    done = set[int]()

    async def note(_: dict[str, Any], number: str) -> None:
        done.add(int(number))

    for number in range(40):
        job = Job(str(UUID(int=number)), "note", (str(number),))
        async with worker_on(redis, environment) as (worker, _):
            worker.functions["note"] = func(cast("WorkerCoroutine", note))
            await asyncio.sleep(0.02)
            ringing = asyncio.create_task(enqueue(redis, [job]))
            await asyncio.sleep(chance.random() * 0.002)
            await worker.finish(grace=1)
        await ringing
        queued = await still_queued(redis, [UUID(int=number)])
        assert number in done or queued, f"job {number} is neither done nor queued"
        await redis.flushdb()


async def test_a_job_that_cancels_itself_ends_no_worker(
    redis: ArqRedis, outside: Desk, environment: dict[str, str]
) -> None:
    """It has failed like any other; the next one is done."""

    async def cancels(_: dict[str, Any]) -> None:
        raise asyncio.CancelledError

    async def nothing_left() -> bool:
        return await is_empty(redis)

    async with worker_on(redis, environment) as (worker, running):
        worker.functions["cancels"] = func(cast("WorkerCoroutine", cancels))
        await enqueue(redis, [Job("nonsense", "cancels", ())])
        await until(nothing_left)
        await written(outside)
        assert len(await outside.phone().hears()) == 1
        assert not running.done()


async def test_a_redis_that_goes_away_as_jobs_end_is_told_of_once(
    outside: Desk, environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Every customer is answered, and there is no trace of an error for each of them."""
    await outside.model(latency=1)
    async with gate_to(environment["FROSTDESK_REDIS_URL"]) as gate:
        settings = settings_of(environment | {"FROSTDESK_REDIS_URL": gate.url})
        with capture_logs() as logs:
            async with running_worker(settings):
                for number in range(20):
                    await outside.phone(f"4915{number:08}").write("Hello")
                await outside.model_is_called(20)
                await gate.close()
                await outside.has_events("ReplySent", 20)
    gc.collect()
    assert [e for e in logs if e["log_level"] == "error"] == []
    assert len([e for e in logs if e["event"] == "jobs that are done stay queued"]) < 10
    assert caplog.text == ""


async def test_a_redis_that_falls_silent_holds_nobody_up(
    outside: Desk, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes connections and answers nothing: the sweep goes on, and the worker can end."""
    monkeypatch.setattr(doorbell, "REDIS_SECONDS", 0.5)
    monkeypatch.setattr(sweep, "BEAT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = {"FROSTDESK_REDIS_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0"}
        async with running_worker(settings_of(environment | away)):
            await outside.phone().write("Hello")
            assert len(await outside.phone().hears()) == 1


@pytest.mark.usefixtures("quick_settling")
async def test_a_send_that_is_cut_off_is_not_taken_for_unsent(
    redis: ArqRedis, outside: Desk, environment: dict[str, str]
) -> None:
    """A retry is on its way as its worker ends: the next one waits for word, then repeats it."""
    await outside.whatsapp(statuses=False, faults=["500", "500", "500", "accepted_then_cut:60"])
    async with worker_on(redis, environment) as (worker, _):
        await written(outside)
        await outside.has_events("ReplyFailed")
        await outside.is_idle()
        await outside.api.post(f"/conversations/{await outside.conversation_id()}/retry", 202)
        assert len(await outside.phone().hears()) == 1
        await worker.finish(grace=0)
    await outside.has_events("SendUncertain")
    async with running_worker(settings_of(environment)):
        assert len(await outside.phone().hears(2)) == 2
        await outside.has_events("ReplySent")
    steps = await outside.events("SendUncertain", "SendRepeated", "ReplySent")
    assert [step["type"] for step in steps] == ["SendUncertain", "SendRepeated", "ReplySent"]
