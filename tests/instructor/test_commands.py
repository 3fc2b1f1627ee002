"""What the instructor orders, from any number of processes at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import date, time
from uuid import UUID, uuid4

import pytest

from frostdesk.errors import ConflictError, NotFoundError
from frostdesk.instructor.commands import decide_booking, retry
from frostdesk.store.append import EventStore, NewEvent
from frostdesk.store.database import Pool, create_pool
from tests.factories import failed, generated, lesson, proposed, received, sender

Process = tuple[Pool, EventStore]


@pytest.fixture
async def processes(database_url: str) -> AsyncIterator[list[Process]]:
    """Two processes with pools and stores of their own."""
    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(create_pool(database_url)) for _ in range(2)]
        yield [(p, await stack.enter_async_context(EventStore(p))) for p in pools]


async def begun(process: Process, *events: NewEvent, phone: str = "4179") -> UUID:
    """A conversation with a message and these events."""
    _, store = process
    (appended,) = await store.append([received(by=sender(phone))])
    if events:
        await store.append(events, conversation_id=appended.conversation_id)
    return appended.conversation_id


async def test_a_decision_rings_once(processes: list[Process]) -> None:
    """The first confirmation gives the job that tells of it; repeating it gives none."""
    pool, store = processes[0]
    booking = proposed()
    conversation_id = await begun(processes[0], booking)
    decided, (job,) = await decide_booking(pool, store, booking.id, "confirm")
    assert decided.status == "confirmed"
    assert job.function == "announce_booking"
    assert job.args[0] == str(conversation_id)
    again, jobs = await decide_booking(pool, store, booking.id, "confirm")
    assert (again, jobs) == (decided, [])


@pytest.mark.parametrize("count", [2, 10])
async def test_overlapping_confirmations_from_two_processes(
    processes: list[Process], count: int
) -> None:
    """Of overlapping lessons confirmed at once from two processes, exactly one succeeds."""
    night = lesson(date(2027, 1, 16), time(23, 30), 60)
    morning = lesson(date(2027, 1, 17), time(0, 15), 30)
    bookings = [proposed((night, morning)[n % 2]) for n in range(2)]
    bookings += [proposed(night) for _ in range(count - 2)]
    for n, booking in enumerate(bookings):
        await begun(processes[0], booking, phone=f"4179{n}")
    results = await asyncio.gather(
        *(
            decide_booking(*processes[n % 2], booking.id, "confirm")
            for n, booking in enumerate(bookings)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(r, ConflictError) for r in results) == count - 1
    assert sum(isinstance(r, tuple) for r in results) == 1


async def test_the_same_confirmation_from_two_processes(processes: list[Process]) -> None:
    """Confirmed twice at once: both succeed, and it is one event."""
    booking = proposed()
    await begun(processes[0], booking)
    results = await asyncio.gather(
        *(decide_booking(*processes[n % 2], booking.id, "confirm") for n in range(8))
    )
    assert {decided.status for decided, _ in results} == {"confirmed"}
    count = "SELECT count(*) FROM events WHERE type = 'BookingConfirmed'"
    assert await processes[0][0].fetchval(count) == 1


async def test_lessons_that_touch_can_both_be_given(processes: list[Process]) -> None:
    """One lesson may begin when another ends."""
    one, two = proposed(lesson(start=time(10), minutes=60)), proposed(lesson(start=time(11)))
    await begun(processes[0], one, two)
    for booking in (one, two):
        decided, _ = await decide_booking(*processes[0], booking.id, "confirm")
        assert decided.status == "confirmed"


async def test_unknown_things_are_not_found(processes: list[Process]) -> None:
    """No booking, no conversation: said so."""
    with pytest.raises(NotFoundError, match="no booking"):
        await decide_booking(*processes[0], uuid4(), "cancel")
    with pytest.raises(NotFoundError, match="no conversation"):
        await retry(*processes[0], uuid4())


async def test_retry_asks_for_each_failure_once(processes: list[Process]) -> None:
    """A failed answer is made anew, a failed send goes out without the model; then none is left."""
    message, reply = received(), generated()
    pool, store = processes[0]
    (appended,) = await store.append([message])
    conversation_id = appended.conversation_id
    failures = [failed(message.id), failed(reply_id=reply.id, stage="send")]
    await store.append([reply, *failures], conversation_id=conversation_id)
    jobs = await retry(pool, store, conversation_id)
    assert {job.function for job in jobs} == {"generate_reply", "send_reply"}
    assert {job.args[1] for job in jobs} == {str(message.id), str(reply.id)}
    with pytest.raises(ConflictError, match="Nothing has failed"):
        await retry(pool, store, conversation_id)


async def test_retries_at_once_ask_once(processes: list[Process]) -> None:
    """Two impatient retries are one request in the log."""
    message = received()
    pool, store = processes[0]
    (appended,) = await store.append([message])
    await store.append([failed(message.id)], conversation_id=appended.conversation_id)
    results = await asyncio.gather(
        *(retry(*processes[n % 2], appended.conversation_id) for n in range(6)),
        return_exceptions=True,
    )
    assert all(isinstance(r, (list, ConflictError)) for r in results)
    count = "SELECT count(*) FROM events WHERE type = 'RetryRequested'"
    assert await pool.fetchval(count) == 1


async def test_a_second_failure_can_be_retried_too(processes: list[Process]) -> None:
    """What fails again after a retry can be retried again."""
    message = received()
    pool, store = processes[0]
    (appended,) = await store.append([message])
    for _ in range(3):
        await store.append([failed(message.id)], conversation_id=appended.conversation_id)
        assert len(await retry(pool, store, appended.conversation_id)) == 1
