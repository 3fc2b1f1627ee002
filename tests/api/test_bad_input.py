"""Bad webhooks: each is refused with a clear problem, and nothing is half-written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from io import BytesIO
from typing import Any
from zlib import compress

import pytest

from frostdesk.store.database import Pool
from frostdesk.whatsapp.signature import sign
from tests.support.bodies import text_message, webhook
from tests.support.desk import Api, assert_problem
from tests.support.secrets import APP_SECRET


async def texts(pool: Pool) -> list[str]:
    """What the messages say, in the order of their arrival."""
    rows = await pool.fetch(
        "SELECT m.content FROM messages m JOIN events e USING (id) ORDER BY position"
    )
    return [row["content"] for row in rows]


async def count(pool: Pool) -> int:
    """How many events there are."""
    return int(await pool.fetchval("SELECT count(*) FROM events"))


NO_WEBHOOKS = [
    (b"", "empty"),
    (b"  \n ", "empty"),
    (b"Hello", "not JSON"),
    (b"{", "not JSON"),
    (b'{"object": "whatsapp_business_account", "entry": [', "not JSON"),
    (b"null", "not a WhatsApp webhook"),
    (b"[]", "not a WhatsApp webhook"),
    (b"17", "not a WhatsApp webhook"),
    (b'"text"', "not a WhatsApp webhook"),
    (b"{}", "not a WhatsApp webhook"),
    (b'{"object": "page", "entry": []}', "not a WhatsApp webhook"),
    (b'{"object": "whatsapp_business_account"}', "not a WhatsApp webhook"),
    (b'{"object": "whatsapp_business_account", "entry": {}}', "not a WhatsApp webhook"),
    (json.dumps(webhook(text_message("Gr\u00fcezi")), ensure_ascii=False).encode()[:-30], "JSON"),
    (b'{"object": "Gr\xc3', "UTF-8|JSON"),
    (b'\xff\xfe{"a": 1}', "UTF-8|JSON"),
    (b"[" * 100_000, "JSON|nested"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested"),
    (b"NaN", "JSON"),
]


async def test_what_is_no_webhook_is_refused(
    api: Api, pool: Pool, subtests: pytest.Subtests
) -> None:
    """Signed, but no webhook: 400 with a text that says what is wrong; nothing is stored."""
    for body, said in NO_WEBHOOKS:
        with subtests.test(body=body[:60]):
            problem = await api.webhook(body, 400)
            assert any(part in problem["detail"] for part in said.split("|")), problem
    assert await count(pool) == 0


async def test_a_body_that_is_too_large_is_refused(api: Api, pool: Pool) -> None:
    """10 MB are answered 413, and the service goes on."""
    body = json.dumps(webhook(text_message("x" * 10_000_000))).encode()
    async with api.session.post(f"{api.url}/inbound", data=BytesIO(body)) as answer:
        assert_problem(await answer.json(content_type=None), 413, answer.content_type)
    await api.webhook(webhook(text_message("Hello")))
    assert await texts(pool) == ["Hello"]


async def test_a_long_text_is_kept(api: Api, pool: Pool) -> None:
    """60,000 characters arrive whole."""
    text = "schön " * 10_000
    await api.webhook(webhook(text_message(text)))
    assert await texts(pool) == [text]


async def test_what_postgresql_refuses_is_replaced(api: Api, pool: Pool) -> None:
    """NUL and lone surrogates become U+FFFD in every field; the message is kept."""
    message = text_message("a\0b\ud800c", id="wamid.\0")
    body = json.dumps(
        webhook(message, contacts=[{"wa_id": message["from"], "profile": {"name": "A\0"}}])
    )
    await api.webhook(body.encode())
    await api.webhook(body.encode())
    assert await texts(pool) == ["a\ufffdb\ufffdc"]
    assert await pool.fetchval("SELECT name FROM conversations") == "A\ufffd"


async def test_impossible_times_are_not_believed(api: Api, pool: Pool) -> None:
    """A time of writing that cannot be true becomes the time of arrival."""
    times: list[Any] = ["0", "-1", "1", "99999999999999", 4e18, "x", None, [], "NaN"]
    await api.webhook(webhook(*(text_message(timestamp=timestamp) for timestamp in times)))
    ages = await pool.fetch("SELECT extract(epoch FROM now() - sent_at) FROM messages")
    assert len(ages) == len(times)
    assert all(abs(age[0]) < 60 for age in ages)


async def test_numbers_and_texts_may_be_exchanged(api: Api, pool: Pool) -> None:
    """Ids and times as numbers, a number as a text: the message is understood."""
    numbers: dict[str, Any] = {"from": 41790000001, "id": 12345, "timestamp": 1_800_000_000}
    message = text_message(**numbers)
    body = webhook(message, metadata={"phone_number_id": 700100200300})
    await api.webhook(body)
    assert await pool.fetchval("SELECT wa_id FROM conversations") == "41790000001"
    assert await pool.fetchval("SELECT phone_number_id FROM conversations") == "700100200300"


async def test_missing_fields_cost_no_message(api: Api, pool: Pool) -> None:
    """A message with a field missing is kept as far as it goes."""
    missing = ["text", "type", "timestamp", "id", "metadata"]
    for number, field in enumerate(missing, 1):
        body = webhook(text_message(**{field: None}))
        body["entry"][0]["changes"][0]["value"].pop(field, None)
        await api.webhook(body)
        assert await count(pool) == number


# Signatures


async def test_a_wrong_signature_is_refused(
    api: Api, pool: Pool, subtests: pytest.Subtests
) -> None:
    """Missing, malformed, of another body or under another secret: 401, nothing is stored."""
    body = json.dumps(webhook(text_message())).encode()
    signatures = [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        sign(b"another body", APP_SECRET.encode()),
        sign(body, b"another secret"),
        sign(body, APP_SECRET.encode()).removeprefix("sha256="),
        "sha256=\u00e9",
        "sha256=" + "0" * 5000,
    ]
    for signature in signatures:
        headers = {} if signature is None else {"X-Hub-Signature-256": signature}
        with subtests.test(signature=signature):
            async with api.session.post(f"{api.url}/inbound", data=body, headers=headers) as answer:
                assert_problem(await answer.json(content_type=None), 401, answer.content_type)
    assert await count(pool) == 0


async def test_the_signature_is_that_of_the_raw_body(api: Api, pool: Pool) -> None:
    """Spaces and escapes in the body count as they were sent."""
    raw = json.dumps(webhook(text_message("Gr\u00fcezi")), indent=7, ensure_ascii=True).encode()
    await api.webhook(raw)
    assert await texts(pool) == ["Gr\u00fcezi"]


async def test_a_body_that_cannot_be_unpacked_is_the_senders_fault(
    api: Api, pool: Pool, subtests: pytest.Subtests
) -> None:
    """A body that is not packed as its header says is refused with a 4xx."""
    for encoding in ("gzip", "deflate", "br", "nonsense"):
        headers = {"Content-Encoding": encoding, "Connection": "close"}
        with subtests.test(encoding=encoding):
            async with api.session.post(
                f"{api.url}/inbound", data=b"no such thing", headers=headers
            ) as answer:
                assert 400 <= answer.status < 500
    await api.webhook(webhook(text_message("Hello")))
    assert await texts(pool) == ["Hello"]


async def test_a_packed_webhook_is_taken(api: Api, pool: Pool) -> None:
    """The signature is that of the unpacked body; other ways to pack are named in the refusal."""
    url = f"{api.url}/inbound"
    packers: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": compress}
    for encoding, pack in packers.items():
        body = json.dumps(webhook(text_message(encoding))).encode()
        headers = {
            "Content-Encoding": encoding,
            "X-Hub-Signature-256": sign(body, APP_SECRET.encode()),
        }
        async with api.session.post(url, data=pack(body), headers=headers) as answer:
            assert answer.status == 200
        headers["Content-Encoding"] = "br"
        async with api.session.post(url, data=pack(body), headers=headers) as answer:
            assert_problem(await answer.json(content_type=None), 415, answer.content_type)
    assert await texts(pool) == [*packers]


async def test_a_packed_body_has_one_end(api: Api) -> None:
    """Half a packed body, or one with more behind it, is refused."""
    packed = gzip.compress(json.dumps(webhook(text_message())).encode())
    for body in (packed[:-9], packed + b"more", packed + packed):
        problem = await api.webhook(body, 400, **{"Content-Encoding": "gzip"})
        assert "packed" in problem["detail"]


async def test_a_compressed_bomb_is_bounded(api: Api) -> None:
    """A small body that unpacks to 50 MB is refused like a large one."""
    bomb = gzip.compress(b"0" * 50_000_000)
    headers = {"Content-Encoding": "gzip", "X-Hub-Signature-256": "sha256=0"}
    async with api.session.post(f"{api.url}/inbound", data=bomb, headers=headers) as answer:
        assert_problem(await answer.json(content_type=None), 413, answer.content_type)


async def test_other_methods_are_refused(api: Api) -> None:
    """Only the handshake and webhooks are taken."""
    for method in ("PUT", "DELETE", "PATCH", "HEAD"):
        async with api.session.request(method, f"{api.url}/inbound") as answer:
            assert answer.status == 405
            assert answer.content_type == "application/problem+json"
