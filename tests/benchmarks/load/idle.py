"""What FrostDesk takes when nobody writes: memory, time of the processor, and how soon it starts.

Memory is what is resident, before any message and after some thousand have been answered.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.load.figures import Figure, percentile
from tests.benchmarks.load.processes import Cpu, memory_mb
from tests.benchmarks.load.rig import Desk, Servers, running_desk
from tests.benchmarks.load.webhooks import letters, post_all
from tests.support.environments import dev_environment
from tests.support.ports import free_port
from tests.support.programs import COMMAND

CUSTOMERS = 2_000
IDLE_SECONDS = 10.0
HELP_TRIES = 5

IDLE_PERCENT = 2.0
HELP_SECONDS = 0.3
READY_SECONDS = 5.0


async def measure() -> list[Figure]:
    """Memory and idle time of API and worker, and how long starting takes."""
    async with running_desk() as (servers, desk):
        await desk.start_api()
        await desk.start_worker()
        await asyncio.sleep(1)
        before = _memory(desk, "idle")
        percents = await _idle_percents(servers, desk)
        await post_all(desk.api_port, letters(CUSTOMERS))
        await desk.is_settled()
        after = _memory(desk, f"after {CUSTOMERS:,} replies")
    helped = percentile([await _help_seconds() for _ in range(HELP_TRIES)], 0.5)
    return [
        *before,
        *after,
        *percents,
        Figure("frostdesk --help", helped, "s", at_most=HELP_SECONDS),
        *await _starts_of_dev(),
    ]


def _memory(desk: Desk, when: str) -> list[Figure]:
    programs = {"API": desk.api, "worker": desk.workers[0]}
    return [
        Figure(f"memory of the {who}, {when}", memory_mb(program.process.pid), "MB")
        for who, program in programs.items()
    ]


async def _idle_percents(servers: Servers, desk: Desk) -> list[Figure]:
    """Percents of one processor's time that each uses while nobody writes."""
    used = {
        "API": Cpu.of(desk.api.process.pid),
        "worker": Cpu.of(desk.workers[0].process.pid),
        "PostgreSQL": servers.postgres_cpu(),
        "Redis": servers.redis_cpu(),
    }
    begun = time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    passed = time.perf_counter() - begun
    ours = ("API", "worker")
    return [
        Figure(
            f"idle, share of a processor, {who}",
            cpu.seconds() / passed * 100,
            "%",
            at_most=IDLE_PERCENT if who in ours else None,
        )
        for who, cpu in used.items()
    ]


async def _help_seconds() -> float:
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("frostdesk"), "--help", stdout=asyncio.subprocess.DEVNULL
    )
    status = await process.wait()
    assert status == 0
    return time.perf_counter() - begun


async def _starts_of_dev() -> list[Figure]:
    """How long `frostdesk dev` takes until everything is ready, at first and once there is data."""
    with TemporaryDirectory(prefix="frostdesk-load-", ignore_cleanup_errors=True) as folder:
        first, second = [await _dev_seconds(folder) for _ in range(2)]
    return [
        Figure("frostdesk dev until ready, first start", first, "s"),
        Figure("frostdesk dev until ready, second start", second, "s", at_most=READY_SECONDS),
    ]


async def _dev_seconds(folder: str) -> float:
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "dev",
        cwd=folder,
        env=dev_environment(free_port()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout
    try:
        said = await process.stdout.readuntil(b"FrostDesk runs.")
        assert said
        return time.perf_counter() - begun
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await process.communicate()
