"""A process that owns an embedded server, so that a test can kill it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


class Owner:
    """A Python process that started a server, and said its URL."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self.url = process.stdout.readline().strip()

    def kill(self) -> None:
        """End it without warning."""
        self._process.kill()
        self._process.wait()

    def kill_guard(self) -> None:
        """End the shell that would stop the server in its owner's place."""
        for guard in self.descendants("sh"):
            guard.kill()

    def descendants(self, name: str) -> list[psutil.Process]:
        """The processes of that name that it has started, and that these have started."""
        found = []
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if name in child.name():
                    found.append(child)
        return found


@contextmanager
def owner_of(program: str, folder: Path) -> Iterator[Owner]:
    """Run a program that starts a server in `folder` and prints its URL."""
    command = (sys.executable, "-c", program, str(folder))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Owner(process)
        finally:
            process.kill()
