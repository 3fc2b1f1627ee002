"""The doorbell: tells arq's workers through Redis that there is something to do.

Nothing is kept here. A bell that nobody hears costs a customer some seconds, until the sweep.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self
from uuid import UUID

import msgspec
import structlog
from arq.connections import ArqRedis
from arq.constants import expires_extra_ms, job_key_prefix
from arq.jobs import serialize_job
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

QUEUE = "ai-processing"
BELL = f"{QUEUE}:bell"
"""A list that holds an element while somebody has rung and no worker has come."""

WORKER_NAME = "frostdesk-worker"
"""The name of a worker's connections, by which Redis tells whether one is there."""

REDIS_SECONDS = 5.0

END_SECONDS = 0.5
"""How long a task may take to end before it is told again."""

REDIS_AWAY = (RedisError, OSError, TimeoutError)
"""What is raised where Redis is away, silent, or refuses."""

log = structlog.get_logger(__name__)

# One command for all jobs: to pack one for each costs an API process more than all else it does
# for Redis. Keys: queue, bell. Arguments: now, prefix and lifetime (ms) of jobs, an id and a body
# each.
RING = """
for i = 4, #ARGV, 2 do
    redis.call('SET', ARGV[2] .. ARGV[i], ARGV[i + 1], 'PX', ARGV[3], 'NX')
    redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[i])
end
redis.call('LPUSH', KEYS[2], '1')
redis.call('LTRIM', KEYS[2], 0, 0)
"""

encode_job: Callable[[dict[str, Any]], bytes] = msgspec.msgpack.Encoder().encode
decode_job: Callable[[bytes], dict[str, Any]] = msgspec.msgpack.Decoder().decode


class Job(msgspec.Struct, frozen=True):
    """A call of a worker's function. Jobs with the same id are rung once while one is queued."""

    id: str
    function: str
    args: tuple[str, ...]


def generate_reply_job(conversation_id: UUID, message_id: UUID, text: str) -> Job:
    """The job that a received message starts."""
    message = str(message_id)
    return Job(message, "generate_reply", (str(conversation_id), message, text))


def send_reply_job(conversation_id: UUID, reply_id: UUID, cause: UUID) -> Job:
    """The job that brings a reply to WhatsApp again, because of the event `cause`."""
    return Job(str(cause), "send_reply", (str(conversation_id), str(reply_id)))


def announce_booking_job(conversation_id: UUID, decision_id: UUID) -> Job:
    """The job that tells a customer what the instructor has decided."""
    return Job(str(decision_id), "announce_booking", (str(conversation_id), str(decision_id)))


def connect_redis(url: str, *, name: str | None = None) -> ArqRedis:
    """A client as arq uses it. It connects when it is first used, and again after a loss.

    Whatever is asked is answered within REDIS_SECONDS or raises: Redis may fall silent.

    `name` is what Redis shows to whoever lists its clients.
    """
    pool = ConnectionPool.from_url(
        url,
        socket_connect_timeout=REDIS_SECONDS,
        socket_timeout=REDIS_SECONDS,
        client_name=name,
    )
    redis = ArqRedis(
        connection_pool=pool,
        job_serializer=encode_job,
        job_deserializer=decode_job,
        default_queue_name=QUEUE,
    )
    # Else closing the client would leave the connections of a pool that it was given.
    redis.auto_close_connection_pool = True
    return redis


class Doorbell:
    """Rings for jobs, in the background: whoever rings neither waits nor fails.

    As an async context manager it owns one task. What is rung while a call to Redis is under way
    goes out together with the next.
    """

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis
        self._waiting: list[Job] = []
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.answers = True

    async def __aenter__(self) -> Self:
        """Start ringing."""
        self._task = asyncio.create_task(self._run(), name="ring the doorbell")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; what has not been rung is found by the sweep."""
        if self._task:
            await end(self._task)

    def ring(self, *jobs: Job) -> None:
        """Ask for these jobs to be done soon."""
        self._waiting.extend(jobs)
        self._rung.set()

    async def _run(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            jobs, self._waiting = self._waiting, []
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    await enqueue(self._redis, jobs)
            except REDIS_AWAY as error:
                if self.answers:
                    log.warning("redis is away, the sweep will find what waits", error=repr(error))
                self.answers = False
            else:
                self.answers = True


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task that calls Redis, and again until it has ended.

    With a time limit redis-py sends by `asyncio.wait_for`, which swallows a cancellation that comes
    as the sending ends (python/cpython#86296, up to Python 3.11).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=END_SECONDS)


async def enqueue(redis: ArqRedis, jobs: list[Job]) -> None:
    """Put jobs on the queue, and ring, in one trip, in arq's own format.

    Raises one of `REDIS_AWAY`.
    """
    now = time.time_ns() // 1_000_000
    arguments: list[str | bytes | int] = [now, job_key_prefix, expires_extra_ms]
    for job in jobs:
        body = serialize_job(job.function, job.args, {}, None, now, serializer=encode_job)
        arguments += (job.id, body)
    await redis.register_script(RING)((QUEUE, BELL), arguments)
