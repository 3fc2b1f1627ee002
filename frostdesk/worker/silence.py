"""MessageReceived → AutomationStopped, AutomationResumed or AnswerWithheld: saying no more."""

from __future__ import annotations

from uuid import UUID

from frostdesk.events import (
    CUSTOMER_WORDS,
    AnswerWithheld,
    AutomationResumed,
    AutomationStopped,
    ReplyGenerated,
    derive_id,
)
from frostdesk.store.append import Expected, NewEvent
from frostdesk.store.work import Unfinished, Work
from frostdesk.wording.languages import detect_language
from frostdesk.wording.lines import stop_confirmation
from frostdesk.worker.answering import STALE
from frostdesk.worker.context import Context
from frostdesk.worker.steps import Withhold, just_made

NOT_TO_BE_WITHHELD = ("ReplyGenerated", "InstructorWrote", "AssistantResumed", "AutomationResumed")
"""After these an answer was given meanwhile, or one may be made again."""


async def stop(context: Context, work: Work, message: Unfinished) -> Unfinished | None:
    """Confirm once that automatic messages end here. Returns the confirmation.

    Raises:
        VersionConflictError: the customer has written more meanwhile.
    """
    answers = tuple(waiting.id for waiting in work.waiting)
    texts = [entry.text for entry in reversed(work.history) if entry.role == "user"]
    language = detect_language(texts)
    reply_id = derive_id("reply", answers[-1])
    confirmation = ReplyGenerated(
        text=stop_confirmation(language),
        answers=answers,
        through_version=work.customer_version,
        language=language,
    )
    stopped = AutomationStopped(message_id=message.id, reply_id=reply_id)
    appended = await context.append(
        [
            _new(reply_id, confirmation, message.id),
            _new(derive_id("stopped", message.id), stopped, message.id, actor="customer"),
        ],
        conversation_id=work.conversation_id,
        expected=Expected(work.version, STALE),
    )
    return just_made(work, reply_id, confirmation.text) if appended[0].is_new else None


async def resume(context: Context, work: Work, message: Unfinished) -> None:
    """Let automatic messages begin again.

    Raises:
        VersionConflictError: the customer has written more meanwhile, and the last word counts.
    """
    event = AutomationResumed(message_id=message.id)
    new = _new(derive_id("resumed", message.id), event, message.id, actor="customer")
    await context.append(
        [new],
        conversation_id=work.conversation_id,
        expected=Expected(work.version, CUSTOMER_WORDS),
    )


async def withhold(context: Context, work: Work, step: Withhold) -> None:
    """Put on record what is left to the instructor, or unsaid at the customer's wish.

    Raises:
        VersionConflictError: that is not so any longer.
    """
    decision_id = step.booking.decision_id if step.booking else None
    answers = tuple(message.id for message in step.waiting)
    cause = decision_id or answers[-1]
    event = AnswerWithheld(
        reason=step.reason,
        answers=answers,
        about=decision_id,
        booking_id=step.booking.id if step.booking else None,
    )
    new = _new(derive_id("withheld", cause, work.version), event, cause)
    await context.append(
        [new],
        conversation_id=work.conversation_id,
        expected=Expected(work.version, NOT_TO_BE_WITHHELD),
    )


def _new(
    event_id: UUID,
    event: ReplyGenerated | AutomationStopped | AutomationResumed | AnswerWithheld,
    cause: UUID,
    *,
    actor: str = "system",
) -> NewEvent:
    return NewEvent(id=event_id, event=event, actor=actor, causation_id=cause, correlation_id=cause)
