"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web
from redis.exceptions import RedisError

from frostdesk.api.answers import json_answer
from frostdesk.api.keys import POOL, REDIS
from frostdesk.store.database import LOST

PROBE_SECONDS = 2.0


class Readiness(msgspec.Struct, frozen=True):
    """`ready`, `degraded` (answers come later than usual) or `unavailable`, and why."""

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
    """Whether PostgreSQL answers (else 503), and whether Redis does."""
    postgresql, redis = await asyncio.gather(
        _answers(request.app[POOL].fetchval("SELECT 1", timeout=PROBE_SECONDS)),
        _answers(request.app[REDIS].ping()),
    )
    if postgresql != "ok":
        return json_answer(Readiness("unavailable", postgresql, redis), status=503)
    status = "ready" if redis == "ok" else "degraded"
    return json_answer(Readiness(status, postgresql, redis))


async def _answers(probe: object) -> str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe  # type: ignore[misc]  # redis types its commands for both worlds
    except (*LOST, RedisError) as error:
        return f"away ({type(error).__name__})"
    return "ok"
