"""The application: its routes, what it opens and closes, and how it is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog
from aiohttp import web

from frostdesk.api.answers import errors_to_problems
from frostdesk.api.bodies import Bodies
from frostdesk.api.connections import Connections
from frostdesk.api.keys import BODIES, CONNECTIONS, DOORBELL, GATE, POOL, REDIS, SETTINGS, STORE
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

HEADERS_MOST = 64
"""A browser sends twenty, a proxy adds ten."""

IDLE_SECONDS = 75.0
"""Longer than a proxy keeps an idle connection, which must not meet one that has just closed."""

BACKLOG = 1024
"""Connections that the kernel keeps until they are accepted."""

GRACE_SECONDS = 20.0

log = structlog.get_logger(__name__)


def create_app(settings: Settings) -> web.Application:
    """The API. It opens its connections when it starts, and needs neither server to start."""
    connections = Connections()
    app = web.Application(
        middlewares=[connections.note, errors_to_problems], client_max_size=BODY_BYTES
    )
    app[BODIES], app[CONNECTIONS] = Bodies(), connections
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


def connection_options() -> dict[str, Any]:
    """How connections are served, as `AppRunner` takes it. Bodies are unpacked by `Bodies`."""
    return {
        "keepalive_timeout": IDLE_SECONDS,
        "max_headers": HEADERS_MOST,
        "auto_decompress": False,
    }


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; requests under way are answered first.

    Raises OSError if the address cannot be listened on.
    """
    app = create_app(settings)
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=GRACE_SECONDS, **connection_options()
    )
    await runner.setup()
    assert runner.server is not None  # noqa: S101  # it is set up
    sweeping = asyncio.create_task(app[CONNECTIONS].sweep(runner.server), name="let go")
    try:
        await web.TCPSite(runner, settings.host, settings.port, backlog=BACKLOG).start()
        log.info("api started", host=settings.host, port=settings.port)
        await stop.wait()
    finally:
        sweeping.cancel()
        await runner.cleanup()
        log.info("api stopped")
