"""Appends that fail, and their neighbours: who is told, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from frostdesk.store.append import BATCH_MOST, EventStore, Expected
from frostdesk.store.database import LOST, Pool, create_pool
from tests.factories import confirmed, generated, proposed, received, sender
from tests.support.databases import name_of
from tests.support.keeping import forgets_its_caller
from tests.support.ports import free_port
from tests.support.waiting import until

WAITING = """
SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
 WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted
"""
"""The sessions on this database whose append stands before the lock."""


async def test_a_session_that_was_reset_appends_all_the_same(database_url: str) -> None:
    """As one that a pooler resets between two who use it."""
    async with create_pool(database_url, max_size=1) as pool, EventStore(pool) as store:
        conversation_id = (await store.append([received()]))[0].conversation_id
        await pool.execute("DISCARD TEMP")
        (appended,) = await store.append([received("Again")])
        assert (appended.conversation_id, appended.version) == (conversation_id, 2)
        assert await pool.fetchval("SELECT count(*) FROM messages") == 2


async def test_a_refused_event_never_fails_its_neighbours(store: EventStore, pool: Pool) -> None:
    """Of many appends that share a transaction, only the one that is refused fails."""
    units = [received(f"message {n}" if n != 5 else "NUL \0") for n in range(12)]
    results = await asyncio.gather(
        *(store.append([unit]) for unit in units), return_exceptions=True
    )
    assert [n for n, r in enumerate(results) if isinstance(r, BaseException)] == [5]
    assert isinstance(results[5], asyncpg.PostgresError)
    assert await pool.fetchval("SELECT count(*) FROM events") == 11


async def test_an_event_that_cannot_be_written_fails_alone(store: EventStore, pool: Pool) -> None:
    """A text with a lone surrogate, which is no UTF-8, fails without its neighbours."""
    results = await asyncio.gather(
        *(store.append([received(text)]) for text in ("a", "\ud800", "b")), return_exceptions=True
    )
    assert [isinstance(r, Exception) for r in results] == [False, True, False]
    assert await pool.fetchval("SELECT count(*) FROM events") == 2


async def test_two_overlapping_lessons_confirmed_in_one_batch(
    store: EventStore, pool: Pool
) -> None:
    """Of two confirmations in one transaction that overlap, exactly one is there afterwards."""
    (ana,), (ben,) = [await store.append([received(by=sender(p))]) for p in ("4171", "4172")]
    one, two = proposed(), proposed()
    await store.append([one], conversation_id=ana.conversation_id)
    await store.append([two], conversation_id=ben.conversation_id)
    results = await asyncio.gather(
        store.append([confirmed(one)], conversation_id=ana.conversation_id),
        store.append([confirmed(two)], conversation_id=ben.conversation_id),
        return_exceptions=True,
    )
    assert [type(r) for r in results] in (
        [list, asyncpg.ExclusionViolationError],
        [asyncpg.ExclusionViolationError, list],
    )
    assert await pool.fetchval("SELECT count(*) FROM bookings WHERE status = 'confirmed'") == 1


async def test_a_session_that_ends_takes_along_what_it_was_writing_and_no_more(
    store: EventStore, pool: Pool
) -> None:
    """Who waited for it is told and can append again; the others find a new session."""
    messages = [received(by=sender(f"4178{n:07}")) for n in range(4 * BATCH_MOST)]
    appending = [asyncio.create_task(store.append([message])) for message in messages]
    await asyncio.wait(appending, return_when=asyncio.FIRST_COMPLETED)
    await end_sessions(pool)
    results = await asyncio.gather(*appending, return_exceptions=True)
    failed = [m for m, r in zip(messages, results, strict=True) if isinstance(r, BaseException)]
    assert all(isinstance(r, LOST) for r in results if isinstance(r, BaseException))
    assert len(failed) <= BATCH_MOST
    for message in failed:
        await store.append([message])
    assert await pool.fetchval("SELECT count(*) FROM events") == len(messages)


async def test_a_session_that_ends_among_single_units_fails_one(direct_url: str) -> None:
    """A batch that was refused goes unit by unit; the rest of it finds a new session.

    Behind a pooler not even one fails: it has another session at hand.
    """
    async with create_pool(direct_url) as pool, EventStore(pool) as store:
        async with held_up(pool) as is_waiting:
            appending = [asyncio.create_task(a) for a in refused_with_others(store, 20)]
            await until(is_waiting)
            await pool.execute(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
        results = await asyncio.gather(*appending, return_exceptions=True)
    assert sum(isinstance(result, LOST) for result in results) == 1
    assert sum(isinstance(result, list) for result in results) == 18


async def test_a_store_that_closes_among_single_units_ends_those_who_wait(pool: Pool) -> None:
    """None of a batch that was refused is forgotten."""
    async with held_up(pool) as is_waiting:
        async with EventStore(pool) as store:
            appending = [asyncio.create_task(a) for a in refused_with_others(store, 10)]
            await until(is_waiting)
        async with asyncio.timeout(5):
            results = await asyncio.gather(*appending, return_exceptions=True)
    assert isinstance(results[0], UnicodeError)
    assert {type(result) for result in results[1:]} == {asyncio.CancelledError}


@asynccontextmanager
async def held_up(pool: Pool) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Hold the lock by which appends take turns; gives whether one stands before it."""
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT pg_advisory_xact_lock(4607452716)")
        yield lambda: pool.fetchval(f"SELECT count(*) FROM ({WAITING}) AS waiting")


def refused_with_others(store: EventStore, count: int) -> list[Coroutine[Any, Any, Any]]:
    """Appends that go together, the first of which cannot be written: it is no UTF-8."""
    texts = ("\ud800", *("Hello" for _ in range(count - 1)))
    return [
        store.append([received(text, by=sender(f"4178{n:07}"))]) for n, text in enumerate(texts)
    ]


async def end_sessions(pool: Pool) -> None:
    """End every session on this database but the one that does it."""
    await pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def test_a_database_that_refuses_us_fails_everybody_who_waits(direct_url: str) -> None:
    """At once, and whoever comes later: nobody waits for ever."""
    async with (
        create_pool(direct_url.replace(name_of(direct_url), "no_such_database")) as pool,
        EventStore(pool) as store,
    ):
        for count in (2 * BATCH_MOST, 1):
            appending = [store.append([received()]) for _ in range(count)]
            async with asyncio.timeout(10):
                results = await asyncio.gather(*appending, return_exceptions=True)
            assert {type(result) for result in results} == {asyncpg.InvalidCatalogNameError}


async def test_a_connection_that_cannot_be_given_back_ends_nothing(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the pool meets in closing an old connection leaves whoever appends next none the worse.

    asyncpg closes a connection after 50,000 statements (`max_queries`), as it comes back.
    """
    give_back = asyncpg.Pool.release

    async def breaking(*args: Any, **options: Any) -> None:
        await give_back(*args, **options)
        raise ConnectionResetError("the old connection broke as it was closed")

    monkeypatch.setattr(asyncpg.Pool, "release", breaking)
    async with asyncio.timeout(10):
        for text in ("Hello", "Again"):
            (appended,) = await store.append([received(text)])
            assert appended.is_new


async def test_an_append_that_fails_keeps_nobody(store: EventStore) -> None:
    """What those have in hand whose append fails does not stay in memory, however it fails."""
    conversation_id = (await store.append([received()]))[0].conversation_id

    async def refused() -> None:
        await store.append([received("NUL \0")])

    async def refused_beside_another() -> None:
        beside = asyncio.create_task(store.append([received()]))
        try:
            await refused()
        finally:
            await beside

    async def overtaken() -> None:
        await store.append(
            [generated()], conversation_id=conversation_id, expected=Expected(version=0)
        )

    async def lost() -> None:
        away = create_pool(f"postgresql://nobody@127.0.0.1:{free_port()}/")
        async with away, EventStore(away) as unable:
            await unable.append([received()])

    for failing in (refused, refused_beside_another, overtaken, lost):
        assert await forgets_its_caller(failing), failing.__name__
