"""Bodies of requests, read whole: each bounded in size and time, all together in memory."""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import web

from frostdesk.errors import PackedOtherwiseError, RefusedError

BODY_SECONDS = 30.0
"""How long a client may take to send a body; 3 MB take this long at 0.8 Mbit/s."""

ALL_BYTES = 2**27
"""How much of unfinished bodies is kept at a time. Beyond it the oldest is given up."""

BODIES_MOST = 500
"""How many may be unfinished at a time, likewise."""


_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class Bodies:
    """Reads bodies. One object an application."""

    def __init__(self) -> None:
        self._unfinished: dict[asyncio.Timeout, int] = {}
        self._bytes = 0

    async def read(self, request: web.Request) -> bytes:
        """The whole body, unpacked.

        Raises:
            RefusedError: it is not packed as its header `Content-Encoding` says.
            TimeoutError: it took too long, or was given up for the sake of others.
            HTTPRequestEntityTooLarge: it is too large, packed or unpacked.
        """
        content = request.content
        # As nearly always, all of it came along with the head: nothing has to be held or timed.
        body = content.read_nowait() if content.is_eof() else await self._receive(request)
        _refuse_beyond(request.client_max_size, body)
        return _unpacked(body, request)

    async def _receive(self, request: web.Request) -> bytes:
        """The body as it comes, for as long as there is patience."""
        body = bytearray()
        async with asyncio.timeout(BODY_SECONDS) as patience:
            try:
                self._hold(patience, 0)
                async for chunk in request.content.iter_any():
                    body += chunk
                    _refuse_beyond(request.client_max_size, body)
                    self._hold(patience, len(chunk))
            finally:
                self._bytes -= self._unfinished.pop(patience, 0)
        return bytes(body)

    def _hold(self, patience: asyncio.Timeout, size: int) -> None:
        self._unfinished[patience] = self._unfinished.get(patience, 0) + size
        self._bytes += size
        if self._bytes > ALL_BYTES or len(self._unfinished) > BODIES_MOST:
            oldest = next(iter(self._unfinished))
            self._bytes -= self._unfinished.pop(oldest)
            oldest.reschedule(asyncio.get_running_loop().time())


def _refuse_beyond(most: int, body: bytes | bytearray) -> None:
    if len(body) > most:
        raise web.HTTPRequestEntityTooLarge(most, len(body))


def _unpacked(body: bytes, request: web.Request) -> bytes:
    """The body that was sent. Unpacked here, as aiohttp unpacks a refused bomb to its end."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "deflate"):
        raise PackedOtherwiseError("A body may be packed with gzip or deflate, or not at all.")
    unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = unpacking.decompress(body, request.client_max_size + 1)
    except zlib.error as error:
        raise RefusedError(f"The body is not packed as Content-Encoding says: {error}.") from error
    _refuse_beyond(request.client_max_size, plain)
    if not unpacking.eof or unpacking.unused_data:
        raise RefusedError("The body is not packed as Content-Encoding says: it has another end.")
    return plain
