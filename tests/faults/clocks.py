"""The wall clock of the service and of PostgreSQL is set while they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tests.faults.load import Load
from tests.faults.rig import WORKERS, Rig

NOTICED_SECONDS = 1.5
"""By then every process has read the new time."""


def stepped(seconds: int) -> Callable[[Rig, Load], AbstractAsyncContextManager[None]]:
    """The clock jumps by so much, and back."""

    @asynccontextmanager
    async def inflict(rig: Rig, _: Load) -> AsyncIterator[None]:
        rig.clock.step(seconds)
        await asyncio.sleep(NOTICED_SECONDS)
        yield
        rig.clock.step(0)
        await asyncio.sleep(NOTICED_SECONDS)

    return inflict


@asynccontextmanager
async def back_over_a_kill(rig: Rig, load: Load) -> AsyncIterator[None]:
    """Workers die, and the clock goes back behind everything that they had promised to be."""
    async with stepped(600)(rig, load):
        rig.kill_workers()
        yield
    await rig.start_workers(WORKERS)
