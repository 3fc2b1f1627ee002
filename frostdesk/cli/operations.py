"""Commands of whoever runs the service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from frostdesk.cli.running import run, settings_for, stop_event
from frostdesk.errors import FrostDeskError, TryAgainError
from frostdesk.settings import DATABASE, SERVE, WORKER

if TYPE_CHECKING:
    import asyncpg

SCHEMA_LOCK = 4607452717

TRIES = 30
"""About a minute, in which something else may keep the tables in use."""

_NUMBER = re.compile(r"FrostDesk schema (\d+)")


@click.command("init-db")
def init_db() -> None:
    """Apply schema.sql to the database. Safe to repeat."""
    settings = settings_for(DATABASE)
    for note in run(apply_schema(settings.database_url)):
        click.echo(f"Note: {note}", err=True)
    click.echo("The database is ready.")


async def apply_schema(database_url: str) -> list[str]:
    """Apply schema.sql, beside a service that runs; two at once take turns.

    A schema that is newer than ours is left as it is: an older FrostDesk works with it, and its
    functions would not. Gives what the database warned of meanwhile.
    """
    import asyncpg

    from frostdesk.retry import with_retries
    from frostdesk.store.database import LOST, connect

    try:
        connection = await connect(database_url)
    except LOST as error:
        raise FrostDeskError(f"PostgreSQL cannot be reached ({type(error).__name__}).") from error
    except asyncpg.PostgresError as error:
        raise FrostDeskError(f"PostgreSQL refused the connection: {error}.") from error
    notes: list[str] = []
    connection.add_log_listener(lambda _, message: notes.extend(_warnings(message)))
    try:
        notes += await with_retries(lambda: _apply(connection), attempts=TRIES, wait_max=2.0)
    except asyncpg.PostgresError as error:
        raise FrostDeskError(f"schema.sql could not be applied: {error}.") from error
    finally:
        await connection.close()
    return notes


async def _apply(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    import asyncpg

    try:
        async with connection.transaction():
            # Whoever appends stands behind us in the queue for the tables, so we wait little.
            await connection.execute("SET LOCAL lock_timeout = '1s'")
            await connection.execute(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
            if await applied_number(connection) > schema_number(schema()):
                return ["the schema is of a newer FrostDesk, and was left as it is"]
            await connection.execute(schema())
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
        raise TryAgainError(
            "Something keeps the tables in use, such as a backup that is being read: nothing was "
            "changed. Find it in pg_stat_activity, then run `frostdesk init-db` again."
        ) from error
    return []


async def applied_number(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """The number of the schema in the database; 0 if it has none."""
    comment = await connection.fetchval(
        "SELECT obj_description(to_regclass('public.events'), 'pg_class')"
    )
    return schema_number(comment or "")


def schema_number(text: str) -> int:
    """The number that a schema, or the comment that it leaves, gives itself; 0 if it gives none."""
    found = _NUMBER.search(text)
    return int(found[1]) if found else 0


def _warnings(message: asyncpg.PostgresLogMessage) -> list[str]:
    """A warning and what to do about it. Notices, as of what is there already, say nothing new."""
    fields = message.as_dict()
    if fields["severity_en"] != "WARNING":
        return []
    return [". ".join(filter(None, (fields["message"], fields.get("hint"))))]


def schema() -> str:
    """The text of schema.sql: beside the packages in a checkout, within the package elsewhere."""
    import frostdesk

    package = Path(frostdesk.__file__).parent
    for place in (package / "schema.sql", package.parent / "schema.sql"):
        if place.is_file():
            return place.read_text()
    raise FrostDeskError("schema.sql is missing from the installation: install FrostDesk again.")


@click.command()
def serve() -> None:
    """Run the API until a signal."""
    settings = settings_for(SERVE)

    async def main() -> None:
        stop = stop_event()  # before imports, which take a while

        from frostdesk.api.app import serve as serve_api
        from frostdesk.logs import configure_logs

        configure_logs()
        try:
            await serve_api(settings, stop)
        except OSError as error:
            address = f"{settings.host}:{settings.port}"
            raise FrostDeskError(f"Cannot listen on {address}: {error.strerror}.") from error

    run(main())


@click.command()
def worker() -> None:
    """Run a worker until a signal: it answers, sends, and finds what was left behind."""
    settings = settings_for(WORKER)

    async def main() -> None:
        stop = stop_event()  # before imports, which take a while

        from frostdesk.logs import configure_logs
        from frostdesk.worker.main import run_worker

        configure_logs()
        await run_worker(settings, stop)

    run(main())


COMMANDS = (init_db, serve, worker)
