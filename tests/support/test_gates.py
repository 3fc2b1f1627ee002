"""The gates that tests close."""

from __future__ import annotations

from redis.asyncio import Redis

from tests.support.gates import gate_to


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
