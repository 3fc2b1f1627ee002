"""MessageReceived → model → ReplyGenerated and BookingProposed, together or not at all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import structlog

from frostdesk.assistant.prompt import HistoryEntry, Situation
from frostdesk.assistant.reply import Draft, draft_reply
from frostdesk.errors import GiveUpError, TryAgainError, VersionConflictError
from frostdesk.events import (
    CUSTOMER_WORDS,
    BookingProposed,
    HandedOver,
    ReplyFailed,
    ReplyGenerated,
    derive_id,
)
from frostdesk.retry import attempts_made
from frostdesk.store.append import Expected, NewEvent
from frostdesk.store.work import Unfinished, Work
from frostdesk.worker.context import Context
from frostdesk.worker.steps import just_made
from frostdesk.worker.typing import shown_as_typing

DROPPED_AT_MOST = 2
"""A customer who never stops writing is answered all the same: the third answer goes out."""

TAKEN_OVER = ("ReplyGenerated", "InstructorWrote", "AssistantPaused", "AutomationStopped")
"""What makes any answer stale: somebody else has answered, or nobody should by itself."""

STALE = (*CUSTOMER_WORDS, *TAKEN_OVER)

log = structlog.get_logger(__name__)


async def answer(context: Context, work: Work, *, dropped: int) -> Unfinished | None:
    """Answer everything that waits, or record that it cannot be answered. Returns the new reply.

    Raises:
        VersionConflictError: the customer's words have changed meanwhile, and the answer was
            dropped; or somebody has taken over meanwhile. The customer's words alone do it no
            longer once `dropped` answers are enough.
    """
    answers = tuple(message.id for message in work.waiting)
    calls = context.dropped_calls.pop(work.conversation_id, 0)
    try:
        async with shown_as_typing(context, work):
            draft = await draft_reply(context.model, situation_of(context, work))
    except (TryAgainError, GiveUpError) as error:
        calls += attempts_made(error)
        failure = ReplyFailed(stage="model", reason=str(error), attempts=calls, answers=answers)
        if not await fail(context, work, failure):
            context.dropped_calls[work.conversation_id] = calls
        return None
    calls += draft.attempts
    reply_id = derive_id("reply", answers[-1])
    stale_by = STALE if dropped < DROPPED_AT_MOST else TAKEN_OVER
    try:
        appended = await context.append(
            _events(msgspec.structs.replace(draft, attempts=calls), work, reply_id),
            conversation_id=work.conversation_id,
            expected=Expected(work.version, stale_by),
        )
    except VersionConflictError:
        context.dropped_calls[work.conversation_id] = calls
        log.info("the conversation has moved on, the answer is dropped", dropped=dropped + 1)
        raise
    log.info("answered", event_id=str(reply_id), answers=[str(answer) for answer in answers])
    return just_made(work, reply_id, draft.text) if appended[0].is_new else None


async def fail(context: Context, work: Work, failure: ReplyFailed) -> bool:
    """Record that messages have no answer, for the instructor to see; false if that is not so.

    Somebody has taken over meanwhile then: they may have an answer by now.
    """
    event_id = derive_id("failed", failure.stage, failure.answers[-1], work.version)
    new = NewEvent(
        id=event_id,
        event=failure,
        actor="system",
        causation_id=failure.answers[-1],
        correlation_id=failure.answers[0],
    )
    try:
        await context.append(
            [new],
            conversation_id=work.conversation_id,
            expected=Expected(work.version, TAKEN_OVER),
        )
    except VersionConflictError:
        log.info("the conversation was taken over, no failure is recorded", stage=failure.stage)
        return False
    log.error(
        "no answer",
        event_id=str(event_id),
        stage=failure.stage,
        reason=failure.reason,
        attempts=failure.attempts,
    )
    return True


def situation_of(context: Context, work: Work) -> Situation:
    """The conversation as the assistant sees it: no identity, and nothing of other customers."""
    return Situation(
        history=tuple(
            HistoryEntry(
                role=entry.role,
                author=entry.author,
                text=entry.text,
                at=entry.at,
            )
            for entry in work.history
        ),
        taken=work.taken,
        bookings=tuple((booking.lesson, booking.status) for booking in work.bookings),
        timezone=context.settings.timezone,
        instructions=context.instructions.current(),
        disclose=not work.disclosed,
        now=work.now,
    )


def reply_of(draft: Draft, work: Work, **what_for: Any) -> ReplyGenerated:
    """The event of a drafted text: what it is for, and how it was made."""
    return ReplyGenerated(
        text=draft.text,
        through_version=work.customer_version,
        disclosure=not work.disclosed,
        language=draft.language,
        model=draft.model,
        prompt_hash=draft.prompt_hash,
        input_tokens=draft.input_tokens,
        output_tokens=draft.output_tokens,
        calls=draft.attempts,
        seconds=draft.seconds,
        **what_for,
    )


def _events(draft: Draft, work: Work, reply_id: UUID) -> list[NewEvent]:
    answers = tuple(message.id for message in work.waiting)
    reply = NewEvent(
        id=reply_id,
        # What failed before stands in the same history, so this reply covers it as well.
        event=reply_of(draft, work, answers=(*work.failed, *answers)),
        actor="assistant",
        causation_id=answers[-1],
        correlation_id=answers[0],
    )
    proposals = [
        NewEvent(
            id=derive_id("proposal", reply_id, number),
            event=BookingProposed(lesson=lesson, reply_id=reply_id),
            actor="assistant",
            causation_id=reply_id,
            correlation_id=answers[0],
        )
        for number, lesson in enumerate(draft.lessons, start=1)
    ]
    return [reply, *proposals, *_handover(draft, reply_id, answers)]


def _handover(draft: Draft, reply_id: UUID, answers: tuple[UUID, ...]) -> list[NewEvent]:
    if draft.handover is None:
        return []
    event = HandedOver(reason=draft.handover, reply_id=reply_id)
    return [
        NewEvent(
            id=derive_id("handover", reply_id),
            event=event,
            actor="assistant",
            causation_id=reply_id,
            correlation_id=answers[0],
        )
    ]
