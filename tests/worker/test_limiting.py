"""A customer who writes too fast waits a little; a budget that is spent is seen by a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from frostdesk import limits
from frostdesk.store.claims import NOBODY
from tests.factories import ANA, BEN, NOON
from tests.support.desk import Desk, running_worker, settings_of

pytestmark = pytest.mark.usefixtures("quick_sweep")


@pytest.fixture
async def paced(outside: Desk, environment: dict[str, str]) -> AsyncIterator[Desk]:
    """A desk where a customer may cause two calls a minute."""
    limited = environment | {"FROSTDESK_CUSTOMER_CALLS_PER_MINUTE": "2"}
    async with running_worker(settings_of(limited)):
        yield outside


async def greet(desk: Desk, phone: str, times: int) -> None:
    """Write so often, each time after the answer to what came before."""
    for count in range(times):
        await desk.phone(phone).write(f"Hello {count}")
        await desk.phone(phone).hears(count + 1)


async def the_minute_ends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was put off is due, as it is when the customer's calls are a minute old."""
    (first,) = await desk.has_rows(
        "SELECT min(recorded_at) FROM events WHERE type = 'ReplyGenerated'"
    )
    # Its event comes first, and then it is put off.
    (claim,) = await desk.has_rows(f"SELECT until FROM claims WHERE holder = '{NOBODY}'")
    assert claim["until"] == first["min"] + limits.WINDOW
    monkeypatch.setattr(limits, "WINDOW", timedelta())
    await desk.pool.execute("UPDATE claims SET until = now() WHERE holder = $1", NOBODY)


async def test_who_writes_too_fast_waits_a_little(
    paced: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third message in the minute is put off, which is on record, and answered by itself."""
    await greet(paced, ANA, 2)
    await paced.phone().write("And one more")
    (deferred,) = await paced.has_events("AnswerDeferred")
    assert await paced.model_calls() == 2
    assert len(deferred["answers"]) == 1
    await the_minute_ends(paced, monkeypatch)
    await paced.phone().hears(3)
    await paced.is_idle()
    replies = await paced.events("ReplyGenerated")
    assert [reply["calls"] for reply in replies] == [1, 1, 1]


async def test_a_flood_of_one_does_not_hold_up_another(
    paced: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one customer's messages wait for their turn, another is answered at once, and cheaply.

    In the end nothing of the flood is without an answer.
    """
    await greet(paced, ANA, 2)
    await asyncio.gather(*(paced.phone(ANA).write(f"Flood {n}") for n in range(50)))
    await paced.has_events("AnswerDeferred")
    calls = await paced.model_calls()
    await greet(paced, BEN, 1)
    assert await paced.model_calls() == calls + 1
    await paced.has_events("MessageReceived", 53)
    await the_minute_ends(paced, monkeypatch)
    await paced.is_idle()
    answered = {a for reply in await paced.events("ReplyGenerated") for a in reply["answers"]}
    assert answered == {m["event_id"] for m in await paced.events("MessageReceived")}


async def test_the_instructor_does_not_wait_for_a_customers_pace(paced: Desk) -> None:
    """What the instructor writes meanwhile goes out at once, and only once."""
    await greet(paced, ANA, 2)
    await paced.phone().write("And one more")
    await paced.has_events("AnswerDeferred")
    conversation_id = await paced.conversation_id()
    url = f"{paced.api.url}/conversations/{conversation_id}/messages"
    token = {"Authorization": "Bearer an-instructor-token"}
    async with paced.api.session.post(url, json={"text": "Patience!"}, headers=token) as answer:
        assert answer.status == 201
    heard = await paced.phone().hears(3)
    assert heard[-1] == "Patience!"
    await paced.has_events("ReplySent", 3)
    await paced.is_idle()
    assert await paced.events("SendRepeated") == []
    assert await paced.model_calls() == 2


async def test_a_spent_budget_is_seen_and_can_be_retried(
    outside: Desk, environment: dict[str, str]
) -> None:
    """Once the day's calls are used nothing calls the model, and what waits has failed with why.

    A retry with nothing left fails again; one with room in the budget is answered.
    """
    frugal = environment | {"FROSTDESK_MODEL_CALLS_PER_DAY": "2", "FROSTDESK_TIMEZONE": NOON.key}
    async with running_worker(settings_of(frugal)):
        await greet(outside, ANA, 2)
        await outside.phone().write("And one more")
        (failure,) = await outside.has_events("ReplyFailed")
        assert (failure["stage"], failure["attempts"]) == ("limit", 0)
        assert "FROSTDESK_MODEL_CALLS_PER_DAY" in failure["reason"]
        await outside.phone(BEN).write("Hello")
        await outside.has_events("ReplyFailed", 2)

        ana = await outside.pool.fetchval("SELECT id FROM conversations WHERE wa_id = $1", ANA)
        assert (await outside.api.get(f"/conversations/{ana}"))["failed"] == 1
        await outside.api.post(f"/conversations/{ana}/retry", 202)
        await outside.has_events("ReplyFailed", 3)
        assert await outside.model_calls() == 2
    async with running_worker(settings_of(environment)):
        await outside.api.post(f"/conversations/{ana}/retry", 202)
        await outside.phone().hears(3)


async def test_decisions_are_told_whatever_the_limits(
    outside: Desk, environment: dict[str, str]
) -> None:
    """A customer hears of a confirmation though the budget is spent: the instructor caused it."""
    frugal = environment | {"FROSTDESK_MODEL_CALLS_PER_DAY": "1", "FROSTDESK_TIMEZONE": NOON.key}
    async with running_worker(settings_of(frugal)):
        await outside.phone().write("A lesson on Saturday at 10 for two hours, please")
        (booking,) = await outside.has_events("BookingProposed")
        await outside.api.post(f"/bookings/{booking['event_id']}/confirm")
        (_, notice) = await outside.phone().hears(2)
        assert "confirmed" in notice.lower()
