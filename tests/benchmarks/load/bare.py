"""The least that taking a webhook costs: aiohttp reads it, checks its HMAC, decodes it. No more.

Run as a process of its own: `python -m tests.benchmarks.load.bare PORT`.
"""

from __future__ import annotations

import hmac
import sys

import msgspec
import uvloop
from aiohttp import web

from tests.support.secrets import APP_SECRET


async def _receive(request: web.Request) -> web.Response:
    body = await request.read()
    expected = f"sha256={hmac.digest(APP_SECRET.encode(), body, 'sha256').hex()}"
    if not hmac.compare_digest(request.headers["X-Hub-Signature-256"], expected):
        raise web.HTTPUnauthorized
    msgspec.json.decode(body)
    return web.Response()


async def _show_health(_: web.Request) -> web.Response:
    return web.Response()


def main() -> None:
    """Serve on loopback until a signal."""
    app = web.Application()
    app.router.add_post("/inbound", _receive)
    app.router.add_get("/health", _show_health)
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        print=None,
        access_log=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
