"""A forgotten customer is gone from the log and the tables, and everything else is as it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, get_args, get_type_hints
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from frostdesk import events
from frostdesk.errors import ConflictError, NotFoundError, VersionConflictError
from frostdesk.events import CUSTOMER_WORDS, EVENT_TYPES, DeliveryUpdated, Event
from frostdesk.store import forgetting
from frostdesk.store.append import EventStore, Expected
from frostdesk.store.database import Pool, connect
from frostdesk.store.forgetting import about, erase, kept_of
from frostdesk.store.usage import Usage
from frostdesk.store.work import find_unfinished, load
from projections import past, project
from tests.factories import (
    ANA,
    ANA_ID,
    BEN,
    cancelled,
    confirmed,
    deleted,
    edited,
    failed,
    generated,
    new,
    proposed,
    received,
    sender,
    sent,
)
from tests.logs import NEWEST, bring_in, log_in, rows_in, stored

SECRETS = ("Vogt", ANA, ANA_ID, "mira.vogt", "41790000009", "knee", "wamid.", "undeliverable")
"""What the story below must not leave behind."""

EVERYWHERE = """
SELECT string_agg(row::text, ' ') FROM (
    SELECT to_jsonb(t) AS row FROM events t UNION ALL SELECT to_jsonb(t) FROM conversations t
    UNION ALL SELECT to_jsonb(t) FROM messages t UNION ALL SELECT to_jsonb(t) FROM bookings t
    UNION ALL SELECT to_jsonb(t) FROM identities t UNION ALL SELECT to_jsonb(t) FROM claims t
) AS everything
"""

ERASED = {"text", "whatsapp_id", "original_whatsapp_id", "whatsapp_ids", "reason", "error"}
ERASED |= {"prompt_hash", "sender"}
KEPT = {"kind", "language", "model", "stage", "status"}
"""Words of ours or of WhatsApp's that say nothing about a person."""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection of its own, as the command has one."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def mira(store: EventStore) -> UUID:
    """A conversation of every kind of event, with work left undone; and one of Ben's."""
    by = sender(ANA, name="Mira Vogt", user_id=ANA_ID, username="mira.vogt", also=("41790000009",))
    message, other = received("I have a bad knee.", by=by), received("No knee at all.", by=by)
    reply, booking, pending = generated("Mind your knee!"), proposed(), generated("Soon, Mira Vogt")
    (first, *_) = await store.append([message, other])
    mira = first.conversation_id
    tick = DeliveryUpdated(
        reply_id=reply.id,
        whatsapp_id="wamid.tick",
        status="failed",
        at=message.event.sent_at,  # type: ignore[attr-defined]  # a message
        error="undeliverable",
    )
    more = [edited(message, "Both knees", by=by), deleted(other, by=by), reply, sent(reply)]
    more += [new(tick), failed(message.id), booking, confirmed(booking), pending]
    await store.append(more, conversation_id=mira)
    await store.append([received("May I come too?", by=sender(BEN, name="Ben"))])
    return mira


async def everything(pool: Pool) -> str:
    """All that the database holds, as one text."""
    return str(await pool.fetchval(EVERYWHERE))


async def rebuilt(pool: Pool) -> dict[str, list[dict[str, Any]]]:
    """The rows that a replay of the whole log into empty tables gives."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        for table in ("messages", "bookings", "identities", "conversations"):
            await connection.execute(f"DELETE FROM {table}")
        await project(connection, 0, 2**62)
        rows = await rows_in(connection)  # type: ignore[arg-type]  # it has a pool's fetch
        await transaction.rollback()
    return rows


async def test_nothing_personal_is_left(
    pool: Pool, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """No text, name, number or id of WhatsApp's is left in any row of the database."""
    before = await everything(pool)
    assert all(secret in before for secret in SECRETS)
    await erase(connection, mira)
    after = await everything(pool)
    assert [secret for secret in SECRETS if secret in after.replace("May I", "")] == ["wamid."]
    assert "wamid." not in str([e for e in await log_in(pool) if e["conversation_id"] == mira])
    assert "May I come too?" in after


async def test_the_log_keeps_its_shape(
    pool: Pool, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """Positions, ids, versions, types, times and the fields of data stay; one event is added."""
    before = await log_in(pool)
    position = await erase(connection, mira)
    *after, last = await log_in(pool)
    for old, now in zip(before, after, strict=True):
        assert {**now, "data": None} == {**old, "data": None}
        shape_before, shape_now = (msgspec.json.decode(e["data"]) for e in (old, now))
        assert shape_now.keys() == shape_before.keys()
        assert old["conversation_id"] == mira or now == old
    assert (last["type"], last["position"]) == ("CustomerForgotten", position)
    assert last["version"] == 1 + sum(e["conversation_id"] == mira for e in before)


async def test_a_replay_gives_the_same_tables(
    pool: Pool, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """The rows that are left are those that the redacted log leads to, and other people's stay."""
    others = [r for r in (await rows_in(pool))["messages"] if r["conversation_id"] != mira]
    await erase(connection, mira)
    rows = await rows_in(pool)
    assert rows == await rebuilt(pool)
    assert [r for r in rows["messages"] if r["conversation_id"] != mira] == others
    assert {r["content"] for r in rows["messages"] if r["conversation_id"] == mira} == {
        "[forgotten]",
        "[deleted]",
    }


async def test_lessons_stay(
    pool: Pool, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """A confirmed lesson keeps its slot: the instructor's calendar is no customer's secret."""
    before = (await rows_in(pool))["bookings"]
    await erase(connection, mira)
    after = (await rows_in(pool))["bookings"]
    assert [(b["id"], b["status"], b["starts_at"]) for b in after] == [
        (b["id"], b["status"], b["starts_at"]) for b in before
    ]


async def test_nothing_is_left_to_do(
    store: EventStore, pool: Pool, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """No reply, no retry and no announcement is due, not even of a later decision."""
    await erase(connection, mira)
    booking = (await rows_in(pool))["bookings"][0]
    lesson = next(e for e in await log_in(pool) if e["id"] == booking["id"])
    proposal = msgspec.json.decode(lesson["data"], type=events.BookingProposed)
    await store.append([cancelled(new(proposal, booking["id"]))], conversation_id=mira)
    assert mira not in await find_unfinished(pool, limit=10, settle_after=0)
    work = (await load(pool, [mira], Usage(calls_per_minute=10))).get(mira)
    assert work is None or (not work.unfinished and not any(b.unannounced for b in work.bookings))
    assert await rows_in(pool) == await rebuilt(pool)


async def test_a_worker_in_thought_is_stopped(
    store: EventStore,
    pool: Pool,
    connection: asyncpg.Connection[asyncpg.Record],
    mira: UUID,
) -> None:
    """An answer that was begun before the customer was forgotten cannot be appended."""
    version = await connection.fetchval(
        "SELECT max(version) FROM events WHERE conversation_id = $1", mira
    )
    await erase(connection, mira)
    with suppress(VersionConflictError):
        await store.append(
            [generated("Your knee again")],
            conversation_id=mira,
            expected=Expected(version, CUSTOMER_WORDS),
        )
    assert "Your knee again" not in await everything(pool)


async def test_an_old_webhook_brings_nothing_back(
    store: EventStore, pool: Pool, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """A message that is delivered again is known by its id, though its id at WhatsApp is gone."""
    message = received("I have a bad knee.")
    (appended,) = await store.append([message])
    await erase(connection, appended.conversation_id)
    before = await everything(pool)
    (again,) = await store.append([message])
    assert not again.is_new
    assert await everything(pool) == before


async def test_forgetting_twice_is_forgetting_once(
    pool: Pool, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """The second time changes nothing and gives the same position."""
    position = await erase(connection, mira)
    before = await everything(pool)
    assert await erase(connection, mira) == position
    assert await everything(pool) == before


async def test_writers_go_on_meanwhile(
    store: EventStore, pool: Pool, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """Others write while one is forgotten, and the tables are those of a replay all the same."""

    async def write(number: int) -> None:
        for _ in range(5):
            await store.append([received(by=sender(f"4179000{number:04}"))])

    await asyncio.gather(erase(connection, mira), *map(write, range(6)))
    assert await rows_in(pool) == await rebuilt(pool)
    assert "knee" not in await everything(pool)


async def test_copies_forget_too(
    pool: Pool, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """As-of schemas, which carry a mark, and what a rebuild has laid aside lose the words too."""
    for schema in ("last_week", "frostdesk_rebuild"):
        await pool.execute(f"CREATE SCHEMA {schema}")
        for table in ("conversations", "identities", "messages", "bookings"):
            await pool.execute(
                f"CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING INDEXES);"
                f" INSERT INTO {schema}.{table} SELECT * FROM public.{table}"
            )
    await pool.execute(f"COMMENT ON SCHEMA last_week IS '{past.MARK}2'")
    await erase(connection, mira)
    for schema in ("last_week", "frostdesk_rebuild"):
        left = await pool.fetchval(f"SELECT string_agg(m::text, ' ') FROM {schema}.messages m")
        assert "knee" not in left
        assert "May I come too?" in left
    assert await pool.fetchval("SELECT count(*) FROM last_week.messages") == 3


async def test_a_copy_under_way_is_waited_for(
    pool: Pool,
    connection: asyncpg.Connection[asyncpg.Record],
    mira: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forgetting waits for whoever copies from the past, holding up no append, and gives up."""
    monkeypatch.setattr(forgetting, "BEGIN", forgetting.BEGIN.replace("10s", "300ms"))
    async with pool.acquire() as copier, copier.transaction():
        await copier.execute(f"SELECT pg_advisory_xact_lock_shared({past.COPY_LOCK})")
        with pytest.raises(ConflictError, match="Nothing was forgotten"):
            await erase(connection, mira)
    assert "knee" in await everything(pool)
    await erase(connection, mira)
    assert "knee" not in await everything(pool)


async def test_an_unknown_conversation_is_an_error(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    """Whoever does not exist can be neither forgotten nor shown."""
    for ask in (erase, about, kept_of):
        with pytest.raises(NotFoundError, match="There is no conversation"):
            await ask(connection, uuid4())


async def test_it_is_known_whom_it_is_about(
    store: EventStore, connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """Name, identities and numbers are told beforehand, and further conversations of the same."""
    by_phone = sender(None, user_id="CH.9000000000000007", name="Mira again")
    (other,) = await store.append([received(by=by_phone)])
    await connection.execute(
        "UPDATE conversations SET user_id = $1 WHERE id = $2", ANA_ID, other.conversation_id
    )
    whom = await about(connection, mira)
    assert (whom.name, whom.wa_id, whom.messages, whom.bookings) == ("Mira Vogt", ANA, 4, 1)
    assert whom.others == [other.conversation_id]


async def test_all_that_is_kept_is_given(
    connection: asyncpg.Connection[asyncpg.Record], mira: UUID
) -> None:
    """What is handed over holds every column of every row of the conversation, and no other's."""
    kept = await kept_of(connection, mira)
    assert kept["conversation"]["name"] == "Mira Vogt"
    assert {i["identity"] for i in kept["identities"]} == {ANA, ANA_ID, "41790000009"}
    assert len(kept["messages"]) == 4
    assert len(kept["bookings"]) == 1
    assert [e["version"] for e in kept["events"]] == list(range(1, 12))
    assert "May I come too?" not in str(kept)
    assert kept["events"][0]["recorded_at"].endswith("+00:00")


def test_every_field_is_either_erased_or_known_to_be_harmless() -> None:
    """Whoever adds a field of text to an event has to decide what forgetting does to it."""
    for kind in EVENT_TYPES.values():
        for name, hint in get_type_hints(kind).items():
            kinds = {hint, *get_args(hint), *(a for h in get_args(hint) for a in get_args(h))}
            if name != "schema_version" and kinds & {str, events.Sender}:
                assert name in ERASED | KEPT, (kind, name)


async def test_what_is_erased_is_still_an_event(pool: Pool, database_url: str) -> None:
    """`forgotten_data` of every stored event is an event without the erased words."""
    await bring_in(database_url)
    rows = await pool.fetch(
        "SELECT type, data, forgotten_data(data) AS once,"
        " forgotten_data(forgotten_data(data)) AS twice FROM events ORDER BY position"
    )
    for row in rows:
        event: Event = msgspec.json.decode(row["once"], type=EVENT_TYPES[row["type"]])
        assert row["once"] == row["twice"]
        old = msgspec.json.decode(row["data"])
        for name in ERASED & old.keys() - {"sender"}:
            assert set(getattr(event, name)) <= {"[forgotten]", *"[forgotten]"}
        assert not getattr(event, "sender", sender(None)).identities
    assert len(rows) == len(stored(NEWEST))
