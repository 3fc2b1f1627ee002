"""Where the embedded servers of these tests keep their data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that goes with the test.

    Not `tmp_path`: when tests run as root, PostgreSQL has an account of its own, and pytest closes
    the folder above `tmp_path` to all others each time that another run begins.
    """
    with TemporaryDirectory(prefix="frostdesk-test-") as folder:
        yield Path(folder)
