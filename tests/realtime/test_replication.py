"""The stream of committed changes of a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from frostdesk.errors import TryAgainError
from frostdesk.realtime import replication
from frostdesk.realtime.changes import Change
from frostdesk.realtime.replication import Stream, open_stream
from frostdesk.store.append import EventStore
from frostdesk.store.database import LOST, Pool
from tests.factories import BEN, proposed, received, sender
from tests.realtime.sockets import END_STREAMS

SLOTS = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"


@pytest.fixture
async def stream(direct_url: str) -> AsyncIterator[Stream]:
    """What is committed from now on."""
    async with open_stream(direct_url) as stream:
        yield stream


async def take(stream: Stream, count: int) -> list[Change]:
    """The next changes."""
    changes: list[Change] = []
    async with asyncio.timeout(10):
        async for change in stream.changes():
            changes.append(change)
            if len(changes) == count:
                return changes
    raise AssertionError(changes)


async def test_rows_are_as_postgresql_writes_them_in_json(
    stream: Stream, store: EventStore, pool: Pool
) -> None:
    """Every value of every table is what `to_jsonb` makes of it, and has its column and type."""
    (asked,) = await store.append([received("A “lesson”?\n\t\\ 🎿")])
    await store.append([proposed()], conversation_id=asked.conversation_id)
    for change in await take(stream, 3):
        row = await pool.fetchval(f"SELECT to_jsonb(t) FROM {change.table} t")
        assert change.record == msgspec.json.decode(row)
        assert [c.name for c in change.columns] == list(stream.columns[change.table])
        assert dict(stream.columns[change.table])["created_at"] == "timestamptz"


async def test_changes_come_in_the_order_of_commits(
    stream: Stream, store: EventStore, pool: Pool
) -> None:
    """A transaction that began first and commits last comes last, whole, with its time."""
    await store.append([received(), received(by=sender(BEN))])
    await take(stream, 4)
    async with pool.acquire() as slow, slow.transaction():
        await slow.execute("UPDATE messages SET content = 'slow' WHERE status = 'waiting'")
        await pool.execute("UPDATE conversations SET name = 'fast'")
        fast = await take(stream, 2)
    slow_ones = await take(stream, 2)
    assert [c.row["name"] for c in fast] == ["fast", "fast"]
    assert [c.row["content"] for c in slow_ones] == ["slow", "slow"]
    assert slow_ones[0].commit_timestamp > fast[0].commit_timestamp


async def test_what_is_rolled_back_is_not_told(
    stream: Stream, store: EventStore, pool: Pool
) -> None:
    """Only what is committed is heard of."""
    await store.append([received("kept")])
    await take(stream, 2)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE messages SET content = 'undone'")
        await transaction.rollback()
    await pool.execute("UPDATE messages SET content = 'corrected'")
    (change,) = await take(stream, 1)
    assert change.row["content"] == "corrected"


async def test_long_texts_are_told_when_something_else_changes(
    stream: Stream, store: EventStore, pool: Pool
) -> None:
    """A text that PostgreSQL keeps aside is in the new row and in the old one all the same."""
    long = "".join(str(uuid4()) for _ in range(2_000))
    await store.append([received(long)])
    await pool.execute("UPDATE messages SET disclosure = true")
    update = (await take(stream, 3))[-1]
    assert isinstance(update.old_record, dict)
    assert update.row["content"] == update.old_record["content"] == long
    assert (update.old_record["disclosure"], update.row["disclosure"]) == (False, True)


async def test_of_a_smaller_identity_only_the_key_is_old(
    stream: Stream, store: EventStore, pool: Pool
) -> None:
    """Where the log of the database has only the key of the old row, only that is told."""
    message = received()
    await pool.execute("ALTER TABLE messages REPLICA IDENTITY DEFAULT")
    await store.append([message])
    await pool.execute("DELETE FROM messages")
    assert (await take(stream, 3))[-1].old_record == {"id": str(message.id)}


async def test_other_tables_are_not_told(stream: Stream, store: EventStore, pool: Pool) -> None:
    """A table that somebody else has put into the publication is left out."""
    await pool.execute("CREATE TABLE diary (page int)")
    await pool.execute("ALTER PUBLICATION supabase_realtime ADD TABLE diary")
    await pool.execute("INSERT INTO diary VALUES (1)")
    await store.append([received()])
    assert [c.table for c in await take(stream, 2)] == ["conversations", "messages"]


async def test_a_table_emptied_as_a_whole_ends_the_stream(
    stream: Stream, store: EventStore, pool: Pool
) -> None:
    """What is not told row by row has to be read anew, so the stream ends."""
    await store.append([received()])
    await take(stream, 2)
    await pool.execute("TRUNCATE messages")
    with pytest.raises(TryAgainError, match="emptied"):
        await take(stream, 1)


async def test_nothing_is_left_behind(
    direct_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the stream runs it has a slot, and when it has ended there is none."""
    monkeypatch.setattr(replication, "END_SECONDS", 30.0)
    async with open_stream(direct_url):
        assert await pool.fetchval(SLOTS) == 1
    assert await pool.fetchval(SLOTS) == 0


async def test_a_lost_connection_ends_the_stream(stream: Stream, pool: Pool) -> None:
    """If the server ends the connection, so does the stream, with an error."""
    await pool.execute(END_STREAMS)
    errors: tuple[Any, ...] = (*LOST, EOFError, TryAgainError)
    with pytest.raises(errors):
        await take(stream, 1)


async def test_a_user_without_the_right_is_refused(direct_url: str, pool: Pool) -> None:
    """Following changes needs the attribute REPLICATION; its lack is PostgreSQL's own error."""
    name = f"reader_{uuid4().hex}"
    await pool.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'invented'")
    try:
        server = urlsplit(direct_url)
        host = server.netloc.rpartition("@")[2]
        url = server._replace(netloc=f"{name}:invented@{host}").geturl()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with open_stream(url):
                pass
    finally:
        await pool.execute(f"DROP ROLE {name}")
