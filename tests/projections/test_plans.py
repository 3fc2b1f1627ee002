"""However long the log, an append and its projections touch only the rows that it is about."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from uuid import uuid4

from frostdesk.limits import Limits
from frostdesk.store.append import EventStore
from frostdesk.store.claims import Claims
from frostdesk.store.database import Pool, create_pool
from frostdesk.store.usage import Usage
from projections import STATEMENTS, TABLES, project
from projections.shadow import Connection
from tests.benchmarks.log import fill
from tests.factories import ZURICH, generated, received, sender, sent

EVENTS = 30_000
"""Enough that the planner would read a whole table only by mistake."""

LARGE = ("events", "messages")
"""The other tables are so much smaller that reading them whole may be right here."""

READ_WHOLE = "SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_user_tables WHERE relname = ANY ($1)"

ENTRIES_READ = """
SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname = ANY ($1)
"""

FEW = 500
"""Far more entries of indexes than a conversation looks up, far fewer than a large table has."""


async def test_projections_read_by_index(connection: Connection) -> None:
    """No projection of an event reads a large table from end to end, nor has to read any so."""
    head = await _long_log(connection)
    for statement in STATEMENTS.values():
        assert not await _read_whole(connection, statement, head) & {*LARGE}

    await connection.execute("SET enable_seqscan = off")
    for statement in STATEMENTS.values():
        assert not await _read_whole(connection, statement, head) & {"events", *TABLES}


async def test_appends_read_by_index(connection: Connection, database_url: str) -> None:
    """Appending what a conversation consists of never reads a large table from end to end."""
    await _long_log(connection)
    async with create_pool(database_url, max_size=1) as pool, EventStore(pool) as store:
        assert await _counted(_whole_readings, connection, pool, store) == 0


async def test_plans_made_while_the_tables_were_empty_read_by_index(
    connection: Connection, database_url: str
) -> None:
    """A session that has appended to an empty log does not read all of it when it has grown."""
    async with create_pool(database_url, max_size=1) as pool, EventStore(pool) as store:
        await _converse(pool, store, "417900000001")
        await _grow(connection)
        assert await _counted(_whole_readings, connection, pool, store) == 0


async def test_plans_made_before_anything_was_answered_read_few_entries(
    connection: Connection, database_url: str
) -> None:
    """A session keeps to the keys where an index of answers was the smaller one when it planned."""
    async with create_pool(database_url, max_size=1) as pool, EventStore(pool) as store:
        for number in range(50):
            await store.append([received(by=sender(f"4178{number:07}"))])
        await connection.execute("ANALYZE")
        await _converse(pool, store, "417900000001")
        await _grow(connection)
        assert await _counted(_entries_read, connection, pool, store) < FEW


async def _converse(pool: Pool, store: EventStore, phone: str) -> None:
    """A customer writes, and is answered as a worker does it."""
    usage = Usage(calls_per_minute=10)
    claims = Claims(pool, usage, holder=uuid4())
    limits = Limits(pool, usage, calls_per_day=1000, timezone=ZURICH)
    message = received(by=sender(phone))
    (placed,) = await store.append([message])
    mine = await claims.claim(placed.conversation_id)
    assert mine
    assert mine.work
    await limits.allowance(mine.work)
    reply = generated(answers=(message.id,))
    await store.append([reply], conversation_id=placed.conversation_id)
    await store.append([sent(reply)], conversation_id=placed.conversation_id)
    assert await claims.release(placed.conversation_id)
    await pool.execute("SELECT pg_stat_force_next_flush()")
    await pool.execute("SELECT 1")  # by the end of which it has been done


async def _counted(
    count: Callable[[Connection], Awaitable[int]],
    connection: Connection,
    pool: Pool,
    store: EventStore,
) -> int:
    """By how much a conversation with somebody new raises a count."""
    before = await count(connection)
    await _converse(pool, store, "417900000002")
    return await count(connection) - before


async def _whole_readings(connection: Connection) -> int:
    """How often a large table has been read from end to end."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    return int(await connection.fetchval(READ_WHOLE, LARGE))


async def _entries_read(connection: Connection) -> int:
    """How many entries have been read in large tables' indexes, which can be read whole as well."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    return int(await connection.fetchval(ENTRIES_READ, LARGE))


async def _grow(connection: Connection) -> None:
    """Fill the log and the tables, and have what was read for it counted."""
    await fill(connection, EVENTS)
    await project(connection, 0, await connection.fetchval("SELECT max(position) FROM events"))
    await connection.execute("SELECT pg_stat_force_next_flush()")


async def _long_log(connection: Connection) -> int:
    """A log, and the tables that follow from it; gives its head."""
    await fill(connection, EVENTS)
    head = await connection.fetchval("SELECT max(position) FROM events")
    await project(connection, 0, head)
    await connection.execute("ANALYZE")
    await connection.execute("SELECT pg_stat_force_next_flush()")
    return int(head)


async def _read_whole(connection: Connection, statement: str, head: int) -> set[str]:
    """The tables that projecting the last event would read from end to end."""
    plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", head - 1, head)
    found: set[str] = set()
    nodes = [json.loads(plan)[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan":
            found.add(node["Relation Name"])
    return found
