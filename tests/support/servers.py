"""Servers in the test's own process, that close without losing anybody at the door."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiohttp import web
from aiohttp.test_utils import TestServer

_TURNS = 3
"""One in which the loop takes a connection, one for its transport, one for its protocol."""


class Listening(Protocol):
    """A socket that listens, or asyncio's view of one."""

    def fileno(self) -> int:
        """Its number."""


async def stop_accepting(sockets: Iterable[Listening]) -> None:
    """Take no new connections, and wait until those that were taken have come in.

    To be awaited before a server closes. One that closes in between leaves the socket to the
    garbage collector, which warns an innocent test of it (CPython, asyncio/base_events.py:
    `Server._attach` refuses the transport when `Server.close` has been called).
    """
    loop = asyncio.get_running_loop()
    for number in (listening.fileno() for listening in sockets):
        if number >= 0:  # nobody has closed it yet
            loop.remove_reader(number)
    for _ in range(_TURNS):
        await asyncio.sleep(0)


@asynccontextmanager
async def served(
    app: web.Application, *, port: int | None = None, **options: Any
) -> AsyncIterator[TestServer]:
    """The application, served on a free port or on that one; `options` are `AppRunner`'s."""
    with socket.create_server(("127.0.0.1", port or 0)) as listening:
        server = TestServer(app, port=port, socket_factory=lambda *_: listening)
        try:
            await server.start_server(**options)
            yield server
        finally:
            await stop_accepting([listening])
            await server.close()
