"""What WhatsApp's statuses say about our replies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from frostdesk.deliveries import Reply, facts_of, record_statuses
from frostdesk.events import (
    DeliveryUpdated,
    ReplyFailed,
    ReplyPartSent,
    ReplySent,
    SendUncertain,
    derive_id,
)
from frostdesk.instructor.commands import retry
from frostdesk.store.append import EventStore, NewEvent
from frostdesk.store.database import Pool
from frostdesk.store.parts import SentPart
from frostdesk.whatsapp.texts import split_text
from frostdesk.whatsapp.webhook import StatusUpdate
from tests.factories import generated, new, received, sent

LONG = "Fresh snow on every slope. " * 200


@pytest.fixture
async def store(pool: Pool) -> AsyncIterator[EventStore]:
    """A store on this test's database."""
    async with EventStore(pool) as store:
        yield store


def said(status: str = "delivered", whatsapp_id: str = "wamid.1", **more: Any) -> StatusUpdate:
    """What a status says."""
    fields: dict[str, Any] = {
        "whatsapp_id": whatsapp_id,
        "reply_id": None,
        "status": status,
        "at": datetime.now(UTC),
        "error": None,
    }
    return StatusUpdate(**fields | more)


async def replied(store: EventStore, *events: NewEvent) -> None:
    """A conversation with a message and these events."""
    (appended,) = await store.append([received()])
    await store.append(events, conversation_id=appended.conversation_id)


async def types(pool: Pool) -> list[str]:
    """The types of all events after the reply."""
    rows = await pool.fetch("SELECT type FROM events WHERE version > 2 ORDER BY position")
    return [row["type"] for row in rows]


@pytest.mark.parametrize("status", ["pending", "unsettled", "repeated"])
def test_a_status_is_the_missing_record(status: str) -> None:
    """For a reply of unknown outcome, any good status means that it has been sent."""
    reply = Reply(uuid4(), uuid4(), None, status, "Hello", [])
    assert [type(f).__name__ for f in facts_of(reply, said("sent"))] == [
        "ReplySent",
        "DeliveryUpdated",
    ]


def test_a_failed_status_is_a_failure() -> None:
    """`failed` with its reason is a ReplyFailed of the stage `delivery`."""
    reply = Reply(uuid4(), uuid4(), "wamid.1", "sent", "Hello", [])
    failure = facts_of(reply, said("failed", error="131026: Undeliverable"))[-1]
    assert failure.stage == "delivery"  # type: ignore[attr-defined]  # a ReplyFailed
    assert "131026" in failure.reason  # type: ignore[attr-defined]  # likewise


async def test_a_status_by_the_replys_id_settles_it(store: EventStore, pool: Pool) -> None:
    """`biz_opaque_callback_data` names the reply, though WhatsApp's own id is not known yet."""
    reply = generated()
    uncertain = new(SendUncertain(reply_id=reply.id, reason="cut off"))
    await replied(store, reply, uncertain)
    await record_statuses(pool, store, [said("delivered", "wamid.9", reply_id=reply.id)])
    row = await pool.fetchrow("SELECT * FROM messages WHERE id = $1", reply.id)
    assert row is not None
    assert (row["status"], row["whatsapp_id"]) == ("sent", "wamid.9")
    assert row["delivered_at"] is not None


async def test_a_late_status_settles_what_was_given_up(store: EventStore, pool: Pool) -> None:
    """Given up with its outcome unknown, then told of: it was sent, and a retry finds nothing."""
    reply = generated()
    uncertain = new(SendUncertain(reply_id=reply.id, reason="cut off"))
    gave_up = new(
        ReplyFailed(stage="send", reason="outcome unknown", attempts=2, reply_id=reply.id)
    )
    await replied(store, reply, uncertain, gave_up)
    await record_statuses(pool, store, [said("delivered", "wamid.9", reply_id=reply.id)])
    assert await types(pool) == ["SendUncertain", "ReplyFailed", "ReplySent", "DeliveryUpdated"]
    row = await pool.fetchrow("SELECT * FROM messages WHERE id = $1", reply.id)
    assert row is not None
    assert row["status"] == "sent"


async def test_a_status_by_whatsapps_id_is_known(store: EventStore, pool: Pool) -> None:
    """A status that names only WhatsApp's id finds the reply that was recorded under it."""
    reply = generated()
    await replied(store, reply, sent(reply, "wamid.7"))
    await record_statuses(pool, store, [said("read", "wamid.7")])
    assert await pool.fetchval("SELECT read_at IS NOT NULL FROM messages WHERE id = $1", reply.id)


async def test_repeated_statuses_add_nothing(store: EventStore, pool: Pool) -> None:
    """The same statuses again, in any order and grouping, change nothing."""
    reply = generated()
    await replied(store, reply)
    statuses = [said(s, reply_id=reply.id) for s in ("sent", "delivered", "read")]
    await record_statuses(pool, store, statuses)
    first = await types(pool)
    await record_statuses(pool, store, statuses[::-1])
    for status in statuses:
        await record_statuses(pool, store, [status])
    assert await types(pool) == first == ["ReplySent", *["DeliveryUpdated"] * 3]


async def test_unknown_statuses_are_ignored(store: EventStore, pool: Pool) -> None:
    """What names nothing known leaves no trace, whatever it says."""
    await replied(store, generated())
    strange = [said("sent", "wamid.x", reply_id=uuid4()), said("failed"), said("levitated")]
    await record_statuses(pool, store, strange)
    assert await types(pool) == []


async def test_a_customers_message_is_no_reply(store: EventStore, pool: Pool) -> None:
    """A status that names a customer's message is not about us."""
    message = received()
    await store.append([message])
    await record_statuses(pool, store, [said("sent", reply_id=message.id)])
    assert await pool.fetchval("SELECT count(*) FROM events") == 1


async def test_a_part_is_not_the_whole(store: EventStore, pool: Pool) -> None:
    """Of a reply in two parts, a status of the first settles that part; that of the last, all."""
    reply = generated(LONG)
    part = new(ReplyPartSent(reply_id=reply.id, part=1, parts=2, whatsapp_id="wamid.1"))
    await replied(store, reply, part)

    async def state() -> str:
        row_id: UUID = reply.id
        return str(await pool.fetchval("SELECT status FROM messages WHERE id = $1", row_id))

    await record_statuses(pool, store, [said("read", "wamid.1", reply_id=reply.id)])
    assert await state() == "pending"
    await record_statuses(pool, store, [said("sent", "wamid.2", reply_id=reply.id)])
    assert await state() == "sent"


async def test_parts_told_of_at_once_are_different_parts(store: EventStore, pool: Pool) -> None:
    """One webhook tells of both parts of a reply, of which nothing was on record: all was sent."""
    reply = generated(LONG)
    await replied(store, reply)
    statuses = [said(s, i, reply_id=reply.id) for i in ("w.1", "w.2") for s in ("sent", "read")]
    await record_statuses(pool, store, statuses)
    rows = await pool.fetch("SELECT data FROM events WHERE type = 'ReplySent'")
    assert [json.loads(row["data"])["whatsapp_ids"] for row in rows] == [["w.1", "w.2"]]
    assert (await types(pool)).count("ReplyPartSent") == 1
    assert await pool.fetchval("SELECT status FROM messages WHERE id = $1", reply.id) == "sent"


async def test_a_failure_tells_that_whatsapp_took_it(store: EventStore, pool: Pool) -> None:
    """A failure that comes before the worker's record stays one when the record comes."""
    reply = generated()
    await replied(store, reply)
    failure = said("failed", "wamid.5", reply_id=reply.id, error="131026")
    await record_statuses(pool, store, [failure])
    assert await types(pool) == ["ReplySent", "DeliveryUpdated", "ReplyFailed"]
    conversation_id = await pool.fetchval("SELECT id FROM conversations")
    record = new(
        ReplySent(reply_id=reply.id, whatsapp_ids=("wamid.5",)),
        derive_id("sent", reply.id, "wamid.5"),
    )
    await store.append([record], conversation_id=conversation_id)
    row = await pool.fetchrow("SELECT status, error FROM messages WHERE id = $1", reply.id)
    assert row is not None
    assert row["status"] == "failed"
    assert "131026" in row["error"]


async def test_a_part_that_failed_is_not_taken_for_another(store: EventStore, pool: Pool) -> None:
    """Old news of a part that goes out anew stands for none; news of the new one completes all."""
    reply = generated(LONG)
    whole = new(ReplySent(reply_id=reply.id, whatsapp_ids=("w.1", "w.2")))
    await replied(store, reply, whole)
    await record_statuses(pool, store, [said("failed", "w.1", reply_id=reply.id)])
    conversation_id = await pool.fetchval("SELECT id FROM conversations")
    assert len(await retry(pool, store, conversation_id)) == 1
    await record_statuses(pool, store, [said("sent", "w.1", reply_id=reply.id)])
    assert await pool.fetchval("SELECT status FROM messages WHERE id = $1", reply.id) == "pending"
    await record_statuses(pool, store, [said("sent", "w.3", reply_id=reply.id)])
    data = await pool.fetchval("SELECT data FROM events ORDER BY position DESC OFFSET 1 LIMIT 1")
    assert json.loads(data)["whatsapp_ids"] == ["w.3", "w.2"]


def test_what_may_be_either_of_two_parts_is_taken_for_none() -> None:
    """Asked for anew while the rest goes out, a part is not settled by news of another."""
    parts = [SentPart(1, "w.1", given_up=True), SentPart(2, "w.2")]
    reply = Reply(uuid4(), uuid4(), None, "pending", LONG * 2, parts)
    assert len(split_text(reply.content)) == 3
    assert [type(f) for f in facts_of(reply, said("sent", "w.3"))] == [DeliveryUpdated]
