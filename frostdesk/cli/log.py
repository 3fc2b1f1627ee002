"""Commands of the engineer: the log and what is made of it."""

from __future__ import annotations

from uuid import UUID

import click

from frostdesk.cli.running import database, json_option, print_json, run, settings_for

PAGE = 1000


@click.command()
@click.option("--conversation", type=UUID, help="Only this conversation's.")
@click.option("--type", "event_type", help="Only events of this type.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only beyond this position.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@json_option
def events(
    conversation: UUID | None,
    event_type: str | None,
    after: int,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    """List the events of the log, in order."""
    settings = settings_for()

    async def main() -> None:
        from frostdesk.store.reading import list_events

        position, left = after, limit
        async with database(settings) as pool:
            while left is None or left > 0:
                found = await list_events(
                    pool,
                    after=position,
                    limit=min(PAGE, left or PAGE),
                    conversation_id=conversation,
                    event_type=event_type,
                )
                if not found:
                    return
                if as_json:
                    print_json(found)
                else:
                    for e in found:
                        when = e.recorded_at.astimezone(settings.timezone)
                        click.echo(
                            f"{e.position:>8}  {when:%Y-%m-%d %H:%M:%S}  {e.conversation_id}"
                            f"  {e.version:>4}  {e.type}"
                        )
                position = found[-1].position
                left = None if left is None else left - len(found)

    run(main())


COMMANDS = (events,)
