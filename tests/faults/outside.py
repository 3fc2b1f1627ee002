"""The model and WhatsApp, each in its own ways of failing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tests.faults.load import Load
from tests.faults.rig import Rig

SLOW_SECONDS = 6
MANY = 2_000
"""More than are met while a fault lasts."""


@asynccontextmanager
async def model_slow(rig: Rig, _: Load) -> AsyncIterator[None]:
    """It takes its time."""
    await rig.outside.model(latency=SLOW_SECONDS)
    yield
    await rig.outside.model(latency=0)


@asynccontextmanager
async def model_down(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Nobody listens where it was."""
    rig.model.kill()
    yield
    rig.start_model()
    await rig.outside_answers()


def model_does(fault: str) -> Callable[[Rig, Load], AbstractAsyncContextManager[None]]:
    """The model does that at every call."""

    @asynccontextmanager
    async def inflict(rig: Rig, _: Load) -> AsyncIterator[None]:
        await rig.outside.model(faults=[fault] * MANY)
        yield
        await rig.outside.model(faults=[])

    return inflict


def whatsapp_does(fault: str) -> Callable[[Rig, Load], AbstractAsyncContextManager[None]]:
    """WhatsApp does that at every send."""

    @asynccontextmanager
    async def inflict(rig: Rig, _: Load) -> AsyncIterator[None]:
        await rig.outside.whatsapp(faults=[fault] * MANY)
        yield
        await rig.outside.whatsapp(faults=[])

    return inflict


@asynccontextmanager
async def whatsapp_takes_in_silence(rig: Rig, load: Load) -> AsyncIterator[None]:
    """Sends are taken, the answers come too late, and no status tells of them."""
    await rig.outside.whatsapp(statuses=False)
    async with whatsapp_does("accepted_then_stall:25")(rig, load):
        yield
    await rig.outside.whatsapp(statuses=True)
