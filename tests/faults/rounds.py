"""One round: customers write, faults come and go, and within a minute all must be in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import pairwise

import msgspec

from tests.faults.faults import Fault, possible
from tests.faults.judge import Findings, Judge
from tests.faults.load import Load, now
from tests.faults.rig import Rig
from tests.support.waiting import until

RECOVERY_SECONDS = 60.0
BEFORE_SECONDS = 1.5
AFTER_SECONDS = 1.0


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What was inflicted, how long it took to recover, and what the judge found."""

    faults: tuple[str, ...]
    recovery: float
    findings: Findings

    @property
    def name(self) -> str:
        """The row of the table that it belongs to."""
        return " + ".join(self.faults)


async def play(  # noqa: PLR0913  # all named
    rig: Rig,
    judge: Judge,
    faults: Sequence[Fault],
    *,
    rate: float,
    chance: random.Random,
    before: float = BEFORE_SECONDS,
) -> Round:
    """Inflict these faults under load, one after the other, all of them at once in the end.

    Customers write undisturbed for so many seconds `before`.
    """
    load = Load(rig.session, f"http://127.0.0.1:{rig.api_port}", rate=rate, chance=chance)
    async with load.running():
        await asyncio.sleep(before)
        await _inflict(rig, load, faults, chance)
        ended = now()
        await asyncio.sleep(AFTER_SECONDS)
    await _recover(rig, load, ended + RECOVERY_SECONDS)
    recovery = now() - ended
    rig.check_processes()
    findings = await judge.judge(
        load,
        failures={stage for fault in faults for stage in fault.failures},
        unknowable=any(fault.unknowable for fault in faults),
    )
    return Round(faults=tuple(f.name for f in faults), recovery=recovery, findings=findings)


async def _inflict(rig: Rig, load: Load, faults: Sequence[Fault], chance: random.Random) -> None:
    try:
        async with AsyncExitStack() as inflicted:
            for fault in faults:
                await inflicted.enter_async_context(fault.inflict(rig, load))
                await asyncio.sleep(chance.uniform(0, 2) if len(faults) > 1 else 0)
            await asyncio.sleep(max(fault.seconds for fault in faults))
    except (AssertionError, TimeoutError) as error:
        rig.complaints.append(f"the fault could not be inflicted: {error}")


async def _recover(rig: Rig, load: Load, deadline: float) -> None:
    """Wait, no longer than that, until all has been taken and nothing is left to be done."""

    async def recovered() -> bool:
        return not load.is_busy and await rig.is_settled()

    try:
        await until(recovered, deadline - now())
    except AssertionError:
        rig.complaints.append(f"not recovered after {RECOVERY_SECONDS:.0f} s")


def combinations(rig: Rig, chance: random.Random, *, count: int) -> list[list[Fault]]:
    """So many combinations of two or three faults, each of another part."""
    single = [fault for fault in possible(rig) if not fault.apart]
    drawn: list[list[Fault]] = []
    while len(drawn) < count:
        faults = sorted(chance.sample(single, k=chance.choice((2, 2, 3))), key=lambda f: f.part)
        if all(a.part != b.part for a, b in pairwise(faults)):
            drawn.append(faults)
    return drawn
