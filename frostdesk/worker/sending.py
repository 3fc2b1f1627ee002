"""ReplyGenerated → WhatsApp → ReplySent, or what became of it."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from time import perf_counter
from uuid import UUID

import msgspec
import structlog

from frostdesk.errors import (
    GiveUpError,
    OutcomeUnknownError,
    TryAgainError,
    VersionConflictError,
)
from frostdesk.events import (
    Event,
    ReplyFailed,
    ReplyPartSent,
    ReplySent,
    SendRepeated,
    SendUncertain,
    derive_id,
)
from frostdesk.retry import attempts_made, with_retries
from frostdesk.store.append import Expected, NewEvent
from frostdesk.store.parts import SENT_PARTS, SentPart, taken
from frostdesk.store.work import Unfinished, Work
from frostdesk.whatsapp.client import Address
from frostdesk.whatsapp.texts import split_text
from frostdesk.worker.context import Context

WINDOW = timedelta(hours=24)
"""Free-form messages are allowed so long after the customer's last one (Meta, Cloud API, messages,
"customer service windows")."""

SENT = """
SELECT CASE type WHEN 'ReplySent' THEN data -> 'whatsapp_ids' END FROM events
 WHERE conversation_id = $1 AND type IN ('ReplySent', 'RetryRequested') AND data ->> 'reply_id' = $2
 ORDER BY version DESC LIMIT 1
"""
"""Nothing where the instructor has asked since that it goes out again."""

CUT_OFF_SECONDS = 2.0
"""How long a worker that has to end tries to put on record that it was sending."""

log = structlog.get_logger(__name__)


async def send(context: Context, work: Work, reply: Unfinished, *, repeat: bool) -> None:
    """Bring a reply to the customer and record what came of it. Never calls the model.

    Nothing is done where another worker has taken over the conversation: it sends the reply.
    """
    if not await context.still_holds(work.conversation_id):
        log.warning("another worker has taken over", reply_id=str(reply.id))
        return
    if work.now - work.customer_at > WINDOW:
        reason = "outside the 24-hour window: the customer has to write first"
        await fail(context, work, reply, reason=reason, attempts=0)
        return
    if reply.overtaken:
        reason = "out of date: the instructor has decided anew about the lesson"
        await fail(context, work, reply, reason=reason, attempts=0)
        return
    if repeat and (
        await _was_sent(context, work, reply) or not await _record_repeat(context, work, reply)
    ):
        return
    try:
        await _send_parts(context, work, reply)
    except OutcomeUnknownError as error:
        await _record_unknown(context, work, reply, str(error), repeat=repeat)
    except asyncio.CancelledError:
        if not repeat:  # which is on record
            await _record_cut_off(context, work, reply)
        raise
    except (TryAgainError, GiveUpError) as error:
        await fail(context, work, reply, reason=str(error), attempts=attempts_made(error))


async def fail(
    context: Context, work: Work, reply: Unfinished, *, reason: str, attempts: int
) -> None:
    """Record that a reply did not reach the customer, for the instructor to see."""
    log.error("reply not sent", reply_id=str(reply.id), reason=reason, attempts=attempts)
    event = ReplyFailed(stage="send", reason=reason, attempts=attempts, reply_id=reply.id)
    await _record(context, work, event)


async def _send_parts(context: Context, work: Work, reply: Unfinished) -> None:
    """Send what WhatsApp does not have of a reply, one part after the other."""
    began = perf_counter()
    texts = dict(enumerate(split_text(reply.text), 1))
    have = await _parts_taken(context, reply) if len(texts) > 1 else {}
    missing = [number for number in texts if number not in have]
    for number in missing:
        have[number] = await _post(context, work, reply.id, texts[number])
        part = ReplyPartSent(
            reply_id=reply.id, part=number, parts=len(texts), whatsapp_id=have[number]
        )
        if number != missing[-1]:
            await record_send(context, work.conversation_id, part, part.whatsapp_id)
    seconds = round(perf_counter() - began, 6)
    ids = tuple(have[number] for number in texts)
    whole = ReplySent(reply_id=reply.id, whatsapp_ids=ids, seconds=seconds)
    if not missing:
        await _record(context, work, whole)
        return
    # Of several parts one may have failed and been asked for anew meanwhile: it is the next to go.
    unasked = Expected(work.version, ("RetryRequested",)) if len(texts) > 1 else None
    try:
        await record_send(context, work.conversation_id, whole, part.whatsapp_id, expected=unasked)
    except VersionConflictError:
        await record_send(context, work.conversation_id, part, part.whatsapp_id)


async def _parts_taken(context: Context, reply: Unfinished) -> dict[int, str]:
    found = await context.pool.fetchval(
        f"SELECT ({SENT_PARTS}) FROM messages m WHERE id = $1", reply.id
    )
    return taken(msgspec.json.decode(found, type=list[SentPart]))


async def _post(context: Context, work: Work, reply_id: UUID, text: str) -> str:
    return await with_retries(
        lambda: context.whatsapp.send_text(
            phone_number_id=work.phone_number_id or context.settings.whatsapp_phone_number_id,
            to=Address(wa_id=work.wa_id, user_id=work.user_id),
            text=text,
            callback_data=str(reply_id),
        )
    )


async def record_send(
    context: Context,
    conversation_id: UUID,
    event: ReplySent | ReplyPartSent,
    whatsapp_id: str,
    *,
    expected: Expected | None = None,
) -> None:
    """Record that WhatsApp took a reply or a part of it, under the id that a status would give.

    Raises:
        VersionConflictError: what was `expected` is not so; nothing was recorded.
    """
    what = "sent" if isinstance(event, ReplySent) else "part"
    new = NewEvent(
        id=derive_id(what, event.reply_id, whatsapp_id),
        event=event,
        actor="whatsapp",
        causation_id=event.reply_id,
        correlation_id=event.reply_id,
    )
    await context.append([new], conversation_id=conversation_id, expected=expected)
    log.info(what, event_id=str(new.id), reply_id=str(event.reply_id))


async def _record_unknown(
    context: Context, work: Work, reply: Unfinished, reason: str, *, repeat: bool
) -> None:
    """Put on record that nobody knows what came of a send, unless a status has told meanwhile."""
    event: Event = SendUncertain(reply_id=reply.id, reason=reason)
    if repeat or reply.status == "repeated":
        reason = f"outcome unknown twice: {reason}"
        event = ReplyFailed(stage="send", reason=reason, attempts=2, reply_id=reply.id)
    found: Work | None = work
    while found:
        try:
            await _record(context, found, event, expected=Expected(found.version, ("ReplySent",)))
        except VersionConflictError:
            found = await _unless_settled(context, work.conversation_id, reply)
        else:
            log.error("outcome of a send unknown", reply_id=str(reply.id), reason=reason)
            return
    log.info("settled by a status meanwhile", reply_id=str(reply.id))


async def _record_cut_off(context: Context, work: Work, reply: Unfinished) -> None:
    """Put on record that a send was begun: whoever takes the conversation next cannot know it."""
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        return  # it is the store that has ended, and takes nothing more
    recording = _record_unknown(context, work, reply, "the worker had to end", repeat=False)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CUT_OFF_SECONDS):
            await asyncio.shield(recording)


async def _unless_settled(
    context: Context, conversation_id: UUID, reply: Unfinished
) -> Work | None:
    """The conversation as it stands, where the status was one of another reply."""
    work = await context.claims.load(conversation_id)
    return work if work and any(m.id == reply.id for m in work.unfinished) else None


async def _was_sent(context: Context, work: Work, reply: Unfinished) -> bool:
    """Whether the log knows that the reply was sent, whatever its row says: then it says so anew.

    Rows can be changed by hand, and what a customer has been sent cannot be called back.
    """
    known = await context.pool.fetchval(SENT, work.conversation_id, str(reply.id))
    if known is None:
        return False
    log.error("a reply that was sent had a row that did not say so", reply_id=str(reply.id))
    ids = msgspec.json.decode(known, type=tuple[str, ...])
    await _record(context, work, ReplySent(reply_id=reply.id, whatsapp_ids=ids))
    return True


async def _record_repeat(context: Context, work: Work, reply: Unfinished) -> bool:
    """Put on record that the reply goes out once more; false if that is not so any longer."""
    event = SendRepeated(reply_id=reply.id, reason="no word of the first send")
    try:
        return await _record(
            context, work, event, expected=Expected(work.version, ("SendRepeated", "ReplySent"))
        )
    except VersionConflictError:
        return False


async def _record(
    context: Context, work: Work, event: Event, *, expected: Expected | None = None
) -> bool:
    """Append what happened to a reply at this version of the stream; true if it is new."""
    reply_id: UUID = event.reply_id  # type: ignore[attr-defined]  # every event here has one
    new = NewEvent(
        id=derive_id(type(event).__name__, reply_id, work.version),
        event=event,
        actor="system",
        causation_id=reply_id,
        correlation_id=reply_id,
    )
    (appended,) = await context.append(
        [new], conversation_id=work.conversation_id, expected=expected
    )
    return appended.is_new
