"""Commands of the engineer: the tables against the log, and as they once stood."""

from __future__ import annotations

import re
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
import msgspec

from frostdesk.cli.progress import shown
from frostdesk.cli.running import database, json_option, print_json, run, settings_for
from frostdesk.errors import FrostDeskError
from frostdesk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from frostdesk.cli.progress import Work
    from projections.compare import Difference
    from projections.rebuild import Comparison, Connect
    from projections.shadow import Connection, Extent

SHOWN_ROWS = 20
SHOWN_LETTERS = 60
IS, SHOULD_BE = "is", "should_be"
NOW, THEN = "now", "then"
DRIFT = 1
INTERRUPTED = 130

BEYOND = 2**63 - 1

SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
RESERVED = ("public", "information_schema", "frostdesk_rebuild")


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What `--as-of` asks for: a moment, or else a position, and the schema to build in."""

    position: int
    moment: datetime | None
    schema: str
    diff: bool


@click.command()
@click.option("--verify", is_flag=True, help="Only compare; exit status 1 if a row differs.")
@click.option(
    "--as-of",
    metavar="TIME_OR_POSITION",
    help="Build the tables as they stood then, in --schema. A position (included), or a date (to"
    " its end) or time such as 2027-01-15T14:30, in the business's zone unless it names one.",
)
@click.option("--schema", metavar="NAME", help="With --as-of: where to build them, such as noon.")
@click.option("--diff", is_flag=True, help="With --as-of: print what has changed since.")
@json_option
def rebuild(
    *, verify: bool, as_of: str | None, schema: str | None, diff: bool, as_json: bool
) -> None:
    """Rebuild the tables from the log while the service runs, touching only rows that are wrong.

    Readers never see a half-built table and appends go on. With --json the summary is one object;
    --verify and --diff print one object a row.
    """
    settings = settings_for()
    past = _past(settings.timezone, as_of, schema, diff=diff)
    if past and verify:
        raise click.UsageError("--verify compares the tables of today: leave out --as-of.")
    try:
        if past:
            run(_travel(settings, past, as_json=as_json))
        elif verify:
            sys.exit(run(_verify(settings, as_json=as_json)))
        else:
            run(_rebuild(settings, as_json=as_json))
    except KeyboardInterrupt:
        click.echo(
            "frostdesk: interrupted; no table is half-built. Run it again any time.", err=True
        )
        sys.exit(INTERRUPTED)


async def _rebuild(settings: Settings, *, as_json: bool) -> None:
    from projections.rebuild import AlreadyRunningError
    from projections.rebuild import rebuild as rebuild_tables

    async with _explained(settings) as connect:
        try:
            with shown("Rebuilding") as work:
                done = await rebuild_tables(connect, work.progress)
        except AlreadyRunningError as error:
            raise FrostDeskError(
                "Another rebuild is running on this database. Wait until it has ended."
            ) from error
    rate = round(done.events / max(done.seconds, 1e-3))
    if as_json:
        print_json([{**msgspec.structs.asdict(done), "events_per_second": rate}])
        return
    click.echo(
        f"{done.rows:,} rows checked: {done.inserted:,} inserted, {done.changed:,} changed,"
        f" {done.deleted:,} deleted.\n"
        f"{done.events:,} events in {done.seconds:.1f} s, {rate:,} events/s."
    )


async def _verify(settings: Settings, *, as_json: bool) -> int:
    """The exit status: whether the tables differ from what the log says."""
    from projections.rebuild import comparison

    async with AsyncExitStack() as stack:
        connect = await stack.enter_async_context(_explained(settings))
        with shown("Comparing") as work:
            found = await stack.enter_async_context(comparison(connect, work.progress))
        if as_json:
            await _print_all(found.differences(), IS, SHOULD_BE)
        else:
            await _list(found.differences(), IS, SHOULD_BE, limit=SHOWN_ROWS)
            click.echo(_verdict(found))
        return DRIFT if found.count else 0


def _verdict(found: Comparison) -> str:
    more = max(0, found.count - SHOWN_ROWS)
    return (
        (f"… and {more:,} more rows: --json lists them all.\n" if more else "")
        + f"{found.rows:,} rows checked against {found.extent.events:,} events: "
        + (
            f"{found.count:,} differ. `frostdesk rebuild` sets them right."
            if found.count
            else "none differs."
        )
    )


async def _travel(settings: Settings, past: Past, *, as_json: bool) -> None:
    from projections.past import changes_since

    async with _explained(settings) as connect, connect() as connection:
        with shown("Building") as work:
            log = await _build(connection, past, work)
        if past.diff:
            changes = changes_since(connection, past.schema)
            if as_json:
                await _print_all(changes, NOW, THEN)
            elif not await _list(changes, NOW, THEN):
                click.echo("Nothing has changed since.")
        await connection.execute("COMMIT")
    if not as_json:
        click.echo(
            f"The tables as they stood at position {log.head}, after {log.events:,} events, are in"
            f' the schema {past.schema}. To be rid of them: DROP SCHEMA "{past.schema}" CASCADE'
        )
    elif not past.diff:
        print_json([{"schema": past.schema, "position": log.head, "events": log.events}])


async def _build(connection: Connection, past: Past, work: Work) -> Extent:
    import asyncpg

    from projections.past import SchemaTakenError, build, position_at

    upto = past.position
    if past.moment is not None:
        upto = await position_at(connection, past.moment)
    try:
        return await build(connection, past.schema, upto, work.progress)
    except SchemaTakenError as error:
        raise FrostDeskError(
            f"The schema {past.schema} exists already and was not made by --as-of: choose another."
        ) from error
    except asyncpg.DependentObjectsStillExistError as error:
        raise FrostDeskError(
            f"The schema {past.schema} cannot be built anew, as something of yours hangs on its"
            f" tables: {error.detail} Choose another name, or drop it."
        ) from error


@asynccontextmanager
async def _explained(settings: Settings) -> AsyncIterator[Connect]:
    """What opens connections for this work; says what to do about what PostgreSQL may refuse."""
    import asyncpg

    async with database(settings):
        try:
            yield partial(_connected, settings.database_url)
        except asyncpg.InsufficientPrivilegeError as error:
            raise FrostDeskError(
                f"PostgreSQL refused: {error}. Nothing was changed. Comparing needs SELECT on the"
                " tables and TEMPORARY on the database, repairing and --as-of also CREATE on it."
            ) from error
        except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
            raise FrostDeskError(
                "Something keeps the tables locked, so not every row could be set right without"
                " holding up the service. Find it in pg_stat_activity, then run it again."
            ) from error


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    from frostdesk.store.database import connect

    connection = await connect(url)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def _print_all(found: AsyncIterator[Difference], live: str, other: str) -> None:
    async for difference in found:
        print_json(
            [
                {
                    "table": difference.table,
                    "id": difference.id,
                    "columns": difference.columns,
                    live: difference.live,
                    other: difference.other,
                }
            ]
        )


async def _list(
    found: AsyncIterator[Difference], live: str, other: str, limit: int | None = None
) -> int:
    """Print rows that differ, a line a column; gives how many."""
    number = 0
    async for difference in found:
        if number == limit:
            break
        number += 1
        for line in _lines(difference, live.replace("_", " "), other.replace("_", " ")):
            click.echo(line)
    return number


def _lines(difference: Difference, live: str, other: str) -> list[str]:
    row = f"{difference.table} {difference.id}"
    if difference.live is None:
        return [f"{row}  {live}: no such row, {other}: {_short(difference.other)}"]
    if difference.other is None:
        return [f"{row}  {live}: {_short(difference.live)}, {other}: no such row"]
    return [
        f"{row}  {column}  {live}: {_short(difference.live[column])},"
        f" {other}: {_short(difference.other[column])}"
        for column in difference.columns
    ]


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN_LETTERS else text[: SHOWN_LETTERS - 1] + "…"


def _past(zone: ZoneInfo, as_of: str | None, schema: str | None, *, diff: bool) -> Past | None:
    """What the options ask for together, or None where they do not ask for the past.

    Raises:
        click.UsageError: they do not fit together, or one cannot be read.
    """
    if as_of is None:
        if schema or diff:
            raise click.UsageError("--schema and --diff go with --as-of.")
        return None
    if schema is None:
        raise click.UsageError("--as-of needs --schema NAME, where the tables are to be built.")
    if not SCHEMA_NAME.fullmatch(schema) or schema in RESERVED or schema.startswith("pg_"):
        raise click.UsageError(
            f"--schema: {schema!r} will not do. Choose a name of small letters, digits and _ that"
            " is not PostgreSQL's or FrostDesk's own."
        )
    if as_of.isascii() and as_of.isdigit():
        return Past(position=min(int(as_of), BEYOND), moment=None, schema=schema, diff=diff)
    return Past(position=BEYOND, moment=_moment(zone, as_of), schema=schema, diff=diff)


def _moment(zone: ZoneInfo, text: str) -> datetime:
    """A date, up to its last moment, or a time; in `zone` unless it says otherwise."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            next_day = date.fromisoformat(text) + timedelta(days=1)
            return datetime(next_day.year, next_day.month, next_day.day, tzinfo=zone) - timedelta(
                microseconds=1
            )
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(
            f"--as-of: {text!r} is no position, date or time. Examples: 1200, 2027-01-15,"
            " 2027-01-15T14:30, 2027-01-15T14:30:00+01:00"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


COMMANDS = (rebuild,)
