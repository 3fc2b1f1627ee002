"""Clients that take their time get some, and then an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from frostdesk.api import app, bodies, connections
from frostdesk.api.app import serve
from tests.security.hostile import Crowd, crowd, head, say
from tests.support.desk import Api, api_settings
from tests.support.waiting import until

SHORT_SECONDS = 0.5


@pytest.fixture
async def api(
    database_url: str, redis_url: str, api_port: int, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Api]:
    """The API as `frostdesk serve` runs it, with little patience."""
    monkeypatch.setattr(app, "IDLE_SECONDS", 5 * SHORT_SECONDS)
    monkeypatch.setattr(bodies, "BODY_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr(connections, "WAITING_MOST", 10)
    settings = api_settings(database_url, redis_url)
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(msgspec.structs.replace(settings, port=api_port), stop))
    async with aiohttp.ClientSession() as session:
        api = Api(session, f"http://127.0.0.1:{api_port}")

        async def healthy() -> bool:
            try:
                await api.get("/health")
            except aiohttp.ClientError:
                return False
            return True

        await until(healthy)
        yield api
    stop.set()
    await serving


async def test_a_head_that_never_ends_is_ended(api: Api, api_port: int) -> None:
    """However much of it has come, and however often another byte comes."""
    async with crowd(api_port) as silent, crowd(api_port) as slow:
        await silent.grow(2)
        await slow.grow(2, b"GET /hea")
        await slow.grow(2, head("X: y")[:-2])

        async def ended() -> bool:
            await slow.dribble(b"x")
            return silent.standing() + slow.standing() == 0

        await until(ended)
    await api.get("/health")


async def test_a_body_that_never_ends_is_refused(api: Api, api_port: int) -> None:
    """The client is told that it was too slow; what it sends later is no new request."""
    for line in ("Content-Length: 100", "Transfer-Encoding: chunked"):
        answer = await say(api_port, head(line), b"5\r\nhello\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
    await api.get("/health")


async def test_too_many_that_wait_are_let_go(api: Api, api_port: int) -> None:
    """Those that came first; nobody waits for their time to run out."""
    async with crowd(api_port) as idle:
        await idle.grow(30)
        await until(lambda: _stand(idle, 10))
    await api.get("/health")


async def _stand(slow: Crowd, most: int) -> bool:
    return slow.standing() <= most


@pytest.mark.parametrize(("limit", "most"), [("BODIES_MOST", 1), ("ALL_BYTES", 150)])
async def test_the_oldest_body_makes_room(
    api: Api, api_port: int, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """Where unfinished bodies are too many, or too large together, the oldest is given up."""
    monkeypatch.setattr(bodies, "BODY_SECONDS", 60.0)
    monkeypatch.setattr(bodies, limit, most)
    half = head("Content-Length: 200") + b"x" * 100
    answers = [asyncio.create_task(say(api_port, half)) for _ in range(2)]
    done, waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
    assert [answer.result()[:12] for answer in done] == [b"HTTP/1.1 408"]
    for answer in waiting:
        answer.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await api.get("/health")
