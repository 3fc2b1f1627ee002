"""A scripted model server, and the real client on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from frostdesk.assistant.model import Model
from tests.assistant.scripted import ScriptedServer


@pytest.fixture
async def server() -> ScriptedServer:
    """The script and the record of the server that `model` talks to."""
    return ScriptedServer()


@pytest.fixture
async def base_url(server: ScriptedServer, aiohttp_server: AiohttpServer) -> str:
    """Where that server listens."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    http = await aiohttp_server(app)
    return str(http.make_url("/v1"))


@pytest.fixture
async def model(base_url: str) -> AsyncIterator[Model]:
    """A model at that server, which is waited for as long as the service does."""
    async with aiohttp.ClientSession() as session:
        yield Model(session, api_key="sk-invented", base_url=base_url, name="small")
