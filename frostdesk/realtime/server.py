"""`/realtime/v1/websocket`: the route, who is let in, and how all of it ends."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import AsyncIterator
from socket import SO_SNDBUF, SOL_SOCKET

from aiohttp import WSCloseCode, web

from frostdesk.auth import Gate
from frostdesk.errors import RefusedError
from frostdesk.realtime.client import Client
from frostdesk.realtime.frames import VERSIONS
from frostdesk.realtime.hub import Hub
from frostdesk.realtime.places import Places
from frostdesk.realtime.socket import Backlog, Socket
from frostdesk.settings import Settings

PATH = "/realtime/v1/websocket"

FRAME_BYTES = 2**16
"""A join with a long token and a hundred subscriptions takes a fraction of this."""

SEND_BYTES = 2**18
"""What the system may hold back for a socket. Left to itself it holds megabytes for each."""


class Realtime:
    """The endpoint of one application."""

    def __init__(self, settings: Settings, gate: Gate) -> None:
        self._gate = gate
        self._hub = Hub(settings.direct_database_url or settings.database_url)
        self._places = Places()
        self._backlog = Backlog()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket to its end."""
        version = request.query.get("vsn", VERSIONS[0])
        if version not in VERSIONS:
            raise RefusedError(f"`vsn` has to be one of {', '.join(VERSIONS)}.")
        key = request.query.get("apikey", "")
        known = await self._gate.valid_until(key) > 0
        self._places.check(known=known)
        # Compressing costs each socket far more memory than the frames are worth; and no frame
        # waits inside aiohttp, where nobody counts it.
        ws = web.WebSocketResponse(
            max_msg_size=FRAME_BYTES, compress=False, timeout=1.0, writer_limit=1, autoping=False
        )
        try:
            await ws.prepare(request)
        except ConnectionError:
            return ws  # it left at once
        _bound_buffer(request)
        socket = Socket(ws, self._backlog, version=version)
        client = Client(socket, self._hub, key=key, judge=self._gate.valid_until)
        if known:
            client.known.set()
        self._places.enter(socket, known=known)
        try:
            await self._serve(socket, client)
        finally:
            self._places.leave(socket)
        if request.transport:
            request.transport.abort()
        return ws

    async def _serve(self, socket: Socket, client: Client) -> None:
        try:
            await socket.run(client, on_settled=lambda: self._places.settle(socket))
        finally:
            client.leave_all()
            await socket.close()

    async def end_sockets(self, _: web.Application) -> None:
        """Close every socket: the server is going away, and its clients will look for it again."""
        self._places.end_all(WSCloseCode.GOING_AWAY, "The server is going away.")

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """The hub, for as long as the application lives."""
        files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # a system that promises what it refuses
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, most), most))
        yield
        await self._hub.close()


def _bound_buffer(request: web.Request) -> None:
    if request.transport:
        sock = request.transport.get_extra_info("socket")
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BYTES)


def add_realtime(app: web.Application, settings: Settings, gate: Gate) -> None:
    """Serve the Realtime protocol at `PATH` for as long as the application runs."""
    realtime = Realtime(settings, gate)
    app.router.add_get(PATH, realtime.handle, allow_head=False)
    app.on_shutdown.append(realtime.end_sockets)
    app.cleanup_ctx.append(realtime.running)
