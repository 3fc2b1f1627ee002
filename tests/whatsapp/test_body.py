"""Which bodies are refused, and what becomes of odd characters and numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.errors import RefusedError
from frostdesk.whatsapp.body import decode_body, identity_at, name_at, parse_json, text_at
from tests.whatsapp.webhooks import parse


@pytest.mark.parametrize("body", [b"", b" \r\n\t"])
def test_an_empty_body_is_refused(body: bytes) -> None:
    """A body of nothing, or of white space, is refused as empty."""
    with pytest.raises(RefusedError, match="is empty") as refused:
        decode_body(body)

    assert refused.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"{",
        b'{"object":',
        b'{"object": "whatsapp_business_account", "entry": []} and more',
        b'{"object": NaN}',
        b'["\x00"]',
        b'{"a": "\\ud800"',
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """A body that is not JSON is refused in these words."""
    with pytest.raises(RefusedError, match="is not JSON"):
        decode_body(body)


@pytest.mark.parametrize("body", [b'{"object": "\xe2\x82"}', b'"\xff"', b'"\xed\xa0\x80"'])
def test_what_is_no_utf8_is_refused(body: bytes) -> None:
    """A character that is cut off, or is none, makes the body refused as not UTF-8."""
    with pytest.raises(RefusedError, match=r"not UTF-8 \(byte \d+\)"):
        decode_body(body)


@pytest.mark.parametrize("body", [b"[" * 500_000, b'{"a":' * 500_000])
def test_deep_nesting_is_refused(body: bytes) -> None:
    """A body nested beyond all reason is refused, and nothing overflows."""
    with pytest.raises(RefusedError, match="too deeply"):
        parse(body)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "whatsapp_business_account",
        {},
        {"object": "page", "entry": []},
        {"object": "whatsapp_business_account"},
        {"object": "whatsapp_business_account", "entry": {}},
        {"entry": []},
    ],
)
def test_json_that_is_no_webhook_is_refused(document: Any) -> None:
    """Only an object of WhatsApp's with a list `entry` is a webhook."""
    with pytest.raises(RefusedError, match="not a WhatsApp webhook"):
        decode_body(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb'"\u0000"', "\ufffd"),
        (rb'"\ud800"', "\ufffd"),
        (rb'"\uDC00 there"', "\ufffd there"),
        (rb'"a\ud83d\ud83d\ude00b"', "a\ufffd\U0001f600b"),
        (rb'"\ud83d\ude00\u0000"', "\U0001f600\ufffd"),
        (rb'"\\ud800 \\u0000"', r"\ud800 \u0000"),
        (rb'"\\\ud800"', "\\\ufffd"),
    ],
)
def test_nul_and_lone_surrogates_are_replaced(written: bytes, read: str) -> None:
    """NUL and halves of a pair become U+FFFD; whole pairs and escaped backslashes stay."""
    assert parse_json(written) == read


@given(st.text(st.characters(exclude_categories=())))
def test_every_text_can_be_stored(text: str) -> None:
    """Whatever text JSON can write comes out as UTF-8 without NUL, with the rest untouched."""
    read = parse_json(json.dumps(text).encode())

    assert "\0" not in read
    assert read.encode().decode() == read
    assert len(read) <= len(text)
    if read != text:
        assert "\ufffd" in read


def test_numbers_beyond_64_bits_keep_their_digits() -> None:
    """A number too large to hold is taken as it is written, and costs nothing else."""
    digits = "9" * 5_000

    assert parse_json(f'{{"n": {digits}, "e": 1e999, "s": 1}}'.encode()) == {
        "n": digits,
        "e": "1e999",
        "s": "1",
    }


@pytest.mark.parametrize(
    ("value", "identity"),
    [
        ("41790000001", "41790000001"),
        (41790000001, "41790000001"),
        (41790000001.0, "41790000001"),
        (" +41 79 ", " +41 79 "),
        ("x" * 256, "x" * 256),
        ("x" * 257, None),
        (1e300, None),
        ("", None),
        (" ", None),
        (True, None),
        (None, None),
        (["41790000001"], None),
    ],
)
def test_identities_are_kept_to_the_letter(value: Any, identity: str | None) -> None:
    """An id is 1 to 256 characters, never changed; a whole number is its digits."""
    assert identity_at({"id": value}, "id") == identity


@pytest.mark.parametrize("value", [None, [], "text", 3, {"other": 1}])
def test_looks_into_anything_find_nothing(value: Any) -> None:
    """Looking for a text, an id or a name where there is none finds nothing and raises nothing."""
    assert (text_at(value, "id"), identity_at(value, "id"), name_at(value, "id")) == (
        "",
        None,
        None,
    )


def test_long_names_are_cut() -> None:
    """A name keeps its first 256 characters."""
    assert name_at({"name": "M" * 300}, "name") == "M" * 256
