"""Attend to one conversation: take it, do what there is to do, give it back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from uuid import UUID

import structlog

from frostdesk.errors import VersionConflictError
from frostdesk.events import ReplyFailed
from frostdesk.store.database import LOST
from frostdesk.store.work import Work, abandon, claim, load, release
from frostdesk.worker import answering, sending
from frostdesk.worker.announcing import announce
from frostdesk.worker.context import Context
from frostdesk.worker.steps import Announce, Answer, GiveUpSending, Send, Step, next_step, not_due

ATTEMPTS = 3
"""Work over which so many workers have vanished is set aside."""

log = structlog.get_logger(__name__)


async def attend(context: Context, conversation_id: UUID, *, unsent: Iterable[UUID] = ()) -> None:
    """Do all that can be done in a conversation, unless another worker is at it.

    `unsent` are replies of which the caller knows that they have not left yet.
    """
    attempts = await claim(context.pool, conversation_id, holder=context.holder)
    if attempts is None:
        return
    token = object()
    context.held[token] = conversation_id
    try:
        with structlog.contextvars.bound_contextvars(conversation_id=str(conversation_id)):
            if attempts > ATTEMPTS:
                reason = f"{ATTEMPTS} workers ended while they worked on it"
                await _set_aside(context, conversation_id, reason)
            certain = set(unsent) if attempts == 1 else set()
            await _work_through(context, conversation_id, certain)
    except BaseException:
        await _abandon(context, conversation_id)
        raise
    finally:
        del context.held[token]


async def _work_through(context: Context, conversation_id: UUID, unsent: set[UUID]) -> None:
    """One step after the other, each from the state that the last one left."""
    dropped = 0
    while work := await load(context.pool, conversation_id):
        step = next_step(work, unsent=unsent)
        if step is None:
            leaving = not_due(work, unsent=unsent)
            if await release(context.pool, conversation_id, holder=context.holder, leaving=leaving):
                return
            continue
        try:
            made = await _take(context, work, step, dropped)
            dropped = 0
        except VersionConflictError:
            made, dropped = None, dropped + 1
        except LOST:
            raise
        except Exception as error:
            log.exception("a step failed unexpectedly", step=type(step).__name__)
            await _set_aside(context, conversation_id, f"unexpected {type(error).__name__}")
            raise
        if made:
            unsent.add(made)
        if isinstance(step, Send):
            unsent.discard(step.reply.id)


async def _take(context: Context, work: Work, step: Step, dropped: int) -> UUID | None:
    """Take one step. Returns the reply that it made, if it made one."""
    match step:
        case Send(reply, repeat):
            await sending.send(context, work, reply, repeat=repeat)
        case GiveUpSending(reply):
            reason = "outcome unknown after a second send"
            await sending.fail(context, work, reply, reason=reason, attempts=2)
        case Announce(booking):
            return await announce(context, work, booking)
        case Answer():
            return await answering.answer(context, work, dropped=dropped)
    return None


async def _set_aside(context: Context, conversation_id: UUID, reason: str) -> None:
    """Leave to a person what neither an answer nor a failure has come of."""
    work = await load(context.pool, conversation_id)
    if work is None or not work.waiting:
        return
    answers = tuple(message.id for message in work.waiting)
    failure = ReplyFailed(stage="worker", reason=reason, attempts=ATTEMPTS, answers=answers)
    await answering.fail(context, work, failure)


async def _abandon(context: Context, conversation_id: UUID) -> None:
    """Let another worker take over at once; if that fails, the claim runs out by itself."""
    with contextlib.suppress(*LOST, asyncio.CancelledError):
        await asyncio.shield(
            abandon(context.pool, holder=context.holder, conversation_id=conversation_id)
        )
