"""The way of openai's requests to the network: straight to aiohttp.

openai sends by httpx2, and takes a client of one's own (its README, "Configuring the HTTP client").
httpx2 and its transports would merge, parse and wrap each request anew, for cookies, authentication
and streams of which a call to a model has none: a third of what a call costs this process.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import aiohttp
import httpx2

parsed = lru_cache(maxsize=8)(httpx2.URL)

UNLIMITED = aiohttp.ClientTimeout()
"""Who calls limits the whole call."""


class Straight(httpx2.AsyncClient):
    """Posts what openai asks for over `session`, and reads the whole answer.

    Raises what aiohttp raises, which openai hands on as it is.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        # Nothing goes through a transport of httpx2, whose own would load certificates.
        super().__init__(transport=httpx2.AsyncBaseTransport(), trust_env=False)
        self._session = session

    def build_request(self, method: str, url: httpx2.URL | str, **asked: Any) -> httpx2.Request:
        """What openai puts together (`headers`, `content`), kept as it is for `send`."""
        return httpx2.Request(method, parsed(str(url)), extensions=asked)

    async def send(self, request: httpx2.Request, **_: Any) -> httpx2.Response:
        """Send a request of `build_request`, and follow where it is redirected to."""
        asked = request.extensions
        async with self._session.request(
            request.method,
            str(request.url),
            headers=asked["headers"],
            data=asked["content"],
            timeout=UNLIMITED,
        ) as response:
            body = await response.read()
        return httpx2.Response(
            response.status,
            headers=[h for h in response.raw_headers if h[0].lower() != b"content-encoding"],
            content=body,
            request=request,
        )
