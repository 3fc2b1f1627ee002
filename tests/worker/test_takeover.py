"""A person takes over, and a customer who wants silence gets it."""

from __future__ import annotations

import asyncio
from uuid import UUID

import aiohttp
import pytest

from frostdesk.errors import VersionConflictError
from frostdesk.store.database import connect
from frostdesk.store.forgetting import erase
from frostdesk.worker import silence
from frostdesk.worker.attend import attend
from frostdesk.worker.main import open_context
from frostdesk.worker.steps import Resume, Withhold, next_step
from tests.support.bodies import text_message
from tests.support.desk import Desk, running_worker, settings_of
from tests.support.gates import Gate
from tests.support.secrets import INSTRUCTOR_TOKEN
from tests.support.waiting import until

TOKEN = {"Authorization": f"Bearer {INSTRUCTOR_TOKEN}"}


async def say(desk: Desk, conversation_id: UUID, text: str, key: str) -> dict[str, str]:
    """The instructor writes to the customer."""
    async with desk.api.session.post(
        f"{desk.api.url}/conversations/{conversation_id}/messages",
        json={"text": text},
        headers=TOKEN | {"Idempotency-Key": key},
    ) as answer:
        assert answer.status == 201, await answer.text()
        message: dict[str, str] = await answer.json()
        return message


async def test_the_instructor_writes_to_the_customer(desk: Desk) -> None:
    """The words go out once, as the instructor's, however often the command is repeated."""
    await desk.phone().write("Hello!")
    await desk.phone().hears()
    conversation_id = await desk.conversation_id()
    first = await say(desk, conversation_id, "See you at the lift. Urs", "one")
    again = await say(desk, conversation_id, "See you at the lift. Urs", "one")
    assert first["id"] == again["id"]
    assert (first["author"], first["role"]) == ("instructor", "assistant")
    assert (await desk.phone().hears(2))[1] == "See you at the lift. Urs"
    await desk.is_idle()
    assert len(await desk.sends()) == 2


async def test_the_model_sees_what_the_instructor_wrote(desk: Desk) -> None:
    """The instructor's words are part of the history."""
    await desk.phone().write("Hello!")
    await desk.phone().hears()
    await say(desk, await desk.conversation_id(), "Bring a helmet.", "one")
    await desk.phone().hears(2)
    await desk.phone().write("Anything else?")
    await desk.phone().hears(3)
    prompt = (await desk.prompts())[-1]
    assert any("Bring a helmet." in str(message["content"]) for message in prompt)


async def test_words_without_text_are_refused(desk: Desk) -> None:
    """Empty words, no JSON, an unknown conversation: a problem, and nothing is written."""
    await desk.phone().write("Hello!")
    await desk.phone().hears()
    known = await desk.conversation_id()
    for path, body, status in (
        (known, b'{"text": "  "}', 400),
        (known, b'{"txt": "x"}', 400),
        (known, b"words", 400),
        (UUID(int=7), b'{"text": "x"}', 404),
    ):
        async with desk.api.session.post(
            f"{desk.api.url}/conversations/{path}/messages", data=body, headers=TOKEN
        ) as answer:
            assert answer.status == status
            assert answer.content_type == "application/problem+json"
    assert await desk.events("InstructorWrote") == []


async def test_a_paused_conversation_is_not_answered(desk: Desk) -> None:
    """While it is paused the model is not asked; what was withheld is answered afterwards."""
    await desk.phone().write("Hello!")
    await desk.phone().hears()
    path = f"/conversations/{await desk.conversation_id()}"
    assert (await desk.api.post(f"{path}/pause"))["paused"] is True
    assert (await desk.api.post(f"{path}/pause"))["paused"] is True
    calls = await desk.model_calls()
    await desk.phone().write("Is anybody there?")
    await desk.has_events("AnswerWithheld")
    await desk.is_idle()
    assert await desk.model_calls() == calls
    assert (await desk.api.post(f"{path}/resume"))["paused"] is False
    await desk.phone().hears(2)
    assert [len(await desk.events(t)) for t in ("AssistantPaused", "AssistantResumed")] == [1, 1]


async def test_what_the_instructor_has_answered_is_not_answered_again(desk: Desk) -> None:
    """A message withheld in the pause and answered by the instructor stays answered once."""
    await desk.phone().write("Hello!")
    await desk.phone().hears()
    conversation_id = await desk.conversation_id()
    await desk.api.post(f"/conversations/{conversation_id}/pause")
    await desk.phone().write("How much is an hour?")
    await desk.has_events("AnswerWithheld")
    await say(desk, conversation_id, "80 francs.", "one")
    await desk.phone().hears(2)
    await desk.api.post(f"/conversations/{conversation_id}/resume")
    await desk.is_idle()
    assert len(await desk.sends()) == 2


async def test_a_pause_voids_the_answer_that_is_being_made(desk: Desk, to_model: Gate) -> None:
    """The model's answer does not arrive once the instructor has paused it."""
    to_model.hold(b"chat.completion")
    await desk.phone().write("Hello!")
    await to_model.holding.wait()
    path = f"/conversations/{await desk.conversation_id()}"
    await desk.api.post(f"{path}/pause")
    to_model.release()
    await desk.has_events("AnswerWithheld")
    await desk.is_idle()
    assert await desk.phone().heard() == []


async def test_words_written_while_the_model_thinks_are_the_answer(
    desk: Desk, to_model: Gate
) -> None:
    """The instructor was faster: the model's answer is dropped, and the words go out at once."""
    to_model.hold(b"chat.completion")
    await desk.phone().write("Hello!")
    await to_model.holding.wait()
    await say(desk, await desk.conversation_id(), "Hello, Urs here.", "one")
    to_model.release()
    assert await desk.phone().hears() == ["Hello, Urs here."]
    await desk.is_idle()
    assert await desk.events("ReplyGenerated", "SendRepeated") == []


async def test_a_customer_who_needs_a_person_is_handed_over(desk: Desk) -> None:
    """The model hands over, the customer is told so, and it stands so until somebody writes."""
    await desk.model(
        faults=[
            {"text": None, "calls": [{"name": "ask_instructor", "arguments": '{"reason": "hurt"}'}]}
        ]
    )
    await desk.phone().write("I fell and my knee hurts")
    (heard,) = await desk.phone().hears()
    assert "instructor" in heard
    assert [event["reason"] for event in await desk.has_events("HandedOver")] == ["hurt"]
    conversation_id = await desk.conversation_id()
    path = f"/conversations/{conversation_id}"
    assert (await desk.api.get(path))["handed_over"] == "hurt"
    await say(desk, conversation_id, "I am on my way.", "one")
    assert (await desk.api.get(path))["handed_over"] is None


async def test_stop_is_confirmed_once_and_kept(desk: Desk) -> None:
    """After STOP: one confirmation, no model, silence, until START."""
    phone = desk.phone()
    await phone.write("Hello!")
    await phone.hears()
    calls = await desk.model_calls()
    await phone.write("Stop.")
    assert "START" in (await phone.hears(2))[1]
    for text in ("Are you there?", "STOP"):
        await phone.write(text)
        await desk.is_idle()
    await asyncio.sleep(0.5)
    assert len(await phone.heard()) == 2
    assert await desk.model_calls() == calls
    await phone.write("start")
    await phone.hears(3)
    assert len(await desk.events("AutomationStopped")) == 1
    assert len(await desk.events("AutomationResumed")) == 1


async def test_a_key_belongs_to_one_text(desk: Desk) -> None:
    """Other words under the same key are refused: nobody believes them sent."""
    await desk.phone().write("Hello!")
    await desk.phone().hears()
    conversation_id = await desk.conversation_id()
    await say(desk, conversation_id, "See you at ten.", "one")
    path = f"/conversations/{conversation_id}/messages"
    async with desk.api.session.post(
        f"{desk.api.url}{path}",
        json={"text": "See you at eleven."},
        headers=TOKEN | {"Idempotency-Key": "one"},
    ) as answer:
        assert answer.status == 409
        assert "Idempotency-Key" in (await answer.json())["detail"]
    assert [event["text"] for event in await desk.events("InstructorWrote")] == ["See you at ten."]


async def test_nothing_is_done_for_a_forgotten_customer(desk: Desk, database_url: str) -> None:
    """Writing and pausing say so, and are not taken to have worked."""
    await desk.phone().write("Hello!")
    await desk.phone().hears()
    await desk.is_idle()
    conversation_id = await desk.conversation_id()
    connection = await connect(database_url)
    await erase(connection, conversation_id)
    await connection.close()
    path = f"/conversations/{conversation_id}"
    for command, body in (("messages", {"text": "Hello?"}), ("pause", None), ("resume", None)):
        async with desk.api.session.post(
            f"{desk.api.url}{path}/{command}", json=body, headers=TOKEN
        ) as answer:
            assert answer.status == 409, command
            assert "forgotten" in (await answer.json())["detail"]


async def test_the_last_word_counts(desk: Desk) -> None:
    """STOP and START that wait together are START: nothing is stopped, and an answer comes."""
    await desk.deliver(text_message("STOP"), text_message("START"))
    await desk.phone().hears()
    assert await desk.events("AutomationStopped") == []
    await desk.is_idle()
    await desk.phone().write("STOP")
    await desk.phone().hears(2)
    await desk.is_idle()
    await desk.deliver(text_message("STOP"), text_message("START"))
    await desk.phone().hears(3)
    assert len(await desk.events("AutomationStopped")) == 1
    assert len(await desk.events("AutomationResumed")) == 1


async def test_stop_within_a_sentence_is_an_ordinary_word(desk: Desk) -> None:
    """Only the word by itself stops anything."""
    await desk.phone().write("Where does the bus stop?")
    await desk.phone().hears()
    assert await desk.events("AutomationStopped") == []


async def test_a_decision_is_not_announced_to_who_wants_silence(desk: Desk) -> None:
    """A confirmation after STOP stays on the desk, and nothing remains to be done."""
    phone = desk.phone()
    await phone.write("Hello! A lesson on Saturday at 10 for two hours, please.")
    await phone.hears()
    await phone.write("STOP")
    await phone.hears(2)
    (booking,) = (await desk.api.get("/bookings"))["items"]
    await desk.api.post(f"/bookings/{booking['id']}/confirm")
    await desk.has_events("AnswerWithheld")
    await desk.is_idle()
    assert len(await phone.heard()) == 2


async def test_typing_is_shown_while_an_answer_is_made(
    desk: Desk, to_model: Gate, whatsapp_url: str
) -> None:
    """An answer that takes its time is announced by the read mark and the typing indicator."""
    to_model.hold(b"chat.completion")
    message_id = await desk.phone().write("Hello!")

    async def marked() -> list[dict[str, str]]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{whatsapp_url}/_read_marks") as answer,
        ):
            items: list[dict[str, str]] = (await answer.json())["items"]
            return items

    (mark,) = await until(marked)
    assert message_id in str(mark)
    to_model.release()
    await desk.phone().hears()


async def test_a_failure_after_the_instructors_answer_is_none(desk: Desk) -> None:
    """The model fails when the instructor has answered by hand: nothing is left to be retried."""
    await desk.model(latency=1.0, faults=["400"])
    await desk.phone().write("Hello!")
    await desk.model_is_called()
    conversation_id = await desk.conversation_id()
    await say(desk, conversation_id, "Hello, Urs here.", "one")
    await desk.phone().hears()
    await desk.is_idle()
    assert await desk.events("ReplyFailed") == []
    await desk.api.post(f"/conversations/{conversation_id}/retry", 409)


async def test_nothing_is_withheld_once_the_assistant_goes_on(
    outside: Desk, environment: dict[str, str]
) -> None:
    """A worker has found the pause, the instructor ends it: the message is answered after all."""
    await outside.phone().write("Hello!")
    await outside.has_events("MessageReceived")
    conversation_id = await outside.conversation_id()
    path = f"/conversations/{conversation_id}"
    await outside.api.post(f"{path}/pause")
    async with open_context(settings_of(environment)) as context:
        work = await context.claims.load(conversation_id)
        assert work is not None
        step = next_step(work, unsent=())
        assert isinstance(step, Withhold)
        await outside.api.post(f"{path}/resume")
        with pytest.raises(VersionConflictError):
            await silence.withhold(context, work, step)
        await attend(context, conversation_id)
    assert len(await outside.phone().hears()) == 1


async def test_start_does_not_outlive_a_later_stop(
    outside: Desk, environment: dict[str, str]
) -> None:
    """STOP comes while START is being heeded: the last word counts, and silence is kept."""
    phone = outside.phone()
    async with running_worker(settings_of(environment)):
        await phone.write("STOP")
        await outside.has_events("ReplySent")
        await outside.is_idle()
    conversation_id = await outside.conversation_id()
    await phone.write("START")
    await outside.has_events("MessageReceived", 2)
    async with open_context(settings_of(environment)) as context:
        work = await context.claims.load(conversation_id)
        assert work is not None
        step = next_step(work, unsent=())
        assert isinstance(step, Resume)
        await phone.write("STOP")
        await outside.has_events("MessageReceived", 3)
        with pytest.raises(VersionConflictError):
            await silence.resume(context, work, step.message)
        await attend(context, conversation_id)
    assert await outside.events("AutomationResumed") == []
    assert len(await phone.heard()) == 1
