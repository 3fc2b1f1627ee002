"""The instructor's desk in a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from frostdesk.bookings import Command
from frostdesk.cli.running import (
    database,
    json_option,
    print_json,
    run,
    settings_for,
)
from frostdesk.settings import Settings

if TYPE_CHECKING:
    from frostdesk.doorbell import Job
    from frostdesk.store.append import EventStore
    from frostdesk.store.database import Pool
    from frostdesk.store.rows import Booking, Conversation, Page

MOST = 200

limit_option = click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many."
)


@click.command()
@limit_option
@json_option
def conversations(limit: int, *, as_json: bool) -> None:
    """List conversations, newest first."""
    from frostdesk.store.reading import list_conversations

    settings = settings_for()
    found: list[Conversation] = run(_list(settings, list_conversations, limit))
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("Nobody has written yet.")
    for c in found:
        when = c.last_message_at.astimezone(settings.timezone)
        name = _plain(c.name or c.username or c.wa_id or c.user_id or "")
        click.echo(f"{c.id}  {when:%a %Y-%m-%d %H:%M}  {name:<24}  {_state(c)}".rstrip())


@click.command()
@click.option("--status", type=click.Choice(["pending", "confirmed", "cancelled"]))
@limit_option
@json_option
def bookings(status: str | None, limit: int, *, as_json: bool) -> None:
    """List bookings, newest first."""
    from frostdesk.store.reading import list_bookings

    settings = settings_for()
    found: list[Booking] = run(_list(settings, list_bookings, limit, status=status))
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("There are no bookings." if status is None else f"No booking is {status}.")
    for b in found:
        click.echo(_booking_line(b))


@click.command()
@click.argument("booking_id", metavar="ID", type=UUID)
@json_option
def confirm(booking_id: UUID, *, as_json: bool) -> None:
    """Confirm a booking; the customer is told."""
    _decide(booking_id, "confirm", as_json=as_json)


@click.command()
@click.argument("booking_id", metavar="ID", type=UUID)
@json_option
def cancel(booking_id: UUID, *, as_json: bool) -> None:
    """Cancel a booking; the customer is told."""
    _decide(booking_id, "cancel", as_json=as_json)


@click.command()
@click.argument("conversation_id", metavar="ID", type=UUID)
def retry(conversation_id: UUID) -> None:
    """Process again what has failed in a conversation."""

    async def main(pool: Pool, store: EventStore) -> list[Job]:
        from frostdesk.instructor.commands import retry as retry_failed

        return await retry_failed(pool, store, conversation_id)

    run(_order(settings_for(), main))
    click.echo("It is tried again.")


@click.command()
@click.argument("conversation_id", metavar="ID", type=UUID)
@click.argument("text")
def write(conversation_id: UUID, text: str) -> None:
    """Write to the customer of a conversation yourself."""

    async def main(pool: Pool, store: EventStore) -> list[Job]:
        from uuid import uuid4

        from frostdesk.instructor import takeover

        _, jobs = await takeover.write(pool, store, conversation_id, text=text, key=uuid4().hex)
        return jobs

    run(_order(settings_for(), main))
    click.echo("It is on its way.")


@click.command()
@click.argument("conversation_id", metavar="ID", type=UUID)
def pause(conversation_id: UUID) -> None:
    """Keep the assistant from answering in a conversation."""

    async def main(pool: Pool, store: EventStore) -> list[Job]:
        from frostdesk.instructor import takeover

        await takeover.pause(pool, store, conversation_id)
        return []

    run(_order(settings_for(), main))
    click.echo("The assistant is paused here.")


@click.command()
@click.argument("conversation_id", metavar="ID", type=UUID)
def resume(conversation_id: UUID) -> None:
    """Let the assistant answer in a conversation again."""

    async def main(pool: Pool, store: EventStore) -> list[Job]:
        from frostdesk.instructor import takeover

        return await takeover.resume(pool, store, conversation_id)

    run(_order(settings_for(), main))
    click.echo("The assistant answers here again.")


def _decide(booking_id: UUID, command: Command, *, as_json: bool) -> None:
    decided: list[Booking] = []

    async def main(pool: Pool, store: EventStore) -> list[Job]:
        from frostdesk.instructor.commands import decide_booking

        booking, jobs = await decide_booking(pool, store, booking_id, command)
        decided.append(booking)
        return jobs

    run(_order(settings_for(), main))
    if as_json:
        print_json(decided)
    else:
        click.echo(_booking_line(decided[0]))


async def _order(
    settings: Settings, command: Callable[[Pool, EventStore], Coroutine[Any, Any, list[Job]]]
) -> None:
    """Carry out a command and ring for what follows. Without Redis the sweep finds it."""
    from frostdesk.store.append import EventStore

    async with database(settings) as pool, EventStore(pool) as store:
        jobs = await command(pool, store)
    async with _redis(settings) as ring:
        await ring(jobs)


@contextlib.asynccontextmanager
async def _redis(
    settings: Settings,
) -> AsyncIterator[Callable[[list[Job]], Coroutine[Any, Any, None]]]:
    from redis.exceptions import RedisError

    from frostdesk.doorbell import connect_redis, enqueue

    redis = connect_redis(settings.redis_url) if settings.redis_url else None

    async def ring(jobs: list[Job]) -> None:
        if redis is None or not jobs:
            return
        try:
            await enqueue(redis, jobs)
        except (RedisError, OSError):
            click.echo("Redis is away: it takes a few seconds longer.", err=True)

    try:
        yield ring
    finally:
        if redis is not None:
            await redis.aclose()


async def _list(
    settings: Settings,
    query: Callable[..., Coroutine[Any, Any, Page[Any]]],
    limit: int,
    **narrow: Any,
) -> list[Any]:
    """Up to `limit` items of a paged list."""
    found: list[Any] = []
    cursor: str | None = None
    async with database(settings) as pool:
        while len(found) < limit:
            page = await query(pool, limit=min(MOST, limit - len(found)), cursor=cursor, **narrow)
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
    return found


def _state(c: Conversation) -> str:
    """What the desk marks: who needs the instructor, what is left to do, who is not answered."""
    marks = (
        (c.handed_over, "waits for you"),
        (c.failed, f"{c.failed} failed"),
        (c.waiting, f"{c.waiting} waiting"),
        (c.paused, "paused"),
        (c.stopped, "wrote STOP"),
    )
    return ", ".join(text for so, text in marks if so)


def _booking_line(b: Booking) -> str:
    return (
        f"{b.id}  {b.date:%a %Y-%m-%d} {b.time:%H:%M}  {b.duration:>3} min"
        f"  {b.status:<9}  conversation {b.conversation_id}"
    )


def _plain(text: str) -> str:
    """A customer's own words without what could steer the terminal or turn the line around."""
    return "".join(c if c.isprintable() else "·" for c in text)


COMMANDS = (conversations, bookings, confirm, cancel, retry, write, pause, resume)
