"""A reply reaches the customer, or it is known that and why it did not."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

import pytest

from frostdesk.store.append import EventStore
from tests.factories import ANA, failed
from tests.support.bodies import status, text_message, webhook
from tests.support.desk import Desk, running_worker, settings_of
from tests.support.gates import Gate, gate_to
from tests.support.keyspaces import flush
from tests.support.programs import Programs
from tests.support.secrets import PHONE_NUMBER_ID, SECOND_NUMBER_ID
from tests.support.waiting import until

LONG = " ".join(f"Slope {n} is open." for n in range(600))
DAY = 24 * 3600


async def greeted(desk: Desk) -> None:
    """Let the first reply with its disclosure go out, so that what follows is plain."""
    await desk.phone().write("Hello")
    await desk.phone().hears()
    await desk.has_events("ReplySent")
    await desk.is_idle()


# Where it goes


async def test_it_goes_to_the_phone_to_the_letter(desk: Desk) -> None:
    """A Brazilian number goes back into `to` as it came."""
    await desk.phone("5511912345678").write("Oi")
    await desk.phone("5511912345678").hears()
    (send,) = await desk.sends()
    assert send["message"]["to"] == "5511912345678"
    assert send["message"]["recipient"] == ""


async def test_it_goes_to_the_business_scoped_id(desk: Desk) -> None:
    """Someone known only by that id is written to in `recipient`."""
    key = "CH.9000000000000001"
    await desk.phone(key).write("Hello", no_phone=True)
    await desk.phone(key).hears()
    (send,) = await desk.sends()
    assert send["message"]["recipient"] == key
    assert send["message"]["to"] == ""


async def test_it_leaves_from_the_number_written_to(desk: Desk) -> None:
    """Each of two business numbers answers those who wrote to it."""
    for number in (PHONE_NUMBER_ID, SECOND_NUMBER_ID):
        await desk.phone().write("Hello", phone_number_id=number)
    await desk.phone().hears(2)
    assert {send["phone_number_id"] for send in await desk.sends()} == {
        PHONE_NUMBER_ID,
        SECOND_NUMBER_ID,
    }


async def test_a_new_number_is_written_to(desk: Desk) -> None:
    """After the system message about a new number, replies go there."""
    await greeted(desk)
    moved = text_message(
        text=None, type="system", system={"type": "user_changed_number", "wa_id": "41790000009"}
    )
    await desk.deliver(moved)
    await desk.deliver(text_message("It is me", **{"from": "41790000009"}))
    await desk.phone("41790000009").hears()
    assert await desk.pool.fetchval("SELECT count(*) FROM conversations") == 1


# When WhatsApp refuses


async def test_three_attempts_and_then_a_person(desk: Desk) -> None:
    """After three failures the reply is marked; `retry` sends it, and the model is not asked."""
    await desk.whatsapp(faults=["500", "429:0.01", "code:131056"])
    await desk.phone().write("Hello")
    (failure,) = await desk.has_events("ReplyFailed")
    (reply,) = await desk.events("ReplyGenerated")
    assert (failure["stage"], failure["attempts"]) == ("send", 3)
    assert failure["reply_id"] == reply["event_id"]
    await desk.is_idle()
    conversation_id = await desk.conversation_id()
    assert (await desk.api.get(f"/conversations/{conversation_id}"))["failed"] == 1
    await desk.api.post(f"/conversations/{conversation_id}/retry", 202)
    assert await desk.phone().hears() == [reply["text"]]
    await desk.is_idle()
    assert await desk.model_calls() == 1
    assert len(await desk.events("ReplyGenerated")) == 1
    await desk.api.post(f"/conversations/{conversation_id}/retry", 409)


async def test_a_failure_that_passes_is_not_seen(desk: Desk) -> None:
    """Two failures and then success: one message, one ReplySent, no failure."""
    await desk.whatsapp(faults=["503", "429:0.01"])
    await desk.phone().write("Hello")
    assert len(await desk.phone().hears()) == 1
    await desk.has_events("ReplySent")
    assert await desk.events("ReplyFailed", "SendUncertain") == []


async def test_retry_after_is_honoured(desk: Desk) -> None:
    """Asked to wait for a second and a half, the worker does."""
    loop = asyncio.get_running_loop()
    await desk.whatsapp(faults=["429:1.5"])
    began = loop.time()
    await desk.phone().write("Hello")
    await desk.phone().hears()
    assert loop.time() - began >= 1.5


async def test_a_refusal_is_not_tried_again(desk: Desk) -> None:
    """A recipient that WhatsApp does not allow: one attempt, and the reason with its code."""
    await desk.whatsapp(faults=["code:131030:400"])
    await desk.phone().write("Hello")
    (failure,) = await desk.has_events("ReplyFailed")
    assert failure["attempts"] == 1
    assert "131030" in failure["reason"]
    row = await desk.pool.fetchrow("SELECT status, error FROM messages WHERE role = 'assistant'")
    assert row is not None
    assert row["status"] == "failed"
    assert "131030" in row["error"]


async def test_what_could_not_be_delivered_can_be_retried(desk: Desk) -> None:
    """Accepted and then reported as failed: it is marked with WhatsApp's reason, and retried."""
    await desk.whatsapp(faults=["fails:131026"])
    await desk.phone().write("Hello")
    (failure,) = await desk.has_events("ReplyFailed")
    assert failure["stage"] == "delivery"
    assert "131026" in failure["reason"]
    conversation_id = await desk.conversation_id()
    await desk.api.post(f"/conversations/{conversation_id}/retry", 202)
    assert len(await desk.phone().hears()) == 1
    await desk.is_idle()
    assert await desk.model_calls() == 1


async def test_outside_the_window_nothing_is_sent(desk: Desk) -> None:
    """A message that arrives 25 hours late gets a marked failure with that reason."""
    await desk.deliver(text_message("Hello", timestamp=str(int(time.time()) - DAY - 3600)))
    (failure,) = await desk.has_events("ReplyFailed")
    assert "24-hour" in failure["reason"]
    await desk.is_idle()
    assert await desk.sends() == []


# When nobody knows


async def test_a_status_settles_it(desk: Desk) -> None:
    """Cut off after WhatsApp took it: the status that names the reply is its ReplySent."""
    await desk.whatsapp(faults=["accepted_then_cut"])
    await desk.phone().write("Hello")
    (done,) = await desk.has_events("ReplySent")
    (send,) = await desk.sends()
    assert done["whatsapp_ids"] == [send["id"]]
    await desk.is_idle()
    assert len(await desk.phone().heard()) == 1
    assert await desk.events("SendRepeated", "ReplyFailed") == []


@pytest.mark.usefixtures("quick_settling")
@pytest.mark.parametrize("fault", ["cut", "garbage"])
async def test_without_a_status_it_goes_out_once_more(desk: Desk, fault: str) -> None:
    """No word of a send: the wait is put on record, then exactly one repetition, then success."""
    await desk.whatsapp(faults=[fault])
    await desk.phone().write("Hello")
    await desk.phone().hears()
    await desk.has_events("ReplySent")
    await desk.is_idle()
    steps = await desk.events("SendUncertain", "SendRepeated", "ReplySent", "ReplyFailed")
    assert [step["type"] for step in steps] == ["SendUncertain", "SendRepeated", "ReplySent"]
    assert await desk.model_calls() == 1


@pytest.mark.usefixtures("quick_settling")
async def test_after_the_second_time_a_person_looks(desk: Desk) -> None:
    """When the repetition is lost as well, the reply is marked and never sent by itself again."""
    await desk.whatsapp(faults=["cut"] * 5)
    await desk.phone().write("Hello")
    (failure,) = await desk.has_events("ReplyFailed")
    assert "unknown" in failure["reason"]
    await desk.is_idle()
    await asyncio.sleep(1)
    assert len(await desk.events("SendRepeated")) == 1
    assert await desk.sends() == []


@pytest.mark.usefixtures("quick_settling")
async def test_what_a_status_has_settled_stays_settled(desk: Desk, to_whatsapp: Gate) -> None:
    """The answer to a send is lost after a status has named it: nothing is uncertain any more."""
    to_whatsapp.hold(b"wamid.")
    await desk.phone().write("Hello")
    await desk.has_events("ReplySent")
    await to_whatsapp.close()
    await desk.is_idle()
    await asyncio.sleep(1)
    assert await desk.events("SendUncertain", "SendRepeated", "ReplyFailed") == []
    assert len(await desk.sends()) == 1


@pytest.mark.usefixtures("quick_settling")
async def test_a_repetition_that_a_status_has_settled_is_no_failure(
    desk: Desk, to_whatsapp: Gate
) -> None:
    """The answer to the second send is lost as well, and a status has named it: it was sent."""
    await desk.whatsapp(faults=["cut"])
    to_whatsapp.hold(b"wamid.")
    await desk.phone().write("Hello")
    await desk.has_events("ReplySent")
    await to_whatsapp.close()
    await desk.is_idle()
    assert len(await desk.events("SendRepeated")) == 1
    assert await desk.events("ReplyFailed") == []
    assert len(await desk.sends()) == 1


async def test_a_status_of_another_reply_settles_nothing(desk: Desk, to_whatsapp: Gate) -> None:
    """News of the last one comes while this one breaks off: it is uncertain, and goes out once."""
    await desk.whatsapp(statuses=False, faults=["accepted_then_cut"])
    await desk.phone().write("Hello")
    await desk.has_events("SendUncertain")
    (last,) = await desk.sends()
    to_whatsapp.hold(b"wamid.")
    await desk.phone().write("Are you there?")
    await desk.phone().hears(2)
    news = status(last["id"], biz_opaque_callback_data=last["message"]["biz_opaque_callback_data"])
    await desk.api.webhook(webhook(statuses=[news]))
    (settled,) = await desk.has_events("ReplySent")
    await to_whatsapp.close()
    uncertain = await desk.has_events("SendUncertain", 2)
    assert settled["reply_id"] == uncertain[0]["reply_id"] != uncertain[1]["reply_id"]
    await asyncio.sleep(0.5)
    assert len(await desk.sends()) == 2


async def test_others_are_served_meanwhile(desk: Desk) -> None:
    """While a send waits for word, the same customer's next message is answered."""
    await greeted(desk)
    await desk.whatsapp(faults=["cut"])
    await desk.phone().write("Where do we meet?")
    await desk.has_events("SendUncertain")
    await desk.phone().write("And when?")
    await desk.phone().hears(2)


# Long texts


async def test_a_long_reply_comes_in_parts(desk: Desk) -> None:
    """A text over 4,096 characters goes out in order, whole, and is one row."""
    await greeted(desk)
    await desk.model(faults=[{"text": LONG}])
    await desk.phone().write("Which slopes are open?")
    heard = await desk.phone().hears(4)
    assert " ".join(heard[1:]) == LONG
    assert all(len(part) <= 4096 for part in heard)
    await desk.has_events("ReplySent", 2)
    done = (await desk.events("ReplySent"))[-1]
    assert len(done["whatsapp_ids"]) == 3
    assert len(await desk.events("ReplyPartSent")) == 2
    assert len(await desk.events("ReplyGenerated")) == 2


@pytest.mark.usefixtures("quick_settling")
async def test_a_long_reply_is_taken_up_where_it_broke_off(
    outside: Desk, environment: dict[str, str], programs: Programs
) -> None:
    """A worker that is killed between two parts leaves the rest to another; no part comes twice."""

    async def second_part_is_under_way() -> bool:
        return await outside.sends_that_failed(2) == 2

    await outside.model(faults=[{"text": LONG}])
    await outside.whatsapp(faults=["accepted_then_stall:0", "stall:60"], statuses=False)
    worker = programs.start("worker")
    await outside.phone().write("Which slopes are open?")
    await outside.has_events("ReplyPartSent")
    await until(second_part_is_under_way)
    worker.kill()
    assert len(await outside.phone().heard()) == 1
    await outside.pool.execute("UPDATE claims SET until = now()")
    async with running_worker(settings_of(environment)):
        await outside.has_events("ReplySent")
    heard = await outside.phone().heard()
    assert " ".join(heard).endswith(LONG)
    assert len(heard) == len(set(heard)) == 3


@pytest.mark.usefixtures("quick_settling")
@pytest.mark.parametrize("status", ["pending", "waiting", "unsettled"])
async def test_what_the_log_knows_as_sent_is_not_sent_again(desk: Desk, status: str) -> None:
    """A row that was changed by hand reaches no customer, and is put right from the log."""
    await greeted(desk)
    await desk.has_rows("SELECT 1 FROM messages WHERE read_at IS NOT NULL")
    await desk.pool.execute("UPDATE messages SET status = $1 WHERE role = 'assistant'", status)
    await desk.has_rows("SELECT 1 FROM messages WHERE role = 'assistant' AND status = 'sent'")
    await desk.is_idle()
    assert len(await desk.phone().heard()) == 1
    assert await desk.events("SendRepeated") == []
    assert len(await desk.events("ReplyGenerated")) == 1


@pytest.mark.usefixtures("quick_settling")
async def test_what_was_sent_and_failed_goes_out_when_it_is_asked_for(
    outside: Desk, environment: dict[str, str], redis_url: str
) -> None:
    """A retry is heeded though the log knows of an earlier send, even if its bell is lost."""
    await outside.whatsapp(faults=["fails:131026"])
    async with running_worker(settings_of(environment)):
        await outside.phone().write("Hello")
        await outside.has_events("ReplyFailed")
        await outside.is_idle()
    sends = len(await outside.sends())
    conversation_id = await outside.conversation_id()
    await outside.api.post(f"/conversations/{conversation_id}/retry", 202)
    flush(redis_url)
    async with running_worker(settings_of(environment)):
        await outside.has_events("ReplySent", 2)
    assert len(await outside.sends()) == sends + 1


# Statuses that nobody waits for


async def test_statuses_of_others_change_nothing(desk: Desk) -> None:
    """Unknown, repeated and late statuses are taken and add nothing to the log."""
    await greeted(desk)
    await desk.has_rows("SELECT 1 FROM messages WHERE read_at IS NOT NULL")
    (send,) = await desk.sends()
    await desk.has_events("DeliveryUpdated", 3)
    before = len(await desk.events())
    mine = status(
        send["id"],
        "read",
        biz_opaque_callback_data=(await desk.events("ReplyGenerated"))[0]["event_id"],
    )
    strange: list[dict[str, Any]] = [
        mine,
        status("wamid.none", "delivered", biz_opaque_callback_data="no id"),
        status("wamid.none", "failed", errors=[{"code": 1}]),
    ]
    await desk.api.webhook(webhook(statuses=strange))
    assert len(await desk.events()) == before


# Without Redis, without PostgreSQL


@pytest.mark.usefixtures("quick_sweep")
async def test_redis_may_be_away(outside: Desk, environment: dict[str, str]) -> None:
    """With Redis away the sweep answers; after its return the bell does."""
    async with gate_to(environment["FROSTDESK_REDIS_URL"]) as gate:
        settings = settings_of(environment | {"FROSTDESK_REDIS_URL": gate.url})
        async with running_worker(settings) as worker:
            await greeted(outside)
            await gate.close()
            await outside.phone().write("Are you there?")
            await outside.phone().hears(2)
            await gate.open()
            await outside.phone().write("And now?")
            await outside.phone().hears(3)
            assert not worker.done()


@pytest.mark.usefixtures("quick_settling")
async def test_what_was_sent_is_recorded_when_postgresql_is_back(
    outside: Desk, gated: dict[str, str], to_whatsapp: Gate
) -> None:
    """PostgreSQL goes while WhatsApp takes a reply: it is recorded afterwards, and sent once."""
    async with gate_to(gated["FROSTDESK_DATABASE_URL"]) as gate:
        settings = settings_of(gated | {"FROSTDESK_DATABASE_URL": gate.url})
        await outside.whatsapp(statuses=False)
        to_whatsapp.hold(b"wamid.")
        async with running_worker(settings) as worker:
            await outside.phone().write("Hello")
            await to_whatsapp.holding.wait()
            await gate.close()
            to_whatsapp.release()
            await outside.phone().hears()
            await asyncio.sleep(0.5)  # in which the worker cannot record it
            await gate.open()
            await outside.has_events("ReplySent")
            await asyncio.sleep(1)
            assert not worker.done()
    assert len(await outside.sends()) == 1


async def test_a_customer_is_shown_what_was_stored(desk: Desk) -> None:
    """The phone and the desk show the same words."""
    await greeted(desk)
    (row,) = await desk.has_rows("SELECT content FROM messages WHERE role = 'assistant'")

    async def shown() -> bool:
        return await desk.phone(ANA).heard() == [row["content"]]

    await until(shown)


async def test_a_number_given_up_is_not_written_to(desk: Desk) -> None:
    """After the system message about a new id that names no phone, replies go to that id."""
    await greeted(desk)
    moved = {"type": "user_changed_user_id", "user_id": "CH.9000000000000009"}
    await desk.deliver(text_message(text=None, type="system", system=moved))
    await desk.deliver(
        text_message("It is me", **{"from": None, "from_user_id": "CH.9000000000000009"})
    )
    await desk.has_events("ReplySent", 2)
    send = (await desk.sends())[-1]
    assert (send["message"]["to"], send["message"]["recipient"]) == ("", "CH.9000000000000009")
    assert await desk.pool.fetchval("SELECT count(*) FROM conversations") == 1


# Parts that fail


async def sent_texts(desk: Desk) -> list[str]:
    """All that WhatsApp took after the greeting, in order."""
    return [send["message"]["text"] for send in (await desk.sends())[1:]]


@pytest.mark.parametrize("latency", [0, 0.3])
@pytest.mark.parametrize("failing", [1, 2])
async def test_only_the_parts_that_failed_are_sent_anew(
    desk: Desk, failing: int, latency: float
) -> None:
    """Whether WhatsApp tells of it before or after the last part is taken. The rest comes once."""
    await greeted(desk)
    await desk.model(faults=[{"text": LONG}])
    await desk.whatsapp(faults=["fails:131026"] * failing, latency=latency)
    await desk.phone().write("Which slopes are open?")
    await desk.has_events("ReplyFailed", failing)
    await desk.has_events("ReplySent", 2)
    await desk.is_idle()
    (row,) = await desk.has_rows("SELECT error FROM messages WHERE status = 'failed'")
    assert "131026" in row["error"]
    parts = await sent_texts(desk)
    assert " ".join(parts) == LONG
    path = f"/conversations/{await desk.conversation_id()}/retry"
    await desk.api.post(path, 202)
    whole = (await desk.has_events("ReplySent", 3))[-1]
    await desk.is_idle()
    assert await sent_texts(desk) == parts + parts[:failing]
    ids = [send["id"] for send in (await desk.sends())[1:]]
    assert whole["whatsapp_ids"] == ids[3:] + ids[failing:3]
    assert sorted((await desk.phone().heard())[1:]) == sorted(parts)
    assert await desk.events("SendUncertain", "SendRepeated") == []
    await desk.api.post(path, 409)


async def test_a_part_asked_for_while_the_rest_goes_out_is_sent_anew(desk: Desk) -> None:
    """The instructor is faster than the last part: the one that failed follows by itself."""
    await greeted(desk)
    await desk.model(faults=[{"text": LONG}])
    await desk.whatsapp(faults=["fails:131026"], latency=0.7)
    await desk.phone().write("Which slopes are open?")
    await desk.has_events("ReplyFailed")
    await desk.api.post(f"/conversations/{await desk.conversation_id()}/retry", 202)
    await desk.has_events("ReplySent", 2)
    await desk.is_idle()
    parts = await sent_texts(desk)
    assert len(parts) == 4
    assert parts[3] == parts[0]
    assert " ".join(parts[:3]) == LONG
    assert await desk.events("SendUncertain", "SendRepeated") == []
    assert await desk.has_rows("SELECT 1 FROM messages WHERE status = 'sent'", 2)


async def test_a_retry_of_what_whatsapp_has_in_full_sends_nothing(desk: Desk) -> None:
    """Marked as failed though every part was taken: it is put on record that all was sent."""
    await greeted(desk)
    await desk.model(faults=[{"text": LONG}])
    await desk.phone().write("Which slopes are open?")
    await desk.has_events("ReplySent", 2)
    await desk.is_idle()
    conversation_id = await desk.conversation_id()
    reply_id = UUID((await desk.events("ReplyGenerated"))[-1]["event_id"])
    async with EventStore(desk.pool) as store:
        failure = failed(reply_id=reply_id, stage="send")
        await store.append([failure], conversation_id=conversation_id)
    await desk.api.post(f"/conversations/{conversation_id}/retry", 202)
    first, again = (await desk.has_events("ReplySent", 3))[1:]
    await desk.is_idle()
    assert first["whatsapp_ids"] == again["whatsapp_ids"]
    assert len(await desk.sends()) == 4
    await desk.api.post(f"/conversations/{conversation_id}/retry", 409)
