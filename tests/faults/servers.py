"""PostgreSQL and Redis: away, empty, full, overrun or hanging."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

import asyncpg
import psutil
import redis.asyncio

from tests.faults.disk import filled
from tests.faults.load import Load
from tests.faults.rig import CONNECTIONS, Rig, freeze, thaw
from tests.support.waiting import until

PAUSE_SECONDS = 0.5

TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE usename = 'desk' AND backend_type IN ('client backend', 'walsender')
"""
APPENDING = """
SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND a.usename = 'desk'
"""


@asynccontextmanager
async def nothing(_rig: Rig, _load: Load) -> AsyncIterator[None]:
    """What all faults are compared with."""
    yield


@asynccontextmanager
async def postgres_stopped(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Shut down in good order, connections cut."""
    await rig.stop_server(rig.postgres)
    yield
    await rig.start_postgres()


@asynccontextmanager
async def postgres_crashed(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Ended without a checkpoint: it recovers from its own log, and unlogged tables are empty."""
    await rig.crash_postgres()
    yield
    await rig.start_postgres()


@asynccontextmanager
async def backends_terminated(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Every connection of the service is cut, again and again, as when a server fails over."""

    async def cut() -> None:
        while True:
            await rig.sql(TERMINATE)
            await asyncio.sleep(PAUSE_SECONDS)

    async with _meanwhile(cut()):
        yield


@asynccontextmanager
async def out_of_connections(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Somebody else takes every connection that there is, and keeps them."""
    url = rig.programs.environment["FROSTDESK_DATABASE_URL"] + "&application_name=greedy"
    taken: list[asyncpg.Connection[asyncpg.Record]] = []

    async def take() -> None:
        while True:
            await rig.sql(TERMINATE + " AND application_name <> 'greedy'")
            with suppress(asyncpg.TooManyConnectionsError):
                while len(taken) < CONNECTIONS:
                    taken.append(await asyncpg.connect(url))
            await asyncio.sleep(PAUSE_SECONDS)

    try:
        async with _meanwhile(take()):
            yield
    finally:
        for connection in taken:
            connection.terminate()


@asynccontextmanager
async def out_of_disk(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Not a byte is left for its data and its log. Where it ends over that, it is started again."""
    with filled(rig.folder / "postgres"):
        yield
    if not _is_running(rig):
        await rig.stop_server(rig.postgres)
        await rig.start_postgres()


def _is_running(rig: Rig) -> bool:
    try:
        return rig.postgres_process().status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


@asynccontextmanager
async def statement_hangs(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Somebody else's transaction holds the log, and every statement that touches it waits."""
    async with rig.administrator() as connection, connection.transaction():
        await connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        yield


@asynccontextmanager
async def append_hangs(rig: Rig, _: Load) -> AsyncIterator[None]:
    """A backend stands still in the middle of an append, and holds everybody's turn."""

    async def appending() -> list[int]:
        return [row["pid"] for row in await rig.sql(APPENDING)]

    async with rig.commits_held():
        frozen = [psutil.Process(pid) for pid in await until(appending, 20)]
        freeze(frozen)
    try:
        yield
    finally:
        thaw(frozen)


@asynccontextmanager
async def redis_stopped(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Away; it comes back empty."""
    await rig.stop_server(rig.redis)
    yield
    await rig.start_redis()


@asynccontextmanager
async def redis_flushed(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Emptied under way, jobs and all."""

    async def flush() -> None:
        while True:
            async with redis.asyncio.Redis.from_url(rig.redis.url) as client:
                await client.flushall()
            await asyncio.sleep(PAUSE_SECONDS)

    async with _meanwhile(flush()):
        yield


@asynccontextmanager
async def redis_full(rig: Rig, _: Load) -> AsyncIterator[None]:
    """It refuses every write, and answers reads."""
    async with redis.asyncio.Redis.from_url(rig.redis.url) as client:
        await client.config_set("maxmemory", "1")
        try:
            yield
        finally:
            await client.config_set("maxmemory", "0")


@asynccontextmanager
async def redis_hangs(rig: Rig, _: Load) -> AsyncIterator[None]:
    """It takes connections and answers nothing."""
    home = str(rig.folder.resolve() / "redis")
    found = [p for p in psutil.process_iter(["name", "cwd"]) if p.info["cwd"] == home]
    freeze(found)
    try:
        yield
    finally:
        thaw(found)


@asynccontextmanager
async def _meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do that until the end of the block; if it fails, so does the block."""
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
