"""However long the log, whoever reads touches only the rows that are asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

from frostdesk.limits import midnight_before
from frostdesk.store.claims import Claims
from frostdesk.store.database import Pool, connect, create_pool
from frostdesk.store.reading import list_bookings, list_conversations, list_messages
from frostdesk.store.usage import Usage
from frostdesk.store.work import find_unfinished
from projections import project
from tests.benchmarks.log import fill
from tests.benchmarks.replay import LAST_TEN
from tests.factories import ZURICH
from tests.support.databases import name_of

EVENTS = 30_000
MOST = 150
"""Rows of tables and entries of indexes; a page has fifty."""

READ = """
SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)
     + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes) AS read
"""

Operation = Callable[[], Awaitable[object]]


async def test_reading_touches_few_rows_of_a_long_log(direct_url: str) -> None:
    """The desk's lists, the last ten messages, the sweep, and all that precedes an answer."""
    conversation_id = await _long_log(direct_url)
    async with create_pool(direct_url, max_size=1) as pool:
        touched = {
            name: await _rows_touched(pool, operation)
            for name, operation in _operations(pool, conversation_id).items()
        }
    assert {name: rows for name, rows in touched.items() if rows > MOST} == {}


async def test_the_sweep_reads_no_booking_that_is_told(direct_url: str) -> None:
    """Nor where the planner would rather read them all, as it takes them for untold."""
    await _long_log(direct_url, by_index=False)
    async with create_pool(direct_url, max_size=1) as pool:
        assert (
            await _rows_touched(pool, lambda: find_unfinished(pool, limit=9, settle_after=9)) == 0
        )


def _operations(pool: Pool, conversation_id: UUID) -> dict[str, Operation]:
    usage = Usage(calls_per_minute=240)
    claims = Claims(pool, usage, holder=uuid4())
    midnight = midnight_before(datetime.now(UTC), ZURICH)
    return {
        "calls of the day": lambda: usage.begin(pool, midnight),
        "last ten messages": lambda: pool.fetch(LAST_TEN, conversation_id),
        "conversations": lambda: list_conversations(pool, limit=50),
        "messages": lambda: list_messages(pool, conversation_id, limit=50),
        "bookings": lambda: list_bookings(pool, limit=50),
        "bookings of a status": lambda: list_bookings(pool, limit=50, status="confirmed"),
        "sweep": lambda: find_unfinished(pool, limit=200, settle_after=20),
        "claim": lambda: claims.claim(conversation_id),
        "load": lambda: claims.load(conversation_id),
        "release": lambda: claims.release(conversation_id),
    }


async def _long_log(url: str, *, by_index: bool = True) -> UUID:
    """A log, and the tables that follow from it; gives a conversation from its middle.

    With `by_index` sessions from now on read a table from end to end only where no index would do:
    the smaller tables would otherwise be read so here, and rightly.
    """
    connection = await connect(url)
    await fill(connection, EVENTS)
    head = await connection.fetchval("SELECT max(position) FROM events")
    await project(connection, 0, head)
    await connection.execute("VACUUM ANALYZE")
    if by_index:
        await connection.execute(f"ALTER DATABASE {name_of(url)} SET enable_seqscan = off")
    found: UUID = await connection.fetchval(
        "SELECT conversation_id FROM events WHERE position >= $1 ORDER BY position LIMIT 1",
        head // 2,
    )
    await connection.close()
    return found


async def _rows_touched(pool: Pool, operation: Operation) -> int:
    """How many rows a second run of it reads: the first may look into the catalogue."""
    await operation()
    before = await _rows_read(pool)
    await operation()
    return await _rows_read(pool) - before


async def _rows_read(pool: Pool) -> int:
    await pool.execute("SELECT pg_stat_force_next_flush()")
    await pool.execute("SELECT pg_stat_clear_snapshot()")
    return int(await pool.fetchval(READ))
