"""The endpoint, by a raw client: the protocol's manners, and hostile ones."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import aiohttp
import jwt
import msgspec
import pytest

from frostdesk.realtime import hub, places, replication, server, socket
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from tests.factories import BEN, received, sender
from tests.realtime.sockets import END_STREAMS, EVERYTHING, TOPIC, RawClient, connected
from tests.support.desk import Api, api_settings, running_api
from tests.support.secrets import INSTRUCTOR_TOKEN
from tests.support.waiting import until

SLOTS = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
MESSAGES = {"event": "INSERT", "schema": "public", "table": "messages"}
SECRET = "a-legacy-secret-of-the-project-0123456789"
WRONG = "not-the-instructors-token"


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
async def test_a_change_has_the_shape_of_the_protocol(
    api: Api, store: EventStore, version: str
) -> None:
    """Ids of the wishes, schema, table, type, time, columns, record, and no errors."""
    async with connected(api, version=version) as client:
        await client.subscribe(MESSAGES)
        await store.append([received("Hello")])
        frame = await client.frame()
    assert (frame["topic"], frame["event"], frame["ref"]) == (TOPIC, "postgres_changes", None)
    data = frame["payload"]["data"]
    assert frame["payload"]["ids"] == [1]
    assert (data["schema"], data["table"], data["type"]) == ("public", "messages", "INSERT")
    assert data["errors"] is None
    assert "old_record" not in data
    assert {"name": "version", "type": "int4"} in data["columns"]
    assert data["record"]["version"] == 1
    assert data["commit_timestamp"].endswith("Z")


async def test_every_subscription_that_fits_is_named(api: Api, store: EventStore) -> None:
    """One frame a channel, with the ids of all wishes that the change fulfils."""
    other = {"event": "DELETE", "schema": "public", "table": "messages"}
    async with connected(api) as client:
        await client.subscribe(EVERYTHING, other, MESSAGES)
        await store.append([received("Hello")])
        ids = [(await client.next("postgres_changes"))["ids"] for _ in range(2)]
    assert ids == [[1], [1, 3]]


async def test_a_joined_channel_misses_nothing(api: Api, store: EventStore) -> None:
    """What is committed after the answer to a join is heard, even at once."""
    async with connected(api) as client:
        assert (await client.join(MESSAGES))["status"] == "ok"
        await store.append([received("at once")])
        assert (await client.next("system"))["status"] == "ok"
        assert (await client.change())["record"]["content"] == "at once"


async def test_corrections_and_deletions_are_heard(api: Api, store: EventStore, pool: Pool) -> None:
    """Changes that no event tells of are heard too: rows that are put right, or erased."""
    (hello, _) = await store.append([received("Hello"), received(by=sender(BEN))])
    ana = hello.conversation_id
    async with connected(api) as client:
        await client.subscribe({"event": "*", "table": "messages"})
        await pool.execute("UPDATE messages SET content = 'right' WHERE conversation_id = $1", ana)
        await pool.execute("DELETE FROM messages WHERE conversation_id = $1", ana)
        correction, deletion = await client.change(), await client.change()
    assert correction["old_record"]["content"] == "Hello"
    assert correction["record"]["content"] == "right"
    assert (deletion["type"], deletion["old_record"]["content"]) == ("DELETE", "right")
    assert "record" not in deletion


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
async def test_heartbeats_are_answered(api: Api, version: str) -> None:
    """A heartbeat gets an ok with its ref, joined or not."""
    async with connected(api, version=version) as client:
        ref = await client.push("heartbeat", topic="phoenix")
        frame = await client.frame()
    assert (frame["ref"], frame["payload"]) == (ref, {"status": "ok", "response": {}})


async def test_a_channel_that_is_left_is_silent(api: Api, store: EventStore) -> None:
    """Leaving is answered, the channel is closed, and other channels go on."""
    async with connected(api) as client:
        await client.subscribe(MESSAGES, topic="realtime:left")
        await client.subscribe(MESSAGES)
        await client.push("phx_leave", topic="realtime:left")
        assert (await client.next("phx_reply"))["status"] == "ok"
        assert (await client.frame())["event"] == "phx_close"
        await store.append([received("Hello")])
        assert (await client.frame())["topic"] == TOPIC
        await client.push("anything", topic="realtime:left")
        assert (await client.next("phx_reply"))["response"] == {"reason": "unmatched topic"}


async def test_joining_again_replaces_the_channel(api: Api, store: EventStore) -> None:
    """A second join of a topic closes the first: changes come once."""
    async with connected(api) as client:
        await client.subscribe(MESSAGES)
        await client.push("phx_join", {"config": {"postgres_changes": [MESSAGES]}})
        events = [(await client.frame())["event"] for _ in range(3)]
        await store.append([received("one")])
        await store.append([received("two")])
        contents = [(await client.change())["record"]["content"] for _ in range(2)]
    assert events == ["phx_close", "phx_reply", "system"]
    assert contents == ["one", "two"]


@pytest.mark.parametrize(
    ("key", "token"),
    [("", None), (WRONG, None), ("", WRONG), (INSTRUCTOR_TOKEN, WRONG), (WRONG, {"a": 1})],
)
async def test_nobody_without_the_token_joins(api: Api, key: str, token: Any) -> None:
    """A missing or wrong token is refused in the reply to the join, and no row comes."""
    async with connected(api, key=key) as client:
        reply = await client.join(EVERYTHING, token=token)
        assert reply["status"] == "error"
        assert "Unauthorized" in reply["response"]["reason"]


async def test_the_token_counts_in_the_join(api: Api, store: EventStore) -> None:
    """The key of the socket may be anything if the join brings the token."""
    async with connected(api, key="a-public-key") as client:
        assert (await client.join(MESSAGES, token=INSTRUCTOR_TOKEN))["status"] == "ok"
        await client.next("system")
        await store.append([received("Hello")])
        assert (await client.change())["record"]["content"] == "Hello"


async def test_a_new_token_is_judged(api: Api, store: EventStore) -> None:
    """A right one, or none, changes nothing; a wrong one ends the channel, and no row follows."""
    async with connected(api) as client:
        await client.subscribe(MESSAGES)
        await client.push("access_token", {"access_token": INSTRUCTOR_TOKEN})
        await client.push("access_token", {"access_token": None})
        await store.append([received("Hello")])
        await client.change()
        await client.push("access_token", {"access_token": WRONG})
        assert (await client.next("system"))["status"] == "error"
        assert (await client.frame())["event"] == "phx_close"
        await store.append([received("Secret")])
        await client.push("heartbeat", topic="phoenix")
        assert (await client.frame())["event"] == "phx_reply"


async def test_a_channel_ends_with_its_token(
    database_url: str, redis_url: str, store: EventStore
) -> None:
    """Whose access token runs out is told so and gets no row; who shows a new one goes on."""
    settings = msgspec.structs.replace(
        api_settings(database_url, redis_url), supabase_jwt_secret=SECRET
    )
    async with running_api(settings) as api, connected(api, key="") as renewed:
        # Valid for longer than a slow machine needs to join and to show the new one.
        assert (await renewed.join(MESSAGES, token=access_token(4)))["status"] == "ok"
        await renewed.next("system")
        await renewed.push("access_token", {"access_token": access_token(60)})
        async with connected(api, key="") as expired:
            assert (await expired.join(MESSAGES, token=access_token(4)))["status"] == "ok"
            await expired.next("system")
            assert "expired" in (await expired.next("system"))["message"]
            assert (await expired.frame())["event"] == "phx_close"
            await store.append([received("Hello")])
            assert (await renewed.change())["record"]["content"] == "Hello"
            await expired.push("heartbeat", topic="phoenix")
            assert (await expired.frame())["event"] == "phx_reply"
            refused = await expired.join(MESSAGES, token=access_token(-1))
            assert "Unauthorized" in refused["response"]["reason"]


def access_token(seconds: int) -> str:
    """An access token of Supabase Auth that is valid for so long."""
    claims = {"aud": "authenticated", "role": "authenticated", "exp": int(time.time()) + seconds}
    return jwt.encode(claims, SECRET, algorithm="HS256")


@pytest.mark.parametrize(
    "wish",
    [
        {"table": "events"},
        {"schema": "auth", "table": "users"},
        {"table": "messages", "filter": "content=like.%"},
    ],
)
async def test_what_is_not_served_is_refused(api: Api, wish: dict[str, Any]) -> None:
    """Other tables and schemas and unknown filters end in an error, and the socket goes on."""
    async with connected(api) as client:
        reply = await client.join(wish)
        assert reply["status"] == "error"
        assert reply["response"]["reason"].startswith("Unable to subscribe to changes")
        await client.subscribe(EVERYTHING)


@pytest.mark.parametrize("topic", ["desk", "realtime:", "phoenix", ""])
async def test_topics_have_a_form(api: Api, topic: str) -> None:
    """A topic is `realtime:` and a name."""
    async with connected(api) as client:
        reply = await client.join(EVERYTHING, topic=topic)
        assert reply == {"status": "error", "response": {"reason": "unmatched topic"}}


async def test_channels_have_a_limit(api: Api) -> None:
    """The hundred-and-first channel of a socket is refused."""
    async with connected(api) as client:
        for number in range(100):
            assert (await client.join(topic=f"realtime:{number}"))["status"] == "ok"
        reply = await client.join(topic="realtime:one-more")
        assert "Too many channels" in reply["response"]["reason"]


async def test_other_services_of_realtime_are_refused(api: Api) -> None:
    """Broadcast and presence get an error that says what is served."""
    async with connected(api) as client:
        await client.subscribe(EVERYTHING)
        await client.push("broadcast", {"type": "broadcast", "event": "hi"})
        reply = await client.next("phx_reply")
        assert "postgres_changes only" in reply["response"]["reason"]


async def test_malformed_frames_are_refused_and_then_dropped(api: Api) -> None:
    """Each gets an error; one or two are forgiven, a stream of them is not."""
    async with connected(api) as client:
        await client.ws.send_bytes(b"\x03\x01\x01\x01")
        await client.ws.send_str("{")
        assert (await client.next("phx_reply"))["status"] == "error"
        assert (await client.next("phx_reply"))["status"] == "error"
        await client.subscribe(EVERYTHING)
        for _ in range(10):
            await client.ws.send_str("[]")
        assert await client.close_code() == aiohttp.WSCloseCode.UNSUPPORTED_DATA


async def test_huge_frames_end_the_socket(api: Api) -> None:
    """A frame that no client would send ends the socket, whoever sends it."""
    async with connected(api) as client:
        await client.ws.send_str("x" * (server.FRAME_BYTES + 1))
        assert await client.close_code() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize("query", ["?vsn=3.0.0", ""])
async def test_what_is_no_websocket_is_refused(api: Api, query: str) -> None:
    """An unknown version, or plain HTTP, is a problem like everywhere else."""
    await api.get(f"/realtime/v1/websocket{query}", 400)


async def test_an_idle_socket_is_dropped(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a heartbeat the socket is closed, with the reason; with heartbeats it stays."""
    # Much longer than the pause between heartbeats, as the machine may stand still meanwhile.
    monkeypatch.setattr(socket, "IDLE_SECONDS", 3.0)
    async with connected(api) as alive, connected(api) as idle:
        closing = asyncio.create_task(idle.close_code())
        while not closing.done():
            await asyncio.sleep(0.1)
            await alive.push("heartbeat", topic="phoenix")
            assert (await alive.next("phx_reply"))["status"] == "ok"
        assert await closing == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_strangers_are_dropped(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever shows no valid token in time is dropped, heartbeats or not; others stay."""
    async with connected(api) as known:
        await known.subscribe()
        monkeypatch.setattr(socket, "SIGN_IN_SECONDS", 0.3)
        async with connected(api, key=WRONG) as stranger:
            await stranger.push("heartbeat", topic="phoenix")
            assert await stranger.close_code() == aiohttp.WSCloseCode.POLICY_VIOLATION
        await known.push("heartbeat", topic="phoenix")
        assert (await known.next("phx_reply"))["status"] == "ok"


async def test_who_never_reads_is_dropped(
    api: Api, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even with the token and a channel, and before anything has to wait for it."""
    async with connected(api) as known:
        await known.subscribe(MESSAGES)
        monkeypatch.setattr(socket, "SIGN_IN_SECONDS", 0.3)
        async with connected(api) as lazy:
            await lazy.push("phx_join", {"config": {"postgres_changes": [EVERYTHING]}})
            await asyncio.sleep(0.6)
            await store.append([received("Hello")])
            await known.change()
            assert await lazy.close_code() == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_newcomers_that_never_read_push_each_other_out(
    api: Api, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that came first has to go, and whoever reads stays and comes in."""
    monkeypatch.setattr(places, "NEWCOMERS_MOST", 2)
    async with connected(api) as known:
        await known.subscribe(MESSAGES)
        async with connected(api) as lazy, connected(api), connected(api), connected(api) as late:
            await late.subscribe(MESSAGES)
            assert await lazy.close_code() == aiohttp.WSCloseCode.TRY_AGAIN_LATER
            await store.append([received("Hello")])
            assert [(await c.change())["type"] for c in (known, late)] == ["INSERT", "INSERT"]


async def test_there_is_room_for_so_many(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all places are taken the next is turned away until one of them is free."""
    monkeypatch.setattr(places, "SOCKETS_MOST", 1)
    async with connected(api) as first:
        await first.subscribe()
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with connected(api):
                pass

    async def comes_in() -> bool:
        with contextlib.suppress(aiohttp.WSServerHandshakeError):
            async with connected(api):
                return True
        return False

    await until(comes_in)


async def test_while_much_waits_for_all_nobody_may_keep_much(
    api: Api, store: EventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several that stop reading together are dropped before each has used up its own measure."""
    monkeypatch.setattr(socket, "WAITING_MOST", 2**40)
    monkeypatch.setattr(socket, "WAITING_IN_ALL", 200_000)
    monkeypatch.setattr(socket, "WAITING_FEW", 100_000)
    await store.append([received("Hello")])
    async with connected(api) as lazy, connected(api) as other, connected(api) as busy:
        for client in (lazy, other, busy):
            await client.subscribe({"event": "UPDATE", "table": "messages"})
        heard = asyncio.create_task(contents(busy, 100))
        for number in range(100):
            await pool.execute(
                "UPDATE messages SET content = $1 || repeat('x', 60000)", f"{number} "
            )
        assert await heard == list(range(100))
        codes = [await client.close_code() for client in (lazy, other)]
    assert aiohttp.WSCloseCode.OK not in codes


async def test_strangers_take_no_room(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """When many strangers are there, the next is turned away, and the instructor comes in."""
    monkeypatch.setattr(places, "STRANGERS_MOST", 2)
    async with connected(api, key=WRONG), connected(api, key=WRONG):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with connected(api, key=WRONG):
                pass
        async with connected(api) as known:
            await known.subscribe()


async def test_a_client_that_does_not_read_is_dropped_alone(
    api: Api, store: EventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed when too much waits for it, while its neighbour hears everything in order."""
    monkeypatch.setattr(socket, "WAITING_MOST", 200_000)
    await store.append([received("Hello")])
    async with connected(api) as lazy, connected(api) as busy:
        for client in (lazy, busy):
            await client.subscribe({"event": "UPDATE", "table": "messages"})
        heard = asyncio.create_task(contents(busy, 150))
        for number in range(150):
            await pool.execute(
                "UPDATE messages SET content = $1 || repeat('x', 60000)", f"{number} "
            )
        assert await heard == list(range(150))
        assert await lazy.close_code() != aiohttp.WSCloseCode.OK


async def contents(client: RawClient, count: int) -> list[int]:
    """The numbers that the contents of the next changes begin with."""
    changes = [await client.change() for _ in range(count)]
    return [int(change["record"]["content"].split()[0]) for change in changes]


async def test_one_huge_transaction_drops_nobody(api: Api, store: EventStore) -> None:
    """Whoever reads gets thousands of changes at once."""
    async with connected(api) as client:
        await client.subscribe(MESSAGES)
        await store.append([received(str(n)) for n in range(3_000)])
        assert len([await client.change() for _ in range(3_000)]) == 3_000


async def test_nothing_runs_for_nobody(
    api: Api, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes are followed while somebody listens, a little longer, and not otherwise."""
    assert await pool.fetchval(SLOTS) == 0
    async with connected(api) as first:
        await first.subscribe()
        async with connected(api) as second:
            await second.subscribe()
            assert await pool.fetchval(SLOTS) == 1
            # Not before: whoever joins may need longer than that until it listens.
            monkeypatch.setattr(hub, "LINGER_SECONDS", 0.2)

    async def gone() -> bool:
        return not await pool.fetchval(SLOTS)

    await until(gone)
    monkeypatch.undo()
    async with connected(api) as again:
        await again.subscribe()


async def test_a_lost_database_sends_clients_to_join_again(
    api: Api, store: EventStore, pool: Pool
) -> None:
    """Every channel is told and ended by `phx_error`; who joins again hears what comes."""
    async with connected(api) as client:
        await client.subscribe(MESSAGES)
        await pool.execute(END_STREAMS)
        assert (await client.next("system"))["status"] == "error"
        frame = await client.frame()
        assert (frame["event"], frame["ref"], frame["join_ref"]) == ("phx_error", "1", "1")
        await client.subscribe(MESSAGES)
        await store.append([received("Hello")])
        assert (await client.change())["record"]["content"] == "Hello"


async def test_a_join_waits_for_the_database(
    api: Api, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While changes cannot be followed yet, a join ends in an error; later it succeeds."""
    monkeypatch.setattr(hub, "JOIN_SECONDS", 0.3)
    async with connected(api) as client:
        async with pool.acquire() as writer, writer.transaction():
            await writer.execute("CREATE TABLE unfinished (id int)")
            reply = await client.join(EVERYTHING)
            assert "transactions" in reply["response"]["reason"]
        monkeypatch.setattr(hub, "JOIN_SECONDS", 8.0)
        await client.subscribe()


async def test_a_database_that_is_away_is_named(redis_url: str) -> None:
    """Joining while the database is away ends in an error that says so."""
    settings = api_settings("postgresql://nobody@127.0.0.1:9/none", redis_url)
    async with running_api(settings) as api, connected(api) as client:
        reply = await client.join(EVERYTHING)
        assert reply["status"] == "error"
        assert reply["response"]["reason"] == hub.AWAY


async def test_shutdown_closes_sockets(
    database_url: str, redis_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the service ends, its sockets are told that it goes away, and its slot is gone."""
    monkeypatch.setattr(replication, "END_SECONDS", 30.0)
    async with aiohttp.ClientSession() as session:
        async with running_api(api_settings(database_url, redis_url)) as api:
            ws = await session.ws_connect(
                f"{api.url}/realtime/v1/websocket", params={"apikey": INSTRUCTOR_TOKEN}
            )
            client = RawClient(ws, "1.0.0")
            await client.subscribe()
            closing = asyncio.create_task(client.close_code())
        assert await closing == aiohttp.WSCloseCode.GOING_AWAY
    assert await pool.fetchval(SLOTS) == 0
