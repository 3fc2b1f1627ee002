"""What an event says and which rows it made follows from the event alone, and is true."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from frostdesk.events import EVENT_TYPES, MessageReceived
from frostdesk.history import LONGEST, RowId, rows_of, says
from frostdesk.store.database import Pool
from frostdesk.upcasting import read_event
from projections import project
from tests.factories import cancelled, edited, generated, proposed, received
from tests.logs import NEWEST, bring_in, log_in, stored

SHOWN = ("conversations", "messages", "bookings")


async def rows_now(pool: Pool) -> dict[RowId, Any]:
    """Every row of the three tables."""
    return {
        RowId(table, row["id"]): tuple(row)
        for table in SHOWN
        for row in await pool.fetch(f"SELECT * FROM {table}")
    }


async def test_the_rows_of_an_event_are_those_that_it_changes(
    pool: Pool, database_url: str
) -> None:
    """Projecting a log event by event, no event changes a row that it is not said to."""
    await bring_in(database_url)
    await pool.execute("DELETE FROM messages; DELETE FROM bookings; DELETE FROM conversations")
    before: dict[RowId, Any] = {}
    silent: set[str] = set()
    for e in await log_in(pool):
        async with pool.acquire() as connection, connection.transaction():
            await project(connection, e["position"] - 1, e["position"])
        after = await rows_now(pool)
        changed = {row for row in after if after[row] != before.get(row)}
        event = read_event(e["type"], e["schema_version"], msgspec.json.decode(e["data"]))
        said = rows_of(event, event_id=e["id"], conversation_id=e["conversation_id"])
        assert changed <= set(said), e["type"]
        silent |= {e["type"]} if said and not changed else set()
        before = after
    assert silent <= {"DeliveryUpdated"}, "it is said to change rows and changes none"


def test_a_reply_makes_its_own_row_and_changes_those_that_it_answers() -> None:
    """Rows are named by table and id, each once."""
    conversation, answered = uuid4(), uuid4()
    reply = generated(answers=(answered, answered))
    assert rows_of(reply.event, event_id=reply.id, conversation_id=conversation) == (
        RowId("conversations", conversation),
        RowId("messages", reply.id),
        RowId("messages", answered),
    )


def test_a_lesson_is_the_row_of_its_proposal() -> None:
    """The proposal makes the booking's row, and a decision names it."""
    booking = proposed()
    decision = cancelled(booking)
    for new in (booking, decision):
        (row,) = rows_of(new.event, event_id=new.id, conversation_id=UUID(int=0))
        assert row == RowId("bookings", booking.id)


def test_every_event_can_be_told() -> None:
    """No type of event is without its rows or its line, be that empty."""
    for e in stored(NEWEST):
        event = read_event(e["type"], e["schema_version"], e["data"])
        assert "\n" not in says(event)
    assert {e["type"] for e in stored(NEWEST)} == set(EVENT_TYPES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello", "Hello"),
        ("two\nlines", "two lines"),
        ("\x1b[2Jgone\x07", " [2Jgone "),
        ("a" * 300, "a" * (LONGEST - 1) + "…"),
    ],
)
def test_words_are_shown_short_and_harmless(text: str, said: str) -> None:
    """One line of limited length, without what a terminal would obey."""
    message = received(text)
    assert isinstance(message.event, MessageReceived)
    assert says(message.event) == said


def test_a_change_is_told_as_one() -> None:
    """An edit is not taken for a message, and a lesson is told by its date and time."""
    assert says(edited(received(), "Both knees").event) == "now reads: Both knees"
    assert says(proposed().event) == "Sat 2027-01-16 10:00, 120 minutes"
