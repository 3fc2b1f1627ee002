"""When the model fails, a job is lost or a worker vanishes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from frostdesk.cli.operations import apply_schema
from frostdesk.store.append import EventStore
from frostdesk.store.claims import renew
from frostdesk.store.database import create_pool
from frostdesk.worker import context as context_module
from frostdesk.worker import main
from frostdesk.worker.attend import attend
from frostdesk.worker.main import open_context
from frostdesk.worker.queue import QueueWorker
from tests.factories import received
from tests.support.databases import new_database
from tests.support.desk import Desk, running_worker, settings_of
from tests.support.gates import Gate
from tests.support.keyspaces import flush
from tests.support.ports import free_port

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def greeted(outside: Desk) -> UUID:
    """A customer has written, and waits. Gives the conversation."""
    await outside.phone().write("Hello")
    await outside.has_events("MessageReceived")
    return await outside.conversation_id()


# When the model fails


@pytest.mark.parametrize("faults", [["500", "garbage", "empty"], ["cut", "429:0.01", "503"]])
async def test_three_attempts_and_then_a_person(desk: Desk, faults: list[str]) -> None:
    """After three failures the message is marked, nothing is sent, and `retry` answers it."""
    phone = desk.phone()
    await desk.model(faults=faults)
    await phone.write("Hello")
    (failure,) = await desk.has_events("ReplyFailed")
    assert (failure["stage"], failure["attempts"]) == ("model", 3)
    assert len(failure["reason"]) > 10
    assert len(failure["answers"]) == 1
    await desk.is_idle()
    assert await phone.heard() == []
    assert await desk.model_calls() == 3
    conversation_id = await desk.conversation_id()
    assert (await desk.api.get(f"/conversations/{conversation_id}"))["failed"] == 1
    await desk.api.post(f"/conversations/{conversation_id}/retry", 202)
    assert len(await phone.hears()) == 1
    await desk.is_idle()
    assert (await desk.api.get(f"/conversations/{conversation_id}"))["failed"] == 0
    await desk.api.post(f"/conversations/{conversation_id}/retry", 409)


async def test_the_next_reply_covers_what_failed_before(desk: Desk) -> None:
    """A failed message stands in the history of the next answer: it is answered with it, once."""
    phone = desk.phone()
    await desk.model(faults=["400"])
    await phone.write("Question one")
    await desk.has_events("ReplyFailed")
    await desk.is_idle()
    await phone.write("Question two")
    await phone.hears()
    await desk.is_idle()
    (reply,) = await desk.events("ReplyGenerated")
    assert len(reply["answers"]) == 2
    conversation_id = await desk.conversation_id()
    assert (await desk.api.get(f"/conversations/{conversation_id}"))["failed"] == 0
    await desk.api.post(f"/conversations/{conversation_id}/retry", 409)


async def test_a_refusal_is_not_tried_again(desk: Desk) -> None:
    """A 400 ends after one attempt."""
    await desk.model(faults=["400"])
    await desk.phone().write("Hello")
    (failure,) = await desk.has_events("ReplyFailed")
    assert failure["attempts"] == 1
    assert await desk.model_calls() == 1


async def test_a_failure_that_passes_is_not_seen(desk: Desk) -> None:
    """Two failures and then an answer: the customer hears it, and no failure is recorded."""
    await desk.model(faults=["429:0.01", "429:0.01"])
    await desk.phone().write("Hello")
    assert len(await desk.phone().hears()) == 1
    assert await desk.events("ReplyFailed") == []


async def test_retry_after_is_honoured(desk: Desk) -> None:
    """Asked to wait for a second and a half, the worker does."""
    loop = asyncio.get_running_loop()
    await desk.model(faults=["429:1.5"])
    began = loop.time()
    await desk.phone().write("Hello")
    await desk.phone().hears()
    assert loop.time() - began >= 1.5


async def test_what_fails_does_not_stop_what_follows(desk: Desk) -> None:
    """After a failure, the customer's next message is answered."""
    await desk.model(faults=["400"])
    await desk.phone().write("Hello")
    await desk.has_events("ReplyFailed")
    await desk.phone().write("Hello?")
    assert len(await desk.phone().hears()) == 1


# Workers that vanish


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """A database without tables."""
    with new_database(postgres_server) as url:
        yield url


@pytest.mark.usefixtures("quick_sweep")
async def test_what_kills_workers_is_set_aside(outside: Desk, environment: dict[str, str]) -> None:
    """A conversation over which three workers have ended fails, until a person retries it."""
    conversation_id = await greeted(outside)
    await outside.pool.execute(
        "INSERT INTO claims (conversation_id, holder, until, attempts)"
        " VALUES ($1, gen_random_uuid(), now() - interval '1 s', 3)",
        conversation_id,
    )
    async with running_worker(settings_of(environment)):
        (failure,) = await outside.has_events("ReplyFailed")
        assert failure["stage"] == "worker"
        assert await outside.model_calls() == 0
        await outside.is_idle()
        await outside.api.post(f"/conversations/{conversation_id}/retry", 202)
        assert len(await outside.phone().hears()) == 1


async def test_a_claim_that_ran_out_is_left_until_its_holder_could_renew_it(
    outside: Desk, environment: dict[str, str]
) -> None:
    """After an outage, or a leap of the clock, claims have run out whose holders live."""
    conversation_id = await greeted(outside)
    await outside.pool.execute(
        "INSERT INTO claims (conversation_id, holder, until)"
        " VALUES ($1, gen_random_uuid(), now() - interval '1 s')",
        conversation_id,
    )
    async with open_context(settings_of(environment)) as context:
        await attend(context, conversation_id)
        for leap in (timedelta(), timedelta(hours=1)):
            context.clock.showed(datetime.now(UTC) + leap)
            await attend(context, conversation_id)
        assert await outside.model_calls() == 0
        context.clock.showed(datetime.now(UTC) + leap)
        await attend(context, conversation_id)
        assert await outside.model_calls() == 1


@pytest.mark.parametrize("noticed_by", ["time", "renewal", "crash"])
async def test_who_has_lost_a_conversation_sends_nothing(
    outside: Desk,
    gated: dict[str, str],
    to_model: Gate,
    monkeypatch: pytest.MonkeyPatch,
    noticed_by: str,
) -> None:
    """Another worker took over, as ours had stood still or a crash wiped its claim: that one sends.

    Ours notices when it has been sure for too long, when it renews its claims, or when it has had
    to connect again.
    """
    if noticed_by == "crash" and "FROSTDESK_DIRECT_DATABASE_URL" in gated:
        pytest.skip("a pooler connects anew by itself; the worker notices when it renews")
    if noticed_by == "time":
        monkeypatch.setattr(context_module, "SURE_SECONDS", 0.0)
    to_model.hold(b"chat.completion")
    conversation_id = await greeted(outside)
    async with open_context(settings_of(gated)) as context:
        attending = asyncio.create_task(attend(context, conversation_id))
        await to_model.holding.wait()
        await outside.pool.execute("UPDATE claims SET holder = gen_random_uuid()")
        if noticed_by == "renewal":
            assert await context.renew() == set()
        if noticed_by == "crash":
            await outside.pool.execute(CUT)
        to_model.release()
        await attending
    assert len(await outside.events("ReplyGenerated")) == 1
    assert await outside.sends() == []
    assert await outside.pool.fetchval("SELECT count(*) FROM claims") == 1


@pytest.mark.usefixtures("quick_sweep")
async def test_a_lost_job_is_found(
    outside: Desk, environment: dict[str, str], redis_url: str
) -> None:
    """Redis forgets everything: the sweep finds the message in PostgreSQL."""
    await outside.phone().write("Hello")
    await outside.has_events("MessageReceived")
    flush(redis_url)
    async with running_worker(settings_of(environment)):
        assert len(await outside.phone().hears()) == 1
        await outside.is_idle()
    assert len(await outside.phone().heard()) == 1


async def test_a_worker_that_is_stopped_leaves_nothing(
    outside: Desk, environment: dict[str, str]
) -> None:
    """A worker that is asked to end finishes what it is at, and holds no claim afterwards."""
    await outside.model(latency=0.5)
    async with running_worker(settings_of(environment)):
        await outside.phone().write("Hello")
        await outside.model_is_called()
    assert await outside.pool.fetchval("SELECT count(*) FROM claims") == 0
    await outside.has_events("ReplySent")
    assert len(await outside.phone().heard()) == 1


async def test_a_worker_is_not_at_a_conversation_twice(
    outside: Desk, gated: dict[str, str], to_model: Gate
) -> None:
    """A crash of the database has wiped its claim, and the customer's next job comes to it too."""
    to_model.hold(b"chat.completion")
    conversation_id = await greeted(outside)
    async with open_context(settings_of(gated)) as context:
        attending = asyncio.create_task(attend(context, conversation_id))
        await to_model.holding.wait()
        await outside.pool.execute("DELETE FROM claims")
        await attend(context, conversation_id)
        assert await outside.model_calls() == 1
        to_model.release()
        await attending
    assert len(await outside.sends()) == 1


async def test_a_redis_that_stays_away_costs_no_memory(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a worker has looked for Redis in vain, nothing of it is kept."""
    monkeypatch.setattr(main, "REDIS_PAUSE_SECONDS", 0.01)
    away = {"FROSTDESK_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    async with running_worker(settings_of(environment | away)):
        await asyncio.sleep(1)
        gc.collect()
        kept = [thing for thing in gc.get_objects() if isinstance(thing, QueueWorker)]
        assert len(kept) <= 2


@pytest.mark.usefixtures("quick_sweep")
async def test_a_worker_waits_for_the_schema(
    outside: Desk, environment: dict[str, str], empty_database_url: str
) -> None:
    """On a database without tables a worker goes on, and does its work once they are there."""
    settings = settings_of(environment | {"FROSTDESK_DATABASE_URL": empty_database_url})
    async with running_worker(settings) as worker:
        await asyncio.sleep(0.5)
        assert not worker.done()
        await apply_schema(empty_database_url)
        async with create_pool(empty_database_url) as pool, EventStore(pool) as store:
            await store.append([received()])
        assert len(await outside.phone().hears()) == 1


async def test_a_renewal_never_brings_back_a_claim_that_is_given_up(
    outside: Desk, environment: dict[str, str]
) -> None:
    """Whoever gives a conversation back waits for a renewal under way, and nobody has it then."""
    conversation_id = await greeted(outside)
    async with open_context(settings_of(environment)) as context:
        async with context.renewing:
            attending = asyncio.create_task(attend(context, conversation_id))
            await outside.has_events("ReplySent")
            await asyncio.sleep(0.1)
            held = list(context.held.values())
            await renew(outside.pool, held, holder=context.claims.holder)
        await attending
    assert held == [conversation_id]
    assert await outside.pool.fetchval("SELECT count(*) FROM claims") == 0


# Rows that somebody has changed by hand


@pytest.mark.usefixtures("quick_sweep")
async def test_a_row_that_asks_for_an_answer_that_was_given_costs_no_call(
    outside: Desk, environment: dict[str, str]
) -> None:
    """The worker says what puts it right, looks away for a while, and answers what comes after."""
    with capture_logs() as logs:
        async with running_worker(settings_of(environment)):
            await outside.phone().write("Hello")
            await outside.phone().hears()
            await outside.is_idle()
            await outside.pool.execute("UPDATE messages SET status = 'waiting' WHERE role = 'user'")
            await asyncio.sleep(1.5)
            assert await outside.model_calls() == 1
            assert len(errors := [e for e in logs if e["log_level"] == "error"]) == 1
            assert "frostdesk rebuild" in errors[0]["event"]
            await outside.phone().write("Are you there?")
            await outside.phone().hears(2)
            await outside.is_idle()
    assert await outside.model_calls() == 2


@pytest.mark.usefixtures("quick_sweep")
async def test_a_decision_that_was_told_is_not_told_again(desk: Desk) -> None:
    """Its row says that nobody has told of it: no call of the model, and no loop."""
    await desk.phone().write("A lesson on Saturday at 10 for two hours, please")
    (booking,) = await desk.has_events("BookingProposed")
    await desk.api.post(f"/bookings/{booking['event_id']}/confirm")
    await desk.phone().hears(2)
    await desk.is_idle()
    calls = await desk.model_calls()
    await desk.pool.execute("UPDATE bookings SET announced_id = NULL")
    await asyncio.sleep(1.5)
    assert await desk.model_calls() == calls
    assert len(await desk.phone().heard()) == 2
    assert await desk.pool.fetchval("SELECT count(*) FROM claims") == 0
