"""The way to a model's server: what goes out, by which way, and how an answer may come packed."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from frostdesk.assistant.model import Model
from frostdesk.errors import GiveUpError, TryAgainError
from tests.assistant.scripted import ScriptedServer, body, complete, fails, failure, packed, says


async def test_a_call_is_signed_and_named(model: Model, server: ScriptedServer) -> None:
    """The key, what is sent and what is wanted stand in the headers, and who asks."""
    server.script(says("Hi!"))

    await complete(model)

    sent = server.headers[0]
    assert sent["Authorization"] == "Bearer sk-invented"
    assert sent["Content-Type"] == sent["Accept"] == "application/json"
    assert sent["User-Agent"].startswith("AsyncOpenAI/Python")
    assert int(sent["Content-Length"]) > 0


async def test_a_packed_answer_is_read(model: Model, server: ScriptedServer) -> None:
    """A server may pack what it answers; its refusals too."""
    server.script(packed(says("Hi!")), packed(fails(400, "unknown", code="unknown_parameter")))

    assert (await complete(model)).text == "Hi!"
    assert "unknown_parameter" in str(await failure(model))


async def test_a_base_url_may_be_a_host_alone(
    server: ScriptedServer, aiohttp_server: AiohttpServer
) -> None:
    """The path is joined to it, not to the host's name."""
    app = web.Application()
    app.router.add_post("/chat/completions", server.answer)
    http = await aiohttp_server(app)
    server.script(says("Hi!"))

    async with aiohttp.ClientSession() as session:
        base_url = f"http://127.0.0.1:{http.port}"
        model = Model(session, api_key="sk-invented", base_url=base_url, name="m")
        assert (await complete(model)).text == "Hi!"


async def test_a_proxy_of_the_environment_is_used(
    server: ScriptedServer, aiohttp_server: AiohttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As other programs of the same machine reach the network, unless the host is exempt."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    http = await aiohttp_server(app)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{http.port}")
    server.script(says("Hi!"))

    async with aiohttp.ClientSession() as session:
        far = Model(session, api_key="k", base_url="http://model.invalid/v1", name="m")
        assert (await complete(far)).text == "Hi!"
        monkeypatch.setenv("no_proxy", "model.invalid")
        direct = Model(session, api_key="k", base_url="http://model.invalid/v1", name="m")
        assert isinstance(await failure(direct), TryAgainError)
    assert server.headers[0]["Host"] == "model.invalid"
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [301, 307])
async def test_a_redirect_is_not_followed(
    model: Model, server: ScriptedServer, status: int
) -> None:
    """A customer's words go to no address that nobody has configured."""
    server.script(body({}, status=status, headers={"Location": "/v1/chat/completions"}))

    error = await failure(model)

    assert isinstance(error, GiveUpError)
    assert "OPENAI_BASE_URL" in str(error)
    assert len(server.bodies) == 1
