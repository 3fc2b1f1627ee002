"""The gates that tests close."""

from __future__ import annotations

import asyncio
import gc

import pytest
from redis.asyncio import Redis

from tests.support.gates import gate_to


async def enter_and_close(target: str, turns: int) -> None:
    """Come in, and have the gate closed so many turns of the loop later, at the end of all."""
    async with gate_to(target) as gate:
        _, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        for _ in range(turns):
            await asyncio.sleep(0)
        writer.transport.abort()
        await asyncio.sleep(0)


@pytest.mark.parametrize("turns", range(12))
def test_a_gate_leaves_nothing_open_to_whoever_comes_as_it_closes(
    redis_url: str, turns: int
) -> None:
    """However far a connection has come, its socket is closed with the gate."""
    asyncio.run(enter_and_close(redis_url, turns))
    gc.collect()


async def test_a_gate_counts_round_trips(redis_url: str) -> None:
    """A question that is answered is one trip, and so are ten that go out together."""
    async with gate_to(redis_url) as gate, Redis.from_url(gate.url) as client:
        await client.ping()
        before = gate.trips
        await client.ping()
        await client.ping()
        assert gate.trips == before + 2
        async with client.pipeline(transaction=False) as pipe:
            for _ in range(10):
                pipe.ping()
            await pipe.execute()
        assert gate.trips == before + 3
