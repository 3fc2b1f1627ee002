"""Fuzzes one target, led by the code that its inputs reach, and says what came of it as JSON.

A process of its own, as libFuzzer never gives back the one that it runs in.
"""

from __future__ import annotations

import heapq
import os
import random
import re
import sys
import time
import traceback
from pathlib import Path

import atheris
import msgspec

with atheris.instrument_imports(include=["frostdesk"]):
    from tests.security.targets import TARGETS, Found, Target

SLOWEST = 5
CRASHES = 10
REPEATED, WORDED = 0.005, 0.4
"""How many of the inputs are a part over and over, and how many get a word more or less."""


class Fuzzer:
    """Feeds one target until the time is up."""

    def __init__(self, target: Target, seconds: float) -> None:
        self._target = target
        self._end = time.monotonic() + seconds
        self._words: list[bytes] = sorted(
            {w for s in target.samples for w in re.findall(rb"\w+|\W", s)}
        )
        self._inputs = 0
        self._slowest: list[tuple[float, bytes]] = []
        self._crashes: dict[str, bytes] = {}

    def feed(self, data: bytes) -> None:
        """One input. Ends the process when the time is up."""
        before = time.thread_time()
        try:
            self._target.run(data)
        except Exception as error:  # noqa: BLE001  # any is a finding
            place = traceback.extract_tb(error.__traceback__)[-1]
            if len(self._crashes) < CRASHES:
                self._crashes.setdefault(f"{error!r:.200} at {place.name}", data)
        self._note(time.thread_time() - before, data)
        self._inputs += 1
        if time.monotonic() > self._end:
            self._report()

    def mutate(self, data: bytes, most: int, seed: int) -> bytes:
        """Another input: a part over and over, words of the samples, or what libFuzzer likes."""
        chance = random.Random(seed)  # noqa: S311  # repeatable, not secret
        kind = chance.random()
        start = chance.randint(0, len(data))
        if kind < REPEATED:
            part = data[start : start + chance.randint(1, 64)] or b"0"
            return (data[:start] + part * (most // len(part)))[:most]
        data, most = data[: self._target.usual], min(most, self._target.usual)
        start = min(start, len(data))
        if kind < REPEATED + WORDED:
            gone = chance.choice((0, 0, 1, 8))
            return (data[:start] + chance.choice(self._words) + data[start + gone :])[:most]
        mutated: bytes = atheris.Mutate(data, most)
        return mutated

    def _note(self, seconds: float, data: bytes) -> None:
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, (seconds, data))
        elif seconds > self._slowest[0][0]:
            heapq.heapreplace(self._slowest, (seconds, data))

    def _report(self) -> None:
        found = Found(self._inputs, [data for _, data in self._slowest], self._crashes)
        sys.stdout.write(msgspec.json.encode(found).decode())
        sys.stdout.flush()
        os._exit(0)


def main(name: str, seconds: str, seed: str, folder: str) -> None:
    """Fuzz that target for so long, from its samples, which are put below `folder`."""
    target = TARGETS[name]
    samples = Path(folder) / name
    samples.mkdir()
    for number, sample in enumerate(target.samples):
        (samples / str(number)).write_bytes(sample)
    fuzzer = Fuzzer(target, float(seconds))
    options = (f"-seed={seed}", f"-max_len={target.longest}", "-timeout=60", "-rss_limit_mb=0")
    atheris.Setup(
        [sys.argv[0], *options, "-verbosity=0", str(samples)],
        fuzzer.feed,
        custom_mutator=fuzzer.mutate,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
