"""Signed webhooks, each of a customer who writes for the first time, and who posts them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import cast

import aiohttp
import msgspec

from frostdesk.whatsapp.signature import sign
from tests.support.bodies import text_message, webhook
from tests.support.secrets import APP_SECRET

TEXT = "Hello, is there still room for two beginners some day next week?"
CONNECTIONS = 64

HEAD = (
    "POST /inbound HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "X-Hub-Signature-256: {signature}\r\nContent-Length: {length}\r\n\r\n"
)

_phones = count(41_780_000_000)


class Letter(msgspec.Struct, frozen=True):
    """A message of one customer, as the body of a webhook and its signature."""

    customer: str
    body: bytes
    signature: str

    @property
    def request(self) -> bytes:
        """The whole request, ready for a socket."""
        head = HEAD.format(signature=self.signature, length=len(self.body))
        return head.encode() + self.body


def letters(number: int) -> list[Letter]:
    """One of so many new customers each."""
    return [letter_of(str(phone)) for phone in islice(_phones, number)]


def letter_of(phone: str) -> Letter:
    """A message of that customer."""
    body = json.dumps(webhook(text_message(TEXT, **{"from": phone}))).encode()
    return Letter(phone, body, sign(body, APP_SECRET.encode()))


class Posted(msgspec.Struct, frozen=True):
    """How long all of it took, and each webhook until it was answered 200, in seconds."""

    seconds: float
    waits: list[float]


async def post_all(port: int, sent: Iterable[Letter]) -> Posted:
    """Post them over CONNECTIONS connections, on each the next when the last is answered.

    Raises:
        AssertionError: an answer was not 200.
    """
    requests = iter([letter.request for letter in sent])
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    lines = [
        (await loop.create_connection(lambda: _Line(requests, waits), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(line.done for line in lines))
    return Posted(time.perf_counter() - begun, waits)


class _Line(asyncio.Protocol):
    """A connection that is as cheap as it can be: whoever measures takes time of the processor."""

    def __init__(self, requests: Iterator[bytes], waits: list[float]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._waits = waits
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._post()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._answer.startswith(b"HTTP/1.1 200 "[: len(self._answer)]):
            self._end(AssertionError(self._answer))
        elif self._answer.endswith(b"\r\n\r\n"):  # a 200 has no body
            self._waits.append(time.perf_counter() - self._begun)
            self._answer = b""
            self._post()

    def connection_lost(self, _: Exception | None) -> None:
        self._end(AssertionError("the connection was lost"))

    def _post(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._end()
            return
        self._begun = time.perf_counter()
        self._transport.write(request)

    def _end(self, error: Exception | None = None) -> None:
        if self.done.done():
            return
        if error:
            self.done.set_exception(error)
        else:
            self.done.set_result(None)
        self._transport.close()


async def post(session: aiohttp.ClientSession, url: str, letter: Letter) -> None:
    """Post one.

    Raises:
        AssertionError: the answer was not 200.
    """
    headers = {"X-Hub-Signature-256": letter.signature, "Content-Type": "application/json"}
    async with session.post(f"{url}/inbound", data=letter.body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
