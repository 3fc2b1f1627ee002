"""`/inbound`: what is committed is answered 200, and nothing else is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from frostdesk.store.database import Pool
from frostdesk.whatsapp.signature import sign
from tests.support.bodies import change, envelope, status, text_message, webhook
from tests.support.desk import Api, api_settings, assert_problem, running_api
from tests.support.gates import Gate, gate_to
from tests.support.secrets import APP_SECRET, VERIFY_TOKEN
from tests.support.waiting import until


async def texts(pool: Pool) -> list[str]:
    """What the messages say, in the order of their arrival."""
    rows = await pool.fetch(
        "SELECT m.content FROM messages m JOIN events e USING (id) ORDER BY position"
    )
    return [row["content"] for row in rows]


async def count(pool: Pool) -> int:
    """How many events there are."""
    return int(await pool.fetchval("SELECT count(*) FROM events"))


# The handshake


async def shake(api: Api, **given: str) -> tuple[int, str, str]:
    """WhatsApp's handshake: the status, the body and its type."""
    query = {f"hub.{name}": value for name, value in given.items()}
    async with api.session.get(f"{api.url}/inbound", params=query) as answer:
        return answer.status, await answer.text(), answer.content_type


async def test_the_handshake_echoes_the_challenge(api: Api) -> None:
    """Whoever knows the verify token gets the challenge back, as plain text."""
    shaken = await shake(api, mode="subscribe", verify_token=VERIFY_TOKEN, challenge="1158<b>")
    assert shaken == (200, "1158<b>", "text/plain")


async def test_another_handshake_is_refused(api: Api, subtests: pytest.Subtests) -> None:
    """A wrong token or a request that is no handshake gets a problem and no challenge."""
    good = {"mode": "subscribe", "verify_token": VERIFY_TOKEN, "challenge": "1"}
    cases = [
        (good | {"verify_token": "wrong"}, 401),
        (good | {"verify_token": "ü\N{GRINNING FACE}"}, 401),
        (good | {"verify_token": ""}, 401),
        (good | {"mode": "unsubscribe"}, 400),
        ({"mode": "subscribe", "verify_token": VERIFY_TOKEN}, 400),
        ({}, 400),
    ]
    for given, expected in cases:
        with subtests.test(given=given):
            code, body, content_type = await shake(api, **given)
            assert code == expected
            assert_problem(json.loads(body), expected, content_type)


# What is good


async def test_a_message_is_stored(api: Api, pool: Pool) -> None:
    """A signed message is in the log and in the tables when the 200 comes."""
    await api.webhook(webhook(text_message("Hello")))
    assert await texts(pool) == ["Hello"]
    assert await pool.fetchval("SELECT type FROM events") == "MessageReceived"


async def test_every_message_of_a_batch_is_stored(api: Api, pool: Pool) -> None:
    """Several entries, changes, messages and business numbers in one body all count."""
    body = envelope(
        change(text_message("a"), text_message("b"), number="1"),
        change(text_message("c"), number="2"),
    )
    body["entry"][0]["changes"].append(change(text_message("d", **{"from": "4180"}), number="1"))
    await api.webhook(body)
    assert sorted(await texts(pool)) == ["a", "b", "c", "d"]
    assert await pool.fetchval("SELECT count(*) FROM conversations") == 3


async def test_a_bad_message_keeps_its_neighbours(api: Api, pool: Pool) -> None:
    """What cannot be understood is left out, and the rest of the batch is stored."""
    bad: list[Any] = [None, 7, "text", [], {"id": "wamid.nobody"}, {"type": "revoke", "from": "41"}]
    await api.webhook(webhook(text_message("before"), *bad, text_message("after")))
    assert await texts(pool) == ["before", "after"]


async def test_statuses_may_stand_beside_messages(api: Api, pool: Pool) -> None:
    """Statuses of unknown messages are ignored, and the messages beside them are stored."""
    statuses = [status("wamid.unknown"), {"id": 1}, None, status("wamid.x", "failed", errors=[{}])]
    await api.webhook(webhook(text_message("Hello"), statuses=statuses))
    assert await texts(pool) == ["Hello"]
    assert await count(pool) == 1


async def test_other_news_is_taken_and_ignored(api: Api, pool: Pool) -> None:
    """Webhooks about other things than messages are answered 200, so that they do not come back."""
    for field in ("account_update", "history", "smb_message_echoes"):
        await api.webhook(envelope({"field": field, "value": {"event": "x"}}))
    await api.webhook({"object": "whatsapp_business_account", "entry": []})
    assert await count(pool) == 0


async def test_unknown_fields_are_ignored(api: Api, pool: Pool) -> None:
    """Fields that nobody knows yet, anywhere, change nothing."""
    body = webhook(text_message("Hello", new_field={"a": [1]}), another=[{}])
    body["entry"][0]["new"] = body["new"] = {"deep": [[[]]]}
    await api.webhook(body)
    assert await texts(pool) == ["Hello"]


KINDS: list[tuple[str, Any, str]] = [
    ("button", {"text": "Yes, please"}, "Yes, please"),
    ("interactive", {"button_reply": {"title": "Two hours"}}, "Two hours"),
    ("image", {"caption": "My skis"}, "My skis"),
    ("audio", {"voice": True}, "voice"),
    ("sticker", {}, "sticker"),
    ("location", {"name": "Lift station"}, "Lift station"),
    ("contacts", [{"name": {"formatted_name": "Ben"}}], "Ben"),
    ("order", {"product_items": [{}]}, "1 item"),
    ("reaction", {"emoji": "\N{THUMBS UP SIGN}"}, "\N{THUMBS UP SIGN}"),
    ("hologram", {"x": 1}, "hologram"),
]


async def test_every_kind_is_kept(api: Api, pool: Pool) -> None:
    """Buttons, media, places and unknown kinds are messages whose content says what arrived."""
    messages = [text_message(text=None, type=kind, **{kind: content}) for kind, content, _ in KINDS]
    await api.webhook(webhook(*messages))
    kept = await texts(pool)
    assert all(shown in text for text, (_, _, shown) in zip(kept, KINDS, strict=True))


# Redelivery


async def test_redelivery_changes_nothing(api: Api, pool: Pool) -> None:
    """The same body again, alone or inside another batch, is answered 200 and stored once."""
    first, other = text_message("first"), text_message("other")
    await api.webhook(webhook(first))
    before = await pool.fetch("SELECT * FROM messages")
    await api.webhook(webhook(first))
    await api.webhook(webhook(other, first, other))
    assert await texts(pool) == ["first", "other"]
    assert (await pool.fetch("SELECT * FROM messages ORDER BY version"))[0] == before[0]


async def test_redelivery_at_once_is_stored_once(api: Api, pool: Pool) -> None:
    """Twenty deliveries of one body at the same moment are all 200 and one event."""
    body = webhook(text_message("Hello"), text_message("Again"))
    await asyncio.gather(*(api.webhook(body) for _ in range(20)))
    assert await count(pool) == 2


async def test_redelivery_with_other_words_is_the_same_message(api: Api, pool: Pool) -> None:
    """What counts is WhatsApp's id: a message that was stored is not changed by a later one."""
    await api.webhook(webhook(text_message("first", id="wamid.same")))
    await api.webhook(webhook(text_message("second", id="wamid.same")))
    assert await texts(pool) == ["first"]


async def test_a_message_without_id_is_stored_once(api: Api, pool: Pool) -> None:
    """A message that came without an id is known again by its content."""
    body = webhook(text_message("Hello", id=None))
    await api.webhook(body)
    await api.webhook(body)
    assert await count(pool) == 1


# Edits and deletions


def edit(original: str, text: str, **fields: Any) -> dict[str, Any]:
    """The new words of a message."""
    content = {"original_message_id": original, "message": {"type": "text", "text": {"body": text}}}
    return text_message(text=None, type="edit", edit=content, **fields)


def revoke(original: str, **fields: Any) -> dict[str, Any]:
    """A message is taken back."""
    content = {"original_message_id": original}
    return text_message(text=None, type="revoke", revoke=content, **fields)


async def test_an_edit_changes_the_row(api: Api, pool: Pool) -> None:
    """The row has the new words, the log has both."""
    await api.webhook(webhook(text_message("Saturday", id="wamid.e")))
    await api.webhook(webhook(edit("wamid.e", "Sunday")))
    assert await texts(pool) == ["Sunday"]
    assert await count(pool) == 2


async def test_a_deletion_takes_the_text_out(api: Api, pool: Pool) -> None:
    """A deleted message reads `[deleted]`, also where it was edited before or is edited after."""
    await api.webhook(webhook(text_message("Saturday", id="wamid.d")))
    await api.webhook(webhook(edit("wamid.d", "Sunday")))
    await api.webhook(webhook(revoke("wamid.d")))
    await api.webhook(webhook(edit("wamid.d", "Monday")))
    assert await texts(pool) == ["[deleted]"]


@pytest.mark.parametrize("together", [True, False])
async def test_a_change_may_come_before_its_message(
    api: Api, pool: Pool, *, together: bool
) -> None:
    """Out of order, the outcome is the same: the new words, or no words at all."""
    late = [text_message("old", id="wamid.1"), text_message("old", id="wamid.2")]
    early = [edit("wamid.1", "new"), revoke("wamid.2")]
    bodies = [[*early, *late]] if together else [early, late]
    for messages in bodies:
        await api.webhook(webhook(*messages))
    rows = await pool.fetch("SELECT content FROM messages ORDER BY content")
    assert [row["content"] for row in rows] == ["[deleted]", "new"]


async def test_an_edit_is_redelivered_in_vain(api: Api, pool: Pool) -> None:
    """The same edit or deletion again changes nothing."""
    body = webhook(text_message("a", id="wamid.r"), edit("wamid.r", "b", id="wamid.r2"))
    for _ in range(3):
        await api.webhook(body)
    assert await count(pool) == 2


# Without PostgreSQL, without Redis


@pytest.fixture
async def gate(database_url: str) -> AsyncIterator[Gate]:
    """A gate to the database."""
    async with gate_to(database_url) as gate:
        yield gate


async def test_200_only_when_committed(gate: Gate, redis_url: str, pool: Pool) -> None:
    """While PostgreSQL is away a webhook is answered 503; its redelivery is stored once."""
    body = webhook(text_message("Hello"))
    async with running_api(api_settings(gate.url, redis_url)) as api:
        await api.webhook(webhook(text_message("Before")))
        await gate.close()
        problem = await api.webhook(body, 503)
        assert "database" in problem["detail"]
        assert (await api.get("/conversations", 503))["status"] == 503
        await gate.open()
        await api.webhook(body)
        await api.webhook(body)
    assert await texts(pool) == ["Before", "Hello"]


async def test_a_connection_lost_at_the_commit_loses_nothing(
    gate: Gate, redis_url: str, pool: Pool
) -> None:
    """Cut while webhooks are being stored, every one answered 200 is there; the rest is refused."""
    bodies = [webhook(text_message(f"{n}", **{"from": f"4179{n}"})) for n in range(40)]
    taken: list[int] = []

    async def deliver(api: Api, n: int) -> None:
        raw = json.dumps(bodies[n]).encode()
        headers = {"X-Hub-Signature-256": sign(raw, APP_SECRET.encode())}
        async with api.session.post(f"{api.url}/inbound", data=raw, headers=headers) as answer:
            assert answer.status in (200, 503)
            if answer.status == 200:
                taken.append(n)

    async with running_api(api_settings(gate.url, redis_url)) as api:
        sending = [asyncio.create_task(deliver(api, n)) for n in range(40)]
        await until(lambda: count(pool))
        await gate.close()
        await gate.open()
        await asyncio.gather(*sending)
        assert {str(n) for n in taken} <= set(await texts(pool))
        await asyncio.gather(*(api.webhook(body) for body in bodies))
    assert sorted(map(int, await texts(pool))) == [*range(40)]


async def test_redis_is_not_needed_to_receive(
    database_url: str, redis_url: str, pool: Pool
) -> None:
    """With Redis away, before or during, a webhook is stored and answered 200."""
    async with gate_to(redis_url) as gate, running_api(api_settings(database_url, gate.url)) as api:
        await api.webhook(webhook(text_message("a")))
        await gate.close()
        for text in ("b", "c"):
            await api.webhook(webhook(text_message(text)))
        assert (await api.get("/ready"))["status"] == "degraded"
        await gate.open()

        async def is_ready() -> bool:
            return bool((await api.get("/ready"))["status"] == "ready")

        await until(is_ready)
    assert await texts(pool) == ["a", "b", "c"]


async def test_a_slow_sender_does_not_hold_up_others(api: Api, pool: Pool) -> None:
    """A body that never ends keeps nobody else from being served."""

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    async with aiohttp.ClientSession() as session:
        slow = asyncio.create_task(session.post(f"{api.url}/inbound", data=endless()))
        await asyncio.sleep(0.05)
        await api.webhook(webhook(text_message("Hello")))
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
    assert await texts(pool) == ["Hello"]
