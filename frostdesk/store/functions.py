"""Functions of a session's own: several statements in one trip, planned once, nothing to install.

A session makes a function when it first needs it, in its temporary schema and named by its content:
PostgreSQL keeps the plans from one call to the next, a pooler may hand the session on, and two
releases can share it.
"""

from __future__ import annotations

import hashlib

import asyncpg
import msgspec

from frostdesk.store.database import Connection

PLANNED_ONCE = """
    SET plan_cache_mode = force_generic_plan SET jit = off SET max_parallel_workers_per_gather = 0
    SET enable_seqscan = off SET enable_bitmapscan = off"""
"""For functions that look up by key: they plan once, perhaps while the tables are empty, perhaps
without a hint of how few rows follow a position, and would else read whole tables, or have other
processes help, which takes milliseconds to arrange."""


class Function(msgspec.Struct, frozen=True):
    """A function of a session's own: the statement that calls it, and those that make it."""

    call: str
    made_by: str


def function(name: str, definition: str, *, arguments: int) -> Function:
    """A function that `definition` makes under the name `{name}`, which gets a version."""
    version = hashlib.sha256(definition.encode()).hexdigest()[:12]
    full_name = f"pg_temp.frostdesk_{name}_{version}"
    places = ", ".join(f"${number}" for number in range(1, arguments + 1))
    return Function(f"SELECT * FROM {full_name}({places})", definition.replace("{name}", full_name))


async def call(
    connection: Connection, function: Function, *arguments: object
) -> list[asyncpg.Record]:
    """The rows that `function` gives, in a transaction of its own; it is made if need be."""
    try:
        return await connection.fetch(function.call, *arguments)
    except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError):
        async with connection.transaction():
            await connection.execute(function.made_by)
            return await connection.fetch(function.call, *arguments)
