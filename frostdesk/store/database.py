"""Connections to PostgreSQL, direct or through a pooler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import asyncpg

CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 30.0

# Quoted, as only the type checker knows these classes as generic.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)

LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)
"""What asyncpg raises when the database is away, overloaded or ended our session.

InternalClientError is how it stumbles over the farewell of a server that is shut down, when that
arrives together with a new query.
"""


def create_pool(
    url: str, *, max_size: int = 10, on_connect: Callable[[], None] | None = None
) -> Pool:
    """A pool of connections to `url`, to be entered as a context manager.

    It connects when a connection is first asked for, so a database that is away is no obstacle.
    `on_connect` is called whenever it has connected anew, as it has to after a crash.
    """

    async def connected(_: object) -> None:
        if on_connect:
            on_connect()

    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_size,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        # All that a session keeps is the function by which it appends: no trip to reset it.
        reset=_leave_as_is,
        init=connected,
        connect=_Connector(),
    )


async def connect(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """A single connection to `url`, for commands that run once."""
    return await _Connector()(url, timeout=CONNECT_SECONDS)


class _Connector:
    """Connects, having found out once what is at the other end: a pooler keeps no statements.

    A pooler hands out a process number of its own making in the handshake; PostgreSQL itself
    names the process that then answers (protocol documentation, BackendKeyData).
    """

    def __init__(self) -> None:
        self._options: dict[str, Any] | None = None

    async def __call__(self, *args: Any, **kwargs: Any) -> asyncpg.Connection[asyncpg.Record]:
        if self._options is not None:
            return await _connect(*args, **kwargs, **self._options)
        connection = await _connect(*args, **kwargs, statement_cache_size=0)
        answering = await connection.fetchval("SELECT pg_backend_pid()")
        if connection.get_server_pid() != answering:
            self._options = {"statement_cache_size": 0}
            return connection
        self._options = {}
        await connection.close()
        return await _connect(*args, **kwargs)


async def _connect(*args: Any, **kwargs: Any) -> asyncpg.Connection[asyncpg.Record]:
    try:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(*args, **kwargs)
    except LOST as error:
        # asyncpg's frames name the error that names them: with them it would keep our callers.
        raise error.with_traceback(None)  # noqa: B904  # it is the same
    return connection


async def _leave_as_is(connection: Any) -> None:
    """Do nothing when a connection returns to the pool."""
