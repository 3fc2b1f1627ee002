"""How often the model may be called, counted from the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from frostdesk.limits import WINDOW, Allowance, Limits, midnight_before
from frostdesk.store.append import EventStore
from frostdesk.store.claims import Claims
from frostdesk.store.database import Pool, connect, create_pool
from frostdesk.store.usage import Usage
from frostdesk.store.work import Work
from tests.factories import BEN, NOON, ZURICH, failed, generated, received, sender
from tests.support.databases import name_of


class Worker:
    """Somebody who asks, about noon, with limits that are far off unless named."""

    def __init__(self, pool: Pool, a_minute: int = 1000, a_day: int = 1000) -> None:
        usage = Usage(calls_per_minute=a_minute)
        self._claims = Claims(pool, usage, holder=uuid4())
        self._limits = Limits(pool, usage, calls_per_day=a_day, timezone=NOON)

    async def found(self, talk: UUID) -> Work:
        """A conversation as it stands."""
        work = await self._claims.load(talk)
        assert work is not None
        return work

    async def allowance(self, talk: UUID, *, now: datetime | None = None) -> Allowance:
        """What may be done in a conversation as it stands; `now` is the database's clock."""
        work = await self.found(talk)
        return await self._limits.allowance(msgspec.structs.replace(work, now=now or work.now))


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
    found = await Worker(pool, 3).allowance(talk)
    assert (found.free_at, found.spent) == (None, False)


async def test_a_fast_customer_waits_until_there_is_room(pool: Pool, store: EventStore) -> None:
    """The answer is free once the call that filled the minute has left it; then it is."""
    talk = await conversation(store, 1, 2, 1)
    found = await Worker(pool, 3).allowance(talk)
    free_at = await recorded_at(pool, 3) + WINDOW
    assert found.free_at == free_at
    later = await Worker(pool, 3).allowance(talk, now=free_at)
    assert later.free_at is None


async def test_a_pace_is_each_customers_own(pool: Pool, store: EventStore) -> None:
    """Whoever else writes fast does not slow down a customer."""
    await conversation(store, 5, 5)
    ben = await conversation(store, phone=BEN)
    found = await Worker(pool, 3).allowance(ben)
    assert found.free_at is None


async def test_failed_calls_count_and_notices_of_code_do_not(pool: Pool, store: EventStore) -> None:
    """Three attempts in vain are three calls; words that no model wrote are none."""
    talk = await conversation(store)
    await store.append([failed(), generated(), failed(stage="limit")], conversation_id=talk)
    now = datetime.now(UTC)
    assert (await Worker(pool, 4).allowance(talk, now=now)).free_at is None
    assert (await Worker(pool, 3).allowance(talk, now=now)).free_at is not None


async def test_a_reply_without_a_count_took_one_call(pool: Pool, store: EventStore) -> None:
    """Replies from before calls were counted are not taken for free."""
    talk = await conversation(store)
    await store.append([generated(model="a-model")], conversation_id=talk)
    found = await Worker(pool, 1).allowance(talk)
    assert found.free_at is not None


async def test_the_budget_is_everybodys(pool: Pool, store: EventStore) -> None:
    """Calls of all conversations count, whichever process has seen them, from its start on."""
    early = Worker(pool, a_day=10)
    await conversation(store, 3)
    ben = await conversation(store, 3, phone=BEN)
    now = datetime.now(UTC)
    assert not (await early.allowance(ben, now=now)).spent
    await store.append([generated(model="a-model", calls=4)], conversation_id=ben)
    for counting in (early, early, Worker(pool, a_day=10)):
        assert (await counting.allowance(ben, now=now)).spent
    assert not (await Worker(pool, a_day=11).allowance(ben, now=now)).spent


async def test_a_new_day_begins_at_the_businesss_midnight(pool: Pool, store: EventStore) -> None:
    """What was used yesterday is not taken from today's budget."""
    counting = Worker(pool, a_day=2)
    talk = await conversation(store, 2)
    now = datetime.now(UTC)
    assert (await counting.allowance(talk, now=now)).spent
    tomorrow = midnight_before(now, NOON) + timedelta(days=1)
    assert not (await counting.allowance(talk, now=tomorrow)).spent


async def test_a_clock_that_leaps_over_midnight_and_back_takes_nothing_from_tomorrow(
    pool: Pool, store: EventStore
) -> None:
    """What is used once the clock is right again counts for today, and today is counted on."""
    worker = Worker(pool, a_day=10)
    talk = await conversation(store)
    today = midnight_before(datetime.now(UTC), NOON) + timedelta(hours=1)
    tomorrow = today + timedelta(days=1)
    for now in (today, tomorrow, today):
        assert not (await worker.allowance(talk, now=now)).spent
    for _ in range(5):
        await store.append([generated(model="a-model", calls=2)], conversation_id=talk)
    assert (await worker.allowance(talk, now=today)).spent
    assert not (await worker.allowance(talk, now=tomorrow)).spent


async def test_a_day_is_counted_from_its_beginning_once(pool: Pool, store: EventStore) -> None:
    """What is read with a conversation continues the count, also once a clock was set back."""
    worker = Worker(pool)
    talk = await conversation(store, 1)
    midnight = midnight_before(datetime.now(UTC), NOON)
    for hour in (1, 25, 1):
        await worker.allowance(talk, now=midnight + timedelta(hours=hour))
    for calls in (1, 2):
        tally = (await worker.found(talk)).tally
        assert (tally.midnight, tally.calls) == (midnight, calls)
        await store.append([generated(model="a-model")], conversation_id=talk)


async def test_times_are_utc_whatever_the_databases_zone(direct_url: str) -> None:
    """The event that tells of the wait, and its id, are the same in every session's zone."""
    connection = await connect(direct_url)
    await connection.execute(f"ALTER DATABASE {name_of(direct_url)} SET timezone = 'Asia/Tokyo'")
    await connection.close()
    async with create_pool(direct_url) as pool, EventStore(pool) as store:
        talk = await conversation(store, 3)
        found = await Worker(pool, 3).allowance(talk)
        assert found.free_at is not None
        assert found.free_at.tzinfo == UTC


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
