"""Clients that mean harm: raw sockets that say what they like, and how the service bears them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator

import aiohttp
import psutil

from frostdesk.whatsapp.signature import sign
from tests.support.bodies import text_message, webhook
from tests.support.programs import Program
from tests.support.secrets import APP_SECRET

PATIENCE_SECONDS = 20.0
MEGABYTE = 2**20


@contextlib.contextmanager
def many_files() -> Iterator[int]:
    """Let this process open as many files as it may; gives how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def head(*lines: str, target: str = "/inbound", method: str = "POST") -> bytes:
    """A request's head, with a host and these further lines."""
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: desk", *lines, "", "")).encode(
        "latin-1"
    )


async def say(port: int, *parts: bytes, to_the_end: bool = False) -> bytes:
    """The answer to these bytes; `to_the_end`: all that comes until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = b""
    try:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while to_the_end or not _is_whole(heard):
                    if not (chunk := await reader.read(MEGABYTE)):
                        break
                    heard += chunk
    finally:
        writer.transport.abort()
    return heard


def _is_whole(heard: bytes) -> bool:
    """Whether the answer that begins here has all of its body."""
    above, blank, body = heard.partition(b"\r\n\r\n")
    lines = [line.lower() for line in above.split(b"\r\n")]
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    return bool(blank) and len(body) >= length


class Crowd:
    """Many connections of one kind, held open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []

    async def grow(self, count: int, *parts: bytes) -> None:
        """Open so many more; each says these bytes, as far as they are taken."""
        loop = asyncio.get_running_loop()
        for number in range(count):
            held = socket.socket()
            held.setblocking(False)  # noqa: FBT003  # a method of others
            self._sockets.append(held)
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await loop.sock_connect(held, ("127.0.0.1", self._port))
                    for part in parts:
                        await loop.sock_sendall(held, part)
            if number % 100 == 0:
                await asyncio.sleep(0)

    async def dribble(self, part: bytes) -> None:
        """Every connection that still stands says these few bytes."""
        for held in self._sockets:
            with contextlib.suppress(OSError):
                held.send(part)
        await asyncio.sleep(0)

    def standing(self) -> int:
        """How many of them the other side has not ended."""
        return sum(self._stands(held) for held in self._sockets)

    def end(self) -> None:
        """Leave."""
        for held in self._sockets:
            held.close()

    @staticmethod
    def _stands(held: socket.socket) -> bool:
        try:
            return held.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


@contextlib.asynccontextmanager
async def crowd(port: int) -> AsyncIterator[Crowd]:
    """A crowd that leaves in the end."""
    gathered = Crowd(port)
    try:
        yield gathered
    finally:
        gathered.end()


class Watch:
    """One process under attack: its memory, and whether WhatsApp is served meanwhile."""

    def __init__(self, program: Program) -> None:
        self.url = program.url
        self.port = int(program.url.rpartition(":")[2])
        self._process = psutil.Process(program.process.pid)
        self._before = self._process.memory_info().rss
        self._most = self._before
        self.seconds: list[float] = []

    async def webhooks(self, count: int = 10) -> None:
        """Deliver so many, each on a connection of its own; every one has to be taken."""
        for _ in range(count):
            body = json.dumps(webhook(text_message())).encode()
            headers = {"X-Hub-Signature-256": sign(body, APP_SECRET.encode())}
            before = time.monotonic()
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{self.url}/inbound", data=body, headers=headers) as answer,
            ):
                assert answer.status == 200, await answer.text()
            self.seconds.append(time.monotonic() - before)
        self.look()

    def look(self) -> None:
        """Note the memory."""
        self._most = max(self._most, self._process.memory_info().rss)

    def grown(self) -> float:
        """The megabytes that it has had more than before, at most."""
        self.look()
        return (self._most - self._before) / MEGABYTE

    def files(self) -> int:
        """How many files and sockets it holds open."""
        return self._process.num_fds()

    def tell(self, what: str) -> None:
        """Print what was measured."""
        slowest = max(self.seconds, default=0.0) * 1000
        median = sorted(self.seconds)[len(self.seconds) // 2] * 1000 if self.seconds else 0.0
        print(
            f"{what}: memory +{self.grown():.0f} MB, {len(self.seconds)} webhooks meanwhile, "
            f"median {median:.0f} ms, slowest {slowest:.0f} ms"
        )
