"""Bodies of webhooks, as WhatsApp writes them."""

from __future__ import annotations

import time
from typing import Any

from tests.factories import ANA, wamid
from tests.support.secrets import PHONE_NUMBER_ID


def text_message(text: str | None = "A lesson on Saturday?", **fields: Any) -> dict[str, Any]:
    """A text message of Ana's; a field given as None is left out."""
    given = {
        "from": ANA,
        "id": wamid(),
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": None if text is None else {"body": text},
        **fields,
    }
    return {key: value for key, value in given.items() if value is not None}


def status(whatsapp_id: str, state: str = "delivered", **fields: Any) -> dict[str, Any]:
    """How one of our messages fares."""
    now = str(int(time.time()))
    return {"id": whatsapp_id, "status": state, "timestamp": now, "recipient_id": ANA, **fields}


def change(*messages: Any, number: str = PHONE_NUMBER_ID, **value: Any) -> dict[str, Any]:
    """One change at one business number."""
    content = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "41310000000", "phone_number_id": number},
        "messages": list(messages),
        **value,
    }
    return {"field": "messages", "value": content}


def webhook(*messages: Any, **value: Any) -> dict[str, Any]:
    """A webhook of one change with these messages and further fields, such as `statuses`."""
    return envelope(change(*messages, **value))


def envelope(*changes: dict[str, Any]) -> dict[str, Any]:
    """A webhook of several changes, each in an entry of its own."""
    entries = [{"id": "102000000000001", "changes": [c]} for c in changes]
    return {"object": "whatsapp_business_account", "entry": entries}
