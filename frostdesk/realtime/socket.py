"""One client's socket: what is sent waits in a bounded queue, and who does not read is dropped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

WAITING_MOST = 2**21
"""How many characters may wait for a client that does not read; then it is dropped."""

WAITING_FEW = 2**16
WAITING_IN_ALL = 2**26
"""While this many wait for all of them together, nobody may keep more than a few waiting."""

IDLE_SECONDS = 60.0
"""Official clients send a heartbeat every 25 s; Phoenix, too, waits for 60 s."""

SIGN_IN_SECONDS = 10.0
CLOSE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Whom a socket's frames are handed to. `known` is set once a valid token was shown."""

    known: asyncio.Event

    async def hear(self, text: str) -> None:
        """A text frame came."""

    async def hear_binary(self) -> None:
        """A binary frame came."""


class Backlog:
    """How many characters wait, for all sockets together."""

    size = 0


class Socket:
    """Sends and receives until either side has enough."""

    def __init__(self, ws: web.WebSocketResponse, backlog: Backlog, *, version: str) -> None:
        self.version = version
        self._ws = ws
        self._backlog = backlog
        self._reads = asyncio.Event()
        self._waiting: deque[str] = deque()
        self._size = 0
        self._bell = asyncio.Event()
        self._ending: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def send(self, text: str) -> None:
        """Send soon. A client for which too much waits already is dropped instead."""
        if self._ending.done():
            return
        if self._is_full():
            self.end(WSCloseCode.TRY_AGAIN_LATER, "You do not read what is sent.")
            return
        self._waiting.append(text)
        self._grow(len(text))
        self._bell.set()

    def _is_full(self) -> bool:
        most = WAITING_MOST if self._backlog.size < WAITING_IN_ALL else WAITING_FEW
        return self._size > most

    def _grow(self, size: int) -> None:
        self._size += size
        self._backlog.size += size

    def end(self, code: int, reason: str) -> None:
        """Close the socket soon."""
        if not self._ending.done():
            self._ending.set_result((code, reason))

    async def run(self, listener: Listener, *, on_settled: Callable[[], None]) -> None:
        """Serve the socket to its end.

        Whoever does not show in time a valid token, and that it reads, is dropped; who does has
        settled.
        """
        tasks = (
            asyncio.create_task(self._read(listener)),
            asyncio.create_task(self._write()),
            asyncio.create_task(self._settle(listener.known, on_settled)),
        )
        try:
            await asyncio.wait((*tasks[:2], self._ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._waiting.clear()
            self._grow(-self._size)
            self._report(tasks)

    async def close(self) -> None:
        """Say good-bye as far as the client listens, then let go of it."""
        code, reason = self._ending.result() if self._ending.done() else (WSCloseCode.OK, "")
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._ws.close(code=code, message=reason.encode())
        except (OSError, TimeoutError):
            pass

    def _report(self, tasks: tuple[asyncio.Task[None], ...]) -> None:
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, OSError):
                self.end(WSCloseCode.INTERNAL_ERROR, "The reason is in the log of the service.")
                log.error("a realtime socket failed", exc_info=error)

    async def _read(self, listener: Listener) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    message: WSMessage = await self._ws.receive()
            except TimeoutError:
                self.end(WSCloseCode.POLICY_VIOLATION, f"No heartbeat for {IDLE_SECONDS:.0f} s.")
                return
            match message.type:
                case WSMsgType.TEXT:
                    await listener.hear(message.data)
                case WSMsgType.BINARY:
                    await listener.hear_binary()
                case WSMsgType.PING:
                    await self._ws.pong(message.data)
                case WSMsgType.PONG:
                    self._reads.set()
                case _:
                    return

    async def _write(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._waiting:
                text = self._waiting.popleft()
                await self._ws.send_str(text)
                self._grow(-len(text))

    async def _settle(self, known: asyncio.Event, on_settled: Callable[[], None]) -> None:
        try:
            async with asyncio.timeout(SIGN_IN_SECONDS):
                await self._ws.ping()  # every client that reads answers (RFC 6455, 5.5.2)
                await self._reads.wait()
                await known.wait()
                on_settled()
        except TimeoutError:
            missing = "No channel was joined with a valid token."
            reason = missing if self._reads.is_set() else "You do not read what is sent."
            self.end(WSCloseCode.POLICY_VIOLATION, reason)
