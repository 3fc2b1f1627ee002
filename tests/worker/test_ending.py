"""A worker ends when it is told to, whatever it is waiting for just then."""

from __future__ import annotations

import asyncio
import random

from frostdesk.worker.main import run_worker
from tests.support.desk import settings_of


async def test_a_worker_ends_at_whatever_moment_it_is_told(environment: dict[str, str]) -> None:
    """Also while it connects to Redis, whose client may swallow the cancellation."""
    settings, chance = settings_of(environment), random.Random(7)  # noqa: S311  # to be repeated
    for _ in range(40):
        stop = asyncio.Event()
        working = asyncio.create_task(run_worker(settings, stop))
        await asyncio.sleep(chance.random() * 0.05)
        stop.set()
        async with asyncio.timeout(15):
            await working
