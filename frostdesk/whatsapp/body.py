"""A webhook's bytes as plain objects, and careful looks into objects whose shape is not sure."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from frostdesk.errors import RefusedError

IDENTITY_LIMIT = 256
"""The longest id, number or name that is taken over, in characters."""

_decode = msgspec.json.Decoder().decode

_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair, kept
    rb"|\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
    rb"|\\.",
    re.DOTALL,
)
_HARMFUL = 6  # the length of the one escape among the three that is replaced


def decode_body(body: bytes) -> list[Any]:
    """The list `entry` of a WhatsApp webhook.

    NUL and lone surrogates, which PostgreSQL refuses, have become U+FFFD in every string.

    Raises:
        RefusedError: `body` is empty, not UTF-8, not JSON, or the JSON is not a webhook.
        RecursionError: it is nested too deeply.
    """
    if not body or body.isspace():
        raise RefusedError("The body is empty: send a WhatsApp webhook as JSON.")
    try:
        document = parse_json(body)
    except UnicodeDecodeError as error:
        raise RefusedError(f"The body is not UTF-8 (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise RefusedError(f"The body is not JSON: {error.msg} (character {error.pos}).") from None
    except ValueError as error:
        raise RefusedError(f"The body is not JSON: {error}.") from None
    if at(document, "object") != "whatsapp_business_account" or not isinstance(
        entries := at(document, "entry"), list
    ):
        raise RefusedError(
            "The JSON is not a WhatsApp webhook: it must be an object whose `object` is "
            '"whatsapp_business_account" and whose `entry` is a list.'
        )
    return entries


def parse_json(body: bytes) -> Any:
    """The value that `body` holds, with U+FFFD in place of NUL and of lone surrogates.

    Raises:
        ValueError: `body` is not JSON in UTF-8.
        RecursionError: it is nested too deeply.
    """
    if rb"\u0000" in body:
        body = _mend(body)
    try:
        return _decode(body)
    except ValueError:
        # What msgspec refuses although it is JSON: lone surrogates, and numbers beyond 64 bits,
        # which stay as they were written.
        text = _mend(body).decode()
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)


def _mend(body: bytes) -> bytes:
    return _ESCAPE.sub(lambda m: rb"\ufffd" if len(m[0]) == _HARMFUL else m[0], body)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")


def at(value: Any, key: str) -> Any:
    """What an object holds under `key`; None where it holds nothing or is no object."""
    return value.get(key) if isinstance(value, dict) else None


def list_at(value: Any, key: str) -> list[Any]:
    """The list under `key`, empty where there is none."""
    found = at(value, key)
    return found if isinstance(found, list) else []


def first_at(value: Any, key: str) -> Any:
    """The first item of the list under `key`, None where there is none."""
    return next(iter(list_at(value, key)), None)


def text_at(value: Any, key: str) -> str:
    """The text under `key`, a number as it is written; empty where there is neither."""
    found = at(value, key)
    if isinstance(found, str):
        return found
    return str(found) if isinstance(found, int | float) and not isinstance(found, bool) else ""


def identity_at(value: Any, key: str) -> str | None:
    """The id under `key`, to the letter; None where there is none that can be used.

    A whole number becomes its decimal digits. An id has 1 to 256 characters and is not blank.
    """
    found = at(value, key)
    if found is None:
        return None
    if not isinstance(found, str):
        whole = isinstance(found, float) and found.is_integer()
        found = f"{found:.0f}" if whole else text_at(value, key)
    return found if 0 < len(found) <= IDENTITY_LIMIT and not found.isspace() else None


def name_at(value: Any, key: str) -> str | None:
    """The name under `key`, cut at 256 characters; None where there is none."""
    return text_at(value, key)[:IDENTITY_LIMIT] or None
