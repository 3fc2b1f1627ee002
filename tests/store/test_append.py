"""The log: what an append guarantees, however many write at once and whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from frostdesk.errors import VersionConflictError
from frostdesk.events import CUSTOMER_WORDS, DeliveryUpdated, conversation_id_for
from frostdesk.store import append
from frostdesk.store.append import BATCH_MOST, EventStore, Expected, NewEvent
from frostdesk.store.database import LOST, Pool, create_pool
from frostdesk.store.writing import write_events
from tests.factories import (
    ANA,
    cancelled,
    confirmed,
    deleted,
    edited,
    generated,
    lesson,
    new,
    proposed,
    received,
    sender,
)
from tests.support.databases import name_of
from tests.support.keeping import keeps_its_caller
from tests.support.ports import free_port
from tests.support.secrets import PHONE_NUMBER_ID


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[list[EventStore]]:
    """Three stores, each on a pool of its own, like three processes."""
    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(create_pool(database_url)) for _ in range(3)]
        yield [await stack.enter_async_context(EventStore(pool)) for pool in pools]


@pytest.fixture
async def store(pool: Pool) -> AsyncIterator[EventStore]:
    """A store on this test's database."""
    async with EventStore(pool) as store:
        yield store


async def log_of(pool: Pool) -> list[tuple[UUID, UUID, int]]:
    """Every event's id, conversation and version, in the order of the log."""
    rows = await pool.fetch("SELECT id, conversation_id, version FROM events ORDER BY position")
    return [tuple(row) for row in rows]


async def begun(store: EventStore) -> UUID:
    """The id of a conversation that begins with one message."""
    (appended,) = await store.append([received()])
    return appended.conversation_id


# Idempotency


async def test_an_event_is_appended_once(store: EventStore, pool: Pool) -> None:
    """The second append of an event changes nothing and says that it was there before."""
    message = received()
    (first,) = await store.append([message])
    (second,) = await store.append([message])
    assert first.is_new
    assert (first.position, first.version) == (1, 1)
    assert not second.is_new
    assert second.conversation_id == first.conversation_id
    assert len(await log_of(pool)) == 1


async def test_an_event_is_appended_once_from_everywhere_at_once(
    stores: list[EventStore], pool: Pool
) -> None:
    """Of thirty appends of one event through three pools at once, exactly one is new."""
    message = received()
    results = await asyncio.gather(*(stores[n % 3].append([message]) for n in range(30)))
    assert sum(appended.is_new for (appended,) in results) == 1
    assert len(await log_of(pool)) == 1


async def test_what_is_known_costs_its_neighbours_nothing(store: EventStore, pool: Pool) -> None:
    """A known event within a new batch is left as it is, and the new ones are appended."""
    old = received("first")
    conversation_id = await begun(store)
    await store.append([old])
    appended = await store.append(
        [generated("a"), old, generated("b")], conversation_id=conversation_id
    )
    assert [a.is_new for a in appended] == [True, False, True]
    assert [version for _, _, version in await log_of(pool)] == [1, 2, 3, 4]


async def test_a_first_try_that_failed_leaves_nothing(store: EventStore, pool: Pool) -> None:
    """When one event of an append is refused, none is there; the next try appends all."""
    conversation_id = await begun(store)
    good, bad = generated("good"), generated("NUL \0")
    with pytest.raises(asyncpg.PostgresError):
        await store.append([good, bad], conversation_id=conversation_id)
    assert len(await log_of(pool)) == 1
    appended = await store.append([good, generated("bad")], conversation_id=conversation_id)
    assert all(a.is_new for a in appended)


async def test_rows_follow_in_the_same_transaction(store: EventStore, pool: Pool) -> None:
    """When an append returns, the tables show it; when it is refused, they show nothing."""
    await store.append([received("Hello")])
    assert await pool.fetchval("SELECT content FROM messages") == "Hello"
    with pytest.raises(asyncpg.PostgresError):
        await store.append([received("NUL \0")])
    assert await pool.fetchval("SELECT count(*) FROM messages") == 1


# Order and versions


async def test_versions_have_no_gaps_whoever_writes(stores: list[EventStore], pool: Pool) -> None:
    """Three processes write to four conversations at once: each counts 1, 2, … without a gap."""
    people = [sender(f"4179000010{n}") for n in range(4)]
    await asyncio.gather(*(stores[n % 3].append([received(by=people[n % 4])]) for n in range(120)))
    versions: dict[UUID, list[int]] = {}
    for _, conversation_id, version in await log_of(pool):
        versions.setdefault(conversation_id, []).append(version)
    assert [*versions.values()] == [[*range(1, 31)]] * 4


async def test_a_refused_append_leaves_no_gap(store: EventStore) -> None:
    """Versions go on without a gap after an append that the database refused."""
    conversation_id = await begun(store)
    with pytest.raises(asyncpg.PostgresError):
        await store.append([generated("\0")], conversation_id=conversation_id)
    (appended,) = await store.append([generated()], conversation_id=conversation_id)
    assert appended.version == 2


async def test_positions_are_commit_order(stores: list[EventStore], pool: Pool) -> None:
    """A reader that follows the log while three processes write misses nothing."""
    seen: list[int] = []

    async def follow() -> None:
        while len(seen) < 90:
            last = seen[-1] if seen else 0
            rows = await pool.fetch(
                "SELECT position FROM events WHERE position > $1 ORDER BY position", last
            )
            seen.extend(row["position"] for row in rows)

    async with asyncio.timeout(20):
        await asyncio.gather(
            follow(), *(stores[n % 3].append([received(by=sender(f"41{n}"))]) for n in range(90))
        )
    assert seen == [
        r["position"] for r in await pool.fetch("SELECT position FROM events ORDER BY 1")
    ]


@pytest.mark.parametrize("user_ids", [(None,) * 6, ("CH.1",) * 6, ("CH.1", "CH.1", None) * 2])
async def test_one_customers_messages_keep_their_order(
    store: EventStore, pool: Pool, user_ids: tuple[str | None, ...]
) -> None:
    """What is appended at once for one customer stands in the log as it was given."""
    messages = [received(by=sender(user_id=user_id)) for user_id in user_ids]
    again = [messages[0], *messages]
    await asyncio.gather(*(store.append([message]) for message in again))
    assert [event_id for event_id, _, _ in await log_of(pool)] == [m.id for m in messages]


async def test_what_is_abandoned_is_not_appended(store: EventStore, pool: Pool) -> None:
    """An append that is cancelled before its turn leaves its neighbours alone."""
    tasks = [asyncio.create_task(store.append([received()])) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(await log_of(pool)) == 2


async def test_a_store_that_closes_ends_those_who_wait(pool: Pool) -> None:
    """Whoever still waits when the store ends is cancelled, and does not wait for ever."""
    async with EventStore(pool) as store:
        waiting = asyncio.create_task(store.append([received()]))
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 5)


# Neighbours


async def test_a_session_that_was_reset_appends_all_the_same(database_url: str) -> None:
    """As one that a pooler resets between two who use it."""
    async with create_pool(database_url, max_size=1) as pool, EventStore(pool) as store:
        conversation_id = await begun(store)
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
    assert len(await log_of(pool)) == 11


async def test_an_event_that_cannot_be_written_fails_alone(store: EventStore, pool: Pool) -> None:
    """A text with a lone surrogate, which is no UTF-8, fails without its neighbours."""
    results = await asyncio.gather(
        *(store.append([received(text)]) for text in ("a", "\ud800", "b")), return_exceptions=True
    )
    assert [isinstance(r, Exception) for r in results] == [False, True, False]
    assert len(await log_of(pool)) == 2


async def test_two_overlapping_lessons_confirmed_in_one_batch(
    store: EventStore, pool: Pool
) -> None:
    """Of two confirmations in one transaction that overlap, exactly one is there afterwards."""
    ana, ben = await begun(store), (await store.append([received(by=sender("4172"))]))[0]
    one, two = proposed(), proposed()
    await store.append([one], conversation_id=ana)
    await store.append([two], conversation_id=ben.conversation_id)
    results = await asyncio.gather(
        store.append([confirmed(one)], conversation_id=ana),
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
    assert len(await log_of(pool)) == len(messages)


async def test_a_session_that_ends_among_single_units_fails_one(
    direct_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that was refused goes unit by unit; the rest of it finds a new session.

    Behind a pooler not even one fails: it has another session at hand.
    """
    writing: Any = write_events
    trips = 0

    async def write(*arguments: Any) -> Any:
        nonlocal trips
        trips += 1
        if trips == 4:
            await end_sessions(pool)
        return await writing(*arguments)

    monkeypatch.setattr(append, "write_events", write)
    async with create_pool(direct_url) as pool, EventStore(pool) as store:
        results = await asyncio.gather(*refused_with_others(store, 20), return_exceptions=True)
    assert sum(isinstance(result, LOST) for result in results) == 1
    assert sum(isinstance(result, list) for result in results) == 18


async def test_a_store_that_closes_among_single_units_ends_those_who_wait(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of a batch that was refused is forgotten."""
    writing: Any = write_events
    alone = asyncio.Event()

    async def write(connection: Any, columns: Any) -> Any:
        if len(columns[0]) == 1:
            alone.set()
            await asyncio.Event().wait()
        return await writing(connection, columns)

    monkeypatch.setattr(append, "write_events", write)
    async with EventStore(pool) as store:
        appending = [asyncio.ensure_future(a) for a in refused_with_others(store, 10)]
        await alone.wait()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*appending, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}


def refused_with_others(store: EventStore, count: int) -> list[Coroutine[Any, Any, Any]]:
    """Appends that go together, the first of which PostgreSQL refuses."""
    texts = ("NUL \0", *("Hello" for _ in range(count - 1)))
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


async def test_an_append_that_fails_keeps_nobody(store: EventStore) -> None:
    """What those have in hand whose append fails does not stay in memory, however it fails."""
    conversation_id = await begun(store)

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
        assert not await keeps_its_caller(failing), failing.__name__


# Expectations


async def test_an_expected_version_holds(store: EventStore) -> None:
    """An append at the version that it expects is made."""
    conversation_id = await begun(store)
    (appended,) = await store.append(
        [generated()], conversation_id=conversation_id, expected=Expected(1)
    )
    assert appended.version == 2


async def test_a_passed_version_is_refused(store: EventStore, pool: Pool) -> None:
    """An append that expects an older version is refused as a whole."""
    conversation_id = await begun(store)
    await store.append([received()])
    with pytest.raises(VersionConflictError):
        await store.append(
            [generated(), generated()], conversation_id=conversation_id, expected=Expected(1)
        )
    assert len(await log_of(pool)) == 2


async def test_a_passed_version_is_refused_whatever_part_is_known(
    store: EventStore, pool: Pool
) -> None:
    """An append is refused as a whole though one of its events is in the log already."""
    conversation_id = await begun(store)
    known, fresh = generated(), generated()
    await store.append([known], conversation_id=conversation_id)
    for events in ([known, fresh], [fresh, known]):
        with pytest.raises(VersionConflictError):
            await store.append(events, conversation_id=conversation_id, expected=Expected(1))
    assert len(await log_of(pool)) == 2


async def test_repeating_an_append_that_succeeded_is_no_conflict(store: EventStore) -> None:
    """What was appended under an expectation can be appended again, though the stream went on."""
    conversation_id = await begun(store)
    reply = generated()
    for _ in range(2):
        await store.append([reply], conversation_id=conversation_id, expected=Expected(1))


async def test_only_what_is_minded_counts(store: EventStore) -> None:
    """The customer's words make an answer stale; a delivery tick or a confirmation does not."""
    conversation_id = await begun(store)
    booking = proposed()
    tick = DeliveryUpdated(
        reply_id=uuid4(), whatsapp_id="wamid.x", status="read", at=datetime.now(UTC)
    )
    await store.append(
        [booking, confirmed(booking), cancelled(booking), new(tick)],
        conversation_id=conversation_id,
    )
    silent = Expected(1, CUSTOMER_WORDS)
    await store.append([generated()], conversation_id=conversation_id, expected=silent)
    await store.append([received()])
    with pytest.raises(VersionConflictError):
        await store.append([generated()], conversation_id=conversation_id, expected=silent)


@pytest.mark.parametrize("words", ["message", "edit", "deletion"])
async def test_all_of_the_customers_words_are_minded(store: EventStore, words: str) -> None:
    """A message, an edit and a deletion each make an answer stale."""
    first = received()
    (appended,) = await store.append([first])
    change = {"message": received(), "edit": edited(first, "x"), "deletion": deleted(first)}[words]
    await store.append([change])
    with pytest.raises(VersionConflictError):
        await store.append(
            [generated()],
            conversation_id=appended.conversation_id,
            expected=Expected(1, CUSTOMER_WORDS),
        )


async def test_of_two_who_expect_the_same_one_succeeds(stores: list[EventStore]) -> None:
    """Writers that expect the same version at once: one appends, the others are refused."""
    conversation_id = await begun(stores[0])
    results = await asyncio.gather(
        *(
            stores[n % 3].append(
                [generated()], conversation_id=conversation_id, expected=Expected(1)
            )
            for n in range(9)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(r, list) for r in results) == 1
    assert sum(isinstance(r, VersionConflictError) for r in results) == 8


# Whose conversation it is


async def conversations_of(store: EventStore, *events: NewEvent) -> list[UUID]:
    """The conversations in which events stand that are appended one after the other."""
    return [(await store.append([event]))[0].conversation_id for event in events]


async def test_a_phone_number_leads_to_one_conversation(store: EventStore) -> None:
    """Whoever is known by phone only stays in the conversation that the phone began."""
    found = await conversations_of(store, received(), received())
    assert found == [conversation_id_for(PHONE_NUMBER_ID, ANA)] * 2


async def test_a_business_scoped_id_leads_to_one_conversation(store: EventStore) -> None:
    """Whoever is known by a business-scoped id only has a conversation as well."""
    hidden = sender(None, user_id="CH.1")
    assert len(set(await conversations_of(store, received(by=hidden), received(by=hidden)))) == 1


@pytest.mark.parametrize("first", [sender(), sender(None, user_id="CH.1")])
async def test_both_once_seen_together_lead_to_the_same(store: EventStore, first: object) -> None:
    """After both identities came in one message, either alone leads to the same conversation."""
    both = sender(user_id="CH.1")
    seen = (first, both, sender(), sender(None, user_id="CH.1"))
    found = await conversations_of(store, *(received(by=who) for who in seen))  # type: ignore[arg-type]  # Senders
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "order",
    [
        (sender(None, user_id="CH.1"), sender(user_id="CH.1")),
        (sender(user_id="CH.1"), sender(None, user_id="CH.1")),
        (sender(user_id="CH.1"), sender(), sender(None, user_id="CH.1")),
        (sender(), sender(user_id="CH.1"), sender(None, user_id="CH.1")),
    ],
)
async def test_identities_first_seen_in_one_batch_are_one_person(
    store: EventStore, pool: Pool, order: tuple[object, ...]
) -> None:
    """Messages that introduce both identities at the same moment make one conversation."""
    await asyncio.gather(*(store.append([received(by=who)]) for who in order))  # type: ignore[arg-type]  # Senders
    assert await pool.fetchval("SELECT count(*) FROM conversations") == 1


async def test_identities_first_seen_by_two_processes_are_one_person(
    stores: list[EventStore], pool: Pool
) -> None:
    """The same, whichever process takes which message."""
    whos = [sender(user_id="CH.1"), sender(), sender(user_id="CH.1")]
    await asyncio.gather(
        *(s.append([received(by=who)]) for s, who in zip(stores, whos, strict=True))
    )
    assert await pool.fetchval("SELECT count(*) FROM conversations") == 1


async def test_a_changed_number_stays_the_same_customer(store: EventStore, pool: Pool) -> None:
    """A system message with the old and the new number keeps the conversation; replies go anew."""
    moved = sender("41790000009", user_id="CH.2", also=(ANA, "CH.1"))
    found = await conversations_of(
        store,
        received(by=sender(user_id="CH.1")),
        received(by=moved, kind="system", answerable=False),
        received(by=sender("41790000009")),
        received(by=sender(None, user_id="CH.2")),
    )
    assert len(set(found)) == 1
    assert await pool.fetchval("SELECT wa_id FROM conversations") == "41790000009"
    assert await pool.fetchval("SELECT user_id FROM conversations") == "CH.2"


async def test_two_business_numbers_have_two_customers(store: EventStore) -> None:
    """The same phone at two business numbers is two conversations."""
    found = await conversations_of(
        store, received(by=sender(number="1")), received(by=sender(number="2"))
    )
    assert len(set(found)) == 2


async def test_identities_are_kept_to_the_letter(store: EventStore, pool: Pool) -> None:
    """A Brazilian and a Mexican number are stored as they came, and are nobody else's."""
    numbers = ["5511912345678", "551112345678", "5215512345678", "525512345678"]
    found = await conversations_of(store, *(received(by=sender(n)) for n in numbers))
    assert len(set(found)) == 4
    kept = await pool.fetch("SELECT wa_id FROM conversations")
    assert {row["wa_id"] for row in kept} == set(numbers)


async def test_lessons_that_only_touch_can_both_be_confirmed(store: EventStore) -> None:
    """A lesson that begins when another ends is no overlap for the database either."""
    conversation_id = await begun(store)
    one, two = proposed(lesson(start=time(10))), proposed(lesson(start=time(12)))
    for event in (one, two, confirmed(one), confirmed(two)):
        await store.append([event], conversation_id=conversation_id)
