"""The sweep: finds in PostgreSQL what no bell has brought to a worker."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

import asyncpg
import structlog
from arq.connections import ArqRedis

from frostdesk.doorbell import REDIS_AWAY, REDIS_SECONDS
from frostdesk.store.database import LOST
from frostdesk.store.work import find_unfinished
from frostdesk.worker.attend import attend
from frostdesk.worker.context import Context
from frostdesk.worker.queue import let_end, still_queued
from frostdesk.worker.steps import SETTLE

BEAT_SECONDS = 5.0
SWEPT_AT_ONCE = 50

log = structlog.get_logger(__name__)


class Sweep:
    """Every few seconds: keeps the claims that are held, then looks for what was left behind.

    After the database has been away or its clock was set, one beat passes without a search, so that
    workers that are alive can renew their claims and record what they have sent.
    """

    def __init__(self, context: Context, redis: ArqRedis) -> None:
        self._context = context
        self._redis = redis
        self._running: set[asyncio.Task[None]] = set()
        self._searching = True

    async def main(self) -> None:
        """Go on until cancelled: claims are kept as long as anything is under way."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                found = await self._beat()
            except LOST as error:
                log.warning("postgresql is away, no sweep", error=repr(error))
                self._context.clock.was_away()
            except asyncpg.PostgresError as error:
                log.error(  # noqa: TRY400  # it says all; it comes again at every beat
                    "postgresql refuses, no sweep: has `frostdesk init-db` been run?",
                    error=repr(error),
                )
                self._context.clock.was_away()
            else:
                self._begin(found)

    async def _beat(self) -> list[UUID]:
        context = self._context
        await context.renew()
        context.clock.showed(await context.pool.fetchval("SELECT clock_timestamp()"))
        if not (self._searching and context.clock.steady):
            return []
        now = time.monotonic()
        found = await _left_behind(context, self._redis)
        return [one for one in found if context.left_until.get(one, 0.0) <= now]

    def _begin(self, found: list[UUID]) -> None:
        if not self._searching:  # any longer: nobody would wait for what began now
            return
        for conversation_id in found[: SWEPT_AT_ONCE - len(self._running)]:
            task = asyncio.create_task(_attend(self._context, conversation_id))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def finish(self, *, grace: float) -> None:
        """Look for no more, and give what is under way `grace` seconds; then it is cancelled."""
        self._searching = False
        await let_end(self._running, grace=grace)


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
