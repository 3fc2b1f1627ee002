"""Processes that a test run has started, directly or by way of others, and that still run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

MARK = "FROSTDESK_TEST_RUN"
"""An environment variable that everything started by the run inherits, orphans included."""

PATIENCE_SECONDS = 10.0


def leftovers() -> list[str]:
    """The command lines of what still runs once it has had some time to end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := list(_descendants())) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _descendants() -> Iterator[str]:
    ourselves = psutil.Process()
    children = {child.pid for child in ourselves.children(recursive=True)}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            marked = process.environ().get(MARK) == os.environ[MARK]
            if process.pid != ourselves.pid and (marked or process.pid in children):
                yield f"{process.pid} {' '.join(process.cmdline())}"
