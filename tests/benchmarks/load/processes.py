"""What a process uses: time of the processor, and memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import psutil


class Cpu:
    """The seconds of the processor that processes use, each with its children, from now on."""

    def __init__(self, *processes: psutil.Process) -> None:
        self._processes = processes
        self._before = _cpu_seconds(processes)

    @classmethod
    def of(cls, *pids: int) -> Self:
        """Those of the processes with these numbers."""
        return cls(*map(psutil.Process, pids))

    def seconds(self) -> float:
        """So many by now."""
        return _cpu_seconds(self._processes) - self._before


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        total += sum(process.cpu_times()[:4])  # with those of children that have ended
        for child in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                total += sum(child.cpu_times()[:4])
    return total


def memory_mb(pid: int) -> float:
    """Resident memory of one process, in MB."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20
