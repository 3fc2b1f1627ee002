"""What WhatsApp accepts as a send."""

from typing import Any

import msgspec
import pytest

from frostdesk.simulators.graph import GraphError, ReadMark, TextMessage, parse_send

GOOD: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "41790000001",
    "type": "text",
    "text": {"body": "Hello"},
    "biz_opaque_callback_data": "reply-1",
}


def parse(**changes: Any) -> TextMessage | ReadMark:
    """What a good send becomes with these fields changed; None takes a field out."""
    body = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    return parse_send(msgspec.json.encode(body))


def test_text() -> None:
    """A text keeps addressee, words and callback data to the letter."""
    expected = TextMessage(to="41790000001", text="Hello", biz_opaque_callback_data="reply-1")
    assert parse() == expected
    assert parse(to=None, recipient="CH.7") == TextMessage(
        recipient="CH.7", text="Hello", biz_opaque_callback_data="reply-1"
    )
    assert isinstance(parse(text={"body": "é" * 4096}), TextMessage)


def test_read_mark() -> None:
    """A read mark names a message, and may tell that an answer is being typed."""
    body = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1"}
    assert parse_send(msgspec.json.encode(body)) == ReadMark(message_id="wamid.1")
    typing = {**body, "typing_indicator": {"type": "text"}}
    assert parse_send(msgspec.json.encode(typing)) == ReadMark(message_id="wamid.1", typing=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"messaging_product": None},
        {"messaging_product": "sms"},
        {"recipient_type": "group"},
        {"to": None},
        {"to": 41790000001},
        {"text": None},
        {"text": {"body": ""}},
        {"text": {"body": " \n"}},
        {"text": {"body": "x" * 4097}},
        {"biz_opaque_callback_data": "x" * 513},
        {"status": "unread"},
        {"status": "read"},
    ],
)
def test_refuses(changes: dict[str, Any]) -> None:
    """What WhatsApp would refuse is refused as an invalid parameter, with 400."""
    with pytest.raises(GraphError) as refused:
        parse(**changes)
    assert (refused.value.code, refused.value.status) == (100, 400)


def test_refuses_other_types_and_bodies() -> None:
    """Only texts are sent, and only JSON objects are read."""
    with pytest.raises(GraphError) as refused:
        parse(type="image")
    assert refused.value.code == 131009
    for body in (b"", b"[]", b"{", b'"x"', b"\xff"):
        with pytest.raises(GraphError):
            parse_send(body)
