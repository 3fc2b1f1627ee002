"""A door in front of a real server: closed, it is as if the network or the server were gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.support.ports import free_port
from tests.support.servers import stop_accepting

_CHUNK = 65_536


class Gate:
    """Passes bytes on to a server, and back, as long as it is open.

    `trips` counts how often a client has spoken first or after the server: round trips, of which
    each may carry several questions. `holding` is set once it holds an answer back.
    """

    def __init__(self, target: str) -> None:
        """`target` is the URL of an HTTP server, a PostgreSQL or a Redis, on a socket or not."""
        self.port = free_port()
        self.trips = 0
        self.holding = asyncio.Event()
        self._words = b""
        self._released = asyncio.Event()
        self._target = target
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The target's URL by way of this gate."""
        url = urlsplit(self._target)
        place = f"{url.username}@127.0.0.1" if url.username else "127.0.0.1"
        if url.password:
            place = f"{url.username}:{url.password}@127.0.0.1"
        if url.scheme == "unix":
            number = parse_qs(url.query).get("db", ["0"])[0]
            return f"redis://127.0.0.1:{self.port}/{number}"
        query = f"?{url.query}" if url.query and "host=" not in url.query else ""
        return f"{url.scheme}://{place}:{self.port}{url.path}{query}"

    async def open(self) -> Self:
        """Let connections through."""
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", self.port)
        return self

    async def close(self) -> None:
        """Cut every connection, and refuse new ones."""
        if server := self._server:
            self._server = None
            await stop_accepting(server.sockets)
            server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await asyncio.sleep(0)  # in which the transports that were cut are let go

    def hold(self, words: bytes) -> None:
        """Hold back the next answer with these words in it, until `release`."""
        self._words = words
        self.holding.clear()
        self._released.clear()

    def release(self) -> None:
        """Pass on what is held back."""
        self._released.set()

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on in both directions; if the gate closes, cut both, however far it has come."""
        writers = [writer]
        answered = True

        async def asks(_: bytes) -> None:
            nonlocal answered
            self.trips += answered
            answered = False

        async def answers(chunk: bytes) -> None:
            nonlocal answered
            answered = True
            if self._words and self._words in chunk:
                self._words = b""
                self.holding.set()
                await self._released.wait()

        try:
            there, back = await self._connect()
            writers.append(back)
            await asyncio.gather(_pump(reader, back, asks), _pump(there, writer, answers))
        except (OSError, asyncio.CancelledError):
            for cut in writers:
                cut.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url = urlsplit(self._target)
        folder = parse_qs(url.query).get("host", [""])[0]
        if url.scheme == "unix":
            return await asyncio.open_unix_connection(url.path)
        if folder.startswith("/"):
            return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{url.port or 5432}")
        default = 6379 if url.scheme == "redis" else 5432
        return await asyncio.open_connection(url.hostname, url.port or default)


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    passing: Callable[[bytes], Awaitable[None]],
) -> None:
    """Pass on until one side hangs up, then hang up on the other. Tells of each piece before."""
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            await passing(chunk)
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def gate_to(target: str) -> AsyncIterator[Gate]:
    """An open gate to that server."""
    gate = await Gate(target).open()
    try:
        yield gate
    finally:
        await gate.close()
