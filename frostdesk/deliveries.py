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
from frostdesk.store.parts import SENT_PARTS, SentPart, taken
from frostdesk.whatsapp.texts import split_text
from frostdesk.whatsapp.webhook import StatusUpdate

REPLIES = f"""
SELECT json_build_object(
           'id', id, 'conversation_id', conversation_id, 'whatsapp_id', whatsapp_id,
           'status', status, 'content', content,
           'parts_sent', CASE WHEN status = 'sent' THEN '[]' ELSE ({SENT_PARTS}) END)
  FROM messages m
 WHERE role = 'assistant' AND (id = ANY ($1::uuid[]) OR whatsapp_id = ANY ($2::text[]))
"""


class Reply(msgspec.Struct, frozen=True):
    """A reply that a status may be about. `parts_sent` matter where its status is not `sent`."""

    id: UUID
    conversation_id: UUID
    whatsapp_id: str | None
    status: str
    content: str
    parts_sent: list[SentPart]


_reply = msgspec.json.Decoder(Reply).decode


async def record_statuses(pool: Pool, store: EventStore, statuses: Sequence[StatusUpdate]) -> None:
    """Append what statuses say. Those that name nothing known are ignored.

    Raises one of `LOST` if the database is away.
    """
    rows = await pool.fetch(
        REPLIES,
        [status.reply_id for status in statuses if status.reply_id],
        [status.whatsapp_id for status in statuses],
    )
    replies = {reply.id: reply for reply in (_reply(row[0]) for row in rows)}
    named = {reply.whatsapp_id: reply.id for reply in replies.values() if reply.whatsapp_id}
    for status in sorted(statuses, key=lambda status: status.at):
        by_name = status.reply_id if status.reply_id in replies else None
        reply_id = by_name or named.get(status.whatsapp_id)
        if reply_id is not None:
            reply = replies[reply_id]
            facts = facts_of(reply, status)
            await store.append(
                [_new(reply, status, event) for event in facts],
                conversation_id=reply.conversation_id,
            )
            replies[reply_id] = _after(reply, facts)


def facts_of(reply: Reply, status: StatusUpdate) -> list[Event]:
    """The events that a status of a reply stands for."""
    facts = _sent(reply, status.whatsapp_id)
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
    """The record of a send that is missing: WhatsApp has it, so it has been sent.

    `failed` says so too. Then the record that the worker is about to make changes nothing more.
    """
    if reply.status == "sent" or any(p.whatsapp_id == whatsapp_id for p in reply.parts_sent):
        return []
    numbers = range(1, len(split_text(reply.content)) + 1)
    have = taken(reply.parts_sent)
    missing = [n for n in numbers if n not in have]
    anew = [part for part in reply.parts_sent if part.number in missing]
    if anew and len({part.number for part in anew}) < len(missing):
        return []  # a first part or one that is sent anew: only the worker knows
    # They go out in order, each when the one before it is on record.
    number = missing[0] if missing else numbers[-1]
    have[number] = whatsapp_id
    if all(n in have for n in numbers):
        return [ReplySent(reply_id=reply.id, whatsapp_ids=tuple(have[n] for n in numbers))]
    return [
        ReplyPartSent(reply_id=reply.id, part=number, parts=len(numbers), whatsapp_id=whatsapp_id)
    ]


def _after(reply: Reply, facts: Sequence[Event]) -> Reply:
    """The reply as the next status of the same webhook finds it."""
    status, sent = reply.status, reply.parts_sent
    for fact in facts:
        match fact:
            case ReplyPartSent():
                sent = [*sent, SentPart(fact.part, fact.whatsapp_id)]
            case ReplySent():
                status = "sent"
                sent = [*sent, *(SentPart(n, i) for n, i in enumerate(fact.whatsapp_ids, 1))]
            case ReplyFailed():
                status = "failed"
    return msgspec.structs.replace(reply, status=status, parts_sent=sent)


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
