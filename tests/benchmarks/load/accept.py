"""Accepting: signed webhooks, each of a new customer, over 64 connections, with no worker there."""

from __future__ import annotations

import msgspec

from tests.benchmarks.load.figures import Figure, percentile, times
from tests.benchmarks.load.processes import Cpu
from tests.benchmarks.load.rig import Servers, bare_handler, running_desk
from tests.benchmarks.load.webhooks import letters, post_all

ROUNDS = 3
WEBHOOKS = 8_000
WARM_UP = 1_000


class _Round(msgspec.Struct, frozen=True):
    """Microseconds of the processor and webhooks a second; each webhook's seconds."""

    process_us: float
    postgres_us: float
    rate: float
    waits: list[float]


async def measure() -> list[Figure]:
    """What taking a webhook costs, beside a bare handler that keeps nothing, in turns."""
    ours: list[_Round] = []
    bare: list[_Round] = []
    async with running_desk() as (servers, desk), bare_handler(desk.session) as (port, pid):
        await desk.start_api()
        for _ in range(ROUNDS):
            bare.append(await _round(servers, port, pid))
            ours.append(await _round(servers, desk.api_port, desk.api.process.pid))
    return _figures(ours, bare)


async def _round(servers: Servers, port: int, pid: int) -> _Round:
    sent = letters(WEBHOOKS)
    await post_all(port, letters(WARM_UP))
    process, postgres = Cpu.of(pid), servers.postgres_cpu()
    posted = await post_all(port, sent)
    return _Round(
        process.seconds() / WEBHOOKS * 1e6,
        postgres.seconds() / WEBHOOKS * 1e6,
        WEBHOOKS / posted.seconds,
        posted.waits,
    )


def _figures(ours: list[_Round], bare: list[_Round]) -> list[Figure]:
    process, process_bare = (percentile([r.process_us for r in rs], 0.5) for rs in (ours, bare))
    rate, rate_bare = (percentile([r.rate for r in rs], 0.5) for rs in (ours, bare))
    return [
        Figure("processor of the API, a webhook", process, "µs"),
        Figure("processor of a bare aiohttp handler, a webhook", process_bare, "µs"),
        Figure("processor of the API, of the bare handler's", process / process_bare, "x"),
        Figure(
            "processor of PostgreSQL, a webhook",
            percentile([r.postgres_us for r in ours], 0.5),
            "µs",
        ),
        Figure("webhooks over 64 connections", rate, "/s"),
        Figure("webhooks over 64 connections, bare handler", rate_bare, "/s"),
        Figure("webhooks over 64 connections, of the bare handler's", rate / rate_bare, "x"),
        *times("webhook until 200", [wait for r in ours for wait in r.waits]),
        *times("webhook until 200, bare handler", [wait for r in bare for wait in r.waits]),
    ]
