"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import asyncpg
import msgspec
from aiohttp import web
from arq.connections import ArqRedis
from redis.exceptions import RedisError

from frostdesk.api.answers import json_answer
from frostdesk.api.keys import POOL, REDIS
from frostdesk.store.database import LOST

PROBE_SECONDS = 2.0
AWAY = "away"

# A server that answers may still take nothing.
STATE = """
SELECT CASE WHEN pg_is_in_recovery() THEN 'takes no writes: it is a standby'
            WHEN current_setting('transaction_read_only')::boolean THEN 'takes no writes'
            WHEN to_regclass('public.events') IS NULL THEN 'has no tables: run `frostdesk init-db`'
            ELSE 'ok' END
"""


class Readiness(msgspec.Struct, frozen=True):
    """`ready`, `degraded` (something is amiss, answers come later) or `unavailable`, and why."""

    status: str
    postgresql: str
    redis: str


class Liveness(msgspec.Struct, frozen=True):
    """`ok`."""

    status: str


async def health(_: web.Request) -> web.Response:
    """The process serves."""
    return json_answer(Liveness("ok"))


async def ready(request: web.Request) -> web.Response:
    """Whether PostgreSQL answers (else 503) and can be worked with, and whether Redis answers."""
    postgresql, redis = await asyncio.gather(
        _or_away(request.app[POOL].fetchval(STATE, timeout=PROBE_SECONDS)),
        _or_away(_ping(request.app[REDIS])),
    )
    if postgresql.startswith(AWAY):
        return json_answer(Readiness("unavailable", postgresql, redis), status=503)
    status = "ready" if (postgresql, redis) == ("ok", "ok") else "degraded"
    return json_answer(Readiness(status, postgresql, redis))


async def _ping(redis: ArqRedis) -> str:
    await redis.ping()
    return "ok"


async def _or_away(probe: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await probe
    except (*LOST, asyncpg.PostgresError, RedisError) as error:  # who refuses us is away too
        return f"{AWAY} ({type(error).__name__})"
