"""The Graph API's side of sending: what a send must look like, and the errors it is refused with.

Sources: Meta's Cloud API reference, "Messages" and "Error codes" (which gives the HTTP status of
each code), and Meta's page on business-scoped user ids for `recipient`.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec

MAX_TEXT = 4096
MAX_CALLBACK_DATA = 512

RE_ENGAGEMENT = 131047
"""The customer's last message is more than 24 hours old."""

_TITLES = {
    100: "Invalid parameter",
    190: "Access token has expired",
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131009: "Parameter value is not valid",
    131026: "Message undeliverable",
    131030: "Recipient phone number not in allowed list",
    131047: "Re-engagement message",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
}
_STATUSES = {
    **dict.fromkeys((0, 190), 401),
    **dict.fromkeys((3, 10, 131005, 131031, 368), 403),
    **dict.fromkeys((4, 80007, 130429, 131048, 131056), 429),
    **dict.fromkeys((1, 131000), 500),
    **dict.fromkeys((2, 131016), 503),
}


class GraphError(Exception):
    """A refusal, with Meta's `code` and the HTTP `status` that goes with it (400 if not known)."""

    def __init__(self, code: int, details: str, *, status: int | None = None) -> None:
        super().__init__(details)
        self.code = code
        self.details = details
        self.status = status or _STATUSES.get(code, 400)

    def body(self) -> dict[str, Any]:
        """The answer's JSON. Since version 16 of the API, `error_subcode` is left out."""
        return {
            "error": {
                "message": f"(#{self.code}) {title(self.code)}",
                "type": "OAuthException",
                "code": self.code,
                "error_data": {"messaging_product": "whatsapp", "details": self.details},
                "fbtrace_id": uuid4().hex,
            }
        }


def title(code: int) -> str:
    """What Meta calls this error."""
    return _TITLES.get(code, "Message failed to send")


class TextMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A text on its way to a customer. At least one of `to` and `recipient` is there."""

    to: str = ""
    recipient: str = ""
    text: str
    biz_opaque_callback_data: str | None = None


class ReadMark(msgspec.Struct, frozen=True, kw_only=True):
    """The business has read the customer's message `message_id`, and may be typing."""

    message_id: str
    typing: bool = False


def parse_send(body: bytes) -> TextMessage | ReadMark:
    """What the body of `POST /{phone_number_id}/messages` asks for.

    Raises:
        GraphError: with Meta's code for a body that WhatsApp would refuse.
    """
    try:
        sent = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError) as error:
        raise GraphError(100, f"The body is not a JSON object: {error}") from error
    if sent.get("messaging_product") != "whatsapp":
        raise GraphError(100, "The parameter messaging_product is required, and is 'whatsapp'.")
    return _read_mark(sent) if "status" in sent else _text_message(sent)


def _read_mark(sent: dict[str, Any]) -> ReadMark:
    if sent["status"] != "read":
        raise GraphError(100, "Param status must be 'read'.")
    return ReadMark(message_id=_text(sent, "message_id"), typing="typing_indicator" in sent)


def _text_message(sent: dict[str, Any]) -> TextMessage:
    if sent.get("recipient_type", "individual") != "individual":
        raise GraphError(100, "Param recipient_type must be 'individual'.")
    if sent.get("type", "text") != "text":
        raise GraphError(131009, "Param type must be 'text': this simulator sends nothing else.")
    to, recipient = _text(sent, "to", required=False), _text(sent, "recipient", required=False)
    if not to and not recipient:
        raise GraphError(100, "The parameter to (or recipient) is required.")
    data = sent.get("biz_opaque_callback_data")
    if data is not None and not (isinstance(data, str) and len(data) <= MAX_CALLBACK_DATA):
        raise GraphError(
            100, f"Param biz_opaque_callback_data must be at most {MAX_CALLBACK_DATA} characters."
        )
    return TextMessage(to=to, recipient=recipient, text=_body(sent), biz_opaque_callback_data=data)


def _body(sent: dict[str, Any]) -> str:
    text = sent.get("text")
    if not isinstance(text, dict):
        raise GraphError(100, "The parameter text is required.")
    body = text.get("body")
    if not isinstance(body, str) or not body.strip():
        raise GraphError(100, "The parameter text['body'] is required.")
    if len(body) > MAX_TEXT:
        raise GraphError(
            100, f"Param text['body'] must be at most {MAX_TEXT} characters long: {len(body)} came."
        )
    return body


def _text(sent: dict[str, Any], name: str, *, required: bool = True) -> str:
    value = sent.get(name, "")
    if not isinstance(value, str) or (required and not value):
        raise GraphError(100, f"Param {name} must be a text.")
    return value
