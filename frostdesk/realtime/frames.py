"""Frames of the Realtime protocol, versions 1.0.0 (JSON objects) and 2.0.0 (JSON arrays).

Supabase, "Realtime Protocol" (docs/guides/realtime/protocol).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from frostdesk.errors import RefusedError

VERSIONS = ("1.0.0", "2.0.0")

Ref: TypeAlias = str | int | None
"""What a client names its push by, and gets back with the reply."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One message on one topic. `join_ref` names the join that the topic was entered by.

    `payload` is an object; in what is sent it may be JSON already.
    """

    topic: str
    event: str
    payload: Any
    ref: Ref = None
    join_ref: Ref = None


class _Received(msgspec.Struct, frozen=True):
    topic: str
    event: str
    payload: dict[str, Any] | None = None
    ref: Ref = None
    join_ref: Ref = None


class _ReceivedArray(msgspec.Struct, frozen=True, array_like=True):
    join_ref: Ref
    ref: Ref
    topic: str
    event: str
    payload: dict[str, Any] | None = None


_decoders: dict[str, Callable[[str], _Received | _ReceivedArray]] = {
    "1.0.0": msgspec.json.Decoder(_Received).decode,
    "2.0.0": msgspec.json.Decoder(_ReceivedArray).decode,
}
_encode = msgspec.json.Encoder().encode


def decode(text: str, version: str) -> Frame:
    """The frame that a client sent.

    Raises:
        RefusedError: it is no frame of that version.
    """
    try:
        got = _decoders[version](text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise RefusedError(f"This is no frame of protocol {version}: {error}.") from error
    return Frame(
        topic=got.topic,
        event=got.event,
        payload=got.payload or {},
        ref=got.ref,
        join_ref=got.join_ref,
    )


def encode(frame: Frame, version: str) -> str:
    """The frame as the text that clients of that version expect."""
    if version == "1.0.0":
        return _encode(frame).decode()
    return _encode((frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload)).decode()


def reply(to: Frame, status: str, response: dict[str, Any]) -> Frame:
    """The answer to a push: `ok` or `error`, and what there is to say."""
    payload = {"status": status, "response": response}
    return Frame(
        topic=to.topic, event="phx_reply", payload=payload, ref=to.ref, join_ref=to.join_ref
    )


def system(topic: str, status: str, message: str) -> Frame:
    """News about the subscription itself."""
    payload = {
        "channel": topic.removeprefix("realtime:"),
        "extension": "postgres_changes",
        "message": message,
        "status": status,
    }
    return Frame(topic=topic, event="system", payload=payload)


def ended(topic: str, event: str, join_ref: Ref) -> Frame:
    """The end of a channel: `phx_close` for good, `phx_error` for clients to join again."""
    return Frame(topic=topic, event=event, payload={}, ref=join_ref, join_ref=join_ref)
