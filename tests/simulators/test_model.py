"""The simulated model over HTTP, through OpenAI's own client too."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from frostdesk.simulators.model import ModelSettings, create_model_app
from tests.support.waiting import until

Client = TestClient[Any, Any]
REQUEST: dict[str, Any] = {
    "model": "gpt-5-mini",
    "messages": [
        {"role": "system", "content": "Today is Friday 2027-01-15."},
        {"role": "user", "content": "Saturday at 10 for two hours"},
    ],
}
TOOL: Any = {
    "type": "function",
    "function": {"name": "propose_booking", "parameters": {"type": "object", "properties": {}}},
}
KEY = {"Authorization": "Bearer key"}


@pytest.fixture
async def model(aiohttp_client: AiohttpClient) -> Client:
    """A simulated model that expects the key `key`."""
    return await aiohttp_client(create_model_app(ModelSettings(api_key="key")))


@pytest.fixture
async def client(model: Client) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client of that model, without retries of its own."""
    base_url = str(model.make_url("/v1"))
    async with openai.AsyncOpenAI(api_key="key", base_url=base_url, max_retries=0) as client:
        yield client


async def ask(client: Client, /, **fields: Any) -> tuple[int, Any]:
    """Status and body of the answer to a request that is good but for `fields`."""
    body = {**REQUEST, **fields}
    async with client.post("/v1/chat/completions", json=body, headers=KEY) as response:
        return response.status, await response.json()


async def fault(model: Client, *faults: Any, **settings: Any) -> None:
    """Tell the model to misbehave."""
    async with model.post("/_control", json={"faults": faults, **settings}) as response:
        assert response.status == 200


async def test_calls_the_tool(client: openai.AsyncOpenAI) -> None:
    """OpenAI's client reads a tool call, its id and the usage."""
    completion = await client.chat.completions.create(**REQUEST, tools=[TOOL])
    (choice,) = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "propose_booking"
    assert completion.usage
    assert completion.usage.total_tokens > 0


async def test_speaks_plainly_without_tools(client: openai.AsyncOpenAI) -> None:
    """OpenAI's client reads a text."""
    completion = await client.chat.completions.create(**REQUEST)
    assert completion.choices[0].finish_reason == "stop"
    assert "2027-01-16" in (completion.choices[0].message.content or "")


async def test_lists_its_model(client: openai.AsyncOpenAI) -> None:
    """OpenAI's client lists the models."""
    assert [m.id async for m in client.models.list()] == ["gpt-5-mini"]


async def test_needs_the_key(model: Client) -> None:
    """Without the right key nothing is answered."""
    async with openai.AsyncOpenAI(
        api_key="other", base_url=str(model.make_url("/v1")), max_retries=0
    ) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.chat.completions.create(**REQUEST)
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()


@pytest.mark.parametrize(
    "fields", [{"messages": []}, {"model": ""}, {"messages": "x"}, {"stream": True}]
)
async def test_refuses_bad_requests(model: Client, fields: dict[str, Any]) -> None:
    """A request that is no chat completion, or wants a stream, is refused in OpenAI's shape."""
    status, body = await ask(model, **fields)
    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"


async def test_faults_come_once_in_order(model: Client, client: openai.AsyncOpenAI) -> None:
    """Each fault meets one request; then the model is well again."""
    await fault(model, "500", "429:2", "empty", "long")
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(**REQUEST)
    with pytest.raises(openai.RateLimitError) as limited:
        await client.chat.completions.create(**REQUEST)
    assert limited.value.response.headers["Retry-After"] == "2"
    assert (await ask(model))[1]["choices"] == []
    assert len((await ask(model))[1]["choices"][0]["message"]["content"]) == 100_000
    assert (await ask(model))[0] == 200


async def test_garbage_and_cut(model: Client) -> None:
    """Garbage is no JSON; a cut breaks the connection inside the body."""
    await fault(model, "garbage", "cut")
    async with model.post("/v1/chat/completions", json=REQUEST, headers=KEY) as response:
        assert b"Bad gate" in await response.read()
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(model)


async def test_answers_word_for_word(model: Client) -> None:
    """A scripted turn is answered as it stands, invalid arguments included."""
    call = {"name": "propose_booking", "arguments": "{not json"}
    await fault(model, {"text": "Hm", "calls": [call, call]})
    message = (await ask(model))[1]["choices"][0]["message"]
    assert message["content"] == "Hm"
    assert [c["function"] for c in message["tool_calls"]] == [call, call]


async def test_knows_no_tools_if_told(model: Client) -> None:
    """With `no_tools`, the tool is offered in vain."""
    await fault(model, no_tools=True)
    assert (await ask(model, tools=[TOOL]))[1]["choices"][0]["finish_reason"] == "stop"


async def test_latency(model: Client) -> None:
    """Latency delays every answer."""
    await fault(model, latency=0.1)
    before = time.monotonic()
    await ask(model)
    assert time.monotonic() - before >= 0.1


async def test_shutdown_ends_a_stall(model: Client) -> None:
    """A stalled request does not hold the server up when it stops."""
    await fault(model, "stall:60")
    stalled = asyncio.create_task(ask(model))

    async def came() -> bool:
        return bool((await (await model.get("/_control")).json())["requests"])

    await until(came)
    async with asyncio.timeout(5):
        await model.server.close()
        await asyncio.wait([stalled])
    assert stalled.done()
    stalled.exception()


async def test_control(model: Client) -> None:
    """The control shows what came in, refuses unknown faults, and can be reset."""
    await ask(model)
    shown = await (await model.get("/_control")).json()
    assert (shown["requests"], shown["answered"]) == (1, 1)
    assert shown["newest"][0]["messages"] == REQUEST["messages"]
    for wrong in ({"faults": ["explode"]}, {"faults": ["stall"]}, {"speed": 3}, {"latency": "x"}):
        assert (await model.post("/_control", json=wrong)).status == 400
    assert (await model.delete("/_control")).status == 204
    assert (await (await model.get("/_control")).json())["newest"] == []
