"""The tables against the log: compared on one moment's snapshot, and set right where they differ.

Appends run their projections in their own transaction. So in any snapshot the live tables ought to
be the projection of exactly the events that it shows: what the same statements make of all events
at once tells which rows are wrong, without a lock that anybody feels. Only these are then touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeAlias

import msgspec

from projections import TABLES
from projections.compare import Difference, Part, compare, differences
from projections.repair import (
    ForgottenMeanwhileError,
    Repair,
    Repaired,
    drop,
    keep,
    number,
    prepare,
)
from projections.shadow import (
    FOR_LONG_WORK,
    Connection,
    Extent,
    Meter,
    Progress,
    begin,
    extent,
    from_nothing,
)

LANES = (
    (Part("messages", "role = 'user'", weight=5), Part("conversations", weight=2)),
    (Part("messages", "role = 'assistant'", weight=6), Part("identities"), Part("bookings")),
)
"""What is compared side by side, on connections of their own: about equal work in each."""

REBUILD_LOCK = 4607452718

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""Opens a connection of its own, in which no statement has a time limit."""


class AlreadyRunningError(Exception):
    """Another rebuild is setting the tables right at this moment."""


class Comparison:
    """The live tables against the log, at one moment. Good until the context ends."""

    def __init__(self, extent: Extent) -> None:
        self.extent = extent
        self.rows = 0
        self.count = 0
        """How many rows differ."""
        self.drifted: list[tuple[Part, Connection]] = []
        """Where any does, and who can tell which."""

    async def differences(self) -> AsyncIterator[Difference]:
        """The rows that differ, table by table."""
        for part, connection in sorted(
            self.drifted, key=lambda found: TABLES.index(found[0].table)
        ):
            async for difference in differences(connection, part):
                yield difference


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild did. `rows` are those compared, `events` those that they follow from."""

    events: int
    rows: int
    inserted: int
    changed: int
    deleted: int
    seconds: float


@contextlib.asynccontextmanager
async def comparison(connect: Connect, progress: Progress) -> AsyncIterator[Comparison]:
    """Compare the tables with the log. Changes nothing, and takes no lock that an append feels.

    Everything is in transactions that are never committed, so it leaves nothing behind, however it
    ends.
    """
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connect()) for _ in LANES]
        snapshot = None
        for connection in connections:
            snapshot = await begin(connection, snapshot)
        found = Comparison(await extent(connections[0]))
        meter = Meter(progress, found.extent.events)
        await _together(
            _compare(found, connection, lane, meter)
            for connection, lane in zip(connections, LANES, strict=True)
        )
        yield found


async def rebuild(connect: Connect, progress: Progress) -> Summary:
    """Compare the tables with the log, and set right every row that differs.

    Readers see each row as it was or as it should be. Appends wait only while a small batch of
    wrong rows is set right.

    Raises:
        AlreadyRunningError: another rebuild is under way.
    """
    started = time.monotonic()
    async with connect() as guard, connect() as connection:
        await _alone(guard)
        await drop(connection)
        while True:
            try:
                events, rows, done = await _compare_and_repair(connect, connection, progress)
            except ForgottenMeanwhileError:
                continue
            finally:
                await drop(connection)
            return Summary(
                events=events,
                rows=rows,
                inserted=done.inserted,
                changed=done.changed,
                deleted=done.deleted,
                seconds=time.monotonic() - started,
            )


async def _compare_and_repair(
    connect: Connect, connection: Connection, progress: Progress
) -> tuple[int, int, Repaired]:
    async with comparison(connect, progress) as found:
        if found.count:
            await prepare(connection)
            for part, lane in found.drifted:
                await keep(lane, part)
            for lane in {lane for _, lane in found.drifted}:
                await lane.execute("COMMIT")
            await number(connection)
    done = await Repair(connection, found.extent.head).run() if found.count else Repaired()
    return found.extent.events, found.rows, done


async def _alone(guard: Connection) -> None:
    """Keep other rebuilds away for as long as the connection's transaction stays open."""
    await guard.execute("BEGIN")
    await guard.execute(FOR_LONG_WORK)
    if not await guard.fetchval(f"SELECT pg_try_advisory_xact_lock({REBUILD_LOCK})"):
        raise AlreadyRunningError


async def _compare(
    found: Comparison, connection: Connection, lane: Iterable[Part], meter: Meter
) -> None:
    total = sum(part.weight for lane in LANES for part in lane)
    async with from_nothing(connection):
        for part in lane:
            compared = await compare(connection, part, found.extent.rows(part.table))
            found.rows += compared.rows
            found.count += compared.differing
            if compared.differing:
                found.drifted.append((part, connection))
            meter.add(part.weight / total)


async def _together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do several things at once; when one fails, end the others before its error goes on."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
