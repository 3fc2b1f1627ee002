"""What is logged: enough for the engineer, and nothing that is personal or secret."""

from __future__ import annotations

import json
from typing import Any

from frostdesk.store.database import Pool
from tests.support.bodies import text_message
from tests.support.desk import Desk, running_outside
from tests.support.programs import Programs
from tests.support.secrets import (
    APP_SECRET,
    INSTRUCTOR_TOKEN,
    MODEL_KEY,
    VERIFY_TOKEN,
    WHATSAPP_TOKEN,
)

PHONE = "41791234567"
NAME = "Mirabella"
WORDS = "Xylophone lesson on Saturday at 10 for two hours"
PRIVATE = (
    PHONE,
    NAME,
    "Xylophone",
    "put you down",
    APP_SECRET,
    VERIFY_TOKEN,
    WHATSAPP_TOKEN,
    INSTRUCTOR_TOKEN,
    MODEL_KEY,
)


async def story(desk: Desk) -> None:
    """Messages, a lesson, a decision, failures of every stage and bad input."""
    phone = desk.phone(PHONE)
    await phone.write(WORDS, name=NAME)
    (booking,) = await desk.has_rows("SELECT id FROM bookings")
    await phone.hears()
    await desk.api.post(f"/bookings/{booking['id']}/confirm")
    await phone.hears(2)
    await desk.is_idle()
    await desk.model(faults=["400"])
    await phone.write("Xylophone again", name=NAME)
    await desk.has_events("ReplyFailed", 1)
    await desk.whatsapp(faults=["code:131030:400"])
    await phone.write("Xylophone thrice", name=NAME)
    await desk.has_events("ReplyFailed", 2)
    await desk.model(faults=["429:0.01", "garbage", "500"])
    await desk.deliver(text_message("Xylophone", **{"from": PHONE}), {"nothing": PHONE})
    await desk.has_events("ReplyFailed", 3)
    await desk.api.webhook(f'{{"Xylophone": "{PHONE}"'.encode(), 400)
    await desk.api.get(f"/conversations/{PHONE}", 404)
    await desk.api.get("/bookings", 400, cursor="Xylophone")


def documents(output: str) -> list[dict[str, Any]]:
    """The lines of a log, each of which is JSON."""
    return [json.loads(line) for line in output.splitlines()]


async def test_a_whole_story_tells_nothing_private(
    programs: Programs, environment: dict[str, str], pool: Pool
) -> None:
    """No text, name, number or secret is in what API and worker write; failures are there."""
    api = await programs.serve()
    worker = programs.start("worker")
    async with running_outside(environment, pool) as desk:
        await story(desk)
        conversation_id = str(await desk.conversation_id())
    await api.terminate()
    await worker.terminate()
    for output in (api.output(), worker.output()):
        assert [private for private in PRIVATE if private in output] == []
    api_lines, worker_lines = documents(api.output()), documents(worker.output())
    assert all(line["timestamp"].endswith("Z") for line in (*api_lines, *worker_lines))
    errors = [line for line in worker_lines if line["level"] == "error"]
    assert len(errors) == 3
    assert {error["conversation_id"] for error in errors} == {conversation_id}
    assert [error["attempts"] for error in errors if "stage" in error] == [1, 3]
    bound = [line for line in api_lines if line["event"] not in ("api started", "api stopped")]
    assert all("request_id" in line for line in bound)
    assert not any("exception" in line for line in (*api_lines, *worker_lines))


async def test_a_traceback_shows_no_values(programs: Programs, pool: Pool) -> None:
    """What fails unforeseen is logged with its traceback, and without anybody's words."""
    api = await programs.serve()
    await pool.execute("ALTER TABLE conversations DROP COLUMN username")
    async with running_outside(programs.environment, pool) as desk:
        message = text_message(WORDS, **{"from": PHONE})
        contacts = [{"wa_id": PHONE, "profile": {"name": NAME}}]
        body = {"messages": [message], "contacts": contacts}
        entry = {"changes": [{"field": "messages", "value": body}]}
        webhook = {"object": "whatsapp_business_account", "entry": [entry]}
        problem = await desk.api.webhook(webhook, 500)
        assert NAME not in str(problem)
    await api.terminate()
    output = api.output()
    assert "UndefinedColumnError" in output
    assert [private for private in PRIVATE if private in output] == []
