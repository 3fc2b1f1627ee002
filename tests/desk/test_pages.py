"""How the page is served: its policy, its caching, its types, its configuration."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pytest_aiohttp import AiohttpClient

from frostdesk.desk.pages import desk_config, desk_routes
from frostdesk.settings import Settings

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> Client:
    """Serves the page and nothing else."""
    app = web.Application()
    app.add_routes(desk_routes(Settings(timezone=ZoneInfo("Europe/Vienna"))))
    return await aiohttp_client(app)


async def test_the_page_comes_with_a_strict_policy(client: Client) -> None:
    """Nothing inline, nothing from elsewhere, no frame around it, no guessing of types."""
    async with client.get("/") as page:
        policy = page.headers["Content-Security-Policy"]
        assert page.status == 200
        assert page.content_type == "text/html"
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"https?://", await page.text())


async def test_files_are_kept_for_ever_and_the_page_is_not(client: Client) -> None:
    """The page is asked for every time; what it names has an address that changes with it."""
    async with client.get("/") as page:
        assert page.headers["Cache-Control"] == "no-cache"
        files = re.findall(r'(?:href|src)="(/desk/[^"]+)"', await page.text())
    types = set()
    for file in files:
        async with client.get(file) as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]
            types.add(answer.content_type)
    assert types == {"text/css", "text/javascript", "image/svg+xml", "application/manifest+json"}


async def test_every_module_is_named_in_the_page(client: Client) -> None:
    """So that a slow network fetches them side by side and not one after the other."""
    async with client.get("/") as page:
        preloaded = set(re.findall(r'modulepreload" href="/desk/\w+/(\w+\.js)', await page.text()))
    async with client.get("/desk/any/app.js") as answer:
        imported = set(re.findall(r'from "\./(\w+\.js)"', await answer.text()))
    assert imported <= preloaded


async def test_a_file_that_is_known_is_not_sent_again(client: Client) -> None:
    """With its ETag a browser gets 304 and no body."""
    async with client.get("/") as page:
        etag = page.headers["ETag"]
    async with client.get("/", headers={"If-None-Match": etag}) as again:
        assert again.status == 304
        assert await again.read() == b""
        assert again.headers["ETag"] == etag


async def test_another_release_gets_the_file_but_may_not_keep_it(client: Client) -> None:
    """During an update a page of one release may meet a server of the other."""
    async with client.get("/desk/0123456789abcdef/app.js") as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/desk/x/nothing.js", "/desk/x/..%2fpages.py", "/desk/x/"])
async def test_there_is_nothing_but_the_files(client: Client, path: str) -> None:
    """Unknown names and ways out of the folder are 404."""
    async with client.get(path) as answer:
        assert answer.status == 404


async def test_the_configuration_of_a_desk_of_its_own(client: Client) -> None:
    """Without Supabase the page listens to this very service, in the business's time zone."""
    async with client.get("/desk/config.json") as answer:
        assert await answer.json() == {
            "timezone": "Europe/Vienna",
            "realtime_url": "/realtime/v1/websocket",
            "anon_key": None,
        }


async def test_the_customers_phone_is_served_by_the_simulator(
    simulated_whatsapp: TestServer,
) -> None:
    """It stands at the root of the simulated WhatsApp, under the same policy."""
    async with (
        TestClient[web.Request, web.Application](simulated_whatsapp) as client,
        client.get("/") as page,
    ):
        assert page.status == 200
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert "New customer" in await page.text()


async def test_with_supabase_the_page_may_connect_there(aiohttp_client: AiohttpClient) -> None:
    """The policy names Supabase's socket, and nothing else beside the page's own host."""
    settings = Settings(supabase_url="https://abc.example", supabase_anon_key="an-anon-key")
    app = web.Application()
    app.add_routes(desk_routes(settings))
    client = await aiohttp_client(app)
    async with client.get("/") as page:
        policy = page.headers["Content-Security-Policy"]
        assert "connect-src 'self' wss://abc.example;" in policy
    async with client.get("/desk/config.json") as answer:
        found = await answer.json()
    assert found["realtime_url"] == "https://abc.example/realtime/v1/websocket"
    assert found["anon_key"] == "an-anon-key"


def test_supabase_without_its_key_is_not_used() -> None:
    """The page then listens to this very service."""
    assert desk_config(Settings(supabase_url="https://abc.example")) == desk_config(Settings())
