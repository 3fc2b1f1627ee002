"""A wall clock of the rig's own, which can be stepped: libfaketime, where it is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Clock:
    """What the processes of the rig read as the time. Only the wall clock: pauses stay as long.

    Redis cannot be started with libfaketime; all times that it keeps for us are ours, but for TTLs.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.can_step = bool(LIBRARIES)
        self.step(0)

    def step(self, seconds: int) -> None:
        """From now on it shows so much more than the machine's clock."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)

    def variables(self) -> dict[str, str]:
        """What makes a process read this clock."""
        if not self.can_step:
            return {}
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    @contextmanager
    def shown_to_children(self) -> Iterator[None]:
        """Processes that take over our environment read this clock."""
        with mock.patch.dict(os.environ, self.variables()):
            yield
