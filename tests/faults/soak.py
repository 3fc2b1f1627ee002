"""A long run under faults that leave every process alive: what grows all the time is a leak."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from statistics import median

import click
import msgspec
import psutil

from tests.faults.faults import Fault, possible
from tests.faults.judge import Judge
from tests.faults.load import now
from tests.faults.rig import Rig, running_rig
from tests.faults.rounds import play

SURVIVED = ("postgresql", "redis", "model", "whatsapp")
"""The parts that may be broken without a process of the service ending."""

CALM_SECONDS = 25.0
KINDS = ("memory", "files", "connections")
TOLERATED = {"memory": 0.05, "files": 0.1, "connections": 0.1}
"""By which share the last quarter of a run may lie above the second; connections come and go."""

TOLERATED_MORE = {"memory": 2.0, "files": 3.0, "connections": 10.0}
"""By how much besides. A pool has ten connections at most, all of them after any burst."""

CONNECTIONS = """
SELECT application_name AS name, count(*) AS number FROM pg_stat_activity
 WHERE usename = 'desk' GROUP BY 1
"""


class Sample(msgspec.Struct, frozen=True):
    """What a process holds: memory in MB, open files, connections to PostgreSQL.

    Workers share a name there, and each is counted with the connections of all.
    """

    memory: float
    files: int
    connections: int


async def soak(minutes: float, *, chance: random.Random, rate: float) -> list[str]:
    """Print what every process holds after each fault; gives all that was not in order."""
    async with running_rig() as rig:
        judge, gentle = Judge(rig), [f for f in possible(rig) if is_survived(f)]
        violations: list[str] = []
        accepted: list[int] = []
        samples: dict[str, list[Sample]] = {name: [] for name in rig.programs_running()}
        end = now() + minutes * 60
        while now() < end:
            fault = chance.choice(gentle)
            played = await play(rig, judge, [fault], rate=rate, chance=chance, before=CALM_SECONDS)
            violations += [f"{fault.name}: {said}" for said in played.findings.violations]
            accepted.append(played.findings.accepted)
            if rig.has_lost_a_process():
                break
            taken = await take_samples(rig)
            for name, sample in taken.items():
                samples[name].append(sample)
            _tell(fault.name, played.findings.accepted, taken)
        violations += [
            f"{name}: {kind} {said}"
            for name, series in samples.items()
            for kind in KINDS
            if (said := growth([float(getattr(s, kind)) for s in series], kind))
        ]
        for violation in violations:
            click.echo(f"VIOLATION {violation}")
        click.echo(
            f"{len(accepted)} faults, {sum(accepted)} accepted, {len(violations)} violations"
        )
        return violations


def is_survived(fault: Fault) -> bool:
    """Whether every process of the service is to outlive that fault."""
    return fault.part in SURVIVED and not fault.apart


async def take_samples(rig: Rig) -> dict[str, Sample]:
    """What each process of the service holds just now."""
    connected = {row["name"]: row["number"] for row in await rig.sql(CONNECTIONS)}
    found = {}
    for name, program in rig.programs_running().items():
        process = psutil.Process(program.process.pid)
        memory = round(process.memory_info().rss / 2**20, 1)
        found[name] = Sample(memory, process.num_fds(), connected.get(name.split()[0], 0))
    return found


def growth(series: Sequence[float], kind: str) -> str:
    """How a series has grown from its second quarter to its last, if by more than is tolerated."""
    quarter = len(series) // 4
    if not quarter:
        return ""
    before, after = median(series[quarter : 2 * quarter]), median(series[-quarter:])
    allowed = before * (1 + TOLERATED[kind]) + TOLERATED_MORE[kind]
    return f"grew from {before:g} to {after:g}" if after > allowed else ""


def _tell(fault: str, accepted: int, taken: dict[str, Sample]) -> None:
    held = "; ".join(
        f"{name} {s.memory} MB {s.files} files {s.connections} connections"
        for name, s in taken.items()
    )
    click.echo(f"{time.strftime('%H:%M:%S')} {fault}, {accepted} accepted: {held}")
