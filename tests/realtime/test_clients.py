"""The official clients, Python and JavaScript, unmodified, against the served protocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from realtime import (
    AsyncRealtimeClient,
    RealtimePostgresChangesListenEvent,
    RealtimeSubscribeStates,
)

from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from tests.factories import edited, proposed, received
from tests.realtime.sockets import END_STREAMS
from tests.support.desk import Api
from tests.support.secrets import INSTRUCTOR_TOKEN

NODE = Path(__file__).parent / "node"
ALL = RealtimePostgresChangesListenEvent.All
WRONG = "not-the-instructors-token"


class PythonDesk:
    """What the Python client has told its callbacks."""

    def __init__(self) -> None:
        self.statuses: asyncio.Queue[RealtimeSubscribeStates] = asyncio.Queue()
        self.changes: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def status(self, status: RealtimeSubscribeStates, _: Exception | None) -> None:
        """A subscription has come to a state."""
        self.statuses.put_nowait(status)

    def change(self, payload: Any) -> None:
        """A row has changed."""
        self.changes.put_nowait(payload["data"])

    async def next(self) -> dict[str, Any]:
        """The next change."""
        return await asyncio.wait_for(self.changes.get(), 10)

    async def next_status(self) -> RealtimeSubscribeStates:
        """The next state of the subscription."""
        return await asyncio.wait_for(self.statuses.get(), 10)


@asynccontextmanager
async def python_client(api: Api, token: str) -> AsyncIterator[AsyncRealtimeClient]:
    """The Python client, closed afterwards."""
    client = AsyncRealtimeClient(f"{api.url}/realtime/v1", token=token)
    try:
        yield client
    finally:
        await client.remove_all_channels()


async def test_the_python_client_hears_every_kind_of_change(
    api: Api, store: EventStore, pool: Pool
) -> None:
    """Inserts come with the new row, updates with both, deletes with the old, in commit order."""
    desk = PythonDesk()
    message = received("A lesson?")
    async with python_client(api, INSTRUCTOR_TOKEN) as client:
        channel = client.channel("desk").on_postgres_changes(ALL, desk.change, table="messages")
        await channel.subscribe(desk.status)
        assert await desk.next_status() is RealtimeSubscribeStates.SUBSCRIBED

        await store.append([message])
        await store.append([edited(message, "Two lessons?")])
        await pool.execute("DELETE FROM messages")
        inserted, updated, removed = [await desk.next() for _ in range(3)]

    assert inserted["type"] == "INSERT"
    assert inserted["record"]["content"] == "A lesson?"
    assert updated["record"]["content"] == "Two lessons?"
    assert updated["old_record"]["content"] == "A lesson?"
    assert removed["type"] == "DELETE"
    assert removed["old_record"]["id"] == str(message.id)


async def test_the_python_client_is_refused_without_the_token(api: Api) -> None:
    """With a wrong token the client says that the channel has failed."""
    desk = PythonDesk()
    async with python_client(api, WRONG) as client:
        channel = client.channel("desk").on_postgres_changes(ALL, desk.change, table="messages")
        await channel.subscribe(desk.status)
        assert await desk.next_status() is RealtimeSubscribeStates.CHANNEL_ERROR


async def test_the_python_client_comes_back(api: Api, store: EventStore, pool: Pool) -> None:
    """When the database is lost for a moment the client is told, and subscribes again by itself."""
    desk = PythonDesk()
    async with python_client(api, INSTRUCTOR_TOKEN) as client:
        channel = client.channel("desk").on_postgres_changes(ALL, desk.change, table="messages")
        await channel.subscribe(desk.status)
        await pool.execute(END_STREAMS)
        statuses = [await desk.next_status() for _ in range(4)]
        assert set(statuses[1:3]) == {RealtimeSubscribeStates.CHANNEL_ERROR}
        assert statuses[3] is RealtimeSubscribeStates.SUBSCRIBED
        await store.append([received("Hello again")])
        assert (await desk.next())["record"]["content"] == "Hello again"


class JavaScriptDesk:
    """A process of Node.js that prints what the JavaScript client hears."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def next(self, kind: str) -> list[Any]:
        """The next line, which has to be of that kind."""
        assert self._process.stdout is not None
        line = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 15))
        assert line[0] == kind, line
        rest: list[Any] = line[1:]
        return rest

    async def subscribed(self) -> None:
        """Wait until changes come."""
        assert await self.next("status") == ["SUBSCRIBED", None]
        assert await self.next("system") == ["ok", "Subscribed to PostgreSQL"]

    async def leave(self) -> None:
        """Have it leave its channel; its process ends."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"enough\n")
        assert await self.next("status") == ["CLOSED", None]
        assert await self.next("left") == ["ok"]
        assert await asyncio.wait_for(self._process.wait(), 10) == 0


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js, with the client installed beside the script."""
    if not (NODE / "node_modules" / "ws").is_dir():
        npm = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent")
        subprocess.run(npm, cwd=NODE, check=True, timeout=300)
    path = shutil.which("node")
    assert path, "Node.js 20 or newer is needed to test with the JavaScript client"
    return path


class JavaScript:
    """Starts clients in processes of Node.js, against one API."""

    def __init__(self, node: str, api: Api) -> None:
        self._node = node
        self._url = api.url

    @asynccontextmanager
    async def client(
        self,
        *,
        key: str = INSTRUCTOR_TOKEN,
        token: str = "",
        version: str = "2.0.0",
        wish: str = "",
    ) -> AsyncIterator[JavaScriptDesk]:
        """A client that subscribes; `wish` filters its messages. Its process ends afterwards."""
        process = await asyncio.create_subprocess_exec(
            self._node,
            str(NODE / "listen.mjs"),
            *(self._url, key, token, version, wish),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield JavaScriptDesk(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


@pytest.fixture
def javascript(node: str, api: Api) -> JavaScript:
    """The JavaScript client, for this test's API."""
    return JavaScript(node, api)


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
async def test_the_javascript_client_hears_changes(
    javascript: JavaScript, store: EventStore, pool: Pool, version: str
) -> None:
    """In both versions of the protocol rows come as JavaScript values, with the old row."""
    booking = proposed()
    async with javascript.client(version=version) as desk:
        await desk.subscribed()
        (hello,) = await store.append([received("Grüezi!")])
        ana = hello.conversation_id
        table, kind, row, _ = await desk.next("change")
        assert (table, kind, row["id"]) == ("conversations", "INSERT", str(ana))
        _, _, row, _ = await desk.next("change")
        assert (row["content"], row["version"], row["disclosure"]) == ("Grüezi!", 1, False)

        await store.append([booking], conversation_id=ana)
        await pool.execute("UPDATE bookings SET status = 'confirmed'")
        table, kind, row, old = await desk.next("change")
        assert (table, kind, row["status"]) == ("bookings", "UPDATE", "confirmed")
        assert (old["status"], old["duration"]) == ("pending", 120)
        await desk.leave()


async def test_the_javascript_client_filters(javascript: JavaScript, store: EventStore) -> None:
    """Of a filtered subscription only rows that fit are heard."""
    async with javascript.client(wish="content=eq.two") as desk:
        await desk.subscribed()
        await store.append([received("one"), received("two")])
        assert (await desk.next("change"))[0] == "conversations"
        assert (await desk.next("change"))[2]["content"] == "two"


async def test_the_javascript_client_signs_in_with_an_access_token(
    javascript: JavaScript, store: EventStore
) -> None:
    """The instructor's token counts as access token, whatever public key the client has.

    The client joins before it has asked for the token, is refused, and joins again with it.
    """
    async with javascript.client(key="a-public-key", token=INSTRUCTOR_TOKEN) as desk:
        status, _ = await desk.next("status")
        assert status == "CHANNEL_ERROR"
        await desk.subscribed()
        await store.append([received("Hello")])
        assert (await desk.next("change"))[0] == "conversations"


async def test_the_javascript_client_comes_back(
    javascript: JavaScript, store: EventStore, pool: Pool
) -> None:
    """When the database is lost for a moment the client is told, and subscribes again by itself."""
    async with javascript.client() as desk:
        await desk.subscribed()
        await pool.execute(END_STREAMS)
        assert (await desk.next("system"))[0] == "error"
        assert (await desk.next("status"))[0] == "CHANNEL_ERROR"
        await desk.subscribed()
        await store.append([received("Hello again")])
        assert (await desk.next("change"))[0] == "conversations"


async def test_the_javascript_client_is_refused_without_the_token(javascript: JavaScript) -> None:
    """A wrong key ends in an error that says what is expected."""
    async with javascript.client(key=WRONG) as desk:
        status, reason = await desk.next("status")
        assert status == "CHANNEL_ERROR"
        assert "Unauthorized" in reason
