"""The same statements, over a moment's events and over the whole log, give the same tables."""

from __future__ import annotations

import re

import asyncpg
from hypothesis import HealthCheck, given, settings

from frostdesk.events import EVENT_TYPES
from frostdesk.store.database import Connection
from projections import STATEMENTS, TABLES, project
from projections.compare import Part, compare
from projections.shadow import EVERYTHING, extent, from_nothing
from tests.projections.random_events import DATA, RandomEvent, as_rows, random_log

ON_A_SHARED_DATABASE = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

APPEND = """
INSERT INTO events (id, conversation_id, version, type, data)
SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4 FROM events WHERE conversation_id = $2
    ON CONFLICT DO NOTHING
"""


@ON_A_SHARED_DATABASE
@given(log=random_log())
async def test_live_and_replayed_tables_are_the_same(
    connection: asyncpg.Connection[asyncpg.Record], log: list[list[RandomEvent]]
) -> None:
    """However a log came in, batch by batch, replaying the whole of it gives the same rows."""
    everything = connection.transaction()
    await everything.start()
    try:
        for batch in log:
            await _append(connection, batch)
        whole = await extent(connection)
        async with from_nothing(connection):
            for table in TABLES:
                compared = await compare(connection, Part(table), whole.rows(table))
                assert compared.differing == 0, table
    finally:
        await everything.rollback()


async def _append(connection: asyncpg.Connection[asyncpg.Record], batch: list[RandomEvent]) -> None:
    """Append and project as the store does; what the database refuses is not in the log."""
    before = (await extent(connection)).head
    try:
        async with connection.transaction():
            for row in as_rows(batch):
                await connection.execute(APPEND, *row)
            await project(connection, before, EVERYTHING)
    except (asyncpg.ExclusionViolationError, asyncpg.UniqueViolationError):
        pass


async def test_projecting_again_changes_nothing(connection: Connection) -> None:
    """A log that is empty gives no row, and no error."""
    await project(connection, 0, EVERYTHING)

    for table in TABLES:
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


def test_every_event_type_takes_part_in_the_random_logs() -> None:
    """The random logs hold every type of the vocabulary."""
    assert set(EVENT_TYPES) <= set(DATA)


def test_projections_name_only_events_that_exist() -> None:
    """Every event type that a statement names is in the vocabulary."""
    for statement in STATEMENTS.values():
        named = set(re.findall(r"'([A-Z][a-z]+(?:[A-Z][a-z]+)+)'", statement))

        assert named
        assert named <= set(EVENT_TYPES)
