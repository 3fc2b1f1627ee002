"""The instructor's reads and commands over HTTP."""

from __future__ import annotations

import asyncio
import json
from datetime import date, datetime, time
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from frostdesk.events import EVENT_TYPES
from frostdesk.store.append import EventStore, NewEvent
from frostdesk.store.database import Pool
from tests.factories import (
    cancelled,
    confirmed,
    failed,
    generated,
    lesson,
    proposed,
    received,
    sender,
)
from tests.support.desk import Api, api_settings, assert_problem, running_api
from tests.support.secrets import INSTRUCTOR_TOKEN

READS = ("/conversations", "/bookings", "/events")


async def conversation(store: EventStore, *events: NewEvent, phone: str = "4179") -> UUID:
    """A conversation that begins with a message and goes on with `events`."""
    (appended,) = await store.append([received(by=sender(phone))])
    if events:
        await store.append(events, conversation_id=appended.conversation_id)
    return appended.conversation_id


async def every_item(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    """All items of a list, followed by its cursors."""
    items: list[dict[str, Any]] = []
    while True:
        page = await api.get(path, **query)
        assert set(page) == {"items", "cursor"}
        items += page["items"]
        if page["cursor"] is None:
            return items
        query["after" if path == "/events" else "cursor"] = page["cursor"]


# Who may


async def test_without_the_token_nothing_is_shown(api: Api, subtests: pytest.Subtests) -> None:
    """Every route of the instructor's refuses an absent or wrong token with 401, first of all."""
    routes = [("GET", path) for path in READS]
    routes += [("GET", f"/{kind}/{uuid4()}") for kind in ("conversations", "bookings")]
    routes += [("GET", "/conversations/x/messages"), ("POST", "/conversations/x/retry")]
    routes += [("POST", f"/bookings/{uuid4()}/{command}") for command in ("confirm", "cancel")]
    tokens = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {INSTRUCTOR_TOKEN}",
        INSTRUCTOR_TOKEN,
    ]
    for method, path in routes:
        for token in tokens:
            with subtests.test(method=method, path=path, token=token):
                headers = {"Authorization": token}
                async with api.session.request(method, api.url + path, headers=headers) as answer:
                    assert_problem(await answer.json(content_type=None), 401, answer.content_type)
                    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_of_other_letters_is_no_error(api: Api) -> None:
    """A token with bytes beyond ASCII is wrong, and nothing breaks."""
    headers = {"Authorization": "Bearer s\u00e9same"}
    async with api.session.get(f"{api.url}/bookings", headers=headers) as answer:
        assert answer.status == 401


async def test_the_scheme_may_be_written_small(api: Api) -> None:
    """`bearer` is `Bearer` (RFC 9110, section 11.1)."""
    headers = {"Authorization": f"bearer {INSTRUCTOR_TOKEN}"}
    async with api.session.get(f"{api.url}/bookings", headers=headers) as answer:
        assert answer.status == 200


# What there is


async def test_items_have_the_tables_columns(api: Api, store: EventStore) -> None:
    """Ids are strings, times RFC 3339 with zone, names those of the columns."""
    booking = proposed(lesson(date(2027, 1, 16), time(10), 120))
    conversation_id = await conversation(store, booking)
    (found,) = (await api.get("/bookings"))["items"]
    assert found["id"] == str(booking.id)
    assert found["conversation_id"] == str(conversation_id)
    assert (found["date"], found["time"], found["duration"]) == ("2027-01-16", "10:00:00", 120)
    assert (found["status"], found["instructor_id"]) == ("pending", 1)
    (message,) = (await api.get(f"/conversations/{conversation_id}/messages"))["items"]
    assert {"id", "conversation_id", "role", "content", "created_at"} <= set(message)
    (shown,) = (await api.get("/conversations"))["items"]
    for item in (found, message, shown):
        assert datetime.fromisoformat(item["created_at"]).tzinfo is not None


async def test_one_thing_is_the_item_itself(api: Api, store: EventStore) -> None:
    """A conversation and a booking are answered as they stand in their lists."""
    booking = proposed()
    conversation_id = await conversation(store, booking)
    assert await api.get(f"/bookings/{booking.id}") == (await api.get("/bookings"))["items"][0]
    found = await api.get(f"/conversations/{conversation_id}")
    assert found == (await api.get("/conversations"))["items"][0]


async def test_lists_are_paged_newest_first(api: Api, store: EventStore) -> None:
    """Following the cursor gives every item once, newest first."""
    written = [str(await conversation(store, phone=f"417{n}")) for n in range(5)]
    items = await every_item(api, "/conversations", limit=2)
    assert [item["id"] for item in items] == written[::-1]


async def test_messages_are_paged_newest_first(api: Api, store: EventStore) -> None:
    """The same for the messages of a conversation."""
    replies = [generated(f"{n}") for n in range(4)]
    conversation_id = await conversation(store, *replies)
    items = await every_item(api, f"/conversations/{conversation_id}/messages", limit=2)
    assert [item["content"] for item in items[:4]] == ["3", "2", "1", "0"]


async def test_bookings_are_narrowed_by_status(api: Api, store: EventStore) -> None:
    """`status` gives those bookings only."""
    one, two = proposed(), proposed()
    await conversation(store, one, two, confirmed(one))
    for status, booking in {"confirmed": one, "pending": two}.items():
        items = await every_item(api, "/bookings", status=status, limit=1)
        assert [item["id"] for item in items] == [str(booking.id)]
    assert (await api.get("/bookings", status="cancelled"))["items"] == []


async def test_what_cannot_be_meant_is_refused(
    api: Api, store: EventStore, subtests: pytest.Subtests
) -> None:
    """Limits, cursors, statuses and types that are none are 400, never 500 and never ignored."""
    conversation_id = await conversation(store)
    of_another_list = (await api.get("/events", limit=1))["cursor"] or "MTIz"
    limits = ("0", "-1", "201", "1.5", "", "ten", "\u0661", "9" * 30, "0" * 5000 + "1")
    cases: list[tuple[str, dict[str, str]]] = [
        (path, {"limit": limit})
        for path in (*READS, f"/conversations/{conversation_id}/messages")
        for limit in limits
    ]
    cursors = ("", "x", "%00", "\u00fc", "kgE", of_another_list, "A" * 3000)
    for path in ("/conversations", "/bookings", f"/conversations/{conversation_id}/messages"):
        cases += [(path, {"cursor": cursor}) for cursor in cursors]
    cases += [("/bookings", {"status": "open"}), ("/bookings", {"status": ""})]
    cases += [("/events", {"after": a}) for a in ("-1", "x", "9" * 19, "0" * 5000, "1e3", "")]
    cases += [("/events", {"conversation": "x"}), ("/events", {"type": "Nothing"})]
    for path, query in cases:
        with subtests.test(path=path, query=query):
            problem = await api.get(path, 400, **query)
            assert "`" in problem["detail"] or "cursor" in problem["detail"]


async def test_the_widest_limit_is_taken(api: Api) -> None:
    """Limits from 1 to 200 are good."""
    for limit in (1, 200):
        assert await api.get("/bookings", limit=limit) == {"items": [], "cursor": None}


async def test_what_does_not_exist_is_404(api: Api, subtests: pytest.Subtests) -> None:
    """Unknown ids, malformed ids and unknown paths are a problem with 404."""
    for some_id in (str(uuid4()), "7", "x" * 500, "null", "\u00fc"):
        for path in ("conversations/{}", "conversations/{}/messages", "bookings/{}"):
            with subtests.test(path=path, id=some_id):
                await api.get("/" + path.format(some_id), 404)
        for path in ("bookings/{}/confirm", "bookings/{}/cancel", "conversations/{}/retry"):
            with subtests.test(path=path, id=some_id):
                await api.post("/" + path.format(some_id), 404)
    for path in ("/nothing", "/conversations/", "/bookings/x/y/z", "/%00", "/Events"):
        with subtests.test(path=path):
            await api.get(path, 404)


async def test_another_method_is_405(api: Api) -> None:
    """A known path with another method says which it takes."""
    async with api.session.delete(f"{api.url}/bookings") as answer:
        problem = await answer.json(content_type=None)
        assert_problem(problem, 405, answer.content_type)
        assert "GET" in answer.headers["Allow"]
        assert "GET" in problem["detail"]


# The log


async def test_the_log_is_paged_oldest_first(api: Api, store: EventStore) -> None:
    """`/events` gives every event once and in order; the cursor is the next `after`."""
    await conversation(store, *(generated() for _ in range(6)))
    items = await every_item(api, "/events", limit=3)
    assert [item["position"] for item in items] == [1, 2, 3, 4, 5, 6, 7]
    columns = {"position", "id", "conversation_id", "version", "type", "data", "recorded_at"}
    assert columns <= set(items[0])
    assert [item["version"] for item in items] == [1, 2, 3, 4, 5, 6, 7]


async def test_the_log_is_narrowed(api: Api, store: EventStore) -> None:
    """`after` excludes its position; conversation and type narrow, alone and together."""
    ana = await conversation(store, generated("a"), phone="4179")
    ben = await conversation(store, generated("b"), proposed(), phone="4180")
    assert [e["position"] for e in await every_item(api, "/events", after=3)] == [4, 5]
    of_ben = await every_item(api, "/events", conversation=str(ben), limit=1)
    assert [e["version"] for e in of_ben] == [1, 2, 3]
    replies = await every_item(api, "/events", type="ReplyGenerated", limit=1)
    assert [e["data"]["text"] for e in replies] == ["a", "b"]
    both = await every_item(api, "/events", type="ReplyGenerated", conversation=str(ana))
    assert len(both) == 1
    assert await every_item(api, "/events", conversation=str(uuid4())) == []
    assert await every_item(api, "/events", after=2**63 - 1) == []


async def test_every_type_can_be_asked_for(api: Api) -> None:
    """The filter knows the whole vocabulary."""
    for event_type in EVENT_TYPES:
        assert (await api.get("/events", type=event_type))["items"] == []


# Commands


async def test_a_booking_is_confirmed_and_cancelled(api: Api, store: EventStore) -> None:
    """Each command answers the booking as it now stands; repeating it changes nothing."""
    booking = proposed()
    await conversation(store, booking)
    for command, status in (("confirm", "confirmed"), ("cancel", "cancelled")):
        for _ in range(3):
            assert (await api.post(f"/bookings/{booking.id}/{command}"))["status"] == status
    types = [event["type"] for event in await every_item(api, "/events")]
    assert types[2:] == ["BookingConfirmed", "BookingCancelled"]


async def test_a_pending_booking_can_be_cancelled(api: Api, store: EventStore) -> None:
    """A no is possible at once."""
    booking = proposed()
    await conversation(store, booking)
    assert (await api.post(f"/bookings/{booking.id}/cancel"))["status"] == "cancelled"


async def test_a_cancelled_booking_stays_so(api: Api, store: EventStore) -> None:
    """Confirming a cancelled booking is 409, says why, and changes nothing."""
    booking = proposed()
    await conversation(store, booking, cancelled(booking))
    problem = await api.post(f"/bookings/{booking.id}/confirm", 409)
    assert "cancelled" in problem["detail"]
    assert (await api.get(f"/bookings/{booking.id}"))["status"] == "cancelled"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (lesson(start=time(10), minutes=120), lesson(start=time(11), minutes=30)),
        (lesson(start=time(10)), lesson(start=time(10))),
        (lesson(date(2027, 1, 16), time(23, 30), 60), lesson(date(2027, 1, 17), time(0, 15), 60)),
    ],
    ids=["within", "equal", "across midnight"],
)
async def test_overlapping_lessons_cannot_both_be_confirmed(
    api: Api, store: EventStore, one: Any, two: Any
) -> None:
    """The second confirmation is 409 and names the way out; after a cancellation it succeeds."""
    first, second = proposed(one), proposed(two)
    await conversation(store, first, phone="4179")
    await conversation(store, second, phone="4180")
    await api.post(f"/bookings/{first.id}/confirm")
    problem = await api.post(f"/bookings/{second.id}/confirm", 409)
    assert f"overlaps booking {first.id}" in problem["detail"]
    assert (await api.get(f"/bookings/{second.id}"))["status"] == "pending"
    await api.post(f"/bookings/{first.id}/cancel")
    assert (await api.post(f"/bookings/{second.id}/confirm"))["status"] == "confirmed"


async def test_two_overlapping_confirmations_at_once(
    database_url: str, redis_url: str, store: EventStore, pool: Pool
) -> None:
    """Through two servers at the same moment, exactly one of many overlapping lessons succeeds."""
    bookings = [proposed(lesson(start=time(10, n * 5))) for n in range(8)]
    for n, booking in enumerate(bookings):
        await conversation(store, booking, phone=f"4179{n}")
    settings = api_settings(database_url, redis_url)
    async with running_api(settings) as one, running_api(settings) as two:

        async def confirm(n: int) -> int:
            api = (one, two)[n % 2]
            headers = {"Authorization": f"Bearer {INSTRUCTOR_TOKEN}"}
            url = f"{api.url}/bookings/{bookings[n].id}/confirm"
            async with api.session.post(url, headers=headers) as answer:
                return answer.status

        answers = await asyncio.gather(*(confirm(n) for n in range(8)))
    assert sorted(answers) == [200] + [409] * 7
    assert await pool.fetchval("SELECT count(*) FROM bookings WHERE status = 'confirmed'") == 1
    decided = "SELECT count(*) FROM events WHERE type = 'BookingConfirmed'"
    assert await pool.fetchval(decided) == 1


async def test_confirming_and_cancelling_at_once_ends_in_one_state(
    api: Api, store: EventStore
) -> None:
    """Whatever the order of two commands at once, both are answered and the log agrees."""
    booking = proposed()
    await conversation(store, booking)

    async def command(name: str) -> int:
        headers = {"Authorization": f"Bearer {INSTRUCTOR_TOKEN}"}
        url = f"{api.url}/bookings/{booking.id}/{name}"
        async with aiohttp.ClientSession() as session, session.post(url, headers=headers) as answer:
            return answer.status

    answers = await asyncio.gather(*(command(n) for n in ("confirm", "cancel") * 4))
    assert set(answers) <= {200, 409}
    assert (await api.get(f"/bookings/{booking.id}"))["status"] == "cancelled"
    types = [event["type"] for event in await every_item(api, "/events")]
    assert types.count("BookingCancelled") == 1
    assert types.count("BookingConfirmed") <= 1


async def test_retry_processes_what_failed(api: Api, store: EventStore) -> None:
    """`retry` answers 202 with the conversation; what failed waits again. Twice is 409."""
    message = received()
    (appended,) = await store.append([message])
    await store.append([failed(message.id)], conversation_id=appended.conversation_id)
    path = f"/conversations/{appended.conversation_id}"
    assert (await api.get(path))["failed"] == 1
    found = await api.post(f"{path}/retry", 202)
    assert (found["failed"], found["waiting"]) == (0, 1)
    problem = await api.post(f"{path}/retry", 409)
    assert "failed" in problem["detail"]


async def test_retry_where_nothing_failed_is_409(api: Api, store: EventStore) -> None:
    """There is nothing to try again in a conversation that goes well."""
    conversation_id = await conversation(store)
    await api.post(f"/conversations/{conversation_id}/retry", 409)


async def test_a_body_in_a_command_is_ignored(api: Api, store: EventStore) -> None:
    """Commands take no body; one that comes changes nothing."""
    booking = proposed()
    await conversation(store, booking)
    headers = {"Authorization": f"Bearer {INSTRUCTOR_TOKEN}"}
    url = f"{api.url}/bookings/{booking.id}/confirm"
    async with api.session.post(url, data=b"{not json", headers=headers) as answer:
        assert json.loads(await answer.read())["status"] == "confirmed"
