"""A small file system for PostgreSQL's data, which can be filled."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = b"\0" * 65_536


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[bool]:
    """Mount a file system of that size at `folder`, where we may; gives whether it was done."""
    folder.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder))
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave not one byte free on the file system that holds `folder`."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            _fill(file.fileno())
        yield
    finally:
        ballast.unlink()


def _fill(file: int) -> None:
    for chunk in (CHUNK, CHUNK[:512], CHUNK[:1]):
        try:
            while os.write(file, chunk):
                pass
        except OSError:
            continue
