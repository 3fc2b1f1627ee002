"""Following the log: in order, each event exactly once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import asyncpg
import pytest
import structlog

from frostdesk.embedded.postgres import start_postgres
from frostdesk.store import following
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool, connect, create_pool
from frostdesk.store.following import subscribe
from frostdesk.store.rows import LoggedEvent
from tests.conftest import NOT_DURABLE
from tests.factories import BEN, generated, received, sender
from tests.support.databases import SCHEMA
from tests.support.gates import gate_to
from tests.support.waiting import until

INSERT = """
INSERT INTO events (id, conversation_id, version, type, data)
VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'ReplySent', '{}') RETURNING position
"""


class Follower:
    """A subscription that runs beside the test and keeps what it has seen."""

    def __init__(self, events: AsyncIterator[LoggedEvent]) -> None:
        self.seen: list[LoggedEvent] = []
        self._task = asyncio.create_task(self._follow(events))

    @property
    def positions(self) -> list[int]:
        """The positions of what it has seen, in the order in which it has seen it."""
        return [event.position for event in self.seen]

    async def has_seen(self, count: int) -> list[int]:
        """Wait until it has seen so many events; gives their positions."""

        async def enough() -> bool:
            if self._task.done():
                self._task.result()
            return len(self.seen) >= count

        await until(enough, 20)
        return self.positions

    async def end(self) -> None:
        """Follow no longer."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self, events: AsyncIterator[LoggedEvent]) -> None:
        async for event in events:
            self.seen.append(event)


async def first(count: int, events: AsyncIterator[LoggedEvent]) -> list[LoggedEvent]:
    """The first so many events of a subscription."""
    found: list[LoggedEvent] = []
    async with aclosing(events) as following:  # type: ignore[type-var]  # it is a generator
        async for event in following:
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_it_begins_behind_a_position(
    store: EventStore, pool: Pool, database_url: str
) -> None:
    """What stands at the position is not seen again; what comes after it is, through a URL too."""
    for _ in range(3):
        await store.append([received()])
    assert [e.position for e in await first(2, subscribe(pool, after=1))] == [2, 3]
    assert [e.position for e in await first(1, subscribe(database_url, after=2))] == [3]


async def test_it_goes_on_with_what_comes(store: EventStore, pool: Pool) -> None:
    """An event that is appended later is seen soon, with everything that the log keeps of it."""
    follower = Follower(subscribe(pool, after=0))
    message = received("Hello")
    await store.append([message])
    assert await follower.has_seen(1) == [1]
    event = follower.seen[0]
    assert (event.id, event.type, event.actor) == (message.id, "MessageReceived", "customer")
    assert event.data["text"] == "Hello"
    await follower.end()


async def test_filters_hold(store: EventStore, pool: Pool) -> None:
    """Only events of the wanted types and of the wanted conversation are seen."""
    (ana,) = await store.append([received()])
    (ben,) = await store.append([received(by=sender(BEN))])
    for one in (ana, ben):
        await store.append([generated()], conversation_id=one.conversation_id)
    replies = subscribe(pool, after=0, types=["ReplyGenerated"])
    assert [e.position for e in await first(2, replies)] == [3, 4]
    of_ben = subscribe(pool, after=0, conversation_id=ben.conversation_id)
    assert [e.position for e in await first(2, of_ben)] == [2, 4]


async def test_what_a_filter_passes_over_is_not_searched_again(
    store: EventStore, pool: Pool
) -> None:
    """A follower of a rare type keeps up with the log, though nothing in it is for its eyes."""
    await store.append([received()])
    place = following._Place(0, ["BookingProposed"], None)  # noqa: SLF001  # its progress is unseen
    assert await following._next_part(pool, place) == ([], False)  # noqa: SLF001
    assert place.after == 1


async def test_a_log_of_many_parts_is_seen_whole(
    store: EventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where parts of the log end, nothing is lost and nothing comes twice."""
    monkeypatch.setattr(following, "PAGE", 3)
    for _ in range(10):
        await store.append([received()])
    assert [e.position for e in await first(10, subscribe(pool, after=0))] == list(range(1, 11))


async def test_a_late_commit_is_not_skipped(store: EventStore, pool: Pool) -> None:
    """A transaction that has drawn its position and commits late comes before those after it."""
    follower = Follower(subscribe(pool, after=0))
    async with pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        held = await slow.fetchval(INSERT)
        appending = asyncio.create_task(store.append([received()]))
        await asyncio.sleep(4 * following.POLL_SECONDS)
        assert not appending.done()
        assert follower.positions == []
        await transaction.commit()
    (appended,) = await appending
    assert appended.position is not None
    assert await follower.has_seen(2) == [held, appended.position]
    assert held < appended.position
    await follower.end()


async def test_a_position_drawn_long_ago_is_refused(store: EventStore, pool: Pool) -> None:
    """Whoever draws a position, lets others pass and then uses it, is refused by the database."""
    drawn = await pool.fetchval("SELECT nextval(pg_get_serial_sequence('events', 'position'))")
    await store.append([received()])
    late = INSERT.replace("(id,", "(position, id,").replace("VALUES (", f"VALUES ({drawn}, ")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="at or below the head"):
        await pool.fetchval(late)
    among_new_ones = (
        f"{late.split('RETURNING', maxsplit=1)[0]}, (1000, gen_random_uuid(), $1, 1, 'X', '{{}}')"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="at or below the head"):
        await pool.execute(among_new_ones, uuid4())
    assert await pool.fetchval("SELECT count(*) FROM events") == 1


async def test_many_writers_are_followed_without_a_gap(database_url: str) -> None:
    """What eight writers append at once, and roll back at times, is seen in order and whole."""
    async with create_pool(database_url, max_size=12) as pool, EventStore(pool) as store:
        follower = Follower(subscribe(pool, after=0))

        async def write(number: int) -> None:
            for turn in range(12):
                if (turn + number) % 4 == 0:
                    await _roll_back(pool)
                await store.append([received(by=sender(f"4179000{number:04}"))])

        await asyncio.gather(*map(write, range(8)))
        positions = await follower.has_seen(96)
        log = [row[0] for row in await pool.fetch("SELECT position FROM events ORDER BY position")]
        await follower.end()
    assert positions == log


async def _roll_back(pool: Pool) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(INSERT)
        await transaction.rollback()


async def test_a_lost_connection_is_survived(
    store: EventStore, pool: Pool, database_url: str
) -> None:
    """While the database is away this is said once; then it goes on with what came meanwhile."""
    with structlog.testing.capture_logs() as logs:

        async def told() -> bool:
            return bool(logs)

        async with gate_to(database_url) as gate:
            follower = Follower(subscribe(gate.url, after=0))
            await store.append([received()])
            await follower.has_seen(1)
            await gate.close()
            await store.append([received()])
            await until(told)
            await asyncio.sleep(5 * following.POLL_SECONDS)  # in which it fails again
            await gate.open()
            assert await follower.has_seen(2) == [1, 2]
            await follower.end()
    assert [line["event"] for line in logs] == ["postgresql is away, following goes on later"]
    assert await pool.fetchval("SELECT count(*) FROM events") == 2


async def test_a_restart_of_the_database_is_survived() -> None:
    """A follower goes on where it was once the server is back, with nothing lost or doubled."""
    with TemporaryDirectory(prefix="frostdesk-test-") as folder:
        with start_postgres(Path(folder), settings=NOT_DURABLE) as server:
            await _execute(server.url, SCHEMA.read_text())
            await _execute(server.url, INSERT)
            follower = Follower(subscribe(server.url, after=0))
            await follower.has_seen(1)
        with start_postgres(Path(folder), settings=NOT_DURABLE) as server:
            await _execute(server.url, INSERT)
            positions = await follower.has_seen(2)
            await follower.end()
    assert len(positions) == len(set(positions)) == 2


async def _execute(url: str, script: str) -> None:
    connection = await connect(url)
    await connection.execute(script)
    await connection.close()


async def test_a_database_without_tables_is_an_error(postgres_server: str) -> None:
    """What will not pass by waiting is raised."""
    with pytest.raises(asyncpg.UndefinedTableError):
        await first(1, subscribe(postgres_server, after=0))
