"""A rebuild sets right what is wrong, touches nothing else, and holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frostdesk.events import derive_id
from frostdesk.store.append import EventStore
from frostdesk.store.database import Connection
from projections import APPEND_LOCK, TABLES, repair
from projections.compare import Difference
from projections.rebuild import (
    AlreadyRunningError,
    Connect,
    Summary,
    comparison,
    rebuild,
)
from projections.repair import SCHEMA
from tests.factories import generated, received, sent
from tests.projections.story import customer, tell
from tests.support.waiting import until

BOGUS_CONVERSATION = """
INSERT INTO conversations (id, created_at, phone_number_id, last_message_at, customer_at,
                           customer_version)
VALUES ('00000000-0000-0000-0000-000000000001', now(), '1', now(), now(), 1)
"""
BOGUS_MESSAGE = """
INSERT INTO messages (id, conversation_id, role, author, content, created_at, version, kind,
                      status, step_at)
SELECT gen_random_uuid(), id, 'user', 'customer', 'never said', now(), 99, 'text', 'noted', now()
  FROM conversations LIMIT 1
"""
CORRUPTIONS = (
    "UPDATE messages SET content = 'wrong' WHERE role = 'user'",
    "UPDATE messages SET status = 'failed', read_at = now() WHERE version > 2",
    "DELETE FROM messages WHERE role = 'assistant'",
    "UPDATE messages SET role = CASE role WHEN 'user' THEN 'assistant' ELSE 'user' END",
    "UPDATE conversations SET name = 'Somebody else', customer_version = 0",
    "UPDATE identities SET conversation_id = gen_random_uuid()",
    "INSERT INTO identities VALUES ('1', '2', gen_random_uuid())",
    "DELETE FROM identities",
    "UPDATE bookings SET status = 'cancelled' WHERE status = 'confirmed'",
    "DELETE FROM bookings WHERE status = 'pending'",
    "UPDATE bookings SET starts_at = ends_at, ends_at = ends_at + interval '1 day'",
    "DELETE FROM messages; DELETE FROM bookings; DELETE FROM conversations",
    BOGUS_CONVERSATION + " ON CONFLICT DO NOTHING",
    BOGUS_MESSAGE,
)


def no_progress(_share: float, _events: int) -> None:
    """Nobody watches."""


async def found(connect: Connect) -> list[Difference]:
    """The rows that differ from the log."""
    async with comparison(connect, no_progress) as compared:
        return [difference async for difference in compared.differences()]


@asynccontextmanager
async def appends_held(connect: Connect) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Keep the turn to append, as an append does that takes long; gives the connection."""
    async with connect() as holder, holder.transaction():
        await holder.execute(f"SELECT pg_advisory_xact_lock({APPEND_LOCK})")
        yield holder


async def waits_for_its_turn(connection: Connection) -> bool:
    """Whether somebody waits to append or to repair."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return bool(
        await connection.fetchval(
            f"{query} AND database = (SELECT oid FROM pg_database WHERE datname ="
            " current_database())"
        )
    )


async def published(connection: Connection, slot: str) -> list[str]:
    """The changes that subscribers of the tables are told of: I, U, D or T, one a row."""
    rows = await connection.fetch(
        "SELECT data FROM pg_logical_slot_get_binary_changes($1, NULL, NULL,"
        " 'proto_version', '1', 'publication_names', 'supabase_realtime')",
        slot,
    )
    kinds = [chr(row["data"][0]) for row in rows]
    return [kind for kind in kinds if kind in "IUDT"]


@pytest.fixture
async def slot(connection: Connection) -> str:
    """A subscriber that has heard of nothing yet; ends with its connection."""
    name = f"frostdesk_test_{id(connection)}"
    await connection.execute(
        f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput', true)"
    )
    return name


async def test_a_rebuild_that_finds_nothing_changes_no_row(
    store: EventStore, connect: Connect, connection: Connection, slot: str
) -> None:
    """Subscribers hear of no change, and the summary tells of none."""
    await tell(store)
    assert await published(connection, slot)

    done = await rebuild(connect, no_progress)

    assert (done.inserted, done.changed, done.deleted) == (0, 0, 0)
    assert done.rows == sum([await _count(connection, table) for table in TABLES])
    assert done.events == await _count(connection, "events")
    assert await published(connection, slot) == []


async def test_exactly_the_rows_that_drifted_are_changed(
    store: EventStore, connect: Connect, connection: Connection, slot: str
) -> None:
    """One change a wrong row: a changed one, a missing one and one that should not be."""
    await tell(store)
    await connection.execute(
        "UPDATE messages SET content = 'wrong' WHERE id = (SELECT id FROM messages LIMIT 1)"
    )
    await connection.execute("DELETE FROM bookings WHERE id IN (SELECT id FROM bookings LIMIT 1)")
    await connection.execute(BOGUS_CONVERSATION)
    await published(connection, slot)

    done = await rebuild(connect, no_progress)

    assert (done.inserted, done.changed, done.deleted) == (1, 1, 1)
    assert sorted(await published(connection, slot)) == ["D", "I", "U"]
    assert await found(connect) == []


async def test_a_comparison_tells_what_is_and_what_should_be(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """A difference names table, key and columns, with both rows; comparing changes nothing."""
    await tell(store)
    message = await connection.fetchrow("SELECT id, content FROM messages LIMIT 1")
    assert message is not None
    await connection.execute("UPDATE messages SET content = 'wrong' WHERE id = $1", message["id"])
    await connection.execute("INSERT INTO identities VALUES ('1', '2', gen_random_uuid())")

    extra, changed = await found(connect)

    assert (extra.table, extra.id, extra.other) == ("identities", "1/2", None)
    assert (changed.table, changed.id) == ("messages", str(message["id"]))
    assert changed.columns == ("content",)
    assert changed.live is not None
    assert changed.other is not None
    assert changed.live["content"] == "wrong"
    assert changed.other["content"] == message["content"]
    assert len(await found(connect)) == 2


async def test_a_message_under_the_wrong_role_is_one_difference(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """The roles are compared apart; a row that went over to the other is told of once, and set."""
    await tell(store)
    message = await connection.fetchval("SELECT id FROM messages WHERE role = 'user' LIMIT 1")
    await connection.execute("UPDATE messages SET role = 'assistant' WHERE id = $1", message)

    (difference,) = await found(connect)
    assert (difference.id, difference.columns) == (str(message), ("role",))

    done = await rebuild(connect, no_progress)
    assert (done.inserted, done.changed, done.deleted) == (0, 1, 0)
    assert done.rows == sum([await _count(connection, table) for table in TABLES])
    assert await found(connect) == []


async def test_appends_go_on_while_tables_are_compared(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """In the middle of a comparison nothing waits, and it does not mistake news for drift."""
    await tell(store)
    async with comparison(connect, no_progress) as compared:
        await store.append([received(by=customer(1))])

        assert not await waits_for_its_turn(connection)
        assert compared.count == 0


async def test_what_is_appended_during_a_rebuild_is_in_the_repaired_rows(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """A wrong row becomes what the log says at the end, not what it said at the beginning."""
    await tell(store)
    reply = generated()
    await store.append([reply], conversation_id=await _conversation(connection))
    await connection.execute("UPDATE messages SET content = 'wrong' WHERE id = $1", reply.id)

    async with appends_held(connect):
        task = asyncio.create_task(rebuild(connect, no_progress))
        await until(lambda: waits_for_its_turn(connection))
        append = asyncio.create_task(
            store.append([sent(reply)], conversation_id=await _conversation(connection))
        )
    await asyncio.gather(task, append)

    row = await connection.fetchrow("SELECT content, status FROM messages WHERE id = $1", reply.id)
    assert row is not None
    assert tuple(row) == ("Gladly!", "sent")
    assert await found(connect) == []


async def test_lessons_that_stand_in_each_other_s_slot_change_places(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """Two confirmed lessons whose times were exchanged get their own back."""
    await tell(store)
    ids = [row["id"] for row in await connection.fetch("SELECT id FROM bookings ORDER BY id")]
    mine, yours = ids[:2]
    slots = {row["id"]: row for row in await connection.fetch("SELECT * FROM bookings")}
    move = "UPDATE bookings SET starts_at = $2, ends_at = $3 WHERE id = $1"
    await connection.execute("UPDATE bookings SET status = 'pending' WHERE id = $1", mine)
    for booking, place in ((yours, mine), (mine, yours)):
        await connection.execute(move, booking, slots[place]["starts_at"], slots[place]["ends_at"])
    await connection.execute("UPDATE bookings SET status = 'confirmed' WHERE id = $1", mine)

    done = await rebuild(connect, no_progress)

    assert (done.inserted, done.changed, done.deleted) == (0, 2, 0)
    assert await found(connect) == []


async def test_tables_that_are_empty_are_filled(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """A log without tables, as after bringing back a backup, gives them all."""
    await tell(store)
    before = await _everything(connection)
    await connection.execute("TRUNCATE conversations, identities, messages, bookings")

    done = await rebuild(connect, no_progress)

    assert done.inserted == sum(len(rows) for rows in before.values())
    assert await _everything(connection) == before


async def test_an_empty_log_gives_empty_tables(connect: Connect, connection: Connection) -> None:
    """With no event there is nothing to do; a row that is there all the same goes."""
    assert (await rebuild(connect, no_progress)).rows == 0

    await connection.execute(BOGUS_CONVERSATION)

    assert (await rebuild(connect, no_progress)).deleted == 1


async def test_positions_may_have_gaps(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """A log whose positions begin high and leave millions out is replayed like any other."""
    await connection.execute("ALTER TABLE events ALTER position RESTART WITH 5000000000")
    await tell(store)
    await connection.execute("ALTER TABLE events ALTER position RESTART WITH 9000000000000")
    await store.append([received(by=customer(1))])

    assert await found(connect) == []
    await connection.execute("UPDATE messages SET content = 'wrong'")
    await rebuild(connect, no_progress)
    assert await found(connect) == []


async def test_a_second_rebuild_is_told_so(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """While one is at work another ends at once; the first comes to its end."""
    await tell(store)
    await connection.execute("UPDATE messages SET content = 'wrong'")
    async with appends_held(connect):
        first = asyncio.create_task(rebuild(connect, no_progress))
        await until(lambda: waits_for_its_turn(connection))
        with pytest.raises(AlreadyRunningError):
            await rebuild(connect, no_progress)

    assert (await first).changed


async def test_a_customer_forgotten_meanwhile_stays_forgotten(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """What a comparison has seen of a customer is not written back once the customer is erased."""
    await tell(store)
    conversation = await _conversation(connection)
    await connection.execute("UPDATE messages SET content = 'wrong'")
    async with appends_held(connect) as holder:
        task = asyncio.create_task(rebuild(connect, no_progress))
        await until(lambda: waits_for_its_turn(connection))
        await holder.execute(
            "SELECT forget_conversation($1, $2)", conversation, derive_id("test", "forget")
        )
    await task

    said = await connection.fetch(
        "SELECT content FROM messages WHERE conversation_id = $1", conversation
    )
    assert {row["content"] for row in said} == {"[forgotten]"}
    assert await found(connect) == []


async def test_a_cancelled_rebuild_leaves_nothing_behind(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """Interrupted before its first repair, it has changed no row, and takes its things away."""
    await tell(store)
    await connection.execute("UPDATE messages SET content = 'wrong'")
    async with appends_held(connect):
        task = asyncio.create_task(rebuild(connect, no_progress))
        await until(lambda: waits_for_its_turn(connection))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    wrong = await connection.fetchval("SELECT bool_and(content = 'wrong') FROM messages")
    assert wrong
    assert await connection.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None


async def test_a_lost_connection_changes_nothing_and_the_next_run_cleans_up(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """When the server ends its sessions the rebuild fails; the next one does the work."""
    await tell(store)
    await connection.execute("UPDATE messages SET content = 'wrong'")
    async with appends_held(connect) as holder:
        task = asyncio.create_task(rebuild(connect, no_progress))
        await until(lambda: waits_for_its_turn(connection))
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> ALL ($1::int[])",
            [connection.get_server_pid(), await holder.fetchval("SELECT pg_backend_pid()")],
        )
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await task

    assert await connection.fetchval("SELECT bool_and(content = 'wrong') FROM messages")
    await rebuild(connect, no_progress)
    assert await found(connect) == []
    assert await connection.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None


@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    corruptions=st.lists(st.sampled_from(CORRUPTIONS), min_size=1, max_size=4),
    number=st.integers(1, 8),
)
async def test_after_any_corruption_the_tables_equal_a_fresh_replay(
    store: EventStore,
    connect: Connect,
    connection: Connection,
    corruptions: list[str],
    number: int,
) -> None:
    """Whatever is broken, and whatever is appended meanwhile, a rebuild gives the right rows."""
    await tell(store)
    for corruption in corruptions:
        with suppress(asyncpg.IntegrityConstraintViolationError):
            await connection.execute(corruption)

    work: list[Any] = [rebuild(connect, no_progress)]
    work += [_chat(store, customer(turn)) for turn in range(number)]
    done, *_ = await asyncio.gather(*work)

    assert isinstance(done, Summary)
    assert await found(connect) == []


async def _chat(store: EventStore, by: Any) -> None:
    message = received(by=by)
    (placed,) = await store.append([message])
    reply = generated(answers=(message.id,))
    await store.append([reply], conversation_id=placed.conversation_id)
    await store.append([sent(reply)], conversation_id=placed.conversation_id)


async def _conversation(connection: Connection) -> Any:
    return await connection.fetchval("SELECT id FROM conversations ORDER BY created_at LIMIT 1")


async def _count(connection: Connection, table: str) -> int:
    return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def _everything(connection: Connection) -> dict[str, list[asyncpg.Record]]:
    return {
        table: await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES
    }


async def test_a_lesson_set_right_before_others_change_places_stays_right(
    store: EventStore,
    connect: Connect,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches of one: the first lesson is right again before the slots of the next are freed."""
    monkeypatch.setattr(repair, "FIRST_BATCH", 1)
    monkeypatch.setattr(repair, "LARGEST_BATCH", 1)
    await tell(store)
    slots = await connection.fetch("SELECT id, starts_at, ends_at FROM bookings ORDER BY id")
    first, mine, yours = slots
    await connection.execute("UPDATE bookings SET duration = 1 WHERE id = $1", first["id"])
    await connection.execute("UPDATE bookings SET status = 'pending' WHERE id = $1", mine["id"])
    for booking, place in ((yours, mine), (mine, yours)):
        await connection.execute(
            "UPDATE bookings SET status = 'confirmed', starts_at = $2, ends_at = $3 WHERE id = $1",
            booking["id"],
            place["starts_at"],
            place["ends_at"],
        )

    await rebuild(connect, no_progress)

    assert await found(connect) == []
