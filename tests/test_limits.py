"""How often the model may be called, counted from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from frostdesk.limits import WINDOW, Limits, midnight_before
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from tests.factories import BEN, ZURICH, failed, generated, received, sender


@pytest.fixture
async def store(pool: Pool) -> AsyncIterator[EventStore]:
    """Something that appends."""
    async with EventStore(pool) as store:
        yield store


def limits(pool: Pool, a_minute: int = 1000, a_day: int = 1000) -> Limits:
    """Limits in Zurich that are far off unless named."""
    return Limits(pool, calls_per_minute=a_minute, calls_per_day=a_day, timezone=ZURICH)


async def conversation(store: EventStore, *calls: int, phone: str = "4179") -> UUID:
    """A conversation in which replies took so many calls each."""
    (appended,) = await store.append([received(by=sender(phone))])
    for count in calls:
        reply = generated(model="a-model", calls=count)
        await store.append([reply], conversation_id=appended.conversation_id)
    return appended.conversation_id


async def recorded_at(pool: Pool, version: int) -> datetime:
    """When the event of that version was recorded."""
    found: datetime = await pool.fetchval(
        "SELECT recorded_at FROM events WHERE version = $1", version
    )
    return found


async def test_a_slow_customer_is_answered_at_once(pool: Pool, store: EventStore) -> None:
    """One call fewer than the limit leaves room for an answer."""
    talk = await conversation(store, 1, 1)
    found = await limits(pool, 3).allowance(talk, now=datetime.now(UTC))
    assert (found.free_at, found.spent) == (None, False)


async def test_a_fast_customer_waits_until_there_is_room(pool: Pool, store: EventStore) -> None:
    """The answer is free once the call that filled the minute has left it; then it is."""
    talk = await conversation(store, 1, 2, 1)
    found = await limits(pool, 3).allowance(talk, now=datetime.now(UTC))
    free_at = await recorded_at(pool, 3) + WINDOW
    assert found.free_at == free_at
    later = await limits(pool, 3).allowance(talk, now=free_at)
    assert later.free_at is None


async def test_a_pace_is_each_customers_own(pool: Pool, store: EventStore) -> None:
    """Whoever else writes fast does not slow down a customer."""
    await conversation(store, 5, 5)
    ben = await conversation(store, phone=BEN)
    found = await limits(pool, 3).allowance(ben, now=datetime.now(UTC))
    assert found.free_at is None


async def test_failed_calls_count_and_notices_of_code_do_not(pool: Pool, store: EventStore) -> None:
    """Three attempts in vain are three calls; words that no model wrote are none."""
    talk = await conversation(store)
    await store.append([failed(), generated(), failed(stage="limit")], conversation_id=talk)
    now = datetime.now(UTC)
    assert (await limits(pool, 4).allowance(talk, now=now)).free_at is None
    assert (await limits(pool, 3).allowance(talk, now=now)).free_at is not None


async def test_a_reply_without_a_count_took_one_call(pool: Pool, store: EventStore) -> None:
    """Replies from before calls were counted are not taken for free."""
    talk = await conversation(store)
    await store.append([generated(model="a-model")], conversation_id=talk)
    found = await limits(pool, 1).allowance(talk, now=datetime.now(UTC))
    assert found.free_at is not None


async def test_the_budget_is_everybodys(pool: Pool, store: EventStore) -> None:
    """Calls of all conversations count, whichever process has seen them, from its start on."""
    early = limits(pool, a_day=10)
    await conversation(store, 3)
    ben = await conversation(store, 3, phone=BEN)
    now = datetime.now(UTC)
    assert not (await early.allowance(ben, now=now)).spent
    await store.append([generated(model="a-model", calls=4)], conversation_id=ben)
    for counting in (early, early, limits(pool, a_day=10)):
        assert (await counting.allowance(ben, now=now)).spent
    assert not (await limits(pool, a_day=11).allowance(ben, now=now)).spent


async def test_a_new_day_begins_at_the_businesss_midnight(pool: Pool, store: EventStore) -> None:
    """What was used yesterday is not taken from today's budget."""
    counting = limits(pool, a_day=2)
    talk = await conversation(store, 2)
    now = datetime.now(UTC)
    assert (await counting.allowance(talk, now=now)).spent
    tomorrow = midnight_before(now, ZURICH) + timedelta(days=1)
    assert not (await counting.allowance(talk, now=tomorrow)).spent


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2027-01-15T22:59:00+00:00", "2027-01-14T23:00:00+00:00"),
        ("2027-01-15T23:00:00+00:00", "2027-01-15T23:00:00+00:00"),
        ("2027-03-28T10:00:00+00:00", "2027-03-27T23:00:00+00:00"),
        ("2027-03-28T22:30:00+00:00", "2027-03-28T22:00:00+00:00"),
    ],
)
def test_midnight_is_the_wall_clocks(now: str, midnight: str) -> None:
    """The day begins at 00:00 in Zurich, in winter and in summer."""
    begun = midnight_before(datetime.fromisoformat(now), ZURICH)
    assert begun == datetime.fromisoformat(midnight)
