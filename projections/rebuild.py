"""The tables against the log: compared on one moment's snapshot, and set right where they differ.

Appends run their projections in their own transaction. So in any snapshot the live tables ought to
be the projection of exactly the events that it shows: a second fill of the same events, beside
them, tells which rows are wrong, without a lock that anybody feels. Only these are then touched.
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
from projections.compare import Difference, compare, count_differences, differences
from projections.repair import ForgottenMeanwhileError, Repair, Repaired, drop, keep, prepare
from projections.shadow import (
    COMPARING,
    FOR_LONG_WORK,
    LANES,
    TEMPORARY,
    WEIGHTS,
    Connection,
    Extent,
    Meter,
    Progress,
    begin,
    create,
    extent,
    fill,
)

REBUILD_LOCK = 4607452718

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""Opens a connection of its own, in which no statement has a time limit."""


class AlreadyRunningError(Exception):
    """Another rebuild is setting the tables right at this moment."""


class Comparison:
    """The live tables against a second fill, at one moment. Good until the context ends."""

    def __init__(self, extent: Extent, lanes: dict[str, Connection]) -> None:
        self.extent = extent
        self.lanes = lanes
        self.rows = 0
        self.differing = dict.fromkeys(TABLES, 0)

    @property
    def count(self) -> int:
        """How many rows differ."""
        return sum(self.differing.values())

    async def differences(self) -> AsyncIterator[Difference]:
        """The rows that differ, table by table, in the order of their keys."""
        for table in TABLES:
            if self.differing[table]:
                async for difference in differences(self.lanes[table], table, TEMPORARY):
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
        log = await extent(connections[0])
        lanes = {t: c for c, lane in zip(connections, LANES, strict=True) for t in lane}
        found = Comparison(log, lanes)
        meter = Meter(progress, log.events)
        await _together(
            _fill_and_compare(found, connection, lane, meter)
            for connection, lane in zip(connections, LANES, strict=True)
        )
        yield found


async def rebuild(connect: Connect, progress: Progress) -> Summary:
    """Fill the tables afresh beside the live ones, and set right every live row that differs.

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
            for table, lane in found.lanes.items():
                await keep(lane, table)
            for lane in set(found.lanes.values()):
                await lane.execute("COMMIT")
    done = await Repair(connection, found.extent.head).run() if found.count else Repaired()
    return found.extent.events, found.rows, done


async def _alone(guard: Connection) -> None:
    """Keep other rebuilds away for as long as the connection's transaction stays open."""
    await guard.execute("BEGIN")
    await guard.execute(FOR_LONG_WORK)
    if not await guard.fetchval(f"SELECT pg_try_advisory_xact_lock({REBUILD_LOCK})"):
        raise AlreadyRunningError


async def _fill_and_compare(
    found: Comparison, connection: Connection, tables: tuple[str, ...], meter: Meter
) -> None:
    await create(connection, tables, TEMPORARY, kind="TEMPORARY")
    await fill(connection, tables, found.extent, meter)
    for table in tables:
        rows = await compare(connection, table, TEMPORARY)
        found.rows += rows  # after the wait: the lanes add to one number
        meter.add(COMPARING * WEIGHTS[table] / sum(WEIGHTS.values()))
        found.differing[table] = await count_differences(connection, table)


async def _together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do several things at once; when one fails, end the others before its error goes on."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
