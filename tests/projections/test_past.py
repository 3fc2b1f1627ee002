"""The tables as they once stood hold nothing of a customer who was forgotten since."""

from __future__ import annotations

import asyncio
from typing import Any

from frostdesk.store.append import EventStore
from frostdesk.store.forgetting import LATEST, erase
from projections.past import build
from projections.rebuild import Connect
from projections.shadow import Connection
from tests.projections.story import tell
from tests.projections.test_rebuild import no_progress, waits_for_its_turn
from tests.support.waiting import until

SCHEMA = "then"


async def test_a_customer_forgotten_during_a_build_is_forgotten_in_it(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """A build that saw the words, and that the erasure could not see, is done again."""
    await tell(store)
    conversation = await connection.fetchval("SELECT id FROM conversations LIMIT 1")
    head = await connection.fetchval("SELECT max(position) FROM events")
    async with connect() as builder, connect() as eraser:
        async with eraser.transaction():
            await erase(eraser, conversation)
            task = asyncio.create_task(build(builder, SCHEMA, LATEST, no_progress))
            await until(lambda: waits_for_its_turn(connection))
            assert await _said(connection, conversation) != {"[forgotten]"}
        log = await task

        assert log.head == head
        assert await _said(builder, conversation) == {"[forgotten]"}
    assert await _said(connection, conversation) == {"[forgotten]"}


async def test_a_customer_forgotten_before_needs_no_second_build(
    store: EventStore, connect: Connect, connection: Connection
) -> None:
    """Tables as they stood before an erasure that is over are built once, without the words."""
    await tell(store)
    conversation = await connection.fetchval("SELECT id FROM conversations LIMIT 1")
    head = await connection.fetchval("SELECT max(position) FROM events")
    await erase(connection, conversation)
    begun: list[float] = []

    async with connect() as builder:
        await build(builder, SCHEMA, head, lambda share, _: begun.append(share))

    assert begun.count(0.0) == 1
    assert await _said(connection, conversation) == {"[forgotten]"}


async def _said(connection: Connection, conversation: Any) -> set[str]:
    rows = await connection.fetch(
        f'SELECT content FROM "{SCHEMA}".messages WHERE conversation_id = $1', conversation
    )
    return {row["content"] for row in rows}
