"""`frostdesk show`: the story of one conversation, event by event."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING
from uuid import UUID

import click
import msgspec

from frostdesk.cli.pipes import for_a_reader
from frostdesk.cli.running import database, json_option, print_json, run, settings_for
from frostdesk.errors import NotFoundError
from frostdesk.history import RowId, plain, rows_of, says
from frostdesk.settings import Settings
from frostdesk.upcasting import read_event

if TYPE_CHECKING:
    from frostdesk.store.rows import LoggedEvent

MOST = 1_000_000
"""More events than a conversation has."""

CONVERSATION = """
SELECT conversation_id FROM events WHERE conversation_id = $1
 UNION ALL
SELECT conversation_id FROM events WHERE id = $1
 LIMIT 1
"""


class Reference(msgspec.Struct, frozen=True):
    """Another event, as a person would name it: `#3 MessageReceived`. Absent: not in the log."""

    id: UUID
    position: int | None = None
    type: str | None = None

    def __str__(self) -> str:
        """The name that a line shows."""
        return f"#{self.position} {self.type}" if self.position else str(self.id)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the story. `because_of` led to it, `began_with` is where the chain began."""

    position: int
    id: UUID
    conversation_id: UUID
    version: int
    recorded_at: str
    type: str
    actor: str
    because_of: Reference | None
    began_with: Reference | None
    says: str
    rows: tuple[RowId, ...]


@click.command()
@click.argument("anything", metavar="ID", type=UUID)
@json_option
def show(anything: UUID, *, as_json: bool) -> None:
    """Tell the story of a conversation: what happened, why, who did it, and what it changed.

    ID is a conversation, or any event, message or booking in one.
    """
    settings = settings_for()
    events = run(_read(settings, anything))
    story = tell(events, settings.timezone)
    with for_a_reader():
        if as_json:
            print_json(story)
            return
        click.echo(f"Conversation {events[0].conversation_id} with {_whom(events)}\n")
        for told in story:
            click.echo("\n".join(_lines(told)))


async def _read(settings: Settings, anything: UUID) -> list[LoggedEvent]:
    from frostdesk.store.reading import list_events

    async with database(settings) as pool:
        conversation_id = await pool.fetchval(CONVERSATION, anything)
        if conversation_id is None:
            raise NotFoundError(f"There is no conversation, event, message or booking {anything}.")
        return await list_events(pool, limit=MOST, conversation_id=conversation_id)


def _whom(events: list[LoggedEvent]) -> str:
    """What the customer is called: by the newest event that names one."""
    senders = [e.data["sender"] for e in reversed(events) if "sender" in e.data]
    names = [s[key] for key in ("name", "wa_id", "user_id") for s in senders if key in s]
    return plain(names[0]) if names else "a customer without a name"


def tell(events: list[LoggedEvent], timezone: tzinfo) -> list[Told]:
    """The story that the events of a conversation make, times in `timezone`."""
    known = {e.id: Reference(e.id, e.position, e.type) for e in events}

    def refer(cause: UUID | None, itself: UUID) -> Reference | None:
        return None if cause in (None, itself) else known.get(cause, Reference(cause))

    return [
        _tell(e, timezone, refer(e.causation_id, e.id), refer(e.correlation_id, e.id))
        for e in events
    ]


def _tell(
    e: LoggedEvent, timezone: tzinfo, because_of: Reference | None, began_with: Reference | None
) -> Told:
    event = read_event(e.type, e.schema_version, e.data)
    return Told(
        position=e.position,
        id=e.id,
        conversation_id=e.conversation_id,
        version=e.version,
        recorded_at=e.recorded_at.astimezone(timezone).isoformat(),
        type=e.type,
        actor=e.actor,
        because_of=because_of,
        began_with=began_with,
        says=says(event),
        rows=rows_of(event, event_id=e.id, conversation_id=e.conversation_id),
    )


def _lines(told: Told) -> list[str]:
    when = told.recorded_at[:19].replace("T", " ")
    lines = [f"#{told.position:<6} {told.version:>4}  {when}  {told.type} by {told.actor}"]
    if told.says:
        lines.append(f"         “{told.says}”")
    if told.because_of:
        chain = told.began_with
        begun = f", begun by {chain}" if chain and chain != told.because_of else ""
        lines.append(f"         because of {told.because_of}{begun}")
    if told.rows:
        lines.append("         rows: " + ", ".join(f"{row.table} {row.id}" for row in told.rows))
    return lines
