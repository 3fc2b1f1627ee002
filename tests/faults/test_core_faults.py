"""Real processes that are killed, and what becomes of the customers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from frostdesk.store.database import Pool
from tests.support.desk import Desk, running_outside
from tests.support.programs import Program, Programs

RECOVERY_SECONDS = 45.0


@pytest.fixture
async def api(programs: Programs) -> Program:
    """The API as a process."""
    return await programs.serve()


@pytest.fixture
async def outside(api: Program, environment: dict[str, str], pool: Pool) -> AsyncIterator[Desk]:
    """The API and the outside world; no worker yet."""
    del api
    async with running_outside(environment, pool) as desk:
        yield desk


async def test_what_a_killed_worker_left_goes_out_in_time(
    outside: Desk, programs: Programs
) -> None:
    """Killed while the model thinks, and with a send of unknown outcome: each is answered once."""
    ana, ben = outside.phone("41790000001"), outside.phone("41790000002")
    await outside.whatsapp(statuses=False, faults=["cut"])
    worker = programs.start("worker")
    await worker.says("worker started")
    await ben.write("Hello, here is Ben")
    await outside.has_events("SendUncertain")
    await outside.model(latency=5)
    calls = await outside.model_calls()
    await ana.write("Hello, here is Ana")
    await outside.model_is_called(calls + 1)
    worker.kill()
    await outside.model(latency=0)

    killed = time.monotonic()
    await programs.start("worker").says("worker started")
    await asyncio.gather(ana.hears(seconds=RECOVERY_SECONDS), ben.hears(seconds=RECOVERY_SECONDS))
    assert time.monotonic() - killed < RECOVERY_SECONDS
    await outside.has_events("ReplySent", 2)
    await outside.is_idle()
    assert [len(await phone.heard()) for phone in (ana, ben)] == [1, 1]
    repeated = await outside.events("SendRepeated")
    assert len(repeated) == 1
    assert len(await outside.events("ReplyGenerated")) == 2


async def test_a_killed_api_loses_nothing(outside: Desk, programs: Programs, api: Program) -> None:
    """The API is killed among webhooks: WhatsApp tries again, and everybody is answered once."""
    worker = programs.start("worker")
    await worker.says("worker started")
    phones = [outside.phone(f"4179000{n:04}") for n in range(20)]
    writing = asyncio.gather(*(phone.write("Hello") for phone in phones))
    await asyncio.sleep(0.02)
    api.kill()
    await writing
    await programs.serve()
    await asyncio.gather(*(phone.hears(seconds=30) for phone in phones))
    await outside.is_idle()
    assert [len(await phone.heard()) for phone in phones] == [1] * 20


async def test_a_worker_asked_to_end_lets_the_model_finish(
    outside: Desk, programs: Programs
) -> None:
    """SIGTERM while the model thinks: the answer still goes out, and the status is 0."""
    worker = programs.start("worker")
    await worker.says("worker started")
    await outside.model(latency=1.5)
    await outside.phone().write("Hello")
    await outside.model_is_called()
    assert await worker.terminate() == 0
    assert len(await outside.phone().heard()) == 1
    assert await outside.pool.fetchval("SELECT count(*) FROM claims") == 0
