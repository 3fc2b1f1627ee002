"""Commands for a customer's rights: `forget` erases one, `export` hands over what is kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import msgspec

from frostdesk.cli.long_work import connection_to
from frostdesk.cli.pipes import for_a_reader
from frostdesk.cli.running import run, settings_for
from frostdesk.errors import FrostDeskError
from frostdesk.history import plain
from frostdesk.settings import Settings

if TYPE_CHECKING:
    from frostdesk.privacy import Forgotten
    from frostdesk.store.forgetting import About

NEEDED = ("FROSTDESK_DATABASE_URL", "FROSTDESK_REDIS_URL")


@click.command()
@click.argument("conversation", type=UUID)
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(conversation: UUID, *, yes: bool) -> None:
    """Erase a customer: texts, names and identities of a conversation, everywhere and for good."""
    settings = settings_for(NEEDED)
    whom = run(_about(settings, conversation))
    click.echo(_describe(whom, conversation))
    if not yes:
        click.confirm("Erase all of it for good?", abort=True)
    done = run(_forget(settings, conversation))
    click.echo(f"Forgotten: event {done.position} says so. Jobs taken off the queue: {done.jobs}.")
    if whom.others:
        others = ", ".join(map(str, whom.others))
        click.echo(f"The same customer has further conversations, to be forgotten too: {others}")


async def _about(settings: Settings, conversation: UUID) -> About:
    from frostdesk.store.forgetting import about

    async with connection_to(settings) as connection:
        return await about(connection, conversation)


def _describe(whom: About, conversation: UUID) -> str:
    if whom.forgotten:
        return f"Conversation {conversation} has been forgotten before; what came since goes too."
    names = [whom.name, whom.wa_id, whom.user_id, whom.username]
    return (
        f"Conversation {conversation} with {plain(', '.join(n for n in names if n))}: "
        f"{whom.messages} messages, {whom.bookings} bookings, {whom.events} events.\n"
        "Texts, names and identities go; lessons, times and the sequence of events stay."
    )


async def _forget(settings: Settings, conversation: UUID) -> Forgotten:
    from redis.exceptions import RedisError

    from frostdesk.doorbell import connect_redis
    from frostdesk.privacy import forget as forget_everywhere

    redis = connect_redis(settings.redis_url)
    try:
        async with connection_to(settings) as connection:
            return await forget_everywhere(connection, redis, conversation)
    except RedisError as error:
        raise FrostDeskError(
            "The database has forgotten the customer, but Redis cannot be reached "
            f"({type(error).__name__}), and jobs on its queue may still hold texts. "
            f"Start it and run `frostdesk forget {conversation}` again."
        ) from error
    finally:
        await redis.aclose()


@click.command()
@click.argument("conversation", type=UUID)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="The file to write, for its owner's eyes only; otherwise to standard output.",
)
def export(conversation: UUID, output: Path | None) -> None:
    """Write all that is kept about a customer as one JSON document."""
    kept = msgspec.json.encode(run(_kept(settings_for(), conversation)))
    document = msgspec.json.format(kept, indent=2) + b"\n"
    if output is None:
        with for_a_reader():
            sys.stdout.buffer.write(document)
        return
    try:
        with open(output, "wb", opener=_private) as file:
            file.write(document)
    except OSError as error:
        raise FrostDeskError(f"{output} cannot be written: {error.strerror}.") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def _kept(settings: Settings, conversation: UUID) -> dict[str, Any]:
    from frostdesk.store.forgetting import kept_of

    async with connection_to(settings) as connection:
        return await kept_of(connection, conversation)
