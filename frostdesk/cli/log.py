"""Commands of the engineer: the log, listed, followed, backed up and brought back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID

import click
import msgspec

from frostdesk.cli import privacy, show
from frostdesk.cli.long_work import connection_to, lines_of
from frostdesk.cli.pipes import for_a_reader
from frostdesk.cli.running import database, json_option, print_json, run, settings_for, stop_event
from frostdesk.events import EVENT_TYPES
from frostdesk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from frostdesk.store.backup import Imported
    from frostdesk.store.database import Pool
    from frostdesk.store.rows import LoggedEvent

PAGE = 1000
MOST_POSITION = 2**63 - 1


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are asked for: beyond position `after`, at most `limit` of them."""

    after: int
    limit: int | None
    event_type: str | None
    conversation_id: UUID | None


@click.command()
@click.option("--conversation", "conversation_id", type=UUID, help="Only this conversation's.")
@click.option(
    "--type",
    "event_type",
    type=click.Choice(list(EVENT_TYPES)),
    metavar="TYPE",
    help="Only events of this type.",
)
@click.option(
    "--after", type=click.IntRange(0, MOST_POSITION), default=0, help="Only beyond this position."
)
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option("--follow", is_flag=True, help="Go on with those to come, until Ctrl-C.")
@json_option
def events(*, follow: bool, as_json: bool, **asked: Any) -> None:
    """List the events of the log, in order. With --json, this is its backup."""
    show_them = _follow if follow else _list
    run(show_them(settings_for(), Wanted(**asked), as_json=as_json))


async def _list(settings: Settings, wanted: Wanted, *, as_json: bool) -> None:
    async with database(settings) as pool:
        async for found in _pages(pool, wanted):
            _print(settings, found, as_json=as_json)


async def _pages(pool: Pool, wanted: Wanted) -> AsyncIterator[list[LoggedEvent]]:
    from frostdesk.store.reading import list_events

    position, left = wanted.after, wanted.limit
    while left is None or left > 0:
        found = await list_events(
            pool,
            after=position,
            limit=min(PAGE, left or PAGE),
            conversation_id=wanted.conversation_id,
            event_type=wanted.event_type,
        )
        if not found:
            return
        yield found
        position = found[-1].position
        left = None if left is None else left - len(found)


async def _follow(settings: Settings, wanted: Wanted, *, as_json: bool) -> None:
    """Print each event as it comes, until a signal, the limit, or the reader's end."""
    import asyncio
    import contextlib

    from frostdesk.logs import configure_logs

    configure_logs()
    stop = stop_event()
    async with database(settings) as pool:
        await pool.fetchval(
            "SELECT true FROM events LIMIT 1"
        )  # what is wrong at the start is said then
        printing = asyncio.create_task(_print_as_they_come(settings, pool, wanted, as_json=as_json))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((printing, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        printing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await printing


async def _print_as_they_come(
    settings: Settings, pool: Pool, wanted: Wanted, *, as_json: bool
) -> None:
    from frostdesk.store.following import subscribe

    count = 0
    types = None if wanted.event_type is None else [wanted.event_type]
    async for event in subscribe(
        pool, after=wanted.after, types=types, conversation_id=wanted.conversation_id
    ):
        _print(settings, [event], as_json=as_json)
        count += 1
        if count == wanted.limit:
            return


def _print(settings: Settings, found: Iterable[LoggedEvent], *, as_json: bool) -> None:
    with for_a_reader():
        if as_json:
            print_json(found)
            return
        for e in found:
            when = e.recorded_at.astimezone(settings.timezone)
            sys.stdout.write(
                f"{e.position:>8}  {when:%Y-%m-%d %H:%M:%S}  {e.conversation_id}"
                f"  {e.version:>4}  {e.type}\n"
            )


@click.command("import")
@click.argument("file", type=click.File("rb"))
def import_backup(file: BinaryIO) -> None:
    """Bring a backup made by `events --json` into an empty database ("-": standard input).

    All of it or nothing. Doing it again with the same file changes nothing.
    """
    settings = settings_for()
    done = run(_import(settings, file))
    if done.new:
        click.echo(f"{done.events} events imported, and the tables filled.")
    elif done.events:
        click.echo(f"All {done.events} events are here already; nothing was changed.")
    else:
        click.echo("The backup holds no event; nothing was changed.")


async def _import(settings: Settings, file: BinaryIO) -> Imported:
    from frostdesk.store.backup import import_lines, read_lines

    async with connection_to(settings) as connection:
        with lines_of(file, "Reading the backup") as lines:
            checked = read_lines(lines)
            return await import_lines(connection, checked)


COMMANDS = (events, import_backup, show.show, privacy.forget, privacy.export)
