"""`kill -9` at every step, and SIGTERM. What holds a process at a step is never in the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.faults.load import Load
from tests.faults.rig import WORKERS, Rig
from tests.support.waiting import until

HELD_SECONDS = 25
"""Longer than anything is held: what waits so long is not waited for."""

FEW = 4
MANY = 400
QUIET_SECONDS = 1.0

HALF_SENT = """
SELECT FROM messages WHERE status = 'pending' AND id::text = ANY ($1::text[])
"""


@asynccontextmanager
async def api_killed(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Wherever it happens to be."""
    rig.api.kill()
    yield
    await rig.start_api()


@asynccontextmanager
async def api_killed_before_commit(rig: Rig, _: Load) -> AsyncIterator[None]:
    """While it waits for its turn to append."""
    async with rig.appends_held():
        await rig.is_held("api", "advisory")
        rig.api.kill()
    yield
    await rig.start_api()


@asynccontextmanager
async def api_killed_after_commit(rig: Rig, _: Load) -> AsyncIterator[None]:
    """What it appended is durable, and it has not been told so."""
    async with _only_the_model_is_busy(rig), rig.commits_held():
        await rig.is_held("api", "SyncRep")
        rig.api.kill()
    yield
    await rig.start_api()


@asynccontextmanager
async def worker_killed(rig: Rig, _: Load) -> AsyncIterator[None]:
    """One of two, wherever it happens to be; the other one goes on."""
    rig.kill_workers(1)
    yield
    await rig.start_workers(1)


@asynccontextmanager
async def before_the_model_answers(rig: Rig, _: Load) -> AsyncIterator[None]:
    """The model has been asked and thinks."""
    calls = await rig.outside.model_calls()
    async with _model_thinks(rig, HELD_SECONDS):
        await rig.outside.model_is_called(calls + 3)
        rig.kill_workers()
    yield
    await rig.start_workers(WORKERS)


@asynccontextmanager
async def before_the_reply_commits(rig: Rig, _: Load) -> AsyncIterator[None]:
    """The model has answered, and the answer waits for its turn to be appended."""
    async with _only_the_model_is_busy(rig), rig.appends_held():
        await rig.is_held("worker", "advisory")
        rig.kill_workers()
    yield
    await rig.start_workers(WORKERS)


@asynccontextmanager
async def after_the_reply_commits(rig: Rig, load: Load) -> AsyncIterator[None]:
    """The reply is in the log, and its worker has not been told so: nothing was sent."""
    async with load.paused():
        await until(rig.is_settled, 60)
        calls = await rig.outside.model_calls()
        async with _model_thinks(rig, 3 * QUIET_SECONDS):
            for customer in range(FEW):
                load.write("Hello", customer=customer)
            await rig.outside.model_is_called(calls + FEW)
            await load.all_taken()
            async with rig.commits_held():
                await rig.is_held("worker", "SyncRep")
                rig.kill_workers()
    yield
    await rig.start_workers(WORKERS)


@asynccontextmanager
async def before_whatsapp_took_it(rig: Rig, _: Load) -> AsyncIterator[None]:
    """A send is on its way, and is not taken as its sender is gone."""
    async with _sends_held(rig, f"stall:{HELD_SECONDS}"):
        rig.kill_workers()
    yield
    await rig.start_workers(WORKERS)


@asynccontextmanager
async def after_whatsapp_took_it(rig: Rig, _: Load) -> AsyncIterator[None]:
    """A send was taken and its sender has not been told so; a status will tell."""
    async with _sends_held(rig, f"accepted_then_stall:{HELD_SECONDS}"):
        rig.kill_workers()
    yield
    await rig.start_workers(WORKERS)


@asynccontextmanager
async def after_a_silent_send(rig: Rig, _: Load) -> AsyncIterator[None]:
    """A send was taken, its sender has not been told so, and no status ever tells."""
    async with _whatsapp_is(rig, statuses=False):
        async with _sends_held(rig, f"accepted_then_stall:{HELD_SECONDS}"):
            rig.kill_workers()
        yield
        await rig.start_workers(WORKERS)
        await asyncio.sleep(QUIET_SECONDS)  # for ticks that would be late


@asynccontextmanager
async def before_the_send_is_recorded(rig: Rig, _: Load) -> AsyncIterator[None]:
    """WhatsApp has taken a reply and said so, and the record of it waits for its turn."""

    async def taken_and_not_recorded() -> bool:
        sends = await rig.outside.sends()
        newest = [send["message"]["biz_opaque_callback_data"] for send in sends[-MANY:]]
        return bool(await rig.sql(HALF_SENT, newest))

    async with _whatsapp_is(rig, latency=2 * QUIET_SECONDS):
        await asyncio.sleep(QUIET_SECONDS)
        async with rig.appends_held():
            await until(taken_and_not_recorded, 12)
            await rig.is_held("worker", "advisory")
            rig.kill_workers()
    yield
    await rig.start_workers(WORKERS)


@asynccontextmanager
async def poison(rig: Rig, load: Load) -> AsyncIterator[None]:
    """Three times, the worker that answers this message dies of it."""
    async with load.paused():
        await until(rig.is_settled, 60)
        calls = await rig.outside.model_calls()
        async with _model_thinks(rig, HELD_SECONDS * 4):
            load.write("This message kills whoever reads it")
            for death in range(1, 4):
                await rig.outside.model_is_called(calls + death, seconds=60)
                rig.kill_workers()
                await rig.start_workers(WORKERS)
    yield


@asynccontextmanager
async def rolling_restart(rig: Rig, _: Load) -> AsyncIterator[None]:
    """Each process is replaced, as by a deploy: workers side by side, the API on its port."""
    for worker in list(rig.workers):
        await rig.start_workers(1)
        await rig.end(worker)
        rig.workers.remove(worker)
    await rig.end(rig.api)
    await rig.start_api()
    yield


@asynccontextmanager
async def _model_thinks(rig: Rig, seconds: float) -> AsyncIterator[None]:
    """Each call of the model takes so long."""
    await rig.outside.model(latency=seconds)
    try:
        yield
    finally:
        await rig.outside.model(latency=0)


@asynccontextmanager
async def _only_the_model_is_busy(rig: Rig) -> AsyncIterator[None]:
    """No send is under way and waits for its record: what a worker appends next is a reply."""
    calls = await rig.outside.model_calls()
    async with _model_thinks(rig, 3 * QUIET_SECONDS):
        await rig.outside.model_is_called(calls + 1)
        await asyncio.sleep(QUIET_SECONDS)
        yield


@asynccontextmanager
async def _whatsapp_is(rig: Rig, **control: Any) -> AsyncIterator[None]:
    """WhatsApp behaves like that."""
    await rig.outside.whatsapp(**control)
    try:
        yield
    finally:
        await rig.outside.whatsapp(latency=0, statuses=True, faults=[])


@asynccontextmanager
async def _sends_held(rig: Rig, fault: str) -> AsyncIterator[None]:
    """Some sends have met that fault, which lasts."""

    async def some() -> bool:
        return await rig.outside.sends_that_failed(MANY) >= 2

    await rig.outside.whatsapp(faults=[fault] * MANY)
    try:
        await until(some, 20)
        yield
    finally:
        await rig.outside.whatsapp(faults=[])
