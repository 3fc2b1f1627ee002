"""A raw client of the protocol, for what the official ones would never send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp

from tests.support.desk import Api
from tests.support.secrets import INSTRUCTOR_TOKEN

TOPIC = "realtime:desk"
EVERYTHING = {"event": "*", "schema": "public"}

END_STREAMS = (
    "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
    " WHERE database = current_database()"
)
"""The database ends what follows its changes, as when it starts anew."""


class RawClient:
    """One socket, in either version of the protocol."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, version: str) -> None:
        self.ws = ws
        self._version = version
        self._refs = count(1)

    async def push(
        self, event: str, payload: dict[str, Any] | None = None, *, topic: str = TOPIC
    ) -> str:
        """Send a frame; gives the ref that a reply to it carries."""
        ref = str(next(self._refs))
        if self._version == "2.0.0":
            await self.ws.send_json(["1", ref, topic, event, payload or {}])
        else:
            frame = {"topic": topic, "event": event, "payload": payload or {}, "ref": ref}
            await self.ws.send_json(frame | {"join_ref": "1"})
        return ref

    async def frame(self, seconds: float = 10.0) -> dict[str, Any]:
        """The next frame, as an object whatever the version."""
        got = await self.ws.receive(timeout=seconds)
        assert got.type is aiohttp.WSMsgType.TEXT, got
        if self._version == "2.0.0":
            join_ref, ref, topic, event, payload = json.loads(got.data)
            return {
                "topic": topic,
                "event": event,
                "payload": payload,
                "ref": ref,
                "join_ref": join_ref,
            }
        frame: dict[str, Any] = json.loads(got.data)
        return frame

    async def next(self, event: str) -> dict[str, Any]:
        """The payload of the next frame, which has to be of that event."""
        frame = await self.frame()
        assert frame["event"] == event, frame
        payload: dict[str, Any] = frame["payload"]
        return payload

    async def change(self) -> dict[str, Any]:
        """The data of the next frame, which has to be a change."""
        data: dict[str, Any] = (await self.next("postgres_changes"))["data"]
        return data

    async def join(
        self, *wishes: dict[str, Any], topic: str = TOPIC, token: Any = None
    ) -> dict[str, Any]:
        """Join with these subscriptions; gives the payload of the reply."""
        config = {"postgres_changes": list(wishes)}
        payload = {"config": config} | ({"access_token": token} if token is not None else {})
        await self.push("phx_join", payload, topic=topic)
        return await self.next("phx_reply")

    async def subscribe(self, *wishes: dict[str, Any], topic: str = TOPIC) -> None:
        """Join, and see that it counts."""
        reply = await self.join(*(wishes or (EVERYTHING,)), topic=topic)
        assert reply["status"] == "ok", reply
        assert (await self.next("system"))["message"] == "Subscribed to PostgreSQL"

    async def close_code(self) -> int | None:
        """Wait for the end of the socket, whatever comes before; gives how it ended."""
        while (await self.ws.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
            pass
        return self.ws.close_code


@asynccontextmanager
async def connected(
    api: Api, *, key: str = INSTRUCTOR_TOKEN, version: str = "1.0.0"
) -> AsyncIterator[RawClient]:
    """A client that has joined nothing yet."""
    url = f"{api.url}/realtime/v1/websocket"
    async with api.session.ws_connect(url, params={"apikey": key, "vsn": version}) as ws:
        yield RawClient(ws, version)
