"""`/metrics`: what an operator reads, and what must not be in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import uuid4

import aiohttp
import pytest

from frostdesk.api.metrics import STATE
from frostdesk.events import AnswerDeferred
from frostdesk.metrics import kind_of
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool, connect
from projections.rebuild import REBUILD_LOCK
from tests.factories import ANA, failed, generated, new, received, sent
from tests.support.bodies import text_message, webhook
from tests.support.databases import name_of
from tests.support.desk import Api, api_settings, running_api
from tests.support.scraping import scrape
from tests.support.secrets import APP_SECRET, INSTRUCTOR_TOKEN


async def test_it_is_open_and_tells_of_the_process(api: Api) -> None:
    """A scraper needs no token, and finds the process's own numbers too."""
    found = await scrape(api)
    assert found["process_resident_memory_bytes", ""] > 0
    assert found["frostdesk_postgresql_up", ""] == 1
    assert found["frostdesk_redis_up", ""] == 1
    assert found["frostdesk_pool_connections", "most"] == 10


async def test_webhooks_are_counted_by_what_became_of_them(api: Api) -> None:
    """New messages, repeated ones, parts not understood, and refusals by their reason."""
    body = webhook(text_message(), text_message(), "no message")
    for _ in range(3):
        await api.webhook(body)
    await api.webhook(b"no JSON", 400)
    async with api.session.post(f"{api.url}/inbound", data=BytesIO(b"x" * 2**22)) as answer:
        assert answer.status == 413
    async with api.session.post(f"{api.url}/inbound", data=json.dumps(body)) as answer:
        assert answer.status == 401
    found = await scrape(api)
    assert found["frostdesk_inbound_messages_total", "accepted"] == 2
    assert found["frostdesk_inbound_messages_total", "duplicate"] == 4
    assert found["frostdesk_inbound_skipped_total", ""] == 3
    for reason, count in {"malformed": 1, "too large": 1, "signature": 1, "failed": 0}.items():
        assert found["frostdesk_inbound_rejected_total", reason] == count


async def test_the_queue_is_shown_as_it_stands(api: Api, store: EventStore, pool: Pool) -> None:
    """What waits, how long the oldest has waited, what is unsent and what has failed."""
    messages = [received() for _ in range(4)]
    (appended, *_) = [(await store.append([message]))[0] for message in messages]
    talk = appended.conversation_id
    await store.append([failed(messages[0].id)], conversation_id=talk)
    await store.append([generated(answers=(messages[1].id,))], conversation_id=talk)
    await pool.execute("UPDATE messages SET created_at = created_at - interval '90 s'")
    found = await scrape(api)
    assert found["frostdesk_waiting_messages", ""] == 2
    assert 90 <= found["frostdesk_oldest_waiting_seconds", ""] < 120
    assert found["frostdesk_unsent_replies", ""] == 1
    assert found["frostdesk_failed_messages", ""] == 1
    assert found["frostdesk_unannounced_decisions", ""] == 0


async def test_what_workers_did_is_read_from_the_log(api: Api, store: EventStore) -> None:
    """Tokens, calls, seconds and failures of every worker are counted, each event once."""
    asked = received()
    (appended,) = await store.append([asked])
    talk = appended.conversation_id
    reply = generated(
        answers=(asked.id,), model="m", calls=2, input_tokens=100, output_tokens=20, seconds=1.5
    )
    whole = sent(reply)
    await store.append(
        [reply, whole, failed(asked.id), failed(stage="limit")], conversation_id=talk
    )
    deferred = AnswerDeferred(until=datetime.now(UTC), answers=(asked.id,))
    await store.append([new(deferred)], conversation_id=talk)
    await scrape(api)
    found = await scrape(api)
    assert found["frostdesk_events_total", "ReplyGenerated"] == 1
    assert found["frostdesk_model_calls_total", ""] == 2
    assert found["frostdesk_model_tokens_total", "input"] == 100
    assert found["frostdesk_model_tokens_total", "output"] == 20
    assert found["frostdesk_model_seconds_sum", ""] == 1.5
    assert found["frostdesk_model_seconds_count", ""] == 1
    assert found["frostdesk_model_errors_total", "other"] == 1
    assert found["frostdesk_failures_total", "model"] == 1
    assert found["frostdesk_limited_total", "day"] == 1
    assert found["frostdesk_limited_total", "customer"] == 1


async def test_events_from_before_the_start_are_not_counted(
    database_url: str, redis_url: str, store: EventStore, pool: Pool
) -> None:
    """Counters begin when the process does: the log's length costs a scrape nothing."""
    await pool.execute(
        "INSERT INTO events (id, conversation_id, version, type, data, recorded_at)"
        " SELECT gen_random_uuid(), $1, n, 'ReplySent', '{}', $2 FROM generate_series(1, 50) n",
        uuid4(),
        datetime.now(UTC) - timedelta(minutes=1),
    )
    async with running_api(api_settings(database_url, redis_url)) as api:
        await store.append([received()])
        found = await scrape(api)
    assert ("frostdesk_events_total", "ReplySent") not in found
    assert found["frostdesk_events_total", "MessageReceived"] == 1


async def test_a_rebuild_under_way_is_shown(api: Api, database_url: str) -> None:
    """Whoever holds the rebuild's lock is seen, and no longer than that."""
    connection = await connect(database_url)
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({REBUILD_LOCK})")
        assert (await scrape(api))["frostdesk_rebuilds_running", ""] == 1
    await connection.close()
    assert (await scrape(api))["frostdesk_rebuilds_running", ""] == 0


async def test_it_answers_while_both_servers_are_away(unused_tcp_port: int) -> None:
    """At night the scrape says what is down, in place of failing with it."""
    nowhere = f"127.0.0.1:{unused_tcp_port}"
    settings = api_settings(f"postgresql://x@{nowhere}/x", f"redis://{nowhere}/0")
    async with running_api(settings) as api:
        found = await scrape(api)
    assert found["frostdesk_postgresql_up", ""] == 0
    assert found["frostdesk_redis_up", ""] == 0
    assert str(found["frostdesk_waiting_messages", ""]) == "nan"


async def test_it_answers_where_postgresql_refuses(
    direct_url: str, postgres_server: str, redis_url: str
) -> None:
    """A database that there is not, or has no tables, is a number of its own."""
    for url in (direct_url.replace(name_of(direct_url), "not_there"), postgres_server):
        async with running_api(api_settings(url, redis_url)) as api:
            found = await scrape(api)
            assert found["frostdesk_postgresql_up", ""] == 0
            assert found["frostdesk_redis_up", ""] == 1


async def test_there_is_nothing_personal_or_secret_in_it(api: Api, store: EventStore) -> None:
    """No name, number, word, id, address or secret of anybody."""
    message = received("My password is swordfish", by=None)
    (appended,) = await store.append([message])
    await store.append([failed(message.id)], conversation_id=appended.conversation_id)
    async with aiohttp.ClientSession() as session, session.get(f"{api.url}/metrics") as answer:
        text = await answer.text()
    for hidden in ("swordfish", "Ana", ANA, str(message.id), APP_SECRET, INSTRUCTOR_TOKEN):
        assert hidden not in text


async def test_reading_how_things_stand_is_cheap(pool: Pool) -> None:
    """No table is read as a whole for a scrape, however many messages are done."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {STATE}"))
    assert "messages_unfinished" in plan
    assert "messages_failed" in plan
    assert "bookings_unannounced" in plan
    assert "Seq Scan on messages" not in plan


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("The model's server at x answered 429 (rate_limit_exceeded).", "429"),
        ("WhatsApp answered 400: error 131026: Message undeliverable", "131026"),
        ("WhatsApp answered 503", "503"),
        ("The model's server at x has not answered in 60 s.", "timeout"),
        ("The connection to the model's server at x failed or was lost", "connection"),
        ("WhatsApp could not be reached (ClientConnectorError).", "connection"),
        ("outside the 24-hour window: the customer has to write first", "window"),
        ("The model's answer is no JSON or holds no choice.", "unreadable"),
        ("outcome unknown after a second send", "unknown outcome"),
        ("[forgotten]", "other"),
    ],
)
def test_failures_are_of_a_few_kinds(reason: str, kind: str) -> None:
    """A reason becomes the other side's code, its status or a word: never free text."""
    assert kind_of(reason) == kind
