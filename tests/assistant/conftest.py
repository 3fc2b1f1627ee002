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
async def model(server: ScriptedServer, aiohttp_server: AiohttpServer) -> AsyncIterator[Model]:
    """A model at that server."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    http = await aiohttp_server(app)
    base_url = str(http.make_url("/v1"))
    async with aiohttp.ClientSession() as session:
        yield Model(session, api_key="sk-invented", base_url=base_url, name="small", timeout=0.5)
