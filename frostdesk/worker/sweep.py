"""The sweep: finds in PostgreSQL what no bell has brought to a worker."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import structlog
from arq.connections import ArqRedis

from frostdesk.doorbell import REDIS_AWAY, REDIS_SECONDS
from frostdesk.store.database import LOST
from frostdesk.store.work import find_unfinished
from frostdesk.worker.attend import attend
from frostdesk.worker.context import Context
from frostdesk.worker.queue import still_queued
from frostdesk.worker.steps import SETTLE

BEAT_SECONDS = 5.0
SWEPT_AT_ONCE = 50

log = structlog.get_logger(__name__)


async def keep_sweeping(context: Context, redis: ArqRedis) -> None:
    """Every few seconds: keep the claims that are held, then look for what was left behind.

    After the database has been away or its clock was set, one beat passes without a sweep, so that
    workers that are alive can renew their claims and record what they have sent.
    """
    running: set[asyncio.Task[None]] = set()
    try:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await context.renew()
                context.clock.showed(await context.pool.fetchval("SELECT clock_timestamp()"))
                found = await _left_behind(context, redis) if context.clock.steady else []
            except LOST as error:
                log.warning("postgresql is away, no sweep", error=repr(error))
                context.clock.was_away()
                continue
            except asyncpg.PostgresError as error:
                log.error(  # noqa: TRY400  # it says all; it comes again at every beat
                    "postgresql refuses, no sweep: has `frostdesk init-db` been run?",
                    error=repr(error),
                )
                context.clock.was_away()
                continue
            for conversation_id in found[: SWEPT_AT_ONCE - len(running)]:
                task = asyncio.create_task(_attend(context, conversation_id))
                running.add(task)
                task.add_done_callback(running.discard)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _left_behind(context: Context, redis: ArqRedis) -> list[UUID]:
    found = await find_unfinished(
        context.pool, limit=SWEPT_AT_ONCE * 4, settle_after=SETTLE.total_seconds()
    )
    if not found:
        return []
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            queued = await still_queued(redis, list(found.values()))
    except REDIS_AWAY:
        queued = set()
    return [conversation for conversation, message in found.items() if message not in queued]


async def _attend(context: Context, conversation_id: UUID) -> None:
    try:
        log.info("found by the sweep", conversation_id=str(conversation_id))
        await attend(context, conversation_id)
    except LOST as error:
        log.warning("postgresql is away, left for a later sweep", error=repr(error))
    except Exception:
        log.exception("the sweep failed", conversation_id=str(conversation_id))
