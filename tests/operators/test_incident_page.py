"""docs/incidents.md: a running service is broken in each way, and mended as the page says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from frostdesk.store.database import Pool
from tests.operators.pages import Page, following
from tests.support.bodies import text_message, webhook
from tests.support.desk import Desk, running_outside
from tests.support.gates import Gate, gate_to
from tests.support.programs import Program, Programs
from tests.support.waiting import until


@pytest.fixture
async def postgresql(database_url: str) -> AsyncIterator[Gate]:
    """The way to PostgreSQL."""
    async with gate_to(database_url) as gate:
        yield gate


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Gate]:
    """The way to Redis."""
    async with gate_to(redis_url) as gate:
        yield gate


@pytest.fixture
def environment(environment: dict[str, str], postgresql: Gate, redis: Gate) -> dict[str, str]:
    """A complete configuration; both servers are behind doors that the test can close."""
    return environment | {
        "FROSTDESK_DATABASE_URL": postgresql.url,
        "FROSTDESK_REDIS_URL": redis.url,
    }


@pytest.fixture
async def desk(environment: dict[str, str], programs: Programs, pool: Pool) -> AsyncIterator[Desk]:
    """The API as a process, and the outside world; no worker yet."""
    await programs.serve()
    async with running_outside(environment, pool) as desk:
        yield desk


async def test_every_incident_is_seen_and_mended(
    desk: Desk, programs: Programs, postgresql: Gate, redis: Gate, tmp_path: Path
) -> None:
    """From the first look at a silent service to tables that somebody has written to by hand."""
    variables = programs.environment | {"DESK": desk.api.url}
    with following("incidents.md", tmp_path, variables) as page:
        worker = await _nobody_is_there(desk, programs, page)
        await _redis_is_lost(desk, redis, page)
        await _the_database_is_lost(desk, postgresql, page)
        await _the_token_has_expired(desk, programs, page, worker)
        await _the_model_is_down(desk, page)
        await _somebody_has_written_to_a_table(desk, page)


async def _nobody_is_there(desk: Desk, programs: Programs, page: Page) -> Program:
    """No worker runs: the numbers and the doctor say so."""
    heading = "Customers get no answer"
    await desk.phone().write("Hello")
    await desk.has_events("MessageReceived")
    look = await page.run(heading)
    assert look.status == 1
    assert '"status":"ready"' in look.output
    assert "frostdesk_waiting_messages 1.0" in look.output
    assert "Start `frostdesk worker`" in look.output
    worker = programs.start("worker")
    await worker.says("worker started")
    await desk.phone().hears(1)
    story = await page.passes(heading, CONVERSATION=str(await desk.conversation_id()))
    assert "ReplyGenerated" in story
    return worker


async def _redis_is_lost(desk: Desk, redis: Gate, page: Page) -> None:
    """Customers are answered without it."""
    await redis.close()
    await desk.phone().write("Is there snow?")
    assert '"status":"degraded"' in await page.passes("Redis is lost")
    await desk.phone().hears(2, seconds=30)
    await redis.open()
    await _is_ready(desk)


async def _the_database_is_lost(desk: Desk, postgresql: Gate, page: Page) -> None:
    """Webhooks are refused while it is away, and taken as soon as it is back."""
    await postgresql.close()
    assert '"status":"unavailable"' in await page.passes("The database is lost")
    late = webhook(text_message("And now?"))
    await desk.api.webhook(late, 503)
    await postgresql.open()
    await _is_ready(desk)
    await desk.api.webhook(late)
    await desk.phone().hears(3, seconds=30)


async def _the_token_has_expired(
    desk: Desk, programs: Programs, page: Page, worker: Program
) -> None:
    """What failed meanwhile goes out once the token is right."""
    await worker.terminate()
    refused = programs.start("worker", FROSTDESK_WHATSAPP_TOKEN="an-expired-token")
    await refused.says("worker started")
    await desk.phone().write("Are you there?")
    (failure,) = await desk.has_events("ReplyFailed")
    assert failure["stage"] == "send"
    await refused.terminate()
    worker = programs.start("worker")
    await worker.says("worker started")
    assert "have failed" in await page.passes("WhatsApp refuses the token")
    await desk.phone().hears(4)


async def _the_model_is_down(desk: Desk, page: Page) -> None:
    """What it left unanswered is answered once it is back, or by the instructor."""
    await desk.model(faults=["500", "500", "500"])
    await desk.phone().write("Hello?")
    assert (await desk.has_events("ReplyFailed", 2))[1]["stage"] == "model"
    assert "have failed" in await page.passes("The model is down")
    await desk.phone().hears(5)
    conversation = str(await desk.conversation_id())
    await page.passes("The model is down", CONVERSATION=conversation)
    assert "answering myself" in (await desk.phone().hears(6))[-1]
    await desk.is_idle()


async def _somebody_has_written_to_a_table(desk: Desk, page: Page) -> None:
    """The rows are as the log says again."""
    rows = "SELECT id, content FROM messages ORDER BY id"
    before = await desk.pool.fetch(rows)
    await desk.pool.execute("UPDATE messages SET content = 'Whatever.'")
    assert str(before[0]["id"]) in await page.passes("The tables differ from the log")
    assert await desk.pool.fetch(rows) == before


async def _is_ready(desk: Desk) -> None:
    async def ready() -> bool:
        async with desk.api.session.get(f"{desk.api.url}/ready") as answer:
            return bool((await answer.json())["status"] == "ready")

    await until(ready, 30)
