"""A TCP proxy in front of the API, whose connections can be cut, and that hides its own address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

from tests.support.servers import stop_accepting

CHUNK = 64 * 1024


HIDDEN = b"inside.invalid"


class Proxy:
    """Passes connections on to a port on loopback, as long as it is not cut.

    As proxies do, it names another host to the API than the one that the browser asks for.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self.port = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, target: int) -> AsyncIterator[Self]:
        """A proxy to this port, listening on a port of its own."""
        proxy = cls(target)
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            await stop_accepting(server.sockets)
            server.close()
            proxy.cut()
            await server.wait_closed()

    @property
    def url(self) -> str:
        """Where browsers connect to."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break every connection, and let no new one through."""
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, both ways, until one side ends it."""
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, there[1]}
        try:
            asked = f"Host: 127.0.0.1:{self.port}".encode()
            await asyncio.gather(
                _pass(reader, there[1], asked, b"Host: " + HIDDEN), _pass(there[0], writer)
            )
        finally:
            self._open -= {writer, there[1]}


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, old: bytes = b"", new: bytes = b""
) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk.replace(old, new) if old else chunk)
            await writer.drain()
    writer.close()
