"""Webhooks in WhatsApp's own shape, with defaults for everything that a test does not name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from frostdesk.whatsapp.webhook import Webhook, parse_webhook

RECEIVED_AT = datetime(2027, 1, 15, 9, 0, tzinfo=UTC)
"""When every webhook of these tests arrives."""

PHONE = "41790000001"
USER = "CH.9000000000000001"
NUMBER = "106500000000001"


def message(**fields: Any) -> dict[str, Any]:
    """A text message; a field given as None is left out."""
    given = {
        "from": PHONE,
        "id": "wamid.A1",
        "timestamp": "1800000000",
        "type": "text",
        "text": {"body": "A lesson on Saturday?"},
        **fields,
    }
    return {key: value for key, value in given.items() if value is not None}


def change(*messages: Any, number: Any = NUMBER, **value: Any) -> dict[str, Any]:
    """A change of the field `messages` at one business number."""
    metadata = {"display_phone_number": "41310000000", "phone_number_id": number}
    content = {"messaging_product": "whatsapp", "metadata": metadata, "messages": list(messages)}
    return {"field": "messages", "value": {**content, **value}}


def webhook(*changes: Any) -> dict[str, Any]:
    """A webhook of one entry that holds these changes."""
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "102000000000001", "changes": list(changes)}],
    }


def parse(body: Any) -> Webhook:
    """What a webhook says, given as bytes or as a value that is written as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_webhook(raw, received_at=RECEIVED_AT)


def read(*messages: Any, **value: Any) -> Webhook:
    """What a webhook of one change says, which holds these messages and further fields."""
    return parse(webhook(change(*messages, **value)))


def event_of(*messages: Any, **value: Any) -> Any:
    """The event of the one fact in `read`."""
    (fact,) = read(*messages, **value).facts
    return fact.event
