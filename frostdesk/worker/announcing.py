"""BookingConfirmed or BookingCancelled → model, or code alone → ReplyGenerated that tells of it."""

from __future__ import annotations

from typing import Literal, cast
from uuid import UUID

from frostdesk.assistant.reply import draft_notice, plain_notice
from frostdesk.bookings import BOOKING_TYPES
from frostdesk.errors import VersionConflictError
from frostdesk.events import derive_id
from frostdesk.store.append import Expected, NewEvent
from frostdesk.store.work import Unfinished, Work, WorkBooking
from frostdesk.worker.answering import reply_of, situation_of
from frostdesk.worker.context import Context
from frostdesk.worker.steps import just_made


async def announce(
    context: Context, work: Work, booking: WorkBooking, *, by_code: bool = False
) -> Unfinished | None:
    """Write to the customer what was decided. Returns the notice, or None if it is void.

    The model is asked for a sentence, unless code alone is to write it.

    It is void if a booking of the conversation was decided upon meanwhile: a late word that a
    lesson is confirmed, after its cancellation, would be a lie. It is void, too, if the assistant
    was paused meanwhile, and has no words of its own from then on: code alone writes the notice.
    """
    state = cast("Literal['confirmed', 'cancelled']", booking.status)
    situation = situation_of(context, work)
    if work.paused or by_code:
        draft = plain_notice(situation, lesson=booking.lesson, state=state)
    else:
        draft = await draft_notice(context.model, situation, lesson=booking.lesson, state=state)
    decision_id = cast("UUID", booking.decision_id)
    notice = NewEvent(
        id=derive_id("notice", decision_id),
        event=reply_of(draft, work, about=decision_id, booking_id=booking.id),
        actor="assistant",
        causation_id=decision_id,
        correlation_id=booking.id,
    )
    try:
        (appended,) = await context.append(
            [notice],
            conversation_id=work.conversation_id,
            expected=Expected(work.version, (*BOOKING_TYPES, "AssistantPaused")),
        )
    except VersionConflictError:
        return None
    return just_made(work, notice.id, draft.text) if appended.is_new else None
