"""A person takes over: the instructor writes, pauses the assistant, and lets it go on."""

from __future__ import annotations

from uuid import uuid4

import msgspec
from aiohttp import web

from frostdesk.api.answers import json_answer
from frostdesk.api.keys import DOORBELL, POOL, STORE
from frostdesk.api.requests import path_id, read_body
from frostdesk.errors import RefusedError
from frostdesk.instructor import takeover
from frostdesk.store import reading


class Words(msgspec.Struct, frozen=True):
    """What the instructor writes to the customer."""

    text: str


async def write(request: web.Request) -> web.Response:
    """Write to the customer; answers the message, 201. `Idempotency-Key` makes it repeatable."""
    conversation_id = path_id(request, "conversation")
    body = await read_body(request)
    try:
        words = msgspec.json.decode(body, type=Words)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RefusedError('The body has to be JSON such as {"text": "See you at ten."}') from error
    app = request.app
    message_id, jobs = await takeover.write(
        app[POOL],
        app[STORE],
        conversation_id,
        text=words.text,
        key=request.headers.get("Idempotency-Key") or uuid4().hex,
    )
    app[DOORBELL].ring(*jobs)
    return json_answer(await reading.get_message(app[POOL], message_id), status=201)


async def pause(request: web.Request) -> web.Response:
    """Keep the assistant from answering; answers the conversation."""
    conversation_id = path_id(request, "conversation")
    await takeover.pause(request.app[POOL], request.app[STORE], conversation_id)
    return json_answer(await reading.get_conversation(request.app[POOL], conversation_id))


async def resume(request: web.Request) -> web.Response:
    """Let the assistant answer again; answers the conversation."""
    conversation_id = path_id(request, "conversation")
    app = request.app
    app[DOORBELL].ring(*await takeover.resume(app[POOL], app[STORE], conversation_id))
    return json_answer(await reading.get_conversation(app[POOL], conversation_id))
