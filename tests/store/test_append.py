"""The log: what an append guarantees, however many write at once and whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, time
from uuid import UUID, uuid4

import asyncpg
import pytest

from frostdesk.errors import VersionConflictError
from frostdesk.events import CUSTOMER_WORDS, DeliveryUpdated, conversation_id_for
from frostdesk.store.append import EventStore, Expected, NewEvent
from frostdesk.store.database import Pool, create_pool
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


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[list[EventStore]]:
    """Three stores, each on a pool of its own, like three processes."""
    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(create_pool(database_url)) for _ in range(3)]
        yield [await stack.enter_async_context(EventStore(pool)) for pool in pools]


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
    """Whoever is known by phone only stays in the conversation that the first message began."""
    first = received()
    found = await conversations_of(store, first, received(), first)
    assert found == [conversation_id_for(first.id)] * 3


async def test_whoever_begins_with_many_messages_at_once_has_one_conversation(
    store: EventStore,
) -> None:
    """Messages of somebody new, of one webhook and of several, that are appended together."""
    messages = [received() for _ in range(3)]
    one, others = await asyncio.gather(store.append(messages[:1]), store.append(messages[1:]))
    found = {appended.conversation_id for appended in (*one, *others)}
    assert found == {conversation_id_for(messages[0].id)}


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
