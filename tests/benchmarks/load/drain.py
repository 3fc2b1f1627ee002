"""Draining: what waits while no worker is there, answered by one worker, and by two that share it.

The workers are held (SIGSTOP) while the messages come, so that neither their start nor the posting
is measured. Counted is all the time of the processor of the workers that take part, until nothing
waits any longer; replies a second lie between the first and the last send.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from tests.benchmarks.load.figures import Figure, percentile
from tests.benchmarks.load.processes import Cpu
from tests.benchmarks.load.rig import Desk, Servers, running_desk
from tests.benchmarks.load.webhooks import letters, post_all
from tests.faults.rig import thaw

WAITING = 1_500
ROUNDS = 2
DEARER_BY_SHARING = 1.15


async def measure() -> list[Figure]:
    """How fast replies go out, and what one costs, with one worker and with two."""
    taken: dict[int, list[_Drained]] = {1: [], 2: []}
    async with running_desk() as (servers, desk):
        await desk.start_api()
        for _ in taken:
            await desk.start_worker()
            await desk.warm_up()
        for _ in range(ROUNDS):
            for workers, drained in taken.items():
                drained.append(await _drain(servers, desk, workers=workers))
    figures = [figure for workers in taken for figure in _figures(workers, taken[workers])]
    one, two = (percentile([d.worker_ms for d in taken[n]], 0.5) for n in (1, 2))
    everything = [*taken[1], *taken[2]]
    return [
        *figures,
        Figure(
            "processor of two workers, a reply, of one's", two / one, "x", at_most=DEARER_BY_SHARING
        ),
        Figure("messages without a reply", sum(d.lost for d in everything), "", at_most=0),
        Figure(
            "messages with more than one reply", sum(d.twice for d in everything), "", at_most=0
        ),
    ]


class _Drained:
    """One drain: milliseconds of the processor a reply, replies a second, and what went wrong."""

    def __init__(
        self,
        sends: list[dict[str, Any]],
        wrote: set[str],
        *,
        worker_s: float,
        postgres_s: float,
        simulated_s: float,
    ) -> None:
        mine = [send for send in sends if send["message"]["to"] in wrote]
        at = sorted(datetime.fromisoformat(send["at"]).timestamp() for send in mine)
        answered = Counter(send["message"]["to"] for send in mine)
        self.worker_ms = worker_s / len(wrote) * 1000
        self.postgres_ms = postgres_s / len(wrote) * 1000
        self.simulated_ms = simulated_s / len(wrote) * 1000
        self.rate = (len(at) - 1) / (at[-1] - at[0])
        self.lost = len(wrote) - len(answered)
        self.twice = sum(times > 1 for times in answered.values())


async def _drain(servers: Servers, desk: Desk, *, workers: int) -> _Drained:
    sent = letters(WAITING)
    with desk.held() as held:
        await post_all(desk.api_port, sent)
        at_work = held[:workers]
        used, postgres = Cpu(*at_work), servers.postgres_cpu()
        simulated = Cpu.of(*(program.process.pid for program in desk.simulators))
        thaw(at_work)
        await desk.is_settled()
        worker_s, postgres_s, simulated_s = (cpu.seconds() for cpu in (used, postgres, simulated))
    sends = await desk.outside.sends()
    wrote = {letter.customer for letter in sent}
    return _Drained(sends, wrote, worker_s=worker_s, postgres_s=postgres_s, simulated_s=simulated_s)


def _figures(workers: int, drained: list[_Drained]) -> list[Figure]:
    name = "one worker" if workers == 1 else f"{workers} workers"
    return [
        Figure(f"replies, {name}", percentile([d.rate for d in drained], 0.5), "/s"),
        Figure(
            f"processor of the workers, a reply, {name}",
            percentile([d.worker_ms for d in drained], 0.5),
            "ms",
        ),
        Figure(
            f"processor of PostgreSQL, a reply, {name}",
            percentile([d.postgres_ms for d in drained], 0.5),
            "ms",
        ),
        Figure(
            f"processor of model and WhatsApp, a reply, {name}",
            percentile([d.simulated_ms for d in drained], 0.5),
            "ms",
        ),
    ]
