"""The webhooks that WhatsApp sends: their shapes and their signature. Pure.

Sources: Meta's webhook reference for `messages` (text, statuses, errors), Meta's page on
business-scoped user ids, and Meta's "Validating payloads" for the signature; for `edit` and
`revoke`, david-lev/pywa (`pywa/types/message.py`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from frostdesk.simulators.graph import title
from frostdesk.simulators.phones import Customer, Send

BUSINESS_ACCOUNT_ID = "100000000000001"
DISPLAY_PHONE_NUMBER = "15550100100"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One message or one status on its way to the service, which tells by `delivered` that it came.

    `messages` are objects as WhatsApp writes them; `contacts` introduce their senders.
    """

    phone_number_id: str
    contacts: tuple[dict[str, Any], ...] = ()
    messages: tuple[Any, ...] = ()
    statuses: tuple[dict[str, Any], ...] = ()
    delivered: Callable[[], None] | None = None


def sign(body: bytes, app_secret: str) -> str:
    """The header `X-Hub-Signature-256` of this body."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def webhook(items: Sequence[Item]) -> bytes:
    """One body that holds all of the items, one change for each business number."""
    numbers = dict.fromkeys(item.phone_number_id for item in items)
    changes = [{"field": "messages", "value": _value(number, items)} for number in numbers]
    entry = {"id": BUSINESS_ACCOUNT_ID, "changes": changes}
    return msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})


def _value(number: str, items: Sequence[Item]) -> dict[str, Any]:
    own = [item for item in items if item.phone_number_id == number]
    lists = {
        "contacts": [c for item in own for c in item.contacts],
        "messages": [m for item in own for m in item.messages],
        "statuses": [s for item in own for s in item.statuses],
    }
    metadata = {"display_phone_number": DISPLAY_PHONE_NUMBER, "phone_number_id": number}
    filled = {name: values for name, values in lists.items() if values}
    return {"messaging_product": "whatsapp", "metadata": metadata, **filled}


def contact(customer: Customer) -> dict[str, Any]:
    """How a webhook introduces a customer."""
    profile = {"name": customer.name}
    if customer.username:
        profile["username"] = customer.username
    phone = {"wa_id": customer.wa_id} if customer.wa_id else {}
    return {"profile": profile, **phone, "user_id": customer.user_id}


def message(
    customer: Customer, *, message_id: str, at: datetime, content: dict[str, Any]
) -> dict[str, Any]:
    """A message object. `content` holds the type and what belongs to it."""
    phone = {"from": customer.wa_id} if customer.wa_id else {}
    head = {"from_user_id": customer.user_id, "id": message_id, "timestamp": unix(at)}
    return {**phone, **head, **content}


def text_content(text: str) -> dict[str, Any]:
    """What makes a message a text."""
    return {"type": "text", "text": {"body": text}}


def edit_content(original_id: str, text: str) -> dict[str, Any]:
    """What makes a message the new text of an earlier one."""
    edit = {"original_message_id": original_id, "message": text_content(text)}
    return {"type": "edit", "edit": edit}


def revoke_content(original_id: str) -> dict[str, Any]:
    """What makes a message the deletion of an earlier one."""
    return {"type": "revoke", "revoke": {"original_message_id": original_id}}


def shown_text(content: dict[str, Any]) -> str:
    """What a phone shows of a message: its text or caption, or its type in brackets."""
    kind = content.get("type")
    inner = content.get(kind) if isinstance(kind, str) else None
    inner = inner if isinstance(inner, dict) else {}
    found = inner.get("body") or inner.get("caption") or inner.get("text")
    return found if isinstance(found, str) else f"[{kind}]"


def status(send: Send, customer: Customer, name: str) -> dict[str, Any]:
    """A status object: how far a send has come, or why it failed."""
    phone = {"recipient_id": customer.wa_id} if customer.wa_id else {}
    data = send.message.biz_opaque_callback_data
    return {
        "id": send.id,
        "status": name,
        "timestamp": unix(datetime.now(UTC)),
        **phone,
        "recipient_user_id": customer.user_id,
        **({"biz_opaque_callback_data": data} if data is not None else {}),
        **({"errors": [_error(send.error_code)]} if name == "failed" else {}),
    }


def _error(code: int | None) -> dict[str, Any]:
    name = title(code or 0)
    return {
        "code": code,
        "title": name,
        "message": name,
        "error_data": {"details": f"The simulated WhatsApp did not deliver this: {name}."},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }


def unix(at: datetime) -> str:
    """Seconds since 1970, in the text form of webhooks."""
    return str(int(at.timestamp()))
