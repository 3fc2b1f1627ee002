"""Where a limit bites: an answer that has to wait a little, or that is left to the instructor."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import structlog

from frostdesk.events import AnswerDeferred, ReplyFailed, derive_id
from frostdesk.store.append import NewEvent
from frostdesk.store.claims import defer
from frostdesk.store.work import Work
from frostdesk.worker.answering import fail
from frostdesk.worker.context import Context

log = structlog.get_logger(__name__)


async def bite(context: Context, work: Work) -> Literal["deferred", "refused"] | None:
    """Apply the limits to a customer who waits for an answer; None where one may be made.

    Deferred, the conversation has been given back until the customer's pace allows an answer.
    Refused, what waits has been marked as failed, for the instructor to see and to retry.
    """
    allowance = await context.limits.allowance(work)
    if allowance.free_at:
        await _defer(context, work, allowance.free_at)
        return "deferred"
    if allowance.spent:
        await _refuse(context, work)
        return "refused"
    return None


async def _defer(context: Context, work: Work, until: datetime) -> None:
    log.warning("the customer writes too fast, the answer waits", until=until.isoformat())
    answers = tuple(message.id for message in work.waiting)
    new = NewEvent(
        id=derive_id("deferred", answers[-1], until.isoformat()),
        event=AnswerDeferred(until=until, answers=answers),
        actor="system",
        causation_id=answers[-1],
        correlation_id=answers[0],
    )
    await context.append([new], conversation_id=work.conversation_id)
    await defer(context.pool, work.conversation_id, holder=context.claims.holder, until=until)


async def _refuse(context: Context, work: Work) -> None:
    limits = context.limits
    reason = (
        f"today's budget of {limits.calls_per_day} model calls is spent; it begins anew at midnight"
        f" ({limits.timezone.key}). Answer in person, or retry then, or raise"
        " FROSTDESK_MODEL_CALLS_PER_DAY"
    )
    answers = tuple(message.id for message in work.waiting)
    failure = ReplyFailed(stage="limit", reason=reason, attempts=0, answers=answers)
    await fail(context, work, failure)
