"""What commands that take their time need: a connection without a time limit, and progress."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from frostdesk.cli.progress import Work, shown
from frostdesk.cli.running import database
from frostdesk.settings import Settings

if TYPE_CHECKING:
    import asyncpg

LINES_A_STEP = 1000


@contextlib.asynccontextmanager
async def connection_to(
    settings: Settings,
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """One connection, whose statements may take as long as they need; errors as in `database`."""
    from frostdesk.store.database import connect

    async with database(settings):
        connection = await connect(settings.database_url)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)


@contextlib.contextmanager
def lines_of(file: BinaryIO, doing: str) -> Iterator[Iterable[bytes]]:
    """The lines of a file, whose progress is shown while they are read; of a pipe it is unknown."""
    size = _size(file)
    if not size:
        yield file
        return
    with shown(doing) as work:
        yield _watched(file, size, work)


def _watched(file: BinaryIO, size: int, work: Work) -> Iterator[bytes]:
    read = 0
    for number, line in enumerate(file, 1):
        read += len(line)
        if number % LINES_A_STEP == 0:
            work.progress(read / size, number * size // read)
        yield line


def _size(file: BinaryIO) -> int | None:
    """How many bytes there will be, where the file is one and no pipe."""
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None
