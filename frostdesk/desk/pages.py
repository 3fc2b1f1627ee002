"""The desk's routes: the page, its files, and what it has to know before anybody signs in."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from frostdesk.settings import Settings
from frostdesk.static_page import StaticPage

FILES = Path(__file__).with_name("static")

REALTIME = "/realtime/v1/websocket"
"""The path of Supabase Realtime, there and here."""


class DeskConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the page has to know. No secret: anyone may read it.

    `timezone` is the business's IANA zone. `realtime_url` is where changes come from: a path of
    this service, or Supabase, which wants `anon_key` beside the instructor's token.
    """

    timezone: str
    realtime_url: str
    anon_key: str | None


def desk_config(settings: Settings) -> DeskConfig:
    """The page's configuration: Supabase where it is set up, else this service."""
    is_supabase = bool(settings.supabase_url and settings.supabase_anon_key)
    return DeskConfig(
        timezone=settings.timezone.key,
        realtime_url=f"{settings.supabase_url}{REALTIME}" if is_supabase else REALTIME,
        anon_key=settings.supabase_anon_key if is_supabase else None,
    )


def desk_routes(settings: Settings) -> list[web.RouteDef]:
    """The page at `/`, and what it needs under `/desk/`. Reads the page's files."""
    config = desk_config(settings)
    body = msgspec.json.encode(config)

    async def show_config(_: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-cache"}
        return web.Response(body=body, content_type="application/json", headers=headers)

    page = StaticPage(FILES, "desk", connect_to=_origins(config.realtime_url))
    return [web.get("/desk/config.json", show_config), *page.routes()]


def _origins(url: str) -> tuple[str, ...]:
    """What the page must be allowed to connect to besides its own host."""
    parts = urlsplit(url)
    if not parts.netloc:
        return ()
    return (f"{parts.scheme.replace('http', 'ws')}://{parts.netloc}",)
