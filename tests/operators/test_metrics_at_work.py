"""`/metrics` of a service at work: what an operator is promised, driven by what it counts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from frostdesk.store.database import Pool
from tests.support.bodies import text_message, webhook
from tests.support.desk import Desk, running_api, running_outside, running_worker, settings_of
from tests.support.gates import Gate, gate_to
from tests.support.scraping import scrape
from tests.support.waiting import until


@pytest.fixture
async def postgresql(database_url: str) -> AsyncIterator[Gate]:
    """The API's way to PostgreSQL."""
    async with gate_to(database_url) as gate:
        yield gate


@pytest.fixture
async def desk(
    environment: dict[str, str], postgresql: Gate, pool: Pool, api_port: int
) -> AsyncIterator[Desk]:
    """The API and the outside world; no worker yet."""
    settings = settings_of(environment | {"FROSTDESK_DATABASE_URL": postgresql.url})
    async with running_api(settings, port=api_port), running_outside(environment, pool) as desk:
        yield desk


async def test_what_workers_do_reaches_the_operator(
    desk: Desk, environment: dict[str, str]
) -> None:
    """The queue fills and empties; tokens, seconds and errors of a worker are told by the API."""
    await desk.phone().write("Hello")
    await desk.has_events("MessageReceived")

    async def rung() -> bool:
        return (await scrape(desk.api))["frostdesk_queued_jobs", ""] == 1

    await until(rung)  # which comes after the event
    waiting = await scrape(desk.api)
    assert waiting["frostdesk_waiting_messages", ""] == 1
    assert waiting["frostdesk_oldest_waiting_seconds", ""] > 0

    async with running_worker(settings_of(environment)):
        await desk.phone().hears()
        await desk.has_events("ReplySent")
        await desk.model(faults=["400"])
        await desk.phone().write("Is there snow?")
        await desk.has_events("ReplyFailed")
        await desk.whatsapp(faults=["code:131026:400"])
        await desk.phone("41790000002").write("Hello, here is Ben")
        await desk.has_events("ReplyFailed", 2)
        await desk.whatsapp(faults=["accepted_then_cut"])
        await desk.phone("41790000003").write("Hello, here is Eve")
        await desk.has_events("SendUncertain")
        await desk.has_events("ReplySent", 2)
        await desk.is_idle()

    done = await scrape(desk.api)
    assert done["frostdesk_inbound_messages_total", "accepted"] == 4
    assert done["frostdesk_queued_jobs", ""] == 0
    assert done["frostdesk_waiting_messages", ""] == 0
    assert done["frostdesk_oldest_waiting_seconds", ""] == 0
    assert done["frostdesk_model_seconds_count", ""] == 3
    assert done["frostdesk_answer_seconds_count", ""] == 3
    assert done["frostdesk_whatsapp_seconds_count", ""] >= 1
    assert done["frostdesk_model_tokens_total", "input"] > 100
    assert done["frostdesk_model_tokens_total", "output"] > 10
    assert done["frostdesk_model_errors_total", "400"] == 1
    assert done["frostdesk_whatsapp_errors_total", "131026"] == 1
    assert done["frostdesk_whatsapp_errors_total", "unknown outcome"] == 1
    assert done["frostdesk_failures_total", "model"] == 1
    assert done["frostdesk_failures_total", "send"] == 1
    assert done["frostdesk_failed_messages", ""] == 2
    used = sum(done["frostdesk_pool_connections", state] for state in ("idle", "busy"))
    assert 1 <= used <= done["frostdesk_pool_connections", "most"]


async def test_what_could_not_be_stored_is_counted(desk: Desk, postgresql: Gate) -> None:
    """A webhook that is refused as PostgreSQL is away has a reason of its own."""
    body = webhook(text_message("Hello"))
    await postgresql.close()
    await desk.api.webhook(body, 503)
    away = await scrape(desk.api)
    assert away["frostdesk_inbound_rejected_total", "failed"] == 1
    assert away["frostdesk_postgresql_up", ""] == 0
    await postgresql.open()
    for _ in range(2):
        await desk.api.webhook(body)
    back = await scrape(desk.api)
    assert back["frostdesk_inbound_messages_total", "accepted"] == 1
    assert back["frostdesk_inbound_messages_total", "duplicate"] == 1
    assert back["frostdesk_postgresql_up", ""] == 1
