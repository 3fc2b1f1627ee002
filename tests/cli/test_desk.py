"""The instructor's desk in a terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from frostdesk.events import HandedOver
from frostdesk.store.append import EventStore, NewEvent
from frostdesk.store.database import Pool
from tests.factories import failed, new, proposed, received, sender
from tests.support.programs import Programs


@pytest.fixture
async def store(pool: Pool) -> AsyncIterator[EventStore]:
    """A store on this test's database."""
    async with EventStore(pool) as store:
        yield store


async def begun(store: EventStore, *events: NewEvent, **who: Any) -> UUID:
    """A conversation with a message and these events."""
    (appended,) = await store.append([received(by=sender(**who))])
    if events:
        await store.append(events, conversation_id=appended.conversation_id)
    return appended.conversation_id


async def said(programs: Programs, *arguments: str) -> str:
    """What a command prints that succeeds."""
    done = await programs.run(*arguments)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


async def lines(programs: Programs, *arguments: str) -> list[dict[str, Any]]:
    """The JSON documents of a command, one a line."""
    return [json.loads(line) for line in (await said(programs, *arguments, "--json")).splitlines()]


async def test_lists_in_a_terminal(programs: Programs, store: EventStore) -> None:
    """Both lists read well, say so when they are empty, and let no customer steer the terminal."""
    assert "Nobody" in await said(programs, "conversations")
    assert "no bookings" in await said(programs, "bookings")
    booking = proposed()
    conversation_id = await begun(store, booking, name="Ana\x1b[2J\u202egnp")
    text = await said(programs, "conversations")
    assert str(conversation_id) in text
    assert "1 waiting" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    text = await said(programs, "bookings")
    assert str(booking.id) in text
    assert "Sat 2027-01-16 10:00" in text
    assert "120 min" in text
    assert "No booking is confirmed" in await said(programs, "bookings", "--status", "confirmed")


async def test_the_list_says_who_needs_what(programs: Programs, store: EventStore) -> None:
    """Who waits for a person, is not answered by the assistant, or wants no messages."""
    await begun(store, new(HandedOver(reason="hurt", reply_id=uuid4())))
    (line,) = (await said(programs, "conversations")).splitlines()
    assert line.endswith("waits for you, 1 waiting")
    await said(programs, "pause", line.split()[0])
    (line,) = (await said(programs, "conversations")).splitlines()
    assert line.endswith("waits for you, 1 waiting, paused")


async def test_lists_as_json(programs: Programs, store: EventStore) -> None:
    """`--json` gives one document a line, as the API's items, newest first, up to the limit."""
    bookings = [proposed() for _ in range(3)]
    for n, booking in enumerate(bookings):
        await begun(store, booking, wa_id=f"4179{n}")
    found = await lines(programs, "bookings", "--limit", "2")
    assert [item["id"] for item in found] == [str(b.id) for b in bookings[:0:-1]]
    assert found[0]["date"] == "2027-01-16"
    found = await lines(programs, "conversations")
    assert len(found) == 3
    assert {"id", "created_at", "wa_id", "waiting", "failed"} <= set(found[0])


async def test_a_booking_is_decided(programs: Programs, store: EventStore) -> None:
    """`confirm` and `cancel` print the booking as it now stands; repeating is harmless."""
    booking = proposed()
    await begun(store, booking)
    for _ in range(2):
        (found,) = await lines(programs, "confirm", str(booking.id))
        assert found["status"] == "confirmed"
    assert "cancelled" in await said(programs, "cancel", str(booking.id))
    done = await programs.run("confirm", str(booking.id))
    assert done.returncode == 1
    assert "cancelled" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_failure_is_retried(programs: Programs, store: EventStore, pool: Pool) -> None:
    """`retry` processes again what failed, and says where nothing has."""
    message = received()
    (appended,) = await store.append([message])
    conversation_id = appended.conversation_id
    await store.append([failed(message.id)], conversation_id=conversation_id)
    assert await said(programs, "retry", str(conversation_id))
    assert await pool.fetchval("SELECT status FROM messages") == "waiting"
    done = await programs.run("retry", str(conversation_id))
    assert done.returncode == 1
    assert "Nothing has failed" in done.stderr


async def test_a_person_takes_over(programs: Programs, store: EventStore, pool: Pool) -> None:
    """`pause` and `resume` keep the assistant out and let it in, and `write` adds words."""
    conversation_id = str(await begun(store))
    assert await said(programs, "pause", conversation_id)
    assert await pool.fetchval("SELECT paused FROM conversations")
    assert await said(programs, "write", conversation_id, "See you at ten. Lea")
    row = await pool.fetchrow("SELECT content, author FROM messages WHERE role = 'assistant'")
    assert row
    assert tuple(row) == ("See you at ten. Lea", "instructor")
    assert await said(programs, "resume", conversation_id)
    assert not await pool.fetchval("SELECT paused FROM conversations")
    done = await programs.run("write", conversation_id, "  ")
    assert done.returncode == 1
    assert "characters" in done.stderr


async def test_unknown_and_malformed_ids(programs: Programs) -> None:
    """An unknown id ends with 1, one that is no UUID with 2; both say so."""
    runs = [programs.run(command, str(uuid4())) for command in ("confirm", "cancel", "retry")]
    *unknown, malformed = await asyncio.gather(*runs, programs.run("confirm", "seven"))
    for done in unknown:
        assert done.returncode == 1
        assert done.stderr.startswith("frostdesk: There is no")
    assert malformed.returncode == 2
    assert "UUID" in malformed.stderr


async def test_redis_is_not_needed(programs: Programs, store: EventStore) -> None:
    """Without Redis a decision is made all the same; a word says that it takes longer."""
    booking = proposed()
    await begun(store, booking)
    away = "redis://127.0.0.1:9/0"
    done = await programs.run("confirm", str(booking.id), FROSTDESK_REDIS_URL=away)
    assert done.returncode == 0
    assert "confirmed" in done.stdout
    assert "Redis is away" in done.stderr
