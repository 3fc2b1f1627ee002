"""The instructor takes part in a conversation: writes, pauses the assistant, lets it go on."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from frostdesk.doorbell import Job, generate_reply_job, send_reply_job
from frostdesk.errors import ConflictError, RefusedError, VersionConflictError
from frostdesk.events import AssistantPaused, AssistantResumed, InstructorWrote, derive_id
from frostdesk.store.append import EventStore, Expected, NewEvent
from frostdesk.store.database import Pool
from frostdesk.store.reading import get_conversation
from frostdesk.store.rows import Conversation
from frostdesk.wording.optout import wants_messages_again, wants_no_messages

LONGEST_TEXT = 12_000
"""Characters; WhatsApp takes 4,096 a message, and the sender splits."""

UNANSWERED = """
SELECT id, status, content FROM messages
 WHERE conversation_id = $1 AND status = ANY ($2::text[]) AND role = 'user'
 ORDER BY version
"""

FORGOTTEN = """
SELECT EXISTS (SELECT FROM events WHERE conversation_id = $1 AND type = 'CustomerForgotten')
"""

WRITTEN = "SELECT data ->> 'text' FROM events WHERE id = $1"

HEAD = "SELECT max(version) FROM events WHERE conversation_id = $1"


async def write(
    pool: Pool, store: EventStore, conversation_id: UUID, *, text: str, key: str
) -> tuple[UUID, list[Job]]:
    """Write to the customer. Returns the message's id, and the job that sends it.

    Whatever has no answer yet counts as answered by it, but for a STOP or START that a worker has
    yet to heed. Repeating it with the same idempotency
    `key` writes nothing more.

    Raises:
        NotFoundError: there is no such conversation.
        ConflictError: the customer has been forgotten, or `key` belongs to another text.
        RefusedError: there is no text, or too much of it.
    """
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
    clean = clean.encode(errors="replace").decode()
    if not 0 < len(clean) <= LONGEST_TEXT:
        raise RefusedError(f"`text` has to hold 1 to {LONGEST_TEXT:,} characters.")
    await _living(pool, conversation_id)
    rows = await pool.fetch(UNANSWERED, conversation_id, ["waiting", "held", "failed"])
    message_id = derive_id("instructor", conversation_id, key)
    answers = tuple(row["id"] for row in rows if not _is_yet_to_be_heeded(row))
    event = InstructorWrote(text=clean, answers=answers)
    await _append(store, conversation_id, message_id, event)
    if await pool.fetchval(WRITTEN, message_id) != clean:
        raise ConflictError("This Idempotency-Key belongs to another text, written before.")
    return message_id, [send_reply_job(conversation_id, message_id, message_id)]


async def pause(pool: Pool, store: EventStore, conversation_id: UUID) -> None:
    """Keep the assistant from answering in this conversation. Repeating it changes nothing.

    Raises:
        NotFoundError: there is no such conversation.
        ConflictError: the customer has been forgotten.
    """
    conversation = await _living(pool, conversation_id)
    if not conversation.paused:
        head = await pool.fetchval(HEAD, conversation_id)
        event_id = derive_id("paused", conversation_id, head)
        await _append(store, conversation_id, event_id, AssistantPaused())


async def resume(pool: Pool, store: EventStore, conversation_id: UUID) -> list[Job]:
    """Let the assistant answer again, beginning with what was withheld meanwhile.

    Repeating it changes nothing. Returns the job that answers.

    Raises:
        NotFoundError: there is no such conversation.
        ConflictError: the customer has been forgotten.
    """
    while True:
        head = await pool.fetchval(HEAD, conversation_id)
        conversation = await _living(pool, conversation_id)
        if not conversation.paused:
            return []
        rows = await pool.fetch(UNANSWERED, conversation_id, ["held"])
        answers = tuple(row["id"] for row in rows)
        event_id = derive_id("resumed by the instructor", conversation_id, head)
        event = AssistantResumed(answers=answers)
        try:
            # What a worker withholds just now has to be among the answers.
            await _append(store, conversation_id, event_id, event, expected=Expected(head))
        except VersionConflictError:
            continue
        return [generate_reply_job(conversation_id, answers[-1], "")] if answers else []


def _is_yet_to_be_heeded(row: asyncpg.Record) -> bool:
    text = row["content"]
    return row["status"] == "waiting" and (wants_no_messages(text) or wants_messages_again(text))


async def _living(pool: Pool, conversation_id: UUID) -> Conversation:
    """The conversation, of which something is kept; of a forgotten customer's nothing more is."""
    conversation = await get_conversation(pool, conversation_id)
    if await pool.fetchval(FORGOTTEN, conversation_id):
        raise ConflictError("This customer has been forgotten: nothing can be done here any more.")
    return conversation


async def _append(
    store: EventStore,
    conversation_id: UUID,
    event_id: UUID,
    event: InstructorWrote | AssistantPaused | AssistantResumed,
    *,
    expected: Expected | None = None,
) -> None:
    new = NewEvent(id=event_id, event=event, actor="instructor", correlation_id=event_id)
    await store.append([new], conversation_id=conversation_id, expected=expected)
