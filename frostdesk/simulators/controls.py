"""What people and tests do with the simulated WhatsApp: the customers' phones, and its behaviour.

- `POST /_customers/{key}/messages` `{"text": "Hello", "name": "Ada"}`: the customer writes. `key`
  is the phone number, or the business-scoped id. See `Written` for what else can be said.
- `POST /_customers/{key}/edit` `{"message_id": …, "text": …}`, `…/delete` `{"message_id": …}`
- `GET /_customers`: everyone. `GET /_customers/{key}/messages`: the chat, as the phone shows it.
- `POST /_webhooks`: a list of message objects, delivered as they are in one webhook.
- `GET /_sends`: everything that was accepted. `GET /_read_marks`: what the business has read.
- `/_control`: `POST` sets the fields given of `WhatsAppControl` (faults given replace those that
  wait), `GET` shows them with counters, `DELETE` resets both.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from frostdesk.simulators import webhooks
from frostdesk.simulators.phones import ChatMessage, Customer, Introduction, new_wamid
from frostdesk.simulators.serving import (
    answer_json,
    bad_request,
    not_found,
    overloaded,
    parse_fault,
    read_json,
)
from frostdesk.simulators.state import FAULTS, STATE, State
from frostdesk.simulators.webhooks import Item


class Written(Introduction, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a customer writes: a `text`, or a `message` with its `type` and what belongs to it.

    With `no_phone` only the business-scoped `user_id` is told to the business. `timestamp` (Unix
    seconds) and `message_id` are made up unless given, `phone_number_id` is the first there is.
    """

    text: str | None = None
    message: dict[str, Any] | None = None
    message_id: str | None = None
    timestamp: int | None = None
    phone_number_id: str | None = None


class _Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    message_id: str
    text: str


class _Delete(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    message_id: str


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """What can be read of a message object that is delivered as given."""

    id: str
    timestamp: str
    wa_id: str = msgspec.field(default="", name="from")
    user_id: str | None = msgspec.field(default=None, name="from_user_id")


class _Change(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields of `WhatsAppControl` to set; the others stay."""

    latency: float | msgspec.UnsetType = msgspec.UNSET
    statuses: bool | msgspec.UnsetType = msgspec.UNSET
    read: bool | msgspec.UnsetType = msgspec.UNSET
    batch: int | msgspec.UnsetType = msgspec.UNSET
    duplicate_webhooks: bool | msgspec.UnsetType = msgspec.UNSET
    faults: list[str] | msgspec.UnsetType = msgspec.UNSET


def add_controls(app: web.Application) -> None:
    """Serve these routes beside the Graph API."""
    router = app.router
    router.add_get("/_customers", _list_customers)
    router.add_get("/_customers/{key}/messages", _show_chat)
    router.add_post("/_customers/{key}/messages", _write)
    router.add_post("/_customers/{key}/edit", _edit)
    router.add_post("/_customers/{key}/delete", _delete)
    router.add_post("/_webhooks", _deliver_as_given)
    router.add_get("/_sends", _list_sends)
    router.add_get("/_read_marks", _list_read_marks)
    router.add_get("/_control", _show_control)
    router.add_post("/_control", _set_control)
    router.add_delete("/_control", _reset_control)


def _customer(request: web.Request) -> Customer:
    key = request.match_info["key"]
    customer = request.app[STATE].phones.customers.get(key)
    if customer is None:
        raise not_found(f"No customer is called {key!r}. GET /_customers lists everyone.")
    return customer


def _own_message(request: web.Request, customer: Customer, message_id: str) -> ChatMessage:
    message = request.app[STATE].phones.own(message_id)
    if message is None or message not in customer.chat:
        raise not_found(f"{customer.key} has written no message {message_id!r}.")
    return message


def _number(state: State, wanted: str | None) -> str:
    """The business number that is written to."""
    known = state.settings.phone_number_ids
    if wanted is not None and wanted not in known:
        raise bad_request(f"{wanted!r} is no business number here. There are: {', '.join(known)}.")
    return wanted or known[0]


def _put(state: State, item: Item) -> None:
    if not state.outbox.put(item):
        raise overloaded("Too many webhooks wait to be taken: is the service running?")


async def _write(request: web.Request) -> web.Response:
    """The customer writes a message. Answers its id."""
    state = request.app[STATE]
    written = await read_json(request, Written)
    content = written.message or webhooks.text_content(written.text or "")
    if written.text is None and written.message is None:
        raise bad_request('Give a text, such as {"text": "Hello"}, or a message.')
    number = _number(state, written.phone_number_id)
    customer = state.phones.introduce(request.match_info["key"], written)
    message = ChatMessage(
        id=written.message_id or new_wamid(),
        by_customer=True,
        text=webhooks.shown_text(content),
        at=_time(written.timestamp),
    )
    state.phones.write(customer, message, phone_number_id=number)
    _put(state, _item(customer, message, number=number, content=content))
    return answer_json({"message_id": message.id, "user_id": customer.user_id}, status=202)


def _time(timestamp: int | None) -> datetime:
    try:
        return datetime.now(UTC) if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise bad_request(f"{timestamp} are no Unix seconds of a year up to 9999.") from error


def _item(
    customer: Customer, message: ChatMessage, *, number: str, content: dict[str, Any]
) -> Item:
    """The webhook item of a message. When it is taken, the phone shows a second tick."""

    def delivered() -> None:
        if message.ticks == "sent":
            message.ticks = "delivered"

    shown = webhooks.message(customer, message_id=message.id, at=message.at, content=content)
    return Item(
        phone_number_id=number,
        contacts=(webhooks.contact(customer),),
        messages=(shown,),
        delivered=delivered,
    )


async def _edit(request: web.Request) -> web.Response:
    """The customer changes a message."""
    edit = await read_json(request, _Edit)
    customer = _customer(request)
    message = _own_message(request, customer, edit.message_id)
    message.text, message.edited = edit.text, True
    return _follow_up(request, customer, webhooks.edit_content(edit.message_id, edit.text))


async def _delete(request: web.Request) -> web.Response:
    """The customer takes a message back."""
    delete = await read_json(request, _Delete)
    customer = _customer(request)
    message = _own_message(request, customer, delete.message_id)
    message.text, message.deleted = "", True
    return _follow_up(request, customer, webhooks.revoke_content(delete.message_id))


def _follow_up(request: web.Request, customer: Customer, content: dict[str, Any]) -> web.Response:
    """Report what the customer did to an earlier message, at the number last written to."""
    number = list(customer.last_wrote)[-1]
    now = datetime.now(UTC)
    message = webhooks.message(customer, message_id=new_wamid(), at=now, content=content)
    contacts = (webhooks.contact(customer),)
    item = Item(phone_number_id=number, contacts=contacts, messages=(message,))
    _put(request.app[STATE], item)
    return answer_json({"message_id": message["id"]}, status=202)


async def _deliver_as_given(request: web.Request) -> web.Response:
    """Deliver message objects in one webhook, whatever they hold."""
    state = request.app[STATE]
    messages = _as_given(await request.read())
    number = _number(state, request.query.get("phone_number_id"))
    senders = [_receive_as_given(state, number, raw) for raw in messages]
    contacts = {c.key: webhooks.contact(c) for c in senders if c}
    item = Item(phone_number_id=number, contacts=tuple(contacts.values()), messages=messages)
    _put(state, item)
    return answer_json({"messages": len(messages)}, status=202)


def _as_given(body: bytes) -> tuple[msgspec.Raw, ...]:
    """The objects of a list, each as JSON again. Lone surrogates, which msgspec refuses, stay."""
    try:
        objects = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The body cannot be used: {error}") from error
    if not isinstance(objects, list):
        raise bad_request("Give a list of message objects.")
    return tuple(msgspec.Raw(json.dumps(o, separators=(",", ":")).encode()) for o in objects)


def _receive_as_given(state: State, number: str, raw: msgspec.Raw) -> Customer | None:
    """Put the message on its sender's phone, as far as it can be read. Returns the sender."""
    try:
        given = msgspec.json.decode(raw, type=_Given)
        content = msgspec.json.decode(raw, type=dict[str, Any])
        at = datetime.fromtimestamp(int(given.timestamp), UTC)
        key = given.wa_id or given.user_id or ""
    except (msgspec.MsgspecError, ValueError, OverflowError, OSError):
        return None
    if not key:
        return None
    customer = state.phones.introduce(key, Introduction(user_id=given.user_id))
    text = webhooks.shown_text(content)
    message = ChatMessage(id=given.id, by_customer=True, text=text, at=at)
    state.phones.write(customer, message, phone_number_id=number)
    return customer


async def _list_customers(request: web.Request) -> web.Response:
    """Everyone, the newest first."""
    customers = reversed(request.app[STATE].phones.customers.values())
    shown = ("key", "wa_id", "user_id", "name", "username")
    items = [
        {**{field: getattr(c, field) for field in shown}, "messages": len(c.chat)}
        for c in customers
    ]
    return answer_json({"items": items})


async def _show_chat(request: web.Request) -> web.Response:
    """The chat of one customer, oldest message first."""
    return answer_json({"items": list(_customer(request).chat)})


async def _list_sends(request: web.Request) -> web.Response:
    """Everything that was accepted, oldest first, and how it fares."""
    return answer_json({"items": list(request.app[STATE].phones.sends)})


async def _list_read_marks(request: web.Request) -> web.Response:
    """What the business has marked as read, oldest first."""
    return answer_json({"items": list(request.app[STATE].read_marks)})


async def _set_control(request: web.Request) -> web.Response:
    """Set the fields given."""
    change = await read_json(request, _Change)
    given = {k: v for k, v in msgspec.structs.asdict(change).items() if v is not msgspec.UNSET}
    try:
        for fault in given.get("faults", ()):
            parse_fault(fault, FAULTS)
    except ValueError as error:
        raise bad_request(str(error)) from error
    state = request.app[STATE]
    state.behave(msgspec.structs.replace(state.control, **given))
    return await _show_control(request)


async def _show_control(request: web.Request) -> web.Response:
    """The behaviour, what became of the webhooks, and how many items wait."""
    state = request.app[STATE]
    webhooks_shown = {
        **msgspec.structs.asdict(state.outbox.counters),
        "waiting": state.outbox.waiting,
    }
    return answer_json({"control": state.control, "webhooks": webhooks_shown})


async def _reset_control(request: web.Request) -> web.Response:
    """Behave as after the start."""
    request.app[STATE].forgive()
    return web.Response(status=204)
