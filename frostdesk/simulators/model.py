"""The simulated model: an HTTP server that speaks OpenAI's chat completions.

Source of the shapes: OpenAI's API reference, "Create chat completion", "List models", and its
guide to error codes.

`/_control` makes it misbehave: `POST` sets the fields given of `ModelControl`, `GET` shows them
with counters and the newest requests, `DELETE` resets everything. Faults are consumed one a
request, in order: `"500"` and `"503"`, `"429:2"` (asks to wait 2 s), `"400"`, `"garbage"` (no
JSON), `"empty"` (no choice), `"cut"` (the connection breaks inside the body), `"stall:30"`
(answers 30 s late), `"long"` (a text of 100,000 characters), or a turn to answer word for word,
`{"text": "Hello", "calls": [{"name": "propose_booking", "arguments": "{}"}]}`.
"""

from __future__ import annotations

import hmac
import time
from collections import deque
from http import HTTPStatus
from uuid import uuid4

import msgspec
from aiohttp import web

from frostdesk.simulators.brain import answer
from frostdesk.simulators.chat import ChatRequest, Turn
from frostdesk.simulators.serving import (
    Fault,
    answer_json,
    bad_request,
    drop_connection,
    new_app,
    parse_fault,
    pause,
    read_json,
)

FAULTS = frozenset({"500", "503", "429", "400", "garbage", "empty", "cut", "stall:", "long"})
LONG = 100_000
"""Characters of a long answer."""

CHARACTERS_A_TOKEN = 4
"""What a token is counted as; the usage is an estimate."""


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is set up. Without an `api_key`, any is good."""

    api_key: str = ""
    model: str = "gpt-5-mini"
    kept_requests: int = 100


class ModelControl(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How it behaves now. `latency` is in seconds; with `no_tools` it knows no tools."""

    latency: float = 0.0
    no_tools: bool = False
    faults: list[str | Turn] = []


class _Change(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields of `ModelControl` to set; the others stay."""

    latency: float | msgspec.UnsetType = msgspec.UNSET
    no_tools: bool | msgspec.UnsetType = msgspec.UNSET
    faults: list[str | Turn] | msgspec.UnsetType = msgspec.UNSET


class _State:
    """What the server remembers."""

    def __init__(self, kept: int) -> None:
        self.newest: deque[msgspec.Raw] = deque(maxlen=kept)
        self.reset()

    def reset(self) -> None:
        self.control = ModelControl()
        self.requests = 0
        self.answered = 0
        self.newest.clear()

    def next_fault(self) -> Fault | Turn | None:
        if not self.control.faults:
            return None
        first = self.control.faults.pop(0)
        return first if isinstance(first, Turn) else parse_fault(first, FAULTS)


SETTINGS = web.AppKey("model_settings", ModelSettings)
STATE = web.AppKey("model_state", _State)


def create_model_app(settings: ModelSettings) -> web.Application:
    """The simulated model, ready to be served. Its base URL is any path, such as `/v1`."""
    app = new_app()
    app[SETTINGS] = settings
    app[STATE] = _State(settings.kept_requests)
    app.router.add_post("/_control", _set_control)
    app.router.add_get("/_control", _show_control)
    app.router.add_delete("/_control", _reset_control)
    app.router.add_post("/{prefix:.*}chat/completions", _complete)
    app.router.add_get("/{prefix:.*}models", _list_models)
    return app


def _refuse(status: int, message: str, *, code: str | None = None, after: str = "") -> web.Response:
    """An error in OpenAI's shape."""
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    headers = {"Retry-After": after} if after else None
    return answer_json({"error": error}, status=status, headers=headers)


def _is_authorized(request: web.Request) -> bool:
    key = request.app[SETTINGS].api_key
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    return not key or hmac.compare_digest(given, f"Bearer {key}".encode())


async def _list_models(request: web.Request) -> web.Response:
    """`GET /v1/models`."""
    if not _is_authorized(request):
        return _refuse(401, "Incorrect API key provided.", code="invalid_api_key")
    model = request.app[SETTINGS].model
    entry = {"id": model, "object": "model", "created": 0, "owned_by": "simulator"}
    return answer_json({"object": "list", "data": [entry]})


async def _complete(request: web.Request) -> web.StreamResponse:
    """`POST /v1/chat/completions`."""
    state = request.app[STATE]
    state.requests += 1
    if not _is_authorized(request):
        return _refuse(401, "Incorrect API key provided.", code="invalid_api_key")
    body = await request.read()
    try:
        chat = msgspec.json.decode(body, type=ChatRequest)
    except (msgspec.MsgspecError, ValueError) as error:
        return _refuse(400, f"The request is not a chat completion: {error}")
    state.newest.append(msgspec.Raw(body))
    if chat.stream:
        return _refuse(400, "This model does not stream: leave `stream` out or set it to false.")
    return await _respond(request, chat)


async def _respond(request: web.Request, chat: ChatRequest) -> web.StreamResponse:
    """The next fault, if one waits, else what the model has to say."""
    state = request.app[STATE]
    fault = state.next_fault()
    await pause(request, state.control.latency)
    if isinstance(fault, Fault):
        if fault.kind not in ("stall", "long"):
            return await _misbehave(request, fault)
        await pause(request, fault.number if fault.kind == "stall" else 0)
    state.answered += 1
    return answer_json(_completion(chat, _turn(chat, fault, state.control)))


def _turn(chat: ChatRequest, fault: Fault | Turn | None, control: ModelControl) -> Turn:
    if isinstance(fault, Turn):
        return fault
    if fault and fault.kind == "long":
        return Turn(("Fresh snow on every slope. " * LONG)[:LONG])
    return answer(msgspec.structs.replace(chat, tools=None) if control.no_tools else chat)


async def _misbehave(request: web.Request, fault: Fault) -> web.StreamResponse:
    match fault.kind:
        case "429":
            after = fault.argument
            return _refuse(429, "Rate limit reached.", code="rate_limit_exceeded", after=after)
        case "garbage":
            return web.Response(body=b"<html>Bad gate\xff", content_type="text/html")
        case "empty":
            return answer_json({"id": "chatcmpl-0", "object": "chat.completion", "choices": []})
        case "cut":
            return await _cut(request)
        case _:
            return _refuse(int(fault.kind), f"The simulated model was told to answer {fault.kind}.")


async def _cut(request: web.Request) -> web.StreamResponse:
    """Break the connection after half of a body."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = 1000
    await response.prepare(request)
    await response.write(b'{"id": "chatcmpl-0", "choices": [{"ind')
    return drop_connection(request)


def _completion(chat: ChatRequest, turn: Turn) -> dict[str, object]:
    """The turn as a chat completion."""
    calls = [
        {"id": f"call_{uuid4().hex}", "type": "function", "function": call} for call in turn.calls
    ]
    message = {"role": "assistant", "content": turn.text, "refusal": None}
    choice = {
        "index": 0,
        "message": {**message, "tool_calls": calls} if calls else message,
        "finish_reason": "tool_calls" if calls else "stop",
        "logprobs": None,
    }
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": chat.model,
        "choices": [choice],
        "usage": _usage(chat, turn),
    }


def _usage(chat: ChatRequest, turn: Turn) -> dict[str, int]:
    prompt = sum(len(m.text) for m in chat.messages) // CHARACTERS_A_TOKEN + 1
    said = len(turn.text or "") + sum(len(call.arguments) for call in turn.calls)
    completion = said // CHARACTERS_A_TOKEN + 1
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


async def _set_control(request: web.Request) -> web.Response:
    """`POST /_control`: set the fields given. Faults given replace those that wait."""
    change = await read_json(request, _Change)
    given = {k: v for k, v in msgspec.structs.asdict(change).items() if v is not msgspec.UNSET}
    try:
        for fault in given.get("faults", ()):
            if isinstance(fault, str):
                parse_fault(fault, FAULTS)
    except ValueError as error:
        raise bad_request(str(error)) from error
    state = request.app[STATE]
    state.control = msgspec.structs.replace(state.control, **given)
    return await _show_control(request)


async def _show_control(request: web.Request) -> web.Response:
    """`GET /_control`: the behaviour, how many requests came and were answered, the newest."""
    state = request.app[STATE]
    return answer_json(
        {
            "control": state.control,
            "requests": state.requests,
            "answered": state.answered,
            "newest": list(state.newest),
        }
    )


async def _reset_control(request: web.Request) -> web.Response:
    """`DELETE /_control`: as after the start."""
    request.app[STATE].reset()
    return web.Response(status=204)
