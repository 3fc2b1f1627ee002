"""`/realtime/v1/websocket`: the route, who is let in, and how all of it ends."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import AsyncIterator

from aiohttp import WSCloseCode, web

from frostdesk.auth import Gate
from frostdesk.errors import RefusedError
from frostdesk.realtime.client import Client
from frostdesk.realtime.frames import VERSIONS
from frostdesk.realtime.hub import Hub
from frostdesk.realtime.socket import Socket
from frostdesk.settings import Settings

PATH = "/realtime/v1/websocket"

FRAME_BYTES = 2**16
"""A join with a long token and a hundred subscriptions takes a fraction of this."""

STRANGERS_MOST = 200
"""How many sockets may be open that have not yet shown a valid token."""


class Realtime:
    """The endpoint of one application."""

    def __init__(self, settings: Settings, gate: Gate) -> None:
        self._gate = gate
        self._hub = Hub(settings.database_url)
        self._sockets: set[Socket] = set()
        self._clients: set[Client] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket to its end."""
        version = request.query.get("vsn", VERSIONS[0])
        if version not in VERSIONS:
            raise RefusedError(f"`vsn` has to be one of {', '.join(VERSIONS)}.")
        key = request.query.get("apikey", "")
        await self._gate.prepare(key)
        self._check_room(known=self._gate.is_instructor(key))
        # Compressing costs each socket far more memory than the frames are worth; and no frame
        # waits inside aiohttp, where nobody counts it.
        ws = web.WebSocketResponse(
            max_msg_size=FRAME_BYTES, compress=False, timeout=1.0, writer_limit=1
        )
        try:
            await ws.prepare(request)
        except ConnectionError:
            return ws  # it left at once
        socket = Socket(ws, version=version)
        await self._serve(
            socket, Client(socket, self._hub, key=key, judge=self._gate.is_instructor)
        )
        if request.transport:
            request.transport.abort()
        return ws

    async def _serve(self, socket: Socket, client: Client) -> None:
        self._sockets.add(socket)
        self._clients.add(client)
        try:
            await socket.run(client)
        finally:
            client.leave_all()
            self._sockets.discard(socket)
            self._clients.discard(client)
            await socket.close()

    def _check_room(self, *, known: bool) -> None:
        """Refuse a socket that would take what webhooks need: files that can still be opened."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        strangers = sum(not client.known.is_set() for client in self._clients)
        if len(self._sockets) >= files // 2 or (not known and strangers >= STRANGERS_MOST):
            raise TooManySocketsError("Too many sockets are open. Try again later.")

    async def end_sockets(self, _: web.Application) -> None:
        """Close every socket: the server is going away, and its clients will look for it again."""
        for socket in self._sockets:
            socket.end(WSCloseCode.GOING_AWAY, "The server is going away.")

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """The hub, for as long as the application lives."""
        files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # a system that promises what it refuses
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, most), most))
        yield
        await self._hub.close()


class TooManySocketsError(RefusedError):
    """There is no room for another socket."""

    status = 503
    title = "Too many sockets"


def add_realtime(app: web.Application, settings: Settings, gate: Gate) -> None:
    """Serve the Realtime protocol at `PATH` for as long as the application runs."""
    realtime = Realtime(settings, gate)
    app.router.add_get(PATH, realtime.handle, allow_head=False)
    app.on_shutdown.append(realtime.end_sockets)
    app.cleanup_ctx.append(realtime.running)
