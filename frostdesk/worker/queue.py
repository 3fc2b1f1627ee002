"""arq's worker on the queue `ai-processing`, woken by the doorbell instead of a clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, cast
from uuid import UUID

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.jobs import DeserializationError, deserialize_job_raw
from arq.worker import Worker

from frostdesk.doorbell import BELL, QUEUE, REDIS_AWAY, decode_job, enqueue
from frostdesk.store.together import Together
from frostdesk.worker.attend import attend
from frostdesk.worker.context import Context

JOBS_AT_ONCE = 400
JOB_SECONDS = 600
LEASE_SECONDS = 30
"""How long a job whose worker has vanished is kept from the others. One that takes longer is looked
at by another worker, finds its conversation claimed, and is left alone."""

HIDDEN_SECONDS = LEASE_SECONDS + 1
"""How long it stays out of sight: until its lease has ended, by whichever clock."""

BELL_SECONDS = 1

TAKE = f"""
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
local taken = {{}}
for _, id in ipairs(due) do
    redis.call('ZADD', KEYS[1], ARGV[3], id)
    if redis.call('SET', ARGV[4] .. id, '1', 'EX', {LEASE_SECONDS}, 'NX') then
        taken[#taken + 1] = {{id, redis.call('GET', ARGV[5] .. id) or ''}}
    end
end
return {{#due, taken}}
"""
"""Claims jobs that are due: gives how many were, then the id and the body of each that could be
claimed. A job's score is when it is due: what is being done is out of sight."""

log = structlog.get_logger(__name__)


async def generate_reply(
    ctx: dict[str, Any], conversation_id: str, message_id: str, message_text: str
) -> None:
    """MessageReceived → ReplyGenerated (and BookingProposed) → ReplySent.

    What is answered is the conversation as it stands, so the message that rang is only its cause.
    """
    del message_id, message_text
    await attend(_context(ctx), UUID(conversation_id))


async def send_reply(ctx: dict[str, Any], conversation_id: str, reply_id: str) -> None:
    """RetryRequested → ReplySent: a reply that failed goes out again, without the model."""
    await attend(_context(ctx), UUID(conversation_id), unsent=[UUID(reply_id)], urgent=True)


async def announce_booking(ctx: dict[str, Any], conversation_id: str, decision_id: str) -> None:
    """BookingConfirmed or BookingCancelled → ReplyGenerated → ReplySent."""
    del decision_id
    await attend(_context(ctx), UUID(conversation_id), urgent=True)


def _context(ctx: dict[str, Any]) -> Context:
    return cast("Context", ctx["context"])


class QueueWorker(Worker):
    """Takes jobs as they are rung for, many at once, each claimed in Redis by one worker only.

    A job comes with its body, in the trip that claims it; arq would ask again for each. How often
    one has been tried is counted with the conversation, not here: Redis may forget.
    """

    def __init__(self, redis: ArqRedis, context: Context) -> None:
        super().__init__(
            functions=[generate_reply, send_reply, announce_booking],
            queue_name=QUEUE,
            redis_pool=redis,
            max_jobs=JOBS_AT_ONCE,
            ctx={"context": context},
            handle_signals=False,
        )
        self._take = redis.register_script(TAKE)
        self._finishing = Together(self._finish)
        self._ended = asyncio.Event()

    async def main(self) -> None:
        """Take what is due, then wait for the bell, or for room, or for a second, until `finish`.

        Who waits for the bell claims nothing yet: it may fall silent, and must not keep a job.
        """
        while self.allow_pick_jobs:
            self._forget_done()
            await self.heart_beat()
            room = self.max_jobs - len(self.tasks)
            if room <= 0:
                self._ended.clear()
                with contextlib.suppress(TimeoutError):
                    # wait_for of Python 3.11 swallows a cancellation that meets the event.
                    async with asyncio.timeout(BELL_SECONDS):
                        await self._ended.wait()
            elif await self._take_due(room) < room:
                await asyncio.sleep(0)  # what was taken begins before this goes on
                await cast("Awaitable[object]", self.pool.blpop([BELL], timeout=BELL_SECONDS))

    async def _take_due(self, most: int) -> int:
        """Claim what is due, at most so much, and begin it. Returns how many jobs were due."""
        now_ms = _now_ms()
        due, taken = await self._take(
            keys=[QUEUE],
            args=[
                now_ms,
                most,
                now_ms + HIDDEN_SECONDS * 1000,
                in_progress_key_prefix,
                job_key_prefix,
            ],
        )
        jobs = {job_id.decode(errors="replace"): body for job_id, body in taken}
        if not self.allow_pick_jobs:  # any longer: nobody would wait for what began now
            await self._give_back(*jobs)
            return 0
        self._forget_done()  # what has ended may have been rung for again
        for job_id, body in jobs.items():
            if job_id not in self.tasks:
                task = self.loop.create_task(self._do(job_id, body))
                task.add_done_callback(lambda _: self._ended.set())
                self.tasks[job_id] = task
        return int(due)

    async def _do(self, job_id: str, body: bytes) -> None:
        """Do a job, and take it off the queue; one that has to stop is given back."""
        try:
            name, args, kwargs, _, _ = deserialize_job_raw(body, deserializer=decode_job)
            job = self.functions[name].coroutine(self.ctx, *args, **kwargs)
        except (DeserializationError, KeyError, TypeError) as error:
            log.warning("a job cannot be read and is dropped", job_id=job_id, error=repr(error))
            self.jobs_failed += 1
        else:
            await self._run(job_id, job)
        await asyncio.shield(self._finishing(job_id))

    async def _run(self, job_id: str, job: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(JOB_SECONDS):
                await job
            self.jobs_complete += 1
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not self.allow_pick_jobs:
                await asyncio.shield(self._give_back(job_id))
                raise
            # What is left to do stands in PostgreSQL, where the sweep finds it.
            log.exception("a job failed", job_id=job_id)
            self.jobs_failed += 1

    async def _give_back(self, *job_ids: str) -> None:
        """Let other workers have these jobs at once; if that fails, once their lease has ended."""
        if not job_ids:
            return
        try:
            async with self.pool.pipeline(transaction=True) as pipe:
                pipe.zadd(QUEUE, dict.fromkeys(job_ids, _now_ms()), xx=True)
                pipe.delete(*(in_progress_key_prefix + job_id for job_id in job_ids))
                pipe.lpush(BELL, "1")
                pipe.ltrim(BELL, 0, 0)
                await pipe.execute()
        except REDIS_AWAY as error:
            log.warning("jobs could not be given back", jobs=len(job_ids), error=repr(error))

    async def _finish(self, job_ids: list[str]) -> dict[str, None]:
        """Take jobs off the queue; those that stay find nothing to do when they are next taken."""
        kept = (in_progress_key_prefix, job_key_prefix)
        try:
            async with self.pool.pipeline(transaction=True) as pipe:
                pipe.zrem(QUEUE, *job_ids)
                pipe.delete(*(prefix + job_id for job_id in job_ids for prefix in kept))
                await pipe.execute()
        except REDIS_AWAY as error:
            log.warning("jobs that are done stay queued", jobs=len(job_ids), error=repr(error))
        return {}

    def _forget_done(self) -> None:
        """They have told of their failures themselves."""
        for job_id, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[job_id]

    @property
    def is_busy(self) -> bool:
        """Whether a job that it has taken is under way."""
        return any(not task.done() for task in self.tasks.values())

    async def finish(self, *, grace: float) -> None:
        """Take no more jobs, and give those under way `grace` seconds; then they are cancelled."""
        self.allow_pick_jobs = False
        await self._hear_out()
        await let_end(self.tasks.values(), grace=grace)

    async def _hear_out(self) -> None:
        """Let `main` end by itself: what Redis claims for it until then is given back."""
        if self.main_task is None or self.main_task.done():
            return
        with contextlib.suppress(*REDIS_AWAY):  # of which `main` tells
            async with asyncio.timeout(2 * BELL_SECONDS):
                await enqueue(self.pool, [])
                await asyncio.wait((self.main_task,))
                await enqueue(self.pool, [])  # for the others, whose bell that may have been


async def let_end(tasks: Iterable[asyncio.Task[None]], *, grace: float) -> None:
    """Give tasks `grace` seconds to end by themselves; then they are cancelled, and have ended."""
    running = set(tasks)
    if running:
        _, late = await asyncio.wait(running, timeout=grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def still_queued(redis: ArqRedis, message_ids: list[UUID]) -> set[UUID]:
    """Those of `message_ids` whose jobs are due in Redis and have not been taken by a worker.

    One that is due later was being done, or was rung for before the clock was set back.

    Raises one of `REDIS_AWAY`.
    """
    async with redis.pipeline(transaction=False) as pipe:
        for message_id in message_ids:
            pipe.zscore(QUEUE, str(message_id))
            pipe.exists(f"{in_progress_key_prefix}{message_id}")
        answers = await pipe.execute()
    now_ms = _now_ms()
    return {
        message_id
        for message_id, due_ms, taken in zip(message_ids, answers[::2], answers[1::2], strict=True)
        if due_ms is not None and due_ms <= now_ms and not taken
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
