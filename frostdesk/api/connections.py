"""Connections that wait for their clients: so many may, then those that came first are let go.

What else is slow is ended by time: a request's head and an idle connection by aiohttp's
`keepalive_timeout`, a body by `bodies.BODY_SECONDS`.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

WAITING_MOST = 1_000
"""How many connections may be idle, in the middle of a request's head, or not reading an answer."""

SWEEP_SECONDS = 1.0


class Connections:
    """Tells the connections that wait for us from those that wait for their clients."""

    def __init__(self) -> None:
        self._working: set[web.RequestHandler] = set()

    @web.middleware
    async def note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Know a connection to be at work while its request is handled."""
        self._working.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._working.discard(request.protocol)

    async def sweep(self, server: web.Server) -> None:
        """Let go of those that are too many, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            waiting = [c for c in server.connections if c not in self._working]
            for connection in waiting[:-WAITING_MOST]:
                if connection.transport is not None:
                    connection.transport.abort()
