"""The simulated WhatsApp: an HTTP server that speaks the Graph API and delivers webhooks.

It takes sends at `POST /{version}/{phone_number_id}/messages` (Meta's Cloud API reference,
"Messages"), keeps what each customer received, and posts signed webhooks to the service. What
people and tests do with it is under `/_…`: see `controls` for the customers' phones and the faults.
`/` is a page that plays the customers.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from frostdesk.simulators import webhooks
from frostdesk.simulators.controls import add_controls
from frostdesk.simulators.graph import GraphError, ReadMark, TextMessage, parse_send
from frostdesk.simulators.phones import Customer, Send
from frostdesk.simulators.serving import (
    Fault,
    answer_json,
    drop_connection,
    is_gone,
    new_app,
    pause,
)
from frostdesk.simulators.state import STATE, State, WhatsAppSettings
from frostdesk.static_page import StaticPage

__all__ = ["WhatsAppSettings", "create_whatsapp_app"]

PHONE = Path(__file__).with_name("phone")


def create_whatsapp_app(settings: WhatsAppSettings) -> web.Application:
    """The simulated WhatsApp, ready to be served. Its Graph API is at `/v23.0`, or any version."""
    app = new_app()
    app[STATE] = State(settings)
    app.cleanup_ctx.append(_deliver_webhooks)
    app.router.add_post(r"/{version:v\d+\.\d+}/{phone_number_id}/messages", _send)
    app.router.add_get(r"/{version:v\d+\.\d+}/{phone_number_id}", _show_number)
    add_controls(app)
    app.add_routes(StaticPage(PHONE, "phone").routes())
    return app


async def _deliver_webhooks(app: web.Application) -> AsyncIterator[None]:
    delivering = asyncio.create_task(app[STATE].outbox.run())
    yield
    delivering.cancel()
    with suppress(asyncio.CancelledError):
        await delivering


def _check(request: web.Request) -> str:
    """The business number that is meant. Raises GraphError for a wrong token or number."""
    settings = request.app[STATE].settings
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, f"Bearer {settings.token}".encode()):
        raise GraphError(190, "The access token is not the one that this simulator expects.")
    number = request.match_info["phone_number_id"]
    if number not in settings.phone_number_ids:
        raise GraphError(100, f"Object with ID '{number}' does not exist, or you may not see it.")
    return number


async def _show_number(request: web.Request) -> web.Response:
    """`GET /{version}/{phone_number_id}`: the business number."""
    try:
        number = _check(request)
    except GraphError as error:
        return answer_json(error.body(), status=error.status)
    return answer_json(
        {
            "id": number,
            "display_phone_number": webhooks.DISPLAY_PHONE_NUMBER,
            "verified_name": "Simulated ski school",
        }
    )


async def _send(request: web.Request) -> web.Response:
    """`POST /{version}/{phone_number_id}/messages`: a text, or a mark that one was read."""
    state = request.app[STATE]
    try:
        number = _check(request)
        sent = parse_send(await request.read())
        if isinstance(sent, ReadMark):
            return _mark_read(state, sent)
        await pause(request, state.control.latency)
        return await _take(request, number, sent)
    except GraphError as error:
        return answer_json(error.body(), status=error.status)


def _mark_read(state: State, mark: ReadMark) -> web.Response:
    state.read_marks.append(mark)
    if message := state.phones.own(mark.message_id):
        message.ticks = "read"
    return answer_json({"success": True})


async def _take(request: web.Request, number: str, text: TextMessage) -> web.Response:
    """Take a text, unless the next fault has it otherwise."""
    state = request.app[STATE]
    fault = state.next_fault() or Fault("")
    match fault.kind:
        case "500" | "503" | "429" | "code":
            return _refuse(fault)
        case "garbage":
            return web.Response(body=b"<html>Bad gate\xff", content_type="text/html")
        case "stall":
            await pause(request, fault.number)
    if fault.kind == "cut" or is_gone(request):
        return drop_connection(request)
    code = int(fault.number) if fault.kind == "fails" else None
    send = _accept(state, number, text, error_code=code)
    if fault.kind in ("accepted_then_stall", "accepted_then_cut"):
        await pause(request, fault.number)
    return drop_connection(request) if fault.kind == "accepted_then_cut" else _accepted(send)


def _refuse(fault: Fault) -> web.Response:
    """The refusal that a fault asks for."""
    if fault.kind == "code":
        code, _, status = fault.argument.partition(":")
        error = GraphError(int(code), "The simulator was told to.", status=int(status or 0))
    else:
        code_of_status = {"429": 130429, "503": 131016}
        error = GraphError(
            code_of_status.get(fault.kind, 131000),
            "The simulator was told to.",
            status=int(fault.kind),
        )
    wait = {"Retry-After": fault.argument} if fault.kind == "429" and fault.argument else None
    return answer_json(error.body(), status=error.status, headers=wait)


def _accepted(send: Send) -> web.Response:
    text = send.message
    person: dict[str, Any] = (
        {"input": text.to, "wa_id": text.to.lstrip("+")}
        if text.to
        else {"input": text.recipient, "user_id": text.recipient}
    )
    return answer_json(
        {"messaging_product": "whatsapp", "contacts": [person], "messages": [{"id": send.id}]}
    )


def _accept(state: State, number: str, text: TextMessage, *, error_code: int | None = None) -> Send:
    """Take a text over, and have its statuses follow."""
    send = state.phones.accept(number, text, error_code=error_code)
    customer = state.phones.customers.get(send.customer or "")
    if customer:
        steps = ("failed",) if send.error_code else ("sent", "delivered", "read")
        _schedule(state, send, customer, steps)
    return send


def _schedule(state: State, send: Send, customer: Customer, steps: tuple[str, ...]) -> None:
    """Take the first step in a moment, and the others after it."""
    loop = asyncio.get_running_loop()
    loop.call_later(state.settings.tick_after, _step, state, send, customer, steps)


def _step(state: State, send: Send, customer: Customer, steps: tuple[str, ...]) -> None:
    name, *later = steps
    if name == "read" and not state.control.read:
        return
    state.phones.tick(send, name)
    if state.control.statuses:
        item = webhooks.Item(
            phone_number_id=send.phone_number_id,
            statuses=(webhooks.status(send, customer, name),),
        )
        state.outbox.put(item)
    if later:
        _schedule(state, send, customer, tuple(later))
