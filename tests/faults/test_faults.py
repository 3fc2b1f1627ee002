"""A few of the faults at every run of the tests; `python -m tests.faults` inflicts them all."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from tests.faults.faults import FAULTS, Fault, possible
from tests.faults.judge import Judge
from tests.faults.rig import Rig, running_rig
from tests.faults.rounds import play
from tests.faults.soak import take_samples

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS = 2.0
"""How long a fault lasts here, at most."""

CHOSEN = (
    "API killed before its commit",
    "API killed after its commit, before its 200",
    "workers killed after the reply's commit",
    "rolling restart by SIGTERM",
    "PostgreSQL's backends terminated",
    "PostgreSQL out of connections",
    "PostgreSQL out of disk",
    "Redis refuses writes",
    "model cut off in its body",
    "WhatsApp takes it and breaks off",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    """A whole FrostDesk of real processes, for all faults here one after the other."""
    async with running_rig() as rig:
        yield rig


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge(rig: Rig) -> Judge:
    """Who looks at everything since the rig began."""
    return Judge(rig)


@pytest.mark.parametrize("name", CHOSEN)
async def test_nothing_is_lost_or_said_twice(rig: Rig, judge: Judge, name: str) -> None:
    """Under load: all is answered, once, booked legally and rebuilt alike, within a minute."""
    fault = named(rig, name)
    chance = random.Random(name)  # noqa: S311  # to be repeated, not to be secret
    played = await play(rig, judge, [fault], rate=6, chance=chance, before=0.5)
    assert played.findings.violations == []
    assert played.findings.accepted > 0


async def test_the_long_run_sees_what_processes_hold(rig: Rig) -> None:
    """Memory, open files and connections of every process are there to be compared."""
    samples = await take_samples(rig)
    assert set(samples) == {"api", "worker 1", "worker 2"}
    assert all(sample.memory > 10 and sample.files > 5 for sample in samples.values())


def named(rig: Rig, name: str) -> Fault:
    """That fault, made short."""
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    if fault not in possible(rig):
        pytest.skip("This machine does not let us: it takes the right to mount a file system.")
    return msgspec.structs.replace(fault, seconds=min(fault.seconds, SECONDS))
