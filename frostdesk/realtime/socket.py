"""One client's socket: what is sent waits in a bounded queue, and who does not read is dropped."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

WAITING_MOST = 2**21
"""How many characters may wait for a client that does not read; then it is dropped."""

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


class Socket:
    """Sends and receives until either side has enough."""

    def __init__(self, ws: web.WebSocketResponse, *, version: str) -> None:
        self.version = version
        self._ws = ws
        self._waiting: deque[str] = deque()
        self._size = 0
        self._bell = asyncio.Event()
        self._ending: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def send(self, text: str) -> None:
        """Send soon. A client for which too much waits already is dropped instead."""
        if self._size > WAITING_MOST:
            self.end(WSCloseCode.TRY_AGAIN_LATER, "You do not read what is sent.")
            return
        self._waiting.append(text)
        self._size += len(text)
        self._bell.set()

    def end(self, code: int, reason: str) -> None:
        """Close the socket soon."""
        if not self._ending.done():
            self._ending.set_result((code, reason))

    async def run(self, listener: Listener) -> None:
        """Serve the socket to its end. Whoever shows no valid token in time is dropped."""
        tasks = (
            asyncio.create_task(self._read(listener)),
            asyncio.create_task(self._write()),
            asyncio.create_task(self._wait_for(listener.known)),
        )
        try:
            await asyncio.wait((*tasks[:2], self._ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
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
            if message.type is WSMsgType.TEXT:
                await listener.hear(message.data)
            elif message.type is WSMsgType.BINARY:
                await listener.hear_binary()
            else:
                return

    async def _write(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._waiting:
                text = self._waiting.popleft()
                await self._ws.send_str(text)
                self._size -= len(text)

    async def _wait_for(self, known: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(SIGN_IN_SECONDS):
                await known.wait()
        except TimeoutError:
            self.end(WSCloseCode.POLICY_VIOLATION, "No channel was joined with a valid token.")
