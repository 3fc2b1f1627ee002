"""Attend to one conversation: take it, do what there is to do, give it back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec
import structlog

from frostdesk.errors import VersionConflictError
from frostdesk.events import ReplyFailed
from frostdesk.store.claims import Claim, abandon
from frostdesk.store.database import LOST
from frostdesk.store.work import Unfinished, Work
from frostdesk.worker import answering, limiting, sending, silence
from frostdesk.worker.announcing import announce
from frostdesk.worker.context import LEFT_ALONE_SECONDS, Context
from frostdesk.worker.steps import (
    Announce,
    Answer,
    GiveUpSending,
    Resume,
    Send,
    Step,
    Stop,
    Withhold,
    made_since,
    next_step,
    not_due,
)

ATTEMPTS = 3
"""Work over which so many workers have vanished is set aside."""

log = structlog.get_logger(__name__)


async def attend(
    context: Context, conversation_id: UUID, *, unsent: Iterable[UUID] = (), urgent: bool = False
) -> None:
    """Do all that can be done in a conversation, unless another worker is at it.

    `unsent` are replies of which the caller knows that they have not left yet. What the instructor
    asks for is `urgent`: it does not wait for a customer's pace.
    """
    if conversation_id in context.held.values():
        return  # a crash of the database may have wiped the claim that says so
    since = time.monotonic()
    mine = await context.claims.claim(conversation_id, urgent=urgent)
    if mine is None:
        return
    token = object()
    context.hold(token, conversation_id, since=since)
    try:
        with structlog.contextvars.bound_contextvars(conversation_id=str(conversation_id)):
            if mine.attempts > ATTEMPTS:
                reason = f"{ATTEMPTS} workers ended while they worked on it"
                await _set_aside(context, conversation_id, reason)
                mine = msgspec.structs.replace(mine, work=None)  # it is not so any longer
            certain = unsent if mine.attempts == 1 else ()
            await _work_through(context, token, mine, unsent=frozenset(certain))
    except BaseException:
        await _abandon(context, token, conversation_id)
        raise
    finally:
        context.held.pop(token, None)
        context.sure_until.pop(conversation_id, None)


async def _work_through(
    context: Context, token: object, claim: Claim, *, unsent: frozenset[UUID]
) -> None:
    """One step after the other, each from the state that the last one left."""
    conversation_id = context.held[token]
    found = claim.work
    dropped = 0
    while work := found or await context.claims.load(conversation_id):
        found = None
        certain = unsent | made_since(work, claim.at)
        step = next_step(work, unsent=certain)
        if step is None and work.contradicted:
            await _leave_alone(context, token)
            return
        if isinstance(step, Answer) and (bite := await limiting.bite(context, work)):
            if bite == "deferred":
                return
            continue
        try:
            await _carry_out(context, work, step, dropped=dropped)
            dropped = 0
        except VersionConflictError:
            dropped += 1
            continue
        if isinstance(step, Send):
            unsent -= {step.reply.id}
        leaving = not_due(work, unsent=certain)
        if await _let_go(context, token, leaving):
            return


async def _carry_out(context: Context, work: Work, step: Step | None, *, dropped: int) -> None:
    """Take a step, and send at once what it has made. What fails unforeseen is left to a person."""
    try:
        reply = await _take(context, work, step, dropped)
        if reply is not None:
            await sending.send(context, work, reply, repeat=False)
    except (VersionConflictError, *LOST):
        raise
    except Exception as error:
        log.exception("a step failed unexpectedly", step=type(step).__name__)
        await _set_aside(context, work.conversation_id, f"unexpected {type(error).__name__}")
        raise


async def _take(context: Context, work: Work, step: Step | None, dropped: int) -> Unfinished | None:
    """Take one step. Returns the reply that it made, which nobody has sent yet."""
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
        case Stop(message):
            return await silence.stop(context, work, message)
        case Resume(message):
            await silence.resume(context, work, message)
        case Withhold():
            await silence.withhold(context, work, step)
    return None


async def _set_aside(context: Context, conversation_id: UUID, reason: str) -> None:
    """Leave to a person what neither an answer nor a failure has come of.

    What the instructor has decided is told by code alone: it is the customer who has to know.
    """
    work = await context.claims.load(conversation_id)
    if work is None:
        return
    if work.waiting and not work.answered:
        answers = tuple(message.id for message in work.waiting)
        failure = ReplyFailed(stage="worker", reason=reason, attempts=ATTEMPTS, answers=answers)
        await answering.fail(context, work, failure)
    for booking in work.bookings:
        if booking.untold and not work.stopped:
            await announce(context, work, booking, by_code=True)


async def _let_go(context: Context, token: object, leaving: Sequence[UUID]) -> bool:
    """Give the conversation back, unless there is more to do; returns whether that is so."""
    conversation_id = context.held[token]
    await context.renew_no_longer(token)
    if await context.claims.release(conversation_id, leaving=leaving):
        return True
    context.held[token] = conversation_id
    return False


async def _leave_alone(context: Context, token: object) -> None:
    """Give the conversation back though its rows ask for more, and look again in a while."""
    conversation_id = context.held[token]
    log.error(
        "rows differ from the log: they ask for what was done. `frostdesk rebuild` puts them right"
    )
    context.left_until[conversation_id] = time.monotonic() + LEFT_ALONE_SECONDS
    await _abandon(context, token, conversation_id)


async def _abandon(context: Context, token: object, conversation_id: UUID) -> None:
    """Let another worker take over at once; if that fails, the claim runs out by itself."""
    with contextlib.suppress(*LOST, asyncio.CancelledError):
        await context.renew_no_longer(token)
        await asyncio.shield(
            abandon(context.pool, holder=context.claims.holder, conversation_id=conversation_id)
        )
