"""Lists for the desk: pages without gaps or repeats, and rows as they stand."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.errors import NotFoundError, RefusedError
from frostdesk.store import reading
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from frostdesk.store.reading import Cursor, decode_cursor, encode_cursor
from tests.factories import cancelled, confirmed, failed, generated, proposed, received, sender


async def write(store: EventStore, phone: str = "4179") -> UUID:
    """A customer writes; gives the conversation."""
    (appended,) = await store.append([received(by=sender(phone))])
    return appended.conversation_id


async def every_page(
    pool: Pool, query: Any, *args: Any, limit: int = 3, **narrow: Any
) -> list[UUID]:
    """The ids of all items of a list, page by page."""
    found: list[UUID] = []
    cursor: str | None = None
    while True:
        page = await query(pool, *args, limit=limit, cursor=cursor, **narrow)
        assert len(page.items) <= limit
        found += [item.id for item in page.items]
        if (cursor := page.cursor) is None:
            return found


async def test_all_pages_together_are_the_list(pool: Pool, store: EventStore) -> None:
    """Page by page, conversations come newest first, each once, and then there is no cursor."""
    written = [await write(store, f"417{n}") for n in range(10)]
    assert await every_page(pool, reading.list_conversations) == written[::-1]


async def test_an_exact_page_has_no_next(pool: Pool, store: EventStore) -> None:
    """A list that fits exactly into a page ends there."""
    for n in range(3):
        await write(store, f"417{n}")
    page = await reading.list_conversations(pool, limit=3)
    assert len(page.items) == 3
    assert page.cursor is None


async def test_an_empty_list_is_a_page(pool: Pool) -> None:
    """Where there is nothing, there is an empty page."""
    assert (await reading.list_bookings(pool, limit=50)).items == []


async def test_pages_are_stable_while_others_arrive(pool: Pool, store: EventStore) -> None:
    """What is written between two pages neither repeats nor hides an older item."""
    written = [await write(store, f"417{n}") for n in range(6)]
    first = await reading.list_conversations(pool, limit=3)
    await write(store, "4180")
    second = await reading.list_conversations(pool, limit=3, cursor=first.cursor)
    assert [c.id for c in (*first.items, *second.items)] == written[::-1]


async def test_rows_of_the_same_moment_are_each_listed_once(pool: Pool, store: EventStore) -> None:
    """Rows with equal times, as of one transaction, are told apart by their ids."""
    conversation_id = await write(store)
    await store.append([proposed() for _ in range(7)], conversation_id=conversation_id)
    await pool.execute("UPDATE bookings SET created_at = now()")
    found = await every_page(pool, reading.list_bookings, limit=2)
    assert len(found) == len(set(found)) == 7


async def test_messages_page_newest_first(pool: Pool, store: EventStore) -> None:
    """A conversation's messages are paged too, and hold nobody else's."""
    conversation_id = await write(store)
    await write(store, "4180")
    replies = [generated() for _ in range(4)]
    await store.append(replies, conversation_id=conversation_id)
    found = await every_page(pool, reading.list_messages, conversation_id, limit=2)
    assert found[:4] == [reply.id for reply in replies[::-1]]
    assert len(found) == 5


async def test_bookings_are_narrowed_by_status(pool: Pool, store: EventStore) -> None:
    """A status gives those bookings only, page by page."""
    conversation_id = await write(store)
    bookings = [proposed() for _ in range(4)]
    decisions = [confirmed(bookings[0]), cancelled(bookings[1]), cancelled(bookings[2])]
    await store.append([*bookings, *decisions], conversation_id=conversation_id)
    for status, count in {"pending": 1, "confirmed": 1, "cancelled": 2}.items():
        found = await every_page(pool, reading.list_bookings, limit=1, status=status)
        assert len(found) == count


async def test_a_conversation_counts_what_waits(pool: Pool, store: EventStore) -> None:
    """The desk sees how many messages wait and how many have failed."""
    message = received()
    (appended,) = await store.append([message])
    await store.append([received()])
    await store.append([failed(message.id)], conversation_id=appended.conversation_id)
    found = await reading.get_conversation(pool, appended.conversation_id)
    assert (found.waiting, found.failed) == (1, 1)


async def test_what_does_not_exist_is_said_so(pool: Pool) -> None:
    """Unknown conversations, their messages and unknown bookings are not found."""
    with pytest.raises(NotFoundError, match="no conversation"):
        await reading.get_conversation(pool, uuid4())
    with pytest.raises(NotFoundError, match="no conversation"):
        await reading.list_messages(pool, uuid4(), limit=1)
    with pytest.raises(NotFoundError, match="no booking"):
        await reading.get_booking(pool, uuid4())


async def test_the_log_is_listed_in_order(pool: Pool, store: EventStore) -> None:
    """Events come in the order of the log, narrowed by conversation, type and position."""
    ana, ben = await write(store, "4179"), await write(store, "4180")
    await store.append([generated(), proposed()], conversation_id=ana)
    assert [e.position for e in await reading.list_events(pool, limit=9)] == [1, 2, 3, 4]
    assert [e.position for e in await reading.list_events(pool, after=2, limit=1)] == [3]
    of_ben = await reading.list_events(pool, limit=9, conversation_id=ben)
    assert [e.version for e in of_ben] == [1]
    kinds = await reading.list_events(pool, limit=9, event_type="BookingProposed")
    assert [e.type for e in kinds] == ["BookingProposed"]
    assert kinds[0].data["lesson"]["duration"] == 120


@given(
    st.one_of(
        st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)),  # noqa: DTZ001  # the strategy adds the zone
        st.integers(0, 2**31 - 1),
    ),
    st.uuids(),
)
def test_a_cursor_survives_its_travels(at: datetime | int, row_id: UUID) -> None:
    """Every cursor is decoded as it was encoded, and fits in a URL."""
    text = encode_cursor(Cursor(at, row_id))
    assert decode_cursor(text, type(at)) == Cursor(at, row_id)
    assert text.replace("-", "").replace("_", "").isalnum()


def packed(*content: object) -> str:
    """A cursor with something else in it."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(content)).decode().rstrip("=")


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "x",
        "not a cursor",
        "ü",
        "\0",
        "////",
        "A" * 5000,
        packed(),
        packed(1),
        packed(-1, UUID(int=7)),
        packed(2**63, UUID(int=7)),
        packed(1.5, UUID(int=7)),
        packed("now", UUID(int=7)),
        packed(1, "no id"),
    ],
)
def test_garbage_is_no_cursor(garbage: str) -> None:
    """Whatever was not made by us is refused, and never reaches the database."""
    with pytest.raises(RefusedError, match="cursor"):
        decode_cursor(garbage, int)


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "2027-01-15T09:00:00", "2027-01-15T09:00:00Z"]
)
def test_a_time_that_others_wrote_is_no_cursor(at: str) -> None:
    """A time that no zone has, or that cannot be had in UTC, never reaches the database."""
    with pytest.raises(RefusedError, match="cursor"):
        decode_cursor(packed(at, uuid4()), datetime)


@given(st.text())
def test_no_text_breaks_the_cursor(text: str) -> None:
    """Any text is either a cursor or refused; nothing else is raised."""
    try:
        decode_cursor(text, int)
    except RefusedError:
        return


def test_a_cursor_of_another_list_is_refused() -> None:
    """A cursor of conversations is none for messages."""
    with pytest.raises(RefusedError):
        decode_cursor(encode_cursor(Cursor(datetime.now(UTC), uuid4())), int)
