"""The worker process: wires the edges together and runs until a signal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import aiohttp
import structlog
from arq.connections import ArqRedis

from frostdesk.assistant.instructions import InstructionFiles
from frostdesk.assistant.model import Model
from frostdesk.doorbell import REDIS_AWAY, WORKER_NAME, connect_redis, end
from frostdesk.limits import Limits
from frostdesk.settings import Settings
from frostdesk.store.append import EventStore
from frostdesk.store.claims import Claims, abandon
from frostdesk.store.database import LOST, create_pool
from frostdesk.store.usage import Usage
from frostdesk.whatsapp.client import WhatsApp
from frostdesk.worker.clock import DatabaseClock
from frostdesk.worker.context import Context
from frostdesk.worker.queue import QueueWorker
from frostdesk.worker.sweep import Sweep

GRACE_SECONDS = 25.0
"""How long jobs under way may take to end after a signal, below the 30 s that containers give."""

REDIS_PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Answer customers until `stop` is set, however often PostgreSQL or Redis go away."""
    async with (
        connect_redis(settings.redis_url, name=WORKER_NAME) as redis,
        open_context(settings) as context,
    ):
        sweep = Sweep(context, redis)
        sweeping = asyncio.create_task(sweep.main(), name="sweep")
        listening = asyncio.create_task(_listen(context, redis, stop), name="listen")
        stopping = asyncio.create_task(stop.wait())
        log.info("worker started", holder=str(context.claims.holder))
        done, _ = await asyncio.wait(
            (sweeping, listening, stopping), return_when=asyncio.FIRST_COMPLETED
        )
        stop.set()
        await asyncio.gather(listening, sweep.finish(grace=GRACE_SECONDS), return_exceptions=True)
        await end(sweeping)  # which has kept the claims of all that was under way
        with contextlib.suppress(*LOST):
            await abandon(context.pool, holder=context.claims.holder)
        for task in done - {stopping}:
            task.result()
    log.info("worker stopped")


@contextlib.asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[Context]:
    """Everything that reactions need, opened and closed together."""
    sure_until: dict[UUID, float] = {}
    clock = DatabaseClock()
    usage = Usage(calls_per_minute=settings.customer_calls_per_minute)
    async with contextlib.AsyncExitStack() as stack:
        # The database may have crashed and lost the claims: whoever sends asks again.
        pool = await stack.enter_async_context(
            create_pool(settings.database_url, on_connect=sure_until.clear)
        )
        store = await stack.enter_async_context(EventStore(pool))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        yield Context(
            settings=settings,
            pool=pool,
            store=store,
            model=Model(
                session,
                api_key=settings.openai_api_key,
                base_url=settings.openai_base_url,
                name=settings.openai_model,
            ),
            instructions=InstructionFiles(settings.rules_file, settings.disclosure_file),
            whatsapp=WhatsApp(
                session, api_url=settings.whatsapp_api_url, token=settings.whatsapp_token
            ),
            limits=Limits(
                pool,
                usage,
                calls_per_day=settings.model_calls_per_day,
                timezone=settings.timezone,
            ),
            claims=Claims(pool, usage, holder=uuid4(), run_out_by=clock.run_out_by),
            clock=clock,
            sure_until=sure_until,
        )


async def _listen(context: Context, redis: ArqRedis, stop: asyncio.Event) -> None:
    """Run arq's worker until `stop`, beginning again whenever Redis has gone away.

    What a worker was doing when it lost Redis it does to the end.
    """
    left: list[QueueWorker] = []
    while not stop.is_set():
        worker = QueueWorker(redis, context)
        running = asyncio.create_task(worker.async_run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not running.done():
            await _finish(*left, worker)
            await end(running)
        try:
            await running
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
        except REDIS_AWAY as error:
            log.warning("redis is away, the sweep goes on without it", error=repr(error))
            left = [one for one in (*left, worker) if one.is_busy]
            await asyncio.sleep(REDIS_PAUSE_SECONDS)
    await _finish(*left)


async def _finish(*workers: QueueWorker) -> None:
    """Let them end, within one and the same grace."""
    await asyncio.gather(*(worker.finish(grace=GRACE_SECONDS) for worker in workers))
