"""The instructor writes, or lets the assistant go on, while workers and customers do not wait."""

from __future__ import annotations

import asyncio

import pytest

from frostdesk.events import AnswerWithheld, AssistantPaused
from frostdesk.instructor.takeover import resume, write
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from projections import APPEND_LOCK
from tests.factories import new, received
from tests.support.waiting import until

WAITING = """
SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
 WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted
"""


async def appends_wait(pool: Pool, count: int) -> None:
    """Wait until so many appends stand before the lock."""

    async def waiting() -> bool:
        return bool(await pool.fetchval(WAITING) == count)

    await until(waiting)


async def test_what_is_withheld_just_then_is_brought_back_too(
    pool: Pool, store: EventStore
) -> None:
    """A worker withholds a message between the look at the table and the word to go on."""
    message = received()
    (appended,) = await store.append([message])
    conversation_id = appended.conversation_id
    await store.append([new(AssistantPaused())], conversation_id=conversation_id)
    held = new(AnswerWithheld(reason="paused", answers=(message.id,)))
    async with EventStore(pool) as workers, pool.acquire() as first:
        async with first.transaction():
            await first.execute(f"SELECT pg_advisory_xact_lock({APPEND_LOCK})")
            withholding = asyncio.create_task(
                workers.append([held], conversation_id=conversation_id)
            )
            await appends_wait(pool, 1)
            resuming = asyncio.create_task(resume(pool, store, conversation_id))
            await appends_wait(pool, 2)
        await withholding
        (job,) = await resuming
    assert job.args[1] == str(message.id)
    row = await pool.fetchrow(
        "SELECT m.status, c.paused FROM messages m JOIN conversations c ON c.id = m.conversation_id"
    )
    assert row is not None
    assert tuple(row) == ("waiting", False)


@pytest.mark.parametrize("word", ["STOP", "Start"])
async def test_a_stop_that_waits_is_not_answered_by_words(
    pool: Pool, store: EventStore, word: str
) -> None:
    """It asks for something to be done, which a worker has yet to do; the rest is answered."""
    question, wish = received("A lesson on Saturday?"), received(word)
    (appended, _) = await store.append([question, wish])
    await write(pool, store, appended.conversation_id, text="I am here.", key="1")
    rows = await pool.fetch("SELECT id FROM messages WHERE status = 'waiting'")
    assert [row["id"] for row in rows] == [wish.id]
