"""The application: its routes, what it opens and closes, and how it is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import structlog
from aiohttp import web

from frostdesk.api.answers import errors_to_problems
from frostdesk.api.keys import DOORBELL, GATE, POOL, REDIS, SETTINGS, STORE
from frostdesk.api.metrics import METRICS, Metrics
from frostdesk.api.openapi import DOCUMENT, document
from frostdesk.api.routes import ELSEWHERE, ROUTES, table
from frostdesk.auth import Gate
from frostdesk.desk.pages import desk_routes
from frostdesk.doorbell import Doorbell, connect_redis
from frostdesk.realtime.server import add_realtime
from frostdesk.settings import Settings
from frostdesk.store.append import EventStore
from frostdesk.store.database import create_pool

BODY_BYTES = 3 * 2**20
"""Meta sends webhooks of at most 3 MB (Graph API, webhooks, "Event Notifications")."""

GRACE_SECONDS = 20.0

log = structlog.get_logger(__name__)


def create_app(settings: Settings) -> web.Application:
    """The API. It opens its connections when it starts, and needs neither server to start."""
    app = web.Application(middlewares=[errors_to_problems], client_max_size=BODY_BYTES)
    app[SETTINGS], app[GATE] = settings, Gate(settings)
    app.cleanup_ctx.append(_connections)
    app[METRICS] = Metrics()
    app[DOCUMENT] = msgspec.json.encode(document((*ROUTES, *ELSEWHERE)))
    app.add_routes(table())
    app.add_routes(desk_routes(settings))
    add_realtime(app, settings, app[GATE])
    return app


async def _connections(app: web.Application) -> AsyncIterator[None]:
    async with (
        connect_redis(app[SETTINGS].redis_url) as redis,
        create_pool(app[SETTINGS].database_url) as pool,
        EventStore(pool) as store,
        Doorbell(redis) as doorbell,
    ):
        app[POOL], app[STORE], app[REDIS], app[DOORBELL] = pool, store, redis, doorbell
        yield


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; requests under way are answered first.

    Raises OSError if the address cannot be listened on.
    """
    runner = web.AppRunner(create_app(settings), access_log=None, shutdown_timeout=GRACE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        log.info("api started", host=settings.host, port=settings.port)
        await stop.wait()
    finally:
        await runner.cleanup()
        log.info("api stopped")
