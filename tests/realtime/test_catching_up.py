"""How a client stays right across lost connections: subscribe, read all, then follow."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from tests.factories import received
from tests.realtime.sockets import END_STREAMS, connected
from tests.support.desk import Api
from tests.support.waiting import until


class Page:
    """Messages as a page keeps them: by id, changed by whatever comes, and what came first."""

    def __init__(self, api: Api, conversation_id: UUID) -> None:
        self._api = api
        self._list = f"/conversations/{conversation_id}/messages"
        self.rows: dict[str, str] = {}
        self.connections = 0

    async def has_connected(self, times: int) -> None:
        """Wait until it has connected so often."""

        async def enough() -> bool:
            return self.connections >= times

        await until(enough)

    async def follow(self) -> None:
        """Connect again whenever the connection is lost, and catch up each time."""
        while True:
            with suppress(AssertionError):  # a frame that ends the channel
                await self._once()

    async def _once(self) -> None:
        async with connected(self._api) as client:
            await client.subscribe({"event": "*", "table": "messages"})
            self.connections += 1
            await self._read_all()
            while True:
                self._apply(await client.change())

    async def _read_all(self) -> None:
        found = await self._api.get(self._list, limit=200)
        self.rows = {row["id"]: row["content"] for row in found["items"]}

    def _apply(self, change: dict[str, Any]) -> None:
        if change["type"] == "DELETE":
            self.rows.pop(change["old_record"]["id"], None)
        else:
            self.rows[change["record"]["id"]] = change["record"]["content"]


async def test_no_row_is_missing_however_often_the_connection_drops(
    api: Api, store: EventStore, pool: Pool
) -> None:
    """While rows come, change and go and connections are lost, the page ends up with the table."""
    (first,) = await store.append([received("first")])
    page = Page(api, first.conversation_id)
    losses = 0
    following = asyncio.create_task(page.follow())
    try:
        for number in range(40):
            await store.append([received(f"{number}")])
            await pool.execute(
                "UPDATE messages SET content = content || '!' WHERE version = $1", number
            )
            await pool.execute("DELETE FROM messages WHERE version = $1", number - 10)
            if number % 8 == 0:
                losses += 1
                await page.has_connected(losses)
                await pool.execute(END_STREAMS)
            await asyncio.sleep(0.02)
        table = await pool.fetch("SELECT id, content FROM messages")
        expected = {str(row["id"]): row["content"] for row in table}

        async def right() -> bool:
            return page.rows == expected

        await until(right)
        assert page.connections > losses == 5
    finally:
        following.cancel()
        await asyncio.wait((following,))
