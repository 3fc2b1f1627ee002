"""The client of the model: what is sent, what is read, and which failure is which."""

from __future__ import annotations

import subprocess
import sys
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from frostdesk.assistant.model import Model, ToolsRefusedError
from frostdesk.assistant.tools import TOOLS
from frostdesk.errors import GiveUpError, TryAgainError
from tests.assistant.scripted import (
    HELLO,
    Answer,
    ScriptedServer,
    asks,
    body,
    calls,
    complete,
    cuts,
    fails,
    failure,
    hangs_up,
    message,
    says,
    stalls,
)


async def test_a_call_is_one_request(model: Model, server: ScriptedServer) -> None:
    """A call sends model, messages and the key once, without tools if none are offered."""
    server.script(says("Hello"))

    await complete(model)

    assert server.bodies == [{"model": "small", "messages": HELLO}]
    assert server.headers[0]["Authorization"] == "Bearer sk-invented"


async def test_tools_are_offered(model: Model, server: ScriptedServer) -> None:
    """Tools go along with the choice left to the model."""
    server.script(says("Hello"))

    await complete(model, TOOLS)

    assert server.bodies[0]["tools"] == TOOLS
    assert server.bodies[0]["tool_choice"] == "auto"


async def test_words_are_read(model: Model, server: ScriptedServer) -> None:
    """Words and tokens are read, and the message can go back into the history."""
    server.script(says("Hello"))

    completion = await complete(model)

    assert completion.text == "Hello"
    assert completion.tool_calls == ()
    assert (completion.input_tokens, completion.output_tokens) == (100, 20)
    assert completion.raw_message == {"role": "assistant", "content": "Hello"}


async def test_tool_calls_are_read(model: Model, server: ScriptedServer) -> None:
    """Tool calls are read with id, name and decoded arguments."""
    server.script(calls(asks("2027-01-15", "14:30", 90)))

    (call,) = (await complete(model, TOOLS)).tool_calls

    assert (call.id, call.name) == ("call_1", "propose_booking")
    assert call.arguments == asks("2027-01-15", "14:30", 90)


@pytest.mark.parametrize("content", [None, "", "  \n", 7, ["text"]])
async def test_no_words_are_none(model: Model, server: ScriptedServer, content: Any) -> None:
    """Content that is empty or no text is no words, and no failure."""
    server.script(message({"role": "assistant", "content": content}))

    assert (await complete(model)).text is None


@pytest.mark.parametrize(
    "tool_calls",
    [
        [{}],
        [7],
        [{"id": None, "function": None}],
        [{"function": {"name": 3, "arguments": "{"}}],
        [{"function": {"arguments": "[1]"}}],
        [{"function": {"arguments": "[" * 5000}}],
    ],
)
async def test_a_malformed_tool_call_is_kept(
    model: Model, server: ScriptedServer, tool_calls: Any
) -> None:
    """A malformed tool call comes back whole, with an id to answer it by and `{}` as arguments."""
    server.script(message({"role": "assistant", "content": None, "tool_calls": tool_calls}))

    completion = await complete(model)

    assert [call.arguments for call in completion.tool_calls] == [None]
    (raw,) = completion.raw_message["tool_calls"]
    assert raw["id"] == completion.tool_calls[0].id == "call_1"
    assert raw["type"] == "function"
    assert raw["function"]["arguments"] == "{}"


async def test_tool_calls_that_are_no_list_are_none(model: Model, server: ScriptedServer) -> None:
    """Something else in the place of the tool calls is no call."""
    server.script(message({"role": "assistant", "content": "Hi", "tool_calls": "propose"}))

    assert (await complete(model)).tool_calls == ()


async def test_arguments_may_be_an_object(model: Model, server: ScriptedServer) -> None:
    """Arguments that a server sends as an object are read, and go back as a string."""
    call = {"id": "a", "function": {"name": "propose_booking", "arguments": {"time": "14:30"}}}
    server.script(message({"content": None, "tool_calls": [call]}))

    completion = await complete(model)

    assert completion.tool_calls[0].arguments == {"time": "14:30"}
    raw = completion.raw_message["tool_calls"][0]["function"]["arguments"]
    assert raw == '{"time":"14:30"}'


async def test_unknown_fields_of_a_tool_call_go_back(model: Model, server: ScriptedServer) -> None:
    """What a server adds to a tool call stands in the history that it gets back."""
    call = {"id": "a", "function": {"name": "x", "arguments": "{}"}, "extra_content": {"s": 1}}
    server.script(message({"content": None, "tool_calls": [call]}))

    assert (await complete(model)).raw_message["tool_calls"][0]["extra_content"] == {"s": 1}


@pytest.mark.parametrize("raw", [rb"a\ud800b", rb"a\u0000b"])
async def test_texts_are_storable(model: Model, server: ScriptedServer, raw: bytes) -> None:
    """NUL and lone surrogates in the model's words become U+FFFD."""
    server.script(body(b'{"choices": [{"message": {"content": "' + raw + b'"}}]}'))

    assert (await complete(model)).text == "a\ufffdb"


async def test_whole_surrogate_pairs_survive(model: Model, server: ScriptedServer) -> None:
    """A pair beside a lone surrogate stays the character that it is."""
    server.script(body(rb'{"choices": [{"message": {"content": "\ud83c\udfbf \udc00"}}]}'))

    assert (await complete(model)).text == "\N{SKI AND SKI BOOT} \ufffd"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            [{"type": "text", "text": "Good "}, {"type": "text", "text": "morning!"}],
            "Good morning!",
        ),
        ([{"type": "refusal", "refusal": "No."}, "loose", None], None),
        ([], None),
    ],
)
async def test_texts_in_parts_are_joined(
    model: Model, server: ScriptedServer, content: Any, text: str | None
) -> None:
    """Some servers answer with a list of parts, as requests have it."""
    server.script(body({"choices": [{"message": {"content": content}}]}))

    assert (await complete(model)).text == text


@pytest.mark.parametrize("usage", [None, "many", {"prompt_tokens": "3"}, {"prompt_tokens": -3}])
async def test_odd_usage_counts_nothing(model: Model, server: ScriptedServer, usage: Any) -> None:
    """Tokens that a server does not count properly are 0."""
    server.script(body({"choices": [{"message": {"content": "Hi"}}], "usage": usage}))

    assert (await complete(model)).input_tokens == 0


@pytest.mark.parametrize(
    "answer",
    [
        body(b""),
        body(b"<html>"),
        body(b'{"choices": ['),
        body(b'{"choices": "\xff"}'),
        body(b"[" * 100_000),
        body({"choices": []}),
        body({"choices": [{}]}),
        body({"choices": [{"message": "hi"}]}),
        body({"error": {"message": "overloaded"}}),
        body([1]),
        cuts,
        hangs_up,
        fails(408),
        fails(429),
        fails(500),
        fails(503),
        body(b"<html>", status=502),
    ],
)
async def test_what_may_pass_is_tried_again(
    model: Model, server: ScriptedServer, answer: Answer
) -> None:
    """Lost connections, 408, 429, 5xx and unreadable answers may pass."""
    server.script(answer)

    error = await failure(model)

    assert isinstance(error, TryAgainError)
    assert len(server.bodies) == 1


async def test_an_answer_that_does_not_come_is_tried_again(
    base_url: str, server: ScriptedServer
) -> None:
    """A time-out may pass, too: the error says how long was waited for one request."""
    server.script(stalls)
    async with aiohttp.ClientSession() as session:
        impatient = Model(session, api_key="sk-invented", base_url=base_url, name="m", timeout=0.5)
        error = await failure(impatient)

    assert isinstance(error, TryAgainError)
    assert "0.5 s" in str(error)
    assert len(server.bodies) <= 1  # none, if the machine stood still before it had left


async def test_a_refused_connection_may_pass() -> None:
    """A server that is not there is named, and tried again."""
    base_url = f"http://127.0.0.1:{unused_port()}/v1"
    async with aiohttp.ClientSession() as session:
        error = await failure(Model(session, api_key="sk-invented", base_url=base_url, name="m"))

    assert isinstance(error, TryAgainError)
    assert "127.0.0.1" in str(error)
    assert "OPENAI_BASE_URL" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        fails(400, type=[1], code={"a": 1}),
        fails(400, code=7, param=""),
        body({"error": "no"}, status=400, content_type="application/json; charset=rot13"),
        body(b"\xff\xfe", status=400, content_type="text/plain; charset=utf-16"),
        body([], status=400),
    ],
)
async def test_odd_refusals_stay(model: Model, server: ScriptedServer, answer: Answer) -> None:
    """An error that is not as documented is still a refusal."""
    server.script(answer)

    assert isinstance(await failure(model), GiveUpError)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
async def test_other_refusals_stay(model: Model, server: ScriptedServer, status: int) -> None:
    """Other 4xx answers will not pass."""
    server.script(fails(status))

    error = await failure(model)

    assert isinstance(error, GiveUpError)
    assert str(status) in str(error)


async def test_a_refused_key_says_what_to_check(model: Model, server: ScriptedServer) -> None:
    """A refused key names the variable that holds it."""
    server.script(fails(401, code="invalid_api_key"))

    error = str(await failure(model))

    assert "OPENAI_API_KEY" in error
    assert "invalid_api_key" in error


async def test_an_empty_account_stays(model: Model, server: ScriptedServer) -> None:
    """A 429 about the account's credit is no rate limit: waiting does not fill it."""
    server.script(fails(429, code="insufficient_quota", type="insufficient_quota"))

    error = await failure(model)

    assert isinstance(error, GiveUpError)
    assert "credit" in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "7", "retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": "soon"}, None),
    ],
)
async def test_the_asked_wait_is_known(
    model: Model, server: ScriptedServer, headers: dict[str, str], seconds: float | None
) -> None:
    """How long a server asks to wait is known in seconds, the finer header first."""
    server.script(body({"error": {}}, status=429, headers=headers))

    error = await failure(model)

    assert isinstance(error, TryAgainError)
    assert error.after == seconds


async def test_the_asked_wait_may_be_a_date(model: Model, server: ScriptedServer) -> None:
    """A server may ask to wait until a moment."""
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.script(body({"error": {}}, status=503, headers={"Retry-After": moment}))

    error = await failure(model)

    assert isinstance(error, TryAgainError)
    assert error.after is not None
    assert 20 < error.after <= 30


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "this model does not support tools"),
        (400, '"auto" tool choice requires a parser'),
        (404, "No endpoints found that support tool use."),
        (422, "functions are not supported"),
        (500, "tools param requires a template"),
    ],
)
async def test_refused_tools_are_a_case_of_their_own(
    model: Model, server: ScriptedServer, status: int, words: str
) -> None:
    """A server that takes no tools is told apart from other refusals."""
    server.script(fails(status, words))

    assert isinstance(await failure(model, TOOLS), ToolsRefusedError)


@pytest.mark.parametrize("status", [401, 429])
async def test_other_errors_may_mention_tools(
    model: Model, server: ScriptedServer, status: int
) -> None:
    """A refused key or a rate limit is itself, whatever its words."""
    server.script(fails(status, "tools"))

    assert not isinstance(await failure(model, TOOLS), ToolsRefusedError)


async def test_tools_cannot_be_refused_unoffered(model: Model, server: ScriptedServer) -> None:
    """Without tools in the request, a word about tools is an ordinary refusal."""
    server.script(fails(400, "tools"))

    assert not isinstance(await failure(model), ToolsRefusedError)


@pytest.mark.parametrize("answer", [cuts, fails(401), fails(429), fails(500), body(b"?")])
async def test_errors_keep_secrets(model: Model, server: ScriptedServer, answer: Answer) -> None:
    """No error, nor what a log would print of it, repeats the key or the messages."""
    server.script(answer)

    printed = "".join(traceback.format_exception(await failure(model)))

    assert "sk-invented" not in printed
    assert "knee" not in printed


async def test_server_words_are_not_repeated(model: Model, server: ScriptedServer) -> None:
    """What the server quotes, in its words or its fields, does not reach the error."""
    server.script(fails(400, "bad: A secret about my knee", code="A secret about my knee"))

    printed = "".join(traceback.format_exception(await failure(model)))

    assert "knee" not in printed


async def test_the_key_is_not_shown(model: Model) -> None:
    """A model's representation tells its name and no key."""
    assert repr(model) == "Model(name='small')"


def test_importing_is_cheap() -> None:
    """Whoever imports the assistant without making a model does not pay for `openai`."""
    code = "import sys, frostdesk.assistant.reply; sys.exit('openai' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
