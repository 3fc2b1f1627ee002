"""The customer is told what the instructor has decided."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from frostdesk.store.append import EventStore
from frostdesk.worker import steps, sweep
from tests.factories import lesson, proposed
from tests.support.bodies import text_message
from tests.support.desk import Desk, running_worker, settings_of
from tests.support.gates import Gate
from tests.support.keyspaces import flush
from tests.support.waiting import until

LESSON = "Hello! A lesson on Saturday at 10 for two hours, please."
GERMAN = "Guten Tag! Ich möchte am Samstag um 10 Uhr zwei Stunden Unterricht, bitte."


async def booked(desk: Desk, text: str = LESSON) -> str:
    """A customer asks for a lesson; gives the booking's id."""
    await desk.phone().write(text)
    (row,) = await desk.has_rows("SELECT id FROM bookings")
    await desk.phone().hears()
    await desk.is_idle()
    return str(row["id"])


async def told(desk: Desk, count: int = 2) -> str:
    """The newest text on the phone, once there are so many."""
    return (await desk.phone().hears(count))[-1]


async def test_a_confirmation_is_told(desk: Desk) -> None:
    """The customer reads the lesson's weekday, time and state, in a line written by code."""
    booking_id = await booked(desk)
    booking = await desk.api.post(f"/bookings/{booking_id}/confirm")
    text = await told(desk)
    assert "confirmed" in text
    assert "Sat" in text
    assert "10:00" in text
    assert str(int(booking["date"][-2:])) in text


async def test_a_cancellation_is_told(desk: Desk) -> None:
    """The customer is told after a confirmation too."""
    booking_id = await booked(desk)
    await desk.api.post(f"/bookings/{booking_id}/confirm")
    await told(desk)
    await desk.is_idle()
    await desk.api.post(f"/bookings/{booking_id}/cancel")
    text = await told(desk, 3)
    assert "cancelled" in text
    assert "10:00" in text


async def test_repeating_a_command_tells_once(desk: Desk) -> None:
    """Three confirmations are one event and one message."""
    booking_id = await booked(desk)
    for _ in range(3):
        await desk.api.post(f"/bookings/{booking_id}/confirm")
    await told(desk)
    await desk.is_idle()
    assert len(await desk.phone().heard()) == 2
    assert len(await desk.events("ReplyGenerated")) == 2


async def test_it_is_told_in_the_customers_language(desk: Desk) -> None:
    """A conversation in German goes on in German."""
    booking_id = await booked(desk, GERMAN)
    await desk.api.post(f"/bookings/{booking_id}/confirm")
    text = await told(desk)
    assert "Samstag" in text
    assert "bestätigt" in text


@pytest.mark.parametrize("faults", [["400"], ["garbage", "429:0.01", "429:0.01"]])
async def test_without_the_model_a_plain_sentence_does(desk: Desk, faults: list[Any]) -> None:
    """However the model fails, the customer is told."""
    booking_id = await booked(desk)
    await desk.model(faults=faults)
    await desk.api.post(f"/bookings/{booking_id}/confirm")
    text = await told(desk)
    assert "confirmed" in text
    assert "10:00" in text
    assert (await desk.events("ReplyGenerated"))[-1].get("model") is None


async def test_no_late_confirmation(desk: Desk, to_model: Gate) -> None:
    """Confirmed and cancelled while the model thinks: only the cancellation is told."""
    booking_id = await booked(desk)
    to_model.hold(b"chat.completion")
    await desk.api.post(f"/bookings/{booking_id}/confirm")
    await to_model.holding.wait()
    await desk.api.post(f"/bookings/{booking_id}/cancel")
    to_model.release()
    await told(desk)
    await desk.is_idle()
    later = (await desk.phone().heard())[1:]
    assert len(later) == 1
    assert "cancelled" in later[0]
    assert "confirmed" not in later[0]


@pytest.mark.usefixtures("quick_sweep")
async def test_no_confirmation_is_repeated_after_the_cancellation(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A confirmation whose send nobody knows of is not sent again once the lesson is cancelled."""
    booking_id = await booked(desk)
    await desk.whatsapp(faults=["cut"])
    await desk.api.post(f"/bookings/{booking_id}/confirm")
    await desk.has_events("SendUncertain")
    await desk.api.post(f"/bookings/{booking_id}/cancel")
    await told(desk)
    await desk.is_idle()
    for module in (steps, sweep):
        monkeypatch.setattr(module, "SETTLE", timedelta())

    async def done() -> bool:
        left = "SELECT count(*) FROM messages WHERE status IN ('pending', 'unsettled', 'repeated')"
        return bool(await desk.pool.fetchval(left) == 0)

    await until(done)
    later = (await desk.phone().heard())[1:]
    assert ["cancelled" in text for text in later] == [True]


async def test_a_decision_beside_a_question_tells_both(desk: Desk) -> None:
    """A decision and a message that arrive together are each answered once."""
    booking_id = await booked(desk)
    await desk.phone().write("Which lift is it?")
    await desk.api.post(f"/bookings/{booking_id}/confirm")
    await desk.phone().hears(3)
    await desk.is_idle()
    assert len(await desk.phone().heard()) == 3


async def test_two_lessons_at_once_are_told_one_by_one(desk: Desk) -> None:
    """Two decisions of one conversation in a moment are two messages."""
    await booked(desk)
    more = [proposed(lesson(minutes=60)), proposed(lesson(minutes=90))]
    async with EventStore(desk.pool) as store:
        await store.append(more, conversation_id=await desk.conversation_id())
    for booking in more:
        await desk.api.post(f"/bookings/{booking.id}/cancel")
    later = (await desk.phone().hears(3))[1:]
    assert {"60" in text for text in later} == {True, False}


@pytest.mark.usefixtures("quick_sweep")
async def test_a_decision_without_a_bell_is_found(
    outside: Desk, environment: dict[str, str], redis_url: str
) -> None:
    """A decision whose job was lost with Redis is told by the sweep."""
    settings = settings_of(environment)
    async with running_worker(settings):
        booking_id = await booked(outside)
    await outside.api.post(f"/bookings/{booking_id}/confirm")
    flush(redis_url)
    async with running_worker(settings):
        assert "confirmed" in await told(outside)


async def test_outside_the_window_a_decision_is_marked(desk: Desk) -> None:
    """A decision more than a day after the customer's last words is not sent, and says why."""
    old = str(int(time.time()) - 25 * 3600)
    await desk.deliver(text_message(LESSON, timestamp=old))
    (row,) = await desk.has_rows("SELECT id FROM bookings")
    await desk.api.post(f"/bookings/{row['id']}/confirm")
    failures = await desk.has_events("ReplyFailed", 2)
    assert all("24-hour" in failure["reason"] for failure in failures)


@pytest.mark.parametrize("paused", ["before", "meanwhile"])
async def test_in_a_pause_the_notice_is_written_by_code(
    desk: Desk, to_model: Gate, paused: str
) -> None:
    """The instructor answers alone: the model is not asked, or what it says is dropped."""
    booking_id = await booked(desk)
    pause = f"/conversations/{await desk.conversation_id()}/pause"
    calls = await desk.model_calls()
    await desk.model(faults=[{"text": "The model's own words."}])
    to_model.hold(b"chat.completion")
    if paused == "before":
        await desk.api.post(pause)
    await desk.api.post(f"/bookings/{booking_id}/confirm")
    if paused == "meanwhile":
        await asyncio.wait_for(to_model.holding.wait(), 10)
        await desk.api.post(pause)
    to_model.release()
    text = await told(desk)
    assert "confirmed" in text
    assert "10:00" in text
    assert "own words" not in text
    assert await desk.model_calls() == calls + (paused == "meanwhile")
    assert (await desk.events("ReplyGenerated"))[-1].get("model") is None


@pytest.mark.usefixtures("quick_sweep")
async def test_a_decision_that_kills_workers_is_told_by_code(
    outside: Desk, environment: dict[str, str], redis_url: str
) -> None:
    """Three workers have ended over the notice: the next one asks no model, and it is told."""
    settings = settings_of(environment)
    async with running_worker(settings):
        booking_id = await booked(outside)
    calls = await outside.model_calls()
    await outside.api.post(f"/bookings/{booking_id}/confirm")
    flush(redis_url)
    await outside.pool.execute(
        "INSERT INTO claims (conversation_id, holder, until, attempts)"
        " SELECT id, gen_random_uuid(), now() - interval '1 s', 3 FROM conversations"
    )
    async with running_worker(settings):
        assert "confirmed" in await told(outside)
        await outside.is_idle()
    assert await outside.model_calls() == calls
    assert len(await outside.phone().heard()) == 2
