"""Round trips to PostgreSQL and Redis for one reply.

API and worker reach both through a relay that counts a trip whenever a client speaks after the
server has: a statement is one, and so is a pipeline of ten commands. What they ask by themselves
meanwhile (the sweep, the bell) is counted too; the live feed's own connection is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.benchmarks.load.figures import Figure
from tests.benchmarks.load.rig import Desk, running_desk
from tests.benchmarks.load.webhooks import letters, post, post_all
from tests.faults.rig import thaw
from tests.support.gates import Gate, gate_to

ALONE = 100
WAITING = 1_000

Gates = dict[str, Gate]


async def measure() -> list[Figure]:
    """Trips for a customer who is alone, and for each of those who wait together."""
    async with running_desk() as (_, desk), _relayed(desk) as gates:
        await desk.warm_up()
        before = _counts(gates)
        for letter in letters(ALONE):
            await post(desk.session, desk.url, letter)
            await desk.is_settled()
        alone = _counts(gates)
        with desk.held() as held:
            await post_all(desk.api_port, letters(WAITING))
            thaw(held)
            await desk.is_settled()
        together = _counts(gates)
    return [
        figure
        for name in gates
        for figure in (
            Figure(f"{name}, a customer alone", (alone[name] - before[name]) / ALONE, ""),
            Figure(f"{name}, {WAITING:,} together", (together[name] - alone[name]) / WAITING, ""),
        )
    ]


@asynccontextmanager
async def _relayed(desk: Desk) -> AsyncIterator[Gates]:
    """API and worker at work, each with gates of its own."""
    direct = desk.programs.environment
    servers = {
        "PostgreSQL": direct["FROSTDESK_DATABASE_URL"],
        "Redis": direct["FROSTDESK_REDIS_URL"],
    }
    async with AsyncExitStack() as ending:
        gates = {
            f"{who} to {server}": await ending.enter_async_context(gate_to(url))
            for who in ("API", "worker")
            for server, url in servers.items()
        }

        def variables(who: str) -> dict[str, str]:
            return {
                "FROSTDESK_DATABASE_URL": gates[f"{who} to PostgreSQL"].url,
                "FROSTDESK_DIRECT_DATABASE_URL": servers["PostgreSQL"],
                "FROSTDESK_REDIS_URL": gates[f"{who} to Redis"].url,
            }

        await desk.start_api(**variables("API"))
        await desk.start_worker(**variables("worker"))
        try:
            yield gates
        finally:
            desk.programs.end_all()


def _counts(gates: Gates) -> dict[str, int]:
    return {name: gate.trips for name, gate in gates.items()}
