"""The instructor writes, or lets the assistant go on, while workers and customers do not wait."""

from __future__ import annotations

import pytest

from frostdesk.events import AnswerWithheld, AssistantPaused
from frostdesk.instructor.takeover import resume, write
from frostdesk.store.append import Appended, EventStore
from frostdesk.store.database import Pool
from tests.factories import new, received


async def test_what_is_withheld_just_then_is_brought_back_too(
    pool: Pool, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker withholds a message between the look at the table and the word to go on."""
    message = received()
    (appended,) = await store.append([message])
    conversation_id = appended.conversation_id
    await store.append([new(AssistantPaused())], conversation_id=conversation_id)
    append = store.append

    async def too_late(*args: object, **options: object) -> list[Appended]:
        monkeypatch.undo()
        held = AnswerWithheld(reason="paused", answers=(message.id,))
        await append([new(held)], conversation_id=conversation_id)
        return await append(*args, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(store, "append", too_late)
    (job,) = await resume(pool, store, conversation_id)
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
