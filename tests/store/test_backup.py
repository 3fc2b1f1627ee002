"""A backup restores the log to the letter, or nothing at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from frostdesk.errors import ConflictError, RefusedError
from frostdesk.store.append import EventStore
from frostdesk.store.backup import Imported, import_lines, read_lines
from frostdesk.store.database import Pool, connect
from projections import project
from tests.factories import received
from tests.logs import NEWEST, bring_in, log_in, rows_in, stored

BASIC = ("position", "id", "conversation_id", "version", "type", "data", "recorded_at")


def written(events: Iterable[dict[str, Any]]) -> list[bytes]:
    """Events as the lines of a backup."""
    return [msgspec.json.encode(event) + b"\n" for event in events]


async def bring(database_url: str, lines: Iterable[bytes]) -> Imported:
    """Import these lines."""
    connection = await connect(database_url)
    try:
        return await import_lines(connection, read_lines(lines))
    finally:
        await connection.close()


async def test_everything_is_kept(pool: Pool, database_url: str) -> None:
    """Positions, ids, versions, times, actors and causes are those of the backup."""
    done = await bring(database_url, NEWEST.read_bytes().splitlines())
    events = stored(NEWEST)
    assert done == Imported(len(events), new=True)
    for row, event in zip(await log_in(pool), events, strict=True):
        found = msgspec.to_builtins({**row, "data": msgspec.json.decode(row["data"])})
        assert found == event


async def test_the_log_goes_on_behind_it(pool: Pool, database_url: str) -> None:
    """The next event comes after the last of the backup."""
    await bring_in(database_url)
    async with EventStore(pool) as store:
        (appended,) = await store.append([received()])
    assert appended.position is not None
    assert appended.position > stored(NEWEST)[-1]["position"]


async def test_a_second_import_changes_nothing(pool: Pool, database_url: str) -> None:
    """The same file again is recognised, and so it is once the service has gone on."""
    await bring_in(database_url)
    before = await log_in(pool), await rows_in(pool)
    count = len(stored(NEWEST))
    assert await bring(database_url, written(stored(NEWEST))) == Imported(count, new=False)
    assert (await log_in(pool), await rows_in(pool)) == before
    async with EventStore(pool) as store:
        await store.append([received()])
    assert await bring(database_url, written(stored(NEWEST))) == Imported(count, new=False)


async def test_seven_fields_suffice(pool: Pool, database_url: str) -> None:
    """Lines without the fields that stand last are imported too."""
    await bring(database_url, written({k: e[k] for k in BASIC} for e in stored(NEWEST)))
    assert [str(e["id"]) for e in await log_in(pool)] == [e["id"] for e in stored(NEWEST)]


async def test_other_events_are_not_mixed_in(pool: Pool, database_url: str) -> None:
    """A database that holds other events is left as it is, and the first of them is named."""
    async with EventStore(pool) as store:
        await store.append([received()])
    before = await log_in(pool)
    with pytest.raises(ConflictError, match=r"other events.*at position 1"):
        await bring_in(database_url)
    assert await log_in(pool) == before


def _garbled(lines: list[bytes]) -> list[bytes]:
    return [*lines[:7], lines[7][:60], *lines[8:]]


def _without_a_field(lines: list[bytes]) -> list[bytes]:
    return [*lines[:7], lines[7].replace(b'"version"', b'"verse"'), *lines[8:]]


def _of_another_type(lines: list[bytes]) -> list[bytes]:
    return [*lines[:7], lines[7].replace(b"MessageReceived", b"MessageImagined"), *lines[8:]]


def _of_a_newer_version(lines: list[bytes]) -> list[bytes]:
    newer = lines[7].replace(b'"schema_version":1', b'"schema_version":99')
    return [*lines[:7], newer, *lines[8:]]


def _with_unusable_data(lines: list[bytes]) -> list[bytes]:
    event = msgspec.json.decode(lines[7])
    event["data"] = dict.fromkeys(event["data"], 5)
    return [*lines[:7], *written([event]), *lines[8:]]


def _without_zone(lines: list[bytes]) -> list[bytes]:
    event = msgspec.json.decode(lines[7])
    event["recorded_at"] = event["recorded_at"].removesuffix("Z")
    return [*lines[:7], *written([event]), *lines[8:]]


def _out_of_order(lines: list[bytes]) -> list[bytes]:
    return [*lines[:7], lines[0], *lines[7:]]


@pytest.mark.parametrize(
    "damage",
    [
        _garbled,
        _without_a_field,
        _of_another_type,
        _of_a_newer_version,
        _with_unusable_data,
        _without_zone,
        _out_of_order,
    ],
)
async def test_a_damaged_line_is_named(
    damage: Callable[[list[bytes]], list[bytes]], pool: Pool, database_url: str
) -> None:
    """A line that is none, or not in its place, is named by its number, and nothing is imported."""
    lines = damage(written(stored(NEWEST)))
    with pytest.raises(RefusedError, match=r"Line 8 .*Nothing was imported"):
        await bring(database_url, lines)
    assert await log_in(pool) == []


async def test_a_filtered_backup_is_refused(pool: Pool, database_url: str) -> None:
    """A backup in which a conversation has a gap is no backup."""
    partly = (e for e in stored(NEWEST) if e["type"] != "ReplyGenerated")
    with pytest.raises(RefusedError, match="lacks events of conversation"):
        await bring(database_url, written(partly))
    assert await log_in(pool) == []


async def test_nothing_comes_of_nothing(pool: Pool, database_url: str) -> None:
    """An empty backup, or one of empty lines, is no error."""
    assert await bring(database_url, [b"\n", b""]) == Imported(0, new=False)
    assert await log_in(pool) == []


async def test_the_tables_are_those_of_the_original(pool: Pool, database_url: str) -> None:
    """After an import the tables hold what they hold where the events were appended one by one."""
    await bring_in(database_url)
    whole = await rows_in(pool)
    for table in ("messages", "bookings", "identities", "conversations"):
        await pool.execute(f"DELETE FROM {table}")
    for event in await log_in(pool):
        async with pool.acquire() as connection, connection.transaction():
            await project(connection, event["position"] - 1, event["position"])
    assert await rows_in(pool) == whole


async def test_two_imports_at_once_are_one(pool: Pool, database_url: str) -> None:
    """Of two imports of the same file at the same time one brings it in and one finds it there."""
    done = await asyncio.gather(*(bring(database_url, written(stored(NEWEST))) for _ in range(2)))
    assert sorted(d.new for d in done) == [False, True]
    assert len(await log_in(pool)) == len(stored(NEWEST))
