"""The way of openai's requests to the network: straight to aiohttp.

openai sends by httpx2, and takes a client of one's own (its README, "Configuring the HTTP client").
httpx2 and its transports would merge, parse and wrap each request anew, for cookies, authentication
and streams of which a call to a model has none: a third of what a call costs this process.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2

NO_LIMIT = aiohttp.ClientTimeout()

parsed = lru_cache(maxsize=8)(httpx2.URL)


class Straight(httpx2.AsyncClient):
    """Posts what openai asks for over `session`, by way of `proxy`, and reads the whole answer.

    Of what openai can ask for it knows a URL, headers and a body of bytes. A redirect is an answer
    like any other: a customer's words go to no address that was not configured.
    """

    def __init__(self, session: aiohttp.ClientSession, *, proxy: str | None) -> None:
        # httpx2's own way, which nothing goes, would load certificates and look for proxies.
        super().__init__(transport=httpx2.AsyncBaseTransport(), trust_env=False)
        self._session = session
        self._proxy = proxy

    def build_request(self, method: str, url: httpx2.URL | str, **asked: Any) -> httpx2.Request:
        """What openai puts together, kept as it is for `send`."""
        return httpx2.Request(method, parsed(str(url)), extensions=asked)

    async def send(self, request: httpx2.Request, **_: Any) -> httpx2.Response:
        """Send a request of `build_request`, for as long as the caller cares to wait.

        Raises:
            aiohttp.ClientError, OSError, ValueError: as aiohttp does.
        """
        asked = request.extensions
        async with self._session.request(
            request.method,
            str(request.url),
            headers=asked["headers"],
            data=asked["content"],
            proxy=self._proxy,
            allow_redirects=False,
            timeout=NO_LIMIT,
        ) as response:
            body = await response.read()
        # What is said of the body was true of it while it was packed, and may be no encoding.
        said = [h for h in response.raw_headers if not h[0].lower().startswith(b"content-")]
        return httpx2.Response(response.status, headers=said, content=body, request=request)


def proxy_for(url: str) -> str | None:
    """The proxy by which the environment (HTTPS_PROXY, NO_PROXY, …) has this address reached."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return getproxies().get(address.scheme)
