"""A crowd of sockets that join with some token and then never read, as cheap as sockets can be."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import msgspec

from tests.realtime.sockets import EVERYTHING, TOPIC, RawClient, connected
from tests.support.bodies import text_message, webhook
from tests.support.desk import Api

AT_ONCE = 8
ADDRESSES = 8
"""Source addresses, each with some 28,000 ports."""

ANSWER_SECONDS = 30.0

PAUSE_SECONDS = 0.02
BEAT_SECONDS = 20.0
MORE = 10
WRITTEN = {"event": "INSERT", "table": "messages", "filter": "role=eq.user"}

UPGRADED = 101
CLOSE = 0x8
SHORT = 126


class Lazy:
    """One socket that never reads again once it has joined."""

    def __init__(self, number: int) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(ANSWER_SECONDS)
        self._socket.bind((f"127.0.0.{2 + number % ADDRESSES}", 0))
        self._status = 0

    def join(self, port: int, token: str) -> None:
        """Connect and join; who is refused has not joined."""
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(_handshake(token))
        self._status = int(self._answer().split()[1])
        if self._status == UPGRADED:
            self._socket.sendall(_masked(_join(token)))

    def _answer(self) -> bytes:
        """The head of the answer, and not a byte of what follows."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self._socket.recv(1)
            assert byte, head
            head += byte
        return head

    def ending(self, seconds: float) -> str:
        """What it was told, read at last: an HTTP status, or the code that its socket closed with.

        Nothing, if its socket is still open after so many seconds.
        """
        if self._status != UPGRADED:
            return f"HTTP {self._status}"
        self._socket.settimeout(seconds)
        got = b""
        try:
            while data := self._socket.recv(2**16):
                got += data
        except ConnectionResetError:
            pass  # what came before was read
        except TimeoutError:
            return "nothing"
        codes = [int.from_bytes(body[:2]) for opcode, body in _frames(got) if opcode == CLOSE]
        return f"close {codes[-1]}" if codes else "cut off"

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()


class Crowd:
    """So many of them. Whatever happens, they are closed when it ends."""

    def __init__(self, count: int, *, port: int, token: str) -> None:
        self._count = count
        self._port = port
        self._token = token
        self._members: list[Lazy] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for lazy in self._members:
            lazy.close()

    def gather(self) -> None:
        """Open them, as fast as the server takes them."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for done in [threads.submit(self._open, number) for number in range(self._count)]:
                done.result()

    def _open(self, number: int) -> None:
        lazy = Lazy(number)
        self._members.append(lazy)
        lazy.join(self._port, self._token)

    def endings(self, *, seconds: float) -> Counter[str]:
        """How all of them ended, by the same deadline."""
        deadline = time.monotonic() + seconds
        return Counter(m.ending(max(0.05, deadline - time.monotonic())) for m in self._members)


class Seen(msgspec.Struct, frozen=True):
    """What others saw beside a crowd: what customers wrote, what was heard of it, and how soon.

    `early` was there before the crowd, `late` came while it was there. `waits` are the seconds that
    each webhook took.
    """

    wrote: list[str]
    early: list[str]
    late: list[str]
    waits: list[float]


async def look_beside(api: Api, *crowds: Crowd) -> Seen:
    """Let crowds come while a customer writes, one subscriber listens, and another one comes."""
    wrote: list[str] = []
    waits: list[float] = []
    async with connected(api) as early:
        await early.subscribe(WRITTEN)
        beating = asyncio.create_task(_beat(early))
        gathering = asyncio.gather(*(asyncio.to_thread(crowd.gather) for crowd in crowds))
        while not gathering.done():
            await write(api, wrote, waits)
        await gathering
        async with connected(api) as late:
            await late.subscribe(WRITTEN)
            for _ in range(MORE):
                await write(api, wrote, waits)
            heard_early = await _heard(early, len(wrote))
            heard_late = await _heard(late, MORE)
        beating.cancel()
    return Seen(wrote, heard_early, heard_late, waits)


async def write(api: Api, wrote: list[str], waits: list[float]) -> None:
    """Have a customer write one more message, and note how long its webhook took."""
    text = f"Message {len(wrote)}"
    begun = time.perf_counter()
    await api.webhook(webhook(text_message(text)))
    waits.append(time.perf_counter() - begun)
    wrote.append(text)
    await asyncio.sleep(PAUSE_SECONDS)


async def _beat(client: RawClient) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        await client.push("heartbeat", topic="phoenix")


async def _heard(client: RawClient, count: int) -> list[str]:
    """What was written, of the next so many changes, between the answers to heartbeats."""
    texts: list[str] = []
    while len(texts) < count:
        frame = await client.frame()
        if frame["event"] == "postgres_changes":
            texts.append(frame["payload"]["data"]["record"]["content"])
    return texts


def _handshake(token: str) -> bytes:
    return (
        f"GET /realtime/v1/websocket?apikey={token}&vsn=1.0.0 HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


def _join(token: str) -> bytes:
    payload = {"config": {"postgres_changes": [EVERYTHING]}, "access_token": token}
    frame = {"topic": TOPIC, "event": "phx_join", "payload": payload, "ref": "1", "join_ref": "1"}
    return json.dumps(frame).encode()


def _masked(text: bytes) -> bytes:
    """A text frame of a client (RFC 6455, 5.2), of 126 bytes to 64 kB."""
    assert len(text) >= SHORT
    mask = os.urandom(4)
    body = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
    return bytes([0x81, 0x80 | SHORT]) + len(text).to_bytes(2) + mask + body


def _frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole frames of a server, with their opcodes."""
    while len(data) >= 2:
        opcode, size, start = data[0] & 0x0F, data[1], 2
        if size >= SHORT:
            start = 4 if size == SHORT else 10
            size = int.from_bytes(data[2:start])
        yield opcode, data[start : start + size]
        data = data[start + size :]
