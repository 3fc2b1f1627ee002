"""The servers that tests close."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import suppress

import pytest
from aiohttp import web

from tests.support.gates import gate_to
from tests.support.servers import served

TURNS = range(12)


async def knock(port: int, turns: int) -> socket.socket:
    """Connect, and let the loop have so many turns."""
    client = socket.create_connection(("127.0.0.1", port))
    for _ in range(turns):
        await asyncio.sleep(0)
    return client


async def knock_at_a_server(turns: int) -> socket.socket:
    """A server closes, so many turns after somebody has connected."""
    async with served(web.Application()) as server:
        assert server.port
        return await knock(server.port, turns)


async def knock_at_a_gate(target: str, turns: int) -> socket.socket:
    """A gate closes, so many turns after somebody has connected."""
    async with gate_to(target) as gate:
        return await knock(gate.port, turns)


@pytest.mark.parametrize("turns", TURNS)
def test_a_server_leaves_nobody_at_its_door(turns: int) -> None:
    """However far a connection has come as the server closes, its socket is closed too."""
    with asyncio.run(knock_at_a_server(turns)) as client:
        gc.collect()
        assert_is_gone(client)


@pytest.mark.parametrize("turns", TURNS)
def test_a_gate_leaves_nobody_at_its_door(redis_url: str, turns: int) -> None:
    """Nor does the gate in front of another server."""
    with asyncio.run(knock_at_a_gate(redis_url, turns)) as client:
        gc.collect()
        assert_is_gone(client)


def assert_is_gone(client: socket.socket) -> None:
    """The other side has hung up, or had never answered."""
    client.settimeout(5)
    with suppress(ConnectionResetError):
        assert client.recv(1) == b""
