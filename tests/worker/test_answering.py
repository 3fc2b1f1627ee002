"""A customer's words become one reply, to the conversation as it stands."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from frostdesk.errors import VersionConflictError
from frostdesk.worker.answering import answer
from frostdesk.worker.main import open_context
from tests.support.bodies import text_message
from tests.support.desk import Desk, running_worker, settings_of
from tests.support.gates import Gate

LESSON = "Hello! A lesson on Saturday at 10 for two hours, please."


def turn(text: str | None = None, *lessons: dict[str, Any]) -> dict[str, Any]:
    """What the model says and proposes, word for word."""
    calls = [{"name": "propose_booking", "arguments": json.dumps(a)} for a in lessons]
    return {"text": text, "calls": calls}


async def test_a_message_is_answered(desk: Desk) -> None:
    """Webhook, event, job, model, event, WhatsApp: the customer hears one answer."""
    await desk.phone().write("Hello! Do you teach beginners?")
    await desk.phone().hears()
    await desk.has_events("ReplySent")
    types = [event["type"] for event in await desk.events()]
    assert types[:2] == ["MessageReceived", "ReplyGenerated"]
    assert types.count("ReplySent") == 1


async def test_a_reply_keeps_how_it_was_made(desk: Desk) -> None:
    """The event has the messages answered, the model, the prompt's hash, tokens and seconds."""
    await desk.phone().write("Hello! Do you teach beginners?")
    (reply,) = await desk.has_events("ReplyGenerated")
    (message,) = await desk.events("MessageReceived")
    assert reply["answers"] == [message["event_id"]]
    assert reply["model"] == "gpt-5-mini"
    assert len(reply["prompt_hash"]) == 64
    assert reply["input_tokens"] > 100
    assert reply["output_tokens"] > 0
    assert reply["seconds"] > 0


async def test_every_send_names_its_reply(desk: Desk) -> None:
    """What WhatsApp gets carries the reply's event id, and the log keeps WhatsApp's id."""
    await desk.phone().write("Hello")
    (done,) = await desk.has_events("ReplySent")
    (reply,) = await desk.events("ReplyGenerated")
    (send,) = await desk.sends()
    assert send["message"]["biz_opaque_callback_data"] == reply["event_id"] == done["reply_id"]
    assert done["whatsapp_ids"] == [send["id"]]
    assert send["id"].startswith("wamid.")


async def test_the_ticks_follow(desk: Desk) -> None:
    """Delivered and read reach the row."""
    await desk.phone().write("Hello")
    # In either order: they are webhooks of their own.
    (row,) = await desk.has_rows(
        "SELECT * FROM messages"
        " WHERE role = 'assistant' AND read_at IS NOT NULL AND delivered_at IS NOT NULL"
    )
    assert row["status"] == "sent"


async def test_a_burst_gets_one_answer(desk: Desk, to_model: Gate) -> None:
    """Six messages in a moment, on their own or in one webhook, are answered by one reply."""
    to_model.hold(b"chat.completion")
    texts = [f"Question {n}" for n in range(6)]
    await desk.phone().write(texts[0])
    await to_model.holding.wait()
    await desk.deliver(*(text_message(text) for text in texts[1:4]))
    for text in texts[4:]:
        await desk.phone().write(text)
    await desk.has_events("MessageReceived", 6)
    to_model.release()
    await desk.phone().hears()
    await desk.is_idle()
    assert len(await desk.phone().heard()) == 1
    (reply,) = await desk.events("ReplyGenerated")
    assert len(reply["answers"]) == 6
    assert await desk.model_calls() == 2
    assert [m for m in texts if m not in str((await desk.prompts())[-1])] == []


@pytest.mark.parametrize("change", ["writes", "edits", "deletes"])
async def test_an_answer_to_other_words_is_dropped(desk: Desk, to_model: Gate, change: str) -> None:
    """The customer writes, edits or deletes while the model thinks: one reply covers all."""
    to_model.hold(b"chat.completion")
    phone = desk.phone()
    await phone.write("Hello")
    second = await phone.write("On Saturday, perhaps?")
    await desk.has_events("MessageReceived", 2)
    await to_model.holding.wait()
    if change == "writes":
        await phone.write("No, on Sunday!")
        await desk.has_events("MessageReceived", 3)
    elif change == "edits":
        await phone.edit(second, "No, on Sunday!")
        await desk.has_events("MessageEdited")
    else:
        await phone.delete(second)
        await desk.has_events("MessageDeleted")
    to_model.release()
    await phone.hears()
    await desk.is_idle()
    assert len(await phone.heard()) == 1
    (reply,) = await desk.events("ReplyGenerated")
    last = str((await desk.prompts())[-1])
    assert ("No, on Sunday!" in last) is (change != "deletes")
    assert ("Saturday, perhaps" in last) is (change == "writes")
    assert len(reply["answers"]) == {"writes": 3, "edits": 2, "deletes": 1}[change]


async def test_a_message_taken_back_needs_no_answer(desk: Desk, to_model: Gate) -> None:
    """The only message is deleted while the model thinks: nothing is said."""
    to_model.hold(b"chat.completion")
    message = await desk.phone().write("Wrong number, sorry")
    await to_model.holding.wait()
    await desk.phone().delete(message)
    await desk.has_events("MessageDeleted")
    to_model.release()
    await desk.is_idle()
    assert await desk.phone().heard() == []
    assert await desk.events("ReplyGenerated", "ReplyFailed") == []


async def test_a_change_after_the_answer_asks_for_no_other(desk: Desk) -> None:
    """A message that was answered and is edited or deleted then stays answered once."""
    phone = desk.phone()
    message = await phone.write("Hello")
    await phone.hears()
    await phone.edit(message, "Hello there")
    await desk.has_events("MessageEdited")
    await phone.delete(message)
    await desk.has_events("MessageDeleted")
    await desk.is_idle()
    assert len(await phone.heard()) == 1
    (row,) = await desk.has_rows("SELECT content FROM messages WHERE role = 'user'")
    assert row["content"] == "[deleted]"


async def test_a_tick_or_a_decision_voids_nothing(desk: Desk, to_model: Gate) -> None:
    """A delivery tick and a confirmation that arrive while the model thinks drop no answer."""
    phone = desk.phone()
    await phone.write(LESSON)
    (booking,) = await desk.has_rows("SELECT id FROM bookings")
    await desk.is_idle()
    calls = await desk.model_calls()
    to_model.hold(b"chat.completion")
    await phone.write("Is there a lift?")
    await to_model.holding.wait()
    await desk.api.post(f"/bookings/{booking['id']}/confirm")
    to_model.release()
    await phone.hears(3)
    await desk.is_idle()
    kinds = [e["type"] for e in await desk.events("ReplyGenerated", "BookingConfirmed")]
    assert kinds == ["ReplyGenerated", "BookingConfirmed", "ReplyGenerated", "ReplyGenerated"]
    assert await desk.model_calls() == calls + 2


async def test_who_never_stops_writing_is_answered(desk: Desk, to_model: Gate) -> None:
    """After two dropped answers the third goes out, and says which messages it covers."""
    phone = desk.phone()
    to_model.hold(b"chat.completion")
    await phone.write("Message 1")
    for number in range(2, 5):
        await to_model.holding.wait()
        await phone.write(f"Message {number}")
        await desk.has_events("MessageReceived", number)
        to_model.release()
        to_model.hold(b"chat.completion")
    to_model.release()
    await phone.hears(2)
    messages = [event["event_id"] for event in await desk.events("MessageReceived")]
    replies = [event["answers"] for event in await desk.events("ReplyGenerated")]
    assert replies == [messages[:3], messages[3:]]


async def test_many_customers_are_answered_once_each(
    desk: Desk, environment: dict[str, str]
) -> None:
    """Two workers, thirty customers at once, each webhook delivered twice: thirty answers."""
    await desk.whatsapp(duplicate_webhooks=True, batch=5)
    phones = [desk.phone(f"4179000{n:04}") for n in range(30)]
    async with running_worker(settings_of(environment)):
        await asyncio.gather(*(phone.write("Hello") for phone in phones))
        await asyncio.gather(*(phone.hears() for phone in phones))
        await desk.is_idle()
    assert [len(await phone.heard()) for phone in phones] == [1] * 30
    assert len(await desk.sends()) == 30


async def test_a_reaction_is_not_answered(desk: Desk) -> None:
    """What calls for no answer gets none, and the next message is answered."""
    reaction = text_message(text=None, type="reaction", reaction={"emoji": "x", "message_id": "w"})
    await desk.deliver(reaction)
    await desk.has_events("MessageReceived")
    await desk.is_idle()
    assert await desk.model_calls() == 0
    await desk.phone().write("Hello")
    assert len(await desk.phone().hears()) == 1


# Telling that an AI writes


async def test_the_first_reply_says_that_an_ai_writes(desk: Desk) -> None:
    """Exactly once, in the first reply's own text, which is one message and one row."""
    phone = desk.phone()
    await phone.write("Hello")
    (first,) = await phone.hears()
    await desk.is_idle()
    await phone.write("And on Sunday?")
    _, second = await phone.hears(2)
    assert "AI assistant" in first
    assert "AI assistant" not in second
    assert await desk.pool.fetchval("SELECT count(*) FROM messages WHERE disclosure") == 1
    assert await desk.pool.fetchval("SELECT content FROM messages WHERE disclosure") == first


async def test_it_is_said_again_if_it_never_got_out(desk: Desk) -> None:
    """When the first reply could not be sent, the next one tells it."""
    phone = desk.phone()
    await desk.whatsapp(faults=["code:131026:400"])
    await phone.write("Hello")
    await desk.has_events("ReplyFailed")
    await desk.is_idle()
    await phone.write("Is anybody there?")
    (text,) = await phone.hears()
    assert "AI assistant" in text


# Proposing


async def test_a_lesson_is_proposed_with_the_reply(desk: Desk) -> None:
    """Reply and proposal stand side by side in the log; the line has the lesson's facts."""
    await desk.phone().write(LESSON)
    (text,) = await desk.phone().hears()
    rows = await desk.pool.fetch("SELECT type, version FROM events ORDER BY version LIMIT 3")
    kinds = ["MessageReceived", "ReplyGenerated", "BookingProposed"]
    assert [row["type"] for row in rows] == kinds
    booking = await desk.pool.fetchrow("SELECT * FROM bookings")
    assert booking is not None
    assert (booking["status"], booking["duration"]) == ("pending", 120)
    assert f"{booking['date']:%A}"[:3] in text
    assert str(booking["date"].day) in text
    assert "10:00" in text


@pytest.mark.parametrize(
    "lesson",
    [
        {"date": "2020-01-01", "time": "10:00", "duration": 120},
        {"date": "tomorrow", "time": "10:00", "duration": 900},
        {"date": "2027-02-30", "time": "10:00", "duration": 60},
        {"nothing": 1},
    ],
)
async def test_a_bad_proposal_ends_well(desk: Desk, lesson: dict[str, Any]) -> None:
    """A lesson that cannot be is no booking, and the customer gets a sensible text."""
    await desk.model(faults=[turn(None, lesson)] * 3)
    await desk.phone().write("Can I have a lesson?")
    (text,) = await desk.phone().hears()
    assert len(text) > 20
    assert await desk.events("BookingProposed") == []


async def test_two_lessons_in_one_reply(desk: Desk) -> None:
    """Two tool calls in one turn are two bookings and one reply."""
    days = [(datetime.now(UTC) + timedelta(days=n)).date().isoformat() for n in (3, 4)]
    lessons = [{"date": day, "time": "10:00", "duration": 60} for day in days]
    await desk.model(faults=[turn(None, *lessons), turn("Both are noted.")])
    await desk.phone().write("Two lessons, please")
    (text,) = await desk.phone().hears()
    assert text.count("10:00") == 2
    assert len(await desk.events("BookingProposed")) == 2


async def test_a_model_without_tools_still_books(desk: Desk) -> None:
    """A lesson in the model's plain words is a proposal."""
    await desk.model(no_tools=True)
    await desk.phone().write(LESSON)
    (text,) = await desk.phone().hears()
    assert "10:00" in text
    assert len(await desk.events("BookingProposed")) == 1


async def test_of_two_answers_one_counts(outside: Desk, environment: dict[str, str]) -> None:
    """Of two workers at one message the slower is too late, and nothing is mixed."""
    day = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    one = {"date": day, "time": "10:00", "duration": 60}
    two = {"date": day, "time": "14:00", "duration": 90}
    await outside.model(faults=[turn(None, one), turn("Noted."), turn(None, one, two), turn("So.")])
    await outside.phone().write("A lesson, please")
    await outside.has_events("MessageReceived")
    settings = settings_of(environment)
    async with open_context(settings) as quick, open_context(settings) as slow:
        work = await quick.claims.load(await outside.conversation_id())
        assert work is not None
        await answer(quick, work, dropped=0)
        with pytest.raises(VersionConflictError):
            await answer(slow, work, dropped=9)
    assert len(await outside.events("ReplyGenerated")) == 1
    (proposal,) = await outside.events("BookingProposed")
    assert proposal["lesson"]["time"] == "10:00:00"


async def test_a_failure_tells_of_every_call(desk: Desk) -> None:
    """The rounds before the one that failed count, and the calls for an answer that was dropped."""
    await desk.model(latency=0.5)
    await desk.phone().write("Hello")
    await desk.model_is_called()
    await desk.model(faults=[turn(None, {"nothing": 1}), "429:0.01", "400"])
    await desk.phone().write("A lesson, please")
    (failure,) = await desk.has_events("ReplyFailed")
    assert failure["attempts"] == await desk.model_calls() == 4
