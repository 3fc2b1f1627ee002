"""What WhatsApp's statuses say about our replies, as events."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from frostdesk.events import (
    DeliveryUpdated,
    Event,
    ReplyFailed,
    ReplyPartSent,
    ReplySent,
    derive_id,
)
from frostdesk.store.append import EventStore, NewEvent
from frostdesk.store.database import Pool
from frostdesk.whatsapp.texts import split_text
from frostdesk.whatsapp.webhook import StatusUpdate

UNSETTLED = ("pending", "unsettled", "repeated")

REPLIES = """
SELECT id, conversation_id, whatsapp_id, content,
       -- Given up, but nobody knew what had come of it: a status may still tell.
       CASE WHEN status = 'failed' AND sent_at IS NULL
             AND EXISTS (SELECT FROM events e
                          WHERE e.conversation_id = m.conversation_id AND e.type = 'SendUncertain'
                            AND e.data ->> 'reply_id' = m.id::text)
            THEN 'unsettled' ELSE status END AS status,
       ARRAY (SELECT e.data ->> 'whatsapp_id' FROM events e
               WHERE e.conversation_id = m.conversation_id AND e.type = 'ReplyPartSent'
                 AND e.data ->> 'reply_id' = m.id::text ORDER BY e.version) AS parts_sent
  FROM messages m
 WHERE role = 'assistant' AND (id = ANY ($1::uuid[]) OR whatsapp_id = ANY ($2::text[]))
"""


class Reply(msgspec.Struct, frozen=True):
    """A reply that a status may be about. `parts_sent` are the ids of all parts but the last."""

    id: UUID
    conversation_id: UUID
    whatsapp_id: str | None
    status: str
    content: str
    parts_sent: list[str]


async def record_statuses(pool: Pool, store: EventStore, statuses: Sequence[StatusUpdate]) -> None:
    """Append what statuses say. Those that name nothing known are ignored.

    Raises one of `LOST` if the database is away.
    """
    rows = await pool.fetch(
        REPLIES,
        [status.reply_id for status in statuses if status.reply_id],
        [status.whatsapp_id for status in statuses],
    )
    replies = [Reply(**row) for row in rows]
    by_id = {reply.id: reply for reply in replies}
    by_whatsapp_id = {reply.whatsapp_id: reply for reply in replies if reply.whatsapp_id}
    for status in sorted(statuses, key=lambda status: status.at):
        by_name = by_id.get(status.reply_id) if status.reply_id else None
        reply = by_name or by_whatsapp_id.get(status.whatsapp_id)
        if reply is not None:
            await store.append(
                [_new(reply, status, event) for event in facts_of(reply, status)],
                conversation_id=reply.conversation_id,
            )


def facts_of(reply: Reply, status: StatusUpdate) -> list[Event]:
    """The events that a status of a reply stands for."""
    facts: list[Event] = []
    if status.status != "failed":
        facts += _sent(reply, status.whatsapp_id)
    facts.append(
        DeliveryUpdated(
            reply_id=reply.id,
            whatsapp_id=status.whatsapp_id,
            status=status.status,
            at=status.at,
            error=status.error,
        )
    )
    if status.status == "failed":
        reason = f"WhatsApp could not deliver it: {status.error or 'no reason given'}"
        facts.append(ReplyFailed(stage="delivery", reason=reason, attempts=1, reply_id=reply.id))
    return facts


def _sent(reply: Reply, whatsapp_id: str) -> list[Event]:
    """The record of a send that is missing: WhatsApp has it, so it has been sent."""
    if reply.status not in UNSETTLED or whatsapp_id in reply.parts_sent:
        return []
    parts = len(split_text(reply.content))
    sent = (*reply.parts_sent, whatsapp_id)
    if len(sent) >= parts:
        return [ReplySent(reply_id=reply.id, whatsapp_ids=sent)]
    return [ReplyPartSent(reply_id=reply.id, part=len(sent), parts=parts, whatsapp_id=whatsapp_id)]


def _new(reply: Reply, status: StatusUpdate, event: Event) -> NewEvent:
    return NewEvent(
        id=event_id(event, reply.id, status),
        event=event,
        actor="whatsapp",
        causation_id=reply.id,
        correlation_id=reply.id,
    )


def event_id(event: Event, reply_id: UUID, status: StatusUpdate) -> UUID:
    """The id of what a status says: a worker that records the same send derives the same."""
    match event:
        case ReplySent():
            return derive_id("sent", reply_id, status.whatsapp_id)
        case ReplyPartSent():
            return derive_id("part", reply_id, status.whatsapp_id)
        case ReplyFailed():
            return derive_id("failed", "delivery", status.whatsapp_id)
        case _:
            return derive_id("delivery", status.whatsapp_id, status.status)
