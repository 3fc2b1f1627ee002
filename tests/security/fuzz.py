"""Millions of inputs: `python -m tests.security.fuzz --seconds 600`.

It needs `pip install -e '.[dev,fuzz]'`.

All targets at once, a process each. Ends with status 1 if an input raised an error that is not the
documented refusal, or took more than 50 ms of CPU time by itself.
"""

from __future__ import annotations

import argparse
import gc
import random
import subprocess
import sys
import time
from contextlib import suppress
from tempfile import TemporaryDirectory

import msgspec

from tests.security.targets import TARGETS, Found, Target

SLOW_SECONDS = 0.05
SHOWN_BYTES = 500


def main() -> int:
    """Fuzz, print a table, and every input that broke a rule."""
    asked = _arguments()
    names = asked.target or list(TARGETS)
    print(f"seed {asked.seed}")
    with TemporaryDirectory(prefix="frostdesk-fuzz-") as folder:
        running = {name: _start(name, asked.seconds, asked.seed, folder) for name in names}
        found = {name: _end(process) for name, process in running.items()}
    print(f"{'target':14} {'inputs':>12} {'crashes':>8} {'slowest ms':>11}")
    clean = True
    for name, told in found.items():
        seconds, slowest = max((cpu_seconds(TARGETS[name], data), data) for data in told.slowest)
        print(f"{name:14} {told.inputs:12,} {len(told.crashes):8} {seconds * 1000:11.2f}")
        clean = clean and not told.crashes and seconds <= SLOW_SECONDS
        for what, data in told.crashes.items():
            print(f"  {what}\n    {data[:SHOWN_BYTES]!r}")
        if seconds > SLOW_SECONDS:
            print(f"  slow, {len(slowest)} bytes: {slowest[:SHOWN_BYTES]!r}")
    return 0 if clean else 1


def cpu_seconds(target: Target, data: bytes) -> float:
    """The CPU time of one input where nothing watches, the best of three."""
    gc.collect()
    return min(_once(target, data) for _ in range(3))


def _once(target: Target, data: bytes) -> float:
    before = time.thread_time()
    with suppress(Exception):
        target.run(data)
    return time.thread_time() - before


def _start(name: str, seconds: float, seed: int, folder: str) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", "tests.security.fuzz_one", name, str(seconds), str(seed))
    return subprocess.Popen((*command, folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _end(process: subprocess.Popen[bytes]) -> Found:
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(err.decode(errors="replace"))
    return msgspec.json.decode(out, type=Found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long each target is fed")
    parser.add_argument("--target", action="append", choices=TARGETS, help="all unless given")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
