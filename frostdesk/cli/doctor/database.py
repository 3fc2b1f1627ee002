"""PostgreSQL, the schema in it, what this login may do there, and the work that waits in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias

import asyncpg

from frostdesk.cli.doctor.schema import check_schema
from frostdesk.cli.doctor.verdict import Verdict
from frostdesk.settings import Settings
from frostdesk.store.database import connect

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

OLDEST_POSTGRES = 15
SKEW_SECONDS = 30
LATE_SECONDS = 120


async def check_database(settings: Settings) -> list[Verdict]:
    """Verdicts on the database that the service works with."""
    try:
        connection = await connect(settings.database_url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [_no_connection(error)]
    try:
        verdicts = [
            await _version(connection),
            await _durability(connection),
            await _clock(connection),
        ]
        schema = await check_schema(connection)
        verdicts += schema
        if all(verdict.state != "failed" for verdict in schema):
            verdicts.append(await _work(connection))
        return verdicts
    finally:
        await connection.close()


def _no_connection(error: Exception) -> Verdict:
    seen, advice = (
        f"no connection ({type(error).__name__})",
        "Is it running? Are host and port in FROSTDESK_DATABASE_URL right?",
    )
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        seen = "there is no such database"
        advice = "Create the database, or correct the name in FROSTDESK_DATABASE_URL."
    elif isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        seen = f"the login is refused: {error.sqlstate}"
        advice = "Correct user and password in FROSTDESK_DATABASE_URL."
    elif isinstance(error, asyncpg.TooManyConnectionsError):
        seen = "no connection is left"
        advice = "Raise `max_connections` (ten for each API and worker), or put a pooler between."
    return Verdict("database", "failed", seen, advice)


async def _version(connection: Connection) -> Verdict:
    number = int(await connection.fetchval("SHOW server_version_num")) // 10_000
    if number < OLDEST_POSTGRES:
        advice = f"Upgrade to PostgreSQL {OLDEST_POSTGRES} or newer."
        return Verdict("database", "failed", f"PostgreSQL {number} is too old", advice)
    return Verdict("database", "ok", f"PostgreSQL {number}")


async def _durability(connection: Connection) -> Verdict:
    """200 means committed; these settings decide whether committed means kept."""
    if await connection.fetchval("SHOW synchronous_commit") == "off":
        advice = "Set synchronous_commit = on, and look at ALTER ROLE and ALTER DATABASE … SET too."
        seen = "synchronous_commit is off: a crash loses messages that were answered 200"
        return Verdict("durability", "failed", seen, advice)
    for name in ("fsync", "full_page_writes"):
        if await connection.fetchval(f"SHOW {name}") == "off":
            seen = f"{name} is off: a crash of the machine may lose the whole database"
            return Verdict("durability", "warning", seen, f"Set {name} = on.")
    return Verdict("durability", "ok", "what is committed is on the disk")


async def _clock(connection: Connection) -> Verdict:
    there = await connection.fetchval("SELECT clock_timestamp()")
    skew = abs((datetime.now(UTC) - there).total_seconds())
    if skew > SKEW_SECONDS:
        advice = "Set both clocks by NTP: the 24-hour window and `tomorrow` depend on them."
        return Verdict("clock", "failed", f"{skew:.0f} s apart from the database's", advice)
    return Verdict("clock", "ok", "agrees with the database's")


async def _work(connection: Connection) -> Verdict:
    """Whether what customers wrote is being answered."""
    row = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE status = 'waiting') AS waiting,"
        " count(*) FILTER (WHERE status = 'failed') AS failed,"
        " extract(epoch FROM clock_timestamp()"
        "   - min(created_at) FILTER (WHERE status = 'waiting'))::float8 AS seconds"
        " FROM messages WHERE status IN ('waiting', 'failed')"
    )
    assert row  # noqa: S101  # an aggregate is always one row
    if row["waiting"] and row["seconds"] > LATE_SECONDS:
        seen = f"{row['waiting']} wait for an answer, the oldest for {row['seconds']:.0f} s"
        advice = "Is a worker running? Its log, and the model's verdict below, say what is amiss."
        return Verdict("messages", "failed", seen, advice)
    if row["failed"]:
        advice = "`frostdesk conversations` shows whose, `frostdesk retry ID` tries again."
        return Verdict("messages", "warning", f"{row['failed']} have failed", advice)
    return Verdict("messages", "ok", "none is late, none has failed")
