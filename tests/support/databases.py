"""A database for every test, copied from a template that holds the schema."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from frostdesk.store.database import connect
from tests.support.pooler import direct

SCHEMA = Path(__file__).parents[2] / "schema.sql"

T = TypeVar("T")


def query(url: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
    """The rows of one statement, for code that is not asynchronous."""
    return _finish(_fetch(url, sql, *arguments))


def execute(url: str, script: str) -> None:
    """Run a script of several statements."""
    _finish(_execute(url, script))


@contextmanager
def new_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """The URL of a database of its own on that server, gone afterwards whoever still uses it."""
    name = f"frostdesk_test_{uuid4().hex}"
    execute(direct(server_url), f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        server = urlsplit(server_url)
        yield f"{server.scheme}://{server.netloc}/{name}?{server.query}"
    finally:
        execute(direct(server_url), f"DROP DATABASE {name} WITH (FORCE)")


def name_of(url: str) -> str:
    """The database that a URL leads to."""
    return urlsplit(url).path.removeprefix("/")


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop that nobody else sees, so that the test's own loop is left alone."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def _fetch(url: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await connect(url)
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        await connection.close()


async def _execute(url: str, script: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()
