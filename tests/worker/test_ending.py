"""A worker ends when it is told to, whatever it is waiting for just then."""

from __future__ import annotations

import asyncio
import random

import pytest

from frostdesk.worker.main import run_worker
from tests.support.desk import Desk, running_worker, settings_of
from tests.support.ports import free_port
from tests.support.waiting import until


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


@pytest.mark.usefixtures("quick_sweep")
async def test_what_the_sweep_has_found_is_finished(
    outside: Desk, environment: dict[str, str]
) -> None:
    """Without Redis the sweep does all the work; a worker told to end finishes that, too."""
    await outside.model(latency=1)
    await outside.whatsapp(latency=1)
    away = {"FROSTDESK_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    await outside.phone().write("Hello")
    async with running_worker(settings_of(environment | away)):
        await outside.model_is_called()
    assert len(await outside.events("ReplySent")) == 1
    assert await outside.events("SendUncertain") == []
    assert await outside.model_calls() == 1


@pytest.mark.usefixtures("quick_sweep")
async def test_claims_are_kept_until_all_has_ended(
    outside: Desk, environment: dict[str, str]
) -> None:
    """A worker that has been told to end takes its time: nobody takes it for dead meanwhile."""

    async def kept_until() -> object:
        return await outside.pool.fetchval("SELECT max(until) FROM claims")

    await outside.model(latency=2)
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(settings_of(environment), stop))
    await outside.phone().write("Hello")
    await outside.model_is_called()
    stop.set()
    await asyncio.sleep(0.3)  # in which what was begun before has ended
    before = await kept_until()

    async def renewed() -> bool:
        return await kept_until() != before

    await until(renewed, 1)
    assert before
    assert not working.done()
    await working
