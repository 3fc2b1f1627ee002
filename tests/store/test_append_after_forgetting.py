"""What is appended once a customer has been forgotten: nothing old, and a new beginning."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import pytest

from frostdesk.events import Event
from frostdesk.store.append import EventStore, NewEvent
from frostdesk.store.database import Pool, connect
from frostdesk.store.forgetting import erase
from tests.factories import (
    cancelled,
    deleted,
    edited,
    failed,
    generated,
    proposed,
    received,
    sent,
)


class Forgotten:
    """A conversation of one message, one reply and one lesson, that has been forgotten."""

    def __init__(self, store: EventStore, database_url: str) -> None:
        self._store = store
        self._url = database_url
        self.message, self.reply, self.booking = received("My knee!"), generated(), proposed()
        self.id = UUID(int=0)

    async def begin(self) -> Forgotten:
        """Append the story, and forget it."""
        (appended,) = await self._store.append([self.message])
        self.id = appended.conversation_id
        await self._store.append([self.reply, self.booking], conversation_id=self.id)
        await self.forget(self.id)
        return self

    async def forget(self, conversation_id: UUID) -> None:
        """Forget a conversation."""
        connection = await connect(self._url)
        await erase(connection, conversation_id)
        await connection.close()


@pytest.fixture
async def mira(store: EventStore, database_url: str) -> Forgotten:
    """A customer who has been forgotten."""
    return await Forgotten(store, database_url).begin()


async def everything(pool: Pool) -> list[asyncpg.Record]:
    """Every event."""
    return await pool.fetch("SELECT * FROM events ORDER BY position")


async def test_a_new_message_begins_a_new_conversation(
    store: EventStore, pool: Pool, mira: Forgotten
) -> None:
    """Who writes anew is a new customer in a new conversation, and the old one stays forgotten."""
    (anew,) = await store.append([received("Hello again")])
    assert anew.is_new
    assert anew.conversation_id != mira.id
    assert anew.version == 1
    (next_one,) = await store.append([received("Anybody there?")])
    assert next_one.conversation_id == anew.conversation_id
    rows = await pool.fetch("SELECT id, wa_id FROM conversations ORDER BY created_at")
    assert [row["wa_id"] is None for row in rows] == [True, False]
    old = await pool.fetch("SELECT content FROM messages WHERE conversation_id = $1", mira.id)
    assert {row["content"] for row in old} == {"[forgotten]"}


async def test_who_returns_with_many_messages_at_once_has_one_conversation(
    store: EventStore, mira: Forgotten
) -> None:
    """Messages that arrive together, the redelivered old one among them, do not fall apart."""
    batch = [mira.message, *(received(f"Hello {n}") for n in range(8))]
    (old, *new) = await asyncio.gather(*(store.append([message]) for message in batch))
    assert not old[0].is_new
    assert len({appended.conversation_id for (appended,) in new}) == 1
    assert {appended.version for (appended,) in new} == set(range(1, 9))


async def test_one_can_be_forgotten_again(store: EventStore, pool: Pool, mira: Forgotten) -> None:
    """The second conversation can be forgotten like the first, and a third one begins."""
    (second,) = await store.append([received("Hello again")])
    await mira.forget(second.conversation_id)
    (third,) = await store.append([received("Me once more")])
    assert len({mira.id, second.conversation_id, third.conversation_id}) == 3
    assert await pool.fetchval("SELECT count(*) FROM identities") == 1


@pytest.mark.parametrize("late", [edited, deleted])
async def test_a_late_change_brings_nothing_back(
    store: EventStore, pool: Pool, mira: Forgotten, late: object
) -> None:
    """An edit or a deletion of a forgotten message falls away, and so does its redelivery."""
    before = await everything(pool)
    change = edited(mira.message, "Both knees!") if late is edited else deleted(mira.message)
    for _ in range(2):
        (appended,) = await store.append([change])
        assert not appended.is_new
    assert await everything(pool) == before
    assert await pool.fetchval("SELECT count(*) FROM identities") == 0


@pytest.mark.parametrize(
    "late",
    [lambda _: generated("Your knee"), lambda m: sent(m.reply), lambda m: failed(m.message.id)],
)
async def test_what_a_worker_brings_late_falls_away(
    store: EventStore, pool: Pool, mira: Forgotten, late: object
) -> None:
    """A reply, a send or a failure that was under way adds nothing to the stream."""
    before = await everything(pool)
    assert callable(late)
    new: NewEvent = late(mira)
    (appended,) = await store.append([new], conversation_id=mira.id)
    assert not appended.is_new
    assert await everything(pool) == before


async def test_a_lesson_can_still_be_cancelled(
    store: EventStore, pool: Pool, mira: Forgotten
) -> None:
    """The instructor decides about the lesson of a forgotten customer as about any other."""
    (appended,) = await store.append([cancelled(mira.booking)], conversation_id=mira.id)
    assert appended.is_new
    assert await pool.fetchval("SELECT status FROM bookings") == "cancelled"


async def test_events_say_which_shape_they_have(
    store: EventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event is stored under its type's present version."""
    monkeypatch.setattr(Event, "schema_version", 7)
    await store.append([received()])
    assert await pool.fetchval("SELECT schema_version FROM events") == 7
